// Lamps made of lights: LEDs of the kernel (/sys/class/leds) or GPIO lines (gpio.ts).
//
//   pattern    a LED latched (HA, TWIN, ALARM)     a LED armed (STATUS)                        a GPIO line
//   solid      no trigger, brightness              oneshot: 0.95 s on, shot at each tick       high
//   slow       timer 0.5 s / 0.5 s                 oneshot 0.5 s / 0.5 s, shot at each tick    toggled by tick
//   fast       timer 0.1 s / 0.1 s                 the same: it says "act", also when we died  toggled by tick
//   flash      oneshot 0.1 s / 0.9 s, shot when there was a pulse                              pulsed by tick
//
// The kernel ignores a shot while one is under way, so an armed solid LED winks for 0.05 to 0.1 s each second: that is where it
// is armed again, and it is dark a second after its software died. Triggers are modules: ledtrig-timer,
// ledtrig-oneshot, ledtrig-netdev.

import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Lamp, LampColour, LampPattern } from "../contracts.ts";

/** One light. Throws the system's error. */
export interface Light {
  set(pattern: LampPattern): void;
  tick(nowMillis: number, pulse: boolean): void;
}

/** Milliseconds on and off. */
const ARMED_SOLID = [950, 50] as const;
const SLOW = [500, 500] as const;
const FAST = [100, 100] as const;
const FLASH = [100, 900] as const;

/** Writes an attribute that is there; never creates a file. */
function write(file: string, text: string): void {
  const descriptor = openSync(file, constants.O_WRONLY);
  try {
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
}

/** A LED of the kernel. `isArmed`: goes dark when it is not ticked, unless it says "act". */
export class LedLight implements Light {
  private readonly directory: string;
  private readonly isArmed: boolean;
  private pattern: LampPattern = "off";

  constructor(sysfs: string, name: string, isArmed: boolean) {
    this.directory = join(sysfs, "class/leds", name);
    this.isArmed = isArmed;
  }

  set(pattern: LampPattern): void {
    this.pattern = "off";
    if (pattern === "off" || (pattern === "solid" && !this.isArmed)) {
      this.attribute("trigger", "none");
      this.attribute("brightness", pattern === "off" ? "0" : this.brightest());
    } else if (pattern === "flash") this.trigger("oneshot", FLASH);
    else if (pattern === "fast") this.trigger("timer", FAST);
    else if (this.isArmed) this.trigger("oneshot", pattern === "solid" ? ARMED_SOLID : SLOW);
    else this.trigger("timer", SLOW);
    this.pattern = pattern;
  }

  tick(_nowMillis: number, pulse: boolean): void {
    const isShot = this.pattern === "flash" ? pulse : this.isArmed && (this.pattern === "solid" || this.pattern === "slow");
    if (isShot) this.attribute("shot", "1");
  }

  /** A oneshot leaves the LED as it was until its first shot, so it is put out first; triggers light it as bright as it was lit last. */
  private trigger(name: string, [onMillis, offMillis]: readonly [number, number]): void {
    this.attribute("trigger", "none");
    this.attribute("brightness", "0");
    this.attribute("trigger", name);
    this.attribute("delay_on", String(onMillis));
    this.attribute("delay_off", String(offMillis));
  }

  private brightest(): string {
    return readFileSync(join(this.directory, "max_brightness"), "utf8").trim();
  }

  private attribute(name: string, text: string): void {
    write(join(this.directory, name), text);
  }
}

/** A port's LED, lit by its link and blinking with its traffic: the kernel does it (trigger netdev), whatever becomes of us. */
export class PortLight {
  readonly device: string;
  private readonly directory: string;

  constructor(sysfs: string, name: string, device: string) {
    this.directory = join(sysfs, "class/leds", name);
    this.device = device;
  }

  /** Hands it to the kernel. Throws the system's error. */
  set(): void {
    for (const [attribute, text] of [
      ["trigger", "netdev"],
      ["device_name", this.device],
      ["link", "1"],
      ["rx", "1"],
      ["tx", "1"],
    ] as const)
      write(join(this.directory, attribute), text);
  }
}

export type Lights = Readonly<Partial<Record<LampColour, Light>>>;

/** A lamp of one to three lights. Without an amber one, green and red together are amber; a lamp of one light uses it for all. */
export class LitLamp implements Lamp {
  private readonly all: readonly Light[];
  private readonly byColour: Readonly<Record<LampColour, readonly Light[]>>;

  constructor(lights: Lights) {
    const { green, amber, red } = lights;
    this.all = [green, amber, red].filter((light) => light !== undefined);
    const some = this.all.slice(0, 1);
    this.byColour = {
      green: green === undefined ? some : [green],
      amber: amber !== undefined ? [amber] : green !== undefined && red !== undefined ? [green, red] : some,
      red: red === undefined ? some : [red],
    };
  }

  show(colour: LampColour, pattern: LampPattern): void {
    const lit = this.byColour[colour];
    for (const light of this.all) if (!lit.includes(light)) light.set("off");
    for (const light of lit) light.set(pattern);
  }

  tick(nowMillis: number, pulse: boolean): void {
    for (const light of this.all) light.tick(nowMillis, pulse);
  }
}
