// The manager of a unit over fake processes and plain memory: commands, incarnations, what it says about tables.

import { test } from "tap";
import { CommandReader } from "../../firmware/fastpath/memory/commands.ts";
import {
  COMMAND_KEYS,
  COMMAND_PEER_RESTARTING,
  COMMAND_POLICY,
  COMMAND_STOP,
  headerWord,
  mapTables,
  planRegions,
} from "../../firmware/fastpath/memory/tables.ts";
import { COMMANDS } from "../../firmware/limits.ts";
import type { Child } from "../../firmware/manager/keeper.ts";
import type { Log } from "../../firmware/manager/log.ts";
import { type AttachedMemory, UnitTables } from "../../firmware/manager/tables.ts";
import { type Machine, UnitManager } from "../../firmware/manager/unit.ts";

const SESSIONS = 1_024;

interface FakeChild extends Child {
  exit(code: number | null): void;
  readonly signals: string[];
}

function fakeChild(pid: number): FakeChild {
  let listener: (code: number | null, signal: string | null) => void = () => undefined;
  const signals: string[] = [];
  return { pid, signals, onExit: (given) => (listener = given), kill: (signal) => void signals.push(signal), exit: (code) => listener(code, null) };
}

/** A manager whose shared memory is `area.memory`, if there is any. */
function setUp(overrides: Partial<Machine> = {}) {
  const lines: string[] = [];
  const texts: string[] = [];
  const log: Log = {
    note(_severity, code, text) {
      lines.push(code);
      texts.push(text);
    },
  };
  const area: { memory: AttachedMemory | undefined; fault: NodeJS.ErrnoException } = {
    memory: undefined,
    fault: Object.assign(new Error("absent"), { code: "MEMORY_ABSENT" }),
  };
  const tables = new UnitTables(() => {
    if (area.memory === undefined) throw area.fault;
    return area.memory;
  }, SESSIONS);
  const dataplanes: FakeChild[] = [];
  const stores: FakeChild[] = [];
  const incarnations: number[] = [];
  const timers: (() => void)[] = [];
  const counts = { rings: 0, announced: 0, reserved: 40 };
  const machine: Machine = {
    samePlan: false,
    nowMillis: () => 0,
    monotonicMicros: () => 5_000_000,
    setTimer(run) {
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
    spawnDataplane(incarnation) {
      incarnations.push(incarnation);
      dataplanes.push(fakeChild(100 + dataplanes.length));
      return dataplanes.at(-1) as FakeChild;
    },
    spawnStore() {
      stores.push(fakeChild(200 + stores.length));
      return stores.at(-1) as FakeChild;
    },
    runningDataplane: () => undefined,
    runningStore: () => undefined,
    reserveIncarnation: () => ++counts.reserved,
    compilePolicy: async () => true,
    ringDoorbell: () => void counts.rings++,
    ...overrides,
  };
  const manager = new UnitManager({ log, machine, tables, revision: 1, sessions: SESSIONS, announceRestart: () => void counts.announced++ });
  return { manager, lines, texts, area, tables, dataplanes, stores, incarnations, timers, counts };
}

/** Memory as a dataplane that opened its ports at `startedAt` leaves it. */
function openedMemory(incarnation: number, startedAt: number): AttachedMemory {
  const buffer = new ArrayBuffer(planRegions(SESSIONS).totalBytes);
  const { header } = mapTables(buffer, SESSIONS);
  header.i[headerWord("incarnation")] = incarnation;
  header.f[headerWord("startedAt") >> 1] = startedAt;
  header.i[headerWord("sessionsLive")] = 7;
  return { buffer, sessions: SESSIONS, close: () => undefined };
}

function commandsIn(memory: AttachedMemory): number[][] {
  const reader = new CommandReader(mapTables(memory.buffer, SESSIONS));
  const taken: number[][] = [];
  for (let kind = reader.take(); kind !== 0; kind = reader.take()) taken.push([kind, reader.argument]);
  return taken;
}

test("each start of the dataplane gets an incarnation of its own", async (t) => {
  const { manager, dataplanes, incarnations, counts } = setUp();
  await manager.start();
  dataplanes[0]?.exit(1);
  t.same(incarnations, [41, 42]);
  t.equal(counts.announced, 1, "peers' managers were told of the restart");
});

test("it says when the ports are open, and whether rows were adopted", async (t) => {
  const { manager, area, timers, lines, texts } = setUp();
  await manager.start();
  timers.shift()?.();
  t.notOk(lines.includes("dataplane-ready"), "no tables yet");
  area.memory = openedMemory(41, 5_000_001);
  timers.shift()?.();
  t.match(texts.at(-1), /started with empty tables \(incarnation 41\)/);
  t.equal(timers.length, 0, "it looks no further");
});

test("a restarted dataplane that keeps its incarnation adopted its rows", async (t) => {
  const { manager, area, timers, lines, texts } = setUp();
  const memory = openedMemory(12, 4_000_000);
  area.memory = memory;
  await manager.start();
  timers.shift()?.();
  t.notOk(lines.includes("dataplane-ready"), "the old dataplane's start does not count");
  mapTables(memory.buffer, SESSIONS).header.f[headerWord("startedAt") >> 1] = 5_000_001;
  timers.shift()?.();
  t.match(texts.at(-1), /adopted its tables with 7 sessions \(incarnation 12\)/);
});

test("tables of another layout are replaced, and that is said with the reason", async (t) => {
  const { manager, area, texts, lines } = setUp();
  area.fault = Object.assign(new Error("it has the table layout 0x00000001, and this version has 0x00000002"), { code: "MEMORY_MISMATCH" });
  await manager.start();
  t.ok(lines.includes("tables-replaced"));
  t.match(texts[0], /table layout 0x00000001.*replaced by empty ones; sessions come from peers/);
});

test("tables of another capacity are replaced, and that is said with both numbers", async (t) => {
  const { manager, area, texts } = setUp();
  area.memory = { ...openedMemory(12, 1), sessions: 4_096 };
  await manager.start();
  t.match(texts[0], /it holds 4096 sessions, and 1024 are configured/);
});

test("a peer's restart becomes a command, and the doorbell rings", async (t) => {
  const { manager, area, counts } = setUp();
  area.memory = openedMemory(41, 1);
  await manager.start();
  manager.peerRestarting(3);
  t.same(commandsIn(area.memory), [[COMMAND_PEER_RESTARTING, 3]]);
  t.equal(counts.rings, 1);
});

test("new pair keys become a command, also when the mailbox is full at first", async (t) => {
  const { manager, area, tables, timers, lines } = setUp();
  manager.pairKeysChanged();
  t.equal(timers.length, 1, "there is no dataplane yet: it is told when there is one");
  area.memory = openedMemory(41, 5_000_001);
  while (tables.command(COMMAND_PEER_RESTARTING, 1, 0, () => undefined) !== 0);
  timers.shift()?.();
  const taken = commandsIn(area.memory);
  t.notOk(taken.some(([kind]) => kind === COMMAND_KEYS));
  timers.shift()?.();
  t.same(commandsIn(area.memory), [[COMMAND_KEYS, 0]]);
  t.same([timers.length, lines], [0, []]);
});

test("to stop, the dataplane gets a command and the store a signal", async (t) => {
  const { manager, area, dataplanes, stores } = setUp();
  area.memory = openedMemory(41, 1);
  await manager.start();
  const stopped = manager.stop();
  t.same(commandsIn(area.memory), [[COMMAND_STOP, 0]]);
  t.same(dataplanes[0]?.signals, []);
  t.same(stores[0]?.signals, [], "the store goes last: its checkpoint is to hold everything");
  dataplanes[0]?.exit(0);
  await Promise.resolve();
  t.same(stores[0]?.signals, ["SIGTERM"]);
  stores[0]?.exit(0);
  await stopped;
  t.equal(dataplanes.length + stores.length, 2, "nothing is restarted");
});

test("a dataplane without tables is stopped by a signal", async (t) => {
  const { manager, dataplanes } = setUp();
  await manager.start();
  void manager.stop();
  t.same(dataplanes[0]?.signals, ["SIGTERM"]);
});

test("a dead store does not touch the dataplane", async (t) => {
  const { manager, stores, dataplanes, lines } = setUp();
  await manager.start();
  for (let k = 0; k < 3; k++) stores[k]?.exit(1);
  t.ok(lines.includes("store-absent"));
  t.equal(dataplanes.length, 1);
});

test("a dataplane that fails three times leaves the unit closed", async (t) => {
  const { manager, dataplanes, lines } = setUp();
  await manager.start();
  for (let k = 0; k < 3; k++) dataplanes[k]?.exit(1);
  t.equal(lines.at(-1), "fail-closed");
  t.equal(dataplanes.length, 3);
});

test("a new manager keeps the dataplane that runs with the same plan", async (t) => {
  const running = fakeChild(7);
  const { manager, dataplanes } = setUp({ samePlan: true, runningDataplane: () => running });
  await manager.start();
  t.equal(dataplanes.length, 0);
  t.equal(manager.dataplane.child?.pid, 7);
});

test("a new manager replaces a dataplane that runs with another plan", async (t) => {
  const running = fakeChild(7);
  const { manager, area, dataplanes } = setUp({ runningDataplane: () => running });
  area.memory = openedMemory(12, 1);
  const started = manager.start();
  t.same(commandsIn(area.memory), [[COMMAND_STOP, 0]]);
  running.exit(0);
  await started;
  t.equal(dataplanes.length, 1);
});

test("the mailbox takes as many commands as it has slots, and says when it is full", async (t) => {
  const { tables, area } = setUp();
  area.memory = openedMemory(1, 1);
  const put = () => tables.command(COMMAND_PEER_RESTARTING, 1, 0, () => undefined);
  for (let k = 0; k < COMMANDS; k++) t.ok(put());
  t.notOk(put());
  t.equal(commandsIn(area.memory).length, COMMANDS);
  t.ok(put(), "there is room again");
  t.equal(commandsIn(area.memory).length, 1);
});

test("commands for a dataplane that died are skipped by the next", async (t) => {
  const { tables, area } = setUp();
  area.memory = openedMemory(1, 1);
  tables.command(COMMAND_STOP, 0, 0, () => undefined);
  const reader = new CommandReader(mapTables(area.memory.buffer, SESSIONS));
  reader.skip();
  t.equal(reader.take(), 0);
});

test("another policy goes to the running dataplane, which is not replaced", async (t) => {
  const { manager, area, dataplanes, lines, timers } = setUp();
  area.memory = openedMemory(1, 1);
  await manager.start();
  const switched = manager.repolicy(2, SESSIONS);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  t.same(commandsIn(area.memory), [[COMMAND_POLICY, 0]]);
  mapTables(area.memory.buffer, SESSIONS).header.i[headerWord("revision")] = 2;
  timers.at(-1)?.();
  await switched;
  t.equal(lines.at(-1), "policy-switched");
  t.equal(dataplanes.length, 1);
});

test("a dataplane that does not take another policy is replaced, and its peers' managers are told", async (t) => {
  const { manager, area, dataplanes, lines, counts } = setUp({ compilePolicy: async () => false });
  area.memory = openedMemory(1, 1);
  await manager.start();
  await manager.repolicy(2, SESSIONS);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  t.match(lines, ["dataplane-spawned", "store-spawned", "policy-not-switched", "plan-changed"]);
  t.equal(counts.announced, 1);
  dataplanes[0]?.exit(0);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  t.equal(dataplanes.length, 2);
});

test("a dataplane that decides by another revision than the one in force is told", async (t) => {
  const running = fakeChild(7);
  const { manager, area, lines } = setUp({ samePlan: true, runningDataplane: () => running });
  area.memory = openedMemory(1, 1);
  const header = mapTables(area.memory.buffer, SESSIONS).header.i;
  header[headerWord("revision")] = 1;
  await manager.start();
  manager.checkDrift();
  t.notOk(lines.includes("policy-drift"));
  header[headerWord("revision")] = 9;
  manager.checkDrift();
  t.notOk(lines.includes("policy-drift"), "it may just have been started");
  for (let look = 0; look < 3; look++) manager.checkDrift();
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  t.same(lines.filter((line) => line === "policy-drift").length, 1, "once, while it is under way");
  t.same(commandsIn(area.memory), [[COMMAND_POLICY, 0]]);
});
