// The packets in hand: one batch as rows of 32 words, so that a packet is an integer all the way through the walk.
// Words 16..25 are the tuple, laid out as a session row's key (sessions.ts), so that a lookup compares word by word.
//
//   receive → check() fills a row → hash all, touch all → judge one by one → verdict

import { BATCH } from "../limits.ts";

export const PACKET_WORDS = 32;

/** First byte (Ethernet destination) in packet memory, and bytes from there. */
export const P_OFFSET = 0;
export const P_LENGTH = 1;
/** Port that received it: this unit's, or the ingress unit's when handed here. */
export const P_PORT = 2;
/** Index into the plan's zones (port and VLAN → zone); -1 when handed here or none. */
export const P_ENTRY = 3;
export const P_ZONE = 4;
/** 802.1Q id, 0 = untagged. */
export const P_VLAN = 5;
/** Offsets of the IP header and of the transport header. */
export const P_L3 = 6;
export const P_L4 = 7;
/** PACKET_* below. */
export const P_FLAGS = 8;
export const P_HASH = 9;
/** Unit that received it from the wire; 0 = this one. */
export const P_INGRESS = 10;
/** HANDED_* below. */
export const P_HANDED = 11;
/** Transport protocol number after extension headers. */
export const P_PROTOCOL = 12;
/** Bytes of transport header and payload, by the IP header. */
export const P_L4_BYTES = 13;
/** Fragment offset in bytes | 1 when more follow; 0 = whole. */
export const P_FRAGMENT = 14;
/** Result of the lookup: row << 1 | direction, or -1. */
export const P_FOUND = 15;
export const P_SOURCE = 16;
export const P_DESTINATION = 20;
export const P_PORTS = 24;
/** protocol | zone << 8 | domain << 16. */
export const P_FLOW = 25;
/** Drop reason found by check() or sanity(); 0 = none; A_FRAGMENT. */
export const P_FAULT = 26;
/** Bytes from the IP header to the packet's end, by the IP header. */
export const P_IP_BYTES = 27;
/** Session id and epoch that a handed-off packet came with; for answers. */
export const P_ID_SERIAL = 28;
export const P_ID_CREATOR = 29;
export const P_ID_INCARNATION = 30;
export const P_EPOCH = 31;

export const PACKET_IPV6 = 1;
export const PACKET_TAGGED = 2;
/** ARP, ND or addressed to the firewall: decided before any lookup. */
export const PACKET_LOCAL = 4;
/** ICMP error: its tuple is that of the embedded packet, mirrored. */
export const PACKET_ICMP_ERROR = 8;
export const PACKET_MULTICAST = 16;
/** ICMP: the type (8 bits) and code (8 bits) that belong to the tuple lie above the flags; of an error's quoted packet, those of its counterpart. */
export const PACKET_ICMP_SHIFT = 16;

/** The peer asks whether it owns the flow. */
export const HANDED_QUERY = 1;
/** Second handoff: no further one (W8). */
export const HANDED_LAST = 2;
/** Came back without an owner: judge here, do not ask again. */
export const HANDED_ASKED = 4;
/** Came back judged by its owner: only emission is left. */
export const HANDED_JUDGED = 8;
/** Came in at a passive site: whoever is asked judges it, session or not. */
export const HANDED_STRAY = 16;

/** v4-mapped prefix word, as it lies in memory: bytes 00 00 ff ff. */
export const V4_MAPPED = 0xffff0000 | 0;

/** P_FAULT of a sound fragment: what becomes of it is decided with its datagram (fragments.ts). */
export const A_FRAGMENT = -1;

/** A batch: `words[k * PACKET_WORDS + P_…]`. */
export class PacketBatch {
  readonly words = new Int32Array(BATCH * PACKET_WORDS);
  count = 0;
}
