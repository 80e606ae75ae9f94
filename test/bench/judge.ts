// What the walk costs: ns per packet of TypeScript for a session hit on cold rows in random order, for a miss that creates
// a session, and for a drop; and what it leaves on the heap. The ports are arrays; everything else is the product.
//
// Time and heap are measured in separate passes, since reading a clock
// leaves a number on the heap; the heap's passes count everything, the generator too. What a breath does once per batch is hot
// for V8 only after some 60,000 breaths, minutes of an idle unit, and code that it compiles lies on the heap too: so a pass
// that grew (or shrank) is done again, at most HEAP_PASSES times, and the last one counts. If the walk itself left one byte per 1,000
// packets, no pass would stay below 1 KiB.
//
//   npm run bench -- --only judge

import { PerformanceObserver, performance } from "node:perf_hooks";
import { counterRow, headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { openUnitMemory, removeUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import { BATCH, FRAME_BYTES, FRAMES } from "../../firmware/limits.ts";
import { Dataplane } from "../../firmware/unit.ts";
import { alone, type Outcome } from "./result.ts";
import { ArrayPort, OPEN_PORT, planFor, randomSource, SYN, Traffic } from "./traffic.ts";

const BATCHES = 4_000;
const HEAP_BATCHES = Math.ceil(1_000_000 / BATCH);
const HEAP_PASSES = 6;
const HEAP_GOAL_BYTES = 1_024;
const WARM_UP_BATCHES = 2_000;
const SHORT_RUN = 20;
const WARM_UP_BREATHS = 100_000;

const MEMORY_NAME = `bench-${process.pid}`;

class Bench {
  readonly dataplane: Dataplane;
  private readonly packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  readonly ports: readonly [ArrayPort, ArrayPort];
  readonly traffic: Traffic;
  /** Of a machine that has run for weeks: the clock's numbers do not fit 32 bits. */
  private now = 3_000_000_000_000;
  readonly random = randomSource(88_172_645);

  constructor(sessions: number) {
    const give = (offset: number) => this.packets.give(offset);
    this.ports = [new ArrayPort("one", give), new ArrayPort("three", give)];
    // The tables lie as on an appliance: in shared memory, on pages of its kind, each table at a page's start.
    const memory = openUnitMemory(MEMORY_NAME, sessions);
    removeUnitMemory(MEMORY_NAME);
    const sealer = { install: () => {}, remove: () => {}, seal: () => {}, open: () => 0 };
    const entropy = { fill: (bytes: Uint8Array) => bytes.fill(0x5b) };
    this.dataplane = new Dataplane(
      { clock: { nowMicros: () => this.now }, entropy, packets: this.packets, memory, ports: this.ports, sealer, pairKeys: () => [] },
      planFor(sessions),
      1,
    );
    this.traffic = new Traffic(this.packets, this.ports);
    this.breathe();
    this.traffic.askAsRouter(0, 1);
    this.breathe();
    this.traffic.askAsRouter(1, 3);
    this.breathe();
  }

  breathe(): number {
    this.now += 300;
    return this.dataplane.breathe();
  }

  /** Breathes without packets; so quickly that neighbours need not be asked again. */
  idle(breaths: number): void {
    for (let k = 0; k < breaths; k++) {
      this.now += 30;
      this.dataplane.breathe();
    }
  }

  /** Frees every row. */
  empty(): void {
    this.dataplane.tables.sessions.i.fill(0);
    this.dataplane.sessions.adoptRows(this.now / 1_000);
  }

  get hasRoomForHalfOpen(): boolean {
    const { halfOpen } = this.dataplane.sessions;
    return halfOpen.total + BATCH <= halfOpen.most;
  }

  get created(): number {
    return this.dataplane.tables.counters.f[counterRow("sessions-created")] as number;
  }

  get live(): number {
    return this.dataplane.tables.header.i[headerWord("sessionsLive")] as number;
  }
}

/** Takes a measurement by name in a process of its own; `share`: how far the benchmark is. */
export type TakeApart = (measurement: string, share: number) => Promise<JudgeFigure>;

export interface JudgeFigure {
  readonly what: string;
  readonly sessions: number;
  readonly medianNanos: number;
  readonly p10Nanos: number;
  readonly p90Nanos: number;
  /** Over 1,000,000 packets. */
  readonly heapGrowthBytes: number;
  /** Garbage collections, in the timed pass and in the last one for the heap. */
  readonly collections: number;
}

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

const pause = () => new Promise((done) => setTimeout(done, 20));

/** Runs `load` (untimed) and a breath (timed) again and again, then more of both for the heap's sake. `between`: called before each pass. */
async function measure(what: string, bench: Bench, load: () => void, between: () => void = () => {}): Promise<JudgeFigure> {
  run(bench, load, WARM_UP_BATCHES);
  bench.idle(WARM_UP_BREATHS);
  between();
  run(bench, load, WARM_UP_BATCHES);
  between();
  await collect();
  const before = collections;
  const nanos = new Float64Array(BATCHES);
  for (let k = 0; k < BATCHES; k++) {
    load();
    const from = performance.now();
    bench.breathe();
    nanos[k] = ((performance.now() - from) * 1e6) / BATCH;
  }
  await pause();
  const whileTimed = collections - before;
  let heapGrowthBytes = Number.POSITIVE_INFINITY;
  let whileGrowing = 0;
  for (let pass = 0; pass < HEAP_PASSES && Math.abs(heapGrowthBytes) > HEAP_GOAL_BYTES; pass++) {
    between();
    await collect();
    const afterwards = collections;
    heapGrowthBytes = -growth(bench, load, 0) + growth(bench, load, HEAP_BATCHES);
    await pause();
    whileGrowing = collections - afterwards;
  }
  nanos.sort();
  const at = (share: number) => nanos[Math.floor(BATCHES * share)] as number;
  const time = { medianNanos: at(0.5), p10Nanos: at(0.1), p90Nanos: at(0.9) };
  return { what, sessions: bench.live, ...time, heapGrowthBytes, collections: whileTimed + whileGrowing };
}

/** In short runs: a long loop would be compiled again while it runs, with all that it calls, and leave 50 KB on the heap. */
function run(bench: Bench, load: () => void, batches: number): void {
  for (let left = batches; left > 0; left -= SHORT_RUN) runShortly(bench, load, Math.min(left, SHORT_RUN));
}

function runShortly(bench: Bench, load: () => void, batches: number): void {
  for (let k = 0; k < batches; k++) {
    load();
    bench.breathe();
  }
}

/** Bytes on the heap that so many batches leave, and the measurement itself. */
function growth(bench: Bench, load: () => void, batches: number): number {
  const before = process.memoryUsage().heapUsed;
  run(bench, load, batches);
  return process.memoryUsage().heapUsed - before;
}

async function collect(): Promise<void> {
  await pause();
  globalThis.gc?.();
  await pause();
}

async function measureHit(sessions: number): Promise<JudgeFigure> {
  const bench = new Bench(Math.max(1_024, 2 ** Math.ceil(Math.log2(sessions))));
  bench.traffic.establish(sessions, () => bench.breathe());
  if (bench.live !== sessions) throw new Error(`${bench.live} of ${sessions} sessions came up: the bench is wrong`);
  const { random, traffic } = bench;
  const sent = () => bench.ports[0].counters.transmittedPackets + bench.ports[1].counters.transmittedPackets;
  const before = sent();
  const figure = await measure("hit, cold rows, random order", bench, () => {
    for (let k = 0; k < BATCH; k++) traffic.hit((random() & 0x7fffffff) % sessions, random() & 1);
  });
  if (sent() - before < (2 * WARM_UP_BATCHES + BATCHES + HEAP_BATCHES) * BATCH) throw new Error("not every packet was forwarded: the bench is wrong");
  return figure;
}

async function measureMiss(): Promise<JudgeFigure> {
  const bench = new Bench(1_048_576);
  let flow = 0;
  const load = () => {
    // Half-open sessions may only take a part of the table.
    if (!bench.hasRoomForHalfOpen) bench.empty();
    for (let k = 0; k < BATCH; k++) bench.traffic.segment(flow++ & 0x7ffffff, 0, SYN, 1_000, 0, OPEN_PORT);
  };
  const figure = await measure("miss that creates", bench, load, () => bench.empty());
  if (bench.created !== flow) throw new Error(`${bench.created} of ${flow} sessions were created: the bench is wrong`);
  return figure;
}

async function measureDrop(): Promise<JudgeFigure> {
  const bench = new Bench(262_144);
  let flow = 0;
  return measure("drop by policy", bench, () => {
    for (let k = 0; k < BATCH; k++) bench.traffic.segment(flow++ & 0xfffff, 0, SYN, 1_000, 0, 80);
  });
}

export const JUDGE_PARAGRAPH =
  "Nanoseconds of TypeScript per packet, from receive ring to transmit ring: sessions in random order, so that their rows are not in the cache, and tables in shared memory as on an appliance.";

/** All figures of this benchmark, and of how a hit's cost grows (capacity.ts), by name. */
export const JUDGE_MEASUREMENTS: ReadonlyMap<string, () => Promise<JudgeFigure>> = new Map([
  ...[1_000, 10_000, 100_000, 262_144, 1_048_576].map((sessions) => [hitAt(sessions), () => measureHit(sessions)] as const),
  ["miss that creates", measureMiss],
  ["drop by policy", measureDrop],
]);

export function hitAt(sessions: number): string {
  return `hit at ${sessions} sessions`;
}

const JUDGED = [hitAt(1_000), hitAt(262_144), hitAt(1_048_576), "miss that creates", "drop by policy"];

/** Runs the benchmark. `take`: takes a measurement in a process of its own. */
export async function measureJudge(isQuick: boolean, take: TakeApart): Promise<Outcome> {
  const figures: JudgeFigure[] = [];
  const names = isQuick ? JUDGED.slice(-1) : JUDGED;
  for (const name of names) figures.push(await take(name, figures.length / names.length));
  const comparisons = figures.map(({ what, sessions, medianNanos }) => {
    const figure = `${what}${sessions > 0 ? `, ${sessions.toLocaleString("en-US")} sessions` : ""}: ns`;
    return alone("judge", figure, medianNanos);
  });
  return { comparisons, charts: [], notes: [judgeTable(figures)] };
}

/** The figures as lines for people. */
function judgeTable(figures: readonly JudgeFigure[]): string {
  const head = "what                           sessions   median ns   p10   p90   heap growth over 1,000,000 packets   collections";
  const number = (value: number, width: number) => value.toFixed(0).padStart(width);
  const lines = figures.map(
    (f) =>
      `${f.what.padEnd(30)} ${number(f.sessions, 8)} ${number(f.medianNanos, 11)} ${number(f.p10Nanos, 5)} ${number(f.p90Nanos, 5)} ${number(f.heapGrowthBytes, 32)} B ${number(f.collections, 13)}`,
  );
  return [head, ...lines].join("\n");
}
