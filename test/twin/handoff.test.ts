// Packets go to who decides and come back at most so often, whole, with where they came from.

import { test } from "tap";
import {
  HANDED_LAST,
  HANDED_QUERY,
  P_EPOCH,
  P_HANDED,
  P_ID_CREATOR,
  P_ID_INCARNATION,
  P_ID_SERIAL,
  P_INGRESS,
  P_LENGTH,
  P_OFFSET,
  P_PORT,
  P_SOURCE,
  P_VLAN,
  P_ZONE,
  PACKET_WORDS,
  V4_MAPPED,
} from "../../firmware/fastpath/packets.ts";
import { ANSWER_JUDGED, ANSWER_NONE, ANSWER_OWNER, QUERY_LIMITED, QUERY_NOBODY, QUERY_SENT } from "../../firmware/fastpath/partner.ts";
import { ownerWord, S_EPOCH, S_ID_CREATOR, S_ID_INCARNATION, S_ID_SERIAL } from "../../firmware/fastpath/sessions.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { FRAME_BYTES, PACKET_BYTES_MOST, QUERY_PREFIX_BURST } from "../../firmware/limits.ts";
import { RECORD_HANDOFF, RECORD_HANDOFF_REST } from "../../firmware/twin/frame.ts";
import { type Admitted, packetOf, patternOf, Unit, Wire } from "./units.ts";

const A1 = 1;
const B1 = 3;
const B2 = 4;

function pair(): { wire: Wire; a: Unit; b: Unit } {
  const wire = new Wire(1);
  const a = new Unit(wire, A1, [B1]);
  const b = new Unit(wire, B1, [A1]);
  wire.connect(a, b);
  wire.run(5);
  a.twinActive = B1;
  b.twinActive = A1;
  return { wire, a, b };
}

/** A packet row as the engine fills it, for `length` bytes of a pattern in the unit's memory. */
function packetRow(unit: Unit, length: number, seed = 1): Int32Array {
  const words = new Int32Array(PACKET_WORDS);
  words[P_OFFSET] = packetOf(unit, length, seed);
  words[P_LENGTH] = length;
  words[P_PORT] = 1;
  words[P_ZONE] = 9;
  words[P_VLAN] = 77;
  words[P_SOURCE + 2] = V4_MAPPED;
  return words;
}

/** A packet row for an answer to what was admitted. */
function answerRow(unit: Unit, what: Admitted): Int32Array {
  const words = packetRow(unit, what.packet.length);
  unit.bytes.set(what.packet, words[P_OFFSET]);
  words[P_PORT] = what.port;
  words[P_ZONE] = what.zone;
  words[P_VLAN] = what.vlan;
  words[P_INGRESS] = what.ingressUnit;
  words[P_HANDED] = what.handed;
  [P_ID_SERIAL, P_ID_CREATOR, P_ID_INCARNATION, P_EPOCH].forEach((position, k) => {
    words[position] = what.id[k] as number;
  });
  return words;
}

const drops = (unit: Unit, name: Parameters<typeof drop>[0]): number => unit.tables.counters.f[drop(name)] as number;
const admitted = (unit: Unit): Admitted => unit.admitted.pop() as Admitted;

test("W1: a packet reaches its owner with ingress unit, port, zone, VLAN, id and epoch", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  const replica = a.counterpart(b, row);
  const words = packetRow(a, 100);
  t.ok(a.exchange.handoff.handoff(words, 0, replica, B1));
  a.flushChannel();
  wire.run(1);
  const got = admitted(b);
  t.same(got.packet, patternOf(100));
  t.match(got, { what: "admit", ingressUnit: A1, port: 1, zone: 9, vlan: 77, handed: 0 });
  t.same(
    got.id,
    [S_ID_SERIAL, S_ID_CREATOR, S_ID_INCARNATION, S_EPOCH].map((position) => b.word(row, position)),
  );
  t.equal(a.counter("handed-off"), 1);
  t.equal(b.counter("handed-here"), 1);
  t.equal(a.memory.freeCount, a.memory.frameCount, "the ingress keeps no frame");
  t.equal(b.memory.freeCount, b.memory.frameCount);
});

test("every length passes, over twin links of 1,500 bytes and of jumbo frames; what does not fit comes in two halves", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  const replica = a.counterpart(b, row);
  for (const mtuBytes of [1_500, 3_400]) {
    a.mtuBytes = mtuBytes;
    for (const length of [60, 1_400, 1_421, 1_422, 1_430, 1_440, 1_500, 1_514, PACKET_BYTES_MOST]) {
      let records = 0;
      wire.intercept = (message) => {
        if (message.type === RECORD_HANDOFF || message.type === RECORD_HANDOFF_REST) records++;
        return false;
      };
      const words = packetRow(a, length, length);
      t.ok(a.exchange.handoff.handoff(words, 0, replica, B1));
      a.flushChannel();
      wire.run(1);
      t.same(admitted(b)?.packet, patternOf(length, length), `${length} bytes over ${mtuBytes}`);
      t.equal(records, length + 28 + 4 + 32 <= mtuBytes ? 1 : 2);
    }
  }
  t.equal(b.memory.freeCount, b.memory.frameCount);
  t.equal(a.memory.freeCount, a.memory.frameCount);
});

test("halves that come in the other order, or interleaved with another packet's, are put together rightly", async (t) => {
  for (let seed = 1; seed < 20; seed++) {
    const wire = new Wire(seed);
    const a = new Unit(wire, A1, [B1]);
    const b = new Unit(wire, B1, [A1]);
    wire.connect(a, b);
    wire.run(5);
    const row = b.open(1, 2);
    wire.run(3);
    wire.faults.delayMicros = 20_000;
    for (let k = 0; k < 10; k++) a.exchange.handoff.handoff(packetRow(a, 1_514, k), 0, a.counterpart(b, row), B1);
    a.flushChannel();
    wire.run(30);
    const came = b.admitted.map((each) => each.packet[0] as number).sort((x, y) => x - y);
    t.same(came, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const each of b.admitted) t.same(each.packet, patternOf(1_514, each.packet[0] as number));
    t.equal(b.memory.freeCount, b.memory.frameCount);
  }
});

test("half a packet is lost: the other half is dropped in time and counted, whichever it is", async (t) => {
  for (const lost of [RECORD_HANDOFF, RECORD_HANDOFF_REST]) {
    const { wire, a, b } = pair();
    const row = b.open(1, 2);
    wire.run(3);
    wire.intercept = (message) => message.type === lost;
    a.exchange.handoff.handoff(packetRow(a, 1_514), 0, a.counterpart(b, row), B1);
    a.flushChannel();
    wire.run(150);
    t.equal(b.admitted.length, 0);
    t.equal(drops(b, "handoff-incomplete"), 1);
    t.equal(b.memory.freeCount, b.memory.frameCount, "its frame is free again");
  }
});

test("a full channel refuses the packet and leaves it with the caller", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  a.congested = true;
  const words = packetRow(a, 100);
  t.notOk(a.exchange.handoff.handoff(words, 0, a.counterpart(b, row), B1));
  a.memory.give(words[P_OFFSET] as number);
  t.equal(a.memory.freeCount, a.memory.frameCount);
});

test("judged: the ingress emits through the port that it came in on", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  a.exchange.handoff.handoff(packetRow(a, 1_514), 0, a.counterpart(b, row), B1);
  a.flushChannel();
  wire.run(1);
  t.ok(b.exchange.handoff.answer(answerRow(b, admitted(b)), 0, ANSWER_JUDGED, row));
  b.flushChannel();
  wire.run(1);
  t.match(admitted(a), { what: "emit", packet: patternOf(1_514), port: 1, zone: 9, vlan: 77 });
  t.equal(b.counter("handed-back-judged"), 1);
});

test("none: the ingress drops that replica, unless it is newer, and judges without asking", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  const replica = a.counterpart(b, row);
  a.exchange.handoff.handoff(packetRow(a, 100), 0, replica, B1);
  a.flushChannel();
  wire.run(1);
  const first = admitted(b);
  t.ok(b.exchange.handoff.answer(answerRow(b, first), 0, ANSWER_NONE, -1));
  // A newer state comes meanwhile.
  a.sessions.setOwner(replica, a.word(replica, 53), 2);
  b.flushChannel();
  wire.run(1);
  t.equal(admitted(a).what, "judge");
  t.equal(a.live().length, 1, "newer: kept");
  a.sessions.setOwner(replica, a.word(replica, 53), 1);
  t.ok(b.exchange.handoff.answer(answerRow(b, first), 0, ANSWER_NONE, -1));
  b.flushChannel();
  wire.run(1);
  t.equal(admitted(a).what, "judge");
  t.equal(a.live().length, 0, "not newer: dropped");
});

test("W8: owner: the ingress hands off once more, flagged last, and then no further", async (t) => {
  const wire = new Wire(2);
  const a = new Unit(wire, A1, [B1, B2]);
  const b = new Unit(wire, B1, [A1, B2]);
  const c = new Unit(wire, B2, [A1, B1]);
  wire.connect(a, b);
  wire.connect(a, c);
  wire.connect(b, c);
  wire.run(5);
  const row = b.open(1, 2);
  wire.run(3);
  const replica = a.counterpart(b, row);
  a.exchange.handoff.handoff(packetRow(a, 1_514), 0, replica, B1);
  a.flushChannel();
  wire.run(1);
  const first = admitted(b);
  b.sessions.setOwner(row, ownerWord(B2, 1), 2);
  t.ok(b.exchange.handoff.answer(answerRow(b, first), 0, ANSWER_OWNER, row));
  b.flushChannel();
  wire.run(2);
  const second = admitted(c);
  t.match(second, { what: "admit", ingressUnit: A1, handed: HANDED_LAST, packet: patternOf(1_514), port: 1, zone: 9, vlan: 77 });
  c.sessions.setOwner(c.counterpart(b, row), ownerWord(A1, 1), 3);
  t.ok(c.exchange.handoff.answer(answerRow(c, second), 0, ANSWER_OWNER, c.counterpart(b, row)), "the frame is taken");
  t.equal(drops(c, "handoff-too-many"), 1);
  c.flushChannel();
  wire.run(2);
  t.equal(a.admitted.length + b.admitted.length + c.admitted.length, 0);
  for (const unit of [a, b, c]) t.equal(unit.memory.freeCount, unit.memory.frameCount);
});

test("owner names the ingress itself: it judges", async (t) => {
  const { wire, a, b } = pair();
  const row = b.open(1, 2);
  wire.run(3);
  a.exchange.handoff.handoff(packetRow(a, 100), 0, a.counterpart(b, row), B1);
  a.flushChannel();
  wire.run(1);
  b.sessions.setOwner(row, a.sessions.me, 2);
  b.exchange.handoff.answer(answerRow(b, admitted(b)), 0, ANSWER_OWNER, row);
  b.flushChannel();
  wire.run(1);
  t.equal(admitted(a).what, "judge");
});

test("a question travels with its packet; without an association there is nobody to ask", async (t) => {
  const { wire, a, b } = pair();
  t.equal(a.exchange.handoff.query(packetRow(a, 1_514), 0), QUERY_SENT);
  a.flushChannel();
  wire.run(1);
  t.match(admitted(b), { what: "admit", handed: HANDED_QUERY, packet: patternOf(1_514), id: [0, 0, 0, 0] });
  t.equal(a.counter("queried"), 1);
  wire.cut(a, b);
  const words = packetRow(a, 60);
  t.equal(a.exchange.handoff.query(words, 0), QUERY_NOBODY);
});

test("one source prefix cannot use up all questions", async (t) => {
  const { a } = pair();
  const flooder = packetRow(a, 60);
  flooder[P_SOURCE + 3] = 0x0100a8c0;
  let sent = 0;
  let result = QUERY_SENT;
  while (result === QUERY_SENT && sent <= QUERY_PREFIX_BURST) {
    flooder[P_OFFSET] = packetOf(a, 60);
    result = a.exchange.handoff.query(flooder, 0);
    sent++;
    if (sent % 100 === 0) a.flushChannel();
  }
  t.equal(result, QUERY_LIMITED);
  t.equal(sent - 1, QUERY_PREFIX_BURST);
  flooder[P_SOURCE + 3] = 0x0900a8c0;
  t.equal(a.exchange.handoff.query(flooder, 0), QUERY_LIMITED, "another host of the same /24");
  a.flushChannel();
  flooder[P_OFFSET] = packetOf(a, 60);
  flooder[P_SOURCE + 3] = 0x0101a8c0;
  t.equal(a.exchange.handoff.query(flooder, 0), QUERY_SENT, "another /24");
  a.flushChannel();
});

test("records that contradict themselves are dropped and keep no frame", async (t) => {
  const { wire, a, b } = pair();
  for (const bytes of [new Uint8Array(3), new Uint8Array(41), new Uint8Array(60), new Uint8Array(FRAME_BYTES / 2)]) {
    for (const type of [RECORD_HANDOFF, RECORD_HANDOFF_REST, 34, 35, 36, 37]) wire.send(A1, B1, type, 0, bytes, 1);
  }
  wire.run(200);
  t.equal(b.admitted.length, 0);
  t.equal(b.memory.freeCount, b.memory.frameCount);
  t.equal(a.memory.freeCount, a.memory.frameCount);
});
