import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { headerWord, MEMBERS, SESSIONS, TABLES } from "../../firmware/fastpath/memory/tables.ts";
import { DROP_NAMES, DROP_SENTENCES } from "../../firmware/fastpath/verdicts.ts";
import { columnsOf } from "../../firmware/store/live/columns.ts";
import { LiveError, liveErrorOf, openLive } from "../../firmware/store/live/open.ts";
import { NO_NAMES } from "../../firmware/store/live/views.ts";
import { type Area, makeArea, mapped, putSession, temporaryDirectory, writeArea } from "./area.ts";
import { buildLiveModule } from "./native.ts";

buildLiveModule();

type Holder = { teardown(done: () => void): void };

function opened(t: Holder, area: Area, names = NO_NAMES) {
  const file = join(temporaryDirectory(t, "live"), "memory");
  writeArea(area, file);
  const database = openLive(file, names);
  t.teardown(() => database.close());
  return { database, file };
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    const known = liveErrorOf(error);
    return known instanceof LiveError ? known.code : String(error);
  }
  return "none";
}

test("every field of every table is a column, and the module's columns are the declaration's", async (t) => {
  const { database } = opened(t, makeArea(4));
  for (const { table } of TABLES) {
    const declared = database.pragma(`table_info(live_${table.name})`) as { name: string }[];
    t.same(
      declared.map((column) => column.name),
      columnsOf(table).map((column) => column.name),
      table.name,
    );
    const words = new Set(columnsOf(table).map((column) => column.at));
    const missing = table.fields.filter((field) => !words.has(field.at) && !field.name.endsWith("Rest"));
    t.same(
      missing.map((field) => field.name),
      [],
      `${table.name} leaves nothing out`,
    );
  }
});

test("SQL shows the words that typed arrays wrote, whatever they are", async (t) => {
  const area = makeArea(4);
  const { database, file } = opened(t, area);
  const { i, f } = area.tables.sessions;
  const value = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 0x7fffffff, -0x80000000));
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 64, maxLength: 64 }),
      fc.array(fc.oneof(fc.maxSafeNat(), fc.double({ noNaN: true })), { minLength: 4, maxLength: 4 }),
      (words, counters) => {
        i.set(words);
        i[0] = (words[0] as number) & ~1;
        const state = word(SESSIONS, "state");
        i[state] = (words[state] as number) | 1;
        counters.forEach((counter, k) => {
          f[20 + k] = counter;
        });
        writeArea(area, file);
        const row = database.prepare("SELECT * FROM live_sessions WHERE row = 0").get() as Record<string, number | string | null>;
        const wanted: Record<string, number | string | null> = {};
        for (const column of columnsOf(SESSIONS)) {
          const raw = i[column.at] as number;
          const part = ((raw >>> column.shift) & (2 ** column.bits - 1)) >>> 0;
          if (column.kind === "i32") wanted[column.name] = raw;
          else if (column.kind === "u32") wanted[column.name] = raw >>> 0;
          else if (column.kind === "f64") wanted[column.name] = f[column.at >> 1] as number;
          else if (column.kind === "bits") wanted[column.name] = column.names[part] ?? part;
          else delete row[column.name];
        }
        // SQL has no negative zero among its whole numbers.
        const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, row[name]]));
        const positive = (value: unknown) => (value === 0 ? 0 : value);
        return (
          Object.keys(wanted).every((name) => Object.is(positive(found[name]), positive(wanted[name]))) &&
          Object.keys(row).length === Object.keys(wanted).length
        );
      },
    ),
    { numRuns: 30, seed: 1 },
  );
});

test("addresses are text: IPv4 without its mapping, IPv6 in its short form, nothing as NULL", async (t) => {
  const area = makeArea(4);
  putSession(area, 0, { source: mapped(192, 0, 2, 1), destination: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], ports: [1, 65_535] });
  putSession(area, 1, { source: new Array(16).fill(0) });
  const { database } = opened(t, area);
  const rows = database
    .prepare("SELECT originator_source AS s, originator_destination AS d, originator_source_port AS p, originator_destination_port AS q FROM live_sessions")
    .all();
  t.same(rows[0], { s: "192.0.2.1", d: "2001:db8::9", p: 1, q: 65_535 });
  t.equal((rows[1] as { s: unknown }).s, null);
});

test("rows that hold nothing are not shown", async (t) => {
  const area = makeArea(64);
  putSession(area, 3);
  putSession(area, 60);
  putSession(area, 61, { state: "free" });
  area.tables.members.i[MEMBERS.strideWords * 3] = 3;
  const { database } = opened(t, area);
  t.same(database.prepare("SELECT row FROM live_sessions").pluck().all(), [3, 60]);
  t.same(database.prepare("SELECT unit FROM live_members").pluck().all(), ["B1"]);
  t.equal(database.prepare("SELECT count(*) FROM live_events").pluck().get(), 0);
});

test("equalities go down into the scan and find what a full scan finds", async (t) => {
  const area = makeArea(256);
  for (let row = 0; row < 256; row++) putSession(area, row, { owner: 1 + (row % 4), state: row % 3 === 0 ? "established" : "fin-wait", packets: row });
  const { database } = opened(t, area);
  database.exec("CREATE TEMP TABLE copy AS SELECT * FROM live_sessions");
  const counted = (table: string, where: string) => database.prepare(`SELECT count(*) FROM ${table} WHERE ${where}`).pluck().get();
  for (const where of [
    "owner = 'A2'",
    "owner = 'B1' AND state = 'established'",
    "owner = 'nobody'",
    "rule = 2",
    "rule = 2.0",
    "rule = '2'",
    "rule = 99999999999",
    "owner_incarnation = 7",
    "owner_incarnation = -1",
    "row = 17",
    "row = -1",
    "row = 'x'",
    "owner = 1",
    "owner = 'a2' COLLATE NOCASE",
    "owner IN ('A1', 'B2')",
    "rule IS NULL",
    "rowid = 5",
  ]) {
    t.equal(counted("live_sessions", where), counted("copy", where), where);
  }
  const plan = database.prepare("EXPLAIN QUERY PLAN SELECT * FROM sessions WHERE owner = 'A1'").all() as { detail: string }[];
  t.ok(
    plan.some((step) => /live_sessions VIRTUAL TABLE INDEX 0:\d+/.test(step.detail)),
    "through the view too",
  );
});

test("units are called what the plan calls them, and are found by that name", async (t) => {
  const area = makeArea(4);
  putSession(area, 0, { owner: 3, acknowledged: 1 << 1 });
  const { database } = opened(t, area, {
    ...NO_NAMES,
    units: [
      { number: 1, name: "oslo1" },
      { number: 3, name: "bergen1" },
    ],
    zones: [{ number: 1, name: "one" }],
  });
  const row = database.prepare("SELECT owner, replica, from_zone, to_zone FROM sessions WHERE owner = 'bergen1'").get();
  t.same(row, { owner: "bergen1", replica: "replica of bergen1", from_zone: "one", to_zone: "3" });
});

test("a row whose writer died in the middle is left out, and the others are shown", async (t) => {
  const area = makeArea(4);
  for (let row = 0; row < 4; row++) putSession(area, row);
  area.tables.sessions.i[64 * 2] = 5;
  const { database } = opened(t, area);
  t.same(database.prepare("SELECT row FROM live_sessions").pluck().all(), [0, 1, 3]);
});

test("counters carry their names, and drop reasons their sentences", async (t) => {
  const area = makeArea(4);
  area.tables.counters.f[DROP_NAMES.indexOf("no-session")] = 12;
  const { database } = opened(t, area);
  t.same(database.prepare("SELECT * FROM counters WHERE value > 0").all(), [
    { name: "no-session", kind: "drop", value: 12, sentence: DROP_SENTENCES[DROP_NAMES.indexOf("no-session")] },
  ]);
});

test("ages survive a clock of 32 bits that wraps", async (t) => {
  const area = makeArea(4);
  area.tables.header.f[headerWord("breathAt") >> 1] = 2 ** 31 * 1000 + 5000;
  putSession(area, 0, { lastSeenMillis: 2 ** 31 - 100 });
  const { database } = opened(t, area);
  t.equal(database.prepare("SELECT idle_millis FROM sessions").pluck().get(), 105);
});

test("a file that is absent, short, foreign or of another layout is refused with a code, and never crashes", async (t) => {
  const directory = temporaryDirectory(t, "wrong");
  const file = (name: string) => join(directory, name);
  t.equal(
    codeOf(() => openLive(file("absent"))),
    "memory-absent",
  );
  writeFileSync(file("empty"), "");
  t.equal(
    codeOf(() => openLive(file("empty"))),
    "memory-truncated",
  );
  writeFileSync(file("foreign"), Buffer.alloc(1 << 20, 0xaa));
  t.equal(
    codeOf(() => openLive(file("foreign"))),
    "memory-not-ours",
  );
  const area = makeArea(64);
  area.tables.header.i[headerWord("layout")] = 0x1234;
  writeArea(area, file("old"));
  t.equal(
    codeOf(() => openLive(file("old"))),
    "layout-mismatch",
  );
  t.throws(() => openLive(file("old")), { message: /00001234.*restart the unit/ });
  const short = makeArea(64);
  writeFileSync(file("short"), new Uint8Array(short.buffer, 0, short.buffer.byteLength - 4096));
  t.equal(
    codeOf(() => openLive(file("short"))),
    "memory-truncated",
  );
});

test("a file that is truncated while it is open fails the next query", async (t) => {
  const { database, file } = opened(t, makeArea(64));
  const query = database.prepare("SELECT count(*) FROM live_sessions");
  t.same(query.pluck().get(), 0);
  truncateSync(file, 8192);
  t.equal(
    codeOf(() => query.get()),
    "memory-truncated",
  );
  truncateSync(file, 0);
  t.equal(
    codeOf(() => database.prepare("SELECT * FROM live_header").get()),
    "memory-truncated",
  );
});

test("nobody can write through the live tables", async (t) => {
  const { database } = opened(t, makeArea(4));
  t.throws(() => database.exec("UPDATE live_header SET unit = 2"), /may not be modified/);
});
