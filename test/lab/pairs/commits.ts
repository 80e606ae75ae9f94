// One configuration for four units: a commit at A1 blocks at both sites, what nobody confirms is left again by each unit on its own, one unit
// that cannot run it keeps it from all, and what two sites did while apart becomes one revision with both edits.

import { setTimeout as pause } from "node:timers/promises";
import { exchangeWith } from "../hosts.ts";
import { type Lab, untilInStep } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ALL_UNITS, type LabHost, type LabUnit, SERVICE3 } from "../picture.ts";
import { healTwinLinks, inNamespace, setTwinLink } from "../topology.ts";
import { configure, hasConflict, revisionOf, revisionSaid, type, untilAllAt, untilAllTakeIt } from "../typed.ts";
import type { Deployment } from "./deployments.ts";
import { pairAt, underTraffic } from "./traffic.ts";

/** How long a busy machine may need; what it took is told, not judged. */
const COMMIT_MILLIS = 30_000;
const CONFIRM_MILLIS = 60_000;
/** What a busy machine may need beyond that. */
const SPARE_MILLIS = 30_000;
/** So long the sites are apart before they commit. */
const APART_MILLIS = 10_000;
const MEET_LIMIT_MILLIS = 20_000;
const SETTLE_MILLIS = 60_000;
const CONNECTIONS = 20;
/** One that is denied takes seconds to give up: so many at once are enough. */
const TRIED = 4;
/** The port that a unit loses: its kernel device has another name then. */
const LOST_DEVICE = "port2";

async function echoes(from: LabHost, count: number = CONNECTIONS): Promise<number> {
  return (await exchangeWith(from, "tcp", SERVICE3.address4, { count, concurrency: TRIED })).succeeded;
}

const oneLine = (said: string): string => said.replaceAll(/\n\s*/g, "; ");
const startsOf = (lab: Lab): string => ALL_UNITS.map((name) => lab.units[name].number("SELECT starts FROM live_header")).join();
const revisionsOf = (lab: Lab): readonly number[] => ALL_UNITS.map((name) => revisionOf(lab.units[name]));

/** A rule is denied at A1 while transfers that it does not touch flow. */
export async function commitBlocks(lab: Lab, deployment: Deployment): Promise<Measured> {
  await untilAllTakeIt(lab);
  must((await echoes("service1")) === CONNECTIONS, "not every connection to the echo service succeeded before the commit");
  return underTraffic(lab, deployment.flows, async () => {
    const starts = startsOf(lab);
    const before = performance.now();
    const said = configure(lab.units.A1, "set policy echo action deny", "commit no echo");
    lab.say(oneLine(said));
    await untilAllAt(lab, revisionSaid(said));
    const effectMillis = Math.round(performance.now() - before);
    must((await echoes("service1", TRIED)) === 0, "the echo service was reached through site A after it was denied");
    deployment.lead("B");
    must((await echoes("user", TRIED)) === 0, "the echo service was reached through site B after it was denied");
    lab.say(`denied at both sites ${effectMillis} ms after it was typed`);
    const again = configure(lab.units.B1, "set policy echo action permit", "commit echo again");
    await untilAllAt(lab, revisionSaid(again));
    must((await echoes("user")) === CONNECTIONS, "not every connection through site B succeeds when the rule permits it again");
    deployment.lead("A");
    must(startsOf(lab) === starts, "a dataplane was started again for a change of policy");
    return `denied on four units ${effectMillis} ms after it was typed at A1, permitted again from B1, nothing restarted`;
  });
}

/** What was committed for a minute is left again, though no unit reaches another. */
export async function confirmReverts(lab: Lab): Promise<Measured> {
  const { A1 } = lab.units;
  await untilAllTakeIt(lab);
  const starts = startsOf(lab);
  const said = configure(A1, "set policy echo action deny", "commit-confirm 1 trial");
  const denied = performance.now();
  lab.say(oneLine(said));
  const revision = revisionSaid(said);
  await untilAllAt(lab, revision);
  must((await echoes("service1", TRIED)) === 0, "the echo service was reached after it was denied");
  for (const name of ALL_UNITS) setTwinLink(name, false);
  lab.say("the twin links of all units are cut: nobody can tell anybody to go back");
  for (const name of ALL_UNITS) {
    const leftMillis = CONFIRM_MILLIS + SPARE_MILLIS - (performance.now() - denied);
    await lab.units[name].until("back at what was before", `SELECT revision > ${revision} FROM live_header`, leftMillis);
  }
  const seconds = ((performance.now() - denied) / 1_000).toFixed(1);
  lab.say(`all four went back on their own after ${seconds} s`);
  const revisions = revisionsOf(lab);
  must(new Set(revisions).size === 1, `they are at revisions ${revisions.join(", ")}`);
  must(startsOf(lab) === starts, "a dataplane was started again");
  healTwinLinks();
  await untilInStep(lab.units, ALL_UNITS, MEET_LIMIT_MILLIS);
  for (const name of ALL_UNITS) must(!hasConflict(lab.units[name]), `${name} has a conflict after healing`);
  must((await echoes("service1")) === CONNECTIONS, "not every connection to the echo service succeeds again");
  return { detail: `with every link cut, all four went back by themselves after ${seconds} s, to the same revision ${revisions[0]}` };
}

/** A unit without a port refuses, and nobody changes anything. */
export async function oneRefuses(lab: Lab): Promise<Measured> {
  const { A1 } = lab.units;
  await untilAllTakeIt(lab);
  const { standby } = await pairAt(lab, "B");
  const before = revisionsOf(lab);
  const edit = ["set policy echo action deny", "commit no echo"];
  let refused: ReturnType<typeof type>;
  inNamespace(standby, `ip link set ${LOST_DEVICE} down\nip link set ${LOST_DEVICE} name lost`);
  lab.say(`${standby} has lost its device ${LOST_DEVICE}`);
  try {
    refused = type(A1, ...edit);
  } finally {
    inNamespace(standby, `ip link set lost name ${LOST_DEVICE}\nip link set ${LOST_DEVICE} up`);
  }
  lab.say(oneLine(refused.said));
  must(refused.isRefused, `the commit was not refused: ${refused.said}`);
  must(refused.said.includes(`${standby}: refuses`) && refused.said.includes("absent-device"), `it does not say who refuses, and why: ${refused.said}`);
  must(
    revisionsOf(lab).join() === before.join(),
    `revisions are ${revisionsOf(lab).join(", ")} after a commit that one refused, and were ${before.join(", ")}`,
  );
  must((await echoes("service1")) === CONNECTIONS, "a commit that one unit refused denied something");
  const { said } = type(A1, ...edit);
  must(
    ALL_UNITS.every((name) => said.includes(`${name}: in force`)),
    `it has its device again, and yet: ${said}`,
  );
  await untilAllAt(lab, revisionSaid(said));
  configure(A1, "set policy echo action permit", "commit echo again");
  return { detail: `${standby} refuses with absent-device, nothing changed on any unit; with its device back all four take it` };
}

/** Both sites commit while no unit reaches another; the conflict shows, and one commit has both edits. */
export async function bothCommit(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  await untilAllTakeIt(lab);
  for (const name of ALL_UNITS) setTwinLink(name, false);
  for (const name of ALL_UNITS)
    await lab.units[name].until("sure that the others are partitioned", "SELECT sum(state = 'partitioned') = 3 FROM members", COMMIT_MILLIS);
  lab.say("the twin links of all units are cut");
  await pause(APART_MILLIS);
  lab.say(`A1: ${oneLine(configure(A1, "set policy echo log true", "commit log echo"))}`);
  lab.say(`B1: ${oneLine(configure(B1, "set policy web log true", "commit log web"))}`);
  healTwinLinks();
  lab.say("they are healed");
  await untilInStep(lab.units, ALL_UNITS, MEET_LIMIT_MILLIS);
  for (const name of ALL_UNITS) await untilConflict(lab, name);
  const shown = type(B1, "set policy measure log true", "commit");
  must(shown.isRefused, `a commit that settles nothing is taken: ${shown.said}`);
  lab.say(`all four hold both: ${oneLine(shown.said)}`);
  const said = configure(B1, "resolve both", "commit both edits");
  lab.say(oneLine(said));
  const revision = revisionSaid(said);
  await untilAllAt(lab, revision);
  for (const name of ALL_UNITS) {
    for (const rule of ["echo", "web"]) {
      const shows = configure(lab.units[name], `show policy ${rule}`);
      must(/\blog\W+true\b/.test(shows), `${name} lost the edit of ${rule}: ${shows}`);
    }
  }
  for (const name of ALL_UNITS) must(!hasConflict(lab.units[name]), `${name} still has a conflict`);
  return { detail: `the conflict is shown, "resolve both" and a commit at B1 put both edits in force on all four, at revision ${revision}` };
}

async function untilConflict(lab: Lab, name: LabUnit): Promise<void> {
  const until = performance.now() + SETTLE_MILLIS;
  while (!hasConflict(lab.units[name])) {
    must(performance.now() < until, `${name} shows no conflict within ${SETTLE_MILLIS / 1_000} s`);
    await pause(500);
  }
}
