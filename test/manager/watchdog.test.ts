// Who feeds the watchdog, and when not; against one that misbehaves.

import { test } from "tap";
import type { Watchdog } from "../../firmware/hal/contracts.ts";
import { WatchdogKeeper } from "../../firmware/manager/watchdog.ts";
import { keptLog } from "./panel/stage.ts";

/** A keeper whose dataplane and store are switches. */
function setUp() {
  const log = keptLog();
  const calls: string[] = [];
  const reasons: string[] = [];
  const state = { breaths: 0, isBreathing: true, isWriting: true, fault: undefined as Error | undefined, nowMillis: 0 };
  const act = (name: string): void => {
    if (state.fault !== undefined) throw state.fault;
    calls.push(name);
  };
  const watchdog: Watchdog = { feed: () => act("feed"), release: () => act("release"), resetCauses: () => [] };
  const keeper = new WatchdogKeeper({ watchdog, log, breaths: () => state.breaths, onStarving: (reason) => void reasons.push(reason) });
  /** Seconds pass; returns how often it was fed. */
  const pass = (seconds: number): number => {
    for (let second = 0; second < seconds; second++) {
      if (state.isBreathing) state.breaths += 200;
      if (state.isWriting && second % 5 === 0) keeper.storeWrote(state.nowMillis);
      keeper.tick(state.nowMillis);
      state.nowMillis += 1_000;
    }
    return calls.splice(0).filter((call) => call === "feed").length;
  };
  return { keeper, log, reasons, state, calls, pass };
}

test("it is fed each second while the dataplane breathes and the store writes", async (t) => {
  const { pass, log } = setUp();
  t.equal(pass(10), 10);
  t.same(log.lines, []);
});

test("it is not started before both were well: a disk that is full from the start resets nothing", async (t) => {
  const { pass, state, log } = setUp();
  state.isWriting = false;
  t.equal(pass(60), 0);
  state.isWriting = true;
  state.isBreathing = false;
  t.equal(pass(60), 0);
  t.same(log.lines, []);
  state.isBreathing = true;
  t.equal(pass(1), 1);
});

test("it starves when the dataplane does not breathe, and the reason is told and kept", async (t) => {
  const { pass, state, log, reasons } = setUp();
  pass(5);
  state.isBreathing = false;
  t.equal(pass(30), 0);
  t.same(log.lines, ["error starving: For 5 s the dataplane did not breathe. The watchdog is not fed and resets the appliance."]);
  t.same(reasons, ["the dataplane did not breathe"]);
});

test("it starves when the store has not written for 15 s", async (t) => {
  const { pass, state, reasons } = setUp();
  pass(6);
  state.isWriting = false;
  t.equal(pass(60), 15, "the last proof came a second before");
  t.same(reasons, ["the store did not write"]);
});

test("a dataplane that is back soon is fed again without a word", async (t) => {
  const { pass, state, log } = setUp();
  pass(5);
  state.isBreathing = false;
  t.equal(pass(2), 0);
  state.isBreathing = true;
  t.equal(pass(5), 5);
  t.same(log.lines, []);
});

test("when both are well again it is fed, and that is told and kept", async (t) => {
  const { pass, state, log, reasons } = setUp();
  pass(5);
  state.isBreathing = false;
  pass(10);
  state.isBreathing = true;
  t.equal(pass(5), 5);
  t.equal(log.lines[1], "notice well-again: Dataplane and store work again.");
  t.same(reasons, ["the dataplane did not breathe", ""]);
});

test("one that fails is told once with what to do, tried each second, and told when it works", async (t) => {
  const { pass, state, log } = setUp();
  state.fault = Object.assign(new Error("EBUSY: resource busy or locked, open '/dev/watchdog0'"), { code: "EBUSY" });
  pass(30);
  t.same(log.lines, [
    "warning watchdog-failed: The watchdog cannot be used: EBUSY: resource busy or locked, open '/dev/watchdog0'. Another program feeds it: stop that one.",
  ]);
  state.fault = undefined;
  t.equal(pass(3), 3);
  t.equal(log.lines[1], "notice watchdog-works: The watchdog works again.");
});

test("one that fails when it is released does not stop a planned end", async (t) => {
  const { pass, state, keeper, log } = setUp();
  pass(5);
  state.fault = Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" });
  keeper.release();
  t.match(log.lines[0], /^warning watchdog-failed: .*EIO/);
});
