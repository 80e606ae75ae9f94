import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { EventRing, eventKind } from "../../firmware/fastpath/events.ts";
import { headerWord, mapTables, SESSIONS_HASH, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { openUnitMemory, removeUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { openStore } from "../../firmware/store/schema.ts";
import { loadCheckpoint } from "../../firmware/store/warm-start.ts";
import { type Area, NOW_MICROS, putSession, temporaryDirectory } from "./area.ts";
import { buildLiveModule } from "./native.ts";

buildLiveModule();

const SESSIONS = 16_384;
const STORE = fileURLToPath(new URL("../../firmware/store.ts", import.meta.url));
const PATIENCE_MILLIS = 60_000;
/** These stores read the machine's own clock: on one that is up for longer than the idle limit, rows of a made-up time would have expired. */
const SEEN = { lastSeenMillis: Math.floor(Number(process.hrtime.bigint()) / 1e6) | 0 };

type Holder = { teardown(done: () => void): void };

interface Bench {
  readonly area: Area;
  readonly tables: Tables;
  readonly data: string;
  readonly name: string;
  start(): ChildProcess;
}

let benches = 0;

/** A unit's shared memory with an opened dataplane's header, and a data directory. */
function bench(t: Holder): Bench {
  const name = `store-test-${process.pid}-${benches++}`;
  const memory = openUnitMemory(name, SESSIONS);
  t.teardown(() => {
    memory.close();
    removeUnitMemory(name);
  });
  const tables = mapTables(memory.buffer, SESSIONS);
  tables.header.i[headerWord("incarnation")] = 7;
  tables.header.f[headerWord("startedAt") >> 1] = NOW_MICROS;
  const data = join(temporaryDirectory(t, "process"), "data");
  const start = () => {
    const child = spawn(process.execPath, [STORE, "--memory", name, "--data", data], { stdio: ["ignore", "inherit", "inherit"] });
    t.teardown(() => child.kill("SIGKILL"));
    return child;
  };
  return { area: { buffer: memory.buffer, tables, sessions: SESSIONS }, tables, data, name, start };
}

function kept(data: string): number {
  return loadCheckpoint(join(data, "store.db"), SESSIONS_HASH, { nowMillis: 0, wallMillis: 0 }).count;
}

async function until(holds: () => boolean): Promise<boolean> {
  const end = Date.now() + PATIENCE_MILLIS;
  while (!holds()) {
    if (Date.now() > end) return false;
    await pause(20);
  }
  return true;
}

test("a store that is killed in the middle leaves whole rows, and the next one completes the work", async (t) => {
  const { area, data, start, tables } = bench(t);
  for (let row = 0; row < SESSIONS; row++) putSession(area, row, SEEN);
  const first = start();
  t.ok(await until(() => kept(data) > 0), "it is at work");
  first.kill("SIGKILL");
  await once(first, "exit");
  const found = loadCheckpoint(join(data, "store.db"), SESSIONS_HASH, { nowMillis: 0, wallMillis: 0 });
  t.equal(found.problem, undefined);
  t.ok(found.count > 0);
  t.comment(`${found.count} of ${SESSIONS} rows were kept`);
  new EventRing(tables).note(eventKind("peer-alive"), NOW_MICROS, 3, -1, 0);
  const second = start();
  t.ok(await until(() => kept(data) === SESSIONS), "every row");
  second.kill("SIGTERM");
  const [status] = await once(second, "exit");
  t.equal(status, 0);
  const { database } = openStore(join(data, "store.db"));
  t.same(database.prepare("SELECT sentence FROM events").pluck().all(), ["B1 is alive."]);
  t.equal(database.pragma("integrity_check", { simple: true }), "ok");
  database.close();
});

test("on SIGTERM the last state is kept", async (t) => {
  const { area, data, start } = bench(t);
  putSession(area, 0, SEEN);
  const store = start();
  t.ok(await until(() => kept(data) === 1));
  putSession(area, 1, SEEN);
  putSession(area, 2, SEEN);
  store.kill("SIGTERM");
  await once(store, "exit");
  t.equal(kept(data), 3);
});

test("a store ends when its parent ends", async (t) => {
  const { data, name } = bench(t);
  const script = `const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, ${JSON.stringify([STORE, "--memory", name, "--data", data])}, { stdio: "ignore", detached: true });
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => parent.kill("SIGKILL"));
  const [line] = await once(parent.stdout, "data");
  const pid = Number(String(line));
  const lives = () => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  t.ok(lives());
  t.ok(await until(() => existsSync(join(data, "store.db"))), "it is at work, and knows its parent");
  parent.kill("SIGKILL");
  t.ok(await until(() => !lives()), "it is gone");
});

test("a store waits for memory that is not there yet", async (t) => {
  const { data, name, area, start } = bench(t);
  removeUnitMemory(name);
  const store = start();
  await pause(300);
  t.equal(store.exitCode, null);
  const memory = openUnitMemory(name, SESSIONS);
  t.teardown(() => memory.close());
  const tables = mapTables(memory.buffer, SESSIONS);
  putSession({ ...area, buffer: memory.buffer, tables }, 4, SEEN);
  tables.header.i[headerWord("incarnation")] = 8;
  tables.header.f[headerWord("startedAt") >> 1] = NOW_MICROS;
  t.ok(await until(() => kept(data) === 1));
  store.kill("SIGTERM");
  await once(store, "exit");
});
