// Monitored addresses: asked at every heartbeat, so that a unit knows whether it still reaches anybody. A peer that falls
// silent while a monitored address answers is dead; when nobody answers, the silence may be our own (twin/liveness.ts).

import { MONITORED_SILENT_MILLIS } from "../limits.ts";
import type { Plan } from "../plan.ts";
import type { Neighbours } from "./neighbours.ts";
import { addressWords } from "./stations.ts";
import type { Zones } from "./zones.ts";

export class Monitor {
  private readonly neighbours: Neighbours;
  private readonly count: number;
  private readonly entries: Int32Array;
  /** Four words per address. */
  private readonly addresses: Int32Array;
  private readonly intervalMillis: number;
  private readonly detectionMillis: number;
  private nextMillis = 0;
  private nowMillis = 0;
  private asksSinceMillis = -1;

  constructor(plan: Plan, neighbours: Neighbours, zones: Zones) {
    const monitored = plan.twin.monitored.map(({ zone, address }) => ({ entry: zones.ofZone(zone), address })).filter(({ entry }) => entry >= 0);
    this.neighbours = neighbours;
    this.count = monitored.length;
    this.entries = Int32Array.from(monitored, ({ entry }) => entry);
    this.addresses = Int32Array.from(monitored.flatMap(({ address }) => addressWords(address)));
    this.intervalMillis = plan.twin.heartbeatMillis;
    this.detectionMillis = plan.twin.heartbeatMillis * plan.twin.heartbeatMisses;
  }

  /** Asks all of them when it is time. */
  tick(nowMillis: number): void {
    this.nowMillis = nowMillis;
    if (this.asksSinceMillis < 0) this.asksSinceMillis = nowMillis;
    if (nowMillis < this.nextMillis) return;
    this.nextMillis = nowMillis + this.intervalMillis;
    for (let k = 0; k < this.count; k++) this.neighbours.probe(this.entries[k] as number, this.addresses, k * 4);
  }

  /** True when one of them answered within the detection time. */
  reaches(): boolean {
    for (let k = 0; k < this.count; k++) if (this.hasAnswered(k, this.detectionMillis)) return true;
    return false;
  }

  /** How many of them have not answered for MONITORED_SILENT_MILLIS, although they were asked. */
  silent(): number {
    if (this.count === 0 || this.nowMillis - this.asksSinceMillis < MONITORED_SILENT_MILLIS) return 0;
    let silent = 0;
    for (let k = 0; k < this.count; k++) if (!this.hasAnswered(k, MONITORED_SILENT_MILLIS)) silent++;
    return silent;
  }

  private hasAnswered(k: number, withinMillis: number): boolean {
    const at = this.neighbours.confirmedAt(this.entries[k] as number, this.addresses, k * 4);
    return at !== 0 && (((this.nowMillis | 0) - at) | 0) <= withinMillis;
  }
}
