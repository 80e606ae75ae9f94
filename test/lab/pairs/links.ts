// Twin links that are cut and healed under traffic. Their ports notice nothing: frames vanish on the way.

import { setTimeout as pause } from "node:timers/promises";
import { IS_FORWARDING, type Lab, untilInStep } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ALL_UNITS, SITES } from "../picture.ts";
import { untilTablesEqual } from "../scenarios.ts";
import { setTwinLink } from "../topology.ts";
import type { Deployment } from "./deployments.ts";
import { exchangeQuietly, pairAt, underTraffic, untilHealthy, untilOwned } from "./traffic.ts";

const NOTICE_LIMIT_MILLIS = 5_000;
const MEET_LIMIT_MILLIS = 20_000;
/** How long a cut lasts once everybody has noticed it. */
const CUT_MILLIS = 500;

/** The active unit of site A loses its twin port; its mate has one, and takes over. */
export async function oneCut(lab: Lab, deployment: Deployment): Promise<Measured> {
  const quiet = await exchangeQuietly(lab, deployment);
  const { active, standby } = await pairAt(lab, "A");
  await untilHealthy(lab, standby);
  return underTraffic(lab, deployment.flows, async () => {
    setTwinLink(active, false);
    const cutAt = performance.now();
    lab.say(`the twin link of ${active}, which owns the sessions, is cut`);
    await lab.units[standby].until("active", IS_FORWARDING, NOTICE_LIMIT_MILLIS);
    lab.say(`${active} has given way to ${standby} ${Math.round(performance.now() - cutAt)} ms later`);
    const others = ALL_UNITS.filter((name) => name !== active);
    await untilOwned(lab, others, others, NOTICE_LIMIT_MILLIS);
    await pause(CUT_MILLIS);
    setTwinLink(active, true);
    lab.say("it is healed");
    await untilInStep(lab.units, ALL_UNITS, MEET_LIMIT_MILLIS);
    const equal = await untilTablesEqual(lab, MEET_LIMIT_MILLIS);
    must(equal >= quiet, `only ${equal} of ${quiet} quiet sessions are left`);
    return `${active} gives way to ${standby}; tables equal after healing`;
  });
}

/** Every twin link is cut: the units hold each other for partitioned, nobody takes over, and what needs both sites waits. */
export async function allCut(lab: Lab, deployment: Deployment): Promise<Measured> {
  const quiet = await exchangeQuietly(lab, deployment);
  return underTraffic(lab, deployment.flows, async () => {
    for (const name of ALL_UNITS) setTwinLink(name, false);
    lab.say("the twin links of all units are cut");
    for (const name of ALL_UNITS) {
      await lab.units[name].until("sure that the others are partitioned", "SELECT sum(state = 'partitioned') = 3 FROM members", NOTICE_LIMIT_MILLIS);
    }
    await pause(CUT_MILLIS);
    for (const site of SITES) await pairAt(lab, site);
    const deaths = ALL_UNITS.filter((name) => lab.units[name].number("SELECT count(*) FROM members WHERE state = 'dead'") > 0);
    must(deaths.length === 0, `${deaths.join(", ")} took somebody for dead although nobody died`);
    // A unit that this machine did not run for too long gives its sessions to its mate, but none go to the other site.
    const isStopped = deployment.options.partition !== "local";
    const moved = lab.units[(await pairAt(lab, "B")).active].number("SELECT count(*) FROM sessions WHERE state <> 'tombstone' AND owner LIKE 'B%'");
    must(moved === 0 || !isStopped, `site B took ${moved} sessions of site A's over although nobody died`);
    for (const name of ALL_UNITS) setTwinLink(name, true);
    lab.say("they are healed; nobody had taken anybody for dead");
    await untilInStep(lab.units, ALL_UNITS, MEET_LIMIT_MILLIS);
    const equal = await untilTablesEqual(lab, MEET_LIMIT_MILLIS);
    must(equal >= quiet, `only ${equal} of ${quiet} quiet sessions are left`);
    return `partitioned, not dead${isStopped ? "" : `; each site served what reached it, ${moved} sessions moved`}; tables equal after healing`;
  });
}
