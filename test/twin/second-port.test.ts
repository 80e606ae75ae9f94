// Two twin ports: both carry heartbeats, the better one carries everything else, and losing one of them is only a warning.

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { MEMBERS, TWIN_PATH_DOWN, TWIN_PATH_ONE_OF_TWO, TWIN_PATH_UP } from "../../firmware/fastpath/memory/tables.ts";
import { PORT_DOWN } from "../../firmware/hal/contracts.ts";
import type { Lane } from "../../firmware/hal/sim/lane.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import { ETHERNET_BYTES, F_PATH, PATH_TWIN } from "../../firmware/twin/frame.ts";
import type { LinkOptions } from "../../firmware/twin/link.ts";
import { LinkBrain, MemberBrain } from "./brains.ts";
import { SECOND_TWIN_PORT, TWIN_PORT, Wire } from "./wire.ts";

const A = 1;
const B = 3;
const SECOND_PATH = 1 + SECOND_TWIN_PORT;
const BOTH: Partial<LinkOptions> = { twinPorts: [TWIN_PORT, SECOND_TWIN_PORT] };

function pair(seed: number, secondTwins: readonly number[] = [A, B], twinMtuBytes = 1_500) {
  const wire = new Wire(seed, [A, B], twinMtuBytes, secondTwins);
  const boot = (unit: number): LinkBrain => {
    let brain: LinkBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new LinkBrain(start, secondTwins.includes(unit) ? BOTH : {})));
    return brain as LinkBrain;
  };
  const member = (unit: number, of: number, name: string): number => wire.unit(unit).tables.members.i[of * MEMBERS.strideWords + word(MEMBERS, name)] as number;
  return { wire, a: boot(A), b: boot(B), boot, member };
}

/** Says `count` texts, one a millisecond; returns them. */
function talk(wire: Wire, from: LinkBrain, to: number, count: number, name: string): string[] {
  const texts = Array.from({ length: count }, (_, k) => `${name} ${k}`);
  for (const text of texts) {
    from.say(to, text);
    wire.run(1);
  }
  return texts;
}

test("both links come up, records take one of them, heartbeats both", async (t) => {
  const { wire, a, b, member } = pair(1);
  wire.run(100);
  t.same(a.told, ["associated 3 fresh"]);
  t.equal(member(A, B, "twinPath"), TWIN_PATH_UP);
  t.ok(a.link.paths.isUp(B, PATH_TWIN) && a.link.paths.isUp(B, SECOND_PATH));
  const before = [wire.twin, wire.secondTwin].map(({ heard }) => heard.length);
  const said = talk(wire, a, B, 200, "row");
  wire.run(5);
  t.same(b.heard, said);
  const [first = 0, second = 0] = [wire.twin, wire.secondTwin].map(({ heard }, k) => heard.length - (before[k] as number));
  t.ok(first >= 200 && second >= 18 && second < 30, `${first} frames on the first, ${second} on the second`);
  t.equal(wire.unit(A).tables.members.f[(B * MEMBERS.strideWords + word(MEMBERS, "framesRejected")) >> 1] as number, 0);
});

test("frames on the second link are addressed to the peer's port as soon as it has said where it is", async (t) => {
  const { wire } = pair(2);
  wire.run(200);
  const last = wire.secondTwin.heard.filter(({ from }) => from === A).at(-1);
  t.same([...(last?.frame.subarray(0, 6) ?? [])], [2, 0, 0, 0, B, SECOND_TWIN_PORT]);
  t.equal(last?.frame[ETHERNET_BYTES + F_PATH], SECOND_PATH);
});

test("a link that is cut is left within half the detection time, and the association stays", async (t) => {
  const { wire, a, b, member } = pair(3);
  wire.run(200);
  wire.cut([wire.twin], true);
  wire.run(70);
  const said = talk(wire, a, B, 200, "over the second");
  wire.run(5);
  t.same(b.heard, said, "nothing is lost from then on");
  t.equal(member(A, B, "twinPath"), TWIN_PATH_ONE_OF_TWO);
  t.same(a.told, ["associated 3 fresh"]);
  t.same(
    wire
      .unit(A)
      .noted("path-down")
      .map(({ unit, port }) => [unit, port]),
    [[B, TWIN_PORT]],
  );
  wire.cut([wire.twin], false);
  wire.run(200);
  t.equal(member(A, B, "twinPath"), TWIN_PATH_UP);
  wire.cut([wire.secondTwin], true);
  wire.run(70);
  const again = talk(wire, a, B, 100, "over the first");
  wire.run(5);
  t.same(b.heard.slice(said.length), again);
  t.same([a.told, b.told], [["associated 3 fresh"], ["associated 1 fresh"]]);
});

test("a port whose link goes down is left at once", async (t) => {
  const { wire, a, b } = pair(4);
  wire.run(200);
  (wire.unit(A).nics[TWIN_PORT] as Nic).state = PORT_DOWN;
  wire.unit(A).start?.ports[TWIN_PORT]?.service(0);
  wire.run(2);
  const said = talk(wire, a, B, 50, "row");
  wire.run(5);
  t.same(b.heard, said);
});

test("one direction of one link is enough to leave it", async (t) => {
  const { wire, a, b } = pair(5);
  wire.run(200);
  wire.cut([wire.twin], true, A, B);
  wire.run(90);
  const said = talk(wire, a, B, 50, "row");
  const back = talk(wire, b, A, 50, "back");
  wire.run(5);
  t.same([b.heard, a.heard], [said, back]);
});

test("only when both are cut is the peer lost; either of them brings it back, and it is no fresh one", async (t) => {
  const { wire, a, member } = pair(6);
  wire.run(200);
  wire.cut([wire.twin, wire.secondTwin], true);
  wire.run(200);
  t.equal(member(A, B, "twinPath"), TWIN_PATH_DOWN);
  wire.cut([wire.secondTwin], false);
  wire.run(100);
  t.same(a.told, ["associated 3 fresh", "lost 3", "associated 3"]);
  t.equal(member(A, B, "twinPath"), TWIN_PATH_ONE_OF_TWO);
});

test("cut and healed by turns, the association stays and what is said is heard as soon as the other link is taken", async (t) => {
  const { wire, a, b } = pair(7);
  wire.run(200);
  const said: string[] = [];
  for (let round = 0; round < 8; round++) {
    const segment = round % 2 === 0 ? wire.twin : wire.secondTwin;
    wire.cut([segment], true);
    wire.run(70);
    said.push(...talk(wire, a, B, 30, `round ${round}`));
    wire.cut([segment], false);
    wire.run(150);
  }
  t.same(b.heard, said);
  t.same([a.told, b.told], [["associated 3 fresh"], ["associated 1 fresh"]]);
});

test("of two links that work the one that loses less is taken, then the one that is nearer; a small difference moves nothing", async (t) => {
  const { wire, a } = pair(8);
  const set = (segment: typeof wire.twin, change: (lane: Lane) => void): void => wire.lanes([segment]).forEach(change);
  wire.run(1_000);
  t.equal(a.link.paths.best[B], PATH_TWIN);
  set(wire.twin, (lane) => {
    lane.faults.lossRate = 0.3;
  });
  wire.run(3_000);
  t.equal(a.link.paths.best[B], SECOND_PATH);
  set(wire.twin, (lane) => {
    lane.faults.lossRate = 0;
  });
  wire.run(20_000);
  t.equal(a.link.paths.best[B], SECOND_PATH, "as good as the other, so it stays");
  set(wire.secondTwin, (lane) => {
    lane.faults.delayMicros = 5_000;
  });
  wire.run(3_000);
  t.equal(a.link.paths.best[B], PATH_TWIN);
  t.same(a.told, ["associated 3 fresh"]);
});

test("each link has an MTU of its own, and frames are as long as the one that is taken carries", async (t) => {
  const { wire, a, member } = pair(9, [A, B], 9_000);
  for (const lane of wire.lanes([wire.secondTwin])) lane.frameBytesMost = 1_514;
  wire.run(3_000);
  const wide = member(A, B, "mtu");
  t.ok(wide > 1_500, `${wide}`);
  wire.cut([wire.twin], true);
  wire.run(150);
  t.equal(member(A, B, "mtu"), 1_500);
  t.ok(a.link.bodyBytesMost(B) <= 1_500);
});

test("a unit with one twin port and one with two speak over the first, and nothing is missing", async (t) => {
  const { wire, a, b, member } = pair(10, [A]);
  wire.run(300);
  t.same([a.told, b.told], [["associated 3 fresh"], ["associated 1 fresh"]]);
  t.same([member(A, B, "twinPath"), member(B, A, "twinPath")], [TWIN_PATH_UP, TWIN_PATH_UP]);
  const said = talk(wire, a, B, 20, "row");
  wire.run(5);
  t.same(b.heard, said);
});

test("a cut of one twin link moves no role and is no partition; a cut of both is one", async (t) => {
  const wire = new Wire(11, [A, B], 1_500, [A, B]);
  const [a, b] = [A, B].map((unit) => {
    let brain: MemberBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new MemberBrain(start, { twinPorts: [TWIN_PORT, SECOND_TWIN_PORT] })));
    return brain as MemberBrain;
  }) as [MemberBrain, MemberBrain];
  wire.run(1_000);
  const roles = [a.roles.role, b.roles.role];
  const changes = [a.liveness.changes, b.liveness.changes];
  for (const segment of [wire.twin, wire.secondTwin]) {
    wire.cut([segment], true);
    wire.run(1_000);
    wire.cut([segment], false);
    wire.run(1_000);
  }
  t.same([a.roles.role, b.roles.role], roles);
  t.same([a.liveness.changes, b.liveness.changes], changes);
  t.equal(a.membership.health.value, 0);
  wire.cut([wire.twin, wire.secondTwin], true);
  wire.run(1_000);
  t.equal(wire.unit(A).noted("peer-partitioned").length, 1);
});
