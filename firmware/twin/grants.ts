// Ownership that moves with the flow: when a session's packets come in at the other site for long enough (judge.ts counts), its owner
// grants it to the unit there, so that a virtual machine that moved takes its sessions along.
//
//   owner A1                                                         B1, where the packets come in
//   row: owner B1, epoch + 1; judges it no more ── ROW ─────────────► its own from now on          acknowledges
//   what still comes in at A1 ── HANDOFF (id, epoch + 1) ───────────► the same, if it is first
//                                                   └ not acknowledged, and B1 is dead: A1 reclaims, epoch + 2
//
// Granted is only what B1 has acknowledged to hold. The granting row goes to every peer, so that B1's heir knows of it too. Until it is
// acknowledged it is offered again with each association.

import { counterRow, type Tables } from "../fastpath/memory/tables.ts";
import { OWNER_ELSEWHERE } from "../fastpath/partner.ts";
import { NOT_FOUND, ROW_WORDS, S_EPOCH, S_ID_SERIAL, S_OWNER, S_REPLICA, S_STATE, S_UNITS, type SessionTable, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { GRANTS, UNITS } from "../limits.ts";
import type { Channel } from "./frame.ts";
import type { Journal } from "./journal.ts";
import type { Pending } from "./pending.ts";
import type { Dispositions } from "./replicas.ts";

const C_GIVEN = counterRow("grants-given");
const C_TAKEN = counterRow("grants-taken");
const C_RECLAIMED = counterRow("grants-reclaimed");
const SEEN_BITS = 0xffff;

/** Who may be granted sessions. */
export interface GrantRoles extends Dispositions {
  readonly twinActive: number;
  /** The other site stands by: it is granted nothing. */
  readonly isOtherPassive: boolean;
  wordOf(unit: number): number;
}

export class Grants {
  private readonly sessions: SessionTable;
  private readonly journal: Journal;
  private readonly roles: GrantRoles;
  private readonly channel: Channel;
  private readonly counters: Float64Array;
  /** Grants that are not acknowledged. */
  private readonly rows = new Int32Array(GRANTS);
  private readonly serials = new Int32Array(GRANTS);
  private readonly words = new Int32Array(GRANTS);
  private readonly units = new Uint8Array(GRANTS);
  private count = 0;

  constructor(sessions: SessionTable, journal: Journal, roles: GrantRoles, channel: Channel, tables: Pick<Tables, "counters">) {
    this.sessions = sessions;
    this.journal = journal;
    this.roles = roles;
    this.channel = channel;
    this.counters = tables.counters.f;
  }

  /** The packets of this session, which is ours, come in at `unit`: grants it, if that can be done without losing anything. */
  follow(row: number, unit: number, nowMicros: number): void {
    const i = this.sessions.i;
    const at = row * ROW_WORDS;
    const word = this.roles.wordOf(unit);
    if (this.count === GRANTS || unit !== this.roles.twinActive || this.roles.isOtherPassive || !this.channel.associated(unit)) return;
    if (this.roles.disposition(word) !== (OWNER_ELSEWHERE | (unit << 8)) || ((i[at + S_REPLICA] as number) & (1 << unit)) === 0) return;
    this.journal.drain(nowMicros);
    i[at + S_UNITS] = (i[at + S_UNITS] as number) & SEEN_BITS;
    this.sessions.setOwner(row, word, ((i[at + S_EPOCH] as number) + 1) | 0);
    i[at + S_REPLICA] = 0;
    this.journal.touch(row, nowMicros);
    this.offer(row);
    this.rows[this.count] = row;
    this.serials[this.count] = i[at + S_ID_SERIAL] as number;
    this.words[this.count] = word;
    this.units[this.count] = unit;
    this.count = (this.count + 1) | 0;
    this.counted(C_GIVEN);
  }

  /**
   * `from` hands over a packet, or names this unit as the owner, under the epoch after the one that we know: it has granted the session
   * to this unit, and the packet was faster than the row. It is ours; what the row will say of its windows is still to come.
   */
  taken(from: number, serial: number, creator: number, incarnation: number, epoch: number, nowMicros: number): void {
    const row = creator === 0 ? NOT_FOUND : this.sessions.findById(serial, creator, incarnation);
    if (row === NOT_FOUND) return;
    const i = this.sessions.i;
    const at = row * ROW_WORDS;
    const isNext = ((i[at + S_EPOCH] as number) + 1) | 0;
    if (epoch !== isNext || ((i[at + S_STATE] as number) & 0xff) === STATE_TOMBSTONE) return;
    if (this.roles.rejoining || this.roles.disposition(i[at + S_OWNER] as number) !== (OWNER_ELSEWHERE | (from << 8))) return;
    this.sessions.adopt(row, Math.floor(nowMicros / 1_000));
    this.counted(C_TAKEN);
  }

  /** Once per breath: what is acknowledged, or was decided otherwise, is nobody's worry any more. */
  step(): void {
    for (let k = (this.count - 1) | 0; k >= 0; k = (k - 1) | 0) {
      const pending = this.journal.pending[this.units[k] as number] as Pending;
      if (!this.isOpen(k) || (pending.receiving && !pending.owed.has(this.rows[k] as number))) this.remove(k);
    }
  }

  /** Associated again: offers once more what it has not acknowledged. */
  again(unit: number): void {
    for (let k = 0; k < this.count; k = (k + 1) | 0) if (this.units[k] === unit && this.isOpen(k)) this.offer(this.rows[k] as number);
  }

  /** `unit` is dead: what it has not acknowledged may have no owner anywhere. */
  reclaim(unit: number, nowMicros: number): void {
    for (let k = (this.count - 1) | 0; k >= 0; k = (k - 1) | 0) {
      if (this.units[k] !== unit) continue;
      if (this.isOpen(k)) {
        this.sessions.adopt(this.rows[k] as number, Math.floor(nowMicros / 1_000));
        this.counted(C_RECLAIMED);
      }
      this.remove(k);
    }
  }

  /** The row is still the session that was granted, under the word that it was granted to. */
  private isOpen(k: number): boolean {
    const at = (this.rows[k] as number) * ROW_WORDS;
    const i = this.sessions.i;
    return i[at + S_OWNER] === this.words[k] && i[at + S_ID_SERIAL] === this.serials[k] && ((i[at + S_STATE] as number) & 0xff) !== STATE_TOMBSTONE;
  }

  private offer(row: number): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null || !pending.receiving) continue;
      pending.owed.set(row);
      pending.add(row, false);
    }
  }

  private remove(k: number): void {
    const last = (this.count - 1) | 0;
    this.rows[k] = this.rows[last] as number;
    this.serials[k] = this.serials[last] as number;
    this.words[k] = this.words[last] as number;
    this.units[k] = this.units[last] as number;
    this.count = last;
  }

  private counted(counter: number): void {
    this.counters[counter] = (this.counters[counter] as number) + 1;
  }
}
