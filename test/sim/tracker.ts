// Follows every IP packet that a host sends: how often it may arrive and with which TTL. Hosts tag their packets (IPv4
// identification, IPv6 flow label); faults that double a packet are told. What arrives more often than it was sent was
// emitted twice by a firewall; what lost other than one TTL step was forwarded by two, or by none.

import { type Packet, u16 } from "./packets.ts";

interface Sent {
  ttl: number;
  allowed: number;
  arrived: number;
}

const FORGET_MICROS = 8_000_000;

export class Tracker {
  /** Packets seen to arrive. */
  arrived = 0;
  private recent = new Map<string, Sent>();
  private older = new Map<string, Sent>();
  private turnedMicros = 0;

  sent(packet: Packet, frame: Uint8Array, nowMicros: number): void {
    if (nowMicros - this.turnedMicros > FORGET_MICROS) {
      this.older = this.recent;
      this.recent = new Map();
      this.turnedMicros = nowMicros;
    }
    this.recent.set(keyOf(packet, frame), { ttl: packet.ttl, allowed: 1, arrived: 0 });
  }

  /** The network made a second one of it. */
  doubled(packet: Packet, frame: Uint8Array): void {
    const sent = this.find(packet, frame);
    if (sent !== undefined) sent.allowed++;
  }

  /** The network damages it: what may arrive of it is not known any more. */
  damaged(packet: Packet, frame: Uint8Array): void {
    this.recent.delete(keyOf(packet, frame));
    this.older.delete(keyOf(packet, frame));
  }

  /** A host took it. `steps`: TTL steps that it must have made. Returns what is wrong, or "". */
  arrives(packet: Packet, frame: Uint8Array, steps: number): string {
    const sent = this.find(packet, frame);
    // Not from a host (a firewall's own packet), or too old to be known.
    if (sent === undefined) return "";
    this.arrived++;
    sent.arrived++;
    if (sent.arrived > sent.allowed) return `the packet arrived ${sent.arrived} times, it was sent ${sent.allowed} times`;
    if (packet.ttl !== sent.ttl - steps) return `the packet was sent with TTL ${sent.ttl} and arrived with ${packet.ttl}, not ${sent.ttl - steps}`;
    return "";
  }

  private find(packet: Packet, frame: Uint8Array): Sent | undefined {
    const key = keyOf(packet, frame);
    return this.recent.get(key) ?? this.older.get(key);
  }
}

/** Tags wrap at 65,536 packets; the transport checksum tells the rounds apart. */
function keyOf(packet: Packet, frame: Uint8Array): string {
  const { source, destination, protocol, tag, at } = packet;
  return `${source.text}>${destination.text}/${protocol}/${tag}/${u16(frame, at + (protocol === 6 ? 16 : protocol === 17 ? 6 : 2))}`;
}
