// The deployments that two pairs must work in, each with the transfers that run while something breaks. Where both sites are
// active, replies come by the other site than requests, so that every transfer is handed off.
//
//   gateway       both sites answer for the gateways of stretched LANs
//   upstream      both sites stand between routers; nothing is stretched
//   passive       stretched LANs, and site B stands by until A fails
//   transparent   the units are wires; two pairs are two wires

import type { LabOptions } from "../configuration.ts";
import { ALL_UNITS, type LabHost, SERVICE3, type SiteName, UPSTREAM } from "../picture.ts";
import { moveUserPath, moveWirePath } from "../topology.ts";
import { leadUpstream } from "../upstream.ts";

/**
 * 12 processes share what the lab's machine has; an appliance has its cores for itself and sends them every 20 ms. Slower than this, a
 * death is noticed after TCP has repeated a segment for the first time, 200 ms and more, so that a gap lasts until the next time.
 */
const HEARTBEAT_MILLIS = 30;
const PAIRS: LabOptions = { wiring: "routed", twin: true, units: ALL_UNITS, heartbeatMillis: HEARTBEAT_MILLIS };

/**
 * Where nothing leads from site to site but the twin link, nothing tells the other site's death from a cut of that link, so that
 * `stop` would stop its sessions for good. An operator chooses `local` there: each site serves what reaches it.
 */
const APART: LabOptions = { ...PAIRS, partition: "local" };

export interface Flow {
  readonly from: LabHost;
  readonly address: string;
}

export interface Deployment {
  readonly name: "gateway" | "upstream" | "passive" | "transparent";
  /** In words, after a comma. */
  readonly words: string;
  readonly options: LabOptions;
  readonly flows: readonly Flow[];
  /** Those whose hosts are reached, too, when no unit of site A is left. */
  readonly flowsWithoutA: readonly Flow[];
  /** What the network around does when requests shall go by this site: a router moves its leg, or a route is another one. */
  lead(site: SiteName): void;
}

const USER4: Flow = { from: "user", address: SERVICE3.address4 };
const SERVICE4: Flow = { from: "service1", address: SERVICE3.address4 };
const SERVICE6: Flow = { from: "service1", address: SERVICE3.address6 };
const USER_UPSTREAM: readonly Flow[] = [UPSTREAM.service3.address4, UPSTREAM.service3.address6].map((address) => ({ from: "user", address }));

export const GATEWAY: Deployment = {
  name: "gateway",
  words: "both sites are gateways",
  options: PAIRS,
  flows: [USER4, SERVICE6],
  // service1's gateway is site A's alone: the DCI keeps B's from it.
  flowsWithoutA: [USER4, { from: "user", address: SERVICE3.address6 }],
  lead: moveUserPath,
};

export const BETWEEN_ROUTERS: Deployment = {
  name: "upstream",
  words: "both sites stand between upstream routers",
  options: { ...APART, wiring: "upstream" },
  flows: USER_UPSTREAM,
  flowsWithoutA: USER_UPSTREAM,
  lead: (site) => leadUpstream("user", site),
};

export const PASSIVE: Deployment = {
  name: "passive",
  words: "site B stands by",
  options: { ...PAIRS, isPassive: true },
  flows: [USER4, SERVICE6],
  flowsWithoutA: [USER4, SERVICE6],
  // Nothing: the gateways move to the other site, and the stretched LANs lead there.
  lead: () => undefined,
};

export const WIRES: Deployment = {
  name: "transparent",
  words: "the units are wires",
  options: { ...APART, wiring: "transparent" },
  flows: [SERVICE4, SERVICE6],
  flowsWithoutA: [SERVICE4, SERVICE6],
  lead: moveWirePath,
};

export const DEPLOYMENTS: readonly Deployment[] = [GATEWAY, BETWEEN_ROUTERS, PASSIVE, WIRES];
