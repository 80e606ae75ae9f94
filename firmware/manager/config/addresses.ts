// Addresses as people write them, to the 16 bytes that the fastpath compares (IPv4 as v4-mapped, RFC 4291 §2.5.5.2).

import { isIPv4, isIPv6 } from "node:net";
import type { Prefix } from "../../plan.ts";

/** ::ffff:0:0/96. */
const MAPPED: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const MAPPED_BITS = 96;

/** 16 bytes, or undefined when the text is no IPv4 or IPv6 address. Refuses scope ids and IPv4 written as v4-mapped. */
export function parseAddress(text: string): readonly number[] | undefined {
  if (isIPv4(text)) return [...MAPPED, ...text.split(".").map(Number)];
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const bytes = expand(text);
  return isV4(bytes) ? undefined : bytes;
}

/** An address with its prefix length as written: `10.1.0.2/24` has 120 bits. Host bits are kept. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const bytes = match === null ? undefined : parseAddress(match[1] as string);
  if (match === null || bytes === undefined) return undefined;
  const prefixBits = Number(match[2]) + (isV4(bytes) ? MAPPED_BITS : 0);
  return prefixBits > 128 ? undefined : { bytes, prefixBits };
}

/** A prefix, or a single address as a prefix of its full length. */
export function parsePrefixOrAddress(text: string): Prefix | undefined {
  if (text.includes("/")) return parsePrefix(text);
  const bytes = parseAddress(text);
  return bytes === undefined ? undefined : { bytes, prefixBits: 128 };
}

export function isV4(bytes: readonly number[]): boolean {
  return MAPPED.every((byte, k) => bytes[k] === byte);
}

/** fe80::/10. */
export function isLinkLocal(bytes: readonly number[]): boolean {
  return bytes[0] === 0xfe && ((bytes[1] as number) & 0xc0) === 0x80;
}

/** Multicast, unspecified, loopback or 240.0.0.0/4: nothing that a station can be called. */
export function isUnusable(bytes: readonly number[]): boolean {
  if (isV4(bytes)) {
    const first = bytes[12] as number;
    return first === 0 || first === 127 || first >= 224;
  }
  return bytes[0] === 0xff || (bytes.slice(0, 15).every((byte) => byte === 0) && (bytes[15] as number) <= 1);
}

/** True when `address` lies in the network of `prefix`; its host bits do not count. */
export function contains(prefix: Prefix, address: readonly number[]): boolean {
  return sameBytes(networkOf(prefix), networkOf({ bytes: address, prefixBits: prefix.prefixBits }));
}

/** The prefix's bytes with all host bits cleared. */
export function networkOf(prefix: Prefix): readonly number[] {
  return prefix.bytes.map((byte, k) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix.prefixBits - 8 * k))));
}

/** True for an IPv4 address that names its network or its broadcast address (not in /31 and /32, RFC 3021). */
export function isNetworkOrBroadcast(prefix: Prefix): boolean {
  if (!isV4(prefix.bytes) || prefix.prefixBits >= 127) return false;
  const network = networkOf(prefix);
  const broadcast = network.map((byte, k) => byte | (0xff >> Math.min(8, Math.max(0, prefix.prefixBits - 8 * k))));
  return sameBytes(prefix.bytes, network) || sameBytes(prefix.bytes, broadcast);
}

export function sameBytes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((byte, k) => byte === b[k]);
}

/** As people read it: dotted, or colons with the longest run of zeros left out (RFC 5952). */
export function formatAddress(bytes: readonly number[]): string {
  if (isV4(bytes)) return bytes.slice(12).join(".");
  const groups: number[] = [];
  for (let k = 0; k < 16; k += 2) groups.push(((bytes[k] as number) << 8) | (bytes[k + 1] as number));
  let from = -1;
  let length = 1;
  for (let k = 0; k < 8; k++) {
    let run = 0;
    while (k + run < 8 && groups[k + run] === 0) run++;
    if (run > length) [from, length] = [k, run];
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  return from < 0 ? hex(groups) : `${hex(groups.slice(0, from))}::${hex(groups.slice(from + length))}`;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.bytes)}/${prefix.prefixBits - (isV4(prefix.bytes) ? MAPPED_BITS : 0)}`;
}

/** 6 bytes of a unicast MAC, or undefined. */
export function parseMac(text: string): readonly number[] | undefined {
  if (!/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  const bytes = text.split(":").map((pair) => Number.parseInt(pair, 16));
  return ((bytes[0] as number) & 1) === 1 || bytes.every((byte) => byte === 0) ? undefined : bytes;
}

/** The link-local address of a station with this MAC: fe80:: and the modified EUI-64 (RFC 4291 appendix A). */
export function linkLocalOf(mac: readonly number[]): Prefix {
  const [a, b, c, d, e, f] = mac as [number, number, number, number, number, number];
  return { bytes: [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f], prefixBits: 64 };
}

/** Bytes of a text that `isIPv6` has accepted. */
function expand(text: string): readonly number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const plain = dotted === null ? text : `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}`;
  const [left = "", right] = plain.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const gap = new Array<string>(8 - head.length - tail.length).fill("0");
  return [...head, ...gap, ...tail].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function hexPair(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}
