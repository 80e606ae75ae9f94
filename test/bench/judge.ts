// What the walk costs: ns per packet of TypeScript for a session hit on cold rows in random order, for a miss that creates
// a session, and for a drop; and what it leaves on the heap. The ports are arrays; everything else is the product.
//
// The generator derives tuples from numbers and writes packets between the timed calls: one that walked the session rows
// would warm them and flatter the result by up to 40 %. Time and heap are measured in separate passes, since reading a clock
// leaves a number on the heap; the heap's passes count everything, the generator too. What a breath does once per batch is hot
// for V8 only after some 60,000 breaths, minutes of an idle unit, and code that it compiles lies on the heap too: so a pass
// that grew (or shrank) is done again, at most HEAP_PASSES times, and the last one counts. If the walk itself left one byte per 1,000
// packets, no pass would stay below 1 KiB.
//
//   npm run bench -- judge [--json]

import { PerformanceObserver, performance } from "node:perf_hooks";
import { counterRow, headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { PORT_UP, type Port } from "../../firmware/hal/contracts.ts";
import { openUnitMemory, removeUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import { BATCH, CHECKS, FRAME_BYTES, FRAMES, IDLE_MILLIS } from "../../firmware/limits.ts";
import type { Plan, PlannedZone } from "../../firmware/plan.ts";
import { Dataplane } from "../../firmware/unit.ts";

const PACKET_BYTES = 64;
const BATCHES = 4_000;
const HEAP_BATCHES = Math.ceil(1_000_000 / BATCH);
const HEAP_PASSES = 6;
const HEAP_GOAL_BYTES = 1_024;
const WARM_UP_BATCHES = 2_000;
const SHORT_RUN = 20;
const WARM_UP_BREATHS = 100_000;
const SYN = 0x02;
const SYN_ACK = 0x12;
const ACK = 0x10;

const v4 = (text: string): number[] => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...text.split(".").map(Number)];

function zone(number: number, name: string, port: number): PlannedZone {
  return {
    zone: number,
    name,
    port,
    vlan: 0,
    gatewayMac: [2, 0, 0, 0, number, 1],
    gatewayAddresses: [{ bytes: v4(`10.${number}.0.1`), prefixBits: 120 }],
    siteMac: [2, 0, 0, 0, number, 2],
    siteAddresses: [{ bytes: v4(`10.${number}.0.2`), prefixBits: 120 }],
  };
}

function planFor(sessions: number): Plan {
  const dataPort = (number: number) => ({ number, device: `bench${number}`, kind: "data", mtuBytes: 1_500, pairedPort: -1 }) as const;
  return {
    unit: 1,
    name: "A1",
    site: "A",
    system: "bench",
    mode: "routed",
    agreementHash: "bench",
    revision: 1,
    sessions,
    ports: [dataPort(0), dataPort(1)],
    zones: [zone(1, "one", 0), zone(3, "three", 1)],
    routes: [
      { prefix: { bytes: v4("16.0.0.0"), prefixBits: 100 }, nextHop: v4("10.1.0.254"), zone: 1 },
      { prefix: { bytes: v4("32.0.0.0"), prefixBits: 100 }, nextHop: v4("10.3.0.254"), zone: 3 },
    ],
    rules: [
      {
        number: 1,
        name: "web",
        fromZones: [1],
        toZones: [3],
        sources: [],
        destinations: [],
        services: [{ protocol: 6, ports: [443, 443], codes: [0, 255] }],
        action: "permit",
        log: false,
        idleMillis: 0,
      },
      { number: 2, name: "rest", fromZones: [], toZones: [], sources: [], destinations: [], services: [], action: "deny", log: false, idleMillis: 0 },
    ],
    idleMillis: IDLE_MILLIS,
    halfOpenPerDestination: sessions,
    checks: { ...CHECKS, checksums: false, reversePath: false, midstream: false, ipv4Options: [] },
    twin: {
      enabled: false,
      peers: [],
      secret: "",
      heartbeatMillis: 20,
      heartbeatMisses: 5,
      partition: "stop",
      priority: 100,
      preemptMillis: 0,
      deployment: "active/active",
      activeSite: 0,
      follow: "never",
      followPackets: 64,
      firstPacket: "none",
      monitored: [],
    },
  };
}

/** A port made of two arrays: what `load` put in comes out of `receive`; what is transmitted is given back. */
class ArrayPort implements Port {
  readonly driver = "simulator";
  readonly mac = new Uint8Array(6);
  readonly mtuBytes = 1_500;
  readonly name: string;
  state = PORT_UP;
  readonly counters = { receivedPackets: 0, receivedBytes: 0, transmittedPackets: 0, transmittedBytes: 0, transmitFull: 0, receiveMissed: 0, receiveErrors: 0 };
  readonly loaded = new Int32Array(BATCH);
  loadedCount = 0;
  private readonly give: (offset: number) => void;

  constructor(name: string, give: (offset: number) => void) {
    this.name = name;
    this.give = give;
  }
  receive(offsets: Int32Array, lengths: Int32Array): number {
    const count = this.loadedCount;
    for (let k = 0; k < count; k++) {
      offsets[k] = this.loaded[k] as number;
      lengths[k] = PACKET_BYTES;
    }
    this.loadedCount = 0;
    return count;
  }
  transmit(offset: number): boolean {
    this.counters.transmittedPackets++;
    this.give(offset);
    return true;
  }
  flush(): void {}
  service(): void {}
  discardBacklog(): number {
    return 0;
  }
  close(): void {}
}

/** xorshift32: the order must be random, not secret. */
function randomSource(seed: number): () => number {
  let x = seed | 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
}

const MEMORY_NAME = `bench-${process.pid}`;

class Bench {
  readonly dataplane: Dataplane;
  private readonly packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  readonly ports: readonly [ArrayPort, ArrayPort];
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
      { clock: { nowMicros: () => this.now }, entropy, packets: this.packets, memory, ports: this.ports, sealer },
      planFor(sessions),
      1,
    );
    this.breathe();
    this.learnHop(0, 1);
    this.learnHop(1, 3);
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

  /** Teaches the router of a zone: a gratuitous reply would be ignored, so it asks for the site address. */
  private learnHop(port: number, zoneNumber: number): void {
    const offset = this.packets.take();
    const view = this.packets.view;
    this.packets.bytes.fill(0, offset, offset + PACKET_BYTES);
    this.packets.bytes.set(
      [255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, zoneNumber, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 9, 9, 9, 9, zoneNumber, 10, zoneNumber, 0, 254],
      offset,
    );
    view.setUint32(offset + 38, (10 << 24) | (zoneNumber << 16) | 2);
    this.load(port, offset);
    this.breathe();
  }

  private load(port: number, offset: number): void {
    const target = this.ports[port] as ArrayPort;
    target.loaded[target.loadedCount++] = offset;
  }

  /** One TCP segment of flow `flow` (its number is its tuple) in `direction`, ready on its port. All numbers stay in 32 bits: it leaves nothing on the heap. */
  segment(flow: number, direction: number, flags: number, sequence: number, acknowledgement: number, destinationPort: number): void {
    const offset = this.packets.take();
    const { view } = this.packets;
    const client = 0x10000000 | ((Math.imul(flow, 0x9e3779b1) >>> 4) & 0x0fffffff);
    const server = 0x20000000 | (flow & 0x0fffffff);
    const clientPort = 1_024 + (flow % 60_000);
    const zoneNumber = direction === 0 ? 1 : 3;
    const ip = offset + 14;
    view.setInt32(offset, 0x02000000);
    view.setUint16(offset + 4, (zoneNumber << 8) | 1);
    view.setInt32(offset + 6, 0x02090909);
    view.setUint16(offset + 10, 0x0900 | zoneNumber);
    view.setUint16(offset + 12, 0x0800);
    view.setInt32(ip, 0x45000028);
    view.setInt32(ip + 4, 0x00004000);
    view.setInt32(ip + 8, 0x40060000);
    view.setInt32(ip + 12, direction === 0 ? client : server);
    view.setInt32(ip + 16, direction === 0 ? server : client);
    let sum = 0;
    for (let k = 0; k < 20; k += 2) sum += view.getUint16(ip + k);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(ip + 10, ~sum & 0xffff);
    view.setUint16(ip + 20, direction === 0 ? clientPort : destinationPort);
    view.setUint16(ip + 22, direction === 0 ? destinationPort : clientPort);
    view.setInt32(ip + 24, sequence);
    view.setInt32(ip + 28, acknowledgement);
    view.setInt32(ip + 32, 0x50000000 | (flags << 16) | 0xffff);
    view.setInt32(ip + 36, 0);
    this.load(direction, offset);
  }

  /** Establishes flows [0, count). */
  establish(count: number): void {
    for (let first = 0; first < count; first += BATCH) {
      const last = Math.min(first + BATCH, count);
      for (const [direction, flags, sequence, acknowledgement] of [
        [0, SYN, 1_000, 0],
        [1, SYN_ACK, 5_000, 1_001],
        [0, ACK, 1_001, 5_001],
      ] as const) {
        for (let flow = first; flow < last; flow++) this.segment(flow, direction, flags, sequence, acknowledgement, 443);
        this.breathe();
      }
    }
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
  bench.establish(sessions);
  if (bench.live !== sessions) throw new Error(`${bench.live} of ${sessions} sessions came up: the bench is wrong`);
  const { random } = bench;
  const sent = () => bench.ports[0].counters.transmittedPackets + bench.ports[1].counters.transmittedPackets;
  const before = sent();
  const figure = await measure("hit, cold rows, random order", bench, () => {
    for (let k = 0; k < BATCH; k++) {
      const flow = (random() & 0x7fffffff) % sessions;
      const direction = random() & 1;
      bench.segment(flow, direction, ACK, direction === 0 ? 1_001 : 5_001, direction === 0 ? 5_001 : 1_001, 443);
    }
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
    for (let k = 0; k < BATCH; k++) bench.segment(flow++ & 0x7ffffff, 0, SYN, 1_000, 0, 443);
  };
  const figure = await measure("miss that creates", bench, load, () => bench.empty());
  if (bench.created !== flow) throw new Error(`${bench.created} of ${flow} sessions were created: the bench is wrong`);
  return figure;
}

async function measureDrop(): Promise<JudgeFigure> {
  const bench = new Bench(262_144);
  let flow = 0;
  return measure("drop by policy", bench, () => {
    for (let k = 0; k < BATCH; k++) bench.segment(flow++ & 0xfffff, 0, SYN, 1_000, 0, 80);
  });
}

/** All figures of this benchmark, by name, smallest table first. */
export const JUDGE_MEASUREMENTS: ReadonlyMap<string, () => Promise<JudgeFigure>> = new Map([
  ...[1_000, 262_144, 1_048_576].map((sessions) => [`hit at ${sessions} sessions`, () => measureHit(sessions)] as const),
  ["miss that creates", measureMiss],
  ["drop by policy", measureDrop],
]);

/** The figures as lines for people. */
export function judgeTable(figures: readonly JudgeFigure[]): string {
  const head = "what                           sessions   median ns   p10   p90   heap growth over 1,000,000 packets   collections";
  const number = (value: number, width: number) => value.toFixed(0).padStart(width);
  const lines = figures.map(
    (f) =>
      `${f.what.padEnd(30)} ${number(f.sessions, 8)} ${number(f.medianNanos, 11)} ${number(f.p10Nanos, 5)} ${number(f.p90Nanos, 5)} ${number(f.heapGrowthBytes, 32)} B ${number(f.collections, 13)}`,
  );
  return [head, ...lines].join("\n");
}
