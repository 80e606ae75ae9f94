// Keeps the lamps: looks at the unit, shows what changed, blinks and re-arms, and lights everything when the button is pressed.
//
//   each 50 ms     lamps are ticked (blinking, re-arming), the button is looked at
//   each 200 ms    the unit is looked at; a lamp whose situation changed is set
//   each 30 s      every lamp is set anew: whatever else wrote to it is corrected, and a dead one is noticed
//
// A lamp that fails is told once, tried again each 10 s and told when it works; it never stops another one, nor anything else.

import { LAMP_NAMES, type LampName } from "../../../board/board.ts";
import type { Button, Lamp, LampColour, LampPattern } from "../../hal/contracts.ts";
import type { PortLight } from "../../hal/linux/lamps.ts";
import type { Log } from "../log.ts";
import type { Look } from "./look.ts";
import { colourOf, type LampStates, situationsOf } from "./situations.ts";

export const LOOK_MILLIS = 200;
export const REFRESH_MILLIS = 30_000;
export const RETRY_MILLIS = 10_000;
/** Lamp test after a press: each colour for a second. */
const TEST_COLOURS: readonly LampColour[] = ["green", "amber", "red"];
const TEST_STEP_MILLIS = 1_000;

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: "Load its driver, or correct the board: the name is not there.",
  EACCES: "Run the manager as root, with /sys mounted for writing.",
  EPERM: "Run the manager as root, with /sys mounted for writing.",
  EROFS: "Mount /sys for writing.",
  EBUSY: "Another driver or program holds it: stop that, or correct the board.",
  EINVAL: "Load the kernel's triggers: ledtrig-timer, ledtrig-oneshot, ledtrig-netdev.",
};
const REMEDY_OTHERWISE = "The hardware does not answer: replace it. Traffic is not affected.";

export interface FrontPanelOptions {
  readonly lamps: Readonly<Record<LampName, Lamp>>;
  readonly button: Button | undefined;
  readonly portLights: readonly PortLight[];
  look(): Look;
  readonly log: Log;
}

/** Something that can fail, and is tried again later. */
interface Part {
  readonly what: string;
  hasFailed: boolean;
  retryAt: number;
}

interface KeptPortLight extends Part {
  readonly light: PortLight;
  refreshAt: number;
}

interface KeptLamp extends Part {
  readonly name: LampName;
  readonly lamp: Lamp;
  shown: string;
  refreshAt: number;
}

export class FrontPanel {
  states: LampStates | undefined;
  private readonly options: FrontPanelOptions;
  private readonly kept: readonly KeptLamp[];
  private readonly portLights: readonly KeptPortLight[];
  private readonly button: Part = { what: "The front button", hasFailed: false, retryAt: 0 };
  private lookAt = Number.NEGATIVE_INFINITY;
  private heartbeats = 0;
  private testedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FrontPanelOptions) {
    this.options = options;
    this.kept = LAMP_NAMES.map((name) => {
      const part = { what: `The lamp ${name.toUpperCase()}`, hasFailed: false, retryAt: 0 };
      return { ...part, name, lamp: options.lamps[name], shown: "", refreshAt: 0 };
    });
    this.portLights = options.portLights.map((light) => ({ what: `The LED of port ${light.device}`, hasFailed: false, retryAt: 0, light, refreshAt: 0 }));
  }

  /** Each LAMP_TICK_MILLIS. Never throws for what lamps and button do. */
  tick(nowMillis: number): void {
    let isHeard = false;
    if (nowMillis - this.lookAt >= LOOK_MILLIS) {
      this.lookAt = nowMillis;
      const look = this.options.look();
      this.states = situationsOf(look);
      isHeard = look.heartbeats > this.heartbeats;
      this.heartbeats = look.heartbeats;
    }
    for (const kept of this.kept) this.attempt(kept, nowMillis, () => this.keep(kept, nowMillis, kept.name !== "twin" || isHeard));
    for (const kept of this.portLights) {
      if (nowMillis < kept.refreshAt) continue;
      this.attempt(kept, nowMillis, () => {
        kept.light.set();
        kept.refreshAt = nowMillis + REFRESH_MILLIS;
      });
    }
    this.attempt(this.button, nowMillis, () => {
      if ((this.options.button?.poll(nowMillis) ?? -1) >= 0) this.testedAt = nowMillis;
    });
  }

  /** All lamps off: a planned end. */
  off(nowMillis: number): void {
    for (const kept of this.kept) this.attempt(kept, nowMillis, () => kept.lamp.show("green", "off"));
  }

  private keep(kept: KeptLamp, nowMillis: number, pulse: boolean): void {
    const [colour, pattern] = this.wanted(kept.name, nowMillis);
    const shown = `${colour} ${pattern}`;
    if (shown !== kept.shown || nowMillis >= kept.refreshAt) {
      kept.shown = "";
      kept.lamp.show(colour, pattern);
      kept.shown = shown;
      kept.refreshAt = nowMillis + REFRESH_MILLIS;
    }
    kept.lamp.tick(nowMillis, pulse);
  }

  private wanted(lamp: LampName, nowMillis: number): readonly [LampColour, LampPattern] {
    const colour = TEST_COLOURS[Math.floor((nowMillis - this.testedAt) / TEST_STEP_MILLIS)];
    if (colour !== undefined) return [colour, "solid"];
    const pattern = this.states?.[lamp].pattern ?? "off";
    return [colourOf(pattern), pattern];
  }

  private attempt(part: Part, nowMillis: number, act: () => void): void {
    if (nowMillis < part.retryAt) return;
    const { log } = this.options;
    try {
      act();
      if (part.hasFailed) log.note("notice", "panel-works", `${part.what} works again.`, { part: part.what });
      part.hasFailed = false;
    } catch (error) {
      part.retryAt = nowMillis + RETRY_MILLIS;
      if (part.hasFailed) return;
      part.hasFailed = true;
      const { code, message } = error as NodeJS.ErrnoException;
      const remedy = REMEDIES[code ?? ""] ?? REMEDY_OTHERWISE;
      log.note("warning", "panel-failed", `${part.what} cannot be used: ${message}. ${remedy}`, { part: part.what, cause: code ?? "" });
    }
  }
}
