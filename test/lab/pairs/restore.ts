// After an accident everything is put right again, so that the same lab can have the next one: who was killed is started, cables are
// healed, paths led back, and the site that was active at first is so again. What does not come back has failed, as in the accident.

import { IS_HEALTHY, type Lab, untilInStep } from "../lab.ts";
import { ALL_UNITS, SITES } from "../picture.ts";
import { healTwinLinks, moveService1 } from "../topology.ts";
import type { Deployment } from "./deployments.ts";
import { orderAt, pairAt } from "./traffic.ts";

const START_LIMIT_MILLIS = 30_000;
const MEET_LIMIT_MILLIS = 20_000;
const ROLE_LIMIT_MILLIS = 5_000;

/** Resolves when all four units are in step, each site has an active and a standby unit, and everything leads where it led at first. */
export async function restore(lab: Lab, deployment: Deployment): Promise<void> {
  healTwinLinks();
  const startedAt = performance.now();
  const killed = ALL_UNITS.filter((name) => !lab.units[name].isOn);
  for (const name of killed) lab.units[name].start();
  for (const name of killed) await lab.units[name].untilStarted(START_LIMIT_MILLIS);
  await untilInStep(lab.units, ALL_UNITS, MEET_LIMIT_MILLIS);
  await leadBack(lab, deployment);
  for (const site of SITES) await pairAt(lab, site);
  lab.say(`all is as it was ${Math.round(performance.now() - startedAt)} ms later${killed.length > 0 ? `, ${killed.join(" and ")} started again` : ""}`);
}

/** Where one site stands by, it is site B again; requests go by site A, and service1 stands there. */
async function leadBack(lab: Lab, deployment: Deployment): Promise<void> {
  if (deployment.options.isPassive === true) {
    const { active } = await pairAt(lab, "B");
    if (lab.units[active].number("SELECT passive_sites = 2 FROM live_header") === 0) await orderAt(lab, "B", "switchover-site");
    for (const name of ALL_UNITS) await lab.units[name].until("sure that site B stands by", "SELECT passive_sites = 2 FROM live_header", ROLE_LIMIT_MILLIS);
  }
  deployment.lead("A");
  if (deployment.options.wiring === "routed") moveService1("A");
}

/**
 * The same after a cable that was cut: whoever has seen its cable flap defers to its mate, from 2 s up to a minute. Its dataplane is
 * started anew, as by a technician who knows that the cable has been mended.
 */
export async function restoreAfterCut(lab: Lab, deployment: Deployment): Promise<void> {
  healTwinLinks();
  const ailing = ALL_UNITS.filter((name) => lab.units[name].number(IS_HEALTHY) === 0);
  for (const name of ailing) {
    lab.units[name].killDataplane();
    await lab.units[name].untilStarted(START_LIMIT_MILLIS);
  }
  await restore(lab, deployment);
}
