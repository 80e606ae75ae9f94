// The row codec carries what the table declares as replicated, and nothing else.

import fc from "fast-check";
import { test } from "tap";
import { wordsOf } from "../../firmware/fastpath/memory/layout.ts";
import { SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import {
  ROW_WORDS,
  S_ACKED,
  S_END,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_OWNER,
  S_STATE,
  S_VERSION,
  WINDOW_STRIDE,
} from "../../firmware/fastpath/sessions.ts";
import { DecodedRow, RowCodec, replicatedWords } from "../../firmware/twin/record.ts";

const BODY = 292;
const ESSENTIAL = [S_ID_SERIAL, S_ID_CREATOR, S_ID_INCARNATION, S_EPOCH, S_VERSION, S_OWNER, S_STATE];
const view = new DataView(new ArrayBuffer(2_048));
/** Rows with many zeroes, as rows have. */
const anyRow = fc.array(fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer() }), {
  minLength: ROW_WORDS * 2,
  maxLength: ROW_WORDS * 2,
});

test("every replicated field travels, in every word, and no other", async (t) => {
  const declared = SESSIONS.fields
    .filter((field) => field.replicated === true)
    .flatMap((field) => Array.from({ length: wordsOf(field.type) }, (_, k) => field.at + k));
  t.same([...replicatedWords()], declared);
});

test("a row is the same after encoding and decoding, for any row", async () => {
  const codec = new RowCodec(replicatedWords());
  const d = new DecodedRow();
  const words = [...replicatedWords()];
  fc.assert(
    fc.property(anyRow, fc.nat(), fc.integer(), fc.integer(), fc.integer(), fc.integer(), (values, row, stamp, sweep, idle, age) => {
      const i = Int32Array.from(values);
      const bytes = codec.measure(i, ROW_WORDS, true);
      codec.encode(i, ROW_WORDS, view, BODY, row, stamp, sweep, idle, age, i[ROW_WORDS + S_STATE] as number);
      if (!codec.decode(view, BODY, bytes, d)) return false;
      if (d.row !== row || d.stamp !== stamp || d.sweep !== sweep || d.idleMillis !== idle || d.ageMillis !== age) return false;
      for (let k = 0; k < ROW_WORDS; k++) if (d.i[k] !== (words.includes(k) ? i[ROW_WORDS + k] : 0)) return false;
      return true;
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("a tombstone carries id, epoch, version, owner and state only", async (t) => {
  const codec = new RowCodec(replicatedWords());
  const d = new DecodedRow();
  const i = new Int32Array(ROW_WORDS).fill(7);
  const bytes = codec.measure(i, 0, false);
  codec.encode(i, 0, view, BODY, 1, 2, 3, 4, 5, 7);
  t.ok(codec.decode(view, BODY, bytes, d));
  t.same(
    [...d.i].flatMap((value, k) => (value === 0 ? [] : [k])),
    ESSENTIAL.toSorted((x, y) => x - y),
  );
  t.equal(bytes, 20 + 8 + ESSENTIAL.length * 4);
});

test("from a peer that knows no highest acknowledgements, a window behind each end is taken for one", async (t) => {
  const codec = new RowCodec(replicatedWords().filter((at) => at !== S_ACKED && at !== S_ACKED + 1));
  const d = new DecodedRow();
  const i = new Int32Array(ROW_WORDS).fill(1);
  i.set([900_000, 905_000, 4_096], S_END);
  i.set([-200_000, -190_000, 65_535], S_END + WINDOW_STRIDE);
  const bytes = codec.measure(i, 0, true);
  codec.encode(i, 0, view, BODY, 1, 2, 3, 4, 5, 7);
  t.ok(codec.decode(view, BODY, bytes, d));
  t.same([d.i[S_ACKED], d.i[S_ACKED + 1]], [900_000 - 65_535, -200_000 - 4_096]);
});

test("two versions that know different fields, in different places, exchange what both know", async (t) => {
  const common = replicatedWords().filter((at) => at !== 60);
  const there = common.map((at) => (at === 57 ? 60 : at));
  const mine = new RowCodec(common);
  const theirs = new RowCodec(there);
  const d = new DecodedRow();
  const i = Int32Array.from({ length: ROW_WORDS }, (_, k) => k + 1);
  const bytes = mine.measure(i, 0, true);
  mine.encode(i, 0, view, BODY, 0, 0, 0, 0, 0, 33);
  t.ok(theirs.decode(view, BODY, bytes, d));
  t.equal(d.i[60], 58, "the field lies elsewhere");
  t.equal(d.i[57], 0);
});

test("a peer that does not know an essential field is refused", async (t) => {
  t.throws(() => new RowCodec(replicatedWords().filter((at) => at !== S_OWNER)), /does not know word 53/);
});

test("bytes that are no record are refused, never read beyond their end", async () => {
  const codec = new RowCodec(replicatedWords());
  const d = new DecodedRow();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const exact = new DataView(new ArrayBuffer(bytes.length));
      bytes.forEach((byte, k) => {
        exact.setUint8(k, byte);
      });
      codec.decode(exact, 0, bytes.length, d);
    }),
    { seed: 2, numRuns: 2_000 },
  );
});
