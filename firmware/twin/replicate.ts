// Replication is of state, not of events: to send is to encode the row as it is now (record.ts). Ten changes cost one
// record, order does not matter, nothing blocks behind a loss, and no buffer can overflow, because the table is the buffer.
//
//   owner     journal ─► pending ─► ROW, TOMBSTONE, YIELD ──────────► replicas.apply      peer
//             pending  ◄──────────────────── ROW_ACK, ROW_REFUSED ◄── at the breath's end
//
// Order of sending: live rows as they changed, then what sweeps and timeouts left in the bitmap, half-open rows last.
//
// Frames that wake the peer cost some 20 us there, whatever they carry. So what is to be said within 200 us of the last rows or answers to the same
// peer waits for the rest of them, or until it fills four frames; what comes after silence goes at once:
//
//   changes        │a         │ b    c d        │ e
//   frames         ▼a ······· ▼ b ······ ▼ c d  ▼ e         ··· 200 us

import { type EventRing, eventKind } from "../fastpath/events.ts";
import { word } from "../fastpath/memory/layout.ts";
import { MEMBERS, STATE_NAMES, type Tables } from "../fastpath/memory/tables.ts";
import { ROW_WORDS, S_CREATED, S_LAST_SEEN, S_OWNER, S_REPLICA, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { ACKNOWLEDGEMENTS, RESEND_MILLIS, ROWS_GATHERED, ROWS_GATHERED_MICROS, ROWS_SENT_PER_BREATH, UNITS } from "../limits.ts";
import {
  type Channel,
  CLASS_HEARTBEAT,
  CLASS_ROW,
  CLASS_SWEEP,
  RECORD_ROW,
  RECORD_ROW_ACK,
  RECORD_ROW_REFUSED,
  RECORD_TOMBSTONE,
  RECORD_YIELD,
} from "./frame.ts";
import { type Journal, STAMP_MICROS } from "./journal.ts";
import type { Pace } from "./pace.ts";
import type { Pending } from "./pending.ts";
import { DecodedRow, RowCodec, replicatedWords } from "./record.ts";
import { ACKNOWLEDGE, NO_ROOM, REFUSE, type Replicas } from "./replicas.ts";
import type { Sweeps } from "./sweep.ts";

/** Bytes of one entry in a list of acknowledgements or refusals: row, stamp, sweep. */
const ENTRY_BYTES = 12;
const ENTRY_WORDS = 3;
const ENTRIES_PER_RECORD = 100;
const REFUSED_BIT = 8;
/** Of a ROW_REFUSED record: for want of room, not for good. */
const FLAG_NO_ROOM = 1;
const RETRY_REFUSED_MICROS = 1_000_000;
const SYN_RECEIVED = STATE_NAMES.indexOf("syn-received");

const MEMBER_WORDS = MEMBERS.strideWords;
const M_ROUND_TRIP = word(MEMBERS, "roundTrip");
const M_LAG_ROWS = word(MEMBERS, "lagRows");
const M_LAG_MICROS = word(MEMBERS, "lagMicros");
const M_ROWS_SENT = word(MEMBERS, "rowsSent") >> 1;
const M_ROWS_RECEIVED = word(MEMBERS, "rowsReceived") >> 1;

const EVENT_REFUSED = eventKind("refused");

/** Answers that wait for the end of the breath, for one peer and one kind. */
class AnswerList {
  readonly words = new Int32Array(ACKNOWLEDGEMENTS * ENTRY_WORDS);
  count = 0;

  add(d: DecodedRow): void {
    if (this.count === ACKNOWLEDGEMENTS) return;
    const at = this.count * ENTRY_WORDS;
    this.words[at] = d.row;
    this.words[at + 1] = d.stamp;
    this.words[at + 2] = d.sweep;
    this.count = (this.count + 1) | 0;
  }
}

export class Replication {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly replicas: Replicas;
  private readonly sweeps: Sweeps;
  private readonly pace: Pace;
  private readonly channel: Channel;
  private readonly events: EventRing;
  private readonly members: Int32Array;
  private readonly memberDoubles: Float64Array;
  private readonly codecs: RowCodec[] = [];
  private readonly acknowledged: AnswerList[] = [];
  private readonly refused: AnswerList[] = [];
  private readonly noRoom: AnswerList[] = [];
  private readonly decoded = new DecodedRow();
  private retryAtMicros = 0;
  /** When rows or answers that wait for more of them go out, whatever comes; Infinity: none wait. */
  dueMicros = Number.POSITIVE_INFINITY;

  constructor(
    sessions: SessionTable,
    journal: Journal,
    replicas: Replicas,
    sweeps: Sweeps,
    pace: Pace,
    channel: Channel,
    events: EventRing,
    tables: Pick<Tables, "members">,
  ) {
    this.sessions = sessions;
    this.journal = journal;
    this.replicas = replicas;
    this.sweeps = sweeps;
    this.pace = pace;
    this.channel = channel;
    this.events = events;
    this.members = tables.members.i;
    this.memberDoubles = tables.members.f;
    for (let unit = 0; unit < UNITS; unit++) {
      this.codecs.push(new RowCodec(replicatedWords()));
      this.acknowledged.push(new AnswerList());
      this.refused.push(new AnswerList());
      this.noRoom.push(new AnswerList());
    }
  }

  /** Keys with `unit` were agreed: it hears of every change from now on. `common`: word positions that both peers know. */
  begin(unit: number, common: Int32Array): void {
    const pending = this.journal.pending[unit] as Pending | null;
    if (pending === null) return;
    this.codecs[unit] = new RowCodec(common);
    pending.clear();
    pending.receiving = true;
    (this.acknowledged[unit] as AnswerList).count = 0;
    (this.refused[unit] as AnswerList).count = 0;
    (this.noRoom[unit] as AnswerList).count = 0;
  }

  /** The association is lost: nothing is kept for `unit`; its next association starts with a sweep. */
  end(unit: number): void {
    const pending = this.journal.pending[unit] as Pending | null;
    if (pending === null) return;
    pending.receiving = false;
    pending.clear();
  }

  /** A ROW, TOMBSTONE or YIELD record. False: it cannot be read. */
  row(from: number, type: number, body: number, bodyBytes: number, counter: number, nowMicros: number): boolean {
    // A record may meet what the fastpath has changed in this breath.
    this.journal.drain(nowMicros);
    const d = this.decoded;
    if (!(this.codecs[from] as RowCodec).decode(this.channel.view, body, bodyBytes, d)) return false;
    this.sweeps.heard(from, d.sweep);
    d.latest = this.sweeps.isLatest(from, d.sweep);
    const result = type === RECORD_YIELD ? this.replicas.yielded(from, d, counter) : this.replicas.apply(from, d, counter, this.sweeps.incoming(from));
    if (result === ACKNOWLEDGE) (this.acknowledged[from] as AnswerList).add(d);
    if (result === REFUSE) (this.refused[from] as AnswerList).add(d);
    if (result === NO_ROOM) (this.noRoom[from] as AnswerList).add(d);
    const received = ((from * MEMBER_WORDS) >> 1) + M_ROWS_RECEIVED;
    this.memberDoubles[received] = (this.memberDoubles[received] as number) + 1;
    return true;
  }

  /** A ROW_ACK or ROW_REFUSED record. */
  answers(from: number, type: number, flags: number, body: number, bodyBytes: number, nowMicros: number): void {
    const pending = this.journal.pending[from] as Pending | null;
    if (pending === null || !pending.receiving) return;
    // What the fastpath has changed since must not count as acknowledged.
    this.journal.drain(nowMicros);
    pending.heard();
    const view = this.channel.view;
    const i = this.sessions.i;
    const sweep = this.sweeps.current(from);
    for (let at = body; at + ENTRY_BYTES <= body + bodyBytes; at = (at + ENTRY_BYTES) | 0) {
      const row = view.getInt32(at);
      if (row < 0 || row >= this.sessions.capacity) continue;
      if (view.getInt32(at + 8) === sweep) pending.swept.clear(row);
      // Sent before the sweep began: the row must go again, to be stamped with the sweep's number.
      else if (pending.swept.has(row)) continue;
      if (!pending.unacked.has(row) || this.journal.stamps[row] !== view.getInt32(at + 4)) continue;
      const replica = row * ROW_WORDS + S_REPLICA;
      if (type === RECORD_ROW_REFUSED && pending.owed.has(row) && (flags & FLAG_NO_ROOM) === 0) {
        pending.drop(row);
        this.replicas.refused(row);
        continue;
      }
      if (type === RECORD_ROW_REFUSED) {
        i[replica] = (i[replica] as number) | (1 << (REFUSED_BIT + from));
        pending.refused.set(row);
        this.events.note(EVENT_REFUSED, nowMicros, from, -1, 0);
        continue;
      }
      if (i[row * ROW_WORDS + S_OWNER] === this.sessions.me) i[replica] = ((i[replica] as number) & ~(1 << (REFUSED_BIT + from))) | (1 << from);
      // A yielded state has arrived; a yielded session's end is told to the others too.
      if (pending.owed.has(row)) this.replicas.yields.forget(row);
      pending.unacked.clear(row);
      pending.unsent.clear(row);
      pending.owed.clear(row);
      pending.refused.clear(row);
    }
  }

  /** Once per breath, after the batch: answers first, then rows. */
  flush(nowMicros: number): void {
    this.journal.drain(nowMicros);
    this.dueMicros = Number.POSITIVE_INFINITY;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null || !pending.receiving) continue;
      pending.expire(nowMicros, this.timeoutMicros(unit), this.journal.stamps);
      const answers = this.answersFor(unit);
      const isSaying = answers > 0 || pending.unsent.count > 0;
      if (isSaying && nowMicros < pending.gatherUntilMicros && answers < ENTRIES_PER_RECORD && pending.unsent.count < ROWS_GATHERED) {
        pending.isGathering = true;
        this.dueMicros = Math.min(this.dueMicros, pending.gatherUntilMicros);
      } else {
        pending.isGathering = false;
        if (isSaying) pending.gatherUntilMicros = nowMicros + ROWS_GATHERED_MICROS;
        this.say(unit, pending, nowMicros);
      }
      if (pending.unsent.count === 0) pending.backlogSinceMicros = 0;
      else if (pending.backlogSinceMicros === 0) pending.backlogSinceMicros = nowMicros;
    }
  }

  private answersFor(unit: number): number {
    return ((this.acknowledged[unit] as AnswerList).count + (this.refused[unit] as AnswerList).count + (this.noRoom[unit] as AnswerList).count) | 0;
  }

  private say(unit: number, pending: Pending, nowMicros: number): void {
    this.answer(unit, RECORD_ROW_ACK, 0, this.acknowledged[unit] as AnswerList);
    this.answer(unit, RECORD_ROW_REFUSED, 0, this.refused[unit] as AnswerList);
    this.answer(unit, RECORD_ROW_REFUSED, FLAG_NO_ROOM, this.noRoom[unit] as AnswerList);
    this.sendRows(pending, nowMicros);
  }

  /** Now and then: how far each peer is behind. */
  tick(nowMicros: number): void {
    const retry = nowMicros >= this.retryAtMicros;
    if (retry) this.retryAtMicros = nowMicros + RETRY_REFUSED_MICROS;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null) continue;
      if (retry) pending.retryRefused(ROWS_SENT_PER_BREATH * 4);
      const at = unit * MEMBER_WORDS;
      this.members[at + M_LAG_ROWS] = pending.unacked.count;
      this.members[at + M_LAG_MICROS] = Math.min(this.lagMicros(pending, nowMicros), 0x7fffffff);
    }
  }

  /** For how long the oldest unacknowledged row has waited; 0 = there is none. */
  lagMicros(pending: Pending, nowMicros: number): number {
    if (pending.unacked.count === 0) return 0;
    const flying = pending.oldestAge((nowMicros / STAMP_MICROS) | 0, this.journal.stamps, this.journal.changedAt) * STAMP_MICROS;
    return Math.max(flying, pending.backlogSinceMicros === 0 ? 0 : nowMicros - pending.backlogSinceMicros);
  }

  /** How long a row may stay unacknowledged before it is sent again. */
  timeoutMicros(unit: number): number {
    const roundTrip = this.members[unit * MEMBER_WORDS + M_ROUND_TRIP] as number;
    return roundTrip === 0 ? RESEND_MILLIS * 5_000 : Math.max(RESEND_MILLIS * 1_000, roundTrip * 4);
  }

  private answer(unit: number, type: number, flags: number, list: AnswerList): void {
    let first = 0;
    while (first < list.count) {
      const count = Math.min(list.count - first, ENTRIES_PER_RECORD);
      const body = this.channel.reserve(unit, type, flags, count * ENTRY_BYTES, CLASS_HEARTBEAT);
      if (body < 0) break;
      for (let k = 0; k < count * ENTRY_WORDS; k = (k + 1) | 0) this.channel.view.setInt32(body + (k << 2), list.words[first * ENTRY_WORDS + k] as number);
      first = (first + count) | 0;
    }
    if (first > 0 && first < list.count) list.words.copyWithin(0, first * ENTRY_WORDS, list.count * ENTRY_WORDS);
    list.count = (list.count - first) | 0;
  }

  private sendRows(pending: Pending, nowMicros: number): void {
    let budget = ROWS_SENT_PER_BREATH;
    for (let row = pending.nextFresh(); row >= 0; row = pending.nextFresh()) {
      if (!pending.unsent.has(row)) continue;
      if (this.isHalfOpen(row)) {
        pending.postpone(row);
        continue;
      }
      if (budget <= 0 || !this.send(pending, row, CLASS_ROW, nowMicros)) {
        pending.putBack(row, false);
        return;
      }
      budget = (budget - 1) | 0;
    }
    budget = this.sendBacklog(pending, budget, nowMicros);
    for (let row = pending.nextHalfOpen(); row >= 0; row = pending.nextHalfOpen()) {
      if (!pending.unsent.has(row)) continue;
      if (budget <= 0 || !this.send(pending, row, CLASS_SWEEP, nowMicros)) {
        pending.putBack(row, true);
        return;
      }
      budget = (budget - 1) | 0;
    }
  }

  /** Walks the bitmap, as far as the pace allows: rows of sweeps, refused ones, and those whose hints were lost. Returns what is left of the budget. */
  private sendBacklog(pending: Pending, budget: number, nowMicros: number): number {
    if (this.pace.rows === 0) return budget;
    let left = Math.min(budget, this.pace.rows);
    const kept = (budget - left) | 0;
    for (let looked = 0; left > 0 && looked < ROWS_SENT_PER_BREATH * 4; looked = (looked + 1) | 0) {
      const row = pending.unsent.next();
      if (row < 0) break;
      // Half-open rows only when nothing else was found on a whole walk.
      if (this.isHalfOpen(row) && !pending.halfOpenToo) continue;
      pending.foundOnWalk = true;
      if (!this.send(pending, row, CLASS_SWEEP, nowMicros)) return 0;
      left = (left - 1) | 0;
    }
    if (pending.unsent.wrapped) {
      pending.halfOpenToo = !pending.foundOnWalk;
      pending.foundOnWalk = false;
    }
    return (left + kept) | 0;
  }

  private isHalfOpen(row: number): boolean {
    return ((this.sessions.i[row * ROW_WORDS + S_STATE] as number) & 0xff) <= SYN_RECEIVED;
  }

  /** Encodes the row as it is now. False: no room, nothing happened. */
  private send(pending: Pending, row: number, txClass: number, nowMicros: number): boolean {
    const i = this.sessions.i;
    const at = row * ROW_WORDS;
    const state = i[at + S_STATE] as number;
    const kind = state & 0xff;
    const isOwn = i[at + S_OWNER] === this.sessions.me;
    if (kind === STATE_FREE || (!isOwn && !pending.owed.has(row))) {
      pending.drop(row);
      return true;
    }
    if (pending.flightFull) return false;
    // What was to be yielded to its adopter, who died: it has come back to us, and lives.
    if (isOwn && kind !== STATE_TOMBSTONE) this.replicas.yields.forget(row);
    const yielded = this.replicas.yields.stateOf(row);
    const type = yielded !== 0 ? RECORD_YIELD : kind === STATE_TOMBSTONE ? RECORD_TOMBSTONE : RECORD_ROW;
    const codec = this.codecs[pending.unit] as RowCodec;
    const bytes = codec.measure(i, at, type !== RECORD_TOMBSTONE);
    const body = this.channel.reserve(pending.unit, type, 0, bytes, txClass);
    if (body < 0) return false;
    const nowMillis = Math.floor(nowMicros / 1_000) | 0;
    const stamp = this.journal.stamps[row] as number;
    const idle = (nowMillis - (i[at + S_LAST_SEEN] as number)) | 0;
    const age = (nowMillis - (i[at + S_CREATED] as number)) | 0;
    codec.encode(i, at, this.channel.view, body, row, stamp, this.sweeps.current(pending.unit), idle, age, yielded === 0 ? state : yielded);
    pending.sent(row, stamp, nowMicros);
    const sent = ((pending.unit * MEMBER_WORDS) >> 1) + M_ROWS_SENT;
    this.memberDoubles[sent] = (this.memberDoubles[sent] as number) + 1;
    return true;
  }
}
