// When an active unit gives way to its mate. It alone decides that, so that the two never disagree about who was to stop:
//
//   active ─ a reason holds ─► silent: judges nothing, its last rows go out ─ acknowledged, or 50 ms ─► standby, defers to the mate
//                                                                                              mate: active, takes the rows over
//
//   reason       holds when the mate stands by, is eligible and
//   health       is healthier, and was for a moment: what fails for both, both notice, but not at once
//   priority     is as healthy and has had the higher priority for the configured delay (preemption; never, if none is configured)
//                while the mate lacks rows that are not just on their way (its table may be full), only ports that are down count
//   ordered      an operator said so; forced: eligible or not

import { HEALTH_BEHIND, HEALTH_INELIGIBLE, HEALTH_PORTS_MOST, HEALTH_PORTS_SHIFT } from "../fastpath/memory/health.ts";
import { ANSWER_DONE, ANSWER_MATE_BEHIND, ANSWER_MATE_DRAINED, ANSWER_MATE_LAGS, ANSWER_NO_MATE } from "../fastpath/memory/orders.ts";
import { RELIEF_BEATS, RELIEF_MINOR_MILLIS, YIELD_LAG_MILLIS, YIELD_LIMIT_MILLIS } from "../limits.ts";
import type { Census } from "./census.ts";

export const RELIEF_NONE = 0;
export const RELIEF_HEALTH = 1;
export const RELIEF_PRIORITY = 2;
export const RELIEF_ORDERED = 3;

/** What a unit that gives way needs to know of its rows at another. */
export interface Lag {
  /** Own rows that `unit` has not acknowledged; 0 when it is not associated: waiting would not help. */
  lagRows(unit: number): number;
  /** For how long the oldest of them has waited, microseconds; Infinity when it is not associated, or has no room for one. */
  lagMicros(unit: number): number;
}

export class Relief {
  private readonly census: Census;
  private readonly lag: Lag;
  private readonly preemptMicros: number;
  private readonly holdMicros: number;
  private healthierSince = -1;
  private preferredSince = -1;
  private isOrdered = false;
  private isForced = false;
  private silentSince = -1;

  /** `preemptMillis`: how long the mate must have been preferred by priority; 0 = priority relieves nobody. */
  constructor(census: Census, lag: Lag, preemptMillis: number, heartbeatMillis: number) {
    this.census = census;
    this.lag = lag;
    this.preemptMicros = preemptMillis * 1000;
    this.holdMicros = heartbeatMillis * RELIEF_BEATS * 1000;
  }

  /** True while this unit, still active, judges nothing any more. */
  get isSilent(): boolean {
    return this.silentSince >= 0;
  }

  /** An operator wants the mate to become active. Returns why not, or ANSWER_DONE: it will, from the next breath on. */
  order(isForced: boolean, nowMicros: number): number {
    const mate = this.census.standbyMate(nowMicros);
    if (mate === 0) return ANSWER_NO_MATE;
    if (!isForced) {
      const health = this.census.healthOf(mate);
      if ((health & HEALTH_BEHIND) !== 0) return ANSWER_MATE_BEHIND;
      if ((health & HEALTH_INELIGIBLE) !== 0) return ANSWER_MATE_DRAINED;
      if (this.lag.lagMicros(mate) > YIELD_LAG_MILLIS * 1000) return ANSWER_MATE_LAGS;
    }
    this.isOrdered = true;
    this.isForced = isForced;
    return ANSWER_DONE;
  }

  /** No longer active, or not yet: nothing is under way. */
  reset(): void {
    this.healthierSince = -1;
    this.preferredSince = -1;
    this.isOrdered = false;
    this.isForced = false;
    this.silentSince = -1;
  }

  /** Each breath of an active unit: RELIEF_* when it is to fall silent now (once), else RELIEF_NONE. */
  begin(health: number, priority: number, nowMicros: number): number {
    const mate = this.census.standbyMate(nowMicros);
    if (mate === 0) {
      this.reset();
      return RELIEF_NONE;
    }
    if (this.silentSince >= 0) return RELIEF_NONE;
    const reason = this.reasonFor(mate, health, priority, nowMicros);
    if (reason !== RELIEF_NONE) this.silentSince = nowMicros;
    return reason;
  }

  /** After `begin`: may this unit say that it stands by? The mate has its last rows, or has had its time. */
  isOver(nowMicros: number): boolean {
    if (this.silentSince < 0) return false;
    const mate = this.census.standbyMate(nowMicros);
    // What changed in the breath that fell silent is counted in the next one.
    if (nowMicros === this.silentSince) return false;
    return mate === 0 || this.lag.lagRows(mate) === 0 || nowMicros - this.silentSince >= YIELD_LIMIT_MILLIS * 1000;
  }

  private reasonFor(mate: number, health: number, priority: number, nowMicros: number): number {
    const theirs = this.census.healthOf(mate);
    const isEligible = (theirs & HEALTH_INELIGIBLE) === 0;
    if (this.isOrdered && (isEligible || this.isForced)) return RELIEF_ORDERED;
    const isPreferred = isEligible && theirs === health && this.census.priorityOf(mate) > priority;
    if (!isPreferred) this.preferredSince = -1;
    else if (this.preferredSince < 0) this.preferredSince = nowMicros;
    if (this.isHealthier(mate, isEligible && theirs < health, theirs ^ health, nowMicros)) return RELIEF_HEALTH;
    const isDue = isPreferred && this.preemptMicros > 0 && nowMicros - this.preferredSince >= this.preemptMicros;
    return isDue && this.hasKeptUp(mate) ? RELIEF_PRIORITY : RELIEF_NONE;
  }

  /** `difference`: bits in which the two healths differ. */
  private isHealthier(mate: number, is: boolean, difference: number, nowMicros: number): boolean {
    if (!is) this.healthierSince = -1;
    else if (this.healthierSince < 0) this.healthierSince = nowMicros;
    const isMinor = difference >>> HEALTH_PORTS_SHIFT === 0;
    if (!is || nowMicros - this.healthierSince < (isMinor ? RELIEF_MINOR_MILLIS * 1000 : this.holdMicros)) return false;
    const isPorts = ((difference >>> HEALTH_PORTS_SHIFT) & HEALTH_PORTS_MOST) !== 0;
    return isPorts || this.hasKeptUp(mate) || (!isMinor && this.lag.lagRows(mate) === 0);
  }

  /** What this unit owns, its mate has, but for what is on its way. False, too, if it cannot be told anything. */
  private hasKeptUp(mate: number): boolean {
    return this.lag.lagMicros(mate) <= YIELD_LIMIT_MILLIS * 1000;
  }
}
