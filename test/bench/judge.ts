// What the walk costs: ns per packet of TypeScript for a session hit on cold rows in random order, for a miss that creates
// a session, and for a drop; and what it leaves on the heap. The ports are arrays; everything else is the product.
//
// The generator keeps its own list of tuples and writes packets from it between the timed calls: one that walked the
// session rows would warm them and flatter the result by up to 40 %.
//
//   npm run bench -- judge [--json] [--sessions N]

import { parseArgs } from "node:util";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { headerWord, planRegions } from "../../firmware/fastpath/memory/tables.ts";
import { PORT_UP, type Port } from "../../firmware/hal/contracts.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import { BATCH, FRAME_BYTES, FRAMES, IDLE_MILLIS } from "../../firmware/limits.ts";
import type { Plan, PlannedZone } from "../../firmware/plan.ts";
import { Dataplane } from "../../firmware/unit.ts";

const PACKET_BYTES = 64;
const BATCHES = 4_000;
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
      { number: 1, name: "web", fromZones: [1], toZones: [3], sources: [], destinations: [], services: [{ protocol: 6, ports: [443, 443], codes: [0, 255] }], action: "permit", log: false },
      { number: 2, name: "rest", fromZones: [], toZones: [], sources: [], destinations: [], services: [], action: "deny", log: false },
    ],
    idleMillis: IDLE_MILLIS,
    checks: { checksums: false, reversePath: false },
    twin: { enabled: false, peers: [], secret: "", heartbeatMillis: 20, heartbeatMisses: 5, partition: "stop", firstPacket: "none", monitored: [] },
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

class Bench {
  readonly dataplane: Dataplane;
  private readonly packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  readonly ports: readonly [ArrayPort, ArrayPort];
  private now = 1_000_000_000;
  readonly random = randomSource(88_172_645);

  constructor(sessions: number) {
    const give = (offset: number) => this.packets.give(offset);
    this.ports = [new ArrayPort("one", give), new ArrayPort("three", give)];
    const memory = { buffer: new ArrayBuffer(planRegions(sessions).totalBytes), adopted: false, close: () => {} };
    const sealer = { install: () => {}, remove: () => {}, seal: () => {}, open: () => 0 };
    const entropy = { fill: (bytes: Uint8Array) => bytes.fill(0x5b) };
    this.dataplane = new Dataplane({ clock: { nowMicros: () => this.now }, entropy, packets: this.packets, memory, ports: this.ports, sealer }, planFor(sessions), 1);
    this.breathe();
    this.learnHop(0, 1);
    this.learnHop(1, 3);
  }

  breathe(): number {
    this.now += 300;
    return this.dataplane.breathe();
  }

  /** Teaches the router of a zone: a gratuitous reply would be ignored, so it asks for the site address. */
  private learnHop(port: number, zoneNumber: number): void {
    const offset = this.packets.take();
    const view = this.packets.view;
    this.packets.bytes.fill(0, offset, offset + PACKET_BYTES);
    this.packets.bytes.set([255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, zoneNumber, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 9, 9, 9, 9, zoneNumber, 10, zoneNumber, 0, 254], offset);
    view.setUint32(offset + 38, (10 << 24) | (zoneNumber << 16) | 2);
    this.load(port, offset);
    this.breathe();
  }

  private load(port: number, offset: number): void {
    const target = this.ports[port] as ArrayPort;
    target.loaded[target.loadedCount++] = offset;
  }

  /** One TCP segment of flow `flow` (its number is its tuple) in `direction`, ready on its port. */
  segment(flow: number, direction: number, flags: number, sequence: number, acknowledgement: number, destinationPort = 443): void {
    const offset = this.packets.take();
    const { view } = this.packets;
    const client = 0x10000000 | ((Math.imul(flow, 0x9e3779b1) >>> 4) & 0x0fffffff);
    const server = 0x20000000 | (flow & 0x0fffffff);
    const clientPort = 1_024 + (flow % 60_000);
    const zoneNumber = direction === 0 ? 1 : 3;
    const ip = offset + 14;
    view.setUint32(offset, 0x02000000);
    view.setUint16(offset + 4, (zoneNumber << 8) | 1);
    view.setUint32(offset + 6, 0x02090909);
    view.setUint16(offset + 10, 0x0900 | zoneNumber);
    view.setUint16(offset + 12, 0x0800);
    view.setUint32(ip, 0x45000028);
    view.setUint32(ip + 4, 0x00004000);
    view.setUint32(ip + 8, 0x40060000);
    view.setUint32(ip + 12, direction === 0 ? client : server);
    view.setUint32(ip + 16, direction === 0 ? server : client);
    let sum = 0;
    for (let k = 0; k < 20; k += 2) sum += view.getUint16(ip + k);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(ip + 10, ~sum & 0xffff);
    view.setUint16(ip + 20, direction === 0 ? clientPort : destinationPort);
    view.setUint16(ip + 22, direction === 0 ? destinationPort : clientPort);
    view.setUint32(ip + 24, sequence >>> 0);
    view.setUint32(ip + 28, acknowledgement >>> 0);
    view.setUint32(ip + 32, 0x50000000 | (flags << 16) | 0xffff);
    view.setUint32(ip + 36, 0);
    this.load(direction, offset);
  }

  /** Establishes flows [0, count). */
  establish(count: number): void {
    for (let first = 0; first < count; first += BATCH) {
      const last = Math.min(first + BATCH, count);
      for (const [direction, flags, sequence, acknowledgement] of [[0, SYN, 1_000, 0], [1, SYN_ACK, 5_000, 1_001], [0, ACK, 1_001, 5_001]] as const) {
        for (let flow = first; flow < last; flow++) this.segment(flow, direction, flags, sequence, acknowledgement);
        this.breathe();
      }
    }
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
  readonly heapGrowthBytes: number;
  readonly collections: number;
}

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

/** Runs `load` (untimed) and a breath (timed) again and again. */
async function measure(what: string, bench: Bench, batches: number, load: (batch: number) => void): Promise<JudgeFigure> {
  const nanos = new Float64Array(batches);
  for (let k = 0; k < Math.min(batches, 800); k++) {
    load(k);
    bench.breathe();
  }
  await new Promise((done) => setTimeout(done, 20));
  globalThis.gc?.();
  await new Promise((done) => setTimeout(done, 20));
  const collectionsBefore = collections;
  const heapBefore = process.memoryUsage().heapUsed;
  for (let k = 0; k < batches; k++) {
    load(k);
    const from = performance.now();
    bench.breathe();
    nanos[k] = ((performance.now() - from) * 1e6) / BATCH;
  }
  const heapGrowthBytes = process.memoryUsage().heapUsed - heapBefore;
  await new Promise((done) => setTimeout(done, 20));
  nanos.sort();
  const at = (share: number) => nanos[Math.floor(batches * share)] as number;
  return { what, sessions: bench.live, medianNanos: at(0.5), p10Nanos: at(0.1), p90Nanos: at(0.9), heapGrowthBytes, collections: collections - collectionsBefore };
}

async function measureHit(sessions: number): Promise<JudgeFigure> {
  const bench = new Bench(Math.max(1_024, 2 ** Math.ceil(Math.log2(sessions))));
  bench.establish(sessions);
  if (bench.live !== sessions) throw new Error(`${bench.live} of ${sessions} sessions came up: the bench is wrong`);
  const { random } = bench;
  const sent = () => bench.ports[0].counters.transmittedPackets + bench.ports[1].counters.transmittedPackets;
  const before = sent();
  const figure = await measure("hit, cold rows, random order", bench, BATCHES, () => {
    for (let k = 0; k < BATCH; k++) {
      const flow = (random() >>> 0) % sessions;
      const direction = random() & 1;
      bench.segment(flow, direction, ACK, direction === 0 ? 1_001 : 5_001, direction === 0 ? 5_001 : 1_001);
    }
  });
  if (sent() - before < BATCHES * BATCH) throw new Error("not every packet was forwarded: the bench is wrong");
  return figure;
}

async function measureMiss(): Promise<JudgeFigure> {
  const bench = new Bench(1_048_576);
  let flow = 0;
  return measure("miss that creates", bench, 2_000, () => {
    for (let k = 0; k < BATCH; k++) bench.segment(flow++, 0, SYN, 1_000, 0);
  });
}

async function measureDrop(): Promise<JudgeFigure> {
  const bench = new Bench(262_144);
  let flow = 0;
  return measure("drop by policy", bench, BATCHES, () => {
    for (let k = 0; k < BATCH; k++) bench.segment(flow++ & 0xfffff, 0, SYN, 1_000, 0, 80);
  });
}

/** All figures of this benchmark, smallest table first. */
export async function runJudgeBench(progress: (sentence: string) => void): Promise<JudgeFigure[]> {
  const figures: JudgeFigure[] = [];
  for (const sessions of [1_000, 262_144, 1_048_576]) {
    progress(`session hit at ${sessions.toLocaleString("en")} sessions`);
    figures.push(await measureHit(sessions));
  }
  progress("miss that creates");
  figures.push(await measureMiss());
  progress("drop by policy");
  figures.push(await measureDrop());
  return figures;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const figures = await runJudgeBench((sentence) => process.stderr.write(`bench judge: ${sentence}\n`));
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else {
    process.stdout.write("what                           sessions   median ns   p10   p90   heap growth per 1,000,000 packets   collections\n");
    for (const f of figures) {
      const packets = (f.what === "miss that creates" ? 2_000 : BATCHES) * BATCH;
      process.stdout.write(
        `${f.what.padEnd(30)} ${String(f.sessions).padStart(8)} ${f.medianNanos.toFixed(0).padStart(11)} ${f.p10Nanos.toFixed(0).padStart(5)} ${f.p90Nanos.toFixed(0).padStart(5)} ${`${Math.round((f.heapGrowthBytes * 1e6) / packets)} B`.padStart(35)} ${String(f.collections).padStart(13)}\n`,
      );
    }
  }
}
