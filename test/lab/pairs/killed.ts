// Units that die under traffic: every process of theirs by SIGKILL, while their links stay up and nothing is announced.

import { IS_FORWARDING, type Lab, untilInStep } from "../lab.ts";
import { ALL_UNITS, type LabUnit } from "../picture.ts";
import type { Measured } from "../scenarios.ts";
import type { Deployment } from "./deployments.ts";
import { pairAt, underTraffic, untilOwned } from "./traffic.ts";

const TAKEOVER_LIMIT_MILLIS = 5_000;
const MEET_LIMIT_MILLIS = 8_000;

const without = (...dead: readonly LabUnit[]): readonly LabUnit[] => ALL_UNITS.filter((name) => !dead.includes(name));

/** The unit that owns the sessions dies; its mate takes over. */
export async function activeKilled(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active, standby } = pairAt(lab, "A");
  const measured = await underTraffic(lab, deployment.flows, 5, async () => {
    await untilOwned(lab, [standby], active, TAKEOVER_LIMIT_MILLIS);
    lab.units[active].kill();
    const killedAt = performance.now();
    lab.say(`${active}, which owns the sessions, is killed whole; its links stay up`);
    await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    lab.say(`${standby} is active ${Math.round(performance.now() - killedAt)} ms later`);
    await untilOwned(lab, without(active), standby, TAKEOVER_LIMIT_MILLIS);
    return `${standby} adopts`;
  });
  await untilInStep(lab.units, without(active), MEET_LIMIT_MILLIS);
  return measured;
}
