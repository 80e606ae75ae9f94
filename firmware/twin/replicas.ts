// Rows in: what a peer says about a session meets what this table holds.
//
//   record ─► known id? ─┬─ yes ─► newer? ─┬─ yes ─► take it over (live, or ended)        acknowledge
//                        │                 └─ no ──► it is stale: ignore, or show mine     silence
//                        └─ no ──┬─ tombstone ─► bury the id                              acknowledge
//                                └─ live ─► key taken? ─┬─ no ──► new replica             acknowledge, or refuse when full
//                                                       └─ yes ─► conflict.ts decides
//
// Acknowledged implies present: nothing is acknowledged before it is applied, and what is not applied is not acknowledged.

import { type EventRing, eventKind } from "../fastpath/events.ts";
import { counterRow, STATE_NAMES, type Tables } from "../fastpath/memory/tables.ts";
import { OWNER_ADOPT } from "../fastpath/partner.ts";
import {
  FLAG_HALF_OPEN,
  FLAG_TENTATIVE,
  KEY_STRIDE,
  KEY_WORDS,
  NOT_FOUND,
  ownerUnit,
  ROW_WORDS,
  S_ADOPTED,
  S_CREATED,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_IDLE_LIMIT,
  S_KEY,
  S_LAST_SEEN,
  S_OWNER,
  S_REPLICA,
  S_STATE,
  S_SWEEP,
  S_VERSION,
  type SessionTable,
  STATE_LAST_TCP,
  STATE_TOMBSTONE,
} from "../fastpath/sessions.ts";
import { REPLAY_WINDOW, TOMBSTONE_GUARD_MILLIS, TOMBSTONE_MILLIS, TOMBSTONE_SHARE, UNITS } from "../limits.ts";
import { RowBits } from "./bits.ts";
import { compareAge, compareIds, creatorOf, differs, mergeRow } from "./conflict.ts";
import type { Journal } from "./journal.ts";
import type { Pending } from "./pending.ts";
import { DecodedRow, replicatedDoubles, replicatedWords } from "./record.ts";
import { Yields } from "./yields.ts";

/** What becomes of a record. */
export const SILENT = 0;
export const ACKNOWLEDGE = 1;
export const REFUSE = 2;
/** The table is full: to be asked again. */
export const NO_ROOM = 3;

const C_APPLIED = counterRow("replicas-applied");
const C_REFUSED = counterRow("replicas-refused");
const C_WON = counterRow("conflicts-won");
const C_YIELDED = counterRow("conflicts-yielded");
const C_GRANTS = counterRow("grants-taken");
const C_LOST = counterRow("sessions-lost");
const SYN_RECEIVED = STATE_NAMES.indexOf("syn-received");
const EVENT_CONFLICT = eventKind("conflict-resolved");

/** Who decides for an owner word: roles.ts, as the fastpath asks it (OWNER_* | unit << 8). Plain OWNER_ADOPT: this unit succeeds that owner. */
export interface Dispositions {
  disposition(ownerWord: number): number;
  /** A unit's owner word in its present incarnation; 0 = never heard of. */
  wordOf(unit: number): number;
  /** While true nothing may be adopted: a peer may be about to show a newer state. */
  readonly rejoining: boolean;
}

export class Replicas {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly roles: Dispositions;
  private readonly events: EventRing;
  private readonly counters: Float64Array;
  /** State before the end of rows that lost a conflict. */
  readonly yields = new Yields();
  /** A row of ours as it was before a record was merged with it. */
  private readonly own = new DecodedRow();
  /** Words that change in a session's life, without the 64-bit ones; those; all words of a new row. */
  private readonly stateWords: Int32Array;
  private readonly doubles: Int32Array;
  private readonly allWords: Int32Array;
  /** Tombstones of other units' sessions: the frame that brought the end (dropped replicas: a stamp), from whom, and when. */
  private readonly guardCounter: Int32Array;
  private readonly guardMillis: Int32Array;
  private readonly guardUnit: Uint8Array;
  /** Tombstones that no owner announced: replicas that were found to be nobody's. */
  private readonly dropped: RowBits;
  /** Latest frame counter with rows, and latest stamp, by unit. */
  private readonly latestCounter = new Int32Array(UNITS);
  private readonly latestStamp = new Int32Array(UNITS);
  /** By unit: 1 = sessions that it created have ended here while it was away, and were forgotten. */
  private readonly forgotEnds = new Uint8Array(UNITS);
  private nowMicros = 0;
  private nowMillis = 0;
  /** Rows of ours may be missing here (a crash in mid-write, an older checkpoint): peers that show them are believed. */
  private mayHaveLost = false;
  /** By unit: 1 = it may hold rows of ours that were lost, and has not caught us up since (rejoin.ts). */
  readonly mayReturn = new Uint8Array(UNITS);
  /** Rows of ours may have been lost, and no end that this start has seen is forgotten yet: a session that is unknown here was never known to this start. */
  private hasNotForgotten = false;

  constructor(sessions: SessionTable, journal: Journal, roles: Dispositions, events: EventRing, tables: Pick<Tables, "counters">) {
    this.sessions = sessions;
    this.journal = journal;
    this.roles = roles;
    this.events = events;
    this.counters = tables.counters.f;
    this.doubles = replicatedDoubles();
    const isDouble = (at: number) => this.doubles.includes(at) || this.doubles.includes(at - 1);
    const isIdentity = (at: number) =>
      (at >= S_KEY && at < S_KEY + KEY_WORDS) ||
      (at >= S_KEY + KEY_STRIDE && at < S_KEY + KEY_STRIDE + KEY_WORDS) ||
      (at >= S_ID_SERIAL && at <= S_EPOCH) ||
      at === S_OWNER;
    this.allWords = replicatedWords().filter((at) => !isDouble(at));
    this.stateWords = this.allWords.filter((at) => !isIdentity(at) && at !== S_STATE);
    this.guardCounter = new Int32Array(sessions.capacity);
    this.guardMillis = new Int32Array(sessions.capacity);
    this.guardUnit = new Uint8Array(sessions.capacity);
    this.dropped = new RowBits(sessions.capacity);
  }

  /** The clock of this breath. */
  at(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.nowMillis = Math.floor(nowMicros / 1_000) | 0;
  }

  /** This unit rejoins; the first time after a start that may have lost rows, it says so. */
  rejoins(mayHaveLost: boolean): void {
    this.mayHaveLost = mayHaveLost;
    if (!mayHaveLost) return;
    this.hasNotForgotten = true;
    this.mayReturn.fill(1);
    // Ends that a checkpoint tells of: nobody knows how old they are, so they are kept from now on.
    for (let row = 0; row < this.sessions.capacity; row = (row + 1) | 0) if (this.isTombstone(row)) this.guardMillis[row] = this.nowMillis;
  }

  rejoined(): void {
    this.mayHaveLost = false;
  }

  /** The peer's dataplane started anew: its frame counters begin again. */
  restarted(unit: number): void {
    this.latestCounter[unit] = 0;
    this.latestStamp[unit] = 0;
  }

  /** Applies a record that `from` sent in the frame with this counter. Returns ACKNOWLEDGE, REFUSE, NO_ROOM or SILENT. `sweeping`: its sweep to us is under way. */
  apply(from: number, d: DecodedRow, counter: number, sweeping: boolean): number {
    if (((counter - (this.latestCounter[from] as number)) | 0) > 0) this.latestCounter[from] = counter;
    if (((d.stamp - (this.latestStamp[from] as number)) | 0) > 0) this.latestStamp[from] = d.stamp;
    const i = d.i;
    i[S_LAST_SEEN] = (this.nowMillis - d.idleMillis) | 0;
    i[S_CREATED] = (this.nowMillis - d.ageMillis) | 0;
    const row = this.sessions.findById(i[S_ID_SERIAL] as number, i[S_ID_CREATOR] as number, i[S_ID_INCARNATION] as number);
    const result = row === NOT_FOUND ? this.unknown(from, d, counter) : this.known(from, row, d, counter, sweeping);
    if (result === ACKNOWLEDGE) this.inherit(i);
    if (result === ACKNOWLEDGE) this.counters[C_APPLIED] = (this.counters[C_APPLIED] as number) + 1;
    if (result === REFUSE || result === NO_ROOM) this.counters[C_REFUSED] = (this.counters[C_REFUSED] as number) + 1;
    return result;
  }

  /** A session that its owner ended because ours stands: buries it and merges its state into ours. `loserState`: its last state word. */
  yielded(from: number, d: DecodedRow, counter: number): number {
    const i = d.i;
    const known = this.sessions.findById(i[S_ID_SERIAL] as number, i[S_ID_CREATOR] as number, i[S_ID_INCARNATION] as number);
    if (i[S_OWNER] === this.sessions.me) {
      if (known !== NOT_FOUND && this.sessions.i[known * ROW_WORDS + S_OWNER] === this.sessions.me) this.absorb(known, d);
      return ACKNOWLEDGE;
    }
    if (known !== NOT_FOUND && this.isTombstone(known) && compareAge(i, 0, this.sessions.i, known * ROW_WORDS) <= 0) return ACKNOWLEDGE;
    const loserState = i[S_STATE] as number;
    i[S_STATE] = (loserState & ~0xff) | STATE_TOMBSTONE;
    const result = this.apply(from, d, counter, false);
    if (result !== ACKNOWLEDGE) return result;
    const found = this.sessions.find(i, S_KEY, this.sessions.hash(i, S_KEY));
    if (found === NOT_FOUND) return ACKNOWLEDGE;
    if (this.sessions.i[(found >>> 1) * ROW_WORDS + S_OWNER] === this.sessions.me) this.merge(found >>> 1, d, loserState);
    return ACKNOWLEDGE;
  }

  /** The other session for the same flow loses against ours, and its state becomes part of it. */
  private merge(winner: number, loser: DecodedRow, loserState: number): void {
    const sessions = this.sessions;
    const at = winner * ROW_WORDS;
    mergeRow(sessions.i, sessions.f, winner, loser.i, loser.f, loserState);
    if (((sessions.i[at + S_STATE] as number) & 0xff) > SYN_RECEIVED) sessions.setHalfOpen(winner, false);
    sessions.setOwner(winner, sessions.me, ((sessions.i[at + S_EPOCH] as number) + 1) | 0);
    sessions.changed(winner);
    this.counters[C_WON] = (this.counters[C_WON] as number) + 1;
    this.events.noteFlow(EVENT_CONFLICT, this.nowMicros, sessions.i, at + S_KEY, 0, sessions.unit, -1);
  }

  /**
   * May a tombstone of another unit's session be forgotten: no frame from before it can arrive any more.
   */
  guardPassed(row: number): boolean {
    const unit = this.guardUnit[row] as number;
    if (((this.nowMillis - (this.guardMillis[row] as number)) | 0) >= TOMBSTONE_GUARD_MILLIS) return true;
    return unit !== 0 && (((this.latestCounter[unit] as number) - (this.guardCounter[row] as number)) | 0) > REPLAY_WINDOW;
  }

  /**
   * A replica that is nobody's, by its owner's sweep or own word: it ends here. Only a later sweep, or a record that its owner made
   * after `stamp`, brings it back.
   */
  dropReplica(row: number, sweep: number, stamp: number): void {
    const at = row * ROW_WORDS;
    if (ownerUnit(this.sessions.i[at + S_OWNER] as number) === this.sessions.unit) this.counters[C_LOST] = (this.counters[C_LOST] as number) + 1;
    this.sessions.i[at + S_SWEEP] = sweep;
    this.endReplica(row, 0, stamp);
    this.dropped.set(row);
  }

  /** `unit` answered that it knows nothing of this replica. */
  disowned(row: number, unit: number): void {
    this.dropReplica(row, this.sessions.i[row * ROW_WORDS + S_SWEEP] as number, this.latestStamp[unit] as number);
  }

  /** The successor of its owner, perhaps of us, did not take this row: it ends here, unless something newer has come. */
  refused(row: number): void {
    const owner = this.sessions.i[row * ROW_WORDS + S_OWNER] as number;
    if (owner !== this.sessions.me && !this.isTombstone(row) && this.isLeftBehind(owner))
      this.dropReplica(row, this.sessions.i[row * ROW_WORDS + S_SWEEP] as number, 0);
  }

  /** True while `unit` has not answered whether it takes this row. */
  isOffered(row: number, unit: number): boolean {
    return (this.journal.pending[unit] as Pending | null)?.owed.has(row) === true;
  }

  /**
   * An end that must not be forgotten yet: the session's creator is away, and may come back with the session alive. Bounded: with too
   * many of them, all are forgotten, and the creator's offers are refused when it returns.
   */
  remembers(row: number, tombstones: number): boolean {
    const creator = creatorOf(this.sessions.i, row * ROW_WORDS);
    const pending = creator < UNITS ? (this.journal.pending[creator] as Pending | null) : null;
    if (pending === null || pending.receiving || this.forgotEnds[creator] === 1) return false;
    if (tombstones <= this.sessions.capacity / TOMBSTONE_SHARE) return true;
    this.forgotEnds[creator] = 1;
    return false;
  }

  /** A sweep to `unit` is through: it has nothing to offer any more that ended here. */
  settled(unit: number): void {
    this.forgotEnds[unit] = 0;
  }

  /** The tombstone is about to be free. */
  forgetEnd(row: number): void {
    this.hasNotForgotten = false;
    this.forget(row);
  }

  private forget(row: number): void {
    this.dropped.clear(row);
    this.yields.forget(row);
  }

  /** Rows of this owner are this unit's by a succession (not by the partition setting: that is for packets, not for walks). */
  private isInherited(owner: number): boolean {
    return owner !== this.sessions.me && !this.roles.rejoining && this.roles.disposition(owner) === OWNER_ADOPT;
  }

  /** An owner word that is no unit's present one. */
  private isLeftBehind(owner: number): boolean {
    const unit = ownerUnit(owner);
    return unit === this.sessions.unit || owner !== this.roles.wordOf(unit);
  }

  /** The sender shows what it owned before this unit succeeded it. */
  private isOffer(from: number, i: Int32Array): boolean {
    const owner = i[S_OWNER] as number;
    return ownerUnit(owner) === from && this.roles.disposition(owner) === OWNER_ADOPT;
  }

  /** A record may name an owner whom this unit has succeeded meanwhile: the sender did not know yet. The row is ours. */
  private inherit(i: Int32Array): void {
    if (!this.isInherited(i[S_OWNER] as number)) return;
    const row = this.sessions.findById(i[S_ID_SERIAL] as number, i[S_ID_CREATOR] as number, i[S_ID_INCARNATION] as number);
    if (row !== NOT_FOUND && !this.isTombstone(row) && this.sessions.i[row * ROW_WORDS + S_OWNER] === i[S_OWNER]) this.sessions.adopt(row, this.nowMillis);
  }

  private isTombstone(row: number): boolean {
    return ((this.sessions.i[row * ROW_WORDS + S_STATE] as number) & 0xff) === STATE_TOMBSTONE;
  }

  private known(from: number, row: number, d: DecodedRow, counter: number, sweeping: boolean): number {
    const sessions = this.sessions;
    const at = row * ROW_WORDS;
    const local = sessions.i;
    const order = compareAge(d.i, 0, local, at);
    const owner = d.i[S_OWNER] as number;
    if (owner === sessions.me) return this.returned(row, d, order);
    if (this.dropped.has(row)) {
      // An older end of what was dropped here: nothing lives on either side.
      if (order < 0 && ((d.i[S_STATE] as number) & 0xff) === STATE_TOMBSTONE) return ACKNOWLEDGE;
      if (order < 0 || (((d.sweep - (local[at + S_SWEEP] as number)) | 0) <= 0 && ((d.stamp - (this.guardCounter[row] as number)) | 0) <= 0)) return SILENT;
      return this.revive(from, row, d, counter);
    }
    const mine = local[at + S_OWNER] as number;
    if (order === 0 && owner === mine) {
      if (d.latest) local[at + S_SWEEP] = d.sweep;
      return ACKNOWLEDGE;
    }
    if (order < 0 || (order === 0 && ownerUnit(owner) > ownerUnit(mine))) {
      // An offer of what we adopted from an older copy: the session went on there.
      if (mine === sessions.me && this.isInherited(owner) && this.absorb(row, d)) return SILENT;
      // Mere reordering needs no answer; an owner that restarted with older rows, or that does not know of its succession, does, and so
      // does who offers what has ended: an end stays under the word of the owner that this unit succeeded (seed 2699).
      if (mine !== owner || sweeping || this.isInherited(owner)) this.show(from, row);
      return SILENT;
    }
    if (this.isTombstone(row)) {
      if (((d.i[S_STATE] as number) & 0xff) !== STATE_TOMBSTONE) return this.revive(from, row, d, counter);
      this.takeEnd(from, row, d, counter);
      return ACKNOWLEDGE;
    }
    if (((d.i[S_STATE] as number) & 0xff) === STATE_TOMBSTONE) {
      this.takeIdentity(row, d);
      local[at + S_VERSION] = d.i[S_VERSION] as number;
      this.endReplica(row, from, counter);
      return ACKNOWLEDGE;
    }
    this.yields.forget(row);
    if (mine === sessions.me || (ownerUnit(owner) === from && this.isFurther(at, d))) this.handOver(from, row, d);
    else {
      this.takeState(row, d);
      this.journal.touch(row, this.nowMicros);
    }
    return ACKNOWLEDGE;
  }

  /**
   * Has a session gone further in row `at` than in the copy that its present owner adopted? An adoption makes the next epoch and the next
   * version, so a copy as old as ours would come with a later one.
   */
  private isFurther(at: number, d: DecodedRow): boolean {
    const { i } = this.sessions;
    return (((d.i[S_EPOCH] as number) - (i[at + S_EPOCH] as number)) | 0) === 1 && (((d.i[S_VERSION] as number) - (i[at + S_VERSION] as number)) | 0) <= 0;
  }

  /**
   * Somebody adopted a session while we, its owner, lived, cut off; or from a copy that is older than ours, its former owner's last words
   * having reached us only. It is theirs now, with what they could not know: they are sent it.
   */
  private handOver(from: number, row: number, d: DecodedRow): void {
    const { i, f, wheel } = this.sessions;
    const at = row * ROW_WORDS;
    this.own.i.set(i.subarray(at, at + ROW_WORDS));
    wheel.cancel(row);
    this.takeState(row, d);
    mergeRow(i, f, row, this.own.i, this.own.f, this.own.i[S_STATE] as number);
    this.journal.touch(row, this.nowMicros);
    if (!differs(i, at, d.i) || !this.yields.remember(row, i[at + S_STATE] as number)) return;
    this.show(from, row);
  }

  /** The same session went further elsewhere than here, where it is decided: takes that in, in a new epoch. False: it did not. */
  private absorb(row: number, d: DecodedRow): boolean {
    const { i, f } = this.sessions;
    const at = row * ROW_WORDS;
    if (this.isTombstone(row) || ((d.i[S_STATE] as number) & 0xff) === STATE_TOMBSTONE) return false;
    this.own.i.set(i.subarray(at, at + ROW_WORDS));
    mergeRow(i, f, row, d.i, d.f, d.i[S_STATE] as number);
    if (!differs(i, at, this.own.i)) return false;
    if (((i[at + S_STATE] as number) & 0xff) > SYN_RECEIVED) this.sessions.setHalfOpen(row, false);
    this.sessions.setOwner(row, this.sessions.me, ((i[at + S_EPOCH] as number) + 1) | 0);
    this.sessions.changed(row);
    return true;
  }

  /** A peer shows a row that it holds as ours: newer than what we have only if we restarted from an older copy. */
  private returned(row: number, d: DecodedRow, order: number): number {
    if (order <= 0 || this.isTombstone(row)) return ACKNOWLEDGE;
    const sessions = this.sessions;
    if (((d.i[S_STATE] as number) & 0xff) === STATE_TOMBSTONE) {
      this.takeIdentity(row, d);
      sessions.i[row * ROW_WORDS + S_VERSION] = d.i[S_VERSION] as number;
      sessions.end(row);
      sessions.wheel.schedule(row, this.nowMillis, TOMBSTONE_MILLIS);
    } else {
      const isGrant = sessions.i[row * ROW_WORDS + S_OWNER] !== sessions.me;
      this.takeState(row, d);
      // A grant brings all that its owner knew. Any other is a past state of ours, or a grant that its packets overtook: something passed since.
      if (!isGrant) this.takeAsPast(row);
      else this.counters[C_GRANTS] = (this.counters[C_GRANTS] as number) + 1;
      this.schedule(row);
    }
    sessions.changes.note(row);
    return ACKNOWLEDGE;
  }

  /** What a peer has of a session of ours may be older than what we let pass: its windows are tentative. */
  private takeAsPast(row: number): void {
    const at = row * ROW_WORDS;
    const i = this.sessions.i;
    if (((i[at + S_STATE] as number) & 0xff) <= STATE_LAST_TCP) i[at + S_STATE] = (i[at + S_STATE] as number) | FLAG_TENTATIVE;
    i[at + S_ADOPTED] = this.nowMillis || 1;
  }

  /** A later epoch stands above the end that was known: the row starts anew. */
  private revive(from: number, row: number, d: DecodedRow, counter: number): number {
    this.journal.forget(row);
    this.forget(row);
    this.sessions.release(row);
    return this.unknown(from, d, counter);
  }

  private unknown(from: number, d: DecodedRow, counter: number): number {
    const sessions = this.sessions;
    // A row of ours that we do not have has ended, unless we know that some were lost. Our sweep tells the peer.
    const isLost = this.mayHaveLost || (this.mayReturn[from] === 1 && this.hasNotForgotten);
    if (d.i[S_OWNER] === sessions.me && !isLost) return ACKNOWLEDGE;
    if (((d.i[S_STATE] as number) & 0xff) === STATE_TOMBSTONE) return this.bury(from, d, counter);
    const creator = creatorOf(d.i, 0);
    // What its creator offers was remembered, had it ended here. Others' ends are forgotten sooner; but this start may not have known any.
    if (this.isOffer(from, d.i) && (this.forgotEnds[from] === 1 || (creator !== from && !this.hasNotForgotten))) return REFUSE;
    if (creator < UNITS && this.forgotEnds[creator] === 1 && this.isInherited(d.i[S_OWNER] as number)) return REFUSE;
    const row = sessions.take();
    if (row < 0) return NO_ROOM;
    const at = row * ROW_WORDS;
    this.write(at, d, this.allWords);
    sessions.i[at + S_STATE] = (d.i[S_STATE] as number) & ~FLAG_HALF_OPEN;
    sessions.commit(row);
    let other = sessions.link(row);
    // A row has two keys: at the most two others can hold them.
    for (let tries = 0; other >= 0 && tries < 2; tries = (tries + 1) | 0) {
      if (!this.standsAgainst(from, at, other, counter)) break;
      other = sessions.link(row);
    }
    if (other !== -1) {
      sessions.release(row);
      if (other === -2) return NO_ROOM;
      return this.losesHere(other, d) ? REFUSE : SILENT;
    }
    const isOpening = ((sessions.i[at + S_STATE] as number) & 0xff) <= SYN_RECEIVED;
    sessions.setHalfOpen(row, isOpening && ((d.i[S_STATE] as number) & FLAG_HALF_OPEN) !== 0);
    if (d.i[S_OWNER] === sessions.me) {
      // Our own session, which a crash or an older checkpoint had lost here.
      this.takeAsPast(row);
      this.schedule(row);
      sessions.changes.note(row);
    } else this.journal.touch(row, this.nowMicros);
    return ACKNOWLEDGE;
  }

  /** The new row at word `at` and the live row `other` share a key. True when the new one stands and the other is ended. */
  private standsAgainst(from: number, at: number, other: number, counter: number): boolean {
    const sessions = this.sessions;
    const i = sessions.i;
    const otherAt = other * ROW_WORDS;
    const mine = i[otherAt + S_OWNER] === sessions.me || this.isInherited(i[otherAt + S_OWNER] as number);
    const creator = creatorOf(i, at);
    const otherCreator = creatorOf(i, otherAt);
    if (creator === otherCreator) {
      if (compareIds(i, at, i, otherAt) < 0) return false;
      if (mine) this.endOwn(other);
      else this.endReplica(other, from, counter);
      return true;
    }
    // Two sessions of one owner cannot share a key: one of the records is older than the other's end, which is on its way.
    if (!mine) return false;
    if (creator > otherCreator) {
      this.show(from, other);
      return false;
    }
    if (this.isInherited(i[at + S_OWNER] as number)) this.bequeath(at / ROW_WORDS, other);
    else this.yields.remember(other, i[otherAt + S_STATE] as number);
    this.counters[C_YIELDED] = (this.counters[C_YIELDED] as number) + 1;
    this.endOwn(other);
    return true;
  }

  /** What stands against a session of ours is about to be ours, too, as its owner's successor: nobody else will merge the two. */
  private bequeath(winner: number, loser: number): void {
    const { i, f } = this.sessions;
    this.own.i.set(i.subarray(loser * ROW_WORDS, (loser + 1) * ROW_WORDS));
    mergeRow(i, f, winner, this.own.i, this.own.f, this.own.i[S_STATE] as number);
  }

  /**
   * What is offered to us as its owner's successor loses against a session of ours: nobody else will end it, so it is merged now, and
   * refused. Merely shown the winner, the peer could not take it: the loser holds the key there, and is not the peer's to end.
   */
  private losesHere(other: number, d: DecodedRow): boolean {
    const { i, me } = this.sessions;
    if (i[other * ROW_WORDS + S_OWNER] !== me || creatorOf(d.i, 0) <= creatorOf(i, other * ROW_WORDS) || !this.isInherited(d.i[S_OWNER] as number))
      return false;
    this.merge(other, d, d.i[S_STATE] as number);
    return true;
  }

  private endOwn(row: number): void {
    const sessions = this.sessions;
    if (sessions.i[row * ROW_WORDS + S_OWNER] !== sessions.me) sessions.adopt(row, this.nowMillis);
    sessions.end(row);
    sessions.changed(row);
    sessions.wheel.schedule(row, this.nowMillis, TOMBSTONE_MILLIS);
  }

  /** Ends a live row that is not ours to end: the tombstone guards against delayed records of it. */
  private endReplica(row: number, from: number, counter: number): void {
    this.sessions.end(row);
    this.guard(row, from, counter);
    this.journal.touch(row, this.nowMicros);
  }

  private guard(row: number, from: number, counter: number): void {
    this.guardCounter[row] = counter;
    this.guardMillis[row] = this.nowMillis;
    this.guardUnit[row] = from;
    this.sessions.wheel.schedule(row, this.nowMillis, TOMBSTONE_MILLIS);
  }

  private bury(from: number, d: DecodedRow, counter: number): number {
    const sessions = this.sessions;
    const row = sessions.take();
    if (row < 0) return NO_ROOM;
    const at = row * ROW_WORDS;
    this.write(at, d, this.allWords);
    sessions.i[at + S_STATE] = STATE_TOMBSTONE;
    sessions.commit(row);
    if (!sessions.linkTombstone(row)) {
      sessions.release(row);
      return NO_ROOM;
    }
    this.guard(row, from, counter);
    this.journal.touch(row, this.nowMicros);
    return ACKNOWLEDGE;
  }

  private takeEnd(from: number, row: number, d: DecodedRow, counter: number): void {
    this.takeIdentity(row, d);
    this.sessions.i[row * ROW_WORDS + S_VERSION] = d.i[S_VERSION] as number;
    this.guard(row, from, counter);
    this.journal.touch(row, this.nowMicros);
  }

  private takeIdentity(row: number, d: DecodedRow): void {
    const at = row * ROW_WORDS;
    const i = this.sessions.i;
    if (i[at + S_OWNER] !== d.i[S_OWNER] || i[at + S_EPOCH] !== d.i[S_EPOCH]) this.sessions.setOwner(row, d.i[S_OWNER] as number, d.i[S_EPOCH] as number);
  }

  private takeState(row: number, d: DecodedRow): void {
    const at = row * ROW_WORDS;
    const i = this.sessions.i;
    this.takeIdentity(row, d);
    const state = d.i[S_STATE] as number;
    this.sessions.setHalfOpen(row, (state & FLAG_HALF_OPEN) !== 0);
    // Whether it counts as half-open is decided here: there may have been no place for it.
    i[at + S_STATE] = (state & ~FLAG_HALF_OPEN) | ((i[at + S_STATE] as number) & FLAG_HALF_OPEN);
    this.write(at, d, this.stateWords);
  }

  private write(at: number, d: DecodedRow, words: Int32Array): void {
    const i = this.sessions.i;
    for (let k = 0; k < words.length; k = (k + 1) | 0) {
      const position = words[k] as number;
      i[at + position] = d.i[position] as number;
    }
    const f = this.sessions.f;
    for (let k = 0; k < this.doubles.length; k = (k + 1) | 0) {
      const position = (this.doubles[k] as number) >> 1;
      f[(at >> 1) + position] = d.f[position] as number;
    }
    i[at + S_LAST_SEEN] = d.i[S_LAST_SEEN] as number;
    i[at + S_CREATED] = d.i[S_CREATED] as number;
    i[at + S_SWEEP] = d.sweep;
    i[at + S_REPLICA] = 0;
    i[at + S_ADOPTED] = 0;
  }

  private schedule(row: number): void {
    const at = row * ROW_WORDS;
    const idle = (this.nowMillis - (this.sessions.i[at + S_LAST_SEEN] as number)) | 0;
    this.sessions.wheel.schedule(row, this.nowMillis, (this.sessions.i[at + S_IDLE_LIMIT] as number) - idle);
  }

  /** The peer holds an older state of this row: it is shown ours. */
  private show(unit: number, row: number): void {
    const pending = this.journal.pending[unit] as Pending | null;
    if (pending === null || !pending.receiving) return;
    if (this.sessions.i[row * ROW_WORDS + S_OWNER] !== this.sessions.me) pending.owed.set(row);
    pending.add(row, false);
  }
}
