// This unit's standing, and who decides for whose rows.
//
//   start, long pause ─► rejoining ─ caught up, or REJOIN_LIMIT_MILLIS ─► elected ─► active
//                                                                           └─────► standby
//
// Who is elected, and who is whose heir, follows from what peers tell: census.ts.
//
// Succession: when a unit dies, or comes back in a new incarnation, the rows of the old one belong to one successor: its
// site's active, or the other site's if the whole site is silent. The successor claims with one record under a new term;
// heartbeats carry a hash over all records, and who differs is sent them. A unit that finds itself succeeded takes the
// next incarnation, and what it owned are replicas.

import { eventKind } from "../fastpath/event-kinds.ts";
import type { EventRing } from "../fastpath/events.ts";
import { word } from "../fastpath/memory/layout.ts";
import { headerWord, MEMBER_STATE_NAMES, MEMBERS, type Tables } from "../fastpath/memory/tables.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE, OWNER_STOP, OWNER_UNKNOWN } from "../fastpath/partner.ts";
import { ownerUnit, ownerWord } from "../fastpath/sessions.ts";
import { drop } from "../fastpath/verdicts.ts";
import { PORT_UP } from "../hal/contracts.ts";
import { REJOIN_LIMIT_MILLIS, UNITS } from "../limits.ts";
import type { PlannedPeer } from "../plan.ts";
import { Census, ROLE_ACTIVE, ROLE_NONE, ROLE_REJOINING, ROLE_STANDBY } from "./census.ts";
import { B_FLAGS, B_HEARS, B_INCARNATION, B_ROLE, B_SEEN, B_SUCCESSIONS, B_TERM, BEAT_ELIGIBLE, PATH_TWIN, RECORD_SUCCESSION } from "./frame.ts";
import type { Standing } from "./link.ts";
import { ABSENT, ALIVE, DEAD, type Liveness } from "./liveness.ts";
import type { Paths } from "./paths.ts";
import { SUCCESSION_BYTES, Successions } from "./successions.ts";

const STATE_REJOINING = MEMBER_STATE_NAMES.indexOf("rejoining");

const MEMBER_WORDS = MEMBERS.strideWords;
const M_UNIT = word(MEMBERS, "unit");
const M_STATE = word(MEMBERS, "state");
const M_INCARNATION = word(MEMBERS, "incarnation");
const M_TERM = word(MEMBERS, "term");
const M_SUCCESSOR = word(MEMBERS, "successor");
const H_INCARNATION = headerWord("incarnation");
const H_ROLE = headerWord("role");
const H_TERM = headerWord("term");

const EVENT_ROLE = eventKind("role-changed");
const EVENT_SUCCESSION = eventKind("succession");
const EVENT_REJOIN_BEGIN = eventKind("rejoin-begin");
const EVENT_REJOIN_END = eventKind("rejoin-end");
const DROP_STANDBY = drop("standby");
const DROP_REJOINING = drop("rejoining");

/** Successions of successions are followed so far. */
const HOPS = 2 * UNITS;

export interface RolesOptions {
  readonly unit: number;
  readonly site: string;
  readonly peers: readonly PlannedPeer[];
  /** What happens to flows of a unit that cannot be reached and is not dead. */
  readonly partition: "stop" | "local";
  /** `header.incarnation` holds this unit's incarnation; member rows of an earlier start are read before they are written. */
  readonly tables: Pick<Tables, "header" | "members">;
  readonly notes: Pick<EventRing, "note">;
  /** The tables were empty, or from a checkpoint: the incarnation must be one that no peer has seen. */
  readonly isNewborn: boolean;
  readonly hooks: RoleHooks;
}

/** What the rest of the twin is told. Called in the middle of a breath. */
export interface RoleHooks {
  /**
   * What `unit` owned in `incarnation` belongs to unit `successor`. If it is this unit's present incarnation, its rows are
   * replicas from now on, and `next` is its incarnation; otherwise `next` is 0.
   */
  superseded(unit: number, incarnation: number, successor: number, next: number): void;
  /** This unit's incarnation is `next`: a peer knew the one that it had. What it owned under that one, if anything, stays its own. */
  incarnated(next: number): void;
  rejoinBegan(): void;
  rejoinEnded(): void;
}

export class Roles implements Standing {
  role = ROLE_NONE;
  term = 0;
  incarnation: number;
  /** This unit's owner word. */
  me: number;
  /** False while this unit may emit nothing. */
  mayForward = false;
  /** Drop reason while `mayForward` is false. */
  silentReason = DROP_REJOINING;
  rejoining = false;
  readonly successions = new Successions();
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly census: Census;
  private readonly setting: number;
  private readonly header: Int32Array;
  private readonly members: Int32Array;
  private readonly notes: Pick<EventRing, "note">;
  private readonly hooks: RoleHooks;
  private readonly isNewborn: boolean;
  private liveness: Liveness | null = null;
  private paths: Paths | null = null;
  private livenessChanges = -1;
  /** By unit: it has caught us up since the rejoin began. */
  private readonly hasCaughtUp = new Uint8Array(UNITS);
  private rejoinSince = 0;
  private hasClaimed = false;
  /** As peers tell, by unit. */
  private readonly incarnations = new Float64Array(UNITS);
  private readonly incarnationsBefore = new Float64Array(UNITS);
  private readonly hashes = new Int32Array(UNITS);
  /** Owner words of units that came back in a later incarnation: somebody must succeed them. 0 = none. */
  private readonly orphans = new Int32Array(UNITS);
  /** Who decides for each unit's current owner word: recomputed at each change, read per packet. */
  private readonly currentWords = new Int32Array(UNITS);
  private readonly currentAnswers = new Int32Array(UNITS).fill(OWNER_UNKNOWN);
  /** Owner words that were current when their units died; 0 = it lives. */
  private readonly deadWords = new Int32Array(UNITS);
  private nowMicros = 0;

  constructor(options: RolesOptions) {
    this.unit = options.unit;
    this.peers = Int32Array.from(options.peers, (peer) => peer.unit);
    this.census = new Census(options.unit, options.site, options.peers);
    this.setting = options.partition === "local" ? OWNER_ADOPT : OWNER_STOP;
    this.header = options.tables.header.i;
    this.members = options.tables.members.i;
    this.notes = options.notes;
    this.hooks = options.hooks;
    this.isNewborn = options.isNewborn;
    this.incarnation = (this.header[H_INCARNATION] as number) >>> 0;
    this.me = ownerWord(this.unit, this.incarnation);
    this.term = (this.header[H_TERM] as number) >>> 0;
    this.remember();
  }

  /** Whose judgement counts for life and death; call once, before the first breath. */
  watch(liveness: Liveness, paths: Paths): void {
    this.liveness = liveness;
    this.paths = paths;
    this.census.watch(liveness);
  }

  /** This unit starts, or stood still for too long: it emits nothing until it is caught up. */
  rejoin(nowMicros: number): void {
    this.hasCaughtUp.fill(0);
    this.rejoinSince = nowMicros;
    this.paths?.mark();
    if (!this.rejoining) this.notes.note(EVENT_REJOIN_BEGIN, nowMicros, 0, -1, 0);
    this.rejoining = true;
    this.become(ROLE_REJOINING, nowMicros);
    this.hooks.rejoinBegan();
  }

  /** The peer has sent all that is newer than our rows. When every live one has, and their successions are known, the rejoin ends. */
  caughtUp(unit: number): void {
    this.hasCaughtUp[unit] = 1;
  }

  /** Each breath, after liveness. */
  tick(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.look();
    if (this.rejoining) {
      this.rejoinStep(nowMicros);
      if (this.rejoining) return;
    }
    this.elect(nowMicros);
    if (this.role === ROLE_ACTIVE) this.claimDue(nowMicros);
  }

  /** Who decides for rows with this owner word: OWNER_* | unit << 8. */
  disposition(owner: number): number {
    const unit = ownerUnit(owner);
    if (unit < UNITS && this.currentWords[unit] === owner) return this.currentAnswers[unit] as number;
    return this.resolve(owner);
  }

  /** The unit that packets without a session ask: the twin's active, or 0. */
  get twinActive(): number {
    return this.census.twinActive();
  }

  /** A unit's owner word in its current incarnation; 0 = never heard of. */
  wordOf(unit: number): number {
    return this.currentWords[unit] as number;
  }

  /** What `unit` says of itself: ROLE_*. */
  roleOf(unit: number): number {
    return unit === this.unit ? this.role : this.census.roleOf(unit);
  }

  /** True when the peer's last heartbeat said that it has the same successions. */
  agreesOnSuccessions(unit: number): boolean {
    return this.hashes[unit] === this.successions.hash;
  }

  // What the link asks and tells.

  get flags(): number {
    const port = this.paths?.ports[PATH_TWIN];
    return port !== null && port !== undefined && port.state === PORT_UP ? BEAT_ELIGIBLE : 0;
  }

  get successionHash(): number {
    return this.successions.hash;
  }

  seenIncarnation(unit: number): number {
    return this.incarnations[unit] as number;
  }

  seenIncarnationBefore(unit: number): number {
    return this.incarnationsBefore[unit] as number;
  }

  greeted(unit: number, incarnation: number, seen: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    // A new start knows nothing until its heartbeat says otherwise.
    this.hashes[unit] = 0;
    this.incarnationsBefore[unit] = this.incarnations[unit] as number;
    this.learn(unit, incarnation);
    this.seenByPeer(seen, this.isNewborn && this.rejoining && !this.hasClaimed, nowMicros);
    this.tell(unit);
    this.recompute();
  }

  /**
   * Before `associated` is told: sweeps begin there, and they ask who decides for each row. With the peer still held for dead or
   * partitioned they would pass over what is to be offered to it, and over what its sweep ends.
   */
  linked(unit: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    (this.liveness as Liveness).linked(unit, nowMicros);
    this.look();
  }

  beat(unit: number, view: DataView, body: number, nowMicros: number): void {
    this.nowMicros = nowMicros;
    const role = view.getUint8(body + B_ROLE);
    const term = view.getUint32(body + B_TERM);
    const incarnation = view.getUint32(body + B_INCARNATION);
    this.hashes[unit] = view.getInt32(body + B_SUCCESSIONS);
    this.seenByPeer(view.getUint32(body + B_SEEN), false, nowMicros);
    const isNews = this.census.hear(unit, role, term, view.getUint8(body + B_FLAGS), view.getUint8(body + B_HEARS));
    if (!isNews && incarnation === this.incarnations[unit]) return;
    this.learn(unit, incarnation);
    this.tell(unit);
    this.recompute();
  }

  append(unit: number, view: DataView, at: number, roomBytes: number): number {
    return this.agreesOnSuccessions(unit) ? 0 : this.successions.write(view, at, roomBytes);
  }

  record(_from: number, type: number, _flags: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void {
    if (type !== RECORD_SUCCESSION || bodyBytes < SUCCESSION_BYTES) return;
    this.applySuccession(view.getInt32(body), view.getInt32(body + 4), view.getUint32(body + 8), nowMicros);
  }

  /** Takes in what liveness found since the last look. */
  private look(): void {
    const liveness = this.liveness as Liveness;
    if (this.livenessChanges === liveness.changes) return;
    this.livenessChanges = liveness.changes;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) this.lookAt(this.peers[k] as number);
    this.recompute();
  }

  /** A peer's state changed: who died, in which incarnation? One that comes back in a later one did not die in that. */
  private lookAt(unit: number): void {
    if ((this.liveness as Liveness).state(unit) !== DEAD) this.deadWords[unit] = 0;
    else if (this.deadWords[unit] === 0) this.deadWords[unit] = this.currentWords[unit] as number;
    this.tell(unit);
  }

  private rejoinStep(nowMicros: number): void {
    const sinceMicros = nowMicros - this.rejoinSince;
    const isOver = this.peers.length === 0 || sinceMicros >= REJOIN_LIMIT_MILLIS * 1000;
    if (!isOver && !this.isSynchronised()) return;
    this.rejoining = false;
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
    const elected = this.census.elect(this.role, this.term, this.flags, nowMicros);
    if (elected === ROLE_ACTIVE && this.role !== ROLE_ACTIVE) {
      this.term = this.nextTerm();
      this.hasClaimed = true;
    }
    this.become(elected, nowMicros);
  }

  private nextTerm(): number {
    return Math.max(this.census.highestTerm(this.term), this.successions.highestTerm) + 1;
  }

  /** Is it us who succeed the unit? */
  private isHeir(unit: number): boolean {
    return this.census.heirOf(unit, this.rejoining ? ROLE_REJOINING : this.role, this.nowMicros) === this.unit;
  }

  /** Claims what falls to this unit: dead units, and old incarnations of units that came back. */
  private claimDue(nowMicros: number): void {
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      const orphan = this.orphans[unit] as number;
      if (orphan !== 0) {
        this.orphans[unit] = 0;
        if (this.successions.follow(orphan) === 0) {
          if (this.isHeir(unit)) this.claim(orphan, nowMicros);
          else this.orphans[unit] = orphan;
        }
      }
      const dead = this.deadWords[unit] as number;
      if (dead !== 0 && this.successions.of(dead) === 0 && this.isHeir(unit)) this.claim(dead, nowMicros);
    }
  }

  private claim(deadWord: number, nowMicros: number): void {
    this.term = this.nextTerm();
    this.header[H_TERM] = this.term;
    this.applySuccession(deadWord, this.me, this.term, nowMicros);
  }

  private applySuccession(deadWord: number, successorWord: number, term: number, nowMicros: number): void {
    if (!this.successions.apply(deadWord, successorWord, term)) return;
    const dead = ownerUnit(deadWord);
    const successor = ownerUnit(successorWord);
    // Somebody took over from us: what we create from now on carries another incarnation.
    const isMine = deadWord === this.me;
    if (isMine) this.setIncarnation(Math.max(this.incarnation, this.incarnations[dead] as number) + 1);
    this.recompute();
    this.tell(dead);
    if (successor === dead) return;
    this.notes.note(EVENT_SUCCESSION, nowMicros, successor, -1, dead);
    this.hooks.superseded(dead, deadWord & 0xffffff, successor, isMine ? this.incarnation : 0);
  }

  /** A peer knows of an incarnation of ours. Newborn tables may not share one with earlier ones; nobody may go back. */
  private seenByPeer(seen: number, isFirst: boolean, nowMicros: number): void {
    if (seen > (this.incarnations[this.unit] as number)) this.incarnations[this.unit] = seen;
    if (seen < this.incarnation || (seen === this.incarnation && !isFirst)) return;
    const old = this.me;
    this.setIncarnation(seen + 1);
    this.hooks.incarnated(this.incarnation);
    // Rows that were created meanwhile stay ours, and everybody shall know.
    if (this.hasClaimed) this.applySuccession(old, this.me, this.nextTerm(), nowMicros);
  }

  private setIncarnation(incarnation: number): void {
    this.incarnation = incarnation >>> 0;
    this.me = ownerWord(this.unit, this.incarnation);
    this.header[H_INCARNATION] = this.incarnation;
    this.recompute();
  }

  /** A peer's incarnation, as it says. A later one leaves rows of the earlier one behind. */
  private learn(unit: number, incarnation: number): void {
    const known = this.incarnations[unit] as number;
    if (incarnation <= known) return;
    this.incarnations[unit] = incarnation;
    if (known !== 0 && this.successions.follow(ownerWord(unit, known)) === 0) this.orphans[unit] = ownerWord(unit, known);
  }

  private resolve(owner: number): number {
    let at = owner;
    for (let hop = 0; hop < HOPS; hop = (hop + 1) | 0) {
      if (at === this.me) return hop === 0 ? OWNER_HERE : OWNER_ADOPT;
      const successor = this.successions.follow(at);
      if (successor === 0) return this.resolveLast(at);
      at = successor;
    }
    return OWNER_UNKNOWN;
  }

  /** An owner word that nobody succeeded. */
  private resolveLast(owner: number): number {
    const unit = ownerUnit(owner);
    // Our own earlier incarnation, and no peer took its rows.
    if (unit === this.unit) return OWNER_ADOPT;
    if (unit >= UNITS || !this.census.isPeer(unit)) return OWNER_UNKNOWN;
    const state = (this.liveness as Liveness).state(unit);
    const known = ownerWord(unit, this.incarnations[unit] as number);
    if (state === ALIVE && owner === known) return OWNER_ELSEWHERE | (unit << 8);
    // An earlier incarnation that no peer remembers, so nobody took its rows: they are its own still.
    if (state === ALIVE && (owner & 0xffffff) < (known & 0xffffff) && owner !== this.orphans[unit]) return OWNER_ELSEWHERE | (unit << 8);
    if (state === ALIVE || state === DEAD) return OWNER_UNKNOWN;
    return this.setting | (unit << 8);
  }

  private recompute(): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      if (unit === this.unit) this.currentWords[unit] = this.me;
      else if (this.census.isPeer(unit) && (this.incarnations[unit] as number) > 0)
        this.currentWords[unit] = ownerWord(unit, this.incarnations[unit] as number);
      else continue;
      this.currentAnswers[unit] = this.liveness === null ? OWNER_UNKNOWN : this.resolve(this.currentWords[unit] as number);
    }
  }

  private become(role: number, nowMicros: number): void {
    this.mayForward = role === ROLE_ACTIVE && !this.rejoining;
    this.silentReason = role === ROLE_STANDBY ? DROP_STANDBY : DROP_REJOINING;
    if (role === this.role) return;
    this.role = role;
    this.header[H_ROLE] = role;
    this.header[H_TERM] = this.term;
    this.tell(this.unit);
    this.notes.note(EVENT_ROLE, nowMicros, this.unit, -1, role);
    if (this.liveness !== null) this.recompute();
  }

  /** Writes a unit's member row: state, role, incarnation, term, successor. */
  private tell(unit: number): void {
    const at = unit * MEMBER_WORDS;
    const role = this.roleOf(unit);
    let state = unit === this.unit ? ALIVE : (this.liveness?.state(unit) ?? ABSENT);
    if (state === ALIVE && role === ROLE_REJOINING) state = STATE_REJOINING;
    const incarnation = unit === this.unit ? this.incarnation : (this.incarnations[unit] as number);
    this.members[at + M_UNIT] = unit;
    this.members[at + M_STATE] = state | (role << 8);
    this.members[at + M_INCARNATION] = incarnation;
    const current = ownerWord(unit, incarnation);
    const successor = this.successions.of(current);
    this.members[at + M_SUCCESSOR] = ownerUnit(successor);
    this.members[at + M_TERM] = successor !== 0 ? this.successions.termOf(current) : unit === this.unit ? this.term : this.census.termOf(unit);
  }

  /** A start on tables that an earlier one left: who was who, and who had succeeded whom. */
  private remember(): void {
    for (let k = 0; k < this.peers.length; k++) {
      const unit = this.peers[k] as number;
      const at = unit * MEMBER_WORDS;
      if (this.members[at + M_UNIT] !== unit) continue;
      this.incarnations[unit] = (this.members[at + M_INCARNATION] as number) >>> 0;
    }
    for (let k = 0; k < this.peers.length; k++) {
      const unit = this.peers[k] as number;
      const at = unit * MEMBER_WORDS;
      const successor = this.members[at + M_SUCCESSOR] as number;
      const heir = successor === this.unit ? this.incarnation : (this.incarnations[successor] as number);
      if (successor <= 0 || successor >= UNITS || heir === 0) continue;
      this.successions.apply(ownerWord(unit, this.incarnations[unit] as number), ownerWord(successor, heir), (this.members[at + M_TERM] as number) >>> 0);
    }
    for (let k = 0; k < this.peers.length; k++) this.tell(this.peers[k] as number);
    this.tell(this.unit);
    this.recompute();
  }
}
