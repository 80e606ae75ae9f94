// This unit's standing, and what it claims.
//
//   start, long pause ─► rejoining ─ caught up, or REJOIN_LIMIT_MILLIS ─► elected ─► active ─ relief.ts ─► standby
//                                                                           └─────► standby ─ nobody better ─► active
//
// Who is elected, and who is whose heir, follows from what peers tell: census.ts. Who decides for whose rows: owners.ts.
//
// Succession: when a unit dies, comes back in a new incarnation, or says that it does not judge any more, the rows of its
// incarnation belong to one successor: its site's active, or the other site's if the whole site is silent. The successor claims
// with one record under a new term; heartbeats carry a hash over all records, and who differs is sent them. A unit that finds
// itself succeeded takes the next incarnation, and what it owned are replicas.

import { eventKind } from "../fastpath/event-kinds.ts";
import type { EventRing } from "../fastpath/events.ts";
import { siteOf } from "../fastpath/half-open.ts";
import { word } from "../fastpath/memory/layout.ts";
import { headerWord, MEMBER_STATE_NAMES, MEMBERS, type Tables } from "../fastpath/memory/tables.ts";
import { ownerUnit, ownerWord } from "../fastpath/sessions.ts";
import { drop } from "../fastpath/verdicts.ts";
import { OWN_ORPHAN_MILLIS, REJOIN_LIMIT_MILLIS, UNITS, YIELD_LAG_MILLIS } from "../limits.ts";
import type { PlannedPeer } from "../plan.ts";
import { type Candidate, Census, ROLE_ACTIVE, ROLE_NONE, ROLE_REJOINING, ROLE_STANDBY } from "./census.ts";
import {
  B_EXPOSED_LINK,
  B_EXPOSED_SITE,
  B_EXPOSED_UNIT,
  B_HEALTH,
  B_INCARNATION,
  B_NUMBER,
  B_PASSIVE,
  B_PRIORITY,
  B_SEEN,
  B_SITE_TERM,
  B_SUCCESSIONS,
  BEAT_DEFERS,
  BEAT_HOLDS,
  BEAT_OWNS,
  HEARTBEAT_BYTES,
  RECORD_SUCCESSION,
} from "./frame.ts";
import type { Health } from "./health.ts";
import type { Standing } from "./link.ts";
import { ABSENT, ALIVE, type Liveness } from "./liveness.ts";
import { Owners } from "./owners.ts";
import type { Paths } from "./paths.ts";
import { type Lag, RELIEF_NONE, Relief } from "./relief.ts";
import { Sites } from "./sites.ts";
import { SUCCESSION_BYTES } from "./successions.ts";

const STATE_REJOINING = MEMBER_STATE_NAMES.indexOf("rejoining");

const MEMBER_WORDS = MEMBERS.strideWords;
const M_UNIT = word(MEMBERS, "unit");
const M_STATE = word(MEMBERS, "state");
const M_INCARNATION = word(MEMBERS, "incarnation");
const M_TERM = word(MEMBERS, "term");
const M_SUCCESSOR = word(MEMBERS, "successor");
const M_HEALTH = word(MEMBERS, "health");
const M_PRIORITY = word(MEMBERS, "priority");
const M_EXPOSED_UNIT = word(MEMBERS, "exposedUnit");
const M_EXPOSED_SITE = word(MEMBERS, "exposedSite");
const M_EXPOSED_LINK = word(MEMBERS, "exposedLink");
const H_EXPOSED_UNIT = headerWord("exposedUnit");
const H_EXPOSED_SITE = headerWord("exposedSite");
const H_EXPOSED_LINK = headerWord("exposedLink");
const H_ROLE = headerWord("role");
const H_TERM = headerWord("term");
const H_HEALTH = headerWord("health");
const H_PRIORITY = headerWord("priority");
const H_OWNED = headerWord("sessionsOwned");

const EVENT_ROLE = eventKind("role-changed");
const EVENT_SUCCESSION = eventKind("succession");
const EVENT_REJOIN_BEGIN = eventKind("rejoin-begin");
const EVENT_REJOIN_END = eventKind("rejoin-end");
const EVENT_GIVES_WAY = eventKind("gives-way");
const DROP_STANDBY = drop("standby");
const DROP_REJOINING = drop("rejoining");
/** How long a unit that gave way waits for its mate to take over. */
const DEFER_MICROS = 1_000_000;

export interface RolesOptions {
  readonly unit: number;
  readonly site: string;
  readonly peers: readonly PlannedPeer[];
  /** What happens to flows of a unit that cannot be reached and is not dead. */
  readonly partition: "stop" | "local";
  /** 1..255; of a pair the higher one is preferred. */
  readonly priority: number;
  /** How long a mate with the higher priority must have been ready before this unit gives way to it; 0 = it does not. */
  readonly preemptMillis: number;
  readonly heartbeatMillis: number;
  readonly deployment: "active/active" | "active/passive";
  readonly activeSite: number;
  /** `header.incarnation` holds this unit's incarnation; member rows of an earlier start are read before they are written. */
  readonly tables: Pick<Tables, "header" | "members">;
  readonly notes: Pick<EventRing, "note">;
  /** The tables were empty, or from a checkpoint: the incarnation must be one that no peer has seen. */
  readonly isNewborn: boolean;
  readonly hooks: RoleHooks;
}

/** What the rest of the twin is told and asked. Called in the middle of a breath. */
export interface RoleHooks extends Lag {
  /**
   * What `unit` owned in `incarnation` belongs to unit `successor`. If it is this unit's present incarnation, its rows are
   * replicas from now on, and `next` is its incarnation; otherwise `next` is 0.
   */
  superseded(unit: number, incarnation: number, successor: number, next: number): void;
  /** This unit's incarnation is `next`: a peer knew the one that it had. What it owned under that one, if anything, stays its own. */
  incarnated(next: number): void;
  rejoinBegan(): void;
  rejoinEnded(): void;
  /** True until `unit`, which is associated, has given this one all that it owns. */
  isBehind(unit: number): boolean;
}

export class Roles implements Standing {
  role = ROLE_NONE;
  term = 0;
  /** False while this unit may emit nothing. */
  mayForward = false;
  /** Drop reason while `mayForward` is false. */
  silentReason = DROP_REJOINING;
  rejoining = false;
  readonly owners: Owners;
  readonly census: Census;
  readonly sites: Sites;
  readonly relief: Relief;
  /** First packets are held here until they are replicated. */
  holds = false;
  /** Something was decided that peers should not have to wait for until the next heartbeat; whoever tells them resets it. */
  isNews = false;
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly priority: number;
  private readonly header: Int32Array;
  private readonly members: Int32Array;
  private readonly notes: Pick<EventRing, "note">;
  private readonly hooks: RoleHooks;
  private readonly isNewborn: boolean;
  private health: Health | null = null;
  private liveness: Liveness | null = null;
  private paths: Paths | null = null;
  private livenessChanges = -1;
  /** By unit: it has caught us up since the rejoin began. */
  private readonly hasCaughtUp = new Uint8Array(UNITS);
  private rejoinSince = 0;
  /** Mates that rejoin as well are waited for until then. */
  private patientUntil = 0;
  private deferUntil = 0;
  private hasClaimed = false;
  /** Units, as bits, of which a start has been met in this life. */
  private met = 0;
  /** So long the heir of an earlier life of ours may still claim it. */
  private ownOrphanUntil = 0;
  /** This unit may own sessions under its present incarnation. */
  private owns: boolean;
  private number = 0;
  private readonly hashes = new Int32Array(UNITS);
  private nowMicros = 0;

  constructor(options: RolesOptions) {
    this.unit = options.unit;
    this.peers = Int32Array.from(options.peers, (peer) => peer.unit);
    this.priority = options.priority;
    this.header = options.tables.header.i;
    this.members = options.tables.members.i;
    this.notes = options.notes;
    this.hooks = options.hooks;
    this.isNewborn = options.isNewborn;
    this.census = new Census(options.unit, options.site, options.peers);
    this.owners = new Owners(this.unit, this.peers, this.census, options.partition, this.header);
    const { deployment, activeSite } = options;
    this.sites = new Sites({ site: siteOf(this.unit), deployment, activeSite, header: this.header });
    this.relief = new Relief(this.census, options.hooks, options.preemptMillis, options.heartbeatMillis);
    this.term = (this.header[H_TERM] as number) >>> 0;
    this.owns = (this.header[H_OWNED] as number) > 0;
    this.header[H_PRIORITY] = this.priority;
    this.owners.remember(this.members);
    for (let k = 0; k < this.peers.length; k++) this.tell(this.peers[k] as number);
    this.tell(this.unit);
    this.owners.recompute();
  }

  /** Whose judgement counts for life and death, and for what ails us; call once, before the first breath. */
  watch(liveness: Liveness, paths: Paths, health: Health): void {
    this.liveness = liveness;
    this.paths = paths;
    this.health = health;
    this.census.watch(liveness);
    this.owners.watch(liveness);
  }

  /** This unit starts, or stood still for too long: it emits nothing until it is caught up. */
  rejoin(nowMicros: number): void {
    this.hasCaughtUp.fill(0);
    this.rejoinSince = nowMicros;
    this.paths?.mark();
    if (!this.rejoining) this.notes.note(EVENT_REJOIN_BEGIN, nowMicros, 0, -1, 0);
    this.rejoining = true;
    this.relief.reset();
    this.become(ROLE_REJOINING, nowMicros);
    this.hooks.rejoinBegan();
  }

  /** The peer has sent all that is newer than our rows. When every live one has, and their successions are known, the rejoin ends. */
  caughtUp(unit: number): void {
    this.hasCaughtUp[unit] = 1;
  }

  /** Each breath, after liveness and health. */
  tick(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.look();
    if (this.rejoining) {
      this.rejoinStep(nowMicros);
      if (this.rejoining) return;
    }
    this.lookBehind();
    this.elect(nowMicros);
    this.claimOwn(nowMicros);
    if (this.role !== ROLE_ACTIVE) return;
    this.giveWay(nowMicros);
    if (this.role !== ROLE_ACTIVE) return;
    this.claimDue(nowMicros);
    this.giveUp(nowMicros);
  }

  /** Gives all that this unit owns to `unit`: whoever owns a session may give it away. What it creates later carries another incarnation. */
  giveAll(unit: number, nowMicros: number): void {
    this.term = this.nextTerm();
    this.header[H_TERM] = this.term;
    this.applySuccession(this.owners.me, this.owners.wordOf(unit), this.term, nowMicros);
  }

  /** `unit`'s dataplane has ended: could its mate, perhaps this unit, take over at once? */
  isReplaceable(unit: number, nowMicros: number): boolean {
    return this.census.roleOf(unit) === ROLE_ACTIVE && this.census.hasStandbyFor(unit, this.candidate, nowMicros);
  }

  /** Who decides for rows with this owner word: OWNER_* | unit << 8. */
  disposition(owner: number): number {
    return this.owners.disposition(owner);
  }

  get isOtherPassive(): boolean {
    return this.sites.isOtherPassive;
  }

  get isSettling(): boolean {
    return this.sites.isSettling(this.nowMicros);
  }

  get isActive(): boolean {
    return this.role === ROLE_ACTIVE;
  }

  /** The unit that packets without a session ask: the twin's active, or 0. */
  get twinActive(): number {
    return this.census.twinActive();
  }

  /** Grows whenever a mate that was active, or the other site that answered for the gateways, does so no more. */
  get rivalsYielded(): number {
    return this.census.rivalsYielded;
  }

  /** A unit's owner word in its current incarnation; 0 = never heard of. */
  wordOf(unit: number): number {
    return this.owners.wordOf(unit);
  }

  /** What `unit` says of itself: ROLE_*. */
  roleOf(unit: number): number {
    return unit === this.unit ? this.role : this.census.roleOf(unit);
  }

  /** True when the peer's last heartbeat said that it has the same successions. */
  agreesOnSuccessions(unit: number): boolean {
    return this.hashes[unit] === this.owners.successions.hash;
  }

  get incarnation(): number {
    return this.owners.incarnation;
  }

  // What the link asks and tells.

  get flags(): number {
    return (this.owns ? BEAT_OWNS : 0) | (this.holds ? BEAT_HOLDS : 0) | (this.nowMicros < this.deferUntil ? BEAT_DEFERS : 0);
  }

  get successionHash(): number {
    return this.owners.successions.hash;
  }

  seenIncarnation(unit: number): number {
    return this.owners.seen(unit);
  }

  seenIncarnationBefore(unit: number): number {
    return this.owners.seenBefore(unit);
  }

  greeted(unit: number, incarnation: number, seen: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    // A new start knows nothing until its heartbeat says otherwise.
    this.hashes[unit] = 0;
    this.census.restarted(unit);
    this.owners.greeted(unit);
    this.owners.learn(unit, incarnation);
    // What a peer knows when it first meets a newborn is of an earlier life, also when others have ended the rejoin long ago (seed 745).
    const isFirst = this.isNewborn && !this.hasClaimed && (this.met & (1 << unit)) === 0;
    this.met |= 1 << unit;
    this.seenByPeer(seen, isFirst, nowMicros);
    this.tell(unit);
    this.owners.recompute();
  }

  /**
   * Before `associated` is told: sweeps begin there, and they ask who decides for each row. With the peer still held for dead or
   * partitioned they would pass over what is to be offered to it, and over what its sweep ends.
   */
  linked(unit: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    (this.liveness as Liveness).linked(unit, nowMicros);
    this.reached(unit, nowMicros);
    this.look();
  }

  reached(unit: number, nowMicros: number): void {
    if (!this.census.isMate(unit)) this.sites.reached(unit, nowMicros);
  }

  beat(unit: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    const news = this.census.news;
    if (!this.census.hear(unit, view, body, bodyBytes)) return;
    this.census.hearRelayed(unit, view, body, bodyBytes, nowMicros);
    this.hashes[unit] = view.getInt32(body + B_SUCCESSIONS);
    this.seenByPeer(view.getUint32(body + B_SEEN), false, nowMicros);
    const isLater = this.owners.learn(unit, view.getUint32(body + B_INCARNATION));
    this.members[unit * MEMBER_WORDS + M_HEALTH] = this.census.healthOf(unit);
    this.members[unit * MEMBER_WORDS + M_PRIORITY] = this.census.priorityOf(unit);
    if (bodyBytes >= HEARTBEAT_BYTES) this.hearExposure(unit * MEMBER_WORDS, view, body);
    if (bodyBytes >= HEARTBEAT_BYTES) this.hearSites(unit, view.getUint32(body + B_SITE_TERM), view.getUint8(body + B_PASSIVE));
    if (news === this.census.news && !isLater) return;
    this.tell(unit);
    this.owners.recompute();
  }

  private hearSites(unit: number, term: number, passive: number): void {
    if (this.sites.hear(term, passive)) this.isNews = true;
    if (!this.census.isMate(unit) && this.sites.yields(unit, passive)) this.census.rivalsYielded = (this.census.rivalsYielded + 1) | 0;
  }

  write(view: DataView, body: number): void {
    this.number = (this.number + 1) >>> 0;
    view.setUint32(body + B_NUMBER, this.number);
    view.setUint8(body + B_PRIORITY, this.priority);
    view.setUint8(body + B_PASSIVE, this.sites.passive);
    view.setUint16(body + B_HEALTH, this.health?.value ?? 0);
    view.setUint32(body + B_SITE_TERM, this.sites.term);
    view.setInt32(body + B_EXPOSED_UNIT, this.header[H_EXPOSED_UNIT] as number);
    view.setInt32(body + B_EXPOSED_SITE, this.header[H_EXPOSED_SITE] as number);
    view.setInt32(body + B_EXPOSED_LINK, this.header[H_EXPOSED_LINK] as number);
    this.census.relay(view, body);
  }

  private hearExposure(at: number, view: DataView, body: number): void {
    this.members[at + M_EXPOSED_UNIT] = view.getInt32(body + B_EXPOSED_UNIT);
    this.members[at + M_EXPOSED_SITE] = view.getInt32(body + B_EXPOSED_SITE);
    this.members[at + M_EXPOSED_LINK] = view.getInt32(body + B_EXPOSED_LINK);
  }

  append(unit: number, view: DataView, at: number, roomBytes: number): number {
    return this.agreesOnSuccessions(unit) ? 0 : this.owners.successions.write(view, at, roomBytes);
  }

  record(_from: number, type: number, _flags: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void {
    if (type !== RECORD_SUCCESSION || bodyBytes < SUCCESSION_BYTES) return;
    this.applySuccession(view.getInt32(body), view.getInt32(body + 4), view.getUint32(body + 8), nowMicros);
  }

  private get candidate(): Candidate {
    return { role: this.role, term: this.term, flags: this.flags, health: this.health?.value ?? 0, priority: this.priority };
  }

  /** Takes in what liveness found since the last look. */
  private look(): void {
    const liveness = this.liveness as Liveness;
    this.header[H_HEALTH] = this.health?.value ?? 0;
    if (this.livenessChanges === liveness.changes) return;
    this.livenessChanges = liveness.changes;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      this.owners.lookAt(this.peers[k] as number);
      this.tell(this.peers[k] as number);
    }
    this.owners.recompute();
  }

  /** A unit that stands by is eligible when its site's active one has given it everything; when that one is gone, as it was then. */
  private lookBehind(): void {
    const health = this.health as Health;
    const mate = this.role === ROLE_ACTIVE ? 0 : this.census.activeMate();
    if (mate === 0) return;
    this.deferUntil = 0;
    health.isBehind = this.hooks.isBehind(mate);
  }

  private rejoinStep(nowMicros: number): void {
    const sinceMicros = nowMicros - this.rejoinSince;
    const isOver = this.peers.length === 0 || sinceMicros >= REJOIN_LIMIT_MILLIS * 1000;
    if (!isOver && !this.isSynchronised()) return;
    this.rejoining = false;
    this.patientUntil = nowMicros + REJOIN_LIMIT_MILLIS * 1000;
    this.hooks.rejoinEnded();
    this.notes.note(EVENT_REJOIN_END, nowMicros, 0, -1, Math.round(sinceMicros / 1000));
  }

  /** Some peer lives, and every one that does has caught us up and has our successions. */
  private isSynchronised(): boolean {
    let live = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if ((this.liveness as Liveness).state(unit) !== ALIVE) continue;
      if (this.hasCaughtUp[unit] === 0 || !this.agreesOnSuccessions(unit) || !(this.paths as Paths).hasEchoedMark(unit)) return false;
      live = (live + 1) | 0;
    }
    return live > 0;
  }

  private elect(nowMicros: number): void {
    const elected = this.census.elect(this.candidate, nowMicros < this.patientUntil, nowMicros);
    if (elected === ROLE_ACTIVE && this.role !== ROLE_ACTIVE) {
      this.term = this.nextTerm();
      this.hasClaimed = true;
      this.owns = true;
      (this.health as Health).isBehind = false;
      this.deferUntil = 0;
      this.patientUntil = 0;
    }
    this.become(elected, nowMicros);
  }

  /** An active unit that has a reason to falls silent, sees its last rows acknowledged, and stands by. */
  private giveWay(nowMicros: number): void {
    const mate = this.census.standbyMate(nowMicros);
    const reason = this.relief.begin(this.health?.value ?? 0, this.priority, nowMicros);
    if (reason !== RELIEF_NONE) this.notes.note(EVENT_GIVES_WAY, nowMicros, mate, -1, reason);
    if (this.relief.isOver(nowMicros)) {
      this.deferUntil = nowMicros + DEFER_MICROS;
      this.become(ROLE_STANDBY, nowMicros);
    } else this.become(ROLE_ACTIVE, nowMicros);
  }

  /**
   * A site that stands by owns nothing while the other one is there. What this unit owns all the same came before it heard: its mate obeyed
   * `drain site` when it had just been taken for dead; or the other site was resumed by order while a cut was between them (seed 40).
   */
  private giveUp(nowMicros: number): void {
    if (!this.sites.isPassive || (this.header[H_OWNED] as number) === 0) return;
    const twin = this.twinActive;
    if (twin !== 0 && this.hooks.lagMicros(twin) <= YIELD_LAG_MILLIS * 1000) this.giveAll(twin, nowMicros);
  }

  private nextTerm(): number {
    return Math.max(this.census.highestTerm(this.term), this.owners.successions.highestTerm) + 1;
  }

  /** Is it us who succeed the unit? */
  private isHeir(unit: number): boolean {
    return this.census.heirOf(unit, this.rejoining ? ROLE_REJOINING : this.role, this.nowMicros) === this.unit;
  }

  /** Claims what falls to this unit: of dead units, of old incarnations of units that came back, of a mate that does not judge any more. */
  private claimDue(nowMicros: number): void {
    const { owners, census } = this;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      const orphan = owners.orphans[unit] as number;
      if (orphan !== 0) {
        owners.orphans[unit] = 0;
        if (owners.successions.follow(orphan) === 0) {
          if (this.isHeir(unit)) this.claim(orphan, nowMicros);
          else owners.orphans[unit] = orphan;
        }
      }
      const dead = owners.deadWords[unit] as number;
      if (dead !== 0 && owners.successions.of(dead) === 0 && this.isHeir(unit)) this.claim(dead, nowMicros);
      const idle = census.isIdleOwner(unit, nowMicros) ? owners.wordOf(unit) : 0;
      if (idle !== 0 && owners.successions.of(idle) === 0) this.claim(idle, nowMicros);
    }
  }

  /** What this unit owned in a life that only those remember who may not claim it: the heir lost its memory as well. */
  private claimOwn(nowMicros: number): void {
    const { owners } = this;
    const own = owners.orphans[this.unit] as number;
    if (own === 0 || nowMicros < this.ownOrphanUntil) return;
    owners.orphans[this.unit] = 0;
    if (owners.successions.follow(own) !== 0) return;
    this.claim(own, nowMicros);
    this.owns = true;
  }

  private claim(deadWord: number, nowMicros: number): void {
    this.term = this.nextTerm();
    this.header[H_TERM] = this.term;
    this.applySuccession(deadWord, this.owners.me, this.term, nowMicros);
  }

  private applySuccession(deadWord: number, successorWord: number, term: number, nowMicros: number): void {
    const owners = this.owners;
    const isMine = deadWord === owners.me;
    if (!owners.successions.apply(deadWord, successorWord, term)) return;
    this.isNews = true;
    const dead = ownerUnit(deadWord);
    const successor = ownerUnit(successorWord);
    // Somebody took over from us: what we create from now on carries another incarnation.
    if (isMine) {
      owners.setIncarnation(Math.max(owners.incarnation, owners.seen(dead)) + 1);
      this.owns = this.role === ROLE_ACTIVE;
    }
    owners.recompute();
    this.tell(dead);
    if (successor === dead) return;
    this.notes.note(EVENT_SUCCESSION, nowMicros, successor, -1, dead);
    this.hooks.superseded(dead, deadWord & 0xffffff, successor, isMine ? owners.incarnation : 0);
  }

  /** A peer knows of an incarnation of ours. Newborn tables may not share one with earlier ones; nobody may go back. */
  private seenByPeer(seen: number, isFirst: boolean, nowMicros: number): void {
    const owners = this.owners;
    owners.seenByPeer(seen);
    if (seen < owners.incarnation || (seen === owners.incarnation && !isFirst)) {
      if (seen > 0 && seen < owners.incarnation) this.hearOfLife(seen, nowMicros);
      return;
    }
    const old = owners.me;
    this.hearOfLife(seen, nowMicros);
    owners.setIncarnation(seen + 1);
    this.hooks.incarnated(owners.incarnation);
    // Rows that were created meanwhile stay ours, and everybody shall know.
    if (this.hasClaimed) this.applySuccession(old, owners.me, this.nextTerm(), nowMicros);
  }

  /** A peer remembers an earlier life of ours. Who succeeds it? */
  private hearOfLife(seen: number, nowMicros: number): void {
    const { owners, unit } = this;
    const word = ownerWord(unit, seen);
    const known = owners.orphans[unit] as number;
    if ((known !== 0 && (known & 0xffffff) >= (word & 0xffffff)) || owners.successions.follow(word) !== 0) return;
    owners.orphans[unit] = word;
    this.ownOrphanUntil = nowMicros + OWN_ORPHAN_MILLIS * 1000;
  }

  private become(role: number, nowMicros: number): void {
    this.mayForward = role === ROLE_ACTIVE && !this.rejoining && !this.relief.isSilent;
    this.silentReason = role === ROLE_REJOINING ? DROP_REJOINING : DROP_STANDBY;
    if (role === this.role) return;
    this.role = role;
    this.isNews = true;
    if (role !== ROLE_ACTIVE) this.relief.reset();
    this.mayForward = role === ROLE_ACTIVE && !this.rejoining;
    this.header[H_ROLE] = role;
    this.header[H_TERM] = this.term;
    this.tell(this.unit);
    this.notes.note(EVENT_ROLE, nowMicros, this.unit, -1, role);
    if (this.liveness !== null) this.owners.recompute();
  }

  /** Writes a unit's member row: state, role, incarnation, term, successor. */
  private tell(unit: number): void {
    const at = unit * MEMBER_WORDS;
    const role = this.roleOf(unit);
    let state = unit === this.unit ? ALIVE : (this.liveness?.state(unit) ?? ABSENT);
    if (state === ALIVE && role === ROLE_REJOINING) state = STATE_REJOINING;
    const incarnation = unit === this.unit ? this.owners.incarnation : this.owners.seen(unit);
    this.members[at + M_UNIT] = unit;
    this.members[at + M_STATE] = state | (role << 8);
    this.members[at + M_INCARNATION] = incarnation;
    const current = ownerWord(unit, incarnation);
    const successor = this.owners.successions.of(current);
    this.members[at + M_SUCCESSOR] = ownerUnit(successor);
    this.members[at + M_TERM] = successor !== 0 ? this.owners.successions.termOf(current) : unit === this.unit ? this.term : this.census.termOf(unit);
  }
}
