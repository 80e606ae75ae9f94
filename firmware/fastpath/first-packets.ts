// First packets of UDP and ICMP sessions that wait until the other site knows the session (first-packet `hold`): the answer may come
// by the other site, and faster than the session's row.
//
//   created ─► held ─┬─ acknowledged there, refused, or nobody is there ─► emitted
//                    └─ HOLD_MILLIS ─► dropped, held-too-long
//
// Packets of the same session that follow meanwhile wait behind the first. With all places taken a packet leaves at once, counted.

import { FIRST_PACKETS, HOLD_MILLIS } from "../limits.ts";
import { P_LENGTH, P_OFFSET, P_PORT, P_VLAN, P_ZONE } from "./packets.ts";
import { ROW_WORDS, S_ID_SERIAL, S_REPLICA, type SessionTable } from "./sessions.ts";

/** Offset, length, port, zone, VLAN, row, serial, deadline in ms. */
const STRIDE = 8;
const REFUSED_SHIFT = 8;

/** Where a packet goes when it waits no longer. */
export interface Releaser {
  /** It is judged: only emission is left. */
  emitJudged(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void;
  discardHeld(offset: number): void;
}

export class FirstPackets {
  /** Packets that wait. */
  count = 0;
  private readonly words = new Int32Array(FIRST_PACKETS * STRIDE);
  private readonly sessions: SessionTable;

  constructor(sessions: SessionTable) {
    this.sessions = sessions;
  }

  /** True while packets of this row wait. */
  isHeld(row: number): boolean {
    for (let k = 0; k < this.count; k = (k + 1) | 0) if (this.words[k * STRIDE + 5] === row) return true;
    return false;
  }

  /** Keeps the packet; false: there is no place, the frame is still the caller's. */
  hold(packet: Int32Array, at: number, row: number, nowMillis: number): boolean {
    if (this.count === FIRST_PACKETS) return false;
    const words = this.words;
    const to = this.count * STRIDE;
    words[to] = packet[at + P_OFFSET] as number;
    words[to + 1] = packet[at + P_LENGTH] as number;
    words[to + 2] = packet[at + P_PORT] as number;
    words[to + 3] = packet[at + P_ZONE] as number;
    words[to + 4] = packet[at + P_VLAN] as number;
    words[to + 5] = row;
    words[to + 6] = this.sessions.i[row * ROW_WORDS + S_ID_SERIAL] as number;
    words[to + 7] = (nowMillis + HOLD_MILLIS) | 0;
    this.count = (this.count + 1) | 0;
    return true;
  }

  /** Gives back what need not wait any more, oldest first. `unit`: who must have acknowledged, 0 = nobody. */
  release(unit: number, nowMillis: number, releaser: Releaser): void {
    const words = this.words;
    let kept = 0;
    for (let k = 0; k < this.count; k = (k + 1) | 0) {
      const at = k * STRIDE;
      if (this.mayLeave(at, unit))
        releaser.emitJudged(words[at] as number, words[at + 1] as number, words[at + 2] as number, words[at + 3] as number, words[at + 4] as number);
      else if ((((words[at + 7] as number) - nowMillis) | 0) <= 0) releaser.discardHeld(words[at] as number);
      else {
        if (kept !== k) words.copyWithin(kept * STRIDE, at, at + STRIDE);
        kept = (kept + 1) | 0;
      }
    }
    this.count = kept;
  }

  private mayLeave(at: number, unit: number): boolean {
    if (unit === 0) return true;
    const row = (this.words[at + 5] as number) * ROW_WORDS;
    // Another session has the row: the one that it waited for is over.
    if (this.sessions.i[row + S_ID_SERIAL] !== this.words[at + 6]) return true;
    const replica = this.sessions.i[row + S_REPLICA] as number;
    return (replica & ((1 << unit) | (1 << (unit + REFUSED_SHIFT)))) !== 0;
  }
}
