// The third list: two pairs on real network stacks, in every deployment where a scenario applies. `npm start -- pairs`.

import type { Lab } from "../lab.ts";
import type { AnyName } from "../result.ts";
import type { Measured, Scenario } from "../scenarios.ts";
import { DEPLOYMENTS, type Deployment } from "./deployments.ts";
import { activeKilled } from "./killed.ts";

/** One scenario in each of `deployments`; `sentence` without its full stop. */
function inEach(
  name: string,
  sentence: string,
  deployments: readonly Deployment[],
  run: (lab: Lab, deployment: Deployment) => Promise<Measured>,
): readonly Scenario[] {
  return deployments.map((deployment) => ({
    name: `${name}-${deployment.name}` as AnyName,
    sentence: `${sentence}; ${deployment.words}.`,
    options: deployment.options,
    run: (lab) => run(lab, deployment),
  }));
}

export const PAIRS: readonly Scenario[] = [
  ...inEach("pair-active-killed", "The active unit of a pair is killed in mid-transfer and its mate takes over", DEPLOYMENTS, activeKilled),
];
