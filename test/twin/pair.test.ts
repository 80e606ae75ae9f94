// Two units of one site: who is active, who gives way, and when. Two units of the other site look on.

import { test } from "tap";
import { HEALTH_BEHIND, HEALTH_MONITORED_SHIFT, HEALTH_PORTS_SHIFT, HEALTH_TWIN } from "../../firmware/fastpath/memory/health.ts";
import {
  ANSWER_DONE,
  ANSWER_MATE_AILING,
  ANSWER_MATE_BEHIND,
  ANSWER_MATE_LAGS,
  ANSWER_NO_MATE,
  ANSWER_NOT_ACTIVE,
  ORDER_DRAIN_UNIT,
  ORDER_RESUME_UNIT,
  ORDER_SWITCHOVER_UNIT,
} from "../../firmware/fastpath/memory/orders.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE } from "../../firmware/fastpath/partner.ts";
import { ownerWord } from "../../firmware/fastpath/sessions.ts";
import { PORT_DOWN, PORT_UP } from "../../firmware/hal/contracts.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import { ROLE_ACTIVE, ROLE_STANDBY } from "../../firmware/twin/census.ts";
import { MemberBrain, type MemberOptions } from "./brains.ts";
import { DATA_PORTS, TWIN_PORT, Wire } from "./wire.ts";

const A1 = 1;
const A2 = 2;
const B1 = 3;
const B2 = 4;
const ALL = [A1, A2, B1, B2];

/** Four units, long together: A1 and B1 are active. */
function four(seed: number, options: Readonly<Record<number, MemberOptions>> = {}, numbers: readonly number[] = ALL) {
  const wire = new Wire(seed, numbers);
  const brains = new Map<number, MemberBrain>();
  const boot = (unit: number, own: MemberOptions = {}): MemberBrain => {
    wire.unit(unit).boot((start) => {
      const brain = new MemberBrain(start, { incarnation: 10 * unit, ...options[unit], ...own });
      brains.set(unit, brain);
      return brain;
    });
    return brains.get(unit) as MemberBrain;
  };
  const brain = (unit: number): MemberBrain => brains.get(unit) as MemberBrain;
  const roles = (units: readonly number[] = [A1, A2]) => units.map((unit) => brain(unit).roles.role);
  for (const unit of numbers) boot(unit);
  wire.run(1_000);
  /** The most units of one site that were active in the same millisecond. */
  const watch = (millis: number): number => {
    let most = 0;
    for (let k = 0; k < millis; k++) {
      wire.run(1);
      const active = [A1, A2].filter((unit) => wire.unit(unit).brain !== null && brain(unit).roles.mayForward).length;
      most = Math.max(most, active);
    }
    return most;
  };
  return { wire, boot, brain, roles, watch };
}

function setLink(wire: Wire, unit: number, port: number, isUp: boolean): void {
  const nic = wire.unit(unit).nics[port] as Nic;
  nic.state = isUp ? PORT_UP : PORT_DOWN;
  wire.unit(unit).start?.ports[port]?.service(0);
}

const now = (wire: Wire, unit: number): number => wire.unit(unit).clock.nowMicros();

test("of two that start together the lower unit is active, and never both", async (t) => {
  const wire = new Wire(1, ALL);
  const brains = ALL.map((unit) => {
    let brain: MemberBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new MemberBrain(start, { incarnation: unit })));
    return brain as MemberBrain;
  });
  let both = 0;
  for (let k = 0; k < 1_000; k++) {
    wire.run(1);
    if (brains[0]?.roles.mayForward && brains[1]?.roles.mayForward) both++;
  }
  t.equal(both, 0);
  t.same(
    brains.map((brain) => brain.roles.role),
    [ROLE_ACTIVE, ROLE_STANDBY, ROLE_ACTIVE, ROLE_STANDBY],
  );
});

test("of two that start together the one with the higher priority is active", async (t) => {
  const { roles } = four(2, { [A2]: { priority: 200 } });
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
});

test("whoever is active stays so: a better one that comes later waits, without preemption for ever", async (t) => {
  const { wire, boot, roles } = four(3, { [A1]: { priority: 200 } });
  wire.unit(A1).kill();
  wire.run(500);
  boot(A1, { incarnation: 11 });
  wire.run(60_000);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
});

test("with preemption the preferred unit is given way to when it has been ready for the delay", async (t) => {
  const preempt = { preemptMillis: 5_000 };
  const { wire, boot, roles, watch } = four(4, { [A1]: { priority: 200, ...preempt }, [A2]: preempt });
  wire.unit(A1).kill();
  wire.run(500);
  boot(A1, { incarnation: 11 });
  wire.run(4_500);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE], "not yet");
  t.equal(watch(1_500), 1, "never both");
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
});

test("who takes over from a living mate owns its sessions, and all four agree", async (t) => {
  const { wire, brain, roles } = four(5);
  t.equal(brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1)), ANSWER_DONE);
  wire.run(100);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  t.equal(brain(A1).roles.incarnation, 11, "what it creates later is its own again");
  for (const unit of ALL) {
    const answer = brain(unit).roles.disposition(ownerWord(A1, 10));
    t.equal(answer, unit === A2 ? OWNER_ADOPT : OWNER_ELSEWHERE | (A2 << 8), `as ${unit} sees it`);
  }
});

test("a switchover and back: neither is active twice, and the gap is a few milliseconds", async (t) => {
  const { wire, brain, roles } = four(6);
  for (const from of [A1, A2, A1, A2]) {
    t.equal(brain(from).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, from)), ANSWER_DONE);
    let none = 0;
    let both = 0;
    for (let k = 0; k < 200; k++) {
      wire.run(1);
      const active = [A1, A2].filter((unit) => brain(unit).roles.mayForward).length;
      if (active === 0) none++;
      if (active === 2) both++;
    }
    t.same([both, none <= 5], [0, true], `${none} ms without an active unit`);
  }
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
});

test("a switchover is refused while the mate lags, is behind or is not there; forced, it happens all the same", async (t) => {
  const { wire, brain, roles } = four(7);
  t.equal(brain(A2).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A2)), ANSWER_NOT_ACTIVE);
  brain(A1).lagMicros = 700_000;
  t.equal(brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1)), ANSWER_MATE_LAGS);
  brain(A1).lagMicros = 0;
  brain(A2).isBehind = true;
  wire.run(50);
  t.equal(brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1)), ANSWER_MATE_BEHIND);
  wire.run(100);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
  t.equal(brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, true, now(wire, A1)), ANSWER_DONE);
  wire.run(100);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  wire.unit(A1).kill();
  wire.run(200);
  t.equal(brain(A2).membership.orders.obey(ORDER_SWITCHOVER_UNIT, true, now(wire, A2)), ANSWER_NO_MATE);
});

test("a switchover to a mate that is less healthy is refused: it would come back at once; the unit may be drained all the same", async (t) => {
  const { wire, brain, roles } = four(26);
  brain(A2).silentMonitored = 1;
  wire.run(50);
  t.equal(brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1)), ANSWER_MATE_AILING);
  wire.run(100);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
  t.equal(brain(A1).membership.orders.obey(ORDER_DRAIN_UNIT, false, now(wire, A1)), ANSWER_DONE);
  wire.run(2_000);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE], "and stays there");
});

test("a unit that gives way waits, silent, until its mate has its last rows, and no longer than its limit", async (t) => {
  const { wire, brain } = four(8);
  brain(A1).lagRows = 3;
  brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1));
  wire.run(20);
  t.same([brain(A1).roles.role, brain(A1).roles.mayForward], [ROLE_ACTIVE, false]);
  brain(A1).lagRows = 0;
  wire.run(5);
  t.equal(brain(A1).roles.role, ROLE_STANDBY);
  wire.run(100);
  brain(A2).lagRows = 3;
  brain(A2).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A2));
  wire.run(60);
  t.equal(brain(A2).roles.role, ROLE_STANDBY);
});

test("a unit that gives way takes the role back when its mate dies meanwhile", async (t) => {
  const { wire, brain } = four(9);
  brain(A1).lagRows = 3;
  brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, false, now(wire, A1));
  wire.run(1);
  wire.unit(A2).kill();
  wire.run(400);
  t.same([brain(A1).roles.role, brain(A1).roles.mayForward], [ROLE_ACTIVE, true]);
});

test("a unit whose data port goes down gives way; the port's return does not take the role back", async (t) => {
  const { wire, brain, roles, watch } = four(10);
  setLink(wire, A1, DATA_PORTS[0] as number, false);
  t.equal(watch(200), 1);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  t.equal(brain(A2).roles.census.healthOf(A1), 1 << HEALTH_PORTS_SHIFT);
  setLink(wire, A1, DATA_PORTS[0] as number, true);
  wire.run(10_000);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  t.equal(brain(A2).roles.census.healthOf(A1), 0);
});

test("losing the twin port demotes below a peer that has one", async (t) => {
  for (const how of ["link", "cable"]) {
    const { wire, brain, roles, watch } = four(11);
    if (how === "link") setLink(wire, A1, TWIN_PORT, false);
    else
      for (const other of [A2, B1, B2])
        for (const [from, to] of [
          [A1, other],
          [other, A1],
        ] as const)
          wire.cut([wire.twin], true, from, to);
    t.equal(watch(500), 1, `never both, ${how}`);
    t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE], how);
    t.equal(brain(A1).membership.health.value, HEALTH_TWIN, how);
    for (const unit of [B1, B2]) t.equal(brain(unit).roles.disposition(ownerWord(A1, 10)), OWNER_ELSEWHERE | (A2 << 8), `${how}, as ${unit} sees it`);
  }
});

test("monitored addresses that fall silent for one unit alone move the role", async (t) => {
  const { wire, brain, roles } = four(12);
  brain(A1).silentMonitored = 1;
  brain(A2).silentMonitored = 1;
  wire.run(200);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY], "both are as ill");
  brain(A2).silentMonitored = 0;
  wire.run(3_000);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  t.equal(brain(A2).roles.census.healthOf(A1), 1 << HEALTH_MONITORED_SHIFT);
});

test("a port that flaps at both units in turn moves the role less and less often", async (t) => {
  const { wire, brain } = four(13);
  for (let k = 0; k < 120; k++) {
    const unit = k % 2 === 0 ? A1 : A2;
    setLink(wire, unit, DATA_PORTS[0] as number, false);
    wire.run(500);
    setLink(wire, unit, DATA_PORTS[0] as number, true);
    wire.run(500);
  }
  const changes = wire.unit(A1).noted("role-changed").length;
  t.ok(changes < 20, `${changes} changes of A1's role in two minutes`);
  t.ok(brain(A1).roles.mayForward || brain(A2).roles.mayForward);
});

test("a unit that has not been given everything is not given way to, but takes over when nobody else is there", async (t) => {
  const { wire, brain, roles } = four(14);
  brain(A2).isBehind = true;
  wire.run(50);
  setLink(wire, A1, DATA_PORTS[0] as number, false);
  wire.run(500);
  t.equal(brain(A1).roles.census.healthOf(A2), HEALTH_BEHIND);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
  wire.unit(A1).kill();
  wire.run(300);
  t.equal(brain(A2).roles.role, ROLE_ACTIVE);
});

test("a drained unit gives way and stays back, until it is resumed", async (t) => {
  const { wire, brain, roles } = four(15, { [A1]: { priority: 200, preemptMillis: 1_000 }, [A2]: { preemptMillis: 1_000 } });
  t.equal(brain(A1).membership.orders.obey(ORDER_DRAIN_UNIT, false, now(wire, A1)), ANSWER_DONE);
  wire.run(5_000);
  t.same(roles(), [ROLE_STANDBY, ROLE_ACTIVE]);
  t.equal(brain(A1).membership.orders.obey(ORDER_RESUME_UNIT, false, now(wire, A1)), ANSWER_DONE);
  wire.run(2_000);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
});

test("when only the cut between two mates separates them, the other site relays what each says: no second active", async (t) => {
  const { wire, boot, brain, watch } = four(16);
  const cut = (is: boolean): void => {
    for (const [from, to] of [
      [A1, A2],
      [A2, A1],
    ] as const)
      wire.cut([wire.twin, ...wire.data], is, from, to);
  };
  cut(true);
  t.equal(watch(1_000), 1);
  wire.unit(A2).kill();
  wire.run(300);
  boot(A2, { incarnation: 21 });
  t.equal(watch(1_000), 1, "also for one that has never heard its mate itself");
  wire.unit(A1).kill();
  wire.run(400);
  t.equal(brain(A2).roles.role, ROLE_ACTIVE, "the active one dies: nobody relays it any more");
  cut(false);
  boot(A1, { incarnation: 11 });
  t.equal(watch(1_000), 1);
});

test("a dataplane whose end was announced is not waited for when a mate stands by", async (t) => {
  const { wire, brain } = four(17);
  wire.unit(A1).kill();
  for (const unit of [A2, B1, B2]) brain(unit).membership.restarting(A1, now(wire, unit));
  wire.run(45);
  t.equal(brain(A2).roles.role, ROLE_ACTIVE, "before the detection time is over");
  t.equal(brain(B1).roles.disposition(ownerWord(A1, 10)), OWNER_ELSEWHERE | (A2 << 8));
});

test("an announcement that comes late, of a dataplane that is back, takes nothing over", async (t) => {
  const { wire, brain, roles } = four(18);
  for (const unit of [A2, B1, B2]) brain(unit).membership.restarting(A1, now(wire, unit));
  wire.run(500);
  t.same(roles(), [ROLE_ACTIVE, ROLE_STANDBY]);
  t.equal(wire.unit(A2).noted("peer-dead").length, 0);
});

test("a standby's dataplane that ends is waited for", async (t) => {
  const { wire, brain } = four(19);
  wire.unit(A2).kill();
  for (const unit of [A1, B1, B2]) brain(unit).membership.restarting(A2, now(wire, unit));
  wire.run(400);
  t.equal(wire.unit(A1).noted("peer-dead").length, 0);
});

test("two mates alone that lost each other are both active; healed, the one that stays takes the other's sessions over", async (t) => {
  const { wire, brain, roles } = four(20, {}, [A1, A2]);
  wire.cut([wire.twin, ...wire.data], true);
  wire.run(500);
  t.same(roles(), [ROLE_ACTIVE, ROLE_ACTIVE]);
  wire.cut([wire.twin, ...wire.data], false);
  wire.run(500);
  t.equal(roles().filter((role) => role === ROLE_ACTIVE).length, 1);
  const active = roles().indexOf(ROLE_ACTIVE) === 0 ? A1 : A2;
  const other = active === A1 ? A2 : A1;
  t.equal(brain(active).roles.disposition(ownerWord(other, 10 * other)), OWNER_ADOPT);
  t.equal(brain(other).roles.disposition(ownerWord(other, 10 * other)), OWNER_ELSEWHERE | (active << 8));
});

test("under loss, delay and reordering exactly one unit of the pair comes out active", async (t) => {
  for (let seed = 200; seed < 212; seed++) {
    const { wire, boot, brain, roles } = four(seed);
    for (const lane of wire.lanes())
      Object.assign(lane.faults, { lossRate: 0.2, duplicateRate: 0.1, corruptRate: 0.05, reorderRate: 0.2, reorderMicros: 20_000, jitterMicros: 2_000 });
    brain(A1).membership.orders.obey(ORDER_SWITCHOVER_UNIT, true, now(wire, A1));
    wire.run(300);
    const active = brain(A2).roles.role === ROLE_ACTIVE ? A2 : A1;
    wire.unit(active).kill();
    wire.run(500);
    boot(active, { incarnation: 50 });
    wire.run(2_000);
    t.equal(roles().filter((role) => role === ROLE_ACTIVE).length, 1, `seed ${seed}`);
    t.equal(brain(A1).roles.successionHash, brain(B1).roles.successionHash, `seed ${seed}: all know the same`);
  }
});
