// What a bulk sync costs forwarding, at most 10 %: a full table goes to a unit that returned empty, under full traffic.
//
//   pair 1:  A1 ══ A2 returned, empty     slices of both in turn, so that what else this machine does falls on both;
//   pair 2:  B1 ══ B2 in step             the next round changes their parts, so that what differs between the pairs cancels
//
// A1 and B1 are production dataplanes with full batches on both data ports at each breath, tables in shared memory and frames
// really sealed; the twin link and the data ports are arrays, filled and emptied between the timed calls. Each unit has a clock of its
// own, which the time of its own breaths moves: the mate is another box, and what it does costs A1 nothing, but A1 waits for it.
// A breath that took longer than INTERRUPTED_MICROS was interrupted by this machine; it is left out, counted for both.
//
//   npm run bench -- sync [--json]

import { performance } from "node:perf_hooks";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { headerWord, MEMBERS, ROLE_NAMES } from "../../firmware/fastpath/memory/tables.ts";
import { type Memory, type PacketMemory, PORT_UP, type Port } from "../../firmware/hal/contracts.ts";
import { openUnitMemory, privateArea, removeUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { createSealer } from "../../firmware/hal/linux/sealer.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import { BATCH, DIGEST_BUCKETS, FRAME_BYTES, FRAMES, SESSIONS_DEFAULT } from "../../firmware/limits.ts";
import type { Plan } from "../../firmware/plan.ts";
import { Dataplane } from "../../firmware/unit.ts";
import { pairKeysFor } from "../pair-keys.ts";
import { alone, type Comparison, type Outcome } from "./result.ts";
import { ArrayPort, planFor, randomSource, Traffic } from "./traffic.ts";

const SESSIONS = SESSIONS_DEFAULT;
const FLOOR = 0.9;
const ROUNDS = 6;
const SLICE_BREATHS = 16;
const WARM_UP_BREATHS = 4_000;
/** Longer than any breath of a unit, shorter than what the scheduler gives somebody else. */
const INTERRUPTED_MICROS = 1_500;
/** A breath without work: until the next frame or tick wakes the unit. */
const WAIT_MICROS = 50;
const PATIENCE_BREATHS = 2_000_000;

const H_ROLE = headerWord("role");
const ACTIVE = ROLE_NAMES.indexOf("active");
const M = {
  stride: MEMBERS.strideWords,
  sweeping: word(MEMBERS, "sweeping"),
  lagRows: word(MEMBERS, "lagRows"),
  equal: word(MEMBERS, "digestsEqual"),
};

/** One end of a cable: frames lie in it until `carry` takes them over. */
class CablePort implements Port {
  readonly driver = "simulator";
  readonly mac: Uint8Array;
  readonly mtuBytes = 1_500;
  readonly name = "twin";
  readonly state = PORT_UP;
  readonly counters = { receivedPackets: 0, receivedBytes: 0, transmittedPackets: 0, transmittedBytes: 0, transmitFull: 0, receiveMissed: 0, receiveErrors: 0 };
  private readonly packets: PacketMemory;
  private sent: number[] = [];
  private readonly arrived: number[] = [];

  constructor(unit: number, packets: PacketMemory) {
    this.mac = Uint8Array.of(2, 0xaa, 0, 0, unit, 2);
    this.packets = packets;
  }
  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number {
    const count = Math.min(limit, this.arrived.length >> 1);
    for (let k = 0; k < count; k++) {
      offsets[k] = this.arrived[k * 2] as number;
      lengths[k] = this.arrived[k * 2 + 1] as number;
    }
    this.arrived.splice(0, count * 2);
    return count;
  }
  transmit(offset: number, lengthBytes: number): boolean {
    this.counters.transmittedPackets++;
    this.counters.transmittedBytes += lengthBytes;
    this.sent.push(offset, lengthBytes);
    return true;
  }
  /** Brings what was sent here to the other end. */
  carry(to: CablePort): void {
    for (let k = 0; k < this.sent.length; k += 2) {
      const [offset = 0, lengthBytes = 0] = [this.sent[k], this.sent[k + 1]];
      const copy = to.packets.take();
      if (copy < 0) throw new Error("the receiver has no frame left: the bench is wrong");
      to.packets.bytes.set(this.packets.bytes.subarray(offset, offset + lengthBytes), copy);
      to.arrived.push(copy, lengthBytes);
      this.packets.give(offset);
    }
    this.sent = [];
  }
  flush(): void {}
  service(): void {}
  discardBacklog(): number {
    return 0;
  }
  close(): void {}
}

/** One of a pair; each knows nobody but its mate. */
function planOf(unit: number, mate: number): Plan {
  const plan = planFor(SESSIONS);
  const site = unit < 3 ? "A" : "B";
  return {
    ...plan,
    unit,
    name: `${site}${2 - (unit & 1)}`,
    site,
    ports: [...plan.ports, { number: 2, device: "twin", kind: "twin", mtuBytes: 1_500, pairedPort: -1 }],
    twin: { ...plan.twin, enabled: true, peers: [{ unit: mate, name: `${site}${2 - (mate & 1)}`, site }] },
  };
}

class Box {
  readonly unit: number;
  readonly mate: number;
  readonly ports: readonly [ArrayPort, ArrayPort];
  readonly cable: CablePort;
  readonly traffic: Traffic;
  dataplane: Dataplane;
  /** Its own time, in microseconds; fractions count. */
  now = 3_000_000_000_000;
  /** Time that its breaths took without interrupted ones, and packets that moved in them. */
  busyMicros = 0;
  packetsMoved = 0;
  longestMicros = 0;
  interrupted = 0;
  private readonly area = privateArea(FRAMES * FRAME_BYTES);
  private readonly packets = createPacketMemory(this.area);
  private readonly sealer = createSealer(this.area);
  private readonly memory: Memory;
  private readonly random: () => number;
  private starts = 0;
  private breathFrom = performance.now();

  constructor(unit: number, mate: number) {
    this.unit = unit;
    this.mate = mate;
    const name = `bench-sync-${process.pid}-${unit}`;
    this.memory = openUnitMemory(name, SESSIONS);
    removeUnitMemory(name);
    const give = (offset: number) => this.packets.give(offset);
    this.ports = [new ArrayPort("one", give), new ArrayPort("three", give)];
    this.cable = new CablePort(unit, this.packets);
    this.traffic = new Traffic(this.packets, this.ports);
    this.random = randomSource(88_172_645 + unit);
    this.dataplane = this.start();
  }

  /** A start with empty tables, as after a loss of power. */
  start(): Dataplane {
    new Uint8Array(this.memory.buffer).fill(0);
    this.starts++;
    const clock = { nowMicros: () => Math.floor(this.now + Math.min((performance.now() - this.breathFrom) * 1_000, INTERRUPTED_MICROS)) };
    const entropy = { fill: (bytes: Uint8Array) => crypto.getRandomValues(bytes) };
    const memory = { ...this.memory, adopted: false };
    const { packets, sealer, ports, cable } = this;
    const pairKeys = () => pairKeysFor([{ unit: this.mate }]);
    this.dataplane = new Dataplane({ clock, entropy, packets, memory, ports: [...ports, cable], sealer, pairKeys }, planOf(this.unit, this.mate), this.starts);
    return this.dataplane;
  }

  breathe(): void {
    this.breathFrom = performance.now();
    const moved = this.dataplane.breathe();
    const micros = (performance.now() - this.breathFrom) * 1_000;
    this.now += Math.min(micros, INTERRUPTED_MICROS);
    if (moved === 0) this.now += WAIT_MICROS;
    if (micros > INTERRUPTED_MICROS) {
      this.interrupted++;
      return;
    }
    this.busyMicros += micros;
    this.packetsMoved += moved;
    this.longestMicros = Math.max(this.longestMicros, micros);
  }

  /** Full batches on both ports, of random flows. */
  load(): void {
    for (let k = 0; k < BATCH * 2; k++) this.traffic.hit((this.random() & 0x7fffffff) % SESSIONS, k & 1);
  }

  member(position: number): number {
    return this.dataplane.tables.members.i[this.mate * M.stride + position] as number;
  }

  get role(): number {
    return this.dataplane.tables.header.i[H_ROLE] as number;
  }
}

class Pair {
  readonly active: Box;
  readonly mate: Box;

  constructor(active: number, mate: number) {
    this.active = new Box(active, mate);
    this.mate = new Box(mate, active);
    this.until("in their roles", () => this.active.role === ACTIVE && this.isInStep);
    this.active.traffic.askAsRouter(0, 1);
    this.active.breathe();
    this.active.traffic.askAsRouter(1, 3);
    this.active.breathe();
    this.active.traffic.establish(SESSIONS, () => this.step(false));
    this.until("in step with all sessions", () => this.isInStep);
  }

  /** A breath of the active unit, and as many of its mate as fit into that time. */
  step(isLoaded: boolean): void {
    const { active, mate } = this;
    if (isLoaded) active.load();
    active.breathe();
    active.cable.carry(mate.cable);
    while (mate.now < active.now) {
      mate.breathe();
      mate.cable.carry(active.cable);
    }
  }

  get isInStep(): boolean {
    return [this.active, this.mate].every((box) => box.member(M.sweeping) === 0 && box.member(M.lagRows) === 0 && box.member(M.equal) === 1);
  }

  until(what: string, holds: () => boolean): void {
    for (let k = 0; k < PATIENCE_BREATHS; k++) {
      if (holds()) return;
      this.step(false);
    }
    throw new Error(`units ${this.active.unit} and ${this.mate.unit} are still not ${what}: the bench is wrong`);
  }

  /** The mate loses its power and starts again, empty. */
  loseMate(): void {
    this.mate.start();
    this.until("meeting", () => this.active.member(M.sweeping) === 1);
  }

  /** Every row of the active unit, bucket by bucket, is at its mate: by the digests that both keep of what they hold. */
  get isEqual(): boolean {
    const { active, mate } = this;
    const [here, there] = [active, mate].map(({ dataplane }) => dataplane.twin?.exchange.journal.digests);
    const owner = active.dataplane.sessions.me;
    for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket++) {
      if (here?.sumLow(owner, bucket) !== there?.sumLow(owner, bucket) || here?.sumHigh(owner, bucket) !== there?.sumHigh(owner, bucket)) return false;
    }
    return mate.dataplane.sessions.liveCount === SESSIONS && active.dataplane.sessions.liveCount === SESSIONS;
  }
}

interface Slice {
  busyMicros: number;
  packets: number;
  interrupted: number;
}

/** Breathes under full traffic, and adds what the active unit moved and what its own breaths took. */
function addSlice(pair: Pair, sum: Slice): void {
  const { busyMicros, packetsMoved, interrupted } = pair.active;
  for (let k = 0; k < SLICE_BREATHS; k++) pair.step(true);
  sum.busyMicros += pair.active.busyMicros - busyMicros;
  sum.packets += pair.active.packetsMoved - packetsMoved;
  sum.interrupted += pair.active.interrupted - interrupted;
}

export interface SyncFigure {
  readonly what: string;
  readonly sessions: number;
  /** Smallest, median and largest over the rounds. */
  readonly syncMillis: readonly [number, number, number];
  /** Forwarding during the sync over forwarding without one, same time, other pair; absent without traffic. */
  readonly share?: readonly [number, number, number];
  /** Nanoseconds per packet without and with a sync, medians. */
  readonly nanos?: readonly [number, number];
  readonly floor?: number;
  readonly longestBreathMicros: number;
  /** Breaths that were left out, without and with a sync. */
  readonly interrupted: readonly [number, number];
  readonly isEqual: boolean;
  readonly passed: boolean;
}

function spread(values: readonly number[]): [number, number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[0] as number, sorted[sorted.length >> 1] as number, sorted.at(-1) as number];
}

interface Round {
  readonly syncMillis: number;
  readonly calmNanos: number;
  readonly syncingNanos: number;
  readonly interrupted: readonly [number, number];
}

/** `syncing` brings its mate up to date while `calm` has nothing to tell its own; both under full traffic. */
function underTraffic(syncing: Pair, calm: Pair): Round {
  syncing.loseMate();
  const from = syncing.active.now;
  const sums: readonly [Slice, Slice] = [
    { busyMicros: 0, packets: 0, interrupted: 0 },
    { busyMicros: 0, packets: 0, interrupted: 0 },
  ];
  while (syncing.active.member(M.sweeping) === 1) {
    addSlice(calm, sums[0]);
    addSlice(syncing, sums[1]);
  }
  const syncMillis = (syncing.active.now - from) / 1_000;
  const nanos = (sum: Slice): number => (sum.busyMicros * 1_000) / sum.packets;
  return { syncMillis, calmNanos: nanos(sums[0]), syncingNanos: nanos(sums[1]), interrupted: [sums[0].interrupted, sums[1].interrupted] };
}

function measureUnderTraffic(): SyncFigure {
  const pairs = [new Pair(1, 2), new Pair(3, 4)] as const;
  for (let k = 0; k < WARM_UP_BREATHS; k++) for (const pair of pairs) pair.step(true);
  for (const { active } of pairs) active.longestMicros = 0;
  const rounds: Round[] = [];
  let isEqual = true;
  for (let k = 0; k < ROUNDS; k++) {
    const [syncing, calm] = k % 2 === 0 ? [pairs[0], pairs[1]] : [pairs[1], pairs[0]];
    rounds.push(underTraffic(syncing, calm));
    syncing.until("in step again", () => syncing.isInStep);
    isEqual &&= syncing.isEqual;
  }
  const share = spread(rounds.map(({ calmNanos, syncingNanos }) => calmNanos / syncingNanos));
  return {
    what: "under full traffic",
    sessions: SESSIONS,
    syncMillis: spread(rounds.map(({ syncMillis }) => syncMillis)),
    share,
    nanos: [spread(rounds.map(({ calmNanos }) => calmNanos))[1], spread(rounds.map(({ syncingNanos }) => syncingNanos))[1]],
    floor: FLOOR,
    longestBreathMicros: Math.max(...pairs.map(({ active }) => active.longestMicros)),
    interrupted: [rounds.reduce((sum, round) => sum + round.interrupted[0], 0), rounds.reduce((sum, round) => sum + round.interrupted[1], 0)],
    isEqual,
    passed: isEqual && share[1] >= FLOOR,
  };
}

function measureIdle(): SyncFigure {
  const pair = new Pair(1, 2);
  pair.loseMate();
  pair.until("in step", () => pair.isInStep);
  const times: number[] = [];
  let isEqual = true;
  Object.assign(pair.active, { interrupted: 0, longestMicros: 0 });
  for (let k = 0; k < ROUNDS; k++) {
    pair.loseMate();
    const from = pair.active.now;
    pair.until("synchronised", () => pair.active.member(M.sweeping) === 0);
    times.push((pair.active.now - from) / 1_000);
    pair.until("in step again", () => pair.isInStep);
    isEqual &&= pair.isEqual;
  }
  const { longestMicros, interrupted } = pair.active;
  return {
    what: "without traffic",
    sessions: SESSIONS,
    syncMillis: spread(times),
    longestBreathMicros: longestMicros,
    interrupted: [0, interrupted],
    isEqual,
    passed: isEqual,
  };
}

export const SYNC_MEASUREMENTS: ReadonlyMap<string, () => SyncFigure> = new Map([
  ["under full traffic", measureUnderTraffic],
  ["without traffic", measureIdle],
]);

export const SYNC_PARAGRAPH =
  "A unit returns empty and is given a full table while its mate forwards; beside it, at the same time, a pair forwards that is in step. The mate's forwarding is compared with theirs.";

/** Runs the benchmark. `take`: takes a measurement in a process of its own. Throws when a table was not equal afterwards. */
export async function measureSync(isQuick: boolean, take: (measurement: string, share: number) => Promise<SyncFigure>): Promise<Outcome> {
  const names = isQuick ? ["without traffic"] : [...SYNC_MEASUREMENTS.keys()];
  const figures: SyncFigure[] = [];
  for (const name of names) figures.push(await take(name, figures.length / names.length));
  const unequal = figures.find(({ isEqual }) => !isEqual);
  if (unequal !== undefined) throw new Error(`${unequal.what}: the tables were not equal by digest`);
  return { comparisons: figures.flatMap(comparisonsOf), charts: [], notes: [syncTable(figures)] };
}

function comparisonsOf({ what, sessions, syncMillis, share, nanos, floor }: SyncFigure): Comparison[] {
  const millis = alone("sync", `${sessions.toLocaleString("en-US")} sessions to a returned unit, ${what}: ms`, syncMillis[1]);
  if (share === undefined || nanos === undefined) return [millis];
  const ratio = { min: share[0], median: share[1], max: share[2] };
  const figure = "forwarding during it: ns per packet";
  return [millis, { benchmark: "sync", figure, peer: "forwarding without it", ours: nanos[1], theirs: nanos[0], ratio, floor: floor ?? null }];
}

/** The figures as lines for people. */
function syncTable(figures: readonly SyncFigure[]): string {
  const three = (values: readonly number[] | undefined, digits: number): string =>
    values === undefined ? "–" : values.map((value) => value.toFixed(digits)).join(" / ");
  return figures
    .map((f) =>
      [
        `${f.sessions} sessions to a returned unit, ${f.what}`,
        `  sync, ms (least / median / most)                    ${three(f.syncMillis, 0)}`,
        ...(f.share === undefined
          ? []
          : [
              `  forwarding during it over forwarding without it     ${three(f.share, 3)}; floor ${f.floor}: ${(f.share[1] ?? 0) >= FLOOR ? "kept" : "MISSED"}`,
              `  ns per packet without, with                         ${three(f.nanos, 0)}`,
            ]),
        `  longest breath, us                                  ${f.longestBreathMicros.toFixed(0)} (left out, interrupted by this machine: ${f.interrupted.join(" without, ")} with)`,
        `  tables equal by digest                              ${f.isEqual ? "yes" : "NO"}`,
      ].join("\n"),
    )
    .join("\n");
}
