// What one peer still has to be told. The bitmaps are the truth; the queues are hints of order, the flight list is a timer.
//
//              add                 sent                    acknowledged
//   nothing ────────► unsent ────────────► in flight ─────────────────────► nothing
//                       ▲      (unacked from add to acknowledgement)
//                       └── timeout, changed again ──┘
//
// A row is unacked from its change until the peer acknowledged that very change (the stamp says which). Loss needs no
// bookkeeping beyond this: what is not acknowledged in time is unsent again, and is encoded as it then is.

import { ChangeRing } from "../fastpath/memory/ring.ts";
import { CHANGES } from "../limits.ts";
import { RowBits } from "./bits.ts";

/** Rows in flight to one peer, a power of two. */
export const FLIGHT = 8_192;
const TIMEOUT_DOUBLINGS_MOST = 5;

export class Pending {
  readonly unit: number;
  /** Keys are agreed: changes are noted for this peer. */
  receiving = false;
  /** Rows whose present state the peer has not acknowledged. */
  readonly unacked: RowBits;
  /** Those of them that are not on their way. */
  readonly unsent: RowBits;
  /** Rows of another owner that this peer is to be shown, because it holds an older state. */
  readonly owed: RowBits;
  /** Rows that the sweep under way still has to bring over. */
  readonly swept: RowBits;
  /** Unacknowledged rows that the peer had no room for: they wait for `retryRefused` or for their next change. */
  readonly refused: RowBits;
  /** When there was last nothing left to send, or 0 while there is nothing; microseconds. */
  backlogSinceMicros = 0;
  /** Until then what is to be said waits for more of it (replicate.ts); does it now? */
  gatherUntilMicros = 0;
  isGathering = false;
  /** The present walk over the bitmap found rows to send; the next one takes half-open rows too if it did not. */
  foundOnWalk = false;
  halfOpenToo = false;
  private readonly fresh = new ChangeRing(CHANGES);
  private readonly halfOpen = new ChangeRing(CHANGES);
  private heldFresh = -1;
  private heldHalfOpen = -1;
  private readonly flightRows = new Int32Array(FLIGHT);
  private readonly flightStamps = new Int32Array(FLIGHT);
  private readonly flightMicros = new Float64Array(FLIGHT);
  private head = 0;
  private tail = 0;
  private doublings = 0;

  constructor(unit: number, rows: number) {
    this.unit = unit;
    this.unacked = new RowBits(rows);
    this.unsent = new RowBits(rows);
    this.owed = new RowBits(rows);
    this.swept = new RowBits(rows);
    this.refused = new RowBits(rows);
  }

  /** The peer must hear of this row. `last`: after everything else (half-open sessions). */
  add(row: number, last: boolean): void {
    this.unacked.set(row);
    this.refused.clear(row);
    // A row that a sweep has left unsent has no place in a queue: what changes goes ahead of the sweep.
    if (!this.unsent.set(row) && !this.swept.has(row)) return;
    if (last) this.halfOpen.note(row);
    else this.fresh.note(row);
  }

  /** As `add`, without a hint of order: the walk over the bitmap finds it. */
  addLater(row: number): void {
    this.unacked.set(row);
    this.unsent.set(row);
  }

  /** The peer need not hear of this row any more. */
  drop(row: number): void {
    this.unacked.clear(row);
    this.unsent.clear(row);
    this.owed.clear(row);
    this.swept.clear(row);
    this.refused.clear(row);
  }

  clear(): void {
    this.unacked.clearAll();
    this.unsent.clearAll();
    this.owed.clearAll();
    this.swept.clearAll();
    this.tail = this.head;
    this.refused.clearAll();
    this.doublings = 0;
    this.backlogSinceMicros = 0;
    this.isGathering = false;
  }

  /** Next row that was noted as changed, oldest first; -1 = none. It may have been sent or dropped since. */
  nextFresh(): number {
    const held = this.heldFresh;
    this.heldFresh = -1;
    return held >= 0 ? held : this.fresh.next();
  }

  nextHalfOpen(): number {
    const held = this.heldHalfOpen;
    this.heldHalfOpen = -1;
    return held >= 0 ? held : this.halfOpen.next();
  }

  /** The row just taken from `nextFresh` is half-open: it goes last. */
  postpone(row: number): void {
    this.halfOpen.note(row);
  }

  /** The row just taken found no room: it is the next one again. */
  putBack(row: number, halfOpen: boolean): void {
    if (halfOpen) this.heldHalfOpen = row;
    else this.heldFresh = row;
  }

  get flightFull(): boolean {
    return ((this.head - this.tail) | 0) >= FLIGHT;
  }

  sent(row: number, stamp: number, nowMicros: number): void {
    const slot = this.head & (FLIGHT - 1);
    this.flightRows[slot] = row;
    this.flightStamps[slot] = stamp;
    this.flightMicros[slot] = nowMicros;
    this.head = (this.head + 1) | 0;
    this.unsent.clear(row);
  }

  /** The peer answers: the next timeout is the plain one again. */
  heard(): void {
    this.doublings = 0;
  }

  /** Takes what has been in flight for longer than `timeoutMicros` off the list; rows that are still unacknowledged in that very state are unsent again. */
  expire(nowMicros: number, timeoutMicros: number, stamps: Int32Array): void {
    const limit = timeoutMicros * (1 << this.doublings);
    let late = 0;
    while (this.head !== this.tail) {
      const slot = this.tail & (FLIGHT - 1);
      const row = this.flightRows[slot] as number;
      const waiting = this.unacked.has(row) && stamps[row] === this.flightStamps[slot] && !this.refused.has(row);
      if (waiting && nowMicros - (this.flightMicros[slot] as number) < limit) break;
      this.tail = (this.tail + 1) | 0;
      if (!waiting) continue;
      late = 1;
      if (this.unsent.set(row)) this.fresh.note(row);
    }
    if (late === 1 && this.doublings < TIMEOUT_DOUBLINGS_MOST) this.doublings = (this.doublings + 1) | 0;
  }

  /** The peer may have room again: up to `most` refused rows are unsent. */
  retryRefused(most: number): void {
    for (let k = 0; k < most; k = (k + 1) | 0) {
      const row = this.refused.next();
      if (row < 0) return;
      this.refused.clear(row);
      if (this.unacked.has(row)) this.unsent.set(row);
    }
  }

  /** When the oldest unacknowledged row in flight had changed, in `changedAt`'s units relative to `now`; 0 = none in flight. */
  oldestAge(now: number, stamps: Int32Array, changedAt: Int32Array): number {
    let age = 0;
    for (let k = this.tail; k !== this.head; k = (k + 1) | 0) {
      const row = this.flightRows[k & (FLIGHT - 1)] as number;
      if (!this.unacked.has(row) || stamps[row] !== this.flightStamps[k & (FLIGHT - 1)]) continue;
      age = Math.max(age, (now - (changedAt[row] as number)) | 0);
    }
    return age;
  }
}
