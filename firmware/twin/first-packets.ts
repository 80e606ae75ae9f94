// What this unit does about first packets of UDP and ICMP, now: `header.firstPacket` shows it.
//
//   setting   asks the twin about packets without a session      holds back the first packets of its own sessions
//   query     yes                                                no
//   hold      no                                                 yes
//   none      no                                                 no
//   auto      unless the twin says that it holds                 while the round trip to the twin is long
//
// Under `auto` the two sites may choose differently for a while; each asks as long as the other does not say that it holds, and who
// stops holding says so first and goes on holding for a second. So no answer meets the policy of a site that could have known better.

import { FIRST_PACKET_NAMES, headerWord, type TableView } from "../fastpath/memory/tables.ts";
import { HOLD_AFTER_MILLIS, HOLD_ROUND_TRIP_MICROS } from "../limits.ts";

const H_FIRST_PACKET = headerWord("firstPacket");
const SHOWN_NONE = FIRST_PACKET_NAMES.indexOf("none");
const SHOWN_QUERY = FIRST_PACKET_NAMES.indexOf("query");
const SHOWN_HOLD = FIRST_PACKET_NAMES.indexOf("hold");

export class FirstPacketSetting {
  asks: boolean;
  holds: boolean;
  /** What heartbeats say. */
  saysHolds: boolean;
  private readonly isAuto: boolean;
  private readonly header: Int32Array;
  private stoppedMicros = 0;

  constructor(setting: "auto" | "query" | "hold" | "none", header: TableView["i"]) {
    this.isAuto = setting === "auto";
    this.asks = setting === "query" || this.isAuto;
    this.holds = setting === "hold";
    this.saysHolds = this.holds;
    this.header = header;
    this.show();
  }

  /** Each breath. `roundTripMicros` to the twin, 0 = unknown; `twinHolds`: its heartbeats say so. */
  tick(roundTripMicros: number, twinHolds: boolean, nowMicros: number): void {
    if (!this.isAuto) return;
    this.asks = !twinHolds;
    if (!this.saysHolds && roundTripMicros > HOLD_ROUND_TRIP_MICROS) {
      this.saysHolds = true;
      this.holds = true;
    } else if (this.saysHolds && roundTripMicros < HOLD_ROUND_TRIP_MICROS / 2) {
      this.saysHolds = false;
      this.stoppedMicros = nowMicros;
    }
    if (!this.saysHolds && this.holds && nowMicros - this.stoppedMicros >= HOLD_AFTER_MILLIS * 1_000) this.holds = false;
    this.show();
  }

  private show(): void {
    this.header[H_FIRST_PACKET] = this.holds ? SHOWN_HOLD : this.asks || this.isAuto ? SHOWN_QUERY : SHOWN_NONE;
  }
}
