import { test } from "tap";
import { EVENT_NAMES, EVENT_SENTENCES, EventReader, EventRing, eventKind } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { EVENT_TABLE, mapTables, planRegions, SESSIONS, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { EVENT_BURST, EVENTS, EVENTS_PER_SECOND } from "../../firmware/limits.ts";

const KIND = word(EVENT_TABLE, "kind");
const VALUE = word(EVENT_TABLE, "value");
const SUPPRESSED = word(EVENT_TABLE, "suppressed");
const SECOND = 1_000_000;

function area(): Tables {
  return mapTables(new ArrayBuffer(planRegions(64).totalBytes), 64);
}

function drain(reader: EventReader): { kind: string; value: number; suppressed: number }[] {
  const read = [];
  while (reader.next())
    read.push({
      kind: EVENT_NAMES[reader.row[KIND] as number] as string,
      value: reader.rowDoubles[VALUE >> 1] as number,
      suppressed: reader.row[SUPPRESSED] as number,
    });
  return read;
}

test("every kind has a name of its own and a sentence", async (t) => {
  t.equal(new Set(EVENT_NAMES).size, EVENT_NAMES.length);
  for (const sentence of EVENT_SENTENCES) t.match(sentence, /^[A-Z{].*\.$/);
});

test("events are read in the order in which they were written", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  const reader = new EventReader(tables);
  ring.note(eventKind("started"), 1000, 0, -1, 12);
  ring.note(eventKind("port-up"), 2000, 0, 1, 0);
  t.same(drain(reader), [
    { kind: "started", value: 12, suppressed: 0 },
    { kind: "port-up", value: 0, suppressed: 0 },
  ]);
  ring.note(eventKind("peer-dead"), 3000, 3, -1, 100);
  t.same(drain(reader), [{ kind: "peer-dead", value: 100, suppressed: 0 }]);
  t.equal(reader.missed, 0);
});

test("an event about a flow carries the session's tuple word for word, and the next event carries none of it", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  const at = word(SESSIONS, "originatorSource");
  for (let k = 0; k < 10; k++) tables.sessions.i[at + k] = 0x1000 + k;
  ring.noteFlow(eventKind("rule-deny"), 5, tables.sessions.i, at, 7, 0, 2);
  ring.note(eventKind("stopped"), 6, 0, -1, 0);
  const reader = new EventReader(tables);
  const source = word(EVENT_TABLE, "source");
  t.ok(reader.next());
  t.same([...reader.row.subarray(source, source + 10)], [...tables.sessions.i.subarray(at, at + 10)]);
  t.equal(reader.row[word(EVENT_TABLE, "rule")], 7);
  t.ok(reader.next());
  t.same([...reader.row.subarray(source, source + 10)], new Array(10).fill(0));
});

test("a full ring overwrites the oldest events, and the reader counts the gap", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  const reader = new EventReader(tables);
  for (let k = 0; k < EVENTS + 100; k++) ring.note(eventKind("loop-gap"), k * SECOND, 0, -1, k);
  const read = drain(reader);
  t.equal(read.length, EVENTS);
  t.equal(read[0]?.value, 100);
  t.equal(read.at(-1)?.value, EVENTS + 99);
  t.equal(reader.missed, 100);
  t.equal(new EventReader(tables).position, 100, "a new reader starts at the oldest event");
});

test("an event that is being written is not read", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  for (let k = 0; k < 3; k++) ring.note(eventKind("loop-gap"), k * SECOND, 0, -1, k);
  tables.events.i[EVENT_TABLE.strideWords * 1 + word(EVENT_TABLE, "sequence")] = 0;
  const reader = new EventReader(tables);
  t.same(
    drain(reader).map((event) => event.value),
    [0, 2],
  );
  t.equal(reader.missed, 1);
});

test("a flood of one kind is cut to its allowance, counted, and leaves the other kinds alone", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  const reader = new EventReader(tables);
  for (let k = 0; k < 1000; k++) ring.note(eventKind("default-deny"), 10, 0, -1, k);
  ring.note(eventKind("peer-dead"), 10, 3, -1, 100);
  const read = drain(reader);
  t.equal(read.length, EVENT_BURST + 1);
  t.equal(read.at(-1)?.kind, "peer-dead");
  ring.note(eventKind("default-deny"), 10 + SECOND / EVENTS_PER_SECOND, 0, -1, 5);
  t.same(drain(reader), [{ kind: "default-deny", value: 5, suppressed: 1000 - EVENT_BURST }]);
});

test("a tick reports what was left out of a kind that has gone quiet", async (t) => {
  const tables = area();
  const ring = new EventRing(tables);
  const reader = new EventReader(tables);
  for (let k = 0; k < EVENT_BURST + 9; k++) ring.note(eventKind("default-deny"), 10, 0, -1, 0);
  drain(reader);
  ring.tick(20);
  t.same(drain(reader), [], "not while the allowance is used up");
  ring.tick(10 * SECOND);
  t.same(drain(reader), [{ kind: "events-suppressed", value: eventKind("default-deny"), suppressed: 9 }]);
  ring.tick(20 * SECOND);
  t.same(drain(reader), []);
});
