// IPv6 (RFC 8200) and its extension headers.
//
//   0   version 4 · traffic class 8 · flow label 20
//   4   payload bytes 2 │ next header 1 │ hop limit 1
//   8   source 16
//   24  destination 16
//   40  extension headers …
//
// `walkHeaders` goes through the chain once and returns one integer:
//
//   bits 0–10   bytes from the IPv6 header to the transport header
//   bits 11–18  transport protocol
//   bits 19–26  where the fragment header lies, in units of 8 bytes; 0 = none
//   negative    a fault, negated
//
// AH, ESP, mobility, HIP and Shim6 end the chain: the policy sees their numbers, as it does with IPv4.

import { fault } from "./faults.ts";

export const IPV6_VERSION = 0;
export const IPV6_PAYLOAD_BYTES = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
export const IPV6_BYTES = 40;

/** In the fragment header: offset 13 (units of 8 bytes) · reserved 2 · more 1. */
export const FRAGMENT_OFFSET = 2;
export const FRAGMENT_IDENTIFICATION = 4;
export const FRAGMENT_BYTES = 8;

const HEADER_HOP_BY_HOP = 0;
const HEADER_ROUTING = 43;
const HEADER_FRAGMENT = 44;
const HEADER_DESTINATION = 60;

/** RFC 8200 §4.1 knows six in a packet at the most, Destination Options twice; one to spare. */
const HEADERS_MOST = 7;
const CHAIN_BYTES_MOST = 1_024;
/** RFC 8504 §5.3: a node may limit options; no sender pads with single bytes seven times. */
const OPTIONS_MOST = 16;
const OPTION_PAD1 = 0;
const OPTION_JUMBO = 0xc2;

const TRUNCATED = fault("truncated");
const BAD_HEADER = fault("bad-ip-header");
const BAD_EXTENSION = fault("bad-extension");
const FRAGMENT_INVALID = fault("fragment-invalid");

/** Checks the fixed header at `at` of a packet that ends at or before `end`. */
export function checkIpv6(view: DataView, at: number, end: number): number {
  if (end - at < IPV6_BYTES) return TRUNCATED;
  if (view.getUint8(at) >>> 4 !== 6) return BAD_HEADER;
  return view.getUint16(at + IPV6_PAYLOAD_BYTES) > end - at - IPV6_BYTES ? TRUNCATED : 0;
}

export function chainBytes(walked: number): number {
  return walked & 0x7ff;
}
export function chainProtocol(walked: number): number {
  return (walked >>> 11) & 0xff;
}
/** Bytes from the IPv6 header to the fragment header; 0 = none. */
export function chainFragment(walked: number): number {
  return ((walked >>> 19) & 0xff) << 3;
}

/** Walks the chain of a checked header; `end` is where the packet ends by its own length, or where a quoted one breaks off. */
export function walkHeaders(view: DataView, at: number, end: number): number {
  let header = view.getUint8(at + IPV6_NEXT_HEADER);
  let k = (at + IPV6_BYTES) | 0;
  let fragment = 0;
  for (let count = 0; count <= HEADERS_MOST; count = (count + 1) | 0) {
    if (header !== HEADER_HOP_BY_HOP && header !== HEADER_ROUTING && header !== HEADER_FRAGMENT && header !== HEADER_DESTINATION) {
      return (k - at) | (header << 11) | (fragment << 16);
    }
    // RFC 7112 §5: a first fragment holds the whole chain.
    if (end - k < 8) return fragment === 0 ? -BAD_EXTENSION : -FRAGMENT_INVALID;
    const next = view.getUint8(k);
    if (header === HEADER_FRAGMENT) {
      if (fragment !== 0) return -BAD_EXTENSION;
      fragment = (k - at) | 0;
      k = (k + FRAGMENT_BYTES) | 0;
      // What follows in a later fragment is not a header.
      if ((view.getUint16((at + fragment + FRAGMENT_OFFSET) | 0) & 0xfff8) !== 0) return (k - at) | (next << 11) | (fragment << 16);
    } else {
      const bytes = ((view.getUint8(k + 1) + 1) << 3) | 0;
      if (bytes > end - k) return fragment === 0 ? -BAD_EXTENSION : -FRAGMENT_INVALID;
      if (k + bytes - at > CHAIN_BYTES_MOST) return -BAD_EXTENSION;
      if (header === HEADER_HOP_BY_HOP && count !== 0) return -BAD_EXTENSION; // RFC 8200 §4.1: first or not at all
      const wrong = header === HEADER_ROUTING ? checkRouting(view, k) : checkOptions(view, k + 2, k + bytes);
      if (wrong !== 0) return -wrong;
      k = (k + bytes) | 0;
    }
    header = next;
  }
  return -BAD_EXTENSION;
}

/**
 * V2: type 0 never passes (RFC 5095). Other types pass when they are done (segments left 0): before that the destination
 * that the policy sees is not where the packet goes.
 */
function checkRouting(view: DataView, at: number): number {
  return view.getUint8(at + 2) === 0 || view.getUint8(at + 3) !== 0 ? BAD_EXTENSION : 0;
}

/** Hop-by-hop and destination options (RFC 8200 §4.2): lengths stay inside the header; no jumbograms (RFC 2675). */
function checkOptions(view: DataView, at: number, end: number): number {
  let k = at;
  for (let count = 0; k < end; count = (count + 1) | 0) {
    if (count === OPTIONS_MOST) return BAD_EXTENSION;
    const kind = view.getUint8(k);
    if (kind === OPTION_PAD1) {
      k = (k + 1) | 0;
      continue;
    }
    if (end - k < 2 || kind === OPTION_JUMBO) return BAD_EXTENSION;
    k = (k + 2 + view.getUint8(k + 1)) | 0;
    if (k > end) return BAD_EXTENSION;
  }
  return 0;
}
