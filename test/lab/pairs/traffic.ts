// Transfers that run while something happens, and what the scenarios of pairs ask about units. However a scenario ends, its transfers
// are waited for: a lost one is counted also when something else had failed before.

import { setTimeout as pause } from "node:timers/promises";
import type { AnswerName, OrderName } from "../../../firmware/fastpath/memory/orders.ts";
import { giveOrder } from "../../../firmware/manager/orders.ts";
import { exchangeWith, startStream, type TransferResult } from "../hosts.ts";
import { IS_HEALTHY, type Lab } from "../lab.ts";
import { Failure, type Measured } from "../measured.ts";
import { HTTP_PORT, type LabUnit, type SiteName, unitsAt } from "../picture.ts";
import { mebibytes, untilTablesEqual } from "../scenarios.ts";
import type { Deployment, Flow } from "./deployments.ts";

const MEBIBYTE = 1 << 20;
/** Per transfer; slow enough that four units on a small machine have time to spare. */
const BYTES_PER_SECOND = 3 * MEBIBYTE;
/** The transfers have found their pace when they have brought so much. */
const FLOWING_BYTES = MEBIBYTE;
/** A connection whose first segments are lost says them again after 1 s, 3 s and 7 s; whoever is in step loses none. */
const BEGIN_LIMIT_MILLIS = 20_000;
/** What they still have to bring when all is over: then they have found it again. */
const AFTERWARDS_BYTES = 2 * MEBIBYTE;

/** A transfer that is not complete so long after the end of what it is to survive is lost. */
const PATIENCE_MILLIS = 20_000;
const LIMIT_MILLIS = 120_000;

/** The sessions of the transfers, as a unit sees them. */
export const TRANSFERS = `FROM sessions WHERE protocol = 'tcp' AND destination_port = ${HTTP_PORT} AND state = 'established'`;

/**
 * Runs one transfer per flow, which last as long as `body` and a little longer. Fails when one of them is lost, and when `body` does; what
 * it returns is the result's detail.
 */
export async function underTraffic(lab: Lab, flows: readonly Flow[], body: () => Promise<string>): Promise<Measured> {
  const transfers = flows.map((flow) => startStream(flow.from, flow.address, BYTES_PER_SECOND, LIMIT_MILLIS));
  let detail = "";
  let failure: Error | undefined;
  try {
    await Promise.race([Promise.all(transfers.map((transfer) => transfer.reached(FLOWING_BYTES))), pause(BEGIN_LIMIT_MILLIS)]);
    const late = transfers.findIndex((transfer) => transfer.received() < FLOWING_BYTES);
    if (late >= 0) throw new Failure(`the transfer ${flows[late]?.from} ← ${flows[late]?.address} did not begin within ${BEGIN_LIMIT_MILLIS} ms`);
    lab.say(`${transfers.length} transfers flow: ${flows.map((flow) => `${flow.from} ← ${flow.address}`).join(", ")}`);
    detail = await body();
  } catch (error) {
    failure = error as Error;
  }
  for (const transfer of transfers) transfer.end(AFTERWARDS_BYTES, PATIENCE_MILLIS);
  const results = await Promise.all(transfers.map((transfer) => transfer.finished));
  const measured = figuresOf(results);
  const lost = results.find(({ intact }) => !intact);
  if (lost !== undefined) {
    const how = `${measured.lost} of ${results.length} transfers broke, one after ${mebibytes(lost.bytes)}: ${lost.error ?? "its sha256 differs"}`;
    throw new Failure(failure === undefined ? how : `${failure.message}; ${how}`, measured);
  }
  if (failure !== undefined) throw new Failure(failure.message, measured);
  return { ...measured, detail: `${detail}; ${measured.gapMs} ms without a byte` };
}

function figuresOf(results: readonly TransferResult[]): { bytes: number; gapMs: number; transfers: number; lost: number } {
  return {
    bytes: results.reduce((sum, { bytes }) => sum + bytes, 0),
    gapMs: Math.max(...results.map(({ gapMs }) => gapMs)),
    transfers: results.length,
    lost: results.filter(({ intact }) => !intact).length,
  };
}

export interface Pair {
  readonly active: LabUnit;
  readonly standby: LabUnit;
}

const PAIR_LIMIT_MILLIS = 10_000;

/** A site's two units by their roles, as soon as one is active and one stands by: a unit that stood still rejoins for a moment. */
export async function pairAt(lab: Lab, site: SiteName): Promise<Pair> {
  const names = unitsAt(site);
  const deadline = performance.now() + PAIR_LIMIT_MILLIS;
  for (;;) {
    const roles = names.map((name) => lab.units[name].query("SELECT role FROM live_header")[0]?.["role"]);
    const [active, standby] = [names[roles.indexOf("active")], names[roles.indexOf("standby")]];
    if (active !== undefined && standby !== undefined) return { active, standby };
    if (performance.now() > deadline) throw new Failure(`${names.join(" and ")} should be active and standby, but are ${roles.join(" and ")}`);
    await pause(20);
  }
}

/** A unit that stood still several times within ten seconds is held to be ailing for so long, and a little longer. */
const HEALTH_LIMIT_MILLIS = 20_000;

/** Resolves when nothing ails a unit: its mate gives way to it only then, if the mate is well otherwise. */
export async function untilHealthy(lab: Lab, name: LabUnit): Promise<void> {
  await lab.units[name].until("healthy", IS_HEALTHY, HEALTH_LIMIT_MILLIS);
}

/**
 * Resolves when every unit of `witnesses` holds one of `owners` for the owner of each transfer's session. More than one, because a unit that
 * this machine does not run for too long gives its sessions to another, rightly.
 */
export async function untilOwned(lab: Lab, witnesses: readonly LabUnit[], owners: readonly LabUnit[], limitMillis: number): Promise<void> {
  const sql = `SELECT count(*) > 0 AND sum(owner IN ('${owners.join("', '")}')) = count(*) ${TRANSFERS}`;
  for (const name of witnesses) await lab.units[name].until(`sure that ${owners.join(" or ")} owns the transfers' sessions`, sql, limitMillis);
}

/** Who owns the transfers' sessions as a unit sees it. */
export function ownersSeenBy(lab: Lab, name: LabUnit): string {
  const rows = lab.units[name].query(`SELECT DISTINCT owner ${TRANSFERS} ORDER BY owner`);
  return rows.map((row) => String(row["owner"])).join(" and ") || "nobody";
}

const QUIET_SESSIONS = 300;

/** Makes sessions that nothing moves afterwards, by which tables are compared; returns how many. */
export async function exchangeQuietly(lab: Lab, { flows }: Deployment): Promise<number> {
  const [{ from, address }] = flows as readonly [Flow];
  // One that does not count: afterwards everybody knows everybody's MAC.
  await exchangeWith(from, "tcp", address, { count: 1, concurrency: 1 });
  const { failed, error } = await exchangeWith(from, "udp", address, { count: QUIET_SESSIONS, concurrency: 8, tries: 4 });
  if (failed > 0) throw new Failure(`${failed} of ${QUIET_SESSIONS} exchanges failed before the accident: ${error ?? "?"}`);
  await untilTablesEqual(lab, 5_000);
  return QUIET_SESSIONS;
}

const ORDER_LIMIT_MILLIS = 10_000;
const ORDER_AGAIN_MILLIS = 500;
/** How a site answers that it has done already what it is ordered. */
const DONE_BEFORE: Partial<Record<OrderName, AnswerName>> = {
  "switchover-site": "site-passive",
  "drain-site": "site-passive",
  "resume-site": "site-active",
};

/**
 * Gives a site's active unit an operator's order and returns who was which before. One that is refused is given again, as an operator
 * would, to whoever is active by then: a unit that this machine did not run for too long has given way meanwhile, or lags for a moment.
 * One that is not answered in time may be done all the same.
 */
export async function orderAt(lab: Lab, site: SiteName, order: OrderName): Promise<Pair> {
  const deadline = performance.now() + ORDER_LIMIT_MILLIS;
  for (let wasPending = false; ; ) {
    const pair = await pairAt(lab, site);
    if (order === "switchover-unit") await untilHealthy(lab, pair.standby);
    const answer = await giveOrder(lab.units[pair.active].places.ordersFile, order, false);
    if (answer === "done" || (wasPending && answer === DONE_BEFORE[order])) return pair;
    wasPending ||= answer === "pending";
    if (performance.now() > deadline) throw new Failure(`${pair.active} refuses ${order}: ${answer}`);
    lab.say(`${pair.active} refuses ${order}: ${answer}`);
    await pause(ORDER_AGAIN_MILLIS);
  }
}
