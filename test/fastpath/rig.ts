// A unit without a twin between two ports made of arrays, for tests of the walk as a whole: what goes in is a frame, what
// comes out are frames, counters and events. The ports hold what they were given to send until they are flushed, as real
// ones do, so that a frame that is lost or given twice shows.

import { EVENT_NAMES, EventReader } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import {
  type CounterName,
  counterRow,
  EVENT_TABLE,
  headerWord,
  mapTables,
  NEIGHBOUR_TABLE,
  planRegions,
  STATE_NAMES,
  type Tables,
} from "../../firmware/fastpath/memory/tables.ts";
import { ROW_WORDS, S_STATE } from "../../firmware/fastpath/sessions.ts";
import { DROP_NAMES, type DropName } from "../../firmware/fastpath/verdicts.ts";
import { PORT_UP, type PolicySource, type Port } from "../../firmware/hal/contracts.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { NEIGHBOURS } from "../../firmware/limits.ts";
import type { Plan, PlannedChecks } from "../../firmware/plan.ts";
import { Dataplane } from "../../firmware/unit.ts";
import { type Packet, parsePacket, u16 } from "../sim/packets.ts";
import { address, CHECKED, type Crafted, craft, finishTransport, HOST_MAC, mac, plan } from "./craft.ts";

const FRAME_BYTES = 2_048;
const FRAMES = 512;
const NEIGHBOUR_WORDS = NEIGHBOUR_TABLE.strideWords;
const N_QUEUED = word(NEIGHBOUR_TABLE, "queued");

/** The hosts that every test has: one in each zone, IPv4 and IPv6. */
export const ONE = { v4: "10.1.0.11", v6: "2001:db8:1::11", mac: HOST_MAC, gatewayMac: "02:54:57:00:00:01", siteMac: "02:54:57:0a:00:01" } as const;
export const THREE = {
  v4: "10.3.0.33",
  v6: "2001:db8:3::33",
  mac: "02:00:00:00:00:33",
  gatewayMac: "02:54:57:00:00:03",
  siteMac: "02:54:57:0a:00:03",
} as const;

/** A port made of two arrays. */
export class ArrayPort implements Port {
  readonly name: string;
  readonly driver = "simulator";
  readonly mac = new Uint8Array(6);
  readonly mtuBytes = 1_500;
  state: number = PORT_UP;
  readonly counters = { receivedPackets: 0, receivedBytes: 0, transmittedPackets: 0, transmittedBytes: 0, transmitFull: 0, receiveMissed: 0, receiveErrors: 0 };
  /** True: the transmit ring has no room. */
  full = false;
  readonly waiting: Uint8Array[] = [];
  readonly sent: Uint8Array[] = [];
  private readonly queue: { readonly offset: number; readonly length: number }[] = [];
  private readonly packets: FrameMemory;

  constructor(name: string, packets: FrameMemory) {
    this.name = name;
    this.packets = packets;
  }

  get held(): number {
    return this.queue.length;
  }

  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number {
    let count = 0;
    while (count < limit && this.waiting.length > 0) {
      const offset = this.packets.take();
      if (offset < 0) break;
      const frame = this.waiting.shift() as Uint8Array;
      // What an earlier packet left behind this one must never show.
      this.packets.bytes.fill(0xee, offset - 64, offset + FRAME_BYTES - 400);
      this.packets.bytes.set(frame, offset);
      offsets[count] = offset;
      lengths[count] = frame.length;
      this.counters.receivedPackets++;
      count++;
    }
    return count;
  }

  transmit(offset: number, length: number): boolean {
    if (this.full || this.state !== PORT_UP) return false;
    this.queue.push({ offset, length });
    return true;
  }

  flush(): void {
    for (const { offset, length } of this.queue.splice(0)) {
      this.sent.push(this.packets.bytes.slice(offset, offset + length));
      this.packets.give(offset);
    }
  }

  service(): void {}
  discardBacklog(): number {
    return this.waiting.splice(0).length;
  }
  close(): void {}
}

/** What crossed the unit: the frame without its tag, its tag, and the packet in it. */
export interface Seen extends Packet {
  readonly frame: Uint8Array;
  readonly vlan: number;
}

/** A file in the test's hands. */
class FilePolicies implements PolicySource {
  image = new Uint8Array();
  private open = new Uint8Array();
  private at = 0;

  begin(): number {
    this.open = this.image;
    this.at = 0;
    return this.open.length;
  }

  read(into: Uint8Array): number {
    const part = this.open.subarray(this.at, this.at + into.length);
    into.set(part);
    this.at += part.length;
    return part.length;
  }

  end(): void {}
}

export class Rig {
  readonly packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  readonly ports: readonly [ArrayPort, ArrayPort];
  readonly tables: Tables;
  readonly plan: Plan;
  readonly buffer: ArrayBuffer;
  dataplane: Dataplane;
  /** Where another policy comes from: `image` is the file. */
  readonly policies = new FilePolicies();
  nowMicros = 5_000_000;
  private events: EventReader;

  /** `parts` changes the plan of craft.ts; `buffer`: tables of an earlier life. */
  constructor(parts: Partial<Omit<Plan, "checks">> & { readonly checks?: Partial<PlannedChecks>; readonly reversePath?: boolean } = {}, earlier?: Rig) {
    this.plan = { ...plan(), ...parts, checks: { ...CHECKED, reversePath: parts.reversePath ?? true, ...parts.checks } };
    this.ports = [new ArrayPort("port0", this.packets), new ArrayPort("port1", this.packets)];
    this.buffer = earlier?.buffer ?? new ArrayBuffer(planRegions(this.plan.sessions).totalBytes);
    this.tables = mapTables(this.buffer, this.plan.sessions);
    if (earlier !== undefined) this.nowMicros = earlier.nowMicros;
    const sealer = { install: () => {}, remove: () => {}, seal: () => {}, open: () => 0 };
    const entropy = { fill: (bytes: Uint8Array) => bytes.fill(earlier === undefined ? 0x5b : 0xa7) };
    const memory = { buffer: this.buffer, adopted: earlier !== undefined, close: () => {} };
    const clock = { nowMicros: () => this.nowMicros };
    const policies = { source: this.policies, areas: [] };
    this.dataplane = new Dataplane({ clock, entropy, packets: this.packets, memory, ports: this.ports, sealer, pairKeys: () => [], policies }, this.plan, 1);
    this.events = new EventReader(this.tables);
    this.breathe();
    for (const port of this.ports) port.sent.length = 0;
    this.eventNames();
  }

  breathe(): void {
    this.nowMicros += 100;
    this.dataplane.breathe();
  }

  /** Lets time pass, breath by breath. */
  pass(millis: number, stepMillis = 50): void {
    for (let passed = 0; passed < millis; passed += stepMillis) {
      this.nowMicros += stepMillis * 1_000;
      this.dataplane.breathe();
    }
  }

  /** Puts a frame in at a port and lets the unit breathe. */
  put(port: number, frame: Uint8Array): void {
    (this.ports[port] as ArrayPort).waiting.push(frame);
    this.breathe();
  }

  /** From host ONE, port 0, to host THREE. */
  fromOne(parts: Crafted = {}): void {
    this.put(0, craft({ destinationMac: ONE.gatewayMac, sourceMac: ONE.mac, ...parts }));
  }

  /** From host THREE, port 1 and VLAN 30, to host ONE. */
  fromThree(parts: Crafted = {}): void {
    this.put(1, craft({ vlan: 30, destinationMac: THREE.gatewayMac, sourceMac: THREE.mac, source: THREE.v4, destination: ONE.v4, ...parts }));
  }

  /** Frames that left a port since the last call. */
  frames(port: number): Uint8Array[] {
    return (this.ports[port] as ArrayPort).sent.splice(0);
  }

  /** IP packets that left a port since the last call. */
  seen(port: number): Seen[] {
    return this.frames(port).flatMap((tagged) => {
      const isTagged = u16(tagged, 12) === 0x8100;
      const frame = isTagged ? Uint8Array.from([...tagged.subarray(0, 12), ...tagged.subarray(16)]) : tagged;
      const packet = parsePacket(frame);
      return packet === null ? [] : [{ ...packet, frame, vlan: isTagged ? u16(tagged, 14) : 0 }];
    });
  }

  /** Both hosts make themselves known, as hosts do: they ask for the gateway. */
  meetHosts(): void {
    this.put(0, arpRequest(ONE.mac, ONE.v4, "10.1.0.254"));
    this.put(1, arpRequest(THREE.mac, THREE.v4, "10.3.0.254", 30));
    this.put(0, solicitation(ONE.mac, ONE.v6, "2001:db8:1::254"));
    this.put(1, solicitation(THREE.mac, THREE.v6, "2001:db8:3::254", 30));
    this.frames(0);
    this.frames(1);
  }

  counter(name: CounterName): number {
    return this.tables.counters.f[counterRow(name)] as number;
  }

  /** Drops by reason, without those that did not happen. */
  drops(): Partial<Record<DropName, number>> {
    return Object.fromEntries(DROP_NAMES.map((name, row) => [name, this.tables.counters.f[row] as number]).filter(([, count]) => count !== 0));
  }

  header(name: string): number {
    return this.tables.header.i[headerWord(name)] as number;
  }

  /** States of all rows in use. */
  states(): string[] {
    const states = Array.from(
      { length: this.plan.sessions },
      (_, row) => STATE_NAMES[(this.tables.sessions.i[row * ROW_WORDS + S_STATE] as number) & 0xff] as string,
    );
    return states.filter((state) => state !== "free" && state !== "tombstone");
  }

  /** Events since the last call: kind and rule. */
  eventNames(): string[] {
    const names: string[] = [];
    while (this.events.next()) {
      const rule = this.events.row[word(EVENT_TABLE, "rule")] as number;
      names.push(`${EVENT_NAMES[this.events.row[word(EVENT_TABLE, "kind")] as number]}${rule === 0 ? "" : ` ${rule}`}`);
    }
    return names;
  }

  /** Frames that somebody still has: ports, and packets that wait for a next hop or for other fragments. */
  get held(): number {
    let queued = 0;
    for (let row = 0; row < NEIGHBOURS; row++) queued += this.tables.neighbours.i[row * NEIGHBOUR_WORDS + N_QUEUED] as number;
    return queued + this.ports[0].held + this.ports[1].held + this.dataplane.engine.datagrams.fragments.heldCount;
  }

  /** Frames that nobody has any more; negative: some have two owners. */
  get lost(): number {
    return this.packets.frameCount - this.packets.freeCount - this.held;
  }
}

/** "Who has `target`?", broadcast. */
export function arpRequest(senderMac: string, sender: string, target: string, vlan = 0): Uint8Array {
  return arp("ff:ff:ff:ff:ff:ff", 1, senderMac, sender, "00:00:00:00:00:00", target, vlan);
}

export function arp(to: string, operation: number, senderMac: string, sender: string, targetMac: string, target: string, vlan = 0): Uint8Array {
  const v4 = (text: string) => address(text).slice(12);
  const body = [0, 1, 8, 0, 6, 4, 0, operation, ...mac(senderMac), ...v4(sender), ...mac(targetMac), ...v4(target)];
  return Uint8Array.from([...mac(to), ...mac(senderMac), ...tag(vlan), 0x08, 0x06, ...body, ...new Array<number>(18).fill(0)]);
}

/** Neighbour solicitation to the target itself, with the sender's link-layer address. */
export function solicitation(senderMac: string, sender: string, target: string, vlan = 0, to = "33:33:ff:00:02:54"): Uint8Array {
  return discovery(135, 0, to, senderMac, sender, target, target, 1, vlan);
}

/** Solicited neighbour advertisement of `target` at `senderMac`, with override. */
export function advertisement(to: string, senderMac: string, target: string, destination: string, vlan = 0): Uint8Array {
  return discovery(136, 0x60, to, senderMac, target, destination, target, 2, vlan);
}

function discovery(
  type: number,
  flags: number,
  to: string,
  senderMac: string,
  source: string,
  destination: string,
  target: string,
  option: number,
  vlan: number,
): Uint8Array {
  const message = [type, 0, 0, 0, flags, 0, 0, 0, ...address(target), option, 1, ...mac(senderMac)];
  const header = [0x60, 0, 0, 0, 0, message.length, 58, 255, ...address(source), ...address(destination)];
  const ethernet = [...mac(to), ...mac(senderMac), ...tag(vlan), 0x86, 0xdd];
  const frame = Uint8Array.from([...ethernet, ...header, ...message]);
  finishTransport(new DataView(frame.buffer), ethernet.length, ethernet.length + 40, 58, message.length, true);
  return frame;
}

function tag(vlan: number): readonly number[] {
  return vlan === 0 ? [] : [0x81, 0x00, vlan >> 8, vlan & 0xff];
}
