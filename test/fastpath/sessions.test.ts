// The session table, its indexes and its wheel.

import fc from "fast-check";
import { test } from "tap";
import { HashIndex } from "../../firmware/fastpath/memory/index.ts";
import { mapTables, planRegions } from "../../firmware/fastpath/memory/tables.ts";
import { ExpiryWheel } from "../../firmware/fastpath/memory/wheel.ts";
import {
  KEY_STRIDE,
  NOT_FOUND,
  ownerWord,
  ROW_WORDS,
  S_EPOCH,
  S_FLOW,
  S_GENERATION,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_IDLE_LIMIT,
  S_KEY,
  S_OWNER,
  S_PORTS,
  S_STATE,
  SessionTable,
  STATE_TOMBSTONE,
} from "../../firmware/fastpath/sessions.ts";
import { ESTABLISHED } from "../../firmware/fastpath/track/tcp.ts";

const ROWS = 256;

function makeTable(buffer = new ArrayBuffer(planRegions(ROWS).totalBytes), adopt = false): SessionTable {
  const tables = mapTables(buffer, ROWS);
  if (!adopt) tables.header.i[4] = 7;
  const table = new SessionTable(tables.sessions, tables.header.i, 1, 0x1234567, adopt ? 0x777 : 0x89abcdef, 0);
  if (adopt) table.adoptRows(0);
  else table.clear();
  return table;
}

/** Adds a live row whose tuple is derived from `flow`; returns the row or what `link` said. */
function add(table: SessionTable, flow: number): number {
  const row = table.take();
  if (row < 0) return -3;
  const at = row * ROW_WORDS;
  table.i[at + S_KEY + 3] = flow;
  table.i[at + S_KEY + 7] = 99;
  table.i[at + S_KEY + KEY_STRIDE + 3] = 99;
  table.i[at + S_KEY + KEY_STRIDE + 7] = flow;
  table.i[at + S_PORTS] = 80;
  table.i[at + S_PORTS + KEY_STRIDE] = 80 << 16;
  table.i[at + S_FLOW] = 6;
  table.i[at + S_FLOW + KEY_STRIDE] = 6;
  table.i[at + S_STATE] = ESTABLISHED;
  table.i[at + S_IDLE_LIMIT] = 10_000;
  table.i[at + S_OWNER] = table.me;
  table.i[at + S_EPOCH] = 1;
  table.drawId(row);
  table.commit(row);
  const linked = table.link(row);
  if (linked === -1) return row;
  table.release(row);
  return linked === -2 ? -2 : -1;
}

function lookUp(table: SessionTable, flow: number, direction: number): number {
  const words = new Int32Array(10);
  words[direction === 0 ? 3 : 7] = flow;
  words[direction === 0 ? 7 : 3] = 99;
  words[8] = direction === 0 ? 80 : 80 << 16;
  words[9] = 6;
  return table.find(words, 0, table.hash(words, 0));
}

test("a session is found by both directions' tuples, and by its id", async (t) => {
  const table = makeTable();
  const row = add(table, 5);
  t.equal(lookUp(table, 5, 0), row << 1);
  t.equal(lookUp(table, 5, 1), (row << 1) | 1);
  t.equal(lookUp(table, 6, 0), NOT_FOUND);
  const at = row * ROW_WORDS;
  t.equal(table.findById(table.i[at + S_ID_SERIAL] as number, table.i[at + S_ID_CREATOR] as number, table.i[at + S_ID_INCARNATION] as number), row);
});

test("a second session with the same tuple is refused and nothing changes", async (t) => {
  const table = makeTable();
  const row = add(table, 5);
  t.equal(add(table, 5), -1);
  t.equal(lookUp(table, 5, 0), row << 1);
  t.equal(table.liveCount, 1);
  t.equal(table.freeRowCount, ROWS - 1);
});

test("W2: an ended session's tuple is not found any more, its id still is, until it is released", async (t) => {
  const table = makeTable();
  const row = add(table, 5);
  const at = row * ROW_WORDS;
  const id = [table.i[at + S_ID_SERIAL], table.i[at + S_ID_CREATOR], table.i[at + S_ID_INCARNATION]] as [number, number, number];
  table.end(row);
  t.equal(lookUp(table, 5, 0), NOT_FOUND);
  t.equal(table.findById(...id), row);
  t.equal((table.i[at + S_STATE] as number) & 0xff, STATE_TOMBSTONE);
  table.release(row);
  t.equal(table.findById(...id), NOT_FOUND);
  t.equal(table.freeRowCount, ROWS);
  t.not(add(table, 5), row * 0 - 1, "the tuple can be used again");
});

test("a full table says so and loses nothing", async (t) => {
  const table = makeTable();
  for (let flow = 1; flow <= ROWS; flow++) t.ok(add(table, flow) >= 0);
  t.equal(add(table, 9_999), -3);
  t.equal(table.liveCount, ROWS);
});

test("after a crash, whole rows are adopted and torn ones are freed", async (t) => {
  const buffer = new ArrayBuffer(planRegions(ROWS).totalBytes);
  const table = makeTable(buffer);
  const kept = add(table, 1);
  const torn = add(table, 2);
  const damaged = add(table, 3);
  const ended = add(table, 4);
  table.end(ended);
  table.i[torn * ROW_WORDS + S_GENERATION] = (table.i[torn * ROW_WORDS + S_GENERATION] as number) | 1;
  table.i[damaged * ROW_WORDS + S_KEY + 3] = 77;
  const again = makeTable(buffer, true);
  t.equal(lookUp(again, 1, 1), (kept << 1) | 1);
  t.equal(lookUp(again, 2, 0), NOT_FOUND);
  t.equal(lookUp(again, 77, 0), NOT_FOUND);
  t.equal(lookUp(again, 4, 0), NOT_FOUND);
  t.equal(again.liveCount, 1);
  t.equal(again.freeRowCount, ROWS - 2, "the tombstone keeps its row");
  t.equal(again.me, ownerWord(1, 7));
});

test("adoption starts a new epoch and marks the row for replication", async (t) => {
  const table = makeTable();
  const row = add(table, 1);
  table.setOwner(row, ownerWord(3, 1), 4);
  t.equal(table.changes.next(), -1);
  table.adopt(row, 5_000);
  t.equal(table.i[row * ROW_WORDS + S_OWNER], table.me);
  t.equal(table.i[row * ROW_WORDS + S_EPOCH], 5);
  t.equal(table.changes.next(), row);
});

test("property: an index with removals finds exactly what a map holds", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.boolean()), { maxLength: 200 }), (steps) => {
      const index = new HashIndex(128);
      const model = new Set<number>();
      for (const [value, insert] of steps) {
        const hash = value % 7;
        if (insert && !model.has(value) && model.size < 40) {
          if (!index.insert(hash, value)) return false;
          model.add(value);
        } else if (!insert && index.remove(hash, value) !== model.delete(value)) return false;
      }
      const seen = new Set<number>();
      for (const value of model) {
        let slot = (value % 7) & index.mask;
        while (index.words[slot * 2 + 1] !== 0) {
          seen.add((index.words[slot * 2 + 1] as number) - 1);
          slot = (slot + 1) & index.mask;
        }
      }
      return [...model].every((value) => seen.has(value));
    }),
  );
  t.pass();
});

test("property: the wheel gives each row once, not before its time, and within one slot after it", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 50 }), (delays) => {
      const wheel = new ExpiryWheel(delays.length, 64, 0);
      for (const [row, delay] of delays.entries()) wheel.schedule(row, 0, delay);
      const seen = new Map<number, number>();
      for (let now = 0; now <= 20_200; now += 10) {
        for (let row = wheel.due(now); row >= 0; row = wheel.due(now)) {
          if (seen.has(row)) return false;
          seen.set(row, now);
        }
      }
      return delays.every((delay, row) => (seen.get(row) ?? -1) >= delay && (seen.get(row) ?? 1e9) <= Math.max(delay, 64) + 138);
    }),
  );
  t.pass();
});

test("the wheel keeps its times when the clock passes 2^31 and 2^32 milliseconds", async (t) => {
  for (const start of [2 ** 31 - 5_000, 2 ** 32 - 5_000]) {
    const wheel = new ExpiryWheel(2, 64, start);
    // As the engine has the time, and as the judge has it (int32).
    wheel.schedule(0, start, 9_000);
    wheel.schedule(1, start | 0, 2_000);
    const seen: number[] = [];
    for (let now = start; now < start + 12_000; now += 50) {
      const row = wheel.due(now);
      if (row >= 0) seen.push(row, Math.round((now - start) / 1_000));
      if (row >= 0 && row === 1 && now < start + 6_000) wheel.schedule(1, now | 0, 4_000);
    }
    t.same(seen, [1, 2, 1, 6, 0, 9]);
  }
});
