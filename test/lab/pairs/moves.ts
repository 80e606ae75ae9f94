// What people do on purpose: move a virtual machine to the other data centre, and take a site out of service.

import { setTimeout as pause } from "node:timers/promises";
import type { Lab } from "../lab.ts";
import type { Measured } from "../measured.ts";
import { ALL_UNITS, unitsAt } from "../picture.ts";
import { moveService1 } from "../topology.ts";
import type { Deployment } from "./deployments.ts";
import { orderAt, ownersSeenBy, pairAt, underTraffic, untilOwned } from "./traffic.ts";

const ORDER_LIMIT_MILLIS = 5_000;
/** How long a moved machine's transfer goes on, so that its sessions can follow. */
const FOLLOW_MILLIS = 1_000;

/** service1, with its transfers, moves from site A to site B. */
export async function machineMoves(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active: near } = await pairAt(lab, "B");
  const flows = deployment.flows.filter(({ from }) => from === "service1");
  return underTraffic(lab, flows, async () => {
    await untilOwned(lab, [near], unitsAt("A"), ORDER_LIMIT_MILLIS);
    moveService1("B");
    lab.say("service1 moves to site B's bridge and announces itself there");
    await pause(FOLLOW_MILLIS);
    const owner = ownersSeenBy(lab, near);
    return owner.startsWith("B") ? `its sessions have followed it to ${owner}` : `${owner} still owns its sessions, and is handed its packets`;
  });
}

/** Site A is drained, the network leads to site B, and A goes on. */
export async function siteDrained(lab: Lab, deployment: Deployment): Promise<Measured> {
  const { active: heir } = await pairAt(lab, "B");
  return underTraffic(lab, deployment.flowsWithoutA, async () => {
    await untilOwned(lab, [heir], unitsAt("A"), ORDER_LIMIT_MILLIS);
    await orderAt(lab, "A", "drain-site");
    await untilOwned(lab, ALL_UNITS, unitsAt("B"), ORDER_LIMIT_MILLIS);
    lab.say(`site A is drained: ${heir} owns the sessions`);
    await pause(300);
    deployment.lead("B");
    lab.say("requests take the way by site B");
    await pause(500);
    await orderAt(lab, "A", "resume-site");
    // Of one active site it stands by now, ready; it is active again when the other one gives way.
    if (deployment.options.isPassive === true) await orderAt(lab, "B", "switchover-site");
    deployment.lead("A");
    lab.say("site A is resumed, and requests take their old way");
    return `${heir} has its sessions before a packet comes by the other way`;
  });
}
