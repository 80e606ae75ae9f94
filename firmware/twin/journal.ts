// What changed, and who has to hear of it. Each change of a row draws a stamp; a peer's acknowledgement names the stamp, so
// one that belongs to an earlier state, or to an earlier session in the same row, says nothing about the present one.
//
//   sessions.changes ──► stamp, digest ──► pending of each receiving peer (own rows)

import { STATE_NAMES } from "../fastpath/memory/tables.ts";
import { ROW_WORDS, S_OWNER, S_STATE, type SessionTable, STATE_FREE } from "../fastpath/sessions.ts";
import { UNITS } from "../limits.ts";
import { Digests } from "./digest.ts";
import { Pending } from "./pending.ts";

const SYN_RECEIVED = STATE_NAMES.indexOf("syn-received");
/** Resolution of `changedAt`; 32 bits of it last for 9 hours. */
export const STAMP_MICROS = 16;

export class Journal {
  readonly sessions: SessionTable;
  readonly digests: Digests;
  /** Stamp of each row's last change. */
  readonly stamps: Int32Array;
  /** When that was, in STAMP_MICROS. */
  readonly changedAt: Int32Array;
  /** By unit; null for this unit and for units that are no peers. */
  readonly pending: readonly (Pending | null)[];
  /** Set when changes were lost: everything must be swept. */
  overflowed = false;
  /** The latest stamp drawn. */
  last = 0;

  /** `peers`: unit numbers. Counts every row into the digests: takes long on a full table, so only at start. */
  constructor(sessions: SessionTable, peers: readonly number[]) {
    this.sessions = sessions;
    this.digests = new Digests(sessions.i, sessions.capacity);
    this.stamps = new Int32Array(sessions.capacity);
    this.changedAt = new Int32Array(sessions.capacity);
    const pending: (Pending | null)[] = [];
    for (let unit = 0; unit < UNITS; unit++) pending.push(peers.includes(unit) ? new Pending(unit, sessions.capacity) : null);
    this.pending = pending;
    for (let row = 0; row < sessions.capacity; row++) this.digests.update(row);
  }

  /** Takes in what the fastpath has changed. Call before rows are sent or acknowledgements are taken in. */
  drain(nowMicros: number): void {
    const changes = this.sessions.changes;
    let row = changes.next();
    while (row >= 0) {
      this.touch(row, nowMicros);
      row = changes.next();
    }
    if (changes.overflowed) {
      changes.overflowed = false;
      this.overflowed = true;
    }
  }

  /** The row changed just now. */
  touch(row: number, nowMicros: number): void {
    this.last = (this.last + 1) | 0;
    this.stamps[row] = this.last;
    this.changedAt[row] = (nowMicros / STAMP_MICROS) | 0;
    this.digests.update(row);
    const at = row * ROW_WORDS;
    const state = (this.sessions.i[at + S_STATE] as number) & 0xff;
    const mine = state !== STATE_FREE && this.sessions.i[at + S_OWNER] === this.sessions.me;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.pending[unit] as Pending | null;
      if (pending === null) continue;
      if (mine && pending.receiving) pending.add(row, state <= SYN_RECEIVED);
      else pending.drop(row);
    }
  }

  /** No peer needs to hear of the row any more: it is about to be free. */
  forget(row: number): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.pending[unit] as Pending | null;
      if (pending !== null) pending.drop(row);
    }
  }
}
