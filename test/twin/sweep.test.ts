// Sweeps and digests: a peer that is new, or that differs, gets everything, and loses what is nobody's.

import { test } from "tap";
import { ROW_WORDS, S_OWNER, S_SWEEP, S_VERSION, STATE_TOMBSTONE } from "../../firmware/fastpath/sessions.ts";
import { BULK_PORTION_ROWS } from "../../firmware/limits.ts";
import { RECORD_DIGEST, RECORD_ROW, RECORD_SWEEP_DONE, RECORD_SWEEP_END } from "../../firmware/twin/frame.ts";
import { type Message, Unit, Wire } from "./units.ts";

const A1 = 1;
const B1 = 3;

const ids = (unit: Unit): string => JSON.stringify(unit.live());
const proven = (a: Unit, b: Unit): boolean => a.member(b.number, "digestsEqual") === 1 && b.member(a.number, "digestsEqual") === 1 && ids(a) === ids(b);

function strangers(seed: number, rows = 8_192): { wire: Wire; a: Unit; b: Unit } {
  const wire = new Wire(seed);
  return { wire, a: new Unit(wire, A1, [B1], rows), b: new Unit(wire, B1, [A1], rows) };
}

test("a new peer gets the whole table while it changes, for many seeds", async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const { wire, a, b } = strangers(seed);
    const rows = Array.from({ length: 3_000 }, (_, k) => a.open(k + 1, 2));
    Object.assign(wire.faults, { lose: 0.1, duplicate: 0.1, delayMicros: 10_000 });
    wire.connect(a, b);
    t.equal(a.member(B1, "sweeping"), 1);
    for (let step = 0; step < 200; step++) {
      const k = wire.random.below(rows.length);
      const row = rows[k] as number;
      if (wire.random.chance(0.5)) a.sessions.changed(row);
      else {
        a.end(row);
        rows[k] = a.open(10_000 + step, 3);
      }
      wire.run(1);
    }
    t.ok(
      wire.until(5_000, () => proven(a, b)),
      `seed ${seed}: ${a.live().length} and ${b.live().length}`,
    );
    t.equal(a.member(B1, "sweeping"), 0);
  }
});

test("who has been given everything is not behind, also when the link fails, until another association has to prove it again", async (t) => {
  const { wire, a, b } = strangers(6);
  a.open(1, 2);
  wire.connect(a, b);
  t.ok(b.exchange.isBehind(A1));
  t.ok(wire.until(2_000, () => !b.exchange.isBehind(A1)));
  wire.cut(a, b);
  wire.run(1_000);
  t.notOk(b.exchange.isBehind(A1), "the link has failed");
  wire.connect(a, b);
  t.ok(b.exchange.isBehind(A1), "a new association");
  t.ok(wire.until(2_000, () => !b.exchange.isBehind(A1)));
});

test("while packets wait a returned unit gets its rows in portions: changed ones go first, and it is behind until the last is there", async (t) => {
  const { wire, a, b } = strangers(9);
  const rows = Array.from({ length: 3_000 }, (_, k) => a.open(k + 1, 2));
  wire.connect(a, b);
  let millis = 0;
  let early = 0;
  let late = 0;
  for (; b.exchange.isBehind(A1) && millis < 5_000; millis++) {
    const row = rows[wire.random.below(rows.length)] as number;
    if (millis % 10 === 0) a.sessions.changed(row);
    if (a.exchange.pace.begin(wire.nowMicros, true)) a.exchange.pace.spent(100);
    wire.run(2);
    const copy = b.counterpart(a, row);
    if (millis % 10 === 0 && (copy < 0 || b.word(copy, S_VERSION) !== a.word(row, S_VERSION))) late++;
    if (!b.exchange.isBehind(A1) && b.live().length < rows.length) early++;
  }
  t.same({ early, late, behind: b.exchange.isBehind(A1) }, { early: 0, late: 0, behind: false });
  t.ok(wire.until(2_000, () => proven(a, b)));
  t.ok(millis > 3_000 / BULK_PORTION_ROWS, `portions: it took ${millis} breaths`);
});

test("a sweep's end deletes replicas that their owner does not have any more, and nothing else", async (t) => {
  const { wire, a, b } = strangers(7);
  wire.connect(a, b);
  const kept = a.open(1, 2);
  const gone = a.open(3, 4);
  const own = b.open(5, 6);
  wire.run(20);
  wire.cut(a, b);
  a.end(gone);
  wire.run(5_000);
  t.not(a.kind(gone), STATE_TOMBSTONE, "the owner has forgotten it");
  const there = b.counterpart(a, kept);
  t.equal(b.live().length, 3);
  wire.connect(a, b);
  t.ok(wire.until(1_000, () => proven(a, b)));
  t.equal(b.live().length, 2);
  t.equal(b.counterpart(a, kept), there);
  t.ok(b.live().some((row) => row.endsWith(` ${b.word(own, S_OWNER)}`)));
});

test("a lost END or DONE is repeated", async (t) => {
  const { wire, a, b } = strangers(8);
  a.open(1, 2);
  let lost = 0;
  wire.intercept = (message) => (message.type === RECORD_SWEEP_END || message.type === RECORD_SWEEP_DONE) && lost++ < 6;
  wire.connect(a, b);
  t.ok(wire.until(1_000, () => a.member(B1, "sweeping") === 0 && b.member(A1, "sweeping") === 0));
});

test("a record that was sent before a sweep began does not count for it", async (t) => {
  const { wire, a, b } = strangers(9);
  wire.connect(a, b);
  wire.run(20);
  const row = a.open(1, 2);
  const held: Message[] = [];
  wire.intercept = (message) => {
    if (message.type !== RECORD_ROW) return false;
    held.push(message);
    return true;
  };
  wire.run(1);
  wire.intercept = null;
  a.exchange.associated(B1, false);
  b.exchange.associated(A1, false);
  for (const message of held) wire.deliverNow(message);
  t.ok(wire.until(1_000, () => proven(a, b)));
  t.ok(b.counterpart(a, row) >= 0);
});

test("a silently wrong replica is found by the digests, and only its bucket is swept again", async (t) => {
  const { wire, a, b } = strangers(10);
  wire.connect(a, b);
  const rows = Array.from({ length: 1_000 }, (_, k) => a.open(k + 1, 2));
  t.ok(wire.until(3_000, () => proven(a, b)));
  const there = b.counterpart(a, rows[17] as number);
  b.sessions.i[there * ROW_WORDS + S_VERSION] = 0;
  b.exchange.journal.digests.update(there);
  let sent = 0;
  wire.intercept = (message) => {
    if (message.type === RECORD_ROW) sent++;
    return false;
  };
  t.ok(wire.until(3_000, () => a.word(rows[17] as number, S_VERSION) === b.word(there, S_VERSION)));
  t.ok(wire.until(3_000, () => proven(a, b)));
  t.ok(sent > 0 && sent < 30, `${sent} rows were sent again`);
});

test("a missing replica and one too many are found by the digests", async (t) => {
  const { wire, a, b } = strangers(11);
  wire.connect(a, b);
  const rows = Array.from({ length: 200 }, (_, k) => a.open(k + 1, 2));
  t.ok(wire.until(3_000, () => proven(a, b)));
  b.exchange.replicas.disowned(b.counterpart(a, rows[3] as number), A1);
  t.equal(b.live().length, 199);
  t.ok(
    wire.until(3_000, () => proven(a, b)),
    "missing",
  );
  t.equal(b.live().length, 200);
  // A row that its owner forgets without a word.
  const victim = rows[5] as number;
  a.sessions.end(victim);
  a.exchange.journal.digests.update(victim);
  a.sessions.release(victim);
  a.exchange.journal.forget(victim);
  t.ok(
    wire.until(3_000, () => proven(a, b)),
    "too many",
  );
  t.equal(b.live().length, 199);
});

test("buckets with unacknowledged rows are not compared", async (t) => {
  const { wire, a, b } = strangers(12);
  wire.connect(a, b);
  t.ok(wire.until(3_000, () => proven(a, b)));
  wire.intercept = (message) => message.type === RECORD_ROW;
  a.open(1, 2);
  let digests = 0;
  wire.intercept = (message) => {
    if (message.type === RECORD_DIGEST && message.from === A1) digests++;
    return message.type === RECORD_ROW;
  };
  wire.run(2_000);
  t.ok(digests > 0);
  t.equal(a.member(B1, "digestsEqual"), 1, "nothing was found to differ");
  t.equal(a.member(B1, "sweeping"), 0, "and nothing is swept");
});

test("a peer that pins too many tombstones is swept instead of waited for", async (t) => {
  const wire = new Wire(13);
  const a = new Unit(wire, A1, [B1], 1_024);
  const b = new Unit(wire, B1, [A1], 1_024);
  wire.connect(a, b);
  const rows = Array.from({ length: 600 }, (_, k) => a.open(k + 1, 2));
  t.ok(wire.until(3_000, () => proven(a, b)));
  // It acknowledges nothing any more, yet its heartbeats come.
  wire.intercept = (message) => message.from === B1;
  for (const row of rows) a.end(row);
  wire.run(3_000);
  t.ok((a.tables.header.i[14] as number) <= 1_024 / 16, `${a.tables.header.i[14]} tombstones are pinned`);
  wire.intercept = null;
  t.ok(wire.until(10_000, () => proven(a, b)));
  t.equal(b.live().length, 0);
});

test("rows that were adopted behind a sweep's back are not deleted by its end", async (t) => {
  for (let seed = 40; seed < 46; seed++) {
    const wire = new Wire(seed);
    const a = new Unit(wire, A1, [2, B1], 16_384);
    const dead = new Unit(wire, 2, [A1, B1], 16_384);
    const b = new Unit(wire, B1, [A1, 2], 16_384);
    wire.connect(a, dead);
    wire.connect(b, dead);
    for (let k = 0; k < 500; k++) dead.open(k + 1, 2);
    wire.run(300);
    wire.cut(a, dead);
    wire.cut(b, dead);
    Object.assign(wire.faults, { lose: 0.2, duplicate: 0.1, delayMicros: 20_000 });
    wire.connect(a, b);
    wire.run(wire.random.below(30));
    for (const unit of [a, b]) unit.succession(dead.sessions.me, A1);
    t.ok(
      wire.until(1_500, () => wire.nowMicros % 50_000 === 0 && b.live().length === 500 && ids(a) === ids(b)),
      `seed ${seed}: ${a.live().length} and ${b.live().length}`,
    );
    t.notOk(
      b.sessions.i.some((value, k) => k % ROW_WORDS === S_SWEEP && value === 0 && b.kind((k - S_SWEEP) / ROW_WORDS) === 3),
      "every replica is stamped",
    );
  }
});
