// Alive, dead or partitioned: what each kind of silence is taken for.

import { test } from "tap";
import { OWNER_ELSEWHERE } from "../../firmware/fastpath/partner.ts";
import { ownerWord } from "../../firmware/fastpath/sessions.ts";
import { ABSENT, ALIVE, DEAD, PARTITIONED } from "../../firmware/twin/liveness.ts";
import { MemberBrain, type MemberOptions } from "./brains.ts";
import { Wire } from "./wire.ts";

const A = 1;
const B = 3;

function living(seed: number, options: MemberOptions = {}) {
  const wire = new Wire(seed, [A, B]);
  const boot = (unit: number): MemberBrain => {
    let brain: MemberBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new MemberBrain(start, { incarnation: 4 + unit, ...options })));
    return brain as MemberBrain;
  };
  const a = boot(A);
  const b = boot(B);
  wire.run(500);
  return { wire, a, b, boot };
}

test("before it is heard a peer is absent, then alive", async (t) => {
  const wire = new Wire(1, [A, B]);
  let a: MemberBrain | undefined;
  wire.unit(A).boot((start) => (a = new MemberBrain(start, { incarnation: 1 })));
  wire.run(1_000);
  t.equal(a?.liveness.state(B), ABSENT);
  wire.unit(B).boot((start) => new MemberBrain(start, { incarnation: 1 }));
  wire.run(50);
  t.equal(a?.liveness.state(B), ALIVE);
});

test("a unit killed whole is dead within detection time and two heartbeats", async (t) => {
  const { wire, a } = living(2);
  t.equal(a.liveness.state(B), ALIVE);
  wire.unit(B).kill();
  wire.run(80);
  t.equal(a.liveness.state(B), ALIVE);
  wire.run(60);
  t.equal(a.liveness.state(B), DEAD);
});

test("a cut of the twin link alone is a partition, healing ends it", async (t) => {
  const { wire, a, b } = living(3);
  wire.cut([wire.twin], true);
  wire.run(1_000);
  t.same([a.liveness.state(B), b.liveness.state(A)], [PARTITIONED, PARTITIONED]);
  t.same(wire.unit(A).noted("peer-dead"), []);
  wire.cut([wire.twin], false);
  wire.run(100);
  t.same([a.liveness.state(B), b.liveness.state(A)], [ALIVE, ALIVE]);
  t.match(a.told.slice(-2), ["lost 3", "associated 3"], "the same start, so nothing is fresh");
});

test("a peer is alive, and decides for its rows, before its association is told", async (t) => {
  const { wire, a, b } = living(3);
  const seen: unknown[] = [];
  for (const [brain, peer, word] of [
    [a, B, ownerWord(B, 4 + B)],
    [b, A, ownerWord(A, 4 + A)],
  ] as const)
    brain.associated = (unit) => seen.push([unit, brain.liveness.state(peer), brain.roles.disposition(word)]);
  wire.cut([wire.twin], true);
  wire.run(1_000);
  t.same([a.liveness.state(B), b.liveness.state(A)], [PARTITIONED, PARTITIONED]);
  wire.cut([wire.twin], false);
  wire.run(100);
  const expected = [
    [A, ALIVE, OWNER_ELSEWHERE | (A << 8)],
    [B, ALIVE, OWNER_ELSEWHERE | (B << 8)],
  ];
  t.same(seen.sort(), expected, "a sweep begins there, and asks for each row");
});

test("W5: a one-way cut of the twin link is a partition on both sides", async (t) => {
  const { wire, a, b } = living(4);
  wire.cut([wire.twin], true, A, B);
  wire.run(300);
  t.same([a.liveness.state(B), b.liveness.state(A)], [PARTITIONED, PARTITIONED]);
});

test("a cut of the data paths alone changes nothing", async (t) => {
  const { wire, a, b } = living(5);
  wire.cut(wire.data, true);
  wire.run(1_000);
  t.same([a.liveness.state(B), b.liveness.state(A)], [ALIVE, ALIVE]);
});

test("the twin link cut long after the data paths is a partition: no independent path worked until then", async (t) => {
  const { wire, a } = living(6);
  wire.cut(wire.data, true);
  wire.run(1_000);
  wire.cut([wire.twin], true);
  wire.run(1_000);
  t.equal(a.liveness.state(B), PARTITIONED);
});

test("a unit that dies while the twin link is cut is dead", async (t) => {
  const { wire, a } = living(7);
  wire.cut([wire.twin], true);
  wire.run(1_000);
  wire.unit(B).kill();
  wire.run(200);
  t.equal(a.liveness.state(B), DEAD);
});

test("with a monitored address out of reach, silence may be our own: partitioned", async (t) => {
  let isReached = true;
  const { wire, a } = living(8, { reaches: () => isReached });
  isReached = false;
  wire.unit(B).kill();
  wire.run(200);
  t.equal(a.liveness.state(B), PARTITIONED);
  isReached = true;
  wire.run(1_000);
  t.equal(a.liveness.state(B), PARTITIONED, "what is reached again later proves nothing about then");
});

test("with a monitored address in reach, silence on every path is a death", async (t) => {
  const { wire, a } = living(9, { reaches: () => true });
  wire.unit(B).kill();
  wire.run(200);
  t.equal(a.liveness.state(B), DEAD);
});

test("whose own data ports are down can not tell a death", async (t) => {
  const { wire, a } = living(10);
  for (const port of [0, 1]) {
    const nic = wire.unit(A).nics[port];
    if (nic !== undefined) nic.state = 0;
    wire.unit(A).start?.ports[port]?.service(0);
  }
  wire.run(10);
  wire.unit(B).kill();
  wire.run(200);
  t.equal(a.liveness.state(B), PARTITIONED);
});

test("a unit that itself stood still judges nobody by that time, and rejoins", async (t) => {
  const { wire, a, b } = living(11);
  wire.unit(A).pausedUntil = wire.schedule.nowMicros + 70_000;
  wire.run(75);
  t.equal(a.liveness.state(B), ALIVE);
  t.equal(b.liveness.state(A), ALIVE);
  t.equal(a.told.filter((text) => text === "rejoin began").length, 2);
  t.equal(wire.unit(A).noted("loop-gap").length, 1);
  wire.run(300);
  t.equal(a.liveness.state(B), ALIVE);
});

test("a long pause: the peer gives the unit up, the unit gives nobody up", async (t) => {
  const { wire, a, b } = living(12);
  wire.unit(A).pausedUntil = wire.schedule.nowMicros + 500_000;
  wire.run(450);
  t.equal(b.liveness.state(A), DEAD);
  wire.run(100);
  t.same([a.liveness.state(B), b.liveness.state(A)], [ALIVE, ALIVE]);
  t.equal(wire.unit(A).noted("peer-dead").length, 0);
});

test("a restart that was announced is waited for, and no longer than its grace", async (t) => {
  const { wire, a, boot } = living(13);
  wire.unit(B).kill();
  a.liveness.restarting(B, false, wire.unit(A).clock.nowMicros());
  wire.run(550);
  t.equal(a.liveness.state(B), ALIVE);
  boot(B);
  wire.run(100);
  t.equal(a.liveness.state(B), ALIVE);
  t.equal(wire.unit(A).noted("peer-dead").length, 0);
  wire.run(1_000);
  wire.unit(B).kill();
  a.liveness.restarting(B, false, wire.unit(A).clock.nowMicros());
  wire.run(700);
  t.equal(a.liveness.state(B), DEAD);
});

test("heavy loss on all paths is not a death", async (t) => {
  const { wire } = living(14);
  for (const lane of wire.lanes()) lane.faults.lossRate = 0.3;
  wire.run(5_000);
  t.same([...wire.unit(A).noted("peer-dead"), ...wire.unit(B).noted("peer-dead")], []);
});
