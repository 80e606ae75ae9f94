// Units that die under traffic: every process of theirs by SIGKILL, while their links stay up and nothing is announced.

import { setTimeout as pause } from "node:timers/promises";
import { IS_FORWARDING, inStepWithAll, type Lab, untilInStep } from "../lab.ts";
import { ALL_UNITS, type LabUnit } from "../picture.ts";
import { type Measured, must, number, untilTablesEqual } from "../scenarios.ts";
import type { Deployment } from "./deployments.ts";
import { exchangeQuietly, giveOrderTo, type Pair, pairAt, underTraffic, untilOwned } from "./traffic.ts";

const TAKEOVER_LIMIT_MILLIS = 5_000;
const MEET_LIMIT_MILLIS = 8_000;
const START_LIMIT_MILLIS = 15_000;
/** What routers around a site need to find the other way. */
const REROUTE_MILLIS = 200;

const without = (...gone: readonly LabUnit[]): readonly LabUnit[] => ALL_UNITS.filter((name) => !gone.includes(name));

/** Waits until a unit that stood by is active, and says how long that took. */
async function untilTakenOver(lab: Lab, { active, standby }: Pair): Promise<void> {
  const startedAt = performance.now();
  await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
  lab.say(`${standby} is active ${Math.round(performance.now() - startedAt)} ms later`);
  await untilOwned(lab, without(active), standby, TAKEOVER_LIMIT_MILLIS);
}

/** The unit that owns the sessions dies; its mate takes over. */
export async function activeKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const pair = pairAt(lab, "A");
  const { active, standby } = pair;
  const measured = await underTraffic(lab, deployment.flows, 5, async () => {
    await untilOwned(lab, [standby], active, TAKEOVER_LIMIT_MILLIS);
    lab.units[active].kill();
    lab.say(`${active}, which owns the sessions, is killed whole; its links stay up`);
    await untilTakenOver(lab, pair);
    return `${standby} adopts`;
  });
  await untilInStep(lab.units, without(active), MEET_LIMIT_MILLIS);
  return measured;
}

/** The active unit of the other site dies, which replies come in by and which hands them over. */
export async function ingressKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active: owner } = pairAt(lab, "A");
  const { active, standby } = pairAt(lab, "B");
  const measured = await underTraffic(lab, deployment.flows, 5, async () => {
    lab.units[active].kill();
    lab.say(`${active}, which replies come in by, is killed whole; its links stay up`);
    await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    const before = lab.units[standby].counter("handed-off");
    await pause(1_000);
    must(lab.units[standby].counter("handed-off") > before, `${standby} hands nothing over`);
    await untilOwned(lab, without(active), owner, TAKEOVER_LIMIT_MILLIS);
    return `${standby} hands over to ${owner}`;
  });
  await untilInStep(lab.units, without(active), MEET_LIMIT_MILLIS);
  return measured;
}

/** Both units of site A die at once; what is around leads to site B, whose active unit takes over. */
export async function siteKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active, standby } = pairAt(lab, "A");
  const { active: heir } = pairAt(lab, "B");
  const measured = await underTraffic(lab, deployment.flowsWithoutA, 5, async () => {
    await untilOwned(lab, [heir], active, TAKEOVER_LIMIT_MILLIS);
    lab.units[active].kill();
    lab.units[standby].kill();
    lab.say(`${active} and ${standby} are killed whole; their links stay up`);
    await pause(REROUTE_MILLIS);
    deployment.lead("B");
    await untilOwned(lab, without(active, standby), heir, TAKEOVER_LIMIT_MILLIS);
    return `${heir} adopts`;
  });
  await untilInStep(lab.units, without(active, standby), MEET_LIMIT_MILLIS);
  return measured;
}

/** A killed unit comes back without its memory, is given everything under traffic, and the operator lets it take over again. */
export async function unitReturns(lab: Lab, deployment: Deployment): Promise<Measured> {
  const quiet = await exchangeQuietly(lab, deployment);
  const pair = pairAt(lab, "A");
  const { active, standby } = pair;
  return underTraffic(lab, deployment.flows, 12, async () => {
    lab.units[active].powerOff();
    lab.say(`${active} loses its power, and with it its shared memory`);
    await untilTakenOver(lab, pair);
    lab.units[active].start();
    const startedAt = performance.now();
    await lab.units[active].until("standby", "SELECT started_at > 0 AND role = 'standby' FROM live_header", START_LIMIT_MILLIS);
    const roleAt = performance.now();
    await lab.units[active].until(`in step with ${without(active).join(", ")}`, inStepWithAll(without(active)), MEET_LIMIT_MILLIS);
    lab.say(`${active} stands by ${Math.round(roleAt - startedAt)} ms after its start, and is in step ${Math.round(performance.now() - roleAt)} ms later`);
    const equal = await untilTablesEqual(lab, MEET_LIMIT_MILLIS);
    must(equal >= quiet, `only ${equal} of ${quiet} quiet sessions are left`);
    lab.say(`all four tables hold the same ${number(equal)} quiet sessions`);
    await giveOrderTo(lab, standby, "switchover-unit");
    await lab.units[active].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    await untilOwned(lab, ALL_UNITS, active, TAKEOVER_LIMIT_MILLIS);
    lab.say(`${standby} handed over to it by an operator's order`);
    return `${active} has ${number(equal)} sessions again, tables equal, and took over as ordered`;
  });
}
