// One owner per session: successions, sessions that both sites created, partitions, and units that come back.

import { test } from "tap";
import { STATE_NAMES } from "../../firmware/fastpath/memory/tables.ts";
import {
  KEY_STRIDE,
  ORIGINATOR,
  ownerUnit,
  ROW_WORDS,
  S_END,
  S_EPOCH,
  S_KEY,
  S_MAX_END,
  S_OWNER,
  S_PACKETS_F64,
  S_STATE,
  S_VERSION,
  STATE_TOMBSTONE,
  WINDOW_STRIDE,
} from "../../firmware/fastpath/sessions.ts";
import { TOMBSTONE_GUARD_MILLIS } from "../../firmware/limits.ts";
import { RECORD_CAUGHT_UP, RECORD_REJOIN, RECORD_ROW, RECORD_YIELD } from "../../firmware/twin/frame.ts";
import { copyOf, ESTABLISHED, SYN_SENT, TCP, UDP, UDP_ONE_WAY, Unit, Wire } from "./units.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;

function pair(seed: number): { wire: Wire; a: Unit; b: Unit } {
  const wire = new Wire(seed);
  const a = new Unit(wire, A1, [B1]);
  const b = new Unit(wire, B1, [A1]);
  wire.connect(a, b);
  wire.run(20);
  return { wire, a, b };
}

const ids = (unit: Unit): string => JSON.stringify(unit.live());
const settled = (a: Unit, b: Unit): boolean => a.member(b.number, "lagRows") === 0 && b.member(a.number, "lagRows") === 0 && ids(a) === ids(b);
const proven = (a: Unit, b: Unit): boolean => a.member(b.number, "digestsEqual") === 1 && b.member(a.number, "digestsEqual") === 1 && settled(a, b);
/** Ports word of 53 both ways, so that a mirrored session has the mirrored tuple. */
const PORTS = (53 << 16) | 53;

test("W4: an owner dies: its successor adopts every row that it holds, in a new epoch", async (t) => {
  const { wire, a, b } = pair(1);
  const rows = Array.from({ length: 100 }, (_, k) => a.open(k + 1, 2));
  wire.run(10);
  wire.cut(a, b);
  b.succession(a.sessions.me, B1);
  wire.run(20);
  t.equal(b.counter("sessions-adopted"), 100);
  t.equal(b.live().length, 100);
  for (const row of rows) {
    const there = b.counterpart(a, row);
    t.equal(b.word(there, S_OWNER), b.sessions.me);
    t.equal(b.word(there, S_EPOCH), 2);
  }
});

test("a succession that names my incarnation makes my rows replicas; what only I knew is my successor's from now on", async (t) => {
  const { wire, a, b } = pair(2);
  const shared = a.open(1, 2);
  wire.run(10);
  const before = a.sessions.me;
  wire.cut(a, b);
  const unheard = a.open(3, 4);
  b.succession(before, B1);
  wire.run(10);
  b.sessions.changed(b.counterpart(a, shared));
  wire.connect(a, b);
  a.succession(before, B1);
  t.not(a.sessions.me, before, "I go on in a new incarnation");
  t.equal(a.tables.header.i[13], 0, "and own nothing");
  const fresh = a.open(5, 6);
  t.ok(wire.until(2_000, () => proven(a, b)));
  t.equal(ownerUnit(a.word(shared, S_OWNER)), B1);
  t.equal(a.word(shared, S_EPOCH), 2);
  t.equal(a.kind(unheard), ESTABLISHED);
  t.equal(b.word(b.counterpart(a, unheard), S_OWNER), b.sessions.me, "the session that no peer had heard of lives");
  t.equal(b.word(b.counterpart(a, fresh), S_OWNER), a.sessions.me);
});

for (const when of ["the peers were together all along", "the two peers meet after the succession"] as const) {
  test(`W4: a session that a successor never had, and another peer did, lives on: ${when}`, async (t) => {
    const wire = new Wire(5);
    const [a1, a2, b1] = [new Unit(wire, A1, [A2, B1]), new Unit(wire, A2, [A1, B1]), new Unit(wire, B1, [A1, A2])] as const;
    wire.connect(a1, b1);
    wire.connect(a1, a2);
    if (when === "the peers were together all along") wire.connect(a2, b1);
    const shared = a1.open(1, 2);
    wire.run(20);
    wire.cut(a1, a2);
    const only = a1.open(3, 4);
    wire.run(20);
    const owner = a1.sessions.me;
    wire.cut(a1, b1);
    for (const unit of [a2, b1]) unit.succession(owner, A2);
    if (when !== "the peers were together all along") wire.connect(a2, b1);
    t.ok(wire.until(5_000, () => proven(a2, b1) && a2.live().length === 2));
    for (const row of [shared, only]) t.equal(ownerUnit(b1.word(b1.counterpart(a1, row), S_OWNER)), A2);
  });
}

test("what has ended at my successor while I was away is not brought back by what I offer", async (t) => {
  for (let seed = 60; seed < 66; seed++) {
    const { wire, a, b } = pair(seed);
    const rows = Array.from({ length: 30 }, (_, k) => a.open(k + 1, 2));
    wire.run(10);
    const before = a.sessions.me;
    wire.cut(a, b);
    b.succession(before, B1);
    wire.run(10);
    for (const row of rows.slice(0, 20)) b.end(b.counterpart(a, row));
    wire.run(8_000);
    Object.assign(wire.faults, { lose: 0.2, duplicate: 0.2, delayMicros: 20_000 });
    wire.connect(a, b);
    a.succession(before, B1);
    t.ok(
      wire.until(5_000, () => proven(a, b)),
      `seed ${seed}`,
    );
    t.equal(b.live().length, 10);
  }
});

test("the half-open session that I offer stands against my successor's own of that flow, and is what that one became", async (t) => {
  const { wire, a, b } = pair(7);
  const before = a.sessions.me;
  wire.cut(a, b);
  const offered = a.open(1, 2, PORTS, SYN_SENT);
  b.succession(before, B1);
  wire.run(10);
  const again = b.open(1, 2, PORTS, ESTABLISHED);
  b.sessions.f[((again * ROW_WORDS) >> 1) + S_PACKETS_F64] = 5;
  wire.connect(a, b);
  a.succession(before, B1);
  t.ok(wire.until(5_000, () => proven(a, b)));
  t.equal(b.live().length, 1);
  for (const [unit, row] of [
    [a, offered],
    [b, b.counterpart(a, offered)],
  ] as const) {
    t.equal(unit.kind(row), ESTABLISHED);
    t.equal(ownerUnit(unit.word(row, S_OWNER)), B1);
    t.equal(unit.sessions.f[((row * ROW_WORDS) >> 1) + S_PACKETS_F64], 6);
  }
});

test("a successor that had to forget ends refuses what is offered, and the sessions are counted as lost", async (t) => {
  const { wire, a, b } = pair(14);
  const rows = Array.from({ length: 200 }, (_, k) => a.open(k + 1, 2));
  wire.run(20);
  const before = a.sessions.me;
  wire.cut(a, b);
  b.succession(before, B1);
  wire.run(10);
  for (const row of rows.slice(0, 150)) b.end(b.counterpart(a, row));
  const unheard = a.open(500, 2);
  wire.run(8_000);
  t.ok((b.tables.header.i[14] as number) <= 1_024 / 16, "ends are remembered within bounds");
  wire.connect(a, b);
  a.succession(before, B1);
  t.ok(wire.until(5_000, () => proven(a, b)));
  t.equal(b.live().length, 50);
  t.equal(a.kind(unheard), STATE_TOMBSTONE);
  t.ok(a.counter("sessions-lost") >= 1);
});

test("both sites create the same UDP flow, each from its own side: the lower creator's session stays and knows both directions", async (t) => {
  const { wire, a, b } = pair(3);
  const mine = a.open(1, 2, PORTS, UDP_ONE_WAY, UDP);
  const theirs = b.open(2, 1, PORTS, UDP_ONE_WAY, UDP);
  b.sessions.f[((theirs * ROW_WORDS) >> 1) + S_PACKETS_F64] = 5;
  t.ok(
    wire.until(500, () => proven(a, b)),
    `${ids(a)} ${ids(b)}`,
  );
  t.equal(a.live().length, 1);
  t.equal(a.word(mine, S_OWNER), a.sessions.me);
  t.equal(a.word(mine, S_EPOCH), 2, "a new epoch");
  t.equal(a.kind(mine), STATE_NAMES.indexOf("udp-both-ways"));
  t.equal(a.sessions.f[((mine * ROW_WORDS) >> 1) + S_PACKETS_F64 + 2], 5, "the other's originator is my responder");
  t.equal(b.kind(theirs), STATE_TOMBSTONE);
  t.equal(a.counter("conflicts-won"), 1);
  t.equal(b.counter("conflicts-yielded"), 1);
});

test("W1: both sites create under loss, duplication and reordering: one session remains at both, for many seeds", async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const { wire, a, b } = pair(seed);
    Object.assign(wire.faults, { lose: 0.3, duplicate: 0.3, delayMicros: 30_000 });
    for (let k = 1; k <= 20; k++) {
      a.open(k, 100 + k, PORTS, UDP_ONE_WAY, UDP);
      if (k % 2 === 0) b.open(100 + k, k, PORTS, UDP_ONE_WAY, UDP);
      else b.open(k, 100 + k, PORTS, UDP_ONE_WAY, UDP);
      wire.run(2);
    }
    t.ok(
      wire.until(8_000, () => proven(a, b)),
      `seed ${seed}: ${a.live().length}, ${b.live().length}`,
    );
    t.equal(a.live().length, 20);
    t.equal(a.counter("conflicts-won"), 20, "each merged once");
  }
});

test("a lost yield is sent again: the winner learns what the loser knew", async (t) => {
  const { wire, a, b } = pair(4);
  let losses = 0;
  wire.intercept = (message) => message.type === RECORD_YIELD && losses++ < 3;
  const mine = a.open(1, 2, PORTS, SYN_SENT, TCP);
  const theirs = b.open(1, 2, PORTS, ESTABLISHED, TCP);
  const at = theirs * ROW_WORDS;
  b.sessions.i[at + S_STATE] = ESTABLISHED | (0x33 << 24);
  b.sessions.i[at + S_END] = 5_000;
  b.sessions.i[at + S_MAX_END] = 70_000;
  b.sessions.i[at + S_END + WINDOW_STRIDE] = 900;
  t.ok(wire.until(3_000, () => proven(a, b)));
  t.equal(losses, 4);
  t.equal(a.kind(mine), ESTABLISHED, "furthest state");
  t.equal(a.word(mine, S_END), 5_000);
  t.equal(a.word(mine, S_MAX_END), 70_000);
  t.equal(a.word(mine, S_END + WINDOW_STRIDE), 900);
  const there = b.counterpart(a, mine);
  t.equal(b.word(there, S_END), 5_000);
});

test("W5: a partition heals: sessions made meanwhile are replicated, ended ones disappear, digests are equal", async (t) => {
  for (let seed = 30; seed < 36; seed++) {
    const { wire, a, b } = pair(seed);
    const old = Array.from({ length: 40 }, (_, k) => (k % 2 === 0 ? a : b).open(k + 1, 2));
    wire.run(20);
    wire.cut(a, b);
    for (let k = 0; k < 20; k++) (k % 2 === 0 ? a : b).end(old[k] as number);
    for (let k = 0; k < 30; k++) (k % 3 === 0 ? a : b).open(k + 100, 2);
    // Created on both sides.
    for (let k = 0; k < 10; k++) {
      a.open(k + 200, 3);
      b.open(k + 200, 3);
    }
    wire.run(8_000);
    Object.assign(wire.faults, { lose: 0.2, duplicate: 0.2, delayMicros: 20_000 });
    wire.connect(a, b, seed % 2 === 0);
    t.ok(
      wire.until(8_000, () => proven(a, b)),
      `seed ${seed}: ${a.live().length}, ${b.live().length}`,
    );
    t.equal(a.live().length, 20 + 30 + 10);
  }
});

test("both sides went on with one session in a partition: the later epoch stands, nobody else owns it", async (t) => {
  const { wire, a, b } = pair(6);
  const row = a.open(1, 2);
  wire.run(5);
  wire.cut(a, b);
  const there = b.counterpart(a, row);
  b.sessions.adopt(there, wire.nowMicros / 1_000);
  a.sessions.changed(row);
  a.sessions.changed(row);
  wire.run(20);
  wire.connect(a, b);
  t.ok(wire.until(2_000, () => proven(a, b)));
  t.equal(a.word(row, S_OWNER), b.sessions.me);
  t.equal(a.tables.header.i[13], 0);
});

test("two units adopted one session in the same epoch: the lower one keeps it", async (t) => {
  const wire = new Wire(7);
  const a = new Unit(wire, A1, [2, B1]);
  const dead = new Unit(wire, 2, [A1, B1]);
  const b = new Unit(wire, B1, [A1, 2]);
  wire.connect(a, dead);
  wire.connect(b, dead);
  dead.open(1, 2);
  wire.run(20);
  wire.cut(a, dead);
  wire.cut(b, dead);
  for (const unit of [a, b]) unit.succession(dead.sessions.me, unit.number);
  wire.run(20);
  a.successors.clear();
  b.successors.clear();
  wire.connect(a, b);
  t.ok(wire.until(2_000, () => proven(a, b)));
  t.match(a.live(), [/ 2 \d+ /]);
  t.equal(a.tables.header.i[13], 1);
  t.equal(b.tables.header.i[13], 0);
});

test("both sites took the other for dead: a record that names an owner whom its receiver succeeded makes the receiver the owner", async (t) => {
  const { wire, a, b } = pair(13);
  const row = b.open(1, 2);
  wire.run(10);
  wire.cut(a, b);
  const before = { a: a.sessions.me, b: b.sessions.me };
  // Each claims the other; of the ring, A's claim turns out to be void.
  a.succession(before.b, A1);
  wire.run(5);
  t.equal(a.word(a.counterpart(b, row), S_EPOCH), 2, "A1 has adopted it");
  b.succession(before.a, B1);
  b.succession(before.b, A1);
  b.successors.delete(before.b);
  b.successors.set(before.b, B1);
  wire.run(5);
  wire.connect(a, b);
  wire.run(2);
  // Only now A1 hears that it is succeeded; its row has arrived at B1 meanwhile.
  a.successors.delete(before.b);
  a.succession(before.a, B1);
  t.ok(
    wire.until(2_000, () => proven(a, b)),
    `${ids(a)} ${ids(b)}`,
  );
  t.equal(b.word(row, S_OWNER), b.sessions.me);
});

test("a unit rejoins with an older checkpoint: no old row wins over a newer one", async (t) => {
  const { wire, a, b } = pair(8);
  const rows = Array.from({ length: 30 }, (_, k) => a.open(k + 1, 2));
  wire.run(10);
  const checkpoint = copyOf(a);
  for (const row of rows) for (let k = 0; k < 3; k++) a.sessions.changed(row);
  const later = a.open(100, 2);
  wire.run(10);
  t.ok(settled(a, b));
  const expected = a.live();
  const before = a;
  wire.cut(a, b);
  wire.units.splice(wire.units.indexOf(before), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 1, checkpoint);
  again.exchange.beginRejoin(true);
  wire.connect(again, b);
  t.ok(
    wire.until(250, () => again.caughtUpBy.length === 1),
    "caught up",
  );
  t.same(again.live(), expected, "what the peer held is here again");
  t.ok(again.counterpart(before, later) >= 0, "also what the checkpoint did not have");
  t.ok(wire.until(2_000, () => proven(again, b)));
  t.same(again.live(), expected);
  t.equal(again.tables.header.i[13], 31, "and owned");
});

test("a unit that lost its memory succeeds its heir before it was caught up: what its heir offers, sessions of its own earlier start, is taken", async (t) => {
  const { wire, a, b } = pair(15);
  for (let k = 1; k <= 30; k++) a.open(k, 2);
  wire.run(10);
  wire.cut(a, b);
  b.succession(a.sessions.me, B1);
  wire.run(20);
  wire.units.splice(wire.units.indexOf(a), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 2);
  again.exchange.beginRejoin(true);
  again.exchange.endRejoin();
  const heir = b.sessions.me;
  for (const unit of [again, b]) unit.succession(heir, A1);
  wire.connect(again, b);
  t.ok(
    wire.until(2_000, () => proven(again, b) && again.live().length === 30),
    `${again.live().length} and ${b.live().length}`,
  );
  t.equal(again.tables.header.i[13], 30, "and owned");
  t.equal(b.counter("sessions-lost"), 0);
});

test("ends that a checkpoint tells of are remembered at least as long as fresh ones", async (t) => {
  const { wire, a, b } = pair(16);
  const theirs = b.open(1, 2);
  wire.run(10);
  const row = a.counterpart(b, theirs);
  b.end(theirs);
  wire.run(10);
  t.equal(a.kind(row), STATE_TOMBSTONE);
  const checkpoint = copyOf(a);
  wire.cut(a, b);
  wire.run(20_000);
  wire.units.splice(wire.units.indexOf(a), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 1, checkpoint);
  wire.run(1);
  again.exchange.beginRejoin(true);
  wire.run(TOMBSTONE_GUARD_MILLIS - 100);
  t.equal(again.kind(row), STATE_TOMBSTONE);
});

test("a unit rejoins with its memory intact: its peer returns nothing, and says so at once", async (t) => {
  const { wire, a, b } = pair(9);
  const rows = Array.from({ length: 30 }, (_, k) => a.open(k + 1, 2));
  wire.run(10);
  wire.cut(a, b);
  wire.units.splice(wire.units.indexOf(a), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 1, copyOf(a));
  let returned = 0;
  wire.intercept = (message) => {
    if (message.from === B1 && message.type === RECORD_ROW) returned++;
    return false;
  };
  again.exchange.beginRejoin(false);
  wire.connect(again, b);
  t.ok(wire.until(250, () => again.caughtUpBy.length === 1));
  t.equal(returned, 0);
  t.equal(again.live().length, rows.length);
});

test("a rejoin survives the loss of its requests and answers", async (t) => {
  const { wire, a, b } = pair(10);
  for (let k = 1; k < 20; k++) a.open(k, 2);
  wire.run(10);
  const checkpoint = copyOf(a);
  for (let k = 30; k < 40; k++) a.open(k, 2);
  wire.run(20);
  const expected = a.live();
  wire.cut(a, b);
  wire.units.splice(wire.units.indexOf(a), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 1, checkpoint);
  let lost = 0;
  wire.intercept = (message) => (message.type === RECORD_REJOIN || message.type === RECORD_CAUGHT_UP) && lost++ < 4;
  again.exchange.beginRejoin(true);
  wire.connect(again, b);
  t.ok(wire.until(2_000, () => again.caughtUpBy.length === 1));
  t.same(again.live(), expected);
});

test("a session that ended in a partition is not brought back by a rejoin", async (t) => {
  const { wire, a, b } = pair(11);
  const row = a.open(1, 2);
  wire.run(10);
  wire.cut(a, b);
  a.end(row);
  wire.run(5_000);
  wire.units.splice(wire.units.indexOf(a), 1);
  const again = new Unit(wire, A1, [B1], 1_024, 1, copyOf(a));
  again.exchange.beginRejoin(false);
  wire.connect(again, b);
  wire.run(100);
  t.same(again.live(), []);
  t.same(b.live(), []);
});

test("an owner's row is found by tuple from both directions after it came as a replica", async (t) => {
  const { wire, a, b } = pair(12);
  const row = a.open(1, 2);
  wire.run(5);
  const there = b.counterpart(a, row);
  const at = there * ROW_WORDS;
  for (const direction of [ORIGINATOR, 1]) {
    const key = at + S_KEY + direction * KEY_STRIDE;
    t.equal(b.sessions.find(b.sessions.i, key, b.sessions.hash(b.sessions.i, key)), (there << 1) | direction);
  }
  t.equal(b.word(there, S_VERSION), a.word(row, S_VERSION));
});
