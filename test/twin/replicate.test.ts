// Rows reach every peer, whatever the channel does to the records; each sequence that PROTOCOL.md's rules answer has a test.

import { test } from "tap";
import { S_OWNER, S_REPLICA, S_STATE, S_VERSION, STATE_TOMBSTONE } from "../../firmware/fastpath/sessions.ts";
import { RECORD_ROW, RECORD_ROW_ACK, RECORD_TOMBSTONE } from "../../firmware/twin/frame.ts";
import { ESTABLISHED, type Message, SYN_SENT, Unit, Wire } from "./units.ts";

const A1 = 1;
const B1 = 3;

function pair(seed: number, rows = 1_024): { wire: Wire; a: Unit; b: Unit } {
  const wire = new Wire(seed);
  const a = new Unit(wire, A1, [B1], rows);
  const b = new Unit(wire, B1, [A1], rows);
  wire.connect(a, b);
  wire.run(20);
  return { wire, a, b };
}

const equal = (a: Unit, b: Unit): boolean => JSON.stringify(a.live()) === JSON.stringify(b.live());
const settled = (a: Unit, b: Unit): boolean => equal(a, b) && a.member(b.number, "lagRows") === 0 && b.member(a.number, "lagRows") === 0;

test("a new session is at the peer within two breaths, and acknowledged within four", async (t) => {
  const { wire, a, b } = pair(1);
  const row = a.open(1, 2);
  wire.run(2);
  const there = b.counterpart(a, row);
  t.ok(there >= 0, "the replica is there");
  t.equal(b.word(there, S_OWNER), a.sessions.me);
  wire.run(2);
  t.equal(a.word(row, S_REPLICA), 1 << B1, "bit of B1 is set");
  t.equal(a.member(B1, "lagRows"), 0);
  t.equal(a.member(B1, "lagMicros"), 0);
});

test("ten changes before a breath cost one record", async (t) => {
  const { wire, a } = pair(2);
  let rows = 0;
  wire.intercept = (message) => {
    if (message.type === RECORD_ROW) rows++;
    return false;
  };
  const row = a.open(1, 2);
  for (let k = 0; k < 10; k++) a.sessions.changed(row);
  wire.run(10);
  t.equal(rows, 1);
});

test("what comes within 200 us of the last rows waits for more; what comes after silence, or fills four frames, does not", async (t) => {
  const { wire, a } = pair(3, 1_024);
  let rows = 0;
  wire.intercept = (message) => {
    if (message.type === RECORD_ROW) rows++;
    return false;
  };
  wire.run(20);
  const now = wire.nowMicros;
  const sentAfter = (micros: number): number => {
    a.breathe(now + micros);
    return rows;
  };
  a.open(1, 2);
  t.equal(sentAfter(0), 1, "at once");
  t.equal(a.exchange.dueMicros, Number.POSITIVE_INFINITY);
  a.open(3, 2);
  t.equal(sentAfter(80), 1, "gathers");
  t.equal(a.exchange.dueMicros, now + 200, "and asks for a breath when it is due");
  t.notOk(a.exchange.busy, "not for one before");
  a.open(4, 2);
  t.equal(sentAfter(199), 1);
  t.equal(sentAfter(200), 3, "both go out");
  for (let k = 0; k < 48; k++) a.open(10 + k, 2);
  t.equal(sentAfter(210), 51, "four frames are full");
});

test("tables become equal under loss, duplication and reordering, for many seeds", async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const { wire, a, b } = pair(seed);
    Object.assign(wire.faults, { lose: 0.2, duplicate: 0.2, delayMicros: 15_000 });
    const open: { unit: Unit; row: number }[] = [];
    let next = 1;
    for (let step = 0; step < 300; step++) {
      const unit = wire.random.chance(0.5) ? a : b;
      const action = wire.random.below(3);
      if (action === 0 || open.length === 0) open.push({ unit, row: unit.open(next++, 7) });
      else {
        const k = wire.random.below(open.length);
        const chosen = open[k] as { unit: Unit; row: number };
        if (action === 1) chosen.unit.sessions.changed(chosen.row);
        else {
          chosen.unit.end(chosen.row);
          open.splice(k, 1);
        }
      }
      wire.run(1);
    }
    t.ok(
      wire.until(5_000, () => settled(a, b)),
      `seed ${seed}: ${a.live().length} sessions at A1, ${b.live().length} at B1`,
    );
    Object.assign(wire.faults, { lose: 0, duplicate: 0, delayMicros: 0 });
    t.ok(
      wire.until(3_000, () => a.member(B1, "digestsEqual") === 1 && b.member(A1, "digestsEqual") === 1),
      `seed ${seed}: digests equal`,
    );
    wire.run(15_000);
    t.equal(a.tables.header.i[14], 0, `seed ${seed}: no tombstone is left at A1`);
    t.equal(b.tables.header.i[14], 0, `seed ${seed}: nor at B1`);
    t.equal(a.memory.freeCount, a.memory.frameCount, `seed ${seed}: frames are conserved`);
  }
});

test("a delayed record does not resurrect a session whose tombstone has come", async (t) => {
  const { wire, a, b } = pair(3);
  let held: Message | undefined;
  wire.intercept = (message) => {
    if (message.type !== RECORD_ROW || message.from !== A1 || held !== undefined) return false;
    held = message;
    return true;
  };
  const row = a.open(1, 2);
  wire.run(2);
  a.end(row);
  wire.run(5);
  const there = b.counterpart(a, row);
  t.equal(b.kind(there), STATE_TOMBSTONE, "the end came before the beginning");
  wire.deliverNow(held as Message);
  wire.run(5);
  t.equal(b.kind(there), STATE_TOMBSTONE);
  t.same(b.live(), []);
});

test("a tombstone is kept until the peer has acknowledged it", async (t) => {
  const { wire, a } = pair(4);
  const row = a.open(1, 2);
  wire.run(5);
  wire.intercept = (message) => message.type === RECORD_TOMBSTONE;
  a.end(row);
  wire.run(5_000);
  t.equal(a.kind(row), STATE_TOMBSTONE, "not acknowledged: kept");
  wire.intercept = null;
  wire.run(5_000);
  t.not(a.kind(row), STATE_TOMBSTONE, "acknowledged: released");
});

test("a lost acknowledgement and a row used again: the old acknowledgement says nothing about the new session", async (t) => {
  const { wire, a, b } = pair(5);
  const late: Message[] = [];
  wire.intercept = (message) => {
    if (message.type !== RECORD_ROW_ACK || message.to !== A1) return false;
    late.push(message);
    return true;
  };
  const row = a.open(1, 2);
  wire.run(3);
  t.ok(late.length > 0, "the acknowledgement of the first session is on its way");
  wire.intercept = null;
  a.end(row);
  wire.run(5_000);
  wire.intercept = (message) => message.type === RECORD_ROW;
  const again = a.open(3, 4);
  t.equal(again, row, "the row is used again");
  wire.run(3);
  for (const message of late) wire.deliverNow(message);
  wire.run(3);
  t.equal(a.word(again, S_REPLICA), 0, "the new session is not taken for replicated");
  t.equal(a.member(B1, "lagRows"), 1);
  wire.intercept = null;
  t.ok(wire.until(1_000, () => settled(a, b)));
});

test("an acknowledgement of an earlier state does not count for the present one", async (t) => {
  const { wire, a } = pair(6);
  wire.faults.delayMicros = 0;
  const row = a.open(1, 2);
  wire.run(1);
  a.sessions.changed(row);
  // The acknowledgement of the first state arrives in this breath, before the change was drained.
  wire.intercept = (message) => message.type === RECORD_ROW;
  wire.run(2);
  t.equal(a.word(row, S_REPLICA), 0);
  t.equal(a.member(B1, "lagRows"), 1);
});

test("acknowledged implies present: nothing is acknowledged that was not applied", async (t) => {
  for (let seed = 20; seed < 24; seed++) {
    const { wire, a, b } = pair(seed);
    Object.assign(wire.faults, { lose: 0.3, duplicate: 0.1, delayMicros: 8_000 });
    const rows: number[] = [];
    for (let step = 0; step < 400; step++) {
      if (rows.length < 50) rows.push(a.open(step + 1, 9));
      else a.sessions.changed(rows[wire.random.below(rows.length)] as number);
      wire.run(1);
      for (const row of rows) {
        if (a.word(row, S_REPLICA) !== 1 << B1) continue;
        const there = b.counterpart(a, row);
        if (there < 0 || b.word(there, S_VERSION) !== a.word(row, S_VERSION)) t.fail(`seed ${seed}: row ${row} counts as acknowledged and is not there`);
      }
    }
    t.pass(`seed ${seed}`);
  }
});

test("the tuple is opened again under reordering: the later id wins, whichever comes first", async (t) => {
  const { wire, a, b } = pair(7);
  const held: Message[] = [];
  const first = a.open(1, 2);
  wire.run(5);
  wire.intercept = (message) => {
    if (message.type !== RECORD_TOMBSTONE && message.type !== RECORD_ROW) return false;
    held.push(message);
    return true;
  };
  a.sessions.changed(first);
  wire.run(1);
  a.end(first);
  wire.run(1);
  const second = a.open(1, 2);
  wire.run(1);
  wire.intercept = null;
  for (const message of held.reverse()) wire.deliverNow(message);
  const there = b.counterpart(a, second);
  t.ok(there >= 0, "the second session is there");
  t.equal(b.kind(there), ESTABLISHED);
  t.equal(b.kind(b.counterpart(a, first)), STATE_TOMBSTONE, "the first one has ended");
  t.ok(wire.until(1_000, () => settled(a, b)));
});

test("a full table refuses, the refusal is counted, and the row does not count as replicated", async (t) => {
  const wire = new Wire(8);
  const a = new Unit(wire, A1, [B1], 1_024);
  const b = new Unit(wire, B1, [A1], 64);
  wire.connect(a, b);
  const rows = Array.from({ length: 80 }, (_, k) => a.open(k + 1, 2));
  wire.run(200);
  t.equal(b.live().length, 64);
  t.equal(a.member(B1, "lagRows"), 16);
  t.equal(rows.filter((row) => a.word(row, S_REPLICA) === 1 << (8 + B1)).length, 16, "refused bits");
  t.ok(b.counter("replicas-refused") >= 16);
  for (const row of rows.slice(0, 70)) a.end(row);
  t.ok(
    wire.until(20_000, () => settled(a, b)),
    "room again: they are tried again",
  );
});

test("a peer that is lost holds nothing that counts, until it says so again", async (t) => {
  const { wire, a, b } = pair(12);
  const row = a.open(1, 2);
  wire.run(10);
  t.equal(a.word(row, S_REPLICA), 1 << B1);
  wire.cut(a, b);
  wire.run(2);
  t.equal(a.word(row, S_REPLICA), 0);
  wire.connect(a, b);
  wire.run(10);
  t.equal(a.word(row, S_REPLICA), 1 << B1);
});

test("half-open rows go last", async (t) => {
  const { wire, a } = pair(9);
  const order: number[] = [];
  a.congested = true;
  const half = Array.from({ length: 5 }, (_, k) => a.open(k + 1, 2, 80, SYN_SENT));
  const whole = Array.from({ length: 5 }, (_, k) => a.open(k + 10, 2));
  wire.run(2);
  wire.intercept = (message) => {
    if (message.type === RECORD_ROW) order.push(new DataView(message.bytes.buffer).getInt32(0));
    return false;
  };
  a.congested = false;
  wire.run(2);
  t.same(order.slice(0, 10), [...whole, ...half]);
});

test("lag grows while nothing is acknowledged", async (t) => {
  const { wire, a } = pair(10);
  wire.intercept = () => true;
  a.open(1, 2);
  wire.run(30);
  t.equal(a.member(B1, "lagRows"), 1);
  t.ok(a.member(B1, "lagMicros") >= 20_000, `${a.member(B1, "lagMicros")} us`);
});

test("records carry durations: idle time and age are the same at a peer whose clock differs", async (t) => {
  const { wire, a, b } = pair(11);
  const row = a.open(1, 2);
  wire.run(500);
  a.sessions.changed(row);
  wire.run(2);
  const there = b.counterpart(a, row);
  const now = wire.nowMicros / 1_000;
  t.ok(Math.abs(now - b.word(there, 33) - 502) <= 3, "idle");
  t.equal(b.word(there, S_STATE) & 0xff, ESTABLISHED);
});
