// One lab: topology, units that are ready, services that listen. Every scenario gets a fresh one, so that none depends on what
// another left behind.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MEMORY_DIRECTORY, RUN_DIRECTORY } from "../../firmware/manager/places.ts";
import type { LabOptions } from "./configuration.ts";
import { startServices } from "./hosts.ts";
import { LAB_UNITS, type LabUnit } from "./picture.ts";
import type { LabDriver } from "./result.ts";
import { buildTopology, namespacesHere, removeTopology } from "./topology.ts";
import { createUnits, type Unit, type UnitDriver, type Units, writeConfiguration } from "./unit.ts";

const START_LIMIT_MILLIS = 15_000;
const MEET_LIMIT_MILLIS = 5_000;

export interface Lab {
  readonly units: Units;
  readonly driver: LabDriver;
  /** Tells the reader what happens, as it happens. */
  say(text: string): void;
}

/** A unit's own dataplane has opened its ports and may forward. */
export const IS_FORWARDING = "SELECT started_at > 0 AND role = 'active' FROM live_header";
/** `peer` is alive, keys are agreed, and the digests say that both tables are equal. */
export const inStepWith = (peer: LabUnit): string =>
  `SELECT state = 'alive' AND associated = 1 AND lag_rows = 0 AND sweeping = 0 AND digests_equal = 1 FROM members WHERE unit = '${peer}'`;

export const peerOf = (name: LabUnit): LabUnit => (name === "A1" ? "B1" : "A1");

/** Waits until a unit forwards, and (with a twin) until both are in step. */
export async function untilReady(units: Units, twin: boolean): Promise<void> {
  for (const name of LAB_UNITS) await units[name].until("forwarding", IS_FORWARDING, START_LIMIT_MILLIS);
  if (twin) for (const name of LAB_UNITS) await units[name].until(`in step with ${peerOf(name)}`, inStepWith(peerOf(name)), MEET_LIMIT_MILLIS);
}

/** Builds a lab and starts it; removes what an earlier one left. */
export async function startLab(options: LabOptions, driver: UnitDriver | undefined, say: (text: string) => void): Promise<Lab> {
  stopLab();
  buildTopology(options.wiring);
  writeConfiguration(options);
  const units = createUnits(driver);
  for (const name of LAB_UNITS) units[name].start();
  try {
    await Promise.all([startServices("service3"), untilReady(units, options.twin)]);
  } catch (error) {
    say(lastWords(units));
    throw error;
  }
  const used = String(units.A1.query("SELECT driver FROM live_header")[0]?.["driver"] ?? "pcap") as LabDriver;
  if (used === "pcap" && driver === undefined) say(`AF_XDP is not to be had here, so the units use node-pcap (${units.A1.whyFallback()})`);
  say(`units ${LAB_UNITS.join(" and ")} are up on ${used}${options.twin ? ", in step with each other" : ", each on its own: the twin is off"}`);
  return { units, driver: used, say };
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
export function lastWords(units: Units): string {
  return LAB_UNITS.map((name: LabUnit) => `  ${name} said last:\n    ${(units[name] as Unit).lastWords()}`).join("\n");
}
