// Half-open TCP sessions per destination (F9): how many there are, and whether one more may be.
//
//   SYN that a rule permits ─► allows? ─┬─ no ──► half-open-limit, no row is made
//                                       └─ yes ─► row ─► add ─ established, ended or expired ─► remove
//
// One limit for both sites (W6). While both may live, a site makes sessions within its equal share, whatever it knows of the
// other, and none when all that it knows of, replicas included, reaches the limit. Shares sum to the limit, so it holds whatever
// is lost or late between the sites; the second condition covers a site that returns to one that had used the whole limit.
// A session counts for its owner's site. The sum over all destinations is bounded in the same way by a part of the table.
//
// Destinations lie in parallel arrays behind a keyed index: as many as there can be half-open sessions, so none is ever without
// a place. All of it is private memory, rebuilt from the rows' flags at adoption.

import { HALF_OPEN_SHARE } from "../limits.ts";
import { hashTuple } from "./memory/hash.ts";
import { HashIndex } from "./memory/index.ts";

const SITES = 2;
const NOT_FOUND = -1;
/** Of a key (ten words, as in a packet row or a session row): the destination's address and the word that holds the domain. */
const KEY_DESTINATION = 4;
const KEY_FLOW = 9;
const TUPLE_WORDS = 10;
const INDEX_SLOTS = 2;

/** The site of a unit number: 0 or 1. */
export function siteOf(unit: number): number {
  return ((unit - 1) >> 1) & 1;
}

export class HalfOpen {
  /** Half-open sessions in all, replicas included. */
  total = 0;
  /** Most of them. */
  readonly most: number;
  private readonly totals = new Int32Array(SITES);
  /** Destination → place + 1. */
  private readonly index: HashIndex;
  private readonly addresses: Int32Array;
  private readonly domains: Int32Array;
  private readonly hashes: Int32Array;
  /** By place and site. */
  private readonly counts: Int32Array;
  private readonly freePlaces: Int32Array;
  private freeCount = 0;
  private readonly tuple = new Int32Array(TUPLE_WORDS);
  private readonly key0: number;
  private readonly key1: number;

  /** `rows`: capacity of the session table, a power of two. `key0`, `key1`: this boot's hash key. */
  constructor(rows: number, key0: number, key1: number) {
    this.most = Math.max(rows / HALF_OPEN_SHARE, SITES);
    this.key0 = key0;
    this.key1 = key1;
    this.index = new HashIndex(this.most * INDEX_SLOTS);
    this.addresses = new Int32Array(this.most * 4);
    this.domains = new Int32Array(this.most);
    this.hashes = new Int32Array(this.most);
    this.counts = new Int32Array(this.most * SITES);
    this.freePlaces = new Int32Array(this.most);
    this.clear();
  }

  clear(): void {
    this.total = 0;
    this.totals.fill(0);
    this.index.clear();
    this.counts.fill(0);
    for (let k = 0; k < this.most; k++) this.freePlaces[k] = this.most - 1 - k;
    this.freeCount = this.most;
  }

  /**
   * May `site` make one more half-open session to the destination of the key at `words[at]`? `limit`: per destination, over all
   * sites, at least 2. `sites`: how many may be making sessions now, 1 or 2.
   */
  allows(words: Int32Array, at: number, site: number, limit: number, sites: number): boolean {
    if (this.total >= this.most || (this.totals[site] as number) >= this.most >> (sites - 1)) return false;
    const place = this.find(words, at, this.hash(words, at));
    if (place === NOT_FOUND) return true;
    const own = this.counts[place * SITES + site] as number;
    return own < limit >> (sites - 1) && own + (this.counts[place * SITES + (1 - site)] as number) < limit;
  }

  /** Counts a session of `site` for its destination. False: there is no place left, nothing was counted. */
  add(words: Int32Array, at: number, site: number): boolean {
    const hash = this.hash(words, at);
    let place = this.find(words, at, hash);
    if (place === NOT_FOUND) place = this.take(words, at, hash);
    if (place === NOT_FOUND) return false;
    this.counts[place * SITES + site] = ((this.counts[place * SITES + site] as number) + 1) | 0;
    this.totals[site] = ((this.totals[site] as number) + 1) | 0;
    this.total = (this.total + 1) | 0;
    return true;
  }

  /** Gives back what `add` counted. */
  remove(words: Int32Array, at: number, site: number): void {
    const place = this.find(words, at, this.hash(words, at));
    if (place === NOT_FOUND || this.counts[place * SITES + site] === 0) throw new Error("a half-open session was given back that was never counted");
    this.counts[place * SITES + site] = ((this.counts[place * SITES + site] as number) - 1) | 0;
    this.totals[site] = ((this.totals[site] as number) - 1) | 0;
    this.total = (this.total - 1) | 0;
    if (this.counts[place * SITES] !== 0 || this.counts[place * SITES + 1] !== 0) return;
    this.index.remove(this.hashes[place] as number, place);
    this.freePlaces[this.freeCount] = place;
    this.freeCount = (this.freeCount + 1) | 0;
  }

  /** Half-open sessions to the destination of the key at `words[at]`, over all sites. */
  countOf(words: Int32Array, at: number): number {
    const place = this.find(words, at, this.hash(words, at));
    return place === NOT_FOUND ? 0 : ((this.counts[place * SITES] as number) + (this.counts[place * SITES + 1] as number)) | 0;
  }

  private hash(words: Int32Array, at: number): number {
    for (let k = 0; k < 4; k = (k + 1) | 0) this.tuple[k] = words[at + KEY_DESTINATION + k] as number;
    this.tuple[4] = (words[at + KEY_FLOW] as number) >>> 16;
    return hashTuple(this.tuple, 0, this.key0, this.key1);
  }

  private find(words: Int32Array, at: number, hash: number): number {
    const slots = this.index.words;
    const mask = this.index.mask;
    let slot = hash & mask;
    for (;;) {
      const value = slots[slot * 2 + 1] as number;
      if (value === 0) return NOT_FOUND;
      if (slots[slot * 2] === hash && this.equals(value - 1, words, at)) return value - 1;
      slot = (slot + 1) & mask;
    }
  }

  private equals(place: number, words: Int32Array, at: number): boolean {
    const address = place * 4;
    const to = at + KEY_DESTINATION;
    return (
      this.addresses[address + 3] === words[to + 3] &&
      this.addresses[address] === words[to] &&
      this.addresses[address + 1] === words[to + 1] &&
      this.addresses[address + 2] === words[to + 2] &&
      this.domains[place] === (words[at + KEY_FLOW] as number) >>> 16
    );
  }

  private take(words: Int32Array, at: number, hash: number): number {
    if (this.freeCount === 0) return NOT_FOUND;
    const place = this.freePlaces[this.freeCount - 1] as number;
    if (!this.index.insert(hash, place)) return NOT_FOUND;
    this.freeCount = (this.freeCount - 1) | 0;
    for (let k = 0; k < 4; k = (k + 1) | 0) this.addresses[place * 4 + k] = words[at + KEY_DESTINATION + k] as number;
    this.domains[place] = (words[at + KEY_FLOW] as number) >>> 16;
    this.hashes[place] = hash;
    return place;
  }
}
