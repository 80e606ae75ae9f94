// Sessions that follow their flow to the other site: granted once, owned by one, whatever is lost or dies meanwhile.

import { test } from "tap";
import { P_HANDED, P_LENGTH, P_OFFSET, P_SOURCE, PACKET_WORDS, V4_MAPPED } from "../../firmware/fastpath/packets.ts";
import { S_EPOCH, S_OWNER } from "../../firmware/fastpath/sessions.ts";
import { RECORD_ROW } from "../../firmware/twin/frame.ts";
import { packetOf, Unit, Wire } from "./units.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;

/** A1 owns a session that all hold; its packets come in at B1. */
function three(seed: number) {
  const wire = new Wire(seed);
  const [a, a2, b] = [A1, A2, B1].map(
    (unit) =>
      new Unit(
        wire,
        unit,
        [A1, A2, B1].filter((other) => other !== unit),
      ),
  ) as [Unit, Unit, Unit];
  wire.connect(a, a2);
  wire.connect(a, b);
  wire.connect(a2, b);
  a.twinActive = B1;
  b.twinActive = A1;
  wire.run(20);
  const row = a.open(1, 2);
  wire.run(20);
  return { wire, a, a2, b, row };
}

const same = (...units: readonly Unit[]): boolean => new Set(units.map((unit) => JSON.stringify(unit.live()))).size === 1;

function handOff(from: Unit, row: number, to: number): boolean {
  const words = new Int32Array(PACKET_WORDS);
  words[P_OFFSET] = packetOf(from, 200, 1);
  words[P_LENGTH] = 200;
  words[P_SOURCE + 2] = V4_MAPPED;
  words[P_HANDED] = 0;
  return from.exchange.handoff.handoff(words, 0, row, to);
}

test("a granted session has the other site's unit as its owner, in the next epoch, on every unit", async (t) => {
  const { wire, a, a2, b, row } = three(1);
  a.exchange.follow(row, B1);
  t.equal(a.word(row, S_OWNER), b.sessions.me, "the granting unit judges it no more, at once");
  wire.run(50);
  for (const unit of [a, a2, b]) {
    const there = unit === a ? row : unit.counterpart(a, row);
    t.same([unit.word(there, S_OWNER), unit.word(there, S_EPOCH)], [b.sessions.me, 2]);
  }
  t.same([a.counter("grants-given"), b.counter("grants-taken"), a.counter("grants-reclaimed")], [1, 1, 0]);
  t.ok(wire.until(2_000, () => same(a, a2, b) && a.member(B1, "digestsEqual") === 1 && b.member(A1, "digestsEqual") === 1));
});

test("it is granted to nobody who has not acknowledged it, is not active, or stands by", async (t) => {
  const { wire, a, row } = three(2);
  const fresh = a.open(3, 4);
  a.exchange.follow(fresh, B1);
  a.exchange.follow(row, A2);
  a.isOtherPassive = true;
  a.exchange.follow(row, B1);
  wire.run(20);
  t.same([a.word(fresh, S_OWNER), a.word(row, S_OWNER), a.counter("grants-given")], [a.sessions.me, a.sessions.me, 0]);
});

test("a packet that is handed over before the granting row arrives transfers the session too", async (t) => {
  const { wire, a, b, row } = three(3);
  wire.intercept = ({ type, to }) => type === RECORD_ROW && to === B1;
  a.exchange.follow(row, B1);
  t.ok(handOff(a, row, B1));
  wire.run(3);
  const there = b.counterpart(a, row);
  t.same([b.word(there, S_OWNER), b.word(there, S_EPOCH)], [b.sessions.me, 2]);
  wire.intercept = null;
  t.ok(wire.until(2_000, () => same(a, b) && a.member(B1, "digestsEqual") === 1));
  t.equal(a.word(row, S_OWNER), b.sessions.me);
});

test("an ordinary packet transfers nothing", async (t) => {
  const { wire, a, b, row } = three(4);
  const there = b.counterpart(a, row);
  handOff(b, there, A1);
  handOff(a, row, B1);
  wire.run(20);
  t.same([a.word(row, S_OWNER), b.word(there, S_OWNER)], [a.sessions.me, a.sessions.me]);
});

test("the peer dies before it acknowledged: the owner reclaims, above the grant", async (t) => {
  const { wire, a, a2, b, row } = three(5);
  wire.intercept = ({ type }) => type === RECORD_ROW;
  a.exchange.follow(row, B1);
  wire.run(5);
  wire.intercept = null;
  wire.cut(a, b);
  wire.cut(a2, b);
  for (const unit of [a, a2]) unit.succession(b.sessions.me, A1);
  wire.run(50);
  t.same([a.word(row, S_OWNER), a.word(row, S_EPOCH), a.counter("grants-reclaimed")], [a.sessions.me, 3, 1]);
  t.ok(same(a, a2));
});

test("the link is cut before it was acknowledged: it is offered again, and not lost", async (t) => {
  const { wire, a, a2, b, row } = three(6);
  wire.intercept = ({ type, to }) => type === RECORD_ROW && to === B1;
  a.exchange.follow(row, B1);
  wire.run(5);
  wire.cut(a, b);
  wire.intercept = null;
  wire.run(200);
  wire.connect(a, b, false);
  t.ok(wire.until(3_000, () => same(a, a2, b)));
  t.same([b.live().length, b.word(b.counterpart(a, row), S_OWNER)], [1, b.sessions.me]);
});

test("under loss, delay and duplication sessions move to and fro, and have one owner in the end", async (t) => {
  for (let seed = 10; seed < 20; seed++) {
    const { wire, a, a2, b } = three(seed);
    const rows = Array.from({ length: 50 }, (_, k) => a.open(k + 10, 3));
    wire.run(50);
    Object.assign(wire.faults, { lose: 0.2, duplicate: 0.1, delayMicros: 20_000 });
    for (let round = 0; round < 40; round++) {
      for (const row of rows) {
        const [owner, mine] = a.word(row, S_OWNER) === a.sessions.me ? [a, row] : [b, b.counterpart(a, row)];
        if (mine >= 0 && owner.word(mine, S_OWNER) === owner.sessions.me && wire.random.chance(0.2)) owner.exchange.follow(mine, owner === a ? B1 : A1);
      }
      wire.run(10);
    }
    Object.assign(wire.faults, { lose: 0, duplicate: 0, delayMicros: 0 });
    t.ok(
      wire.until(10_000, () => same(a, a2, b) && a.member(B1, "digestsEqual") === 1),
      `seed ${seed}`,
    );
    t.equal(a.live().length, 51);
    t.ok(a.counter("grants-given") + b.counter("grants-given") > 50);
  }
});
