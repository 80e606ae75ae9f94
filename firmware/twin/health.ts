// This unit's health, as peers and operators are told it (memory/health.ts has the bits).
//
//   bad news counts at once                   twin port, data ports, monitored addresses, pauses of the loop, disk
//   good news only when it has held           2 s, doubled each time it did not hold for a minute, up to 60 s
//
// So a port that flaps takes the role away once, and does not move it to and fro. What follows from knowledge rather than from
// observation (behind, drained) counts at once both ways.

import {
  HEALTH_BEHIND,
  HEALTH_DISK,
  HEALTH_DRAINED,
  HEALTH_MONITORED_MOST,
  HEALTH_MONITORED_SHIFT,
  HEALTH_PORTS_MOST,
  HEALTH_PORTS_SHIFT,
  HEALTH_STALLS,
  HEALTH_TWIN,
} from "../fastpath/memory/health.ts";
import { PORT_UP } from "../hal/contracts.ts";
import { HEALTH_HOLD_MILLIS, HEALTH_HOLD_MILLIS_MOST, STALLS_MILLIS, STALLS_MOST } from "../limits.ts";
import { PATHS } from "./frame.ts";
import type { Paths } from "./paths.ts";

const FORGIVEN_MICROS = 60_000_000;

export interface HealthOptions {
  readonly peers: readonly number[];
  readonly paths: Paths;
  /** Monitored addresses that have not answered for MONITORED_SILENT_MILLIS. */
  readonly silentMonitored: () => number;
}

export class Health {
  /** Set by the operator. */
  isDrained = false;
  /** Set by the manager. */
  isDiskAiling = false;
  /** Set while the site's active unit has not given this one all that it owns. */
  isBehind = false;
  private readonly peers: Int32Array;
  private readonly paths: Paths;
  private readonly silentMonitored: () => number;
  /** Without what is known rather than observed. */
  private settled = 0;
  /** Worst since the present spell of better news began. */
  private worst = 0;
  private betterSince = -1;
  private holdMicros = HEALTH_HOLD_MILLIS * 1000;
  private improvedAt = Number.NEGATIVE_INFINITY;
  /** When the last pauses of the loop were; a ring. */
  private readonly stalls = new Float64Array(STALLS_MOST).fill(Number.NEGATIVE_INFINITY);
  private stallCursor = 0;

  constructor(options: HealthOptions) {
    this.peers = Int32Array.from(options.peers);
    this.paths = options.paths;
    this.silentMonitored = options.silentMonitored;
  }

  /** The loop stood still for too long. */
  stalled(nowMicros: number): void {
    this.stalls[this.stallCursor] = nowMicros;
    this.stallCursor = (this.stallCursor + 1) % STALLS_MOST;
  }

  /** Each breath. */
  tick(nowMicros: number): void {
    this.settle(this.observe(nowMicros), nowMicros);
  }

  /** HEALTH_*, as it is told. */
  get value(): number {
    return this.settled | (this.isBehind ? HEALTH_BEHIND : 0) | (this.isDrained ? HEALTH_DRAINED : 0);
  }

  private settle(observed: number, nowMicros: number): void {
    if (observed >= this.settled) {
      // Worse again soon after it had become better: it has to hold longer next time.
      if (observed > this.settled && nowMicros - this.improvedAt < FORGIVEN_MICROS) {
        this.holdMicros = Math.min(this.holdMicros * 2, HEALTH_HOLD_MILLIS_MOST * 1000);
        this.improvedAt = Number.NEGATIVE_INFINITY;
      }
      this.settled = observed;
      this.betterSince = -1;
      return;
    }
    if (this.betterSince < 0) {
      this.betterSince = nowMicros;
      this.worst = observed;
    }
    this.worst = Math.max(this.worst, observed);
    if (nowMicros - this.betterSince < this.holdMicros) return;
    if (nowMicros - this.improvedAt >= FORGIVEN_MICROS && this.improvedAt > 0) this.holdMicros = HEALTH_HOLD_MILLIS * 1000;
    this.settled = this.worst;
    this.improvedAt = nowMicros;
    this.betterSince = -1;
  }

  private observe(nowMicros: number): number {
    let down = 0;
    for (let path = 1; path < PATHS; path = (path + 1) | 0) {
      const port = this.paths.ports[path];
      if (port !== null && port !== undefined && port.state !== PORT_UP && !this.paths.isTwin(path)) down = (down + 1) | 0;
    }
    return (
      (this.hasStalled(nowMicros) ? HEALTH_STALLS : 0) |
      (this.isTwinLost(nowMicros) ? HEALTH_TWIN : 0) |
      (Math.min(down, HEALTH_PORTS_MOST) << HEALTH_PORTS_SHIFT) |
      (Math.min(this.silentMonitored(), HEALTH_MONITORED_MOST) << HEALTH_MONITORED_SHIFT) |
      (this.isDiskAiling ? HEALTH_DISK : 0)
    );
  }

  private hasStalled(nowMicros: number): boolean {
    for (let k = 0; k < STALLS_MOST; k = (k + 1) | 0) if (nowMicros - (this.stalls[k] as number) > STALLS_MILLIS * 1000) return false;
    return true;
  }

  private hasTwinPort(): boolean {
    const { twinPaths, ports } = this.paths;
    for (let k = 0; k < twinPaths.length; k = (k + 1) | 0) if (ports[twinPaths[k] as number]?.state === PORT_UP) return true;
    return false;
  }

  /** No port, or peers that are heard elsewhere are not reached through it: it is our cable, not theirs, if that holds for all. */
  private isTwinLost(nowMicros: number): boolean {
    if (!this.hasTwinPort()) return true;
    let heard = false;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.paths.isTwinUp(unit)) return false;
      // A peer that has just started is heard before its keys are agreed; it counts when it was with us.
      if (nowMicros - this.paths.lastTwinUp(unit) < Number.POSITIVE_INFINITY && nowMicros - this.paths.lastHeard(unit) <= this.paths.detectMicros) heard = true;
    }
    return heard;
  }
}
