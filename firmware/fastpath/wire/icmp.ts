// ICMP (RFC 792, 950) and ICMPv6 (RFC 4443), with neighbour discovery (RFC 4861).
//
//   0   type 1 │ code 1 │ checksum 2
//   4   queries: identifier 2 · sequence 2; errors: by type
//   8   queries: data; errors: the packet that the error is about

import { fault } from "./faults.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMPV6 = 58;

export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
export const ICMP_IDENTIFIER = 4;
/** Packet too big (v6: 32 bits) and fragmentation needed (v4: the low 16 bits). */
export const ICMP_MTU = 4;
export const ICMP_BYTES = 8;
/** The quoted packet of an error. */
export const ICMP_QUOTED = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const UNREACHABLE_NET = 0;
export const UNREACHABLE_HOST = 1;
export const UNREACHABLE_FRAGMENTATION = 4;
export const UNREACHABLE_PROHIBITED = 13;

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_ECHO = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const UNREACHABLE6_ROUTE = 0;
export const UNREACHABLE6_PROHIBITED = 1;
export const UNREACHABLE6_ADDRESS = 3;

export const ND_ROUTER_SOLICITATION = 133;
export const ND_ROUTER_ADVERTISEMENT = 134;
export const ND_SOLICITATION = 135;
export const ND_ADVERTISEMENT = 136;
export const ND_REDIRECT = 137;
export const ND_FLAGS = 4;
export const ND_TARGET = 8;
/** Options of a solicitation or an advertisement: type 1 │ length 1 (units of 8 bytes) │ … */
export const ND_OPTIONS = 24;
export const ND_ROUTER = 0x80;
export const ND_SOLICITED = 0x40;
export const ND_OVERRIDE = 0x20;
export const ND_SOURCE_LINK = 1;
export const ND_TARGET_LINK = 2;
/** A solicitation or an advertisement with one link-layer address. */
export const ND_BYTES = 32;

/** What a type is: `kind[type]`. */
export const KIND_OTHER = 0;
export const KIND_ERROR = 1;
export const KIND_QUERY = 2;
export const KIND_NEIGHBOUR = 3;
export const KIND_ANSWER = 4;

/** RFC 792 and 1122 §3.2.2. A redirect is not for anybody behind a router: it is left to the policy. */
export const ICMP_KINDS = kinds([3, 4, 11, 12], [8, 13, 15, 17], [0, 14, 16, 18], []);
/** RFC 4443 §2.1: types below 128 are errors, known or not. */
export const ICMPV6_KINDS = kinds(
  Array.from({ length: 128 }, (_, type) => type),
  [128],
  [129],
  [133, 134, 135, 136, 137],
);

/**
 * What stands for ports in an ICMP message's tuple, as they lie in memory, so that a question and its answer mirror each other and
 * nothing else does: of a question its identifier, then its type and code; of any other message type and code twice (F2, F3).
 */
export function icmpPorts(view: DataView, at: number, kind: number, counterparts: number): number {
  const type = view.getUint8(at + ICMP_TYPE);
  const code = view.getUint8(at + ICMP_CODE);
  const identifier = view.getUint16(at + ICMP_IDENTIFIER, true);
  if (kind === KIND_QUERY) return identifier | (((type << 8) | code) << 16);
  if (kind === KIND_ANSWER) return ((ICMP_COUNTERPARTS[counterparts + type] as number) << 8) | code | (identifier << 16);
  return Math.imul((type << 8) | code, 0x10001);
}

/** The type that answers, or is answered by, a type; itself if there is none. Index: type, plus 256 for ICMPv6. */
export const ICMP_COUNTERPARTS = counterparts();

/** First option of each neighbour discovery type, counted from the ICMP header; index: type - 133. RFC 4861 §4. */
const ND_FIRST_OPTION = [8, 16, 24, 24, 40] as const;

const BAD_HEADER = fault("bad-transport-header");
const BAD_NEIGHBOUR = fault("bad-neighbour-discovery");

/** Checks the header at `at` of a message of `lengthBytes`. */
export function checkIcmp(lengthBytes: number): number {
  return lengthBytes < ICMP_BYTES ? BAD_HEADER : 0;
}

/** RFC 4861 §6.1, §7.1, §8.1: from the link itself (hop limit 255), code 0, whole, no option of length 0. `type` 133..137. */
export function checkNeighbour(view: DataView, at: number, lengthBytes: number, type: number, hopLimit: number): number {
  if (hopLimit !== 255 || view.getUint8(at + ICMP_CODE) !== 0) return BAD_NEIGHBOUR;
  const end = (at + lengthBytes) | 0;
  let k = (at + (ND_FIRST_OPTION[type - ND_ROUTER_SOLICITATION] as number)) | 0;
  if (k > end) return BAD_NEIGHBOUR;
  while (k < end) {
    if (end - k < 8) return BAD_NEIGHBOUR;
    const bytes = view.getUint8(k + 1) << 3;
    if (bytes === 0 || bytes > end - k) return BAD_NEIGHBOUR;
    k = (k + bytes) | 0;
  }
  return 0;
}

function kinds(errors: readonly number[], queries: readonly number[], answers: readonly number[], neighbours: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const type of errors) table[type] = KIND_ERROR;
  for (const type of queries) table[type] = KIND_QUERY;
  for (const type of answers) table[type] = KIND_ANSWER;
  for (const type of neighbours) table[type] = KIND_NEIGHBOUR;
  return table;
}

function counterparts(): Uint8Array {
  const table = Uint8Array.from({ length: 512 }, (_, type) => type & 0xff);
  for (const pair of [
    [8, 0],
    [13, 14],
    [15, 16],
    [17, 18],
    [256 + 128, 256 + 129],
  ] as const) {
    table[pair[0]] = pair[1] & 0xff;
    table[pair[1]] = pair[0] & 0xff;
  }
  return table;
}
