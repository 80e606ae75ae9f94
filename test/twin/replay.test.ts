// The replay window against a model that remembers everything (RFC 6479).

import { test } from "tap";
import { Random } from "../../firmware/hal/sim/random.ts";
import { REPLAY_WINDOW } from "../../firmware/limits.ts";
import { ReplayWindows } from "../../firmware/twin/replay.ts";

const high = (counter: number): number => Math.floor(counter / 2 ** 32) | 0;
const low = (counter: number): number => counter | 0;

test("each counter is accepted once, whatever the order", async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = new Random(seed);
    const windows = new ReplayWindows(2);
    const seen = new Set<number>();
    let top = 0;
    // Also across 2^32, where a word of the counter wraps.
    let base = seed % 2 === 0 ? 0 : 2 ** 32 - 20_000;
    let wrong = 0;
    for (let k = 0; k < 20_000; k++) {
      base += random.below(4);
      const counter = Math.max(0, base + random.between(-random.pick([3, 300, 9_000, 20_000]), random.pick([1, 50, 10_000])));
      const expected = counter > 0 && !seen.has(counter) && counter + REPLAY_WINDOW > top;
      if (windows.isNew(1, high(counter), low(counter)) !== expected) wrong++;
      if (windows.accept(1, high(counter), low(counter)) !== expected) wrong++;
      if (!expected) continue;
      seen.add(counter);
      top = Math.max(top, counter);
    }
    t.equal(wrong, 0, `seed ${seed}`);
  }
});

test("looking changes nothing", async (t) => {
  const windows = new ReplayWindows(1);
  t.ok(windows.isNew(0, 0, 1_000_000));
  t.ok(windows.accept(0, 0, 1));
});

test("the window is exactly as wide as it says", async (t) => {
  const windows = new ReplayWindows(1);
  windows.accept(0, 0, 100_000);
  t.ok(windows.isNew(0, 0, 100_000 - REPLAY_WINDOW + 1));
  t.notOk(windows.isNew(0, 0, 100_000 - REPLAY_WINDOW));
});

test("windows do not touch each other, and a new key starts with an empty one", async (t) => {
  const windows = new ReplayWindows(3);
  windows.accept(1, 0, 5);
  t.ok(windows.isNew(0, 0, 5));
  t.ok(windows.isNew(2, 0, 5));
  windows.reset(1);
  t.ok(windows.isNew(1, 0, 5));
});

test("counter 0 is never accepted: counters start at 1", async (t) => {
  const windows = new ReplayWindows(1);
  t.notOk(windows.accept(0, 0, 0));
});
