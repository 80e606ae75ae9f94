// The third list: two pairs on real network stacks, in every deployment where a scenario applies. `npm start -- pairs`.

import type { Lab } from "../lab.ts";
import type { Measured } from "../measured.ts";
import type { AnyName } from "../result.ts";
import type { Scenario } from "../scenarios.ts";
import { bothCommit, commitBlocks, confirmReverts, oneRefuses } from "./commits.ts";
import { CROWD_HEARTBEAT_MILLIS, CROWD_TABLE, crowdActiveKilled } from "./crowd.ts";
import { BETWEEN_ROUTERS, DEPLOYMENTS, type Deployment, GATEWAY, PASSIVE, WIRES } from "./deployments.ts";
import { activeKilled, ingressKilled, siteKilled, unitReturns } from "./killed.ts";
import { allCut, oneCut } from "./links.ts";
import { machineMoves, siteDrained } from "./moves.ts";
import { restore, restoreAfterCut } from "./restore.ts";

/** One scenario in each of `deployments`; `sentence` without its full stop. */
function inEach(
  name: string,
  sentence: string,
  deployments: readonly Deployment[],
  run: (lab: Lab, deployment: Deployment) => Promise<Measured>,
  putRight: (lab: Lab, deployment: Deployment) => Promise<void> = restore,
): readonly Scenario[] {
  return deployments.map((deployment) => ({
    name: `${name}-${deployment.name}` as AnyName,
    sentence: `${sentence}; ${deployment.words}.`,
    options: deployment.options,
    run: (lab) => run(lab, deployment),
    restore: (lab) => putRight(lab, deployment),
  }));
}

export const PAIRS: readonly Scenario[] = [
  ...inEach("pair-active-killed", "The active unit of a pair is killed in mid-transfer and its mate takes over", DEPLOYMENTS, activeKilled),
  // Where site B stands by, nothing comes in there.
  ...inEach(
    "pair-ingress-killed",
    "The active unit that hands replies over is killed, and its mate hands them over",
    [GATEWAY, BETWEEN_ROUTERS, WIRES],
    ingressKilled,
  ),
  ...inEach("site-killed", "Both units of site A are killed in mid-transfer and site B takes over", DEPLOYMENTS, siteKilled),
  ...inEach("link-cut-one", "The twin link of the active unit is cut and healed, and it gives way to its mate", DEPLOYMENTS, oneCut, restoreAfterCut),
  ...inEach("link-cut-all", "All twin links are cut and healed: partitioned, not dead", DEPLOYMENTS, allCut),
  // A machine behind a router or a wire moves with its network, not from port to port.
  ...inEach("vm-moves", "A virtual machine moves to the other site in mid-transfer", [GATEWAY, PASSIVE], machineMoves),
  ...inEach("site-drained", "Site A is drained and resumed by an operator's orders", DEPLOYMENTS, siteDrained),
  ...inEach("unit-returns", "A killed unit returns empty, is given everything under traffic, and takes over as ordered", DEPLOYMENTS, unitReturns),
  ...inEach("commit-blocks", "A rule that is denied at A1 blocks at both sites within one commit", [GATEWAY], commitBlocks),
  ...inEach("commit-reverts", "What is not confirmed is left again by all four, with every twin link cut", [GATEWAY], confirmReverts),
  ...inEach("commit-refused", "A unit that has lost a port refuses a commit, and nothing changes anywhere", [GATEWAY], oneRefuses),
  ...inEach("commit-conflict", "Both sites commit while apart; the conflict shows, and is settled with both edits", [GATEWAY], bothCommit),
];

/** The fourth list: `npm start -- crowd`. */
export const CROWDS: readonly Scenario[] = [
  {
    name: "crowd-active-killed",
    sentence: "The unit that owns 262,144 sessions is killed; afterwards each of them carries a packet both ways.",
    options: { ...GATEWAY.options, sessions: CROWD_TABLE, heartbeatMillis: CROWD_HEARTBEAT_MILLIS },
    run: crowdActiveKilled,
  },
];
