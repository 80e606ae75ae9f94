// When the dataplane lets packets gather, in a time of the test's own.

import { test } from "tap";
import { Pace } from "../../../firmware/hal/linux/pace.ts";

/** Breathes for `millis` with packets at `perSecond`, each breath as late as it was told; the longest gathering that was asked for, and the last. */
function breathe(pace: Pace, from: number, millis: number, perSecond: number): { readonly most: number; readonly last: number; readonly now: number } {
  let [now, most, last, taken] = [from, 0, 0, 0];
  while (now < from + millis * 1_000) {
    const come = Math.floor(((now - from) * perSecond) / 1e6);
    last = pace.breathed(come - taken, now);
    taken = come;
    most = Math.max(most, last);
    now += last > 0 ? last : 10;
  }
  return { most, last, now };
}

test("few packets are never kept waiting", (t) => {
  for (const perSecond of [1, 1_000, 50_000, 90_000]) t.equal(breathe(new Pace(), 0, 50, perSecond).most, 0, `${perSecond}/s`);
  t.end();
});

test("many gather some twenty at a time, for 100 us at the most", (t) => {
  t.match(breathe(new Pace(), 0, 50, 400_000), { most: 50, last: 50 });
  const { most, last } = breathe(new Pace(), 0, 50, 150_000);
  t.equal(most, 100);
  t.equal(last, 100);
  t.end();
});

test("who finds a batch waiting takes the next at once", (t) => {
  const pace = new Pace();
  breathe(pace, 0, 50, 200_000);
  t.equal(pace.breathed(64, 50_100), 0);
  t.ok(pace.breathed(20, 50_150) > 0);
  t.end();
});

test("what comes after silence is not kept waiting", (t) => {
  const pace = new Pace();
  const { now } = breathe(pace, 0, 50, 200_000);
  t.equal(pace.breathed(0, now), 0, "nothing came: the next packet ends the wait");
  t.equal(pace.breathed(1, now + 5_000), 0);
  t.end();
});
