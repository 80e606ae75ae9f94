// IPv4 (RFC 791).
//
//   0   version 4 · header words 4 │ service 1 │ total bytes 2
//   4   identification 2 │ reserved · DF · MF · fragment offset 13 (in units of 8 bytes)
//   8   TTL 1 │ protocol 1 │ header checksum 2
//   12  source 4
//   16  destination 4
//   20  options …

import { fold, sumBytes } from "./checksum.ts";
import { fault } from "./faults.ts";

export const IPV4_VERSION = 0;
export const IPV4_SERVICE = 1;
export const IPV4_TOTAL_BYTES = 2;
export const IPV4_IDENTIFICATION = 4;
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
export const IPV4_BYTES = 20;

export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;
export const IPV4_OFFSET_MASK = 0x1fff;

const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_ROUTER_ALERT = 148;

const TRUNCATED = fault("truncated");
const BAD_HEADER = fault("bad-ip-header");
const BAD_CHECKSUM = fault("bad-ip-checksum");
const BAD_OPTION = fault("bad-ip-option");

/** Header bytes of a checked header. */
export function ipv4HeaderBytes(view: DataView, at: number): number {
  return (view.getUint8(at) & 0x0f) << 2;
}

/** Checks the IPv4 header at `at` of a packet that ends at or before `end` (Ethernet may have padded it). */
export function checkIpv4(view: DataView, at: number, end: number): number {
  if (end - at < IPV4_BYTES) return TRUNCATED;
  const first = view.getUint8(at);
  const headerBytes = (first & 0x0f) << 2;
  if (first >>> 4 !== 4 || headerBytes < IPV4_BYTES) return BAD_HEADER;
  const totalBytes = view.getUint16(at + IPV4_TOTAL_BYTES);
  if (totalBytes < headerBytes) return BAD_HEADER;
  if (totalBytes > end - at) return TRUNCATED;
  if (fold(sumBytes(view, at, headerBytes, 0)) !== 0xffff) return BAD_CHECKSUM;
  return headerBytes === IPV4_BYTES ? 0 : checkOptions(view, at + IPV4_BYTES, at + headerBytes);
}

/**
 * V3: End, No-Operation and Router Alert pass. Source routes, Record Route, Timestamp and Stream ID must not (F5), and what
 * nobody knows does not either. A length is looked at before anything steps over it.
 */
function checkOptions(view: DataView, at: number, end: number): number {
  let k = at;
  while (k < end) {
    const kind = view.getUint8(k);
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_NOTHING) {
      k = (k + 1) | 0;
      continue;
    }
    if (kind !== OPTION_ROUTER_ALERT || end - k < 4 || view.getUint8(k + 1) !== 4) return BAD_OPTION; // RFC 2113 §2.1: four bytes
    k = (k + 4) | 0;
  }
  return 0;
}
