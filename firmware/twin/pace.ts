// How much bulk work (sweeps, walks over the table) a breath may do: packets go first, and a returned unit has to wait a little.
//
//   ports kept up with     as much as a breath ever does: nobody waits for it
//   a batch came in full   more packets wait: a small portion, while the time that bulk work took is below its share; but while the
//                          other site is silent until its unit is caught up, 250 ms at the most, as much as ever
//
// The share is one of time as this machine's clock measured it, so it holds on a slow processor and with a slow driver alike. What is not
// bulk (changed rows, acknowledgements, handoff) is not paced. A sweep never starves: its credit grows as time passes.

import { BULK_PORTION_ROWS, BULK_PORTION_SCANS, BULK_SHARE, ROWS_SCANNED_PER_BREATH, ROWS_SENT_PER_BREATH } from "../limits.ts";

/** Unused credit is not saved for longer than this, and no loan is longer. */
const CREDIT_MOST_MICROS = 1_000;

export class Pace {
  /** Rows that the present breath may send to a peer in bulk, and rows that each walk may look at. */
  rows = ROWS_SENT_PER_BREATH;
  scans = ROWS_SCANNED_PER_BREATH;
  private creditMicros = 0;
  private lastMicros = 0;

  /** Once per breath, before bulk work. `isPressed`: more packets wait. True: what follows is to be measured. */
  begin(nowMicros: number, isPressed: boolean): boolean {
    this.creditMicros = Math.min(this.creditMicros + (nowMicros - this.lastMicros) * BULK_SHARE, CREDIT_MOST_MICROS);
    this.lastMicros = nowMicros;
    const isHeld = isPressed && this.creditMicros <= 0;
    this.rows = isHeld ? 0 : isPressed ? BULK_PORTION_ROWS : ROWS_SENT_PER_BREATH;
    this.scans = isHeld ? 0 : isPressed ? BULK_PORTION_SCANS : ROWS_SCANNED_PER_BREATH;
    return isPressed && !isHeld;
  }

  /** What the breath's bulk work, and what was sent with it, took. */
  spent(micros: number): void {
    this.creditMicros = Math.max(this.creditMicros - micros, -CREDIT_MOST_MICROS);
  }
}
