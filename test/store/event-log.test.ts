import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { EventRing, eventKind } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import { EVENT_TEXT_MOST, EVENTS, EVENTS_KEPT } from "../../firmware/limits.ts";
import { beginArea } from "../../firmware/store/checkpoint.ts";
import { addressText, EventLog } from "../../firmware/store/event-log.ts";
import { NO_NAMES } from "../../firmware/store/live/views.ts";
import { StoreLoop } from "../../firmware/store/loop.ts";
import { openStore } from "../../firmware/store/schema.ts";
import { thrownAway } from "../../firmware/store/trim.ts";
import { makeArea, mapped, NOW_MICROS, putSession, temporaryDirectory } from "./area.ts";
import { handSource } from "./source.ts";

const WALL = 1_800_000_000_000;
const SECOND = 1_000_000;

type Holder = { teardown(done: () => void): void };

function bench(t: Holder) {
  const area = makeArea(64);
  const source = handSource(area, WALL);
  const { database } = openStore(join(temporaryDirectory(t, "events"), "store.db"));
  t.teardown(() => database.close());
  beginArea(database, 7);
  const log = () => new EventLog(database, source, 7, () => NO_NAMES);
  const sentences = () => database.prepare("SELECT sentence FROM events ORDER BY id").pluck().all();
  return { area, database, log, ring: new EventRing(area.tables), sentences };
}

test("events reach the log in order, with sentences and times of day", async (t) => {
  const { area, database, log, ring } = bench(t);
  putSession(area, 0);
  ring.note(eventKind("peer-dead"), NOW_MICROS - 3 * SECOND, 3, -1, 100);
  ring.noteFlow(eventKind("rule-deny"), NOW_MICROS - 2 * SECOND, area.tables.sessions.i, word(SESSIONS, "originatorSource"), 4, 0, 0);
  t.equal(log().drain(100), 2);
  t.same(database.prepare("SELECT at_millis, kind, severity, sentence FROM events ORDER BY id").all(), [
    { at_millis: WALL - 3000, kind: "peer-dead", severity: "error", sentence: "B1 is dead: silent on every path for 100 ms." },
    { at_millis: WALL - 2000, kind: "rule-deny", severity: "notice", sentence: "Rule 4 denies tcp 10.1.0.10:40000 → 10.3.0.10:443 from zone 1." },
  ]);
});

test("a store that starts again goes on where the last one stopped", async (t) => {
  const { log, ring, sentences } = bench(t);
  ring.note(eventKind("stopped"), NOW_MICROS, 0, -1, 0);
  log().drain(100);
  ring.note(eventKind("started"), NOW_MICROS, 0, -1, 5);
  t.equal(log().drain(100), 1);
  t.same(sentences(), ["The dataplane stopped on request.", "The dataplane opened its ports, 5 ms after its start."]);
});

test("what was overwritten before it was read is an entry of its own", async (t) => {
  const { log, ring, sentences } = bench(t);
  const reading = log();
  for (let k = 0; k < EVENTS + 30; k++) ring.note(eventKind("loop-gap"), NOW_MICROS + k * SECOND, 0, -1, k);
  while (reading.drain(256) > 0);
  t.equal(sentences().length, EVENTS + 1);
  t.equal(sentences()[0], "30 events were overwritten before the store read them.");
  t.equal(sentences()[1], "The dataplane stood still for 30 us.");
});

test("a batch is bounded, and the rest waits for the next", async (t) => {
  const { log, ring } = bench(t);
  for (let k = 0; k < 25; k++) ring.note(eventKind("loop-gap"), NOW_MICROS, 0, -1, k);
  const reading = log();
  t.same([reading.drain(10), reading.drain(10), reading.drain(10), reading.drain(10)], [10, 10, 5, 0]);
});

test("addresses are written as SQL over the live tables writes them", async (t) => {
  const text = (bytes: number[]) => addressText(new Int32Array(new Uint8Array(bytes).buffer), 0);
  t.equal(text(mapped(192, 0, 2, 7)), "192.0.2.7");
  t.equal(text([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]), "2001:db8::9");
  t.equal(text([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), "fe80::1:0:0:0");
  t.equal(text(new Array(16).fill(0)), null);
});

test("a damaged database is put aside and a new one begun", async (t) => {
  const file = join(temporaryDirectory(t, "damaged"), "store.db");
  writeFileSync(file, "this is no database, and never was one; it is long enough to be read as one");
  const opened = openStore(file);
  t.teardown(() => opened.database.close());
  t.match(opened.putAside, /not a database/);
  t.equal(opened.database.prepare("SELECT count(*) FROM events").pluck().get(), 0);
});

test("the log keeps so many entries and no longer sentences, throws the oldest away, and knows how many", async (t) => {
  const { database, log, ring } = bench(t);
  const many = EVENTS_KEPT + 500;
  database.exec(`WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ${many})
    INSERT INTO events (at_millis, incarnation, position, kind, severity, sentence, fields) SELECT k, 7, k, 'flood', 'notice', 'x', '{}' FROM n`);
  const reading = log();
  for (let k = 0; k < 1_000; k++) {
    ring.note(eventKind("loop-gap"), NOW_MICROS + k * SECOND, 0, -1, k);
    reading.drain(10);
  }
  t.equal(database.prepare("SELECT count(*) FROM events").pluck().get(), EVENTS_KEPT);
  t.equal(thrownAway(database), 1_500);
  const loop = new StoreLoop({ database, names: () => NO_NAMES, attach: () => undefined });
  const happening = { at: "2027-01-15T08:00:00Z", severity: "notice", code: "restart", text: "y".repeat(100_000), fields: { long: "z".repeat(100_000) } };
  for (let k = 0; k < 1_000; k++) loop.remember(happening);
  t.equal(database.prepare("SELECT count(*) FROM events").pluck().get(), EVENTS_KEPT, "what the manager tells counts too");
  t.equal(database.prepare("SELECT max(length(sentence) + length(fields)) FROM events").pluck().get(), EVENT_TEXT_MOST + 3);
});
