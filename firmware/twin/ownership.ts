// Who owns what after a succession. Taking over is O(1): roles.ts knows the successor of an owner word, and every lookup asks
// it. Rows are rewritten when a packet meets them (the judge adopts) or when the walk here comes by, whichever is first.
//
//   succession (unit, incarnation) → me         the walk adopts the rows of that owner word, a slice per breath
//   succession (me, my incarnation) → another   my rows are replicas from now on; I go on in a new incarnation
//   my incarnation was known already            I go on in a new one, and the walk adopts what I had under the old one
//
// While this unit rejoins it adopts nothing: what a peer is about to show may be newer.

import { type EventRing, eventKind } from "../fastpath/events.ts";
import { counterRow, type Tables } from "../fastpath/memory/tables.ts";
import { OWNER_ADOPT } from "../fastpath/partner.ts";
import { ROW_WORDS, S_OWNER, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { ROWS_SCANNED_PER_BREATH, ROWS_SENT_PER_BREATH } from "../limits.ts";
import type { Dispositions } from "./replicas.ts";

const C_ADOPTED = counterRow("sessions-adopted");
const EVENT_ADOPTED = eventKind("adopted");

export class Ownership {
  private readonly sessions: SessionTable;
  private readonly roles: Dispositions;
  private readonly events: EventRing;
  private readonly counters: Float64Array;
  /** Row at which the walk stands; -1 = none under way. */
  private cursor = -1;
  private adopted = 0;
  private from = 0;

  constructor(sessions: SessionTable, roles: Dispositions, events: EventRing, tables: Pick<Tables, "counters">) {
    this.sessions = sessions;
    this.roles = roles;
    this.events = events;
    this.counters = tables.counters.f;
  }

  /** This unit succeeds `unit` (itself, in an earlier incarnation): the walk begins (again). */
  succeed(unit: number): void {
    this.cursor = 0;
    this.adopted = 0;
    this.from = unit;
  }

  /** True while rows of a dead owner may still wait for the walk. */
  get walking(): boolean {
    return this.cursor >= 0;
  }

  /** Once per breath: adopts a slice. */
  step(nowMicros: number): void {
    if (this.cursor < 0 || this.roles.rejoining) return;
    const i = this.sessions.i;
    const nowMillis = Math.floor(nowMicros / 1_000);
    const end = Math.min(this.cursor + ROWS_SCANNED_PER_BREATH, this.sessions.capacity);
    let budget = ROWS_SENT_PER_BREATH;
    let row = this.cursor;
    for (; row < end && budget > 0; row = (row + 1) | 0) {
      const at = row * ROW_WORDS;
      const kind = (i[at + S_STATE] as number) & 0xff;
      if (kind === STATE_FREE || kind === STATE_TOMBSTONE || i[at + S_OWNER] === this.sessions.me) continue;
      if (this.roles.disposition(i[at + S_OWNER] as number) !== OWNER_ADOPT) continue;
      this.sessions.adopt(row, nowMillis);
      this.adopted = (this.adopted + 1) | 0;
      budget = (budget - 1) | 0;
    }
    this.cursor = row;
    if (row < this.sessions.capacity) return;
    this.cursor = -1;
    if (this.adopted === 0) return;
    this.counters[C_ADOPTED] = (this.counters[C_ADOPTED] as number) + this.adopted;
    this.events.note(EVENT_ADOPTED, nowMicros, this.from, -1, this.adopted);
  }
}
