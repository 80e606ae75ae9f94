// Which site stands by, as orders and deaths decide it.

import { test } from "tap";
import {
  ANSWER_BOTH_ACTIVE,
  ANSWER_DONE,
  ANSWER_NO_TWIN,
  ANSWER_NOT_ACTIVE,
  ANSWER_SITE_ACTIVE,
  ANSWER_SITE_PASSIVE,
  ANSWER_TWIN_LAGS,
  ORDER_DRAIN_SITE,
  ORDER_RESUME_SITE,
  ORDER_SWITCHOVER_SITE,
} from "../../firmware/fastpath/memory/orders.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE } from "../../firmware/fastpath/partner.ts";
import { ownerWord } from "../../firmware/fastpath/sessions.ts";
import { MemberBrain } from "./brains.ts";
import { Wire } from "./wire.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;
const B2 = 4;
const ALL = [A1, A2, B1, B2];

function four(seed: number, deployment: "active/active" | "active/passive", numbers: readonly number[] = ALL) {
  const wire = new Wire(seed, numbers);
  const brains = new Map<number, MemberBrain>();
  const boot = (unit: number, incarnation = 10 * unit): MemberBrain => {
    wire.unit(unit).boot((start) => {
      const brain = new MemberBrain(start, { incarnation, deployment });
      brains.set(unit, brain);
      return brain;
    });
    return brains.get(unit) as MemberBrain;
  };
  const brain = (unit: number): MemberBrain => brains.get(unit) as MemberBrain;
  const order = (unit: number, what: number, isForced = false) => brain(unit).membership.orders.obey(what, isForced, wire.unit(unit).clock.nowMicros());
  /** Which units stand by with their site. */
  const passive = () => numbers.filter((unit) => wire.unit(unit).brain !== null && brain(unit).roles.sites.isPassive);
  for (const unit of numbers) boot(unit);
  wire.run(1_000);
  return { wire, boot, brain, order, passive };
}

test("active/active: no site stands by; active/passive: the one that is not configured does", async (t) => {
  t.same(four(1, "active/active").passive(), []);
  t.same(four(2, "active/passive").passive(), [B1, B2]);
});

test("a switchover of the site moves gateway and sessions, and back; all four believe the same", async (t) => {
  const { wire, brain, order, passive } = four(3, "active/passive");
  t.equal(order(A1, ORDER_SWITCHOVER_SITE), ANSWER_DONE);
  wire.run(50);
  t.same(passive(), [A1, A2]);
  for (const unit of ALL)
    t.equal(brain(unit).roles.disposition(ownerWord(A1, 10)), unit === B1 ? OWNER_ADOPT : OWNER_ELSEWHERE | (B1 << 8), `as ${unit} sees it`);
  t.equal(brain(A1).roles.disposition(ownerWord(A1, 11)), OWNER_HERE, "what A1 makes later is its own");
  t.equal(order(B1, ORDER_SWITCHOVER_SITE), ANSWER_DONE);
  wire.run(50);
  t.same(passive(), [B1, B2]);
  t.equal(brain(B2).roles.disposition(ownerWord(A1, 10)), OWNER_ELSEWHERE | (A1 << 8), "and A1 has it again");
});

test("a drained site stands by until it is resumed", async (t) => {
  const { wire, order, passive } = four(4, "active/active");
  t.equal(order(A1, ORDER_SWITCHOVER_SITE), ANSWER_BOTH_ACTIVE);
  t.equal(order(A1, ORDER_RESUME_SITE), ANSWER_SITE_ACTIVE);
  t.equal(order(A2, ORDER_DRAIN_SITE), ANSWER_NOT_ACTIVE);
  t.equal(order(A1, ORDER_DRAIN_SITE), ANSWER_DONE);
  wire.run(50);
  t.same(passive(), [A1, A2]);
  t.equal(order(A1, ORDER_DRAIN_SITE), ANSWER_SITE_PASSIVE);
  t.equal(order(B1, ORDER_DRAIN_SITE), ANSWER_NO_TWIN, "one site goes on");
  t.equal(order(A1, ORDER_RESUME_SITE), ANSWER_DONE);
  wire.run(50);
  t.same(passive(), []);
});

test("it is refused while the other site lags or is not there", async (t) => {
  const { wire, brain, order, passive } = four(5, "active/passive");
  brain(A1).lagMicros = 700_000;
  t.equal(order(A1, ORDER_SWITCHOVER_SITE), ANSWER_TWIN_LAGS);
  t.equal(order(A1, ORDER_SWITCHOVER_SITE, true), ANSWER_DONE);
  wire.run(50);
  t.same(passive(), [A1, A2]);
  wire.unit(A1).kill();
  wire.unit(A2).kill();
  wire.run(300);
  t.equal(order(B1, ORDER_SWITCHOVER_SITE, true), ANSWER_NO_TWIN);
});

test("a passive site does not go on by itself while the active one is reached, nor when the links are cut", async (t) => {
  const { wire, order, passive } = four(6, "active/passive");
  t.equal(order(B1, ORDER_RESUME_SITE), ANSWER_DONE, "it stands by and is ready, as before");
  for (const one of [A1, A2])
    for (const other of [B1, B2])
      for (const [from, to] of [
        [one, other],
        [other, one],
      ] as const)
        wire.cut([wire.twin], true, from, to);
  wire.run(1_000);
  t.same(passive(), [B1, B2]);
});

test("a unit that comes back believes what happened while it was away, before it emits anything", async (t) => {
  const { wire, boot, brain, order, passive } = four(7, "active/passive");
  order(A1, ORDER_SWITCHOVER_SITE);
  wire.run(50);
  wire.unit(A1).kill();
  wire.run(500);
  boot(A1, 12);
  for (let k = 0; k < 400; k++) {
    wire.run(1);
    if (brain(A1).roles.mayForward && !brain(A1).roles.sites.isPassive) t.fail("it answered for the gateway again");
  }
  t.same(passive(), [A1, A2]);
});
