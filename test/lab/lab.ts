// One lab: topology, units that are ready, services that listen. Every scenario gets a fresh one, so that none depends on what
// another left behind.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { HEARTBEAT_MILLIS, HEARTBEAT_MISSES } from "../../firmware/limits.ts";
import { MEMORY_DIRECTORY, RUN_DIRECTORY } from "../../firmware/manager/places.ts";
import type { LabOptions } from "./configuration.ts";
import { startServices } from "./hosts.ts";
import { LAB_UNITS, type LabUnit } from "./picture.ts";
import type { LabDriver } from "./result.ts";
import { buildTopology, namespacesHere, removeTopology } from "./topology.ts";
import { createUnits, type Unit, type UnitDriver, type Units, writeConfiguration } from "./unit.ts";

const START_LIMIT_MILLIS = 30_000;
const MEET_LIMIT_MILLIS = 20_000;

export interface Lab {
  readonly units: Units;
  /** The units that this lab has. */
  readonly names: readonly LabUnit[];
  readonly driver: LabDriver;
  /** Tells the reader what happens, as it happens. */
  say(text: string): void;
}

/** A unit's own dataplane has opened its ports and may forward. */
export const IS_FORWARDING = "SELECT started_at > 0 AND role = 'active' FROM live_header";
export const HAS_A_ROLE = "SELECT started_at > 0 AND role IN ('active', 'standby') FROM live_header";
/** Nothing ails it: not even that it stood still at times while it started. */
export const IS_HEALTHY = "SELECT drained + behind + stalls + twin_lost + ports_down + monitored_silent + disk_ailing = 0 FROM live_header";
/** `peer` is alive, keys are agreed, and the digests say that both tables are equal. */
export const inStepWith = (peer: LabUnit): string =>
  `SELECT state = 'alive' AND associated = 1 AND lag_rows = 0 AND sweeping = 0 AND digests_equal = 1 FROM members WHERE unit = '${peer}'`;
/** The same of each of `peers`. */
export const inStepWithAll = (peers: readonly LabUnit[]): string => `SELECT ${peers.map((peer) => `(${inStepWith(peer)})`).join(" AND ")}`;

export const peerOf = (name: LabUnit): LabUnit => (name === "A1" ? "B1" : "A1");

/** Waits until every unit forwards (or stands by for its mate), and (with a twin) until all are in step. */
export async function untilReady(units: Units, names: readonly LabUnit[], twin: boolean): Promise<void> {
  const isPaired = names.length > LAB_UNITS.length;
  for (const name of names) await units[name].until(isPaired ? "active or standby" : "forwarding", isPaired ? HAS_A_ROLE : IS_FORWARDING, START_LIMIT_MILLIS);
  if (twin) await untilInStep(units, names, MEET_LIMIT_MILLIS);
}

/** Waits until each of `names` is in step with all others of them; when that fails, the error says what is amiss with whom. */
export async function untilInStep(units: Units, names: readonly LabUnit[], limitMillis: number): Promise<void> {
  for (const name of names) {
    const peers = names.filter((other) => other !== name);
    try {
      await units[name].until(`in step with ${peers.join(", ")}`, inStepWithAll(peers), limitMillis);
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${peers.map((peer) => standingOf(units[name], peer)).join("; ")}`, { cause: error });
    }
  }
}

function standingOf(unit: Unit, peer: LabUnit): string {
  const [row] = unit.query(`SELECT state, associated, lag_rows, sweeping, digests_equal FROM members WHERE unit = '${peer}'`);
  return row === undefined ? `${peer} unheard of` : Object.entries(row).reduce((text, [name, value]) => `${text} ${name} ${value}`, peer as string);
}

const inWords = (names: readonly LabUnit[]): string => `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/** Builds a lab and starts it; removes what an earlier one left. */
export async function startLab(options: LabOptions, driver: UnitDriver | undefined, say: (text: string) => void): Promise<Lab> {
  stopLab();
  const names = options.units ?? LAB_UNITS;
  buildTopology(options);
  writeConfiguration(options);
  const units = createUnits(driver);
  for (const name of names) units[name].start();
  try {
    await Promise.all([startServices("service3"), untilReady(units, names, options.twin)]);
  } catch (error) {
    say(lastWords(units, names));
    throw error;
  }
  const used = String(units.A1.query("SELECT driver FROM live_header")[0]?.["driver"] ?? "pcap") as LabDriver;
  if (used === "pcap" && driver === undefined) say(`AF_XDP is not to be had here, so the units use node-pcap (${units.A1.whyFallback()})`);
  say(`units ${inWords(names)} are up on ${used}${options.twin ? ", in step with each other" : ", each on its own: the twin is off"}`);
  if (options.heartbeatMillis !== undefined)
    say(
      `heartbeats every ${options.heartbeatMillis} ms instead of ${HEARTBEAT_MILLIS}, so a death is noticed after ${options.heartbeatMillis * HEARTBEAT_MISSES} ms: ${names.length} units share ${availableParallelism()} cores here`,
    );
  return { units, names, driver: used, say };
}

/** Ends every process in the lab's namespaces, and removes namespaces, memory and run directories. */
export function stopLab(): void {
  for (const name of namespacesHere()) {
    const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
    for (const pid of stdout.split("\n").filter(Boolean)) spawnSync("kill", ["-9", pid]);
  }
  removeTopology();
  for (const folder of [RUN_DIRECTORY, MEMORY_DIRECTORY]) for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
}

/** The end of what the units said, for a scenario that failed. */
export function lastWords(units: Units, names: readonly LabUnit[]): string {
  return names.map((name: LabUnit) => `  ${name} said last:\n    ${(units[name] as Unit).lastWords()}`).join("\n");
}
