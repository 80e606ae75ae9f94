// Who this unit is on each of its networks: its own addresses, by zone entry (an index into the plan's zones), as words that lie
// as in a packet. The gateway's answer and announce; the site's send (PROTOCOL.md "Gateways at two sites").

import type { Plan, Prefix } from "../plan.ts";
import { V4_MAPPED } from "./packets.ts";

export const OWN_NONE = 0;
export const OWN_GATEWAY = 1;
export const OWN_SITE = 2;

/** Words of one address in `words`: four of address, entry, OWN_*, prefix bits. */
const STRIDE = 8;
const A_ENTRY = 4;
const A_KIND = 5;
const A_PREFIX_BITS = 6;

export class Stations {
  /** All own addresses: STRIDE words each, by entry: those of entry e are `first[e] .. first[e + 1] - 1`. */
  private readonly words: Int32Array;
  private readonly first: Int32Array;
  /** Address → number + 1, open addressing; the load is at most a quarter. */
  private readonly slots: Int32Array;

  constructor(plan: Plan) {
    const zones = plan.zones;
    const rows: number[] = [];
    const first = [0];
    for (const [entry, zone] of zones.entries()) {
      for (const prefix of zone.gatewayAddresses) rows.push(...addressWords(prefix.bytes), entry, OWN_GATEWAY, prefix.prefixBits, 0);
      for (const prefix of zone.siteAddresses) rows.push(...addressWords(prefix.bytes), entry, OWN_SITE, prefix.prefixBits, 0);
      first.push(rows.length / STRIDE);
    }
    this.words = Int32Array.from(rows);
    this.first = Int32Array.from(first);
    let slots = 16;
    while (slots < (rows.length / STRIDE) * 4) slots *= 2;
    this.slots = new Int32Array(slots);
    for (let number = 0; number < rows.length / STRIDE; number++) this.insert(number);
  }

  /** Number of the first own address that equals `words[at .. at+3]`, or -1; several entries may have the same link-local one. */
  find(words: Int32Array, at: number): number {
    const mask = (this.slots.length - 1) | 0;
    let slot = hash(words, at) & mask;
    while (this.slots[slot] !== 0) {
      const number = ((this.slots[slot] as number) - 1) | 0;
      if (this.equals(number, words, at)) return number;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  entryOf(number: number): number {
    return this.words[number * STRIDE + A_ENTRY] as number;
  }
  kindOf(number: number): number {
    return this.words[number * STRIDE + A_KIND] as number;
  }

  /** OWN_*: what the address is on this entry. */
  ownAt(entry: number, words: Int32Array, at: number): number {
    for (let number = this.first[entry] as number; number < (this.first[entry + 1] as number); number = (number + 1) | 0) {
      if (this.equals(number, words, at)) return this.kindOf(number);
    }
    return OWN_NONE;
  }

  /** Own addresses of an entry are numbered `firstAddress(entry)` up to, without, `firstAddress(entry + 1)`. */
  firstAddress(entry: number): number {
    return this.first[entry] as number;
  }

  /** Word `k` (0..3) of an own address. */
  addressWord(number: number, k: number): number {
    return this.words[number * STRIDE + k] as number;
  }

  isIpv6(number: number): boolean {
    return !isV4Words(this.words, number * STRIDE);
  }

  /** True when the address lies in a network of this entry, so that it can be a neighbour there. */
  isOnLink(entry: number, words: Int32Array, at: number): boolean {
    for (let number = this.first[entry] as number; number < (this.first[entry + 1] as number); number = (number + 1) | 0) {
      if (this.covers(number, words, at)) return true;
    }
    return isLinkLocalV6(words, at);
  }

  /**
   * The address that speaks to `words[at]` on this entry: a site address whose network holds it, else (destinations beyond a
   * router, link-local ones) any site address of the version. -1 when the entry has none.
   */
  speaker(entry: number, words: Int32Array, at: number): number {
    const v4 = isV4Words(words, at);
    const local = isLinkLocalV6(words, at);
    let fallback = -1;
    for (let number = this.first[entry] as number; number < (this.first[entry + 1] as number); number = (number + 1) | 0) {
      if (this.kindOf(number) !== OWN_SITE || this.isIpv6(number) === v4) continue;
      if (this.covers(number, words, at)) return number;
      // A global speaker is better understood beyond the link than a link-local one.
      if (fallback === -1 || (!local && isLinkLocalV6(this.words, fallback * STRIDE))) fallback = number;
    }
    return fallback;
  }

  /** True for an IPv4 network's first or last address (RFC 1122 §3.2.1.3) on any entry; prefixes of 31 and 32 bits have none. */
  isBroadcast(words: Int32Array, at: number): boolean {
    const address = words[at + 3] as number;
    // Nearly no address ends in 0 or 255 in its host part; the cheap half of that is looked at first.
    const edge = (address >>> 24) & 0x03;
    if ((edge !== 0 && edge !== 3) || !isV4Words(words, at)) return false;
    for (let number = 0; number < this.words.length / STRIDE; number = (number + 1) | 0) {
      const hostBits = (128 - (this.words[number * STRIDE + A_PREFIX_BITS] as number)) | 0;
      if (hostBits < 2 || hostBits > 31 || !this.covers(number, words, at)) continue;
      const host = swapped(address) & ((1 << hostBits) - 1);
      if (host === 0 || host === (1 << hostBits) - 1) return true;
    }
    return false;
  }

  private covers(number: number, words: Int32Array, at: number): boolean {
    const row = number * STRIDE;
    let bits = this.words[row + A_PREFIX_BITS] as number;
    for (let k = 0; k < 4 && bits > 0; k = (k + 1) | 0) {
      const mask = bits >= 32 ? -1 : swapped(-1 << (32 - bits));
      if ((((this.words[row + k] as number) ^ (words[at + k] as number)) & mask) !== 0) return false;
      bits = (bits - 32) | 0;
    }
    return true;
  }

  private equals(number: number, words: Int32Array, at: number): boolean {
    const row = number * STRIDE;
    const own = this.words;
    return own[row + 3] === words[at + 3] && own[row] === words[at] && own[row + 1] === words[at + 1] && own[row + 2] === words[at + 2];
  }

  private insert(number: number): void {
    const mask = this.slots.length - 1;
    let slot = hash(this.words, number * STRIDE) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = number + 1;
  }
}

/** 16 bytes as four words in packet order. */
export function addressWords(bytes: readonly number[]): readonly number[] {
  return [0, 4, 8, 12].map(
    (k) => (bytes[k] as number) | ((bytes[k + 1] as number) << 8) | ((bytes[k + 2] as number) << 16) | ((bytes[k + 3] as number) << 24) | 0,
  );
}

export function isV4Words(words: Int32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === V4_MAPPED;
}

/** fe80::/10. */
export function isLinkLocalV6(words: Int32Array, at: number): boolean {
  return ((words[at] as number) & 0xc0ff) === 0x80fe;
}

/** True for fe80::/10 as a prefix's address. */
export function isLinkLocalPrefix(prefix: Prefix): boolean {
  return prefix.bytes[0] === 0xfe && ((prefix.bytes[1] as number) & 0xc0) === 0x80;
}

/** Own addresses are few and fixed; an unkeyed mix is enough. */
function hash(words: Int32Array, at: number): number {
  const mixed = Math.imul(
    (words[at] as number) ^ Math.imul((words[at + 1] as number) ^ (words[at + 2] as number), 0x85ebca6b) ^ (words[at + 3] as number),
    0xc2b2ae35,
  );
  return mixed ^ (mixed >>> 15);
}

function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
