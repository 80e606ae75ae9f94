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
const OPTION_RECORD_ROUTE = 7;
const OPTION_LOOSE_ROUTE = 131;
const OPTION_STRICT_ROUTE = 137;
const OPTION_STREAM = 136;
const OPTION_ROUTER_ALERT = 148;
/** RFC 791 §3.1, RFC 2113 §2.1: four bytes. */
const OPTIONS_OF_FOUR = [OPTION_STREAM, OPTION_ROUTER_ALERT];
const OPTION_BYTES_LEAST = 3;

const TRUNCATED = fault("truncated");
const BAD_HEADER = fault("bad-ip-header");
const BAD_CHECKSUM = fault("bad-ip-checksum");
const BAD_OPTION = fault("bad-ip-option");

/** Header bytes of a checked header. */
export function ipv4HeaderBytes(view: DataView, at: number): number {
  return (view.getUint8(at) & 0x0f) << 2;
}

/** What `checkIpv4` lets pass, by option number: bytes that it must have, 1 = its own length field says, 0 = it does not pass. */
export function optionTable(numbers: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const number of numbers) table[number] = OPTIONS_OF_FOUR.includes(number) ? 4 : 1;
  // F5: under no configuration.
  for (const never of [OPTION_RECORD_ROUTE, OPTION_LOOSE_ROUTE, OPTION_STRICT_ROUTE]) table[never] = 0;
  return table;
}

/** V3: what passes unless it is configured otherwise. */
export const OPTIONS_BY_DEFAULT = optionTable([OPTION_ROUTER_ALERT]);

/** Checks the IPv4 header at `at` of a packet that ends at or before `end` (Ethernet may have padded it). `options`: those that pass. */
export function checkIpv4(view: DataView, at: number, end: number, options: Uint8Array): number {
  if (end - at < IPV4_BYTES) return TRUNCATED;
  const first = view.getUint8(at);
  const headerBytes = (first & 0x0f) << 2;
  if (first >>> 4 !== 4 || headerBytes < IPV4_BYTES) return BAD_HEADER;
  const totalBytes = view.getUint16(at + IPV4_TOTAL_BYTES);
  if (totalBytes < headerBytes) return BAD_HEADER;
  if (totalBytes > end - at) return TRUNCATED;
  if (fold(sumBytes(view, at, headerBytes, 0)) !== 0xffff) return BAD_CHECKSUM;
  return headerBytes === IPV4_BYTES ? 0 : checkOptions(view, at + IPV4_BYTES, at + headerBytes, options);
}

/**
 * V3: End and No-Operation pass, and what is configured, by default Router Alert alone. Source routes and Record Route never do (F5),
 * and what nobody knows does not either. A length is looked at before anything steps over it.
 */
function checkOptions(view: DataView, at: number, end: number, options: Uint8Array): number {
  let k = at;
  while (k < end) {
    const kind = view.getUint8(k);
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_NOTHING) {
      k = (k + 1) | 0;
      continue;
    }
    const wanted = options[kind] as number;
    if (wanted === 0 || end - k < OPTION_BYTES_LEAST) return BAD_OPTION;
    const bytes = view.getUint8(k + 1);
    if (bytes < OPTION_BYTES_LEAST || bytes > end - k || (wanted !== 1 && bytes !== wanted)) return BAD_OPTION;
    k = (k + bytes) | 0;
  }
  return 0;
}
