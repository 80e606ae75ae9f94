// What every peer says of itself, and what follows from it for everybody alike: who is active in a site, and who is whose heir.
//
// Election: one active per site. Of two the higher term stays, then the lower unit. With none, the best of those that are there
// claims: eligible (with a twin port) before not, then the lower unit. A mate is there if we, or a peer that lives, hear it, so
// that a cut between two mates alone makes no second active.
//
// Heir of a unit: its site's active; the other site's only if nobody of its own site is there.

import { ROLE_NAMES } from "../fastpath/memory/tables.ts";
import { UNITS } from "../limits.ts";
import type { PlannedPeer } from "../plan.ts";
import { BEAT_ELIGIBLE } from "./frame.ts";
import { ALIVE, type Liveness } from "./liveness.ts";

export const ROLE_NONE = ROLE_NAMES.indexOf("none");
export const ROLE_ACTIVE = ROLE_NAMES.indexOf("active");
export const ROLE_STANDBY = ROLE_NAMES.indexOf("standby");
export const ROLE_REJOINING = ROLE_NAMES.indexOf("rejoining");

export class Census {
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly peerUnits = new Uint8Array(UNITS);
  private readonly mates = new Uint8Array(UNITS);
  private liveness: Liveness | null = null;
  private readonly terms = new Float64Array(UNITS);
  private readonly roles = new Uint8Array(UNITS);
  private readonly flags = new Uint8Array(UNITS);
  private readonly hears = new Uint8Array(UNITS);

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

  /** What a heartbeat of `unit` says; true when its role or term is another than before. */
  hear(unit: number, role: number, term: number, flags: number, hears: number): boolean {
    const isNews = role !== this.roles[unit] || term !== this.terms[unit];
    this.roles[unit] = role;
    this.terms[unit] = term;
    this.flags[unit] = flags;
    this.hears[unit] = hears;
    return isNews;
  }

  isPeer(unit: number): boolean {
    return this.peerUnits[unit] === 1;
  }

  roleOf(unit: number): number {
    return this.roles[unit] as number;
  }

  termOf(unit: number): number {
    return this.terms[unit] as number;
  }

  /** Highest of `own` and all terms heard. */
  highestTerm(own: number): number {
    let term = own;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) term = Math.max(term, this.terms[this.peers[k] as number] as number);
    return term;
  }

  /** The other site's active unit that is alive here, or 0. */
  twinActive(): number {
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 0 && this.roles[unit] === ROLE_ACTIVE && this.isAlive(unit)) return unit;
    }
    return 0;
  }

  /** The role that is this unit's now: ROLE_ACTIVE or ROLE_STANDBY. `role`, `term`, `flags`: what it has and says of itself. */
  elect(role: number, term: number, flags: number, nowMicros: number): number {
    let isBest = true;
    let mateActive = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.mates[unit] === 0 || !this.isThere(unit, nowMicros)) continue;
      if (this.roles[unit] === ROLE_ACTIVE) {
        if (mateActive === 0 || (this.terms[unit] as number) > (this.terms[mateActive] as number)) mateActive = unit;
      } else if (this.roles[unit] === ROLE_STANDBY && this.isPreferred(unit, flags)) isBest = false;
    }
    if (mateActive !== 0) return role === ROLE_ACTIVE && this.outranks(term, mateActive) ? ROLE_ACTIVE : ROLE_STANDBY;
    // An active without a twin port makes room for a mate that has one; otherwise nobody is relieved.
    if (role === ROLE_ACTIVE) return (flags & BEAT_ELIGIBLE) === 0 && !isBest ? ROLE_STANDBY : ROLE_ACTIVE;
    return isBest ? ROLE_ACTIVE : ROLE_STANDBY;
  }

  /** The one unit that succeeds `unit`, as far as we can see; 0 = nobody yet. `role`: our own. */
  heirOf(unit: number, role: number, nowMicros: number): number {
    const site = this.siteOf(unit);
    let mate = 0;
    let other = 0;
    for (let candidate = 1; candidate < UNITS; candidate = (candidate + 1) | 0) {
      const isMe = candidate === this.unit;
      if (candidate === unit || (!isMe && this.peerUnits[candidate] === 0)) continue;
      const isMate = this.siteOf(candidate) === site;
      const isActive = (isMe ? role : this.roles[candidate]) === ROLE_ACTIVE;
      // A mate that is there but not active yet will be.
      if (isMate && !isActive && (isMe || this.isThere(candidate, nowMicros))) return 0;
      if (!isActive || !(isMe || this.isAlive(candidate))) continue;
      if (isMate) mate = candidate;
      else other = candidate;
    }
    return mate !== 0 ? mate : other;
  }

  /** Heard here, or by a peer that is alive here. */
  private isThere(unit: number, nowMicros: number): boolean {
    if ((this.liveness as Liveness).isHeard(unit, nowMicros)) return true;
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

  /** Neither is active: is it the mate's turn rather than ours? */
  private isPreferred(mate: number, ownFlags: number): boolean {
    const eligible = ((this.flags[mate] as number) & BEAT_ELIGIBLE) - (ownFlags & BEAT_ELIGIBLE);
    return eligible !== 0 ? eligible > 0 : mate < this.unit;
  }

  /** 0: this unit's site, 1: the other. */
  private siteOf(unit: number): number {
    return unit === this.unit || this.mates[unit] === 1 ? 0 : 1;
  }
}
