// Units that die under traffic: every process of theirs by SIGKILL, while their links stay up and nothing is announced.

import { setTimeout as pause } from "node:timers/promises";
import { IS_FORWARDING, inStepWithAll, type Lab, untilInStep } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ALL_UNITS, type LabUnit, unitsAt } from "../picture.ts";
import { number, untilTablesEqual } from "../scenarios.ts";
import type { Deployment } from "./deployments.ts";
import { exchangeQuietly, orderAt, ownersSeenBy, type Pair, pairAt, underTraffic, untilOwned } from "./traffic.ts";

const TAKEOVER_LIMIT_MILLIS = 5_000;
const MEET_LIMIT_MILLIS = 20_000;
const START_LIMIT_MILLIS = 30_000;
/** What routers around a site need to find the other way. */
const REROUTE_MILLIS = 200;

const without = (...gone: readonly LabUnit[]): readonly LabUnit[] => ALL_UNITS.filter((name) => !gone.includes(name));

/** Waits until a unit that stood by is active, and says how long that took. */
async function untilTakenOver(lab: Lab, { active, standby }: Pair): Promise<void> {
  const startedAt = performance.now();
  await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
  lab.say(`${standby} is active ${Math.round(performance.now() - startedAt)} ms later`);
  await untilOwned(lab, without(active), without(active), TAKEOVER_LIMIT_MILLIS);
  lab.say(`the sessions' owner is ${ownersSeenBy(lab, standby)}`);
}

/** The unit that owns the sessions dies; its mate takes over. */
export async function activeKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const pair = await pairAt(lab, "A");
  const { active, standby } = pair;
  const measured = await underTraffic(lab, deployment.flows, async () => {
    await untilOwned(lab, [standby], unitsAt("A"), TAKEOVER_LIMIT_MILLIS);
    lab.units[active].kill();
    lab.say(`${active}, which owns the sessions, is killed whole; its links stay up`);
    await untilTakenOver(lab, pair);
    return `${standby} takes over`;
  });
  await untilInStep(lab.units, without(active), MEET_LIMIT_MILLIS);
  return measured;
}

/** The active unit of the other site dies, which replies come in by and which hands them over. */
export async function ingressKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active: owner } = await pairAt(lab, "A");
  const { active, standby } = await pairAt(lab, "B");
  const measured = await underTraffic(lab, deployment.flows, async () => {
    lab.units[active].kill();
    lab.say(`${active}, which replies come in by, is killed whole; its links stay up`);
    await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    const before = lab.units[standby].counter("handed-off");
    await pause(1_000);
    must(lab.units[standby].counter("handed-off") > before, `${standby} hands nothing over`);
    await untilOwned(lab, without(active), without(active), TAKEOVER_LIMIT_MILLIS);
    return `${standby} hands over to ${owner}`;
  });
  await untilInStep(lab.units, without(active), MEET_LIMIT_MILLIS);
  return measured;
}

/** Both units of site A die at once; what is around leads to site B, whose active unit takes over. */
export async function siteKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active, standby } = await pairAt(lab, "A");
  const { active: heir } = await pairAt(lab, "B");
  const measured = await underTraffic(lab, deployment.flowsWithoutA, async () => {
    await untilOwned(lab, [heir], unitsAt("A"), TAKEOVER_LIMIT_MILLIS);
    lab.units[active].kill();
    lab.units[standby].kill();
    lab.say(`${active} and ${standby} are killed whole; their links stay up`);
    await pause(REROUTE_MILLIS);
    deployment.lead("B");
    await untilOwned(lab, unitsAt("B"), unitsAt("B"), TAKEOVER_LIMIT_MILLIS);
    return `${ownersSeenBy(lab, heir)} takes over`;
  });
  await untilInStep(lab.units, without(active, standby), MEET_LIMIT_MILLIS);
  return measured;
}

/** A killed unit comes back without its memory, is given everything under traffic, and the operator lets it take over again. */
export async function unitReturns(lab: Lab, deployment: Deployment): Promise<Measured> {
  const quiet = await exchangeQuietly(lab, deployment);
  const pair = await pairAt(lab, "A");
  const { active } = pair;
  return underTraffic(lab, deployment.flows, async () => {
    lab.units[active].powerOff();
    lab.say(`${active} loses its power, and with it its shared memory`);
    await untilTakenOver(lab, pair);
    lab.units[active].start();
    const startedAt = performance.now();
    await lab.units[active].untilStarted(START_LIMIT_MILLIS);
    const roleAt = performance.now();
    await lab.units[active].until(`in step with ${without(active).join(", ")}`, inStepWithAll(without(active)), MEET_LIMIT_MILLIS);
    lab.say(`${active} is back ${Math.round(roleAt - startedAt)} ms after its start, and is in step ${Math.round(performance.now() - roleAt)} ms later`);
    const equal = await untilTablesEqual(lab, MEET_LIMIT_MILLIS);
    must(equal >= quiet, `only ${equal} of ${quiet} quiet sessions are left`);
    lab.say(`all four tables hold the same ${number(equal)} quiet sessions`);
    // What site B took over while this machine ran nobody at site A stays there.
    const isAway = ownersSeenBy(lab, active).includes("B");
    const now = await orderAt(lab, "A", "switchover-unit");
    const home = isAway ? without(now.active) : unitsAt("A");
    await lab.units[now.standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    await untilOwned(lab, ALL_UNITS, home, TAKEOVER_LIMIT_MILLIS);
    lab.say(`${now.active} has handed over to ${now.standby} by an operator's order`);
    return `${active} has ${number(equal)} sessions again, tables equal; a switchover as ordered`;
  });
}
