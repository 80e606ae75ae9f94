// A process is kept alive at once and not for ever: with a fake child and a fake clock.

import { test } from "tap";
import { type Child, Keeper } from "../../firmware/manager/keeper.ts";
import type { Log } from "../../firmware/manager/log.ts";

class FakeChild implements Child {
  readonly pid: number;
  readonly signals: string[] = [];
  private listener: (code: number | null, signal: string | null) => void = () => undefined;
  constructor(pid: number) {
    this.pid = pid;
  }
  onExit(listener: (code: number | null, signal: string | null) => void): void {
    this.listener = listener;
  }
  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.signals.push(signal);
  }
  exit(code: number | null, signal: string | null = null): void {
    this.listener(code, signal);
  }
}

/** A keeper with all that it told and did. */
function setUp(spawnFails = false) {
  const lines: string[] = [];
  const log: Log = { note: (_severity, code) => void lines.push(code) };
  const children: FakeChild[] = [];
  const clock = { millis: 0 };
  const spawn = (): Child => {
    if (spawnFails) throw new Error("no such program");
    const child = new FakeChild(100 + children.length);
    children.push(child);
    return child;
  };
  const keeper = new Keeper({
    name: "dataplane",
    log,
    spawn,
    nowMillis: () => clock.millis,
    onCrash: () => void lines.push("crash"),
    onFailed: () => void lines.push("failed"),
  });
  return { lines, children, clock, keeper };
}

const never = () => () => undefined;

test("a crashed process is restarted at once", async (t) => {
  const { keeper, children, lines } = setUp();
  keeper.start();
  children[0]?.exit(null, "SIGKILL");
  t.equal(children.length, 2);
  t.equal(keeper.child?.pid, 101);
  t.same(lines, ["dataplane-spawned", "dataplane-exited", "crash", "dataplane-spawned"], "peers hear of it before the restart");
});

test("an exit that nobody asked for is a crash, also with status 0", async (t) => {
  const { keeper, children } = setUp();
  keeper.start();
  children[0]?.exit(0);
  t.equal(children.length, 2);
});

test("three crashes within ten seconds: it stays down", async (t) => {
  const { keeper, children, clock, lines } = setUp();
  keeper.start();
  for (const [k, millis] of [0, 4_000, 9_999].entries()) {
    clock.millis = millis;
    children[k]?.exit(1);
  }
  t.equal(children.length, 3);
  t.equal(keeper.state, "failed");
  t.same(lines.slice(-2), ["dataplane-failed", "failed"]);
});

test("crashes that lie apart do not add up", async (t) => {
  const { keeper, children, clock } = setUp();
  keeper.start();
  for (let k = 0; k < 10; k++) {
    clock.millis = k * 5_000;
    children[k]?.exit(1);
  }
  t.equal(keeper.state, "running");
  t.equal(children.length, 11);
});

test("a program that cannot be started counts as crashes", async (t) => {
  const { keeper, lines } = setUp(true);
  keeper.start();
  t.equal(keeper.state, "failed");
  t.equal(lines.filter((code) => code === "dataplane-not-started").length, 3);
});

test("a process that is asked to stop is not restarted", async (t) => {
  const { keeper, children, lines } = setUp();
  keeper.start();
  let asked = 0;
  const stopped = keeper.stop(() => asked++, 2_000, never);
  children[0]?.exit(0);
  await stopped;
  t.equal(asked, 1);
  t.equal(children.length, 1);
  t.equal(keeper.state, "idle");
  t.same(lines, ["dataplane-spawned", "dataplane-stopped"]);
});

test("a process that does not stop in time is killed", async (t) => {
  const { keeper, children } = setUp();
  keeper.start();
  let late: () => void = () => undefined;
  let graceMillis = 0;
  const stopped = keeper.stop(
    () => undefined,
    2_000,
    (run, millis) => {
      late = run;
      graceMillis = millis;
      return () => undefined;
    },
  );
  t.equal(graceMillis, 2_000);
  late();
  t.same(children[0]?.signals, ["SIGKILL"]);
  children[0]?.exit(null, "SIGKILL");
  await stopped;
  t.equal(children.length, 1);
});

test("to stop what failed changes nothing", async (t) => {
  const { keeper } = setUp(true);
  keeper.start();
  await keeper.stop(() => undefined, 2_000, never);
  t.equal(keeper.state, "failed");
});

test("a process of an earlier manager is kept, and restarted when it dies", async (t) => {
  const { keeper, children } = setUp();
  const running = new FakeChild(7);
  keeper.start(running);
  t.equal(children.length, 0);
  running.exit(null, "unknown");
  t.equal(children.length, 1);
});
