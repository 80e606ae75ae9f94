// Ethernet between the actors of a world: switches that learn, and the interconnect (DCI) that stretches a LAN over two
// sites and keeps the gateways' addresses from crossing, as such gear does.
//
//   nic ─ lane ─► switch ─ lane ─► nic          each direction of each cable is a lane with faults of its own
//                   │ filter
//                   ╧═ DCI lane ═► switch of the other site

import { Lane } from "../../firmware/hal/sim/lane.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import type { Random } from "../../firmware/hal/sim/random.ts";
import type { Schedule } from "../../firmware/hal/sim/schedule.ts";
import { type Address, addressAt, ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV6, ICMPV6, IPV6_BYTES, macNumber, u16 } from "./packets.ts";

/** One place on a switch: `enters` leads into it, `leaves` out of it. */
export interface Attachment {
  readonly name: string;
  readonly enters: Lane;
  readonly leaves: Lane;
}

/** What a switch needs of its world. */
export interface Ground {
  readonly schedule: Schedule;
  readonly random: Random;
  /** Sees every frame that a switch forwards. */
  onFrame(segment: string, from: string, frame: Uint8Array): void;
}

const MULTICAST_BIT = 1;
const LINK_MICROS = 5;

export class Segment {
  readonly name: string;
  readonly attachments: Attachment[] = [];
  private readonly ground: Ground;
  private readonly learnt = new Map<number, Attachment>();

  constructor(name: string, ground: Ground) {
    this.name = name;
    this.ground = ground;
  }

  /** Plugs a NIC in; its former cable, if any, is pulled. */
  attach(nic: Nic, delayMicros = LINK_MICROS): Attachment {
    const attachment = this.join(nic.name, (frame) => nic.deliver(frame), delayMicros);
    nic.lane = attachment.enters;
    return attachment;
  }

  /** Adds a place whose frames are taken by `deliver`. */
  join(name: string, deliver: (frame: Uint8Array) => void, delayMicros: number): Attachment {
    const { schedule, random } = this.ground;
    const title = `${this.name}.${name}`;
    const attachment: Attachment = {
      name,
      enters: new Lane(`${title}>`, schedule, random.fork(`${title}>`), delayMicros, (frame) => this.forward(attachment, frame)),
      leaves: new Lane(`${title}<`, schedule, random.fork(`${title}<`), delayMicros, deliver),
    };
    this.attachments.push(attachment);
    return attachment;
  }

  /** Unplugs; the switch forgets who was there. */
  detach(attachment: Attachment): void {
    attachment.enters.faults.cut = true;
    attachment.leaves.faults.cut = true;
    this.attachments.splice(this.attachments.indexOf(attachment), 1);
    this.linkDown(attachment);
  }

  /** The link to a place goes down: the switch forgets who was there. */
  linkDown(attachment: Attachment): void {
    for (const [mac, place] of this.learnt) if (place === attachment) this.learnt.delete(mac);
  }

  /** Forgets where everybody was, as a switch does when a link goes down. */
  forget(): void {
    this.learnt.clear();
  }

  attachment(name: string): Attachment {
    const found = this.attachments.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`nothing called ${name} is attached to ${this.name}`);
    return found;
  }

  /** One frame may be on many lanes at once: whoever changes it, changes a copy. */
  private forward(from: Attachment, frame: Uint8Array): void {
    this.ground.onFrame(this.name, from.name, frame);
    if (((frame[6] as number) & MULTICAST_BIT) === 0) this.learnt.set(macNumber(frame, 6), from);
    if (((frame[0] as number) & MULTICAST_BIT) === 0) {
      const to = this.learnt.get(macNumber(frame, 0));
      if (to !== undefined) {
        if (to !== from) to.leaves.carry(frame);
        return;
      }
    }
    for (const other of this.attachments) if (other !== from) other.leaves.carry(frame);
  }
}

export interface Interconnect {
  readonly there: Attachment;
  readonly back: Attachment;
}

/** Joins two switches. `passes` decides which frames cross. The long way's delay is split between both ends' lanes. */
export function interconnect(name: string, one: Segment, other: Segment, delayMicros: number, passes: (frame: Uint8Array) => boolean): Interconnect {
  const there: Attachment = one.join(name, (frame) => passes(frame) && back.enters.carry(frame), delayMicros / 2);
  const back: Attachment = other.join(name, (frame) => passes(frame) && there.enters.carry(frame), delayMicros / 2);
  return { there, back };
}

const ND_SOLICITATION = 135;
const ND_ADVERTISEMENT = 136;

/** Frames that stay at their site: from or to a gateway's MAC, and ARP or ND about a gateway's address. */
export function gatewayFilter(macs: ReadonlySet<number>, addresses: ReadonlySet<Address>): (frame: Uint8Array) => boolean {
  return (frame) => {
    if (macs.has(macNumber(frame, 0)) || macs.has(macNumber(frame, 6))) return false;
    const type = u16(frame, 12);
    if (type === ETHERTYPE_ARP) return !addresses.has(addressAt(frame, 28, true)) && !addresses.has(addressAt(frame, 38, true));
    if (type !== ETHERTYPE_IPV6 || frame[ETHERNET_BYTES + 6] !== ICMPV6) return true;
    const icmp = ETHERNET_BYTES + IPV6_BYTES;
    const kind = frame[icmp] as number;
    if (kind !== ND_SOLICITATION && kind !== ND_ADVERTISEMENT) return true;
    return frame.length < icmp + 24 || !addresses.has(addressAt(frame, icmp + 8, false));
  };
}
