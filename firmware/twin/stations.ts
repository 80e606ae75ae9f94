// Transparent mode: what the units of a pair know about the stations behind their wires, for each other. All of it again and
// again, a few at a time: nothing waits for it.
//
//   active  ── what it has learnt ─────────────────────────► standby: takes it
//   standby ── what it knows (it may have been active) ────► active: takes what it does not know, and announces it
//
//   STATIONS: (MAC 6 │ zone 1 │ zero 1 │ VLAN 2 │ zero 2) × n, flags 1: from a standby
//
// The sequence that needs the second line: a standby's dataplane takes over, and the last stations that its mate had learnt were
// never told. Bridges go on sending for them to the mate, which is back and stands by.

import type { StationTable } from "../fastpath/partner.ts";
import { STATIONS_MILLIS, STATIONS_PER_RECORD } from "../limits.ts";
import { type Channel, CLASS_SWEEP, RECORD_STATIONS } from "./frame.ts";

const ENTRY_BYTES = 12;
const FROM_STANDBY = 1;

export class Stations {
  private readonly channel: Channel;
  private readonly mates: readonly number[];
  private table: StationTable | null = null;
  private dueMicros = 0;
  private place = 0;

  constructor(channel: Channel, mates: readonly number[]) {
    this.channel = channel;
    this.mates = mates;
  }

  attach(table: StationTable | null): void {
    this.table = table;
  }

  /** Each breath of a unit that is active or stands by. */
  tick(nowMicros: number, isActive: boolean): void {
    if (this.table === null || nowMicros < this.dueMicros) return;
    this.dueMicros = nowMicros + STATIONS_MILLIS * 1_000;
    let count = 0;
    let place = this.table.next(this.place);
    const first = place;
    for (; place >= 0 && count < STATIONS_PER_RECORD; place = this.table.next(place + 1)) count++;
    for (const mate of this.mates) this.send(mate, isActive ? 0 : FROM_STANDBY, first, count);
    this.place = place < 0 ? 0 : place;
  }

  private send(mate: number, flags: number, first: number, count: number): void {
    const table = this.table as StationTable;
    const body = count === 0 ? -1 : this.channel.reserve(mate, RECORD_STATIONS, flags, count * ENTRY_BYTES, CLASS_SWEEP);
    if (body < 0) return;
    const view = this.channel.view;
    let place = first;
    for (let k = 0; k < count; k++) {
      const at = body + k * ENTRY_BYTES;
      view.setInt32(at, table.macOf(place), true);
      view.setUint16(at + 4, table.macRestOf(place), true);
      view.setUint16(at + 6, table.zoneOf(place) << 8);
      view.setUint32(at + 8, table.vlanOf(place) << 16);
      place = table.next(place + 1);
    }
  }

  /** A STATIONS record of the mate. Two that were active at once each learn from what they hear. */
  record(body: number, bodyBytes: number, flags: number, isActive: boolean): void {
    const isHint = (flags & FROM_STANDBY) !== 0;
    if (isHint !== isActive) return;
    const view = this.channel.view;
    for (let at = body; at + ENTRY_BYTES <= body + bodyBytes; at = (at + ENTRY_BYTES) | 0)
      this.table?.learnAt(view.getUint8(at + 6), view.getUint16(at + 8), view.getInt32(at, true), view.getUint16(at + 4, true), isHint);
  }
}
