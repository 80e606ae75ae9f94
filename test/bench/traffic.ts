// What benchmarks feed a dataplane with: a plan of two zones, ports made of arrays, and packets written between the timed calls.
//
// Tuples are derived from numbers: a generator that walked the session rows would warm them and flatter the result by up to
// 40 %. Nothing here leaves anything on the heap per packet.

import { type PacketMemory, PORT_UP, type Port } from "../../firmware/hal/contracts.ts";
import { BATCH, CHECKS, IDLE_MILLIS } from "../../firmware/limits.ts";
import type { Plan, PlannedZone } from "../../firmware/plan.ts";

const PACKET_BYTES = 64;
export const SYN = 0x02;
export const SYN_ACK = 0x12;
export const ACK = 0x10;
/** The one destination port that the plan permits. */
export const OPEN_PORT = 443;
/** Sequence numbers of a flow's ends. */
const CLIENT_SEQUENCE = 1_000;
const SERVER_SEQUENCE = 5_000;

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

/** A lone routed unit, between a network in front of zone one and one behind zone three. */
export function planFor(sessions: number): Plan {
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
    reviewSessions: true,
    checks: { ...CHECKS, checksums: false, reversePath: false, midstream: false, ipv4Options: [] },
    twin: {
      enabled: false,
      peers: [],
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
export class ArrayPort implements Port {
  readonly driver = "simulator";
  readonly mac = new Uint8Array(6);
  readonly mtuBytes = 1_500;
  readonly name: string;
  state = PORT_UP;
  readonly counters = { receivedPackets: 0, receivedBytes: 0, transmittedPackets: 0, transmittedBytes: 0, transmitFull: 0, receiveMissed: 0, receiveErrors: 0 };
  private readonly loaded = new Int32Array(BATCH);
  private loadedCount = 0;
  private readonly give: (offset: number) => void;

  constructor(name: string, give: (offset: number) => void) {
    this.name = name;
    this.give = give;
  }
  /** The next `receive` delivers this packet, too: BATCH of them at the most. */
  load(offset: number): void {
    this.loaded[this.loadedCount++] = offset;
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
export function randomSource(seed: number): () => number {
  let x = seed | 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
}

/** Writes packets of numbered flows into packet memory and puts them on their port. */
export class Traffic {
  private readonly packets: PacketMemory;
  private readonly ports: readonly [ArrayPort, ArrayPort];

  /** `ports`: zone one's and zone three's. */
  constructor(packets: PacketMemory, ports: readonly [ArrayPort, ArrayPort]) {
    this.packets = packets;
    this.ports = ports;
  }

  /** Makes the unit know the router of a zone, in its next breath: a gratuitous reply would be ignored, so the router asks for the site address. */
  askAsRouter(port: number, zoneNumber: number): void {
    const offset = this.packets.take();
    const view = this.packets.view;
    this.packets.bytes.fill(0, offset, offset + PACKET_BYTES);
    this.packets.bytes.set(
      [255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, zoneNumber, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 9, 9, 9, 9, zoneNumber, 10, zoneNumber, 0, 254],
      offset,
    );
    view.setUint32(offset + 38, (10 << 24) | (zoneNumber << 16) | 2);
    (this.ports[port] as ArrayPort).load(offset);
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
    (this.ports[direction] as ArrayPort).load(offset);
  }

  /** The segment of an established flow that moves nothing. */
  hit(flow: number, direction: number): void {
    if (direction === 0) this.segment(flow, 0, ACK, CLIENT_SEQUENCE + 1, SERVER_SEQUENCE + 1, OPEN_PORT);
    else this.segment(flow, 1, ACK, SERVER_SEQUENCE + 1, CLIENT_SEQUENCE + 1, OPEN_PORT);
  }

  /** Establishes flows [0, count); `breathe` takes what is on the ports. */
  establish(count: number, breathe: () => void): void {
    for (let first = 0; first < count; first += BATCH) {
      const last = Math.min(first + BATCH, count);
      for (let flow = first; flow < last; flow++) this.segment(flow, 0, SYN, CLIENT_SEQUENCE, 0, OPEN_PORT);
      breathe();
      for (let flow = first; flow < last; flow++) this.segment(flow, 1, SYN_ACK, SERVER_SEQUENCE, CLIENT_SEQUENCE + 1, OPEN_PORT);
      breathe();
      for (let flow = first; flow < last; flow++) this.hit(flow, 0);
      breathe();
    }
  }
}
