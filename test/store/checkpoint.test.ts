import { dirname, join } from "node:path";
import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { headerWord, SESSIONS, SESSIONS_HASH, STATE_NAMES } from "../../firmware/fastpath/memory/tables.ts";
import { SessionTable } from "../../firmware/fastpath/sessions.ts";
import { CHECKPOINT_REFRESH_MILLIS } from "../../firmware/limits.ts";
import { beginArea, Checkpointer } from "../../firmware/store/checkpoint.ts";
import { NO_NAMES } from "../../firmware/store/live/views.ts";
import { StoreLoop } from "../../firmware/store/loop.ts";
import { openStore } from "../../firmware/store/schema.ts";
import { type Candidates, createWarmStart, loadCheckpoint, placeCandidates } from "../../firmware/store/warm-start.ts";
import { type Area, makeArea, NOW_MICROS, putSession, temporaryDirectory } from "./area.ts";
import { handSource } from "./source.ts";

const WALL = 1_800_000_000_000;
const NOW_MILLIS = NOW_MICROS / 1000;
const STRIDE = SESSIONS.strideWords;
const at = (name: string) => word(SESSIONS, name);

type Holder = { teardown(done: () => void): void };

/** A database, and what a pass over an area writes to it. */
function bench(t: Holder) {
  const file = join(temporaryDirectory(t, "checkpoint"), "store.db");
  const { database } = openStore(file);
  t.teardown(() => database.close());
  const kept = () => database.prepare("SELECT incarnation || ':' || row FROM checkpoints ORDER BY incarnation, row").pluck().all();
  const begin = (area: Area, incarnation: number, stepMicros = 0) => {
    beginArea(database, incarnation);
    const source = handSource(area, WALL, stepMicros);
    return { source, checkpointer: new Checkpointer(database, source, incarnation) };
  };
  return { file, database, kept, begin };
}

function load(file: string, laterMillis = 0, nowMillis = 1_000): Candidates {
  return loadCheckpoint(file, SESSIONS_HASH, { nowMillis, wallMillis: WALL + laterMillis });
}

test("a pass writes the rows in use and forgets those that became free", async (t) => {
  const { begin, kept } = bench(t);
  const area = makeArea(64);
  for (const row of [0, 5, 63]) putSession(area, row);
  const { checkpointer } = begin(area, 7);
  t.equal(checkpointer.slice(1e9), true);
  t.same(kept(), ["7:0", "7:5", "7:63"]);
  area.tables.sessions.i[5 * STRIDE + at("state")] = 0;
  checkpointer.slice(1e9);
  t.same(kept(), ["7:0", "7:63"]);
});

test("only rows that changed are written again", async (t) => {
  const { begin, database } = bench(t);
  const area = makeArea(64);
  for (let row = 0; row < 10; row++) putSession(area, row);
  const { checkpointer, source } = begin(area, 7);
  checkpointer.slice(1e9);
  const { i } = area.tables.sessions;
  i[2 * STRIDE + at("version")] = 9;
  i[3 * STRIDE] = (i[3 * STRIDE] as number) + 2;
  i[4 * STRIDE + at("lastSeen")] = (i[4 * STRIDE + at("lastSeen")] as number) + 100;
  i[5 * STRIDE + at("lastSeen")] = (i[5 * STRIDE + at("lastSeen")] as number) + CHECKPOINT_REFRESH_MILLIS;
  source.wall = WALL + 2000;
  checkpointer.slice(1e9);
  t.same(database.prepare("SELECT row FROM checkpoints WHERE at_millis > ?").pluck().all(WALL), [2, 3, 5], "version, generation, long unseen");
});

test("a pass takes as many slices as its budget asks for", async (t) => {
  const { begin, kept } = bench(t);
  const area = makeArea(1024);
  for (let row = 0; row < 1024; row++) putSession(area, row);
  const { checkpointer } = begin(area, 7, 1000);
  let slices = 1;
  while (!checkpointer.slice(5000)) slices++;
  t.ok(slices > 2, `${slices} slices`);
  t.equal(kept().length, 1024);
});

test("a row that does not hold still waits for the next pass", async (t) => {
  const { begin, kept } = bench(t);
  const area = makeArea(64);
  putSession(area, 1);
  putSession(area, 2);
  const { i } = area.tables.sessions;
  i[STRIDE] = (i[STRIDE] as number) | 1;
  const { checkpointer } = begin(area, 7);
  checkpointer.slice(1e9);
  t.same(kept(), ["7:2"]);
  i[STRIDE] = (i[STRIDE] as number) + 1;
  checkpointer.slice(1e9);
  t.same(kept(), ["7:1", "7:2"]);
});

test("a store that starts again knows which rows it keeps", async (t) => {
  const { begin, kept } = bench(t);
  const area = makeArea(64);
  putSession(area, 1);
  putSession(area, 2);
  begin(area, 7).checkpointer.slice(1e9);
  area.tables.sessions.i[2 * STRIDE + at("state")] = 0;
  begin(area, 7).checkpointer.slice(1e9);
  t.same(kept(), ["7:1"]);
});

test("tables that started empty replace the old ones only when every row was looked at", async (t) => {
  const { begin, kept } = bench(t);
  const old = makeArea(64);
  putSession(old, 9);
  begin(old, 7).checkpointer.slice(1e9);
  const fresh = makeArea(1024);
  putSession(fresh, 0, { serial: 500 });
  const { checkpointer } = begin(fresh, 8, 1000);
  checkpointer.slice(1);
  t.same(kept(), ["7:9", "8:0"]);
  while (!checkpointer.slice(1e9));
  t.same(kept(), ["8:0"]);
});

test("sessions come back after a reboot: identity, version and windows as they were, times in the new clock", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  putSession(area, 3, { version: 77, owner: 3, packets: 1234, lastSeenMillis: NOW_MILLIS - 250, acknowledged: 6 });
  begin(area, 7).checkpointer.slice(1e9);
  const found = load(file, 10_000, 5_000);
  t.equal(found.count, 1);
  t.equal(found.ageMillis, 10_000);
  const row = found.words;
  const before = area.tables.sessions.i.subarray(3 * STRIDE, 4 * STRIDE);
  for (const name of [
    "originatorSource",
    "originatorPorts",
    "responderFlow",
    "idSerial",
    "idCreator",
    "idIncarnation",
    "epoch",
    "version",
    "owner",
    "rule",
    "originatorMaxEnd",
    "check",
  ]) {
    t.equal(row[at(name)], before[at(name)], name);
  }
  t.equal(new Float64Array(row.buffer, row.byteOffset)[at("originatorPackets") >> 1], 1234);
  t.equal(row[at("lastSeen")], 5_000 - 250 - 10_000, "idle while it was off, too");
  t.equal(row[at("created")], 5_000 - 3_000 - 10_000);
  t.equal(row[at("replica")], 0, "no peer is known to hold it");
});

test("a session whose idle time ran out meanwhile does not come back", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  putSession(area, 0);
  putSession(area, 1);
  area.tables.sessions.i[STRIDE + at("idleLimit")] = 60_000;
  begin(area, 7).checkpointer.slice(1e9);
  const found = load(file, 61_000);
  t.same([found.count, found.expired], [1, 1]);
  t.equal(load(file, 50_000).count, 2);
});

test("a time of day that was set back counts as no time passed", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  putSession(area, 0, { lastSeenMillis: NOW_MILLIS - 250 });
  begin(area, 7).checkpointer.slice(1e9);
  t.equal(load(file, -1e12, 5_000).words[at("lastSeen")], 5_000 - 250);
});

test("an ended session comes back as ended", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  putSession(area, 0, { state: "tombstone" });
  begin(area, 7).checkpointer.slice(1e9);
  t.equal((load(file).words[at("state")] as number) & 0xff, STATE_NAMES.indexOf("tombstone"));
});

test("of two areas the newer row of a session wins, and what only the older one has is kept", async (t) => {
  const { begin, file } = bench(t);
  const old = makeArea(64);
  putSession(old, 0, { serial: 1, version: 5 });
  putSession(old, 1, { serial: 2, version: 5 });
  begin(old, 7).checkpointer.slice(1e9);
  const fresh = makeArea(1024);
  putSession(fresh, 40, { serial: 1, version: 6 });
  begin(fresh, 8, 1000).checkpointer.slice(1);
  const found = load(file);
  const versions = Array.from({ length: found.count }, (_, k) => [found.words[k * STRIDE + at("idSerial")], found.words[k * STRIDE + at("version")]]);
  t.same(versions, [
    [1, 6],
    [2, 5],
  ]);
});

test("rows of another layout are never read, and an absent or damaged file gives none and says why", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  putSession(area, 0);
  begin(area, 7).checkpointer.slice(1e9);
  t.equal(loadCheckpoint(file, SESSIONS_HASH ^ 1, { nowMillis: 0, wallMillis: WALL }).count, 0);
  t.match(loadCheckpoint(`${file}.absent`, SESSIONS_HASH, { nowMillis: 0, wallMillis: WALL }).problem, /there is no checkpoint/);
  t.match(loadCheckpoint(import.meta.filename, SESSIONS_HASH, { nowMillis: 0, wallMillis: WALL }).problem, /not a database/);
});

test("candidates become sessions of the new boot that are found by their tuples", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  const { tables } = area;
  const before = new SessionTable(tables.sessions, tables.header.i, 1, 11, 22, NOW_MILLIS);
  before.clear();
  for (let k = 0; k < 5; k++) {
    const row = before.take();
    const generation = tables.sessions.i[row * STRIDE] as number;
    putSession(area, row, { serial: 100 + k, ports: [50_000 + k, 80] });
    tables.sessions.i[row * STRIDE] = generation;
    before.commit(row);
    t.equal(before.link(row), -1);
  }
  begin(area, 7).checkpointer.slice(1e9);

  const reborn = makeArea(64);
  reborn.tables.header.i[headerWord("incarnation")] = 8;
  t.equal(placeCandidates({ i: reborn.tables.sessions.i, capacity: 64 }, load(file, 0, 2_000)), 5);
  const after = new SessionTable(reborn.tables.sessions, reborn.tables.header.i, 1, 33, 44, 2_000);
  t.equal(after.adoptRows(2_000), 0, "none is torn");
  t.equal(after.liveCount, 5);
  t.not(after.findById(102, 1 << 8, 7), -1);
  const key = area.tables.sessions.i.subarray(at("originatorSource"), at("originatorSource") + 10);
  t.not(after.find(key, 0, after.hash(key, 0)), -1);
});

test("a warm start fills an empty table, and says why when it cannot", async (t) => {
  const { begin, file } = bench(t);
  const area = makeArea(64);
  const table = new SessionTable(area.tables.sessions, area.tables.header.i, 1, 1, 2, NOW_MILLIS);
  table.clear();
  const row = table.take();
  const generation = area.tables.sessions.i[row * STRIDE] as number;
  putSession(area, row);
  area.tables.sessions.i[row * STRIDE] = generation;
  table.commit(row);
  begin(area, 7).checkpointer.slice(1e9);
  const reports: string[] = [];
  const restore = (directory: string) => {
    const fresh = makeArea(64);
    const sessions = new SessionTable(fresh.tables.sessions, fresh.tables.header.i, 1, 3, 4, 1_000);
    sessions.clear();
    return createWarmStart(
      directory,
      () => WALL,
      (sentence) => reports.push(sentence),
    )(sessions, 1_000);
  };
  t.equal(restore(dirname(file)), 1);
  t.equal(restore(join(dirname(file), "nowhere")), 0);
  t.same(reports, ["starting cold: there is no checkpoint"]);
});

test("the manager's happenings are kept in the event log", async (t) => {
  const { database } = bench(t);
  const loop = new StoreLoop({ database, names: () => NO_NAMES, attach: () => undefined });
  loop.remember({
    at: "2027-01-15T08:00:00.000Z",
    severity: "error",
    code: "dataplane-exited",
    text: "The dataplane exited (SIGKILL).",
    fields: { how: "SIGKILL" },
  });
  t.same(database.prepare("SELECT at_millis, kind, severity, sentence, fields FROM events").get(), {
    at_millis: WALL,
    kind: "dataplane-exited",
    severity: "error",
    sentence: "The dataplane exited (SIGKILL).",
    fields: '{"how":"SIGKILL"}',
  });
});

test("the store waits until the dataplane has opened its ports, because it may still be reading the checkpoint", async (t) => {
  const { database, file, kept } = bench(t);
  const area = makeArea(64);
  putSession(area, 0);
  const startedAt = headerWord("startedAt") >> 1;
  area.tables.header.f[startedAt] = 0;
  const source = handSource(area, WALL);
  const loop = new StoreLoop({ database, names: () => NO_NAMES, attach: () => ({ source, isCurrent: () => true, detach: () => {} }) });
  loop.step();
  t.same(kept(), []);
  area.tables.header.f[startedAt] = NOW_MICROS;
  loop.step();
  t.same(kept(), ["7:0"]);
  putSession(area, 1);
  loop.step();
  t.same(kept(), ["7:0"], "the next pass has its time");
  loop.finish(1000);
  t.same(kept(), ["7:0", "7:1"], "the last one does not");
  t.equal(load(file).count, 2);
});
