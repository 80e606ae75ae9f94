// Virtual reassembly: fragments wait, in their frames, until their datagram is there as a whole. datagrams.ts then judges it once.
//
//   key (source, destination, identification, protocol, zone, domain) ─► datagram: GATHERING ── all there, no byte twice ─► complete
//        keyed hash                                                        │    │                                          │ leave
//                                                                 overlap, │    │ time is up,                              ▼
//                                                                contradic-│    │ evicted                                free
//                                                                tion      ▼    ▼
//                                                                        DEAD  free       DEAD: its fragments drop until its time is up
//
//   fragments of a datagram, in order of arrival:   [ 1480 … 2960 ) ─► [ 0 … 1480 ) ─► [ 2960 … 3000 ), the last
//
// * A datagram whose fragments overlap dies, in both versions (V4, V5, RFC 5722 §4): what different hosts make of it differs. An exact
//   repetition (same place, same bytes) is dropped alone (RFC 8200 §4.5): networks do that, and only one of the two goes on.
// * So dies one whose fragments contradict each other: two ends, bytes behind the end, too many pieces.
// * Bounded: datagrams and held frames, in all, per source and per datagram. When a limit is reached the *oldest* datagram under it gives
//   way (fragment-limit): datagrams that are whole within milliseconds live through a flood of such as never end.
//
// Parallel arrays, sized at start; nothing is allocated per packet.

import {
  FRAGMENT_DATAGRAMS,
  FRAGMENT_DATAGRAMS_PER_SOURCE,
  FRAGMENT_FOLLOW_MILLIS,
  FRAGMENT_MILLIS_V4,
  FRAGMENT_MILLIS_V6,
  FRAGMENT_SOURCES,
  FRAGMENTS_HELD,
  FRAGMENTS_HELD_PER_SOURCE,
  FRAGMENTS_PER_DATAGRAM,
} from "../limits.ts";
import { AgeLists } from "./memory/age-lists.ts";
import { HashIndex } from "./memory/index.ts";
import type { Outlet } from "./outlet.ts";
import {
  P_FAULT,
  P_FLAGS,
  P_FLOW,
  P_FRAGMENT,
  P_HANDED,
  P_INGRESS,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_OFFSET,
  P_PROTOCOL,
  PACKET_IPV6,
  PACKET_WORDS,
  V4_MAPPED,
} from "./packets.ts";
import { DROP, drop, HELD } from "./verdicts.ts";
import { IPV4_DESTINATION, IPV4_IDENTIFICATION, IPV4_SOURCE } from "./wire/ipv4.ts";
import { chainFragment, FRAGMENT_BYTES, FRAGMENT_IDENTIFICATION, IPV6_BYTES, IPV6_DESTINATION, IPV6_SOURCE, walkHeaders } from "./wire/ipv6.ts";

/** Results of `hold`, besides HELD and DROP | reason << 8: the frame is held, and its datagram (`completed`) is whole. */
export const COMPLETE = 5;
/** The frame is still the caller's: this datagram is gathered at the other site. */
export const FOLLOWS = 6;

const INVALID = drop("fragment-invalid");
const OVERLAP = drop("fragment-overlap");
const LIMIT = drop("fragment-limit");
const DUPLICATE = drop("fragment-duplicate");
const TIMEOUT = drop("fragment-timeout");

const FREE = 0;
const GATHERING = 1;
const DEAD = 2;
const NONE = -1;
/** Laid out as a session's key, with the identification for ports. */
const KEY_WORDS = 10;
const KEY_IDENTIFICATION = 8;
const KEY_FLOW = 9;
const INDEX_SLOTS = 4;
const DATAGRAM_BYTES_MOST = 65_535;

/** Keyed hash of ten words. */
export interface KeyHash {
  hash(words: Int32Array, at: number): number;
}

export class Fragments {
  /** Packet rows of held fragments: `rows[slot * PACKET_WORDS + P_…]`. */
  readonly rows = new Int32Array(FRAGMENTS_HELD * PACKET_WORDS);
  /** Next fragment of the same datagram in order of arrival; NONE. */
  readonly next = new Int32Array(FRAGMENTS_HELD);
  /** Where a fragment's part of the datagram begins, in packet memory, and its place there. */
  readonly bodies = new Int32Array(FRAGMENTS_HELD);
  readonly starts = new Int32Array(FRAGMENTS_HELD);
  readonly ends = new Int32Array(FRAGMENTS_HELD);
  private readonly freeSlots = new Int32Array(FRAGMENTS_HELD);
  private freeSlotCount = FRAGMENTS_HELD;

  readonly heads = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly tails = new Int32Array(FRAGMENT_DATAGRAMS);
  /** Slot of the first fragment (offset 0), NONE while it is not there. */
  readonly firsts = new Int32Array(FRAGMENT_DATAGRAMS);
  /** Bytes of the whole, NONE while the last fragment is not there. */
  readonly totals = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly covered = new Int32Array(FRAGMENT_DATAGRAMS);
  readonly counts = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly states = new Uint8Array(FRAGMENT_DATAGRAMS);
  /** Of a dead one: what it died of. */
  private readonly reasons = new Uint8Array(FRAGMENT_DATAGRAMS);
  /** 1: gathered at the other site. */
  private readonly follows = new Uint8Array(FRAGMENT_DATAGRAMS);
  private readonly since = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly lifetimes = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly sources = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly keys = new Int32Array(FRAGMENT_DATAGRAMS * KEY_WORDS);
  private readonly hashes = new Int32Array(FRAGMENT_DATAGRAMS);
  private readonly freeDatagrams = new Int32Array(FRAGMENT_DATAGRAMS);
  private freeDatagramCount = FRAGMENT_DATAGRAMS;
  private readonly index = new HashIndex(FRAGMENT_DATAGRAMS * INDEX_SLOTS);
  private readonly byAge = new AgeLists(FRAGMENT_DATAGRAMS, 1);
  private readonly bySource = new AgeLists(FRAGMENT_DATAGRAMS, FRAGMENT_SOURCES);
  private readonly datagramsOf = new Int32Array(FRAGMENT_SOURCES);
  private readonly heldOf = new Int32Array(FRAGMENT_SOURCES);

  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly hasher: KeyHash;
  private readonly outlet: Outlet;
  /** The fragment in hand: key, source, where its part of the datagram lies, and which part it is. */
  private readonly key = new Int32Array(KEY_WORDS);
  private readonly sourceKey = new Int32Array(KEY_WORDS);
  private body = 0;
  private start = 0;
  private end = 0;
  /** After COMPLETE: the datagram. */
  completed = NONE;

  constructor(memory: { readonly view: DataView; readonly bytes: Uint8Array }, hasher: KeyHash, outlet: Outlet) {
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.hasher = hasher;
    this.outlet = outlet;
    for (let k = 0; k < FRAGMENTS_HELD; k++) this.freeSlots[k] = FRAGMENTS_HELD - 1 - k;
    for (let k = 0; k < FRAGMENT_DATAGRAMS; k++) this.freeDatagrams[k] = FRAGMENT_DATAGRAMS - 1 - k;
  }

  /** Datagrams that are gathered or remembered as dead, and frames held. */
  get datagramCount(): number {
    return FRAGMENT_DATAGRAMS - this.freeDatagramCount;
  }
  get heldCount(): number {
    return FRAGMENTS_HELD - this.freeSlotCount;
  }

  /**
   * Takes in a fragment that check() found sound, its P_FLOW complete. HELD, COMPLETE: the frame is held. FOLLOWS or DROP | reason << 8: it
   * is still the caller's. `nowMillis`: 32 bits of the clock.
   */
  hold(words: Int32Array, at: number, nowMillis: number): number {
    if (!this.measure(words, at)) return DROP | (INVALID << 8);
    const hash = this.hasher.hash(this.key, 0);
    let datagram = this.find(hash);
    if (datagram === NONE) datagram = this.open(hash, nowMillis);
    if (datagram === NONE) return DROP | (LIMIT << 8);
    if (this.states[datagram] === DEAD) return DROP | ((this.reasons[datagram] as number) << 8);
    if (this.follows[datagram] === 1 && words[at + P_INGRESS] === 0 && words[at + P_HANDED] === 0) return FOLLOWS;
    const last = ((words[at + P_FRAGMENT] as number) & 1) === 0;
    const wrong = this.conflict(datagram, last);
    if (wrong === DUPLICATE) return DROP | (DUPLICATE << 8);
    if (wrong !== 0) return this.kill(datagram, wrong);
    if (!this.makeRoom(datagram)) return DROP | (LIMIT << 8);
    this.append(datagram, words, at, last);
    if (this.totals[datagram] === NONE || this.covered[datagram] !== this.totals[datagram]) return HELD;
    this.completed = datagram;
    return COMPLETE;
  }

  /** Key and place of the fragment; false when the whole would be longer than a datagram can be (F5). */
  private measure(words: Int32Array, at: number): boolean {
    const view = this.view;
    const key = this.key;
    const ip = words[at + P_L3] as number;
    const zoneAndDomain = (words[at + P_FLOW] as number) & ~0xff;
    let headerBytes: number;
    if (((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0) {
      // Behind the fragment header begins what was fragmented, further extension headers included. Its next-header field counts in the
      // first fragment only (RFC 8200 §4.5), so it is not in the key.
      const fragment = chainFragment(walkHeaders(view, ip, ip + (words[at + P_IP_BYTES] as number)));
      for (let k = 0; k < 4; k = (k + 1) | 0) {
        key[k] = view.getInt32(ip + IPV6_SOURCE + (k << 2), true);
        key[4 + k] = view.getInt32(ip + IPV6_DESTINATION + (k << 2), true);
      }
      key[KEY_IDENTIFICATION] = view.getInt32(ip + fragment + FRAGMENT_IDENTIFICATION, true);
      key[KEY_FLOW] = zoneAndDomain;
      this.body = (ip + fragment + FRAGMENT_BYTES) | 0;
      headerBytes = (fragment - IPV6_BYTES) | 0;
    } else {
      for (let k = 0; k < 8; k = (k + 1) | 0) key[k] = (k & 3) === 2 ? V4_MAPPED : 0;
      key[3] = view.getInt32(ip + IPV4_SOURCE, true);
      key[7] = view.getInt32(ip + IPV4_DESTINATION, true);
      key[KEY_IDENTIFICATION] = view.getUint16(ip + IPV4_IDENTIFICATION, true);
      key[KEY_FLOW] = zoneAndDomain | (words[at + P_PROTOCOL] as number);
      this.body = words[at + P_L4] as number;
      headerBytes = (this.body - ip) | 0;
    }
    this.start = (words[at + P_FRAGMENT] as number) & 0xfff8;
    this.end = (this.start + (ip + (words[at + P_IP_BYTES] as number) - this.body)) | 0;
    return headerBytes + this.end <= DATAGRAM_BYTES_MOST;
  }

  private find(hash: number): number {
    const slots = this.index.words;
    const mask = this.index.mask;
    for (let slot = hash & mask; slots[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      const datagram = ((slots[slot * 2 + 1] as number) - 1) | 0;
      if (slots[slot * 2] === hash && this.hasKey(datagram)) return datagram;
    }
    return NONE;
  }

  private hasKey(datagram: number): boolean {
    const at = datagram * KEY_WORDS;
    for (let k = 0; k < KEY_WORDS; k = (k + 1) | 0) if (this.keys[at + k] !== this.key[k]) return false;
    return true;
  }

  /** A new datagram for the key in hand; the oldest of its source, or of all, gives way to it. */
  private open(hash: number, nowMillis: number): number {
    const source = this.sourceSlot();
    if ((this.datagramsOf[source] as number) >= FRAGMENT_DATAGRAMS_PER_SOURCE) this.evict(this.bySource.oldest(source, NONE));
    if (this.freeDatagramCount === 0) this.evict(this.byAge.oldest(0, NONE));
    const datagram = this.freeDatagrams[this.freeDatagramCount - 1] as number;
    if (!this.index.insert(hash, datagram)) return NONE;
    this.freeDatagramCount = (this.freeDatagramCount - 1) | 0;
    for (let k = 0; k < KEY_WORDS; k = (k + 1) | 0) this.keys[datagram * KEY_WORDS + k] = this.key[k] as number;
    this.hashes[datagram] = hash;
    this.states[datagram] = GATHERING;
    this.follows[datagram] = 0;
    this.heads[datagram] = NONE;
    this.tails[datagram] = NONE;
    this.firsts[datagram] = NONE;
    this.totals[datagram] = NONE;
    this.covered[datagram] = 0;
    this.counts[datagram] = 0;
    this.since[datagram] = nowMillis;
    this.lifetimes[datagram] = this.key[2] === V4_MAPPED && this.key[0] === 0 && this.key[1] === 0 ? FRAGMENT_MILLIS_V4 : FRAGMENT_MILLIS_V6;
    this.sources[datagram] = source;
    this.byAge.append(0, datagram);
    this.bySource.append(source, datagram);
    this.datagramsOf[source] = ((this.datagramsOf[source] as number) + 1) | 0;
    return datagram;
  }

  /** Where the counts of this source lie: its address, or its /64. */
  private sourceSlot(): number {
    const key = this.key;
    const sourceKey = this.sourceKey;
    const v4 = key[2] === V4_MAPPED && key[0] === 0 && key[1] === 0;
    for (let k = 0; k < 4; k = (k + 1) | 0) sourceKey[k] = v4 || k < 2 ? (key[k] as number) : 0;
    return this.hasher.hash(sourceKey, 0) & (FRAGMENT_SOURCES - 1);
  }

  /** Does the fragment in hand contradict what is there? 0, DUPLICATE, or what its datagram dies of. */
  private conflict(datagram: number, last: boolean): number {
    const total = this.totals[datagram] as number;
    const start = this.start;
    const end = this.end;
    const starts = this.starts;
    const ends = this.ends;
    let farthest = 0;
    for (let slot = this.heads[datagram] as number; slot !== NONE; slot = this.next[slot] as number) {
      const from = starts[slot] as number;
      const to = ends[slot] as number;
      if (start < to && end > from) {
        const lasts = ((this.rows[slot * PACKET_WORDS + P_FRAGMENT] as number) & 1) === 0;
        return start === from && end === to && last === lasts && this.repeats(slot) ? DUPLICATE : OVERLAP;
      }
      if (to > farthest) farthest = to;
    }
    if (total !== NONE && (last || end > total)) return INVALID;
    if (last && farthest > end) return INVALID;
    return (this.counts[datagram] as number) >= FRAGMENTS_PER_DATAGRAM ? LIMIT : 0;
  }

  /** The same bytes as in `slot`; the places are the same. */
  private repeats(slot: number): boolean {
    const bytes = this.bytes;
    const body = this.body;
    const other = this.bodies[slot] as number;
    const length = (this.end - this.start) | 0;
    for (let k = 0; k < length; k = (k + 1) | 0) if (bytes[body + k] !== bytes[other + k]) return false;
    return true;
  }

  /** A frame more for this datagram: older ones give way, those too that only remember a death. False: there is no other. */
  private makeRoom(datagram: number): boolean {
    const source = this.sources[datagram] as number;
    while ((this.heldOf[source] as number) >= FRAGMENTS_HELD_PER_SOURCE) if (!this.evict(this.bySource.oldest(source, datagram))) return false;
    while (this.freeSlotCount === 0) if (!this.evict(this.byAge.oldest(0, datagram))) return false;
    return true;
  }

  private evict(datagram: number): boolean {
    if (datagram === NONE) return false;
    this.discardHeld(datagram, LIMIT);
    this.forget(datagram);
    return true;
  }

  /** The datagram cannot pass any more; its later fragments drop for the same reason. Returns the drop verdict. */
  kill(datagram: number, reason: number): number {
    this.discardHeld(datagram, reason);
    this.states[datagram] = DEAD;
    this.reasons[datagram] = reason;
    return DROP | (reason << 8);
  }

  private append(datagram: number, words: Int32Array, at: number, last: boolean): void {
    this.freeSlotCount = (this.freeSlotCount - 1) | 0;
    const slot = this.freeSlots[this.freeSlotCount] as number;
    const row = slot * PACKET_WORDS;
    for (let k = 0; k < PACKET_WORDS; k = (k + 1) | 0) this.rows[row + k] = words[at + k] as number;
    this.rows[row + P_FAULT] = 0;
    this.bodies[slot] = this.body;
    this.starts[slot] = this.start;
    this.ends[slot] = this.end;
    this.next[slot] = NONE;
    const tail = this.tails[datagram] as number;
    if (tail === NONE) this.heads[datagram] = slot;
    else this.next[tail] = slot;
    this.tails[datagram] = slot;
    if (this.start === 0) this.firsts[datagram] = slot;
    if (last) this.totals[datagram] = this.end;
    this.covered[datagram] = ((this.covered[datagram] as number) + this.end - this.start) | 0;
    this.counts[datagram] = ((this.counts[datagram] as number) + 1) | 0;
    const source = this.sources[datagram] as number;
    this.heldOf[source] = ((this.heldOf[source] as number) + 1) | 0;
  }

  /** Takes the oldest fragment of the datagram out; its row stays readable until the next `hold`, its frame is the caller's. NONE: there is none. */
  shift(datagram: number): number {
    const slot = this.heads[datagram] as number;
    if (slot === NONE) return NONE;
    this.heads[datagram] = this.next[slot] as number;
    if (this.heads[datagram] === NONE) this.tails[datagram] = NONE;
    if (this.firsts[datagram] === slot) this.firsts[datagram] = NONE;
    if (((this.rows[slot * PACKET_WORDS + P_FRAGMENT] as number) & 1) === 0) this.totals[datagram] = NONE;
    this.covered[datagram] = ((this.covered[datagram] as number) - (this.ends[slot] as number) + (this.starts[slot] as number)) | 0;
    this.counts[datagram] = ((this.counts[datagram] as number) - 1) | 0;
    const source = this.sources[datagram] as number;
    this.heldOf[source] = ((this.heldOf[source] as number) - 1) | 0;
    this.freeSlots[this.freeSlotCount] = slot;
    this.freeSlotCount = (this.freeSlotCount + 1) | 0;
    return slot;
  }

  private discardHeld(datagram: number, reason: number): void {
    for (let slot = this.shift(datagram); slot !== NONE; slot = this.shift(datagram))
      this.outlet.discard(this.rows[slot * PACKET_WORDS + P_OFFSET] as number, reason);
  }

  /** Frees a datagram that holds nothing any more. */
  forget(datagram: number): void {
    this.index.remove(this.hashes[datagram] as number, datagram);
    this.states[datagram] = FREE;
    const source = this.sources[datagram] as number;
    this.byAge.remove(0, datagram);
    this.bySource.remove(source, datagram);
    this.datagramsOf[source] = ((this.datagramsOf[source] as number) - 1) | 0;
    this.freeDatagrams[this.freeDatagramCount] = datagram;
    this.freeDatagramCount = (this.freeDatagramCount + 1) | 0;
  }

  /** The datagram's time is up: what it holds drops. */
  expire(datagram: number): void {
    this.discardHeld(datagram, TIMEOUT);
    this.forget(datagram);
  }

  /** What has come of this datagram was sent to the other site; what comes from the wire follows, for a while. */
  follow(datagram: number, nowMillis: number): void {
    this.follows[datagram] = 1;
    this.since[datagram] = nowMillis;
    this.lifetimes[datagram] = FRAGMENT_FOLLOW_MILLIS;
  }

  isGathering(datagram: number): boolean {
    return this.states[datagram] === GATHERING;
  }

  /** Nothing of it was handed here, or came back. */
  isFromWire(datagram: number): boolean {
    for (let slot = this.heads[datagram] as number; slot !== NONE; slot = this.next[slot] as number) {
      const row = slot * PACKET_WORDS;
      if (this.rows[row + P_INGRESS] !== 0 || this.rows[row + P_HANDED] !== 0) return false;
    }
    return true;
  }

  isExpired(datagram: number, nowMillis: number): boolean {
    return this.states[datagram] !== FREE && ((nowMillis - (this.since[datagram] as number)) | 0) >= (this.lifetimes[datagram] as number);
  }

  /** Gathering here, and for that long at least. */
  isWaiting(datagram: number, nowMillis: number, millis: number): boolean {
    return this.states[datagram] === GATHERING && this.follows[datagram] === 0 && ((nowMillis - (this.since[datagram] as number)) | 0) >= millis;
  }
}
