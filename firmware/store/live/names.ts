// The names that the tables do not hold, from the plan that the manager wrote beside them. Nothing else of the plan is kept.

import { readFileSync } from "node:fs";
import type { Plan } from "../../plan.ts";
import { type LiveNames, NO_NAMES } from "./views.ts";

/** Names of units, zones, ports and rules as a plan has them. */
export function namesOfPlan(plan: Plan): LiveNames {
  return {
    units: [{ number: plan.unit, name: plan.name }, ...plan.twin.peers.map((peer) => ({ number: peer.unit, name: peer.name }))],
    zones: plan.zones.map((zone) => ({ number: zone.zone, name: zone.name })),
    ports: plan.ports.map((port) => ({ number: port.number, name: port.device, kind: port.kind })),
    rules: plan.rules.map((rule) => ({ number: rule.number, name: rule.name, action: rule.action })),
  };
}

/** Names from a plan file; none when there is no readable plan: numbers are shown then. */
export function namesOfPlanFile(planFile: string): LiveNames {
  try {
    return namesOfPlan(JSON.parse(readFileSync(planFile, "utf8")) as Plan);
  } catch {
    return NO_NAMES;
  }
}
