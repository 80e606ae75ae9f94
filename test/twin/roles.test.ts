// Standing: rejoin, election, succession, incarnations, and who decides for whose rows.

import { test } from "tap";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE, OWNER_STOP, OWNER_UNKNOWN } from "../../firmware/fastpath/partner.ts";
import { ownerWord } from "../../firmware/fastpath/sessions.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { ROLE_ACTIVE, ROLE_REJOINING, ROLE_STANDBY } from "../../firmware/twin/census.ts";
import { MemberBrain, type MemberOptions } from "./brains.ts";
import { Wire } from "./wire.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;
const B2 = 4;

function world(seed: number, numbers: readonly number[] = [A1, B1], options: MemberOptions = {}) {
  const wire = new Wire(seed, numbers);
  const boot = (unit: number, own: MemberOptions = {}): MemberBrain => {
    let brain: MemberBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new MemberBrain(start, { ...options, ...own })));
    return brain as MemberBrain;
  };
  return { wire, boot };
}

/** Two units in incarnations 5 and 7, long together. */
function together(seed: number, options: MemberOptions = {}) {
  const { wire, boot } = world(seed, [A1, B1], options);
  const a = boot(A1, { incarnation: 5 });
  const b = boot(B1, { incarnation: 7 });
  wire.run(500);
  return { wire, boot, a, b };
}

test("a unit that nobody answers emits nothing until the rejoin limit, then is active", async (t) => {
  const { wire, boot } = world(1);
  const a = boot(A1, { incarnation: 5 });
  wire.run(240);
  t.same([a.roles.role, a.roles.mayForward, a.roles.silentReason], [ROLE_REJOINING, false, drop("rejoining")]);
  wire.run(20);
  t.same([a.roles.role, a.roles.mayForward], [ROLE_ACTIVE, true]);
  t.same(a.told, ["rejoin began", "rejoin ended"]);
});

test("a unit that is caught up at once is active at once", async (t) => {
  const { wire, boot } = world(2);
  boot(A1, { incarnation: 5 });
  wire.run(1_000);
  const b = boot(B1, { incarnation: 7 });
  wire.run(40);
  t.same([b.roles.role, b.roles.mayForward], [ROLE_ACTIVE, true]);
});

test("a unit that its peer does not catch up waits for the limit", async (t) => {
  const { wire, boot } = world(3, [A1, B1], { isPrompt: false });
  boot(A1, { incarnation: 5 });
  wire.run(1_000);
  const b = boot(B1, { incarnation: 7 });
  wire.run(240);
  t.ok(b.roles.rejoining);
  wire.run(20);
  t.notOk(b.roles.rejoining);
});

test("own rows are here, a living peer's elsewhere; neither changes its incarnation", async (t) => {
  const { a, b } = together(4);
  t.equal(a.roles.disposition(ownerWord(A1, 5)), OWNER_HERE);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ELSEWHERE | (B1 << 8));
  t.equal(b.roles.disposition(ownerWord(A1, 5)), OWNER_ELSEWHERE | (A1 << 8));
  t.same([a.roles.twinActive, b.roles.twinActive], [B1, A1]);
  t.same([a.roles.incarnation, b.roles.incarnation], [5, 7], "starting together raises nobody");
});

test("a dead unit's rows are adopted by its one successor, under a new term", async (t) => {
  const { wire, a } = together(5);
  const term = a.roles.term;
  wire.unit(B1).kill();
  wire.run(200);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ADOPT);
  t.ok(a.roles.term > term);
  t.match(a.told.at(-1), "superseded 3:7 by 1, next 0");
  t.same(
    wire
      .unit(A1)
      .noted("succession")
      .map(({ unit, value }) => [unit, value]),
    [[A1, B1]],
  );
});

test("in a partition the setting decides: stop, or local", async (t) => {
  for (const partition of ["stop", "local"] as const) {
    const { wire, a } = together(6, { partition });
    wire.cut([wire.twin], true);
    wire.run(300);
    t.equal(a.roles.disposition(ownerWord(B1, 7)), (partition === "stop" ? OWNER_STOP : OWNER_ADOPT) | (B1 << 8));
    t.equal(a.roles.disposition(ownerWord(A1, 5)), OWNER_HERE);
    wire.cut([wire.twin], false);
    wire.run(100);
    t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ELSEWHERE | (B1 << 8));
  }
});

test("a unit that was given up while it stood still learns so before it emits, and takes the next incarnation", async (t) => {
  const { wire, a, b } = together(7);
  wire.unit(B1).pausedUntil = wire.schedule.nowMicros + 400_000;
  wire.run(390);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ADOPT);
  let wrongly = 0;
  for (let k = 0; k < 100; k++) {
    wire.run(1);
    if (b.roles.mayForward && b.roles.incarnation === 7 && k > 15) wrongly++;
  }
  t.equal(wrongly, 0);
  t.ok(b.told.includes("superseded 3:7 by 1, next 8"));
  t.equal(b.roles.incarnation, 8);
  t.equal(wire.unit(B1).tables.header.i[4], 8, "the tables' header says so too");
  wire.run(100);
  for (const brain of [a, b]) t.equal(brain.roles.disposition(ownerWord(B1, 7)), brain === a ? OWNER_ADOPT : OWNER_ELSEWHERE | (A1 << 8));
  t.equal(a.roles.disposition(ownerWord(B1, 8)), OWNER_ELSEWHERE | (B1 << 8));
  t.same([a.roles.mayForward, b.roles.mayForward], [true, true]);
});

test("a unit that comes back in a new incarnation leaves its old rows to its successor, death noticed or not", async (t) => {
  for (const absenceMillis of [30, 1_000]) {
    const { wire, boot, a } = together(8);
    wire.unit(B1).kill();
    wire.run(absenceMillis);
    const b = boot(B1, { incarnation: 8 });
    wire.run(100);
    t.same(
      [
        a.roles.disposition(ownerWord(B1, 7)),
        b.roles.disposition(ownerWord(B1, 7)),
        a.roles.disposition(ownerWord(B1, 8)),
        b.roles.disposition(ownerWord(B1, 8)),
      ],
      [OWNER_ADOPT, OWNER_ELSEWHERE | (A1 << 8), OWNER_ELSEWHERE | (B1 << 8), OWNER_HERE],
      `after ${absenceMillis} ms`,
    );
  }
});

test("a dataplane that restarts on its rows keeps its incarnation, if nobody took over", async (t) => {
  const { wire, boot, a } = together(9);
  wire.unit(B1).kill();
  wire.run(30);
  const b = boot(B1, { isNewborn: false });
  wire.run(100);
  t.equal(b.roles.incarnation, 7);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ELSEWHERE | (B1 << 8));
  t.equal(b.roles.disposition(ownerWord(B1, 7)), OWNER_HERE);
});

test("a dataplane that restarts on its rows after its death was noticed finds them succeeded", async (t) => {
  const { wire, boot, a } = together(10);
  wire.unit(B1).kill();
  wire.run(300);
  const b = boot(B1, { isNewborn: false });
  wire.run(100);
  t.equal(b.roles.incarnation, 8);
  t.ok(b.told.indexOf("superseded 3:7 by 1, next 8") < b.told.indexOf("rejoin ended"), "before it emits anything");
  t.equal(b.roles.disposition(ownerWord(B1, 7)), OWNER_ELSEWHERE | (A1 << 8));
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ADOPT);
});

test("a successor that restarts on its rows remembers whom it succeeded", async (t) => {
  const { wire, boot } = together(11);
  wire.unit(B1).kill();
  wire.run(300);
  wire.unit(A1).kill();
  wire.run(50);
  const a = boot(A1, { isNewborn: false });
  wire.run(300);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ADOPT);
});

test("a newborn whose incarnation its peer has seen takes a later one", async (t) => {
  const { wire, boot, a } = together(12);
  wire.unit(B1).kill();
  wire.run(300);
  const b = boot(B1, { incarnation: 3 });
  wire.run(100);
  t.equal(b.roles.incarnation, 8);
  t.ok(b.told.includes("incarnated 8"));
  t.equal(a.roles.disposition(ownerWord(B1, 8)), OWNER_ELSEWHERE | (B1 << 8));
});

test("successions are followed: A's rows went to B, B's to A again", async (t) => {
  const { wire, boot, b } = together(13);
  wire.unit(A1).kill();
  wire.run(300);
  t.equal(b.roles.disposition(ownerWord(A1, 5)), OWNER_ADOPT);
  const a = boot(A1, { incarnation: 6 });
  wire.run(500);
  t.equal(a.roles.disposition(ownerWord(A1, 5)), OWNER_ELSEWHERE | (B1 << 8));
  wire.unit(B1).kill();
  wire.run(300);
  t.equal(a.roles.disposition(ownerWord(A1, 5)), OWNER_ADOPT);
  t.equal(a.roles.disposition(ownerWord(B1, 7)), OWNER_ADOPT);
});

test("W5: when all links are cut at once both claim; after healing one claim stands, the same at both", async (t) => {
  const { wire, a, b } = together(14);
  const segments = [wire.twin, ...wire.data];
  wire.cut(segments, true);
  wire.run(500);
  t.same([a.roles.disposition(ownerWord(B1, 7)), b.roles.disposition(ownerWord(A1, 5))], [OWNER_ADOPT, OWNER_ADOPT]);
  wire.cut(segments, false);
  wire.run(500);
  for (const owner of [ownerWord(A1, 5), ownerWord(B1, 7)]) {
    const answers = [a.roles.disposition(owner), b.roles.disposition(owner)].map((answer) => answer & 0xff);
    t.same(answers.filter((answer) => answer === OWNER_ELSEWHERE).length, 1, "one says elsewhere");
    t.same(answers.filter((answer) => answer === OWNER_HERE || answer === OWNER_ADOPT).length, 1, "the other says mine");
  }
  t.equal(a.roles.successionHash, b.roles.successionHash);
});

test("an owner word from nowhere is nobody's", async (t) => {
  const { a } = together(15);
  t.equal(a.roles.disposition(ownerWord(A2, 1)), OWNER_UNKNOWN);
  t.equal(a.roles.disposition(ownerWord(B1, 9)), OWNER_UNKNOWN, "an incarnation that is still to come");
  t.equal(a.roles.disposition(0), OWNER_UNKNOWN);
});

test("of a pair one is active; when it dies its mate takes over, not the other site", async (t) => {
  const { wire, boot } = world(16, [A1, A2, B1, B2]);
  const brains = new Map([A1, A2, B1, B2].map((unit) => [unit, boot(unit, { incarnation: 10 * unit })]));
  wire.run(600);
  const active = [A1, A2, B1, B2].filter((unit) => brains.get(unit)?.roles.role === ROLE_ACTIVE);
  t.same(active, [A1, B1]);
  t.equal(brains.get(A2)?.roles.silentReason, drop("standby"));
  t.equal(brains.get(A2)?.roles.role, ROLE_STANDBY);
  wire.unit(A1).kill();
  wire.run(400);
  t.equal(brains.get(A2)?.roles.role, ROLE_ACTIVE);
  for (const unit of [A2, B1, B2]) {
    const answer = brains.get(unit)?.roles.disposition(ownerWord(A1, 10)) as number;
    t.equal(answer, unit === A2 ? OWNER_ADOPT : OWNER_ELSEWHERE | (A2 << 8), `as ${unit} sees it`);
  }
});

test("when a whole site dies the other site's active succeeds both units", async (t) => {
  const { wire, boot } = world(17, [A1, A2, B1, B2]);
  const brains = new Map([A1, A2, B1, B2].map((unit) => [unit, boot(unit, { incarnation: 10 * unit })]));
  wire.run(600);
  wire.unit(A1).kill();
  wire.unit(A2).kill();
  wire.run(400);
  for (const dead of [A1, A2]) {
    t.equal(brains.get(B1)?.roles.disposition(ownerWord(dead, 10 * dead)), OWNER_ADOPT);
    t.equal(brains.get(B2)?.roles.disposition(ownerWord(dead, 10 * dead)), OWNER_ELSEWHERE | (B1 << 8));
  }
});

test("a cut between two mates alone makes no second active", async (t) => {
  const { wire, boot } = world(18, [A1, A2, B1, B2]);
  const brains = new Map([A1, A2, B1, B2].map((unit) => [unit, boot(unit, { incarnation: 10 * unit })]));
  wire.run(600);
  for (const [from, to] of [
    [A1, A2],
    [A2, A1],
  ]) {
    wire.cut([wire.twin, ...wire.data], true, from, to);
  }
  wire.run(600);
  t.same(
    [A1, A2].map((unit) => brains.get(unit)?.roles.role),
    [ROLE_ACTIVE, ROLE_STANDBY],
  );
});

test("under loss, delay and reordering standing still converges", async (t) => {
  for (let seed = 100; seed < 110; seed++) {
    const { wire, boot, a } = together(seed);
    for (const lane of wire.lanes())
      Object.assign(lane.faults, { lossRate: 0.2, duplicateRate: 0.1, corruptRate: 0.05, reorderRate: 0.2, reorderMicros: 20_000, jitterMicros: 2_000 });
    wire.unit(B1).kill();
    wire.run(100 + seed * 7);
    const b = boot(B1, { incarnation: 8 });
    wire.run(1_500);
    t.same([a.roles.disposition(ownerWord(B1, 7)), b.roles.disposition(ownerWord(B1, 7)) & 0xff], [OWNER_ADOPT, OWNER_ELSEWHERE], `seed ${seed}`);
    t.equal(a.roles.successionHash, b.roles.successionHash);
  }
});
