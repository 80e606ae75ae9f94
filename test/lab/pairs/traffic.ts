// Transfers that run while something happens, and what the scenarios of pairs ask about units. However a scenario ends, its transfers
// are waited for: a lost one is counted also when something else had failed before.

import type { OrderName } from "../../../firmware/fastpath/memory/orders.ts";
import { giveOrder } from "../../../firmware/manager/orders.ts";
import { exchangeWith, startDownload, type TransferResult } from "../hosts.ts";
import type { Lab } from "../lab.ts";
import { HTTP_PORT, type LabUnit, type SiteName, siteOf } from "../picture.ts";
import { Failure, type Measured, mebibytes, untilTablesEqual } from "../scenarios.ts";
import type { Deployment, Flow } from "./deployments.ts";

const MEBIBYTE = 1 << 20;
/** Per transfer; slow enough that four units on a small machine have time to spare. */
const BYTES_PER_SECOND = 3 * MEBIBYTE;
/** The transfers have found their pace when they have brought so much. */
const FLOWING_BYTES = 2 * MEBIBYTE;

/** The sessions of the transfers, as a unit sees them. */
export const TRANSFERS = `FROM sessions WHERE protocol = 'tcp' AND destination_port = ${HTTP_PORT} AND state = 'established'`;

/**
 * Runs one transfer per flow, of `seconds` each if nothing holds it up, and `body` while they run. Fails when one of them is lost, and
 * when `body` does; what it returns is the result's detail.
 */
export async function underTraffic(lab: Lab, flows: readonly Flow[], seconds: number, body: () => Promise<string>): Promise<Measured> {
  const transfers = flows.map((flow) => startDownload(flow.from, flow.address, { bytes: seconds * BYTES_PER_SECOND, rate: BYTES_PER_SECOND }));
  let detail = "";
  let failure: Error | undefined;
  try {
    await Promise.all(transfers.map((transfer) => transfer.reached(FLOWING_BYTES)));
    lab.say(`${transfers.length} transfers flow: ${flows.map((flow) => `${flow.from} ← ${flow.address}`).join(", ")}`);
    detail = await body();
  } catch (error) {
    failure = error as Error;
  }
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

/** A site's two units, by their role now. */
export function pairAt(lab: Lab, site: SiteName): Pair {
  const names = lab.names.filter((name) => siteOf(name) === site);
  const isActive = (name: LabUnit): boolean => lab.units[name].number("SELECT role = 'active' FROM live_header") === 1;
  const [active, standby] = [names.find(isActive), names.find((name) => !isActive(name))];
  if (active === undefined || standby === undefined) throw new Failure(`of ${names.join(" and ")} not exactly one is active`);
  return { active, standby };
}

/** Resolves when every unit of `witnesses` holds `owner` for the owner of all transfers' sessions. */
export async function untilOwned(lab: Lab, witnesses: readonly LabUnit[], owner: LabUnit, limitMillis: number): Promise<void> {
  const sql = `SELECT count(*) > 0 AND sum(owner = '${owner}') = count(*) ${TRANSFERS}`;
  for (const name of witnesses) await lab.units[name].until(`sure that ${owner} owns the transfers' sessions`, sql, limitMillis);
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

/** Gives a unit an operator's order, as the console does. Fails when it is refused. */
export async function giveOrderTo(lab: Lab, name: LabUnit, order: OrderName): Promise<void> {
  const answer = await giveOrder(lab.units[name].places.ordersFile, order, false);
  if (answer !== "done") throw new Failure(`${name} refuses ${order}: ${answer}`);
}
