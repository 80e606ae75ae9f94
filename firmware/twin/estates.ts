// Replicas that were left behind by a succession. A successor rewrites what it has of the dead unit's rows, and everybody hears of
// it. What it never had, other peers may have: it was cut off from the dead unit for a while, they were not. Nobody else can save
// such a session, because only the successor may decide for it.
//
//   succession (unit, incarnation) → S    OFFER_AFTER_MILLIS later this unit walks its table: rows whose owner word is not any
//                                         unit's present one, and for which S decides, are shown to S
//   S has the row, or its end             it shows its own, which is newer
//   S does not have it                    it takes and adopts it
//
// Again each second as long as a walk finds such rows. A sweep to S marks them too (sweep.ts), and so does
// the end of S's sweep, before it deletes them here.

import { OWNER_ELSEWHERE } from "../fastpath/partner.ts";
import { ROW_WORDS, S_OWNER, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { ESTATE_AGAIN_MILLIS, ESTATE_OFFER_MILLIS, ROWS_SCANNED_PER_BREATH, UNITS } from "../limits.ts";
import type { Journal } from "./journal.ts";
import type { Pending } from "./pending.ts";
import type { Dispositions } from "./replicas.ts";

export class Estates {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly roles: Dispositions;
  private dueMicros = Number.POSITIVE_INFINITY;
  /** Row at which the walk stands; -1 = none under way. */
  private cursor = -1;
  private found = 0;

  constructor(sessions: SessionTable, journal: Journal, roles: Dispositions) {
    this.sessions = sessions;
    this.journal = journal;
    this.roles = roles;
  }

  /** Somebody else succeeded a unit, or a peer can be reached (again). */
  look(nowMicros: number): void {
    this.dueMicros = nowMicros + ESTATE_OFFER_MILLIS * 1_000;
  }

  /** Once per breath: a slice of the walk. */
  step(nowMicros: number): void {
    if (this.cursor < 0) {
      if (nowMicros < this.dueMicros) return;
      this.dueMicros = Number.POSITIVE_INFINITY;
      this.cursor = 0;
      this.found = 0;
    }
    const end = Math.min(this.cursor + ROWS_SCANNED_PER_BREATH, this.sessions.capacity);
    for (let row = this.cursor; row < end; row = (row + 1) | 0) this.offer(row);
    this.cursor = end === this.sessions.capacity ? -1 : end;
    if (this.cursor < 0 && this.found > 0) this.dueMicros = Math.min(this.dueMicros, nowMicros + ESTATE_AGAIN_MILLIS * 1_000);
  }

  private offer(row: number): void {
    const i = this.sessions.i;
    const at = row * ROW_WORDS;
    const kind = (i[at + S_STATE] as number) & 0xff;
    if (kind === STATE_FREE || kind === STATE_TOMBSTONE) return;
    const heir = heirOf(this.roles, i[at + S_OWNER] as number);
    if (heir === 0) return;
    this.found = (this.found + 1) | 0;
    const pending = this.journal.pending[heir] as Pending | null;
    if (pending === null || !pending.receiving || pending.owed.has(row)) return;
    pending.owed.set(row);
    pending.addLater(row);
  }
}

/** The peer that decides for rows of an owner word which is not its present one; 0 = nobody, or us. */
export function heirOf(roles: Dispositions, owner: number): number {
  const disposition = roles.disposition(owner);
  const unit = disposition >> 8;
  return (disposition & 0xff) === OWNER_ELSEWHERE && unit < UNITS && owner !== roles.wordOf(unit) ? unit : 0;
}
