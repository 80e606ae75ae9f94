// A world: one seed, one schedule, and in it segments, hosts and units. Nothing in a world knows real time or real chance, so
// that a seed is all that is needed to see a failure again.
//
//   hosts ── segments (switches, DCI) ── units (the production dataplane on simulated hardware)
//              │                             │
//              └──── trace ── tracker ───────┴── invariants (invariants.ts)

import { Random } from "../../firmware/hal/sim/random.ts";
import { Schedule } from "../../firmware/hal/sim/schedule.ts";
import { NonceLedger } from "../../firmware/hal/sim/sealer.ts";
import { Content } from "./content.ts";
import { Host } from "./host.ts";
import { ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV6, IPV6_BYTES, type Packet, parsePacket, u16 } from "./packets.ts";
import { type Attachment, type Ground, Segment } from "./segment.ts";
import { Trace } from "./trace.ts";
import { Tracker } from "./tracker.ts";
import type { SimUnit } from "./unit.ts";

/** Something happened that must never happen. */
export class Violation extends Error {}

export class World implements Ground {
  readonly seed: number;
  readonly schedule = new Schedule();
  readonly random: Random;
  readonly trace = new Trace();
  readonly tracker = new Tracker();
  readonly ledger = new NonceLedger();
  readonly content: Content;
  readonly segments = new Map<string, Segment>();
  readonly hosts = new Map<string, Host>();
  readonly units = new Map<string, SimUnit>();
  /** TTL steps between two hosts: one firewall that routes, or a wire. */
  ttlSteps = 1;
  /** Says what is wrong with a packet's arrival, or "". */
  judgeArrival: ((host: Host, packet: Packet, frame: Uint8Array) => string) | null = null;
  /** Sees each packet that a host sends. */
  onSent: ((host: Host, packet: Packet, frame: Uint8Array) => void) | null = null;
  /** Sees each frame that a switch forwards. */
  onFrameSeen: ((segment: string, from: string, frame: Uint8Array) => void) | null = null;
  /** Looks at the world after each event; throws a Violation. */
  observe: (() => void) | null = null;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Random(seed, "world");
    this.content = new Content(this.random.fork("content"));
  }

  addSegment(name: string): Segment {
    const segment = new Segment(name, this);
    this.segments.set(name, segment);
    return segment;
  }

  addHost(name: string): Host {
    const host = new Host(this, name);
    this.hosts.set(name, host);
    return host;
  }

  segment(name: string): Segment {
    return must(this.segments.get(name), `segment ${name}`);
  }

  host(name: string): Host {
    return must(this.hosts.get(name), `host ${name}`);
  }

  unit(name: string): SimUnit {
    return must(this.units.get(name), `unit ${name}`);
  }

  /** Lets `millis` of virtual time pass. */
  run(millis: number): void {
    this.schedule.run(this.schedule.nowMicros + millis * 1_000, this.observe ?? undefined);
  }

  /** Lets time pass until `done` says so; false when `limitMillis` were not enough. Looks every `stepMillis`. */
  runUntil(done: () => boolean, limitMillis: number, stepMillis = 5): boolean {
    const end = this.schedule.nowMicros + limitMillis * 1_000;
    while (!done()) {
      if (this.schedule.nowMicros >= end) return false;
      this.run(stepMillis);
    }
    return true;
  }

  note(text: string): void {
    this.trace.note(this.schedule.nowMicros, text);
  }

  onFrame(segment: string, from: string, frame: Uint8Array): void {
    this.trace.frame(this.schedule.nowMicros, `${segment} ${from}`, frame);
    this.onFrameSeen?.(segment, from, frame);
  }

  /** A host sends a packet. */
  sent(host: Host, frame: Uint8Array): void {
    const packet = parsePacket(frame) as Packet;
    this.tracker.sent(packet, frame, this.schedule.nowMicros);
    this.onSent?.(host, packet, frame);
  }

  /** A host is about to take a packet; false: it may not. */
  arrived(host: Host, packet: Packet, frame: Uint8Array): boolean {
    const wrong = this.tracker.arrives(packet, frame, this.stepsTo(packet)) || (this.judgeArrival?.(host, packet, frame) ?? "");
    if (wrong !== "") this.violate(`${host.name}: ${wrong}`);
    return true;
  }

  violate(what: string): never {
    this.note(`VIOLATION ${what}`);
    throw new Violation(what);
  }

  /** Tells the tracker about packets that the network doubles or damages on this cable. */
  watch(attachment: Attachment): void {
    for (const lane of [attachment.enters, attachment.leaves]) {
      lane.onDuplicate = (frame) => {
        const packet = parsePacket(frame);
        if (packet !== null) this.tracker.doubled(packet, frame);
      };
      lane.corruptFrom = corruptFrom;
      lane.onCorrupt = (frame) => {
        const packet = parsePacket(frame);
        if (packet !== null) this.tracker.damaged(packet, frame);
      };
    }
  }

  private stepsTo(packet: Packet): number {
    return this.ttlSteps === 0 || sameNetwork(packet) ? 0 : this.ttlSteps;
  }
}

/**
 * ARP and IPv6 headers have no checksum of their own: a wrong MAC would stay in a cache, a wrong next header look like another
 * protocol, and neither says anything about a firewall.
 */
function corruptFrom(frame: Uint8Array): number {
  const type = u16(frame, 12);
  if (type === ETHERTYPE_ARP) return -1;
  return type === ETHERTYPE_IPV6 ? ETHERNET_BYTES + IPV6_BYTES : ETHERNET_BYTES;
}

/** Hosts of one LAN reach each other without a firewall. */
function sameNetwork({ source, destination }: Packet): boolean {
  const bits = source.v4 ? 3 : 8;
  for (let k = 0; k < bits; k++) if (source.bytes[k] !== destination.bytes[k]) return false;
  return true;
}

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`this world has no ${what}`);
  return value;
}
