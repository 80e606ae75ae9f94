// How much bulk work a breath may do while packets wait.

import { test } from "tap";
import { BULK_PORTION_ROWS, BULK_SHARE, ROWS_SCANNED_PER_BREATH, ROWS_SENT_PER_BREATH } from "../../firmware/limits.ts";
import { Pace } from "../../firmware/twin/pace.ts";

const BREATH_MICROS = 200;

/** Breathes for `millis` of a busy unit whose portions take `portionMicros`; what they took in all. */
function breathe(pace: Pace, millis: number, portionMicros: number): number {
  let spent = 0;
  for (let now = 5_000_000; now < 5_000_000 + millis * 1_000; now += BREATH_MICROS) {
    if (!pace.begin(now, true)) continue;
    pace.spent(portionMicros);
    spent += portionMicros;
  }
  return spent;
}

test("while nobody waits for it, bulk work is as much as a breath ever does, whatever was spent before", async (t) => {
  const pace = new Pace();
  breathe(pace, 10, 500);
  t.notOk(pace.begin(5_010_000, false), "and it is not measured");
  t.same([pace.rows, pace.scans], [ROWS_SENT_PER_BREATH, ROWS_SCANNED_PER_BREATH]);
});

test("while packets wait it comes in portions that take their share of the time, on a fast machine and on a slow one", async (t) => {
  for (const portionMicros of [1, 10, 60, 400]) {
    const pace = new Pace();
    breathe(pace, 10, portionMicros);
    const share = breathe(pace, 10_000, portionMicros) / 10_000_000;
    t.ok(share <= BULK_SHARE * 1.05, `${portionMicros} us a portion: ${share}`);
    t.ok(share >= Math.min(BULK_SHARE, portionMicros / BREATH_MICROS) * 0.95, `${portionMicros} us a portion: ${share}`);
  }
});

test("a breath that may not leaves everything for later, and a later one may", async (t) => {
  const pace = new Pace();
  t.ok(pace.begin(5_000_000, true));
  t.equal(pace.rows, BULK_PORTION_ROWS);
  pace.spent(5_000);
  t.notOk(pace.begin(5_000_200, true));
  t.same([pace.rows, pace.scans], [0, 0]);
  t.ok(pace.begin(5_050_000, true), "a loan is limited");
});
