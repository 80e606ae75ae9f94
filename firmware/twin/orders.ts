// What operators order, and why it is refused. An order is given to the unit that it is about, and takes effect with its next breath.
//
//   switchover unit   the active unit gives way to its mate                     relief.ts
//   drain unit        the same, and it stays back until it is resumed           health.ts
//   switchover site   of one active site: the other one goes on                 sites.ts, and one succession
//   drain site        of two active sites: the same, until it is resumed
//
// Refused while replicas lag, unless it is forced.

import { HEALTH_INELIGIBLE } from "../fastpath/memory/health.ts";
import {
  ANSWER_BOTH_ACTIVE,
  ANSWER_DONE,
  ANSWER_MATE_AILING,
  ANSWER_NO_MATE,
  ANSWER_NO_TWIN,
  ANSWER_NOT_ACTIVE,
  ANSWER_NOT_DRAINED,
  ANSWER_SITE_ACTIVE,
  ANSWER_SITE_PASSIVE,
  ANSWER_TWIN_LAGS,
  ANSWER_UNKNOWN_ORDER,
  ORDER_DRAIN_SITE,
  ORDER_DRAIN_UNIT,
  ORDER_RESUME_SITE,
  ORDER_RESUME_UNIT,
  ORDER_SWITCHOVER_SITE,
  ORDER_SWITCHOVER_UNIT,
} from "../fastpath/memory/orders.ts";
import { YIELD_LAG_MILLIS } from "../limits.ts";
import type { Health } from "./health.ts";
import type { Lag } from "./relief.ts";
import type { Roles } from "./roles.ts";

export class Orders {
  private readonly roles: Roles;
  private readonly health: Health;
  private readonly lag: Lag;

  constructor(roles: Roles, health: Health, lag: Lag) {
    this.roles = roles;
    this.health = health;
    this.lag = lag;
  }

  /** Does what ORDER_* says, or answers why not: ANSWER_*. */
  obey(order: number, isForced: boolean, nowMicros: number): number {
    switch (order) {
      case ORDER_SWITCHOVER_UNIT:
        return this.switchOver(isForced, nowMicros);
      case ORDER_SWITCHOVER_SITE:
        return this.roles.sites.hasOneActive ? this.standBy(isForced, nowMicros) : ANSWER_BOTH_ACTIVE;
      case ORDER_DRAIN_UNIT:
        return this.drain(isForced, nowMicros);
      case ORDER_DRAIN_SITE:
        return this.standBy(isForced, nowMicros);
      case ORDER_RESUME_UNIT:
        return this.resume();
      case ORDER_RESUME_SITE:
        return this.goOn();
      default:
        return ANSWER_UNKNOWN_ORDER;
    }
  }

  /** A mate that is less healthy would give way again at once: two gaps for nothing. One that is behind or drained is told as such. */
  private switchOver(isForced: boolean, nowMicros: number): number {
    const { roles, health } = this;
    if (!roles.isActive) return ANSWER_NOT_ACTIVE;
    const theirs = roles.census.healthOf(roles.census.standbyMate(nowMicros));
    if (!isForced && theirs > health.value && (theirs & HEALTH_INELIGIBLE) === 0) return ANSWER_MATE_AILING;
    return roles.relief.order(isForced, nowMicros);
  }

  private drain(isForced: boolean, nowMicros: number): number {
    if (this.roles.census.isAlone) return ANSWER_NO_MATE;
    const answer = this.roles.isActive ? this.roles.relief.order(isForced, nowMicros) : ANSWER_DONE;
    if (answer === ANSWER_DONE) this.health.isDrained = true;
    return answer;
  }

  private resume(): number {
    if (!this.health.isDrained) return ANSWER_NOT_DRAINED;
    this.health.isDrained = false;
    return ANSWER_DONE;
  }

  /** This site stands by from now on, and its sessions are the other site's active unit's. */
  private standBy(isForced: boolean, nowMicros: number): number {
    const { roles } = this;
    if (!roles.isActive) return ANSWER_NOT_ACTIVE;
    if (roles.sites.isPassive) return ANSWER_SITE_PASSIVE;
    const twin = roles.twinActive;
    if (twin === 0 || roles.sites.hasOneActive !== roles.sites.isOtherPassive) return ANSWER_NO_TWIN;
    if (!isForced && this.lag.lagMicros(twin) > YIELD_LAG_MILLIS * 1000) return ANSWER_TWIN_LAGS;
    roles.sites.standBy();
    roles.giveAll(twin, nowMicros);
    return ANSWER_DONE;
  }

  /**
   * A drained site goes on. Of one active site, while the other lives, it stands by: ready to take over, which it is anyway; the role
   * itself comes back by a switchover there.
   */
  private goOn(): number {
    const { roles } = this;
    if (!roles.isActive) return ANSWER_NOT_ACTIVE;
    if (!roles.sites.isPassive) return ANSWER_SITE_ACTIVE;
    if (roles.sites.hasOneActive && roles.twinActive !== 0) return ANSWER_DONE;
    roles.sites.takeOver();
    roles.isNews = true;
    return ANSWER_DONE;
  }
}
