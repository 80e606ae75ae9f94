// Proof that two tables are equal: per owner and bucket a sum over (id, epoch, version) of its live rows. A change costs one
// subtraction and one addition; a comparison costs two records.
//
//   row ─ hash of id ─► bucket 0..255      sums[owner][bucket] = Σ mix(id, epoch, version), two words
//
// Counters and windows are not covered: they follow their own pace. The owner's sums stand against the same owner's sums at
// the peer, so a stale replica, a missing one and an old one all show.

import { hashId } from "../fastpath/memory/hash.ts";
import {
  ROW_WORDS,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_OWNER,
  S_STATE,
  S_VERSION,
  STATE_FREE,
  STATE_TOMBSTONE,
} from "../fastpath/sessions.ts";
import { DIGEST_BUCKETS } from "../limits.ts";

/** Owner words (unit and incarnation) that can have rows at the same time. */
const OWNERS = 16;
const UNCOUNTED = 255;
/** A live row for whose owner word there was no slot. */
const UNSLOTTED = 254;

/** Bucket of the row at word `at`. */
export function bucketOf(i: Int32Array, at: number): number {
  return hashId(i[at + S_ID_SERIAL] as number, i[at + S_ID_CREATOR] as number, i[at + S_ID_INCARNATION] as number) & (DIGEST_BUCKETS - 1);
}

function mix(hash: number, epoch: number, version: number, salt: number): number {
  let mixed = Math.imul(hash ^ salt, 0x9e3779b1) ^ Math.imul(epoch + salt, 0x85ebca77);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae3d) ^ Math.imul(version ^ salt, 0x27d4eb2f);
  mixed ^= mixed >>> 13;
  return Math.imul(mixed, 0x165667b1) ^ (mixed >>> 16);
}

export class Digests {
  private readonly i: Int32Array;
  /** What each row has been counted as, so that it can be taken back. */
  private readonly low: Int32Array;
  private readonly high: Int32Array;
  private readonly buckets: Uint8Array;
  private readonly owners: Uint8Array;
  private readonly ownerWords = new Int32Array(OWNERS);
  private readonly ownerRows = new Int32Array(OWNERS);
  private readonly sums = new Int32Array(OWNERS * DIGEST_BUCKETS * 2);

  constructor(i: Int32Array, rows: number) {
    this.i = i;
    this.low = new Int32Array(rows);
    this.high = new Int32Array(rows);
    this.buckets = new Uint8Array(rows);
    this.owners = new Uint8Array(rows).fill(UNCOUNTED);
  }

  /** The row may have changed: counts it as it is now. */
  update(row: number): void {
    const was = this.owners[row] as number;
    if (was < OWNERS) this.count(row, was, -1);
    const i = this.i;
    const at = row * ROW_WORDS;
    const state = (i[at + S_STATE] as number) & 0xff;
    if (state === STATE_FREE || state === STATE_TOMBSTONE) {
      this.owners[row] = UNCOUNTED;
      return;
    }
    const owner = this.slotOf(i[at + S_OWNER] as number);
    const hash = hashId(i[at + S_ID_SERIAL] as number, i[at + S_ID_CREATOR] as number, i[at + S_ID_INCARNATION] as number);
    const serial = i[at + S_ID_SERIAL] as number;
    this.buckets[row] = hash & (DIGEST_BUCKETS - 1);
    this.low[row] = mix(hash, i[at + S_EPOCH] as number, i[at + S_VERSION] as number, 0x51ed270b);
    this.high[row] = mix(serial, i[at + S_EPOCH] as number, i[at + S_VERSION] as number, 0x2545f491);
    this.owners[row] = owner;
    if (owner < OWNERS) this.count(row, owner, 1);
  }

  /** False when the row was free, or a tombstone, at its last change: known without touching it. */
  isLive(row: number): boolean {
    return this.owners[row] !== UNCOUNTED;
  }

  /** Low and high word of the sum of `ownerWord`'s rows in a bucket; 0 when it has none. */
  sumLow(ownerWord: number, bucket: number): number {
    const slot = this.find(ownerWord);
    return slot < 0 ? 0 : (this.sums[(slot * DIGEST_BUCKETS + bucket) * 2] as number);
  }

  sumHigh(ownerWord: number, bucket: number): number {
    const slot = this.find(ownerWord);
    return slot < 0 ? 0 : (this.sums[(slot * DIGEST_BUCKETS + bucket) * 2 + 1] as number);
  }

  private count(row: number, owner: number, sign: number): void {
    const at = (owner * DIGEST_BUCKETS + (this.buckets[row] as number)) * 2;
    this.sums[at] = ((this.sums[at] as number) + Math.imul(sign, this.low[row] as number)) | 0;
    this.sums[at + 1] = ((this.sums[at + 1] as number) + Math.imul(sign, this.high[row] as number)) | 0;
    this.ownerRows[owner] = ((this.ownerRows[owner] as number) + sign) | 0;
  }

  private find(ownerWord: number): number {
    for (let k = 0; k < OWNERS; k = (k + 1) | 0) if (this.ownerWords[k] === ownerWord && (this.ownerRows[k] as number) > 0) return k;
    return -1;
  }

  /** Slot of an owner word, a new one if need be. With all slots taken its rows stay uncounted, and a sweep shows them instead. */
  private slotOf(ownerWord: number): number {
    const known = this.find(ownerWord);
    if (known >= 0) return known;
    for (let k = 0; k < OWNERS; k = (k + 1) | 0) {
      if ((this.ownerRows[k] as number) !== 0) continue;
      this.ownerWords[k] = ownerWord;
      this.sums.fill(0, k * DIGEST_BUCKETS * 2, (k + 1) * DIGEST_BUCKETS * 2);
      return k;
    }
    return UNSLOTTED;
  }
}
