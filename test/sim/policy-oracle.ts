// What the picture's policy lets through, judged from outside: who may open what, and that answers only follow. Knows nothing of
// the firewall's code; it sees what hosts send and what hosts receive.

import { ICMP, ICMPV6, type Packet, TCP, UDP, u16 } from "./packets.ts";
import { DENIED_PORT, MIRRORED_PORTS } from "./picture.ts";
import type { World } from "./world.ts";

const SYN = 2;
const ACK = 16;
/** First bytes of networks behind zone one and zone three, IPv4 then IPv6. */
const ZONE_ONE = ["10.1.", "10.9.", "fd00:1:", "fd00:9:"];
const ZONE_THREE = ["10.3.", "10.30.", "fd00:3:", "fd00:30:"];

export class PolicyOracle {
  private readonly opened = new Set<string>();
  /** Packets that hosts sent and the policy forbids; none may arrive. */
  forbidden = 0;

  constructor(world: World) {
    world.onSent = (_host, packet, frame) => this.sent(packet, frame);
    world.judgeArrival = (_host, packet, frame) => this.arrives(packet, frame);
  }

  private sent(packet: Packet, frame: Uint8Array): void {
    if (!this.mayOpen(packet, frame)) {
      if (crosses(packet) && !this.opened.has(answered(packet, frame))) this.forbidden++;
      return;
    }
    const { protocol, at } = packet;
    const opens = protocol !== TCP || ((frame[at + 13] as number) & (SYN | ACK)) === SYN;
    if (opens) this.opened.add(flow(packet, frame));
  }

  private arrives(packet: Packet, frame: Uint8Array): string {
    if (!crosses(packet)) return "";
    if (isError(packet, frame)) return "";
    if (this.opened.has(flow(packet, frame)) && this.mayOpen(packet, frame)) return "";
    if (this.opened.has(answered(packet, frame))) return "";
    return `a packet that the policy denies was forwarded: ${flow(packet, frame)}`;
  }

  /** Does a rule permit this packet in its own direction? */
  private mayOpen(packet: Packet, frame: Uint8Array): boolean {
    const { source, destination, protocol, at } = packet;
    if (protocol === UDP && crosses(packet) && isMirrored(u16(frame, at + 2))) return true;
    if (!ZONE_ONE.some((prefix) => source.text.startsWith(prefix)) || !ZONE_THREE.some((prefix) => destination.text.startsWith(prefix))) return false;
    if (protocol === TCP || protocol === UDP) return u16(frame, at + 2) !== DENIED_PORT;
    return (protocol === ICMP && frame[at] === 8) || (protocol === ICMPV6 && frame[at] === 128);
  }
}

function isMirrored(port: number): boolean {
  return port >= MIRRORED_PORTS[0] && port <= MIRRORED_PORTS[1];
}

/** Between the zones, host to host; a firewall's own packets come from an address that no host has. */
function crosses({ source, destination }: Packet): boolean {
  const one = (text: string) => ZONE_ONE.some((prefix) => text.startsWith(prefix));
  const three = (text: string) => ZONE_THREE.some((prefix) => text.startsWith(prefix));
  return (one(source.text) && three(destination.text)) || (three(source.text) && one(destination.text));
}

function isError({ protocol, at }: Packet, frame: Uint8Array): boolean {
  const type = frame[at] as number;
  return (protocol === ICMP && type !== 0 && type !== 8) || (protocol === ICMPV6 && type < 128);
}

function ends(packet: Packet, frame: Uint8Array): readonly [number, number] {
  const { protocol, at } = packet;
  if (protocol === TCP || protocol === UDP) return [u16(frame, at), u16(frame, at + 2)];
  const identifier = u16(frame, at + 4);
  return [identifier, identifier];
}

function flow(packet: Packet, frame: Uint8Array): string {
  const [from, to] = ends(packet, frame);
  return `${packet.source.text}/${from} > ${packet.destination.text}/${to} protocol ${packet.protocol}`;
}

/** The flow that this packet would be an answer in. */
function answered(packet: Packet, frame: Uint8Array): string {
  const [from, to] = ends(packet, frame);
  return `${packet.destination.text}/${to} > ${packet.source.text}/${from} protocol ${packet.protocol}`;
}
