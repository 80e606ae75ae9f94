// A small world for the link's tests: units with a twin port (or two) and two data ports each, on a segment for each, whose lanes
// can lose, delay, duplicate, reorder, damage and cut. Their clocks differ by hours, and drift. Real cipher, real packet memory, one schedule, one seed.

import type { EventName } from "../../firmware/fastpath/event-kinds.ts";
import { EVENT_NAMES } from "../../firmware/fastpath/event-kinds.ts";
import { mapTables, planRegions, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { Lane } from "../../firmware/hal/sim/lane.ts";
import { Nic, SimPort } from "../../firmware/hal/sim/port.ts";
import { Random } from "../../firmware/hal/sim/random.ts";
import { DriftingClock, Schedule } from "../../firmware/hal/sim/schedule.ts";
import { NonceLedger, SimSealer } from "../../firmware/hal/sim/sealer.ts";
import { FRAME_BYTES, UNIT_NAMES } from "../../firmware/limits.ts";
import type { PlannedPeer } from "../../firmware/plan.ts";

export const TWIN_PORT = 2;
export const DATA_PORTS = [0, 1];
/** In units of a wire with `secondTwins`. */
export const SECOND_TWIN_PORT = 3;
const HOUR_MICROS = 3_600_000_000;
const BREATH_MICROS = 1_000;

export interface Note {
  readonly kind: EventName;
  readonly unit: number;
  readonly port: number;
  readonly value: number;
  readonly atMicros: number;
}

/** Lanes of one segment: from each unit to each other. */
class Segment {
  readonly lanes = new Map<string, Lane>();
  /** Every frame that entered the segment, for who wants to replay it. */
  readonly heard: { readonly from: number; readonly frame: Uint8Array }[] = [];
  readonly nics = new Map<number, Nic>();
  private readonly world: Wire;
  private readonly name: string;

  constructor(world: Wire, name: string) {
    this.world = world;
    this.name = name;
  }

  attach(unit: number, nic: Nic): void {
    for (const [other, otherNic] of this.nics) {
      this.lanes.set(`${unit}>${other}`, this.lane(`${unit}>${other}`, otherNic));
      this.lanes.set(`${other}>${unit}`, this.lane(`${other}>${unit}`, nic));
    }
    this.nics.set(unit, nic);
    const carry = (frame: Uint8Array): number => {
      this.heard.push({ from: unit, frame: frame.slice() });
      let leaves = this.world.schedule.nowMicros;
      for (const other of this.nics.keys()) if (other !== unit) leaves = Math.max(leaves, (this.lanes.get(`${unit}>${other}`) as Lane).carry(frame.slice()));
      return leaves;
    };
    nic.lane = { carry } as unknown as Lane;
  }

  /** Puts a frame on the wire towards a unit, as an attacker would. */
  inject(to: number, frame: Uint8Array): void {
    this.nics.get(to)?.deliver(frame.slice());
  }

  private lane(name: string, to: Nic): Lane {
    return new Lane(`${this.name}/${name}`, this.world.schedule, this.world.random.fork(`${this.name}/${name}`), 50, (frame) => to.deliver(frame));
  }
}

/** What a unit's hardware offers to a start of its dataplane. */
export interface Start {
  readonly unit: number;
  readonly peers: readonly PlannedPeer[];
  readonly ports: (SimPort | null)[];
  readonly packets: FrameMemory;
  readonly sealer: SimSealer;
  readonly entropy: Random;
  readonly tables: Tables;
  readonly notes: { note(kind: number, nowMicros: number, unit: number, port: number, value: number): void };
  readonly notedHere: Note[];
}

/** What a test runs in a unit. */
export interface Brain {
  breathe(nowMicros: number): void;
}

export class Unit {
  readonly number: number;
  readonly nics: Nic[];
  readonly clock: DriftingClock;
  readonly notes: Note[] = [];
  readonly tables: Tables;
  brain: Brain | null = null;
  /** Stands still until then. */
  pausedUntil = 0;
  start: Start | null = null;
  starts = 0;
  private readonly world: Wire;

  constructor(world: Wire, number: number) {
    this.world = world;
    this.number = number;
    this.nics = [...DATA_PORTS, TWIN_PORT, ...(world.secondTwins.includes(number) ? [SECOND_TWIN_PORT] : [])].map(
      (port) => new Nic(`${UNIT_NAMES[number]}-${port}`, Uint8Array.of(2, 0, 0, 0, number, port), port >= TWIN_PORT ? world.twinMtuBytes : 1500),
    );
    this.clock = new DriftingClock(world.schedule, number * HOUR_MICROS, number * 20);
    const area = new ArrayBuffer(planRegions(64).totalBytes);
    this.tables = mapTables(area, 64);
  }

  /** Starts a dataplane; `make` builds what it runs. */
  boot(make: (start: Start) => Brain): void {
    this.kill();
    this.starts++;
    const { world, number } = this;
    const packets = createPacketMemory(new ArrayBuffer(2_048 * FRAME_BYTES));
    const ports = this.nics.map((nic, port) => new SimPort({ nic, number: port, packets, schedule: world.schedule, ringSlots: 64 }));
    const notes = {
      note: (kind: number, atMicros: number, unit: number, port: number, value: number): void => {
        this.notes.push({ kind: EVENT_NAMES[kind] as EventName, unit, port, value, atMicros });
      },
    };
    const peers = world.numbers
      .filter((other) => other !== number)
      .map((other) => ({ unit: other, name: UNIT_NAMES[other] as string, site: (UNIT_NAMES[other] as string)[0] as string }));
    const sealer = new SimSealer(packets.bytes, world.ledger);
    const entropy = world.random.fork(`entropy/${number}/${this.starts}`);
    this.start = { unit: number, peers, ports, packets, sealer, entropy, tables: this.tables, notes, notedHere: this.notes };
    this.brain = make(this.start);
  }

  /** Ends its dataplane at once: nothing is said, nothing is flushed. */
  kill(): void {
    if (this.start !== null) for (const port of this.start.ports) port?.close();
    this.brain = null;
    this.start = null;
  }

  noted(kind: EventName): Note[] {
    return this.notes.filter((note) => note.kind === kind);
  }

  breathe(): void {
    if (this.brain === null || this.world.schedule.nowMicros < this.pausedUntil) return;
    this.brain.breathe(this.clock.nowMicros());
    for (const port of this.start?.ports ?? []) port?.flush();
  }
}

export class Wire {
  readonly schedule = new Schedule();
  readonly random: Random;
  readonly ledger = new NonceLedger();
  readonly numbers: readonly number[];
  readonly twinMtuBytes: number;
  readonly twin: Segment;
  /** Joins the second twin ports. */
  readonly secondTwin: Segment;
  /** Units that have one. */
  readonly secondTwins: readonly number[];
  /** One segment per data port. */
  readonly data: readonly Segment[];
  readonly units = new Map<number, Unit>();

  constructor(seed: number, numbers: readonly number[] = [1, 3], twinMtuBytes = 1500, secondTwins: readonly number[] = []) {
    this.random = new Random(seed, "wire");
    this.numbers = numbers;
    this.twinMtuBytes = twinMtuBytes;
    this.twin = new Segment(this, "twin");
    this.secondTwin = new Segment(this, "second twin");
    this.secondTwins = secondTwins;
    this.data = DATA_PORTS.map((port) => new Segment(this, `data${port}`));
    for (const number of numbers) {
      const unit = new Unit(this, number);
      this.units.set(number, unit);
      this.twin.attach(number, unit.nics[TWIN_PORT] as Nic);
      if (secondTwins.includes(number)) this.secondTwin.attach(number, unit.nics[SECOND_TWIN_PORT] as Nic);
      for (const [k, port] of DATA_PORTS.entries()) this.data[k]?.attach(number, unit.nics[port] as Nic);
      const breathe = (): void => {
        unit.breathe();
        this.schedule.after(BREATH_MICROS, breathe);
      };
      this.schedule.after(number * 100, breathe);
    }
  }

  unit(number: number): Unit {
    return this.units.get(number) as Unit;
  }

  lanes(segments: readonly Segment[] = [this.twin, this.secondTwin, ...this.data]): Lane[] {
    return segments.flatMap((segment) => [...segment.lanes.values()]);
  }

  cut(segments: readonly Segment[], isCut: boolean, from?: number, to?: number): void {
    for (const segment of segments) {
      for (const [name, lane] of segment.lanes) {
        const [one, other] = name.split(">").map(Number);
        if ((from === undefined || one === from) && (to === undefined || other === to)) lane.faults.cut = isCut;
      }
    }
  }

  /** Lets time pass. */
  run(millis: number): void {
    this.schedule.run(this.schedule.nowMicros + millis * 1000);
  }
}
