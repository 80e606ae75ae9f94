// Telling the neighbourhood where things are now: the gateways' and the site's addresses in routed mode, the stations behind each
// wire in transparent mode. Said when a port comes up, and three times when this unit takes over: one announcement may be lost.
// Gateways are said again each minute. Nothing else need ever come from a gateway's MAC, bridges forget in five minutes whom they do
// not hear, and then all that hosts send to their gateway would be flooded.

import type { Neighbours } from "./neighbours.ts";
import type { WireStations } from "./wire-stations.ts";
import type { Zones } from "./zones.ts";

/** From one announcement of a takeover to the next. */
const AGAIN_MILLIS = [200, 1_000] as const;
const REPEAT_MILLIS = 60_000;

export class Announcer {
  private readonly zones: Zones;
  private readonly neighbours: Neighbours;
  private readonly stations: WireStations | null;
  private said: number = AGAIN_MILLIS.length;
  private dueMillis = 0;

  /** `stations`: in transparent mode. */
  constructor(zones: Zones, neighbours: Neighbours, stations: WireStations | null) {
    this.zones = zones;
    this.neighbours = neighbours;
    this.stations = stations;
  }

  /** This unit answers from now on for what others answered for. `nowMillis`: this boot's clock, 32 bits. */
  takeOver(nowMillis: number): void {
    this.said = 0;
    this.dueMillis = (nowMillis + AGAIN_MILLIS[0]) | 0;
    this.announce(-1);
  }

  /** Now and then, while this unit forwards. */
  tick(nowMillis: number): void {
    this.stations?.tick();
    if (((nowMillis - this.dueMillis) | 0) < 0) return;
    const isTold = this.said === AGAIN_MILLIS.length;
    if (!isTold) this.said++;
    this.dueMillis = (nowMillis + (AGAIN_MILLIS[this.said] ?? REPEAT_MILLIS)) | 0;
    // Stations behind a wire are heard themselves.
    if (!isTold || this.stations === null) this.announce(-1);
  }

  /** What lies on a port, by number; -1: on all. */
  announce(port: number): void {
    if (this.stations !== null) {
      if (port === -1) this.stations.announceAll();
      return;
    }
    for (let entry = 0; entry < this.zones.count; entry++) if (port === -1 || this.zones.port[entry] === port) this.neighbours.announce(entry);
  }
}
