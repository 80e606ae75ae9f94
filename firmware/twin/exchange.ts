// What two units tell each other about sessions, put together: the parts that act on records 16 to 47, and the breath that
// drives them. It needs a channel and someone who knows the roles; keys, liveness and election are not its business.
//
//   record ─► replicate (rows, acknowledgements) │ sweep │ proof (digests) │ rejoin │ handoff
//   breath ─► sweep, rejoin, ownership: a slice of each walk ─► replicate: answers, then rows

import type { EventRing } from "../fastpath/events.ts";
import { headerWord, type Tables } from "../fastpath/memory/tables.ts";
import type { Admission } from "../fastpath/partner.ts";
import { ROW_WORDS, S_OWNER, type SessionTable } from "../fastpath/sessions.ts";
import type { PacketMemory } from "../hal/contracts.ts";
import { REJOIN_LIMIT_MILLIS, TOMBSTONE_SHARE, UNITS } from "../limits.ts";
import { Estates } from "./estates.ts";
import {
  type Channel,
  RECORD_CAUGHT_UP,
  RECORD_DIGEST,
  RECORD_DIGEST_DIFFERS,
  RECORD_HANDOFF,
  RECORD_REJOIN,
  RECORD_ROW,
  RECORD_ROW_ACK,
  RECORD_ROW_REFUSED,
  RECORD_STATIONS,
  RECORD_SWEEP_BEGIN,
  RECORD_SWEEP_DONE,
  RECORD_SWEEP_END,
  RECORD_TOMBSTONE,
  RECORD_YIELD,
  type RecordReceiver,
} from "./frame.ts";
import { type GrantRoles, Grants } from "./grants.ts";
import { Handoff, type HandoffRoles } from "./handoff.ts";
import { Journal } from "./journal.ts";
import { Ownership } from "./ownership.ts";
import { Pace } from "./pace.ts";
import type { Pending } from "./pending.ts";
import { FLAG_REJOINING, Proof } from "./proof.ts";
import { Rejoin, type RejoinListener } from "./rejoin.ts";
import { Replicas } from "./replicas.ts";
import { Replication } from "./replicate.ts";
import { Stations } from "./stations.ts";
import { BUCKET_WORDS, Sweeps } from "./sweep.ts";

const H_TOMBSTONES = headerWord("tombstones");

/** The channel, and what both ends of it know of a session row. */
export interface SessionChannel extends Channel {
  /** Word positions that both know, in the order in which rows travel. */
  commonFields(unit: number): Int32Array;
}

export interface ExchangeParts {
  readonly peers: readonly number[];
  /** Peers of this unit's own site. */
  readonly mates: readonly number[];
  readonly sessions: SessionTable;
  readonly tables: Tables;
  readonly events: EventRing;
  readonly packets: PacketMemory;
  readonly channel: SessionChannel;
  readonly roles: HandoffRoles & GrantRoles & RejoinListener;
  /** A drawn number: sweeps and requests of this start count from it. */
  readonly draw: number;
}

export class Exchange implements RecordReceiver {
  readonly handoff: Handoff;
  readonly journal: Journal;
  readonly replicas: Replicas;
  readonly pace = new Pace();
  private readonly sessions: SessionTable;
  private readonly header: Int32Array;
  private readonly channel: SessionChannel;
  private readonly roles: HandoffRoles;
  private readonly sweeps: Sweeps;
  private readonly replication: Replication;
  private readonly proof: Proof;
  private readonly rejoin: Rejoin;
  private readonly ownership: Ownership;
  private readonly estates: Estates;
  private readonly stations: Stations;
  private readonly grants: Grants;
  private readonly differing = new Int32Array(BUCKET_WORDS);
  private readonly mates: readonly number[];
  private nowMicros = 0;
  private awaitedUntilMicros = 0;

  constructor(parts: ExchangeParts) {
    const sessions = parts.sessions;
    const tables = parts.tables;
    const channel = parts.channel;
    const events = parts.events;
    this.sessions = sessions;
    this.header = tables.header.i;
    this.channel = channel;
    this.roles = parts.roles;
    this.mates = parts.mates;
    this.journal = new Journal(sessions, parts.peers);
    this.replicas = new Replicas(sessions, this.journal, parts.roles, events, tables);
    this.sweeps = new Sweeps(sessions, this.journal, this.replicas, parts.roles, this.pace, channel, events, tables, parts.draw);
    this.replication = new Replication(sessions, this.journal, this.replicas, this.sweeps, this.pace, channel, events, tables);
    this.proof = new Proof(sessions, this.journal, this.sweeps, channel, events, tables);
    this.rejoin = new Rejoin(sessions, this.journal, this.replicas, this.sweeps, this.proof, this.pace, channel, parts.roles, parts.draw);
    this.ownership = new Ownership(sessions, parts.roles, events, tables);
    this.estates = new Estates(sessions, this.journal, parts.roles);
    this.stations = new Stations(channel, parts.mates);
    this.grants = new Grants(sessions, this.journal, parts.roles, channel, tables);
    this.handoff = new Handoff(sessions, this.replicas, this.grants, parts.roles, channel, parts.packets, tables);
  }

  attach(admission: Admission): void {
    this.handoff.attach(admission);
    this.stations.attach(admission.stations);
  }

  /** First in each breath, before records arrive. */
  at(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.replicas.at(nowMicros);
    this.handoff.at(nowMicros);
  }

  record(from: number, type: number, flags: number, body: number, bodyBytes: number, _frame: number, counter: number): boolean {
    if (type >= RECORD_HANDOFF) return this.handoff.record(from, type, flags, body, bodyBytes);
    switch (type) {
      case RECORD_ROW:
      case RECORD_TOMBSTONE:
      case RECORD_YIELD:
        this.replication.row(from, type, body, bodyBytes, counter, this.nowMicros);
        break;
      case RECORD_ROW_ACK:
      case RECORD_ROW_REFUSED:
        this.replication.answers(from, type, flags, body, bodyBytes, this.nowMicros);
        break;
      case RECORD_SWEEP_BEGIN:
      case RECORD_SWEEP_END:
      case RECORD_SWEEP_DONE:
        this.sweeps.record(from, type, body, bodyBytes, this.nowMicros);
        break;
      case RECORD_DIGEST:
        this.digest(from, flags, body, bodyBytes);
        break;
      case RECORD_DIGEST_DIFFERS:
        this.proof.differs(from, body, bodyBytes, this.nowMicros);
        break;
      case RECORD_REJOIN:
        if (this.rejoin.asked(from, body, bodyBytes) && this.isItsSiteSilent(from)) this.awaitedUntilMicros = this.nowMicros + REJOIN_LIMIT_MILLIS * 1_000;
        break;
      case RECORD_STATIONS:
        this.stations.record(body, bodyBytes, flags, this.roles.isActive);
        break;
      case RECORD_CAUGHT_UP:
        this.rejoin.caughtUp(from, body, bodyBytes);
        break;
    }
    return false;
  }

  /** Keys agreed and the path works, or works again: everything of ours is swept over. */
  associated(unit: number, fresh: boolean): void {
    this.journal.drain(this.nowMicros);
    if (fresh) this.replicas.restarted(unit);
    this.replication.begin(unit, this.channel.commonFields(unit));
    this.sweeps.reset(unit);
    this.proof.reset(unit, this.nowMicros);
    this.rejoin.lost(unit);
    this.sweeps.bulk(unit, this.nowMicros);
    this.estates.look(this.nowMicros);
    this.grants.again(unit);
  }

  lost(unit: number): void {
    this.replication.end(unit);
    this.sweeps.lost(unit);
    this.proof.lost(unit, this.nowMicros);
    this.rejoin.lost(unit);
  }

  /** This unit rejoins. `mayHaveLost`: its rows may be older than what peers hold, or some may be missing. */
  beginRejoin(mayHaveLost: boolean): void {
    this.replicas.rejoins(mayHaveLost);
    this.rejoin.begin();
  }

  /** Caught up, or waited for long enough: what still has no owner falls to whom the successions say. */
  endRejoin(): void {
    this.replicas.rejoined();
    this.rejoin.end();
    this.ownership.succeed(this.sessions.unit);
  }

  /** This unit's incarnation is `next` from now on; what it owned before stays its own. */
  incarnated(next: number): void {
    this.displaced(next);
    this.ownership.succeed(this.sessions.unit);
  }

  /** roles.ts learned of a succession: `successor` owns what `unit` owned. `next`: our new incarnation if that was the present one, else 0. */
  superseded(unit: number, successor: number, next: number): void {
    this.grants.reclaim(unit, this.nowMicros);
    if (unit === this.sessions.unit) {
      if (next !== 0) this.displaced(next);
    } else if (successor === this.sessions.unit) this.ownership.succeed(unit);
    else this.estates.look(this.nowMicros);
  }

  /** Once per breath, after the batch: walks, answers, rows. */
  flush(nowMicros: number): void {
    this.nowMicros = nowMicros;
    if (this.journal.overflowed) this.sweepAll();
    this.ownership.step(nowMicros);
    this.estates.step(nowMicros);
    this.grants.step();
    this.sweeps.step(nowMicros);
    this.rejoin.step(nowMicros);
    this.replication.flush(nowMicros);
  }

  /** Now and then. */
  tick(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.replication.tick(nowMicros);
    this.stations.tick(nowMicros, this.roles.isActive);
    this.proof.tick(nowMicros);
  }

  /** Partner.mayRelease: every streaming peer has acknowledged the end; no delayed record can come any more. */
  mayRelease(row: number): boolean {
    this.journal.drain(this.nowMicros);
    if (this.sessions.i[row * ROW_WORDS + S_OWNER] === this.sessions.me) {
      for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
        const pending = this.journal.pending[unit] as Pending | null;
        if (pending === null || !pending.unacked.has(row)) continue;
        if ((this.header[H_TOMBSTONES] as number) <= this.sessions.capacity / TOMBSTONE_SHARE) return false;
        // It pins too much of the table: it leaves streaming and gets a sweep instead.
        pending.clear();
        this.sweeps.bulk(unit, this.nowMicros);
      }
      if (this.replicas.remembers(row, this.header[H_TOMBSTONES] as number)) return false;
    } else if (!this.replicas.guardPassed(row)) return false;
    this.journal.forget(row);
    this.replicas.forgetEnd(row);
    return true;
  }

  /** True until `unit` has swept over all that it owns, and its digests were found equal once; a link that fails then changes nothing. */
  isBehind(unit: number): boolean {
    return !this.proof.hasAgreed(unit);
  }

  /** Own rows that `unit` has not acknowledged; 0 when it is not associated. */
  lagRows(unit: number): number {
    const pending = this.journal.pending[unit] as Pending | null;
    if (pending === null || !pending.receiving) return 0;
    this.journal.drain(this.nowMicros);
    return pending.unacked.count;
  }

  /** For how long the oldest of them has waited, microseconds; Infinity when it is not associated, or has no room for one. */
  lagMicros(unit: number): number {
    const pending = this.journal.pending[unit] as Pending | null;
    const isTold = pending?.receiving === true && pending.refused.count === 0;
    return !isTold ? Number.POSITIVE_INFINITY : this.replication.lagMicros(pending, this.nowMicros);
  }

  /** Partner.follow: the session's packets come in at `unit`. */
  follow(row: number, unit: number): void {
    this.grants.follow(row, unit, this.nowMicros);
  }

  private digest(from: number, flags: number, body: number, bodyBytes: number): void {
    if ((flags & FLAG_REJOINING) !== 0) this.rejoin.digest(from, body, bodyBytes, this.nowMicros);
    else this.proof.compare(from, body, bodyBytes, true, this.differing, this.nowMicros);
  }

  /** True while another site passes nothing because its unit waits to be caught up by us. */
  isAwaited(nowMicros: number): boolean {
    return nowMicros < this.awaitedUntilMicros;
  }

  /** No other unit is active at `unit`'s site, as far as we know. */
  private isItsSiteSilent(unit: number): boolean {
    const active = this.roles.twinActive;
    return !this.mates.includes(unit) && (active === 0 || active === unit);
  }

  /** True while there is more to do than one breath allowed: the caller should not wait. */
  get busy(): boolean {
    if (this.ownership.walking || this.sweeps.walking) return true;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending?.receiving === true && pending.unsent.count > 0 && !pending.flightFull && !pending.isGathering) return true;
    }
    return false;
  }

  /** When the next breath is due for what waits to be said; Infinity: nothing waits. */
  get dueMicros(): number {
    return this.replication.dueMicros;
  }

  /** What we owned is not under our present owner word any more: those rows are replicas now, and ours begin anew. */
  private displaced(next: number): void {
    this.journal.drain(this.nowMicros);
    this.sessions.reincarnate(next);
    this.sweepAll();
  }

  private sweepAll(): void {
    this.journal.overflowed = false;
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const pending = this.journal.pending[unit] as Pending | null;
      if (pending === null || !pending.receiving) continue;
      pending.clear();
      this.sweeps.bulk(unit, this.nowMicros);
    }
  }
}
