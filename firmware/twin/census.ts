// What every peer says of itself, and what follows from it for everybody alike: who is active in a site, and who is whose heir.
//
// Election: one active per site. Of two the higher term stays, then the lower unit. With none, the best of those that are there
// claims: the healthier one (memory/health.ts), then the higher priority, then the lower unit. Nobody is relieved here: an active
// unit gives way by itself (relief.ts). A mate is there if we, or a peer that lives, hear it, so that a cut between two mates
// alone makes no second active; what such a mate says of itself is relayed too.
//
// Heir of a unit: its site's active; the other site's only if nobody of its own site is there.

import { HEALTH_INELIGIBLE } from "../fastpath/memory/health.ts";
import { ROLE_NAMES } from "../fastpath/memory/tables.ts";
import { UNITS } from "../limits.ts";
import type { PlannedPeer } from "../plan.ts";
import {
  B_FLAGS,
  B_HEALTH,
  B_HEARS,
  B_NUMBER,
  B_PRIORITY,
  B_RELAYED,
  B_ROLE,
  B_TERM,
  BEAT_DEFERS,
  BEAT_OWNS,
  HEARTBEAT_BYTES,
  RELAYED_BYTES,
} from "./frame.ts";
import { ALIVE, type Liveness } from "./liveness.ts";

export const ROLE_NONE = ROLE_NAMES.indexOf("none");
export const ROLE_ACTIVE = ROLE_NAMES.indexOf("active");
export const ROLE_STANDBY = ROLE_NAMES.indexOf("standby");
export const ROLE_REJOINING = ROLE_NAMES.indexOf("rejoining");

/** What a unit brings to an election. */
export interface Candidate {
  readonly role: number;
  readonly term: number;
  /** BEAT_* */
  readonly flags: number;
  readonly health: number;
  readonly priority: number;
}

export class Census {
  /** Grows with each change of a role or term. */
  news = 0;
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly peerUnits = new Uint8Array(UNITS);
  private readonly mates = new Uint8Array(UNITS);
  private liveness: Liveness | null = null;
  /** By unit, as its latest heartbeat said, or as a peer relays it. */
  private readonly numbers = new Float64Array(UNITS);
  private readonly terms = new Float64Array(UNITS);
  private readonly roles = new Uint8Array(UNITS);
  private readonly flags = new Uint8Array(UNITS);
  private readonly hears = new Uint8Array(UNITS);
  private readonly healths = new Uint16Array(UNITS);
  private readonly priorities = new Uint8Array(UNITS);

  constructor(unit: number, site: string, peers: readonly PlannedPeer[]) {
    this.unit = unit;
    this.peers = Int32Array.from(peers, (peer) => peer.unit);
    for (const peer of peers) {
      this.peerUnits[peer.unit] = 1;
      if (peer.site === site) this.mates[peer.unit] = 1;
    }
  }

  watch(liveness: Liveness): void {
    this.liveness = liveness;
  }

  /** A new start of the unit: its heartbeats are numbered anew, and it rejoins, whatever it was before. */
  restarted(unit: number): void {
    this.numbers[unit] = 0;
    this.roles[unit] = ROLE_REJOINING;
  }

  /** Takes in a heartbeat of `unit`; false when a later one was heard already. `isNews`: its role or term is another one now. */
  hear(unit: number, view: DataView, body: number, bodyBytes: number): boolean {
    const isWhole = bodyBytes >= HEARTBEAT_BYTES;
    if (isWhole) {
      const number = view.getUint32(body + B_NUMBER);
      if (number < (this.numbers[unit] as number)) return false;
      this.numbers[unit] = number;
      this.healths[unit] = view.getUint16(body + B_HEALTH);
      this.priorities[unit] = view.getUint8(body + B_PRIORITY);
    }
    this.take(unit, view.getUint8(body + B_ROLE), view.getUint8(body + B_FLAGS), view.getUint32(body + B_TERM));
    this.hears[unit] = view.getUint8(body + B_HEARS);
    return true;
  }

  /** What the sender of a heartbeat relays of units that we do not hear ourselves. */
  hearRelayed(from: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void {
    if (bodyBytes < HEARTBEAT_BYTES) return;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (unit === from || ((this.hears[from] as number) & (1 << unit)) === 0 || this.isHeard(unit, nowMicros)) continue;
      const at = body + B_RELAYED + (unit - 1) * RELAYED_BYTES;
      this.healths[unit] = view.getUint16(at + 2);
      this.take(unit, view.getUint8(at), view.getUint8(at + 1), view.getUint32(at + 4));
    }
  }

  /** Writes what the units that we hear say of themselves into a heartbeat's body. */
  relay(view: DataView, body: number): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      const at = body + B_RELAYED + (unit - 1) * RELAYED_BYTES;
      view.setUint8(at, this.roles[unit] as number);
      view.setUint8(at + 1, this.flags[unit] as number);
      view.setUint16(at + 2, this.healths[unit] as number);
      view.setUint32(at + 4, this.terms[unit] as number);
    }
  }

  private take(unit: number, role: number, flags: number, term: number): void {
    if (role !== this.roles[unit] || term !== this.terms[unit]) this.news = (this.news + 1) | 0;
    if (this.mates[unit] === 1 && this.roles[unit] === ROLE_ACTIVE && role !== ROLE_ACTIVE) this.rivalsYielded = (this.rivalsYielded + 1) | 0;
    this.roles[unit] = role;
    this.flags[unit] = flags;
    this.terms[unit] = term;
  }

  isPeer(unit: number): boolean {
    return this.peerUnits[unit] === 1;
  }

  isMate(unit: number): boolean {
    return this.mates[unit] === 1;
  }

  /** How often a mate that was active, or the other site that answered for the gateways, does so no more. */
  rivalsYielded = 0;

  /** This unit's site has no other unit. */
  get isAlone(): boolean {
    return !this.mates.includes(1);
  }

  roleOf(unit: number): number {
    return this.roles[unit] as number;
  }

  termOf(unit: number): number {
    return this.terms[unit] as number;
  }

  healthOf(unit: number): number {
    return this.healths[unit] as number;
  }

  priorityOf(unit: number): number {
    return this.priorities[unit] as number;
  }

  /** BEAT_* */
  flagsOf(unit: number): number {
    return this.flags[unit] as number;
  }

  /** Highest of `own` and all terms heard. */
  highestTerm(own: number): number {
    let term = own;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) term = Math.max(term, this.terms[this.peers[k] as number] as number);
    return term;
  }

  /** The other site's active unit that is alive here, or 0. Of two, the one with the higher term. */
  twinActive(): number {
    let active = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 1 || this.roles[unit] !== ROLE_ACTIVE || !this.isAlive(unit)) continue;
      if (active === 0 || (this.terms[unit] as number) > (this.terms[active] as number)) active = unit;
    }
    return active;
  }

  /** The mate that is active and alive here, or 0. */
  activeMate(): number {
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 1 && this.roles[unit] === ROLE_ACTIVE && this.isAlive(unit)) return unit;
    }
    return 0;
  }

  /** The mate that is heard here and stands by, or 0. */
  standbyMate(nowMicros: number): number {
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 1 && this.roles[unit] === ROLE_STANDBY && this.isHeard(unit, nowMicros)) return unit;
    }
    return 0;
  }

  /** Some unit of `unit`'s site, perhaps this one, could take over from it at once: it is there, eligible, and stands by. */
  hasStandbyFor(unit: number, own: Candidate, nowMicros: number): boolean {
    if (this.siteOf(unit) === 0 && own.role === ROLE_STANDBY && (own.health & HEALTH_INELIGIBLE) === 0) return true;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const other = this.peers[k] as number;
      if (other === unit || this.siteOf(other) !== this.siteOf(unit) || this.roles[other] !== ROLE_STANDBY) continue;
      if (((this.healths[other] as number) & HEALTH_INELIGIBLE) === 0 && this.isHeard(other, nowMicros)) return true;
    }
    return false;
  }

  /** A mate that is heard, says that it does not judge, and may own sessions: the site's active takes them over. */
  isIdleOwner(unit: number, nowMicros: number): boolean {
    const role = this.roles[unit];
    if (this.mates[unit] === 0 || (role !== ROLE_STANDBY && role !== ROLE_REJOINING)) return false;
    return ((this.flags[unit] as number) & BEAT_OWNS) !== 0 && this.isHeard(unit, nowMicros);
  }

  /** The role that is this unit's now: ROLE_ACTIVE or ROLE_STANDBY. `isNew`: it has just rejoined, and no role yet. */
  elect(own: Candidate, isNew: boolean, nowMicros: number): number {
    let isBest = true;
    let mateActive = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 0 || !this.isThere(unit, nowMicros)) continue;
      const role = this.roles[unit];
      if (role === ROLE_ACTIVE) {
        if (mateActive === 0 || (this.terms[unit] as number) > (this.terms[mateActive] as number)) mateActive = unit;
      } else if (role === ROLE_STANDBY) isBest = isBest && !this.isBetter(unit, own);
      // Two that start together: the better one is waited for. One that was active and rejoins is not, unless we lack its sessions.
      else if (role === ROLE_REJOINING) isBest = isBest && (isNew ? !this.isBetter(unit, own) : (own.health & HEALTH_INELIGIBLE) === 0);
    }
    if (mateActive !== 0) return own.role === ROLE_ACTIVE && this.outranks(own.term, mateActive) ? ROLE_ACTIVE : ROLE_STANDBY;
    return own.role === ROLE_ACTIVE || isBest ? ROLE_ACTIVE : ROLE_STANDBY;
  }

  /**
   * The one unit that succeeds `unit`, as far as we can see; 0 = nobody yet. `role`: our own. A unit that is back, and its site's active
   * one again, has lost what its earlier incarnation had: then it is for the other site.
   */
  heirOf(unit: number, role: number, nowMicros: number): number {
    const site = this.siteOf(unit);
    const isBack = this.roles[unit] === ROLE_ACTIVE && this.isAlive(unit);
    let mate = 0;
    let other = 0;
    for (let candidate = 1; candidate < UNITS; candidate = (candidate + 1) | 0) {
      const isMe = candidate === this.unit;
      if (candidate === unit || (!isMe && this.peerUnits[candidate] === 0)) continue;
      const isMate = this.siteOf(candidate) === site;
      const isActive = (isMe ? role : this.roles[candidate]) === ROLE_ACTIVE;
      // A mate that is there but not active yet will be.
      if (isMate && !isActive && !isBack && (isMe || this.isThere(candidate, nowMicros))) return 0;
      if (!isActive || !(isMe || this.isAlive(candidate))) continue;
      if (isMate) mate = candidate;
      else other = candidate;
    }
    return mate !== 0 ? mate : other;
  }

  private isHeard(unit: number, nowMicros: number): boolean {
    return (this.liveness as Liveness).isHeard(unit, nowMicros);
  }

  /** Heard here, or by a peer that is alive here. */
  private isThere(unit: number, nowMicros: number): boolean {
    const liveness = this.liveness as Liveness;
    if (liveness.hasEnded(unit)) return false;
    if (liveness.isHeard(unit, nowMicros)) return true;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const other = this.peers[k] as number;
      if (other !== unit && this.isAlive(other) && ((this.hears[other] as number) & (1 << unit)) !== 0) return true;
    }
    return false;
  }

  private isAlive(unit: number): boolean {
    return (this.liveness as Liveness).state(unit) === ALIVE;
  }

  /** Both are active: do we stay? */
  private outranks(term: number, mate: number): boolean {
    const theirs = this.terms[mate] as number;
    return term > theirs || (term === theirs && this.unit < mate);
  }

  /** Neither is active: is it the mate's turn rather than ours? Who has just given way waits for the other. */
  private isBetter(mate: number, own: Candidate): boolean {
    const theyDefer = ((this.flags[mate] as number) & BEAT_DEFERS) !== 0;
    if (theyDefer !== ((own.flags & BEAT_DEFERS) !== 0)) return !theyDefer;
    const health = this.healths[mate] as number;
    if (health !== own.health) return health < own.health;
    const priority = this.priorities[mate] as number;
    return priority !== own.priority ? priority > own.priority : mate < this.unit;
  }

  /** 0: this unit's site, 1: the other. */
  private siteOf(unit: number): number {
    return unit === this.unit || this.mates[unit] === 1 ? 0 : 1;
  }
}
