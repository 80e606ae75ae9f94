// What goes wrong in a world, drawn from its seed: a list of faults with their times, made before anything happens, so that it
// can be printed, and later shortened. Each fault begins, lasts and ends; `endAll` heals whatever is left.

import { KEY_WORDS, ROW_WORDS, S_GENERATION, S_KEY } from "../../firmware/fastpath/sessions.ts";
import { PORT_DOWN, PORT_GONE, PORT_UP } from "../../firmware/hal/contracts.ts";
import type { LaneFaults } from "../../firmware/hal/sim/lane.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import type { Random } from "../../firmware/hal/sim/random.ts";
import { rowsOf } from "./invariants.ts";
import { ETHERNET_BYTES, ETHERTYPE_TWIN, put16, u16 } from "./packets.ts";
import { addressesOf, type Picture } from "./picture.ts";
import type { Attachment } from "./segment.ts";
import { exchange } from "./services.ts";
import type { SimUnit } from "./unit.ts";

export const FAULT_KINDS = [
  "twin-noise",
  "data-noise",
  "twin-cut",
  "twin-one-way",
  "data-cut",
  "data-one-way",
  "all-cut",
  "crash-keep",
  "crash-lose",
  "crash-torn",
  "stall",
  "forge",
  "replay",
  "port-down",
  "port-gone",
  "move-user",
  "flood",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Those that are not about a twin: for a unit by itself. */
export const LONE_KINDS: readonly FaultKind[] = ["data-noise", "crash-keep", "crash-lose", "crash-torn", "stall", "port-down", "port-gone", "flood"];

export interface Fault {
  readonly kind: FaultKind;
  readonly atMillis: number;
  readonly lastsMillis: number;
  /** Whom it strikes, where that matters. */
  readonly unit: string;
  /** Fixes the details. */
  readonly detail: number;
}

export interface FaultPlan {
  readonly count: number;
  readonly untilMillis: number;
  readonly kinds: readonly FaultKind[];
  /** Names of those whom they may strike. */
  readonly units: readonly string[];
}

/** The faults of a seed, in order of time. */
export function drawFaults(random: Random, plan: FaultPlan): Fault[] {
  const faults: Fault[] = [];
  for (let k = 0; k < plan.count; k++) {
    const draw = random.fork(String(k));
    const kind = draw.pick(plan.kinds);
    const lastsMillis = Math.ceil(durationOf(kind, draw));
    faults.push({ kind, atMillis: draw.below(plan.untilMillis), lastsMillis, unit: draw.pick(plan.units), detail: draw.word() });
  }
  return faults.sort((one, other) => one.atMillis - other.atMillis);
}

function durationOf(kind: FaultKind, random: Random): number {
  const detection = 100;
  if (kind === "stall") return detection * 0.5 * 40 ** random.fraction();
  if (kind === "crash-keep" || kind === "crash-torn") return random.between(20, 500);
  if (kind === "crash-lose") return random.between(50, 3_000);
  return 20 * 150 ** random.fraction();
}

export function describeFault({ kind, atMillis, lastsMillis, unit, detail }: Fault): string {
  return `${String(atMillis).padStart(6)} ms  ${kind} ${unit} for ${lastsMillis} ms, detail ${detail}`;
}

/** Reads what `describeFault` writes; throws when it cannot. */
export function parseFault(text: string): Fault {
  const [, at, kind, unit, lasts, detail] = /^\s*(\d+) ms {2}([a-z-]+) (\w+) for (\d+) ms, detail (\d+)$/.exec(text) ?? [];
  if (!FAULT_KINDS.includes(kind as FaultKind)) throw new Error(`this is not a fault: ${text}`);
  return { kind: kind as FaultKind, atMillis: Number(at), lastsMillis: Number(lasts), unit: unit as string, detail: Number(detail) };
}

/** Frames of the twin that an attacker remembers. */
const REMEMBERED = 128;

export class FaultInjector {
  readonly picture: Picture;
  /** Called just before a unit loses its memory. */
  onLoss: ((unit: SimUnit) => void) | null = null;
  forged = 0;
  /** How often each kind has struck. */
  readonly injected = new Map<FaultKind, number>();
  private readonly random: Random;
  private readonly remembered: Uint8Array[] = [];
  private readonly ends: (() => void)[] = [];
  private over = false;

  constructor(picture: Picture) {
    this.picture = picture;
    this.random = picture.world.random.fork("faults");
    picture.world.onFrameSeen = (_segment, _from, frame) => {
      if (u16(frame, 12) !== ETHERTYPE_TWIN || !this.random.chance(0.05)) return;
      if (this.remembered.length < REMEMBERED) this.remembered.push(frame.slice());
      else this.remembered[this.random.below(REMEMBERED)] = frame.slice();
    };
  }

  /** Puts a list of faults on the schedule. */
  play(faults: readonly Fault[]): void {
    const { schedule } = this.picture.world;
    for (const fault of faults) {
      schedule.after(fault.atMillis * 1_000, () => {
        if (!this.over) this.begin(fault);
      });
    }
  }

  /** Heals everything that still lasts, for good. */
  endAll(): void {
    this.over = true;
    for (const end of this.ends.splice(0)) end();
  }

  private begin(fault: Fault): void {
    this.picture.world.note(`fault: ${describeFault(fault).trim()}`);
    const unit = this.picture.unit(fault.unit);
    BEGIN[fault.kind](this, fault, unit);
    this.injected.set(fault.kind, (this.injected.get(fault.kind) ?? 0) + 1);
  }

  /** Both ends of every stretched LAN, or the unit's own data cables where sites share none. */
  between(unit: SimUnit): readonly Attachment[] {
    const sites = this.picture.interconnects.flatMap(({ there, back }) => [there, back]);
    return sites.length > 0 ? sites : unit.attachments.slice(0, -1);
  }

  /** Does `undo` when the fault is over, or at `endAll`. */
  private until(fault: Fault, undo: () => void): void {
    let done = false;
    const end = () => {
      if (done) return;
      done = true;
      this.picture.world.note(`over: ${fault.kind} ${fault.unit}`);
      undo();
    };
    this.ends.push(end);
    this.picture.world.schedule.after(fault.lastsMillis * 1_000, end);
  }

  noise(fault: Fault, places: readonly Attachment[], corruptRate: number): void {
    const draw = this.random.fork(`noise ${fault.detail}`);
    const set: Partial<LaneFaults> = {
      lossRate: draw.chance(0.7) ? draw.fraction() * 0.3 : 0,
      duplicateRate: draw.chance(0.5) ? draw.fraction() * 0.2 : 0,
      corruptRate: draw.chance(0.5) ? corruptRate : 0,
      reorderRate: draw.chance(0.5) ? draw.fraction() * 0.3 : 0,
      reorderMicros: 2_000,
      jitterMicros: draw.chance(0.5) ? draw.below(500) : 0,
    };
    const lanes = places.flatMap(({ enters, leaves }) => [enters, leaves]);
    for (const lane of lanes) Object.assign(lane.faults, set);
    const calm: Partial<LaneFaults> = { lossRate: 0, duplicateRate: 0, corruptRate: 0, reorderRate: 0, reorderMicros: 0, jitterMicros: 0 };
    this.until(fault, () => {
      for (const lane of lanes) Object.assign(lane.faults, calm);
    });
  }

  /** `ways`: 1 into the switch, 2 out of it, 3 both. Overlapping cuts of one cable end with the first; that is fine. */
  cut(fault: Fault, places: readonly Attachment[], ways: number): void {
    const set = (cut: boolean) => {
      for (const { enters, leaves } of places) {
        if ((ways & 1) !== 0) enters.faults.cut = cut;
        if ((ways & 2) !== 0) leaves.faults.cut = cut;
      }
    };
    set(true);
    this.until(fault, () => set(false));
  }

  crash(fault: Fault, unit: SimUnit, losesMemory: boolean): void {
    if (!unit.isRunning) return;
    if (losesMemory) this.onLoss?.(unit);
    unit.crash(losesMemory);
    this.until(fault, () => {
      if (!unit.isRunning) unit.start();
    });
  }

  /** Dies in the middle of changing rows: their generation stays odd, their identity half written. */
  tear(fault: Fault, unit: SimUnit): void {
    const tables = unit.tables;
    if (!unit.isRunning || tables === null) return;
    this.onLoss?.(unit);
    unit.crash(false);
    const draw = this.random.fork(`tear ${fault.detail}`);
    const { i } = tables.sessions;
    for (let k = 0; k < 3; k++) {
      const row = draw.pick(
        rowsOf(unit)
          .map((seen) => seen.row)
          .concat(0),
      );
      i[row * ROW_WORDS + S_GENERATION] = (i[row * ROW_WORDS + S_GENERATION] as number) | 1;
      i[row * ROW_WORDS + S_KEY + draw.below(KEY_WORDS)] = draw.word() | 0;
    }
    this.until(fault, () => {
      if (!unit.isRunning) unit.start();
      unit.rowsLostMicros = this.picture.world.schedule.nowMicros;
    });
  }

  port(fault: Fault, unit: SimUnit, state: number): void {
    const nic = unit.nics[fault.detail % unit.nics.length] as Nic;
    nic.state = state;
    this.until(fault, () => {
      nic.state = PORT_UP;
    });
  }

  /** An attacker on the twin segment: old frames again, old frames changed, and pure invention. */
  attack(fault: Fault, unit: SimUnit): void {
    const draw = this.random.fork(`attack ${fault.detail}`);
    const { schedule } = this.picture.world;
    const shots = draw.between(1, 60);
    for (let k = 0; k < shots; k++) {
      schedule.after(draw.below(fault.lastsMillis * 1_000), () => {
        const frame = this.ammunition(fault.kind === "forge", draw);
        if (frame === null || this.over) return;
        this.forged++;
        const nic = unit.nics[draw.chance(0.8) ? unit.nics.length - 1 : 0] as Nic;
        nic.deliver(frame);
      });
    }
  }

  private ammunition(forged: boolean, draw: Random): Uint8Array | null {
    if (this.remembered.length === 0) return null;
    const frame = draw.pick(this.remembered).slice();
    if (!forged) return frame;
    const kind = draw.below(4);
    if (kind === 0) draw.fill(frame.subarray(ETHERNET_BYTES));
    else if (kind === 1) return frame.slice(0, draw.between(ETHERNET_BYTES, frame.length));
    else if (kind === 2) {
      // A counter from the future: must not move the replay window.
      put16(frame, ETHERNET_BYTES + 8, draw.below(0x8000));
    } else {
      const at = draw.between(ETHERNET_BYTES, frame.length - 1);
      frame[at] = (frame[at] as number) ^ (1 << draw.below(8));
    }
    return frame;
  }

  /** More datagram flows than a small table holds. */
  flood(fault: Fault): void {
    const draw = this.random.fork(`flood ${fault.detail}`);
    const { service1, user, world } = this.picture;
    const client = user !== null && draw.chance(0.5) ? user : service1;
    const count = draw.between(100, 1_500);
    for (let k = 0; k < count; k++) {
      world.schedule.after((k * fault.lastsMillis * 1_000) / count, () => {
        if (!this.over) exchange(client, addressesOf(true).service3, { localPort: 1_024 + ((fault.detail + k) % 30_000), bytes: 8 });
      });
    }
  }
}

const twinCable = (unit: SimUnit): Attachment => unit.attachments.at(-1) as Attachment;
const oneOf = (places: readonly Attachment[], detail: number): Attachment => places[detail % places.length] as Attachment;

const BEGIN: Readonly<Record<FaultKind, (injector: FaultInjector, fault: Fault, unit: SimUnit) => void>> = {
  "twin-noise": (injector, fault) => injector.noise(fault, injector.picture.twin.attachments, 0.02),
  "data-noise": (injector, fault, unit) => injector.noise(fault, fault.detail % 2 === 0 ? injector.between(unit) : unit.attachments.slice(0, -1), 0.005),
  "twin-cut": (injector, fault, unit) => injector.cut(fault, [twinCable(unit)], 3),
  "twin-one-way": (injector, fault, unit) => injector.cut(fault, [twinCable(unit)], 1 + (fault.detail % 2)),
  "data-cut": (injector, fault, unit) => injector.cut(fault, injector.between(unit), 3),
  "data-one-way": (injector, fault, unit) => injector.cut(fault, [oneOf(injector.between(unit), fault.detail)], 1 + (fault.detail % 2)),
  "all-cut": (injector, fault, unit) => injector.cut(fault, [twinCable(unit), ...injector.between(unit)], 3),
  "crash-keep": (injector, fault, unit) => injector.crash(fault, unit, false),
  "crash-lose": (injector, fault, unit) => injector.crash(fault, unit, true),
  "crash-torn": (injector, fault, unit) => injector.tear(fault, unit),
  stall: (_injector, fault, unit) => unit.stall(fault.lastsMillis),
  forge: (injector, fault, unit) => injector.attack(fault, unit),
  replay: (injector, fault, unit) => injector.attack(fault, unit),
  "port-down": (injector, fault, unit) => injector.port(fault, unit, PORT_DOWN),
  "port-gone": (injector, fault, unit) => injector.port(fault, unit, PORT_GONE),
  "move-user": ({ picture }, fault) => {
    if (picture.user !== null) picture.moveUser(fault.detail % 2 === 0 ? "A" : "B");
  },
  flood: (injector, fault) => injector.flood(fault),
};
