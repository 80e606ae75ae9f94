// Packets as the simulator's hosts build and read them. Written apart from firmware/fastpath/wire on purpose: a fault in
// the firmware's reading of a header cannot hide behind the same fault here.

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_TWIN = 0x88b5;
export const ETHERNET_BYTES = 14;
export const IPV4_BYTES = 20;
export const IPV6_BYTES = 40;

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

/** An IP address; equal addresses are the same object. */
export interface Address {
  readonly text: string;
  readonly v4: boolean;
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
}

const known = new Map<string, Address>();

/** The address that lies in `bytes[at..]`. */
export function addressAt(bytes: Uint8Array, at: number, v4: boolean): Address {
  const length = v4 ? 4 : 16;
  let key = "";
  for (let k = 0; k < length; k++) key += String.fromCharCode(bytes[at + k] as number);
  let address = known.get(key);
  if (address === undefined) {
    const own = bytes.slice(at, at + length);
    address = { text: v4 ? own.join(".") : textOfV6(own), v4, bytes: own };
    known.set(key, address);
  }
  return address;
}

/** "10.1.0.11" or "fd00:1::11". */
export function address(text: string): Address {
  if (!text.includes(":")) return addressAt(Uint8Array.from(text.split("."), Number), 0, true);
  const [head, tail] = text.split("::") as [string, string | undefined];
  const groups = (part: string | undefined) => (part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = groups(tail);
  const all = [...front, ...new Array(8 - front.length - back.length).fill(0), ...back];
  return addressAt(Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255])), 0, false);
}

function textOfV6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, k) => (((bytes[2 * k] as number) << 8) | (bytes[2 * k + 1] as number)).toString(16)).join(":");
  return groups.replace(/(^|:)0(:0)+(:|$)/, "::");
}

/** A MAC as one number below 2^48. */
export function macNumber(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 2 ** 32 + u32(bytes, at + 2);
}

export function macText(bytes: Uint8Array, at = 0): string {
  return Buffer.from(bytes.subarray(at, at + 6))
    .toString("hex")
    .replace(/(..)(?=.)/g, "$1:");
}

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value & 0xffff);
}

/** RFC 1071 sum of 16-bit words, not folded and not inverted. */
function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  for (let at = from; at + 1 < to; at += 2) total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if ((to - from) & 1) total += (bytes[to - 1] as number) << 8;
  return total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** Internet checksum over `bytes[from..to)`; 0 when a checksum inside is right. */
export function checksum(bytes: Uint8Array, from: number, to: number): number {
  return fold(sum(bytes, from, to));
}

/** Checksum of a transport segment with its pseudo header. */
export function transportChecksum(source: Address, destination: Address, protocol: number, bytes: Uint8Array, from: number, to: number): number {
  if (protocol === ICMP) return checksum(bytes, from, to);
  const pseudo = sum(source.bytes, 0, source.bytes.length) + sum(destination.bytes, 0, destination.bytes.length) + protocol + (to - from);
  return fold(pseudo + sum(bytes, from, to));
}

const CHECKSUM_AT: Readonly<Record<number, number>> = { [ICMP]: 2, [TCP]: 16, [UDP]: 6, [ICMPV6]: 2 };

/** Where a frame's parts lie; `fault` says what is wrong with it. */
export interface Packet {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly ttl: number;
  /** IPv4 identification or IPv6 flow label: what the sending host tagged it with. */
  readonly tag: number;
  /** Transport header, and the first byte behind its payload. */
  readonly at: number;
  readonly end: number;
  readonly fault: string;
}

/** Reads the IP packet in an Ethernet frame (untagged); null when it is something else. No fragments: hosts send none. */
export function parsePacket(frame: Uint8Array): Packet | null {
  const type = u16(frame, 12);
  if (type === ETHERTYPE_IPV4) return parseV4(frame);
  return type === ETHERTYPE_IPV6 ? parseV6(frame) : null;
}

function parseV4(frame: Uint8Array): Packet {
  const at = ETHERNET_BYTES + ((frame[ETHERNET_BYTES] as number) & 15) * 4;
  const end = ETHERNET_BYTES + u16(frame, ETHERNET_BYTES + 2);
  const wrong = end > frame.length || at > end ? "length" : checksum(frame, ETHERNET_BYTES, at) !== 0 ? "header checksum" : "";
  const source = addressAt(frame, ETHERNET_BYTES + 12, true);
  const destination = addressAt(frame, ETHERNET_BYTES + 16, true);
  const protocol = frame[ETHERNET_BYTES + 9] as number;
  const fault = wrong || transportFault(source, destination, protocol, frame, at, end);
  return { source, destination, protocol, ttl: frame[ETHERNET_BYTES + 8] as number, tag: u16(frame, ETHERNET_BYTES + 4), at, end, fault };
}

function parseV6(frame: Uint8Array): Packet {
  const at = ETHERNET_BYTES + IPV6_BYTES;
  const end = at + u16(frame, ETHERNET_BYTES + 4);
  const source = addressAt(frame, ETHERNET_BYTES + 8, false);
  const destination = addressAt(frame, ETHERNET_BYTES + 24, false);
  const protocol = frame[ETHERNET_BYTES + 6] as number;
  const fault = end > frame.length ? "length" : transportFault(source, destination, protocol, frame, at, end);
  return { source, destination, protocol, ttl: frame[ETHERNET_BYTES + 7] as number, tag: u32(frame, ETHERNET_BYTES) & 0xfffff, at, end, fault };
}

function transportFault(source: Address, destination: Address, protocol: number, frame: Uint8Array, at: number, end: number): string {
  const least = CHECKSUM_AT[protocol];
  if (least === undefined) return "";
  if (end - at < least + 2) return "transport length";
  return transportChecksum(source, destination, protocol, frame, at, end) === 0 ? "" : "transport checksum";
}

/** Builds a frame around a transport segment, whose checksum it fills in. MACs are left zero. */
export function buildFrame(source: Address, destination: Address, protocol: number, ttl: number, tag: number, segment: Uint8Array): Uint8Array {
  const header = source.v4 ? IPV4_BYTES : IPV6_BYTES;
  const at = ETHERNET_BYTES + header;
  const frame = new Uint8Array(at + segment.length);
  frame.set(segment, at);
  put16(frame, 12, source.v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  if (source.v4) {
    frame[ETHERNET_BYTES] = 0x45;
    put16(frame, ETHERNET_BYTES + 2, IPV4_BYTES + segment.length);
    put16(frame, ETHERNET_BYTES + 4, tag);
    put16(frame, ETHERNET_BYTES + 6, 0x4000);
    frame[ETHERNET_BYTES + 8] = ttl;
    frame[ETHERNET_BYTES + 9] = protocol;
    frame.set(source.bytes, ETHERNET_BYTES + 12);
    frame.set(destination.bytes, ETHERNET_BYTES + 16);
    put16(frame, ETHERNET_BYTES + 10, checksum(frame, ETHERNET_BYTES, at));
  } else {
    put32(frame, ETHERNET_BYTES, (6 << 28) | tag);
    put16(frame, ETHERNET_BYTES + 4, segment.length);
    frame[ETHERNET_BYTES + 6] = protocol;
    frame[ETHERNET_BYTES + 7] = ttl;
    frame.set(source.bytes, ETHERNET_BYTES + 8);
    frame.set(destination.bytes, ETHERNET_BYTES + 24);
  }
  const checksumAt = CHECKSUM_AT[protocol];
  if (checksumAt !== undefined) {
    const value = transportChecksum(source, destination, protocol, frame, at, frame.length);
    // RFC 768: a UDP checksum of zero means none, so zero is sent as all ones.
    put16(frame, at + checksumAt, value === 0 && protocol === UDP ? 0xffff : value);
  }
  return frame;
}

const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];

/** One line about a frame, for traces. */
export function describeFrame(frame: Uint8Array): string {
  const ends = `${macText(frame, 6)} > ${macText(frame, 0)}`;
  const type = u16(frame, 12);
  if (type === ETHERTYPE_TWIN)
    return `${ends} twin kind ${frame[15]} ${frame[16]}>${frame[17]} path ${frame[19]} counter ${u32(frame, 26)} ${frame.length} bytes`;
  if (type === ETHERTYPE_ARP) {
    const who = (at: number) => frame.subarray(at, at + 4).join(".");
    return `${ends} arp ${u16(frame, 20) === 1 ? "who has" : "reply to"} ${who(38)} from ${who(28)}`;
  }
  const packet = parsePacket(frame);
  if (packet === null) return `${ends} ethertype ${type.toString(16)} ${frame.length} bytes`;
  const { source, destination, protocol, ttl, tag, at, end, fault } = packet;
  const tail = `ttl ${ttl} tag ${tag}${fault === "" ? "" : ` WRONG ${fault}`}`;
  if (protocol === TCP) {
    const flags = TCP_FLAGS.filter((_, bit) => ((frame[at + 13] as number) >> bit) & 1).join("+");
    const data = end - at - ((frame[at + 12] as number) >> 4) * 4;
    const numbers = `seq ${u32(frame, at + 4)} ack ${u32(frame, at + 8)} window ${u16(frame, at + 14)} ${data} bytes`;
    return `${ends} ${source.text}:${u16(frame, at)} > ${destination.text}:${u16(frame, at + 2)} ${flags} ${numbers} ${tail}`;
  }
  if (protocol === UDP) return `${ends} ${source.text}:${u16(frame, at)} > ${destination.text}:${u16(frame, at + 2)} udp ${end - at - 8} bytes ${tail}`;
  return `${ends} ${source.text} > ${destination.text} protocol ${protocol} type ${frame[at]} code ${frame[at + 1]} ${tail}`;
}
