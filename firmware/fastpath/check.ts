// The first step of the walk: is this a packet at all? Everything that later steps read is verified here, once, and what
// they need is put into the packet's row (packets.ts). Faults are drop reasons; nothing throws, nothing allocates, nothing
// outside [offset, offset + length) is read.
//
//   Ethernet ─ 802.1Q ─┬ ARP ──────────────────────────────────────────── local
//                      ├ IPv4 ─ options ──────┬ TCP   ports
//                      ├ IPv6 ─ extensions ───┼ UDP   ports
//                      │                      ├ ICMP  query: identifier, type and code · other: type and code twice · error: the quoted packet, mirrored · ND: local
//                      │                      ├ later fragment, any other protocol: no ports
//                      └ anything else: unknown-ethertype (transparent mode may still pass it)

import {
  P_DESTINATION,
  P_FAULT,
  P_FLAGS,
  P_FLOW,
  P_FRAGMENT,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_L4_BYTES,
  P_LENGTH,
  P_OFFSET,
  P_PORTS,
  P_PROTOCOL,
  P_SOURCE,
  P_VLAN,
  PACKET_ICMP_ERROR,
  PACKET_ICMP_SHIFT,
  PACKET_IPV6,
  PACKET_LOCAL,
  PACKET_MULTICAST,
  PACKET_TAGGED,
  V4_MAPPED,
} from "./packets.ts";
import { drop } from "./verdicts.ts";
import { ARP_SENDER_ADDRESS, ARP_TARGET_ADDRESS, checkArp } from "./wire/arp.ts";
import { fold, pseudoSumIpv4, pseudoSumIpv6, sumBytes } from "./wire/checksum.ts";
import { checkEthernet, ETHERNET_BYTES, ETHERNET_TYPE, GROUP_BIT, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, TYPE_VLAN } from "./wire/ethernet.ts";
import { FAULT_NAMES, fault } from "./wire/faults.ts";
import {
  checkIcmp,
  checkNeighbour,
  ICMP_CODE,
  ICMP_COUNTERPARTS,
  ICMP_KINDS,
  ICMP_QUOTED,
  ICMP_TYPE,
  ICMPV6_KINDS,
  icmpPorts,
  KIND_ANSWER,
  KIND_ERROR,
  KIND_NEIGHBOUR,
  KIND_QUERY,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from "./wire/icmp.ts";
import {
  checkIpv4,
  IPV4_BYTES,
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_MORE_FRAGMENTS,
  IPV4_OFFSET_MASK,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_BYTES,
  ipv4HeaderBytes,
  OPTIONS_BY_DEFAULT,
} from "./wire/ipv4.ts";
import {
  chainBytes,
  chainFragment,
  chainProtocol,
  checkIpv6,
  FRAGMENT_OFFSET,
  IPV6_BYTES,
  IPV6_DESTINATION,
  IPV6_HOP_LIMIT,
  IPV6_PAYLOAD_BYTES,
  IPV6_SOURCE,
  walkHeaders,
} from "./wire/ipv6.ts";
import { checkTcp, PROTOCOL_TCP } from "./wire/tcp.ts";
import { checkUdp, PROTOCOL_UDP, UDP_CHECKSUM, UDP_LENGTH } from "./wire/udp.ts";
import { checkVlan, VLAN_BYTES, VLAN_CONTROL, VLAN_ID_MASK, VLAN_TYPE } from "./wire/vlan.ts";

const UNKNOWN_ETHERTYPE = fault("unknown-ethertype");
const BAD_SOURCE = fault("bad-source");
const BAD_DESTINATION = fault("bad-destination");
const FRAGMENT_INVALID = fault("fragment-invalid");
const BAD_CHECKSUM = fault("bad-transport-checksum");
const BAD_TRANSPORT = fault("bad-transport-header");
const ICMP_UNMATCHED = fault("icmp-unmatched");

/** Faults by number → drop reasons. */
const REASONS = Uint8Array.from(FAULT_NAMES, (name) => drop(name));
/** First bytes of a quoted transport header that an error must hold (RFC 792): they hold the ports, or ICMP's identifier. */
const QUOTED_TRANSPORT_BYTES = 8;
const DATAGRAM_BYTES_MOST = 65_535;

/**
 * Verifies the packet of row `at` (P_OFFSET and P_LENGTH are set) and fills P_VLAN, P_L3, P_L4, P_FLAGS, P_PROTOCOL, P_L4_BYTES,
 * P_IP_BYTES, P_FRAGMENT, the tuple (P_FLOW: the protocol only; the engine adds zone and domain) and P_FAULT. `checksums`: verify
 * transport checksums too (T7). `options`: IPv4 options that pass (optionTable). Returns the drop reason, 0 = none. P_L3 is 0 when there is no sound IP or ARP header.
 */
export function checkPacket(view: DataView, words: Int32Array, at: number, checksums: boolean, options: Uint8Array = OPTIONS_BY_DEFAULT): number {
  words[at + P_FLAGS] = 0;
  words[at + P_VLAN] = 0;
  words[at + P_L3] = 0;
  words[at + P_L4] = 0;
  words[at + P_L4_BYTES] = 0;
  words[at + P_IP_BYTES] = 0;
  words[at + P_PROTOCOL] = 0;
  words[at + P_FRAGMENT] = 0;
  words[at + P_PORTS] = 0;
  words[at + P_FLOW] = 0;
  const reason = REASONS[checkFrame(view, words, at, checksums, options)] as number;
  words[at + P_FAULT] = reason;
  // A row is used again and again: a packet without addresses must not show those of an earlier one.
  if (words[at + P_L3] === 0) words.fill(0, at + P_SOURCE, at + P_PORTS);
  return reason;
}

function checkFrame(view: DataView, words: Int32Array, at: number, checksums: boolean, options: Uint8Array): number {
  const offset = words[at + P_OFFSET] as number;
  const end = (offset + (words[at + P_LENGTH] as number)) | 0;
  let wrong = checkEthernet(view, offset, end);
  if (wrong !== 0) return wrong;
  if ((view.getUint8(offset) & GROUP_BIT) !== 0) words[at + P_FLAGS] = PACKET_MULTICAST;
  let type = view.getUint16(offset + ETHERNET_TYPE);
  let l3 = (offset + ETHERNET_BYTES) | 0;
  if (type === TYPE_VLAN) {
    wrong = checkVlan(offset, end);
    if (wrong !== 0) return wrong;
    words[at + P_FLAGS] = (words[at + P_FLAGS] as number) | PACKET_TAGGED;
    words[at + P_VLAN] = view.getUint16(offset + VLAN_CONTROL) & VLAN_ID_MASK;
    type = view.getUint16(offset + VLAN_TYPE);
    l3 = (l3 + VLAN_BYTES) | 0;
  }
  if (type === TYPE_IPV4) return checkV4(view, words, at, l3, end, checksums, options);
  if (type === TYPE_IPV6) return checkV6(view, words, at, l3, end, checksums);
  if (type === TYPE_ARP) return checkArpPacket(view, words, at, l3, end);
  return UNKNOWN_ETHERTYPE;
}

function checkArpPacket(view: DataView, words: Int32Array, at: number, l3: number, end: number): number {
  const wrong = checkArp(view, l3, end);
  if (wrong !== 0) return wrong;
  setV4(words, at + P_SOURCE, view.getInt32(l3 + ARP_SENDER_ADDRESS, true));
  setV4(words, at + P_DESTINATION, view.getInt32(l3 + ARP_TARGET_ADDRESS, true));
  words[at + P_L3] = l3;
  words[at + P_FLAGS] = (words[at + P_FLAGS] as number) | PACKET_LOCAL;
  return 0;
}

function checkV4(view: DataView, words: Int32Array, at: number, l3: number, end: number, checksums: boolean, options: Uint8Array): number {
  const wrong = checkIpv4(view, l3, end, options);
  if (wrong !== 0) return wrong;
  const headerBytes = ipv4HeaderBytes(view, l3);
  const totalBytes = view.getUint16(l3 + IPV4_TOTAL_BYTES);
  const l4Bytes = (totalBytes - headerBytes) | 0;
  const protocol = view.getUint8(l3 + IPV4_PROTOCOL);
  const destination = view.getInt32(l3 + IPV4_DESTINATION, true);
  setV4(words, at + P_SOURCE, view.getInt32(l3 + IPV4_SOURCE, true));
  setV4(words, at + P_DESTINATION, destination);
  words[at + P_L3] = l3;
  words[at + P_IP_BYTES] = totalBytes;
  // 224.0.0.0/4 and 255.255.255.255.
  if ((destination & 0xf0) === 0xe0 || destination === -1) words[at + P_FLAGS] = (words[at + P_FLAGS] as number) | PACKET_MULTICAST;
  const fragment = view.getUint16(l3 + IPV4_FRAGMENT);
  const offsetBytes = (fragment & IPV4_OFFSET_MASK) << 3;
  const more = (fragment & IPV4_MORE_FRAGMENTS) !== 0 ? 1 : 0;
  return checkRest(view, words, at, l3, (l3 + headerBytes) | 0, l4Bytes, protocol, offsetBytes | more, checksums);
}

function checkV6(view: DataView, words: Int32Array, at: number, l3: number, end: number, checksums: boolean): number {
  const wrong = checkIpv6(view, l3, end);
  if (wrong !== 0) return wrong;
  const totalBytes = (view.getUint16(l3 + IPV6_PAYLOAD_BYTES) + IPV6_BYTES) | 0;
  for (let k = 0; k < 8; k = (k + 1) | 0) words[at + P_SOURCE + k] = view.getInt32(l3 + IPV6_SOURCE + (k << 2), true);
  words[at + P_L3] = l3;
  words[at + P_IP_BYTES] = totalBytes;
  // In a tuple, IPv4 in disguise would be taken for IPv4 and could join its sessions (RFC 4942 §2.2).
  if (isMapped(words, at + P_SOURCE)) return BAD_SOURCE;
  if (isMapped(words, at + P_DESTINATION)) return BAD_DESTINATION;
  let flags = (words[at + P_FLAGS] as number) | PACKET_IPV6;
  // ff00::/8
  if (((words[at + P_DESTINATION] as number) & 0xff) === 0xff) flags |= PACKET_MULTICAST;
  words[at + P_FLAGS] = flags;
  const walked = walkHeaders(view, l3, (l3 + totalBytes) | 0);
  if (walked < 0) return -walked;
  const fragmentAt = chainFragment(walked);
  // Offset and the more bit lie as P_FRAGMENT wants them; an atomic fragment (both 0) is whole (V4, RFC 6946).
  const fragment = fragmentAt === 0 ? 0 : view.getUint16(l3 + fragmentAt + FRAGMENT_OFFSET) & 0xfff9;
  const headerBytes = chainBytes(walked);
  return checkRest(view, words, at, l3, (l3 + headerBytes) | 0, (totalBytes - headerBytes) | 0, chainProtocol(walked), fragment, checksums);
}

/** From the transport header on, which both versions share. */
function checkRest(
  view: DataView,
  words: Int32Array,
  at: number,
  l3: number,
  l4: number,
  l4Bytes: number,
  protocol: number,
  fragment: number,
  checksums: boolean,
): number {
  words[at + P_L4] = l4;
  words[at + P_L4_BYTES] = l4Bytes;
  words[at + P_PROTOCOL] = protocol;
  words[at + P_FLOW] = protocol;
  words[at + P_FRAGMENT] = fragment;
  if (fragment !== 0) {
    const wrong = checkFragment(l4Bytes, fragment, protocol);
    if (wrong !== 0 || fragment > 7) return wrong;
  }
  const wrong = checkTransport(view, words, at, l4, l4Bytes, protocol, fragment === 0);
  if (wrong !== 0) return fragment !== 0 && wrong === BAD_TRANSPORT ? FRAGMENT_INVALID : wrong; // RFC 1858 §3.2.1, RFC 7112 §5
  // N5 (RFC 5508 REQ-3): an ICMP error's is verified under any configuration.
  if ((checksums || isIcmpError(view, words, at, l4, protocol)) && fragment === 0 && !sumIsRight(view, words, at, l3, l4, l4Bytes, protocol))
    return BAD_CHECKSUM;
  return setPorts(view, words, at, l4, l4Bytes, protocol);
}

/** F5: pieces that cannot be a part of any datagram. `fragment`: offset in bytes | more. */
function checkFragment(l4Bytes: number, fragment: number, protocol: number): number {
  const offsetBytes = fragment & 0xfff8;
  if (l4Bytes === 0) return FRAGMENT_INVALID;
  if ((fragment & 1) !== 0 && (l4Bytes & 7) !== 0) return FRAGMENT_INVALID; // RFC 791 §2.3, RFC 8200 §4.5
  if (offsetBytes + l4Bytes > DATAGRAM_BYTES_MOST) return FRAGMENT_INVALID;
  return offsetBytes === 8 && protocol === PROTOCOL_TCP ? FRAGMENT_INVALID : 0; // RFC 1858 §3.2.2: would rewrite the flags
}

function checkTransport(view: DataView, words: Int32Array, at: number, l4: number, l4Bytes: number, protocol: number, whole: boolean): number {
  if (protocol === PROTOCOL_TCP) return checkTcp(view, l4, l4Bytes);
  if (protocol === PROTOCOL_UDP) return checkUdp(view, l4, l4Bytes, whole);
  return isIcmp(words, at, protocol) ? checkIcmp(l4Bytes) : 0;
}

/** ICMP in IPv4, ICMPv6 in IPv6; the other way round it is only a protocol number. */
function isIcmp(words: Int32Array, at: number, protocol: number): boolean {
  return protocol === (((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP);
}

function isIcmpError(view: DataView, words: Int32Array, at: number, l4: number, protocol: number): boolean {
  if (!isIcmp(words, at, protocol)) return false;
  return (protocol === PROTOCOL_ICMPV6 ? ICMPV6_KINDS : ICMP_KINDS)[view.getUint8(l4 + ICMP_TYPE)] === KIND_ERROR;
}

/** T7. UDP without a checksum is IPv4 only (RFC 768, RFC 8200 §8.1). */
function sumIsRight(view: DataView, words: Int32Array, at: number, l3: number, l4: number, l4Bytes: number, protocol: number): boolean {
  const v6 = ((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0;
  let bytes = l4Bytes;
  if (protocol === PROTOCOL_UDP) {
    if (view.getUint16(l4 + UDP_CHECKSUM) === 0) return !v6;
    bytes = view.getUint16(l4 + UDP_LENGTH);
  } else if (protocol !== PROTOCOL_TCP && !isIcmp(words, at, protocol)) return true;
  let sum = 0;
  if (v6) sum = pseudoSumIpv6(view, l3, protocol, bytes);
  else if (protocol !== PROTOCOL_ICMP) sum = pseudoSumIpv4(view, l3, protocol, bytes);
  return fold(sumBytes(view, l4, bytes, sum)) === 0xffff;
}

function setPorts(view: DataView, words: Int32Array, at: number, l4: number, l4Bytes: number, protocol: number): number {
  if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) {
    words[at + P_PORTS] = view.getInt32(l4, true);
    return 0;
  }
  if (!isIcmp(words, at, protocol)) return 0;
  const flags = words[at + P_FLAGS] as number;
  const v6 = (flags & PACKET_IPV6) !== 0;
  const type = view.getUint8(l4 + ICMP_TYPE);
  const kind = v6 ? ICMPV6_KINDS[type] : ICMP_KINDS[type];
  if (kind === KIND_ERROR) {
    words[at + P_FLAGS] = flags | PACKET_ICMP_ERROR;
    const end = (l4 + l4Bytes) | 0;
    return v6 ? setQuotedV6(view, words, at, l4, end) : setQuotedV4(view, words, at, l4, end);
  }
  words[at + P_FLAGS] =
    flags | (type << PACKET_ICMP_SHIFT) | (view.getUint8(l4 + ICMP_CODE) << (PACKET_ICMP_SHIFT + 8)) | (kind === KIND_NEIGHBOUR ? PACKET_LOCAL : 0);
  words[at + P_PORTS] = icmpPorts(view, l4, kind as number, v6 ? 256 : 0);
  if (kind === KIND_NEIGHBOUR) {
    if ((words[at + P_FRAGMENT] as number) !== 0) return FRAGMENT_INVALID; // RFC 6980 §5
    return checkNeighbour(view, l4, l4Bytes, type, view.getUint8((words[at + P_L3] as number) + IPV6_HOP_LIMIT));
  }
  return 0;
}

/** N5: the quoted packet must name its flow, and the error must go to that packet's sender (RFC 792, RFC 1122 §3.2.2). */
function setQuotedV4(view: DataView, words: Int32Array, at: number, l4: number, end: number): number {
  const ip = (l4 + ICMP_QUOTED) | 0;
  if (end - ip < IPV4_BYTES) return ICMP_UNMATCHED;
  const headerBytes = ipv4HeaderBytes(view, ip);
  if (view.getUint8(ip) >>> 4 !== 4 || headerBytes < IPV4_BYTES || (view.getUint16(ip + IPV4_FRAGMENT) & IPV4_OFFSET_MASK) !== 0) return ICMP_UNMATCHED;
  if (view.getInt32(ip + IPV4_SOURCE, true) !== words[at + P_DESTINATION + 3]) return ICMP_UNMATCHED;
  const wrong = setQuotedPorts(view, words, at, (ip + headerBytes) | 0, end, view.getUint8(ip + IPV4_PROTOCOL), ICMP_KINDS, 0);
  if (wrong === 0) words[at + P_SOURCE + 3] = view.getInt32(ip + IPV4_DESTINATION, true);
  return wrong;
}

function setQuotedV6(view: DataView, words: Int32Array, at: number, l4: number, end: number): number {
  const ip = (l4 + ICMP_QUOTED) | 0;
  if (end - ip < IPV6_BYTES || view.getUint8(ip) >>> 4 !== 6) return ICMP_UNMATCHED;
  for (let k = 0; k < 4; k = (k + 1) | 0) {
    if (view.getInt32(ip + IPV6_SOURCE + (k << 2), true) !== words[at + P_DESTINATION + k]) return ICMP_UNMATCHED;
  }
  const walked = walkHeaders(view, ip, end);
  if (walked < 0) return ICMP_UNMATCHED;
  const fragmentAt = chainFragment(walked);
  if (fragmentAt !== 0 && (view.getUint16(ip + fragmentAt + FRAGMENT_OFFSET) & 0xfff8) !== 0) return ICMP_UNMATCHED;
  const wrong = setQuotedPorts(view, words, at, (ip + chainBytes(walked)) | 0, end, chainProtocol(walked), ICMPV6_KINDS, 256);
  if (wrong !== 0) return wrong;
  for (let k = 0; k < 4; k = (k + 1) | 0) words[at + P_SOURCE + k] = view.getInt32(ip + IPV6_DESTINATION + (k << 2), true);
  return 0;
}

/** Ports of the quoted packet, mirrored, and its protocol. `kinds`, `counterpartBase`: the ICMP of the error's own version. */
function setQuotedPorts(
  view: DataView,
  words: Int32Array,
  at: number,
  l4: number,
  end: number,
  protocol: number,
  kinds: Uint8Array,
  counterpartBase: number,
): number {
  if (end - l4 < QUOTED_TRANSPORT_BYTES) return ICMP_UNMATCHED;
  if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) {
    const ports = view.getInt32(l4, true);
    words[at + P_PORTS] = (ports << 16) | (ports >>> 16);
  } else if (protocol === (counterpartBase === 0 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) {
    const type = view.getUint8(l4 + ICMP_TYPE);
    const kind = kinds[type] as number;
    if (kind !== KIND_QUERY && kind !== KIND_ANSWER) return ICMP_UNMATCHED; // RFC 1122 §3.2.2: never an error about an error
    const ports = icmpPorts(view, l4, kind, counterpartBase);
    words[at + P_PORTS] = (ports << 16) | (ports >>> 16);
    const code = view.getUint8(l4 + ICMP_CODE) << (PACKET_ICMP_SHIFT + 8);
    words[at + P_FLAGS] = (words[at + P_FLAGS] as number) | ((ICMP_COUNTERPARTS[counterpartBase + type] as number) << PACKET_ICMP_SHIFT) | code;
  }
  words[at + P_FLOW] = protocol;
  return 0;
}

/** ::ffff:0:0/96. */
function isMapped(words: Int32Array, at: number): boolean {
  return words[at + 2] === V4_MAPPED && words[at] === 0 && words[at + 1] === 0;
}

/** An IPv4 address (as it lies in memory) as v4-mapped words. */
function setV4(words: Int32Array, at: number, address: number): void {
  words[at] = 0;
  words[at + 1] = 0;
  words[at + 2] = V4_MAPPED;
  words[at + 3] = address;
}
