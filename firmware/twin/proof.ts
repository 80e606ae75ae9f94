// The exchange of digests: each unit shows a peer the sums of its own rows, the peer answers which buckets differ from what
// it holds of them, and those buckets are swept again.
//
//   owner   DIGEST round, buckets 0..127, 128..255 (without those that have unacknowledged rows) ──────► compare
//           still the same sum, still nothing unacknowledged ─► repair ◄────── DIGEST_DIFFERS round, bits
//
// A unit that rejoins shows its sums with a flag: its peer then returns the rows of the differing buckets (rejoin.ts).

import { type EventRing, eventKind } from "../fastpath/events.ts";
import { word } from "../fastpath/memory/layout.ts";
import { MEMBERS, type Tables } from "../fastpath/memory/tables.ts";
import { ROW_WORDS, S_STATE, type SessionTable, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { DIGEST_BUCKETS, DIGEST_MILLIS, UNITS } from "../limits.ts";
import { bucketOf, type Digests } from "./digest.ts";
import { type Channel, CLASS_SWEEP, RECORD_DIGEST, RECORD_DIGEST_DIFFERS } from "./frame.ts";
import type { Journal } from "./journal.ts";
import type { Pending } from "./pending.ts";
import { BUCKET_WORDS, type Sweeps } from "./sweep.ts";

/** Buckets of one record. */
const PART = DIGEST_BUCKETS / 2;
const PART_WORDS = PART >>> 5;
/** Body: round, owner word, first bucket, left-out bits, two words per bucket. */
const SKIPPED = 12;
const SUMS = SKIPPED + PART_WORDS * 4;
const DIGEST_BYTES = SUMS + PART * 8;
/** Body: round, first bucket, differing bits. */
const DIFFERS_BYTES = 8 + PART_WORDS * 4;
/** With more unacknowledged rows than this, a comparison would leave out nearly all buckets. */
const UNACKED_MOST = 4_096;
export const FLAG_REJOINING = 1;

const M_EQUAL = word(MEMBERS, "digestsEqual");
const EVENT_EQUAL = eventKind("digests-equal");
const EVENT_DIFFER = eventKind("digests-differ");

class PeerProof {
  round = 0;
  readonly sent = new Int32Array(DIGEST_BUCKETS * 2);
  readonly skipped = new Int32Array(BUCKET_WORDS);
  /** Bit set: at the last comparison this bucket was equal there (our rows), here (its rows). */
  readonly equalThere = new Int32Array(BUCKET_WORDS);
  readonly equalHere = new Int32Array(BUCKET_WORDS);
  equal = 0;
  /** Bit 0, bit 1: since its sweep ended, that half of its rows was found equal here. */
  agreed = 0;
}

export class Proof {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly digests: Digests;
  private readonly sweeps: Sweeps;
  private readonly channel: Channel;
  private readonly events: EventRing;
  private readonly members: Int32Array;
  private readonly peers: PeerProof[] = [];
  private dueMicros = 0;

  constructor(sessions: SessionTable, journal: Journal, sweeps: Sweeps, channel: Channel, events: EventRing, tables: Pick<Tables, "members">) {
    this.sessions = sessions;
    this.journal = journal;
    this.digests = journal.digests;
    this.sweeps = sweeps;
    this.channel = channel;
    this.events = events;
    this.members = tables.members.i;
    for (let unit = 0; unit < UNITS; unit++) {
      this.peers.push(new PeerProof());
      this.members[unit * MEMBERS.strideWords + M_EQUAL] = 0;
    }
  }

  /** A new association: nothing is proven about `unit` any more. */
  reset(unit: number, nowMicros: number): void {
    (this.peers[unit] as PeerProof).agreed = 0;
    this.lost(unit, nowMicros);
  }

  /**
   * The association is lost. What `unit` had given us it has given us all the same: when an active unit's own twin link fails, its mate
   * must be as eligible as it was, or nobody could be given way to.
   */
  lost(unit: number, nowMicros: number): void {
    const peer = this.peers[unit] as PeerProof;
    peer.equalThere.fill(0);
    peer.equalHere.fill(0);
    this.judge(unit, peer, 0, nowMicros);
  }

  /** `unit` has swept over all that it owns since the latest association, and then all its sums were equal here at some comparison. */
  hasAgreed(unit: number): boolean {
    return (this.peers[unit] as PeerProof).agreed === 3;
  }

  /** Now and then: shows every peer the sums of our rows, unless a sweep to it is under way anyway. */
  tick(nowMicros: number): void {
    if (nowMicros < this.dueMicros) return;
    this.dueMicros = nowMicros + DIGEST_MILLIS * 1_000;
    this.journal.drain(nowMicros);
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null || !pending.receiving || this.sweeps.busy(unit) || pending.unacked.count > UNACKED_MOST) continue;
      this.leaveOut(this.peers[unit] as PeerProof, pending);
      this.send(unit, 0);
    }
  }

  /** Shows `unit` all sums, whatever is under way: this unit rejoins. */
  showAll(unit: number): void {
    (this.peers[unit] as PeerProof).skipped.fill(0);
    this.send(unit, FLAG_REJOINING);
  }

  /** A DIGEST record: compares it. Differing buckets are set in `differing` (BUCKET_WORDS words). False: it cannot be read. */
  compare(from: number, body: number, bodyBytes: number, answer: boolean, differing: Int32Array, nowMicros: number): boolean {
    if (bodyBytes !== DIGEST_BYTES) return false;
    const view = this.channel.view;
    const owner = view.getInt32(body + 4);
    const first = view.getInt32(body + 8);
    if (first !== 0 && first !== PART) return false;
    const peer = this.peers[from] as PeerProof;
    let worse = 0;
    for (let k = 0; k < PART; k = (k + 1) | 0) {
      if ((view.getInt32(body + SKIPPED + ((k >>> 5) << 2)) & (1 << (k & 31))) !== 0) continue;
      const bucket = first + k;
      const same =
        view.getInt32(body + SUMS + (k << 3)) === this.digests.sumLow(owner, bucket) &&
        view.getInt32(body + SUMS + (k << 3) + 4) === this.digests.sumHigh(owner, bucket);
      putBit(peer.equalHere, bucket, same);
      putBit(differing, bucket, !same);
      if (!same) worse = (worse + 1) | 0;
    }
    if (!answer) return true;
    // A later difference is repaired at once, and may be no more than a row that overtook its digest.
    if (worse === 0 && this.sweeps.hasReceived(from)) peer.agreed |= first === 0 ? 1 : 2;
    this.judge(from, peer, worse, nowMicros);
    const out = this.channel.reserve(from, RECORD_DIGEST_DIFFERS, 0, DIFFERS_BYTES, CLASS_SWEEP);
    if (out < 0) return true;
    view.setInt32(out, view.getInt32(body));
    view.setInt32(out + 4, first);
    for (let k = 0; k < PART_WORDS; k = (k + 1) | 0) view.setInt32(out + 8 + (k << 2), differing[(first >>> 5) + k] as number);
    return true;
  }

  /** A DIGEST_DIFFERS record: repairs what differs still. */
  differs(from: number, body: number, bodyBytes: number, nowMicros: number): void {
    const view = this.channel.view;
    const peer = this.peers[from] as PeerProof;
    const pending = this.journal.pending[from] as Pending | null;
    if (bodyBytes !== DIFFERS_BYTES || pending === null || view.getInt32(body) !== peer.round) return;
    const first = view.getInt32(body + 4);
    if (first !== 0 && first !== PART) return;
    this.journal.drain(nowMicros);
    let worse = 0;
    for (let k = 0; k < PART; k = (k + 1) | 0) {
      const bucket = first + k;
      if (hasBit(peer.skipped, bucket)) continue;
      const same = (view.getInt32(body + 8 + ((k >>> 5) << 2)) & (1 << (k & 31))) === 0;
      // What has changed since proves nothing; the next round will tell.
      if (!same && !this.unchanged(peer, bucket)) continue;
      putBit(peer.equalThere, bucket, same);
      if (same) continue;
      worse = (worse + 1) | 0;
      this.sweeps.repair(from, bucket);
    }
    this.judge(from, peer, worse, nowMicros);
  }

  private unchanged(peer: PeerProof, bucket: number): boolean {
    return (
      peer.sent[bucket * 2] === this.digests.sumLow(this.sessions.me, bucket) && peer.sent[bucket * 2 + 1] === this.digests.sumHigh(this.sessions.me, bucket)
    );
  }

  /** Buckets with rows on their way prove nothing. An end that the peer had no room for does not count: it has no such session. */
  private leaveOut(peer: PeerProof, pending: Pending): void {
    const { i } = this.sessions;
    peer.skipped.fill(0);
    pending.unacked.rewind();
    for (let row = pending.unacked.next(); row >= 0 || !pending.unacked.wrapped; row = pending.unacked.next()) {
      if (row < 0) continue;
      const isUnheardEnd = pending.refused.has(row) && ((i[row * ROW_WORDS + S_STATE] as number) & 0xff) === STATE_TOMBSTONE;
      if (!isUnheardEnd) putBit(peer.skipped, bucketOf(i, row * ROW_WORDS), true);
    }
  }

  private send(unit: number, flags: number): void {
    const peer = this.peers[unit] as PeerProof;
    peer.round = (peer.round + 1) | 0;
    for (let first = 0; first < DIGEST_BUCKETS; first = (first + PART) | 0) {
      const body = this.channel.reserve(unit, RECORD_DIGEST, flags, DIGEST_BYTES, CLASS_SWEEP);
      const view = this.channel.view;
      for (let bucket = first; bucket < first + PART; bucket = (bucket + 1) | 0) {
        const low = this.digests.sumLow(this.sessions.me, bucket);
        const high = this.digests.sumHigh(this.sessions.me, bucket);
        peer.sent[bucket * 2] = low;
        peer.sent[bucket * 2 + 1] = high;
        if (body < 0) continue;
        view.setInt32(body + SUMS + ((bucket - first) << 3), low);
        view.setInt32(body + SUMS + ((bucket - first) << 3) + 4, high);
      }
      if (body < 0) continue;
      view.setInt32(body, peer.round);
      view.setInt32(body + 4, this.sessions.me);
      view.setInt32(body + 8, first);
      for (let k = 0; k < PART_WORDS; k = (k + 1) | 0) view.setInt32(body + SKIPPED + (k << 2), peer.skipped[(first >>> 5) + k] as number);
    }
  }

  /** Both ways equal in all buckets, at their last comparison? */
  private judge(unit: number, peer: PeerProof, worse: number, nowMicros: number): void {
    let all = -1;
    for (let k = 0; k < BUCKET_WORDS; k = (k + 1) | 0) all &= (peer.equalThere[k] as number) & (peer.equalHere[k] as number);
    const equal = all === -1 ? 1 : 0;
    this.members[unit * MEMBERS.strideWords + M_EQUAL] = equal;
    if (worse > 0) this.events.note(EVENT_DIFFER, nowMicros, unit, -1, worse);
    else if (equal === 1 && peer.equal === 0) this.events.note(EVENT_EQUAL, nowMicros, unit, -1, 0);
    peer.equal = equal;
  }
}

export function hasBit(words: Int32Array, bit: number): boolean {
  return ((words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
}

function putBit(words: Int32Array, bit: number, on: boolean): void {
  const at = bit >>> 5;
  words[at] = on ? (words[at] as number) | (1 << (bit & 31)) : (words[at] as number) & ~(1 << (bit & 31));
}
