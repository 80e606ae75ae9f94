// Where a unit keeps what, said once: the manager makes these, the store and the console find them.
//
//   /run/twinwall/A1/plan.json    the plan in force (0600)           another run directory (--run-dir, TWINWALL_RUN) gives
//   /dev/shm/twinwall-A1          its tables                         other memory names, so that labs do not meet
//
// The run directory is the parent of every unit's own directory.

import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

export const RUN_DIRECTORY = "/run/twinwall";
export const MEMORY_DIRECTORY = "/dev/shm";

export interface Places {
  readonly unitDirectory: string;
  readonly planFile: string;
  /** Name of the shared memory; the file lies in MEMORY_DIRECTORY. */
  readonly memoryName: string;
  readonly memoryFile: string;
}

/** The run directory: what was asked for, else TWINWALL_RUN, else /run/twinwall. */
export function runDirectory(asked: string | undefined, environment: Readonly<Record<string, string | undefined>>): string {
  return resolve(asked ?? environment.TWINWALL_RUN ?? RUN_DIRECTORY);
}

/** A unit's places under a run directory. */
export function placesOf(unit: string, run: string): Places {
  const mark = run === RUN_DIRECTORY ? "" : `${createHash("sha256").update(run).digest("hex").slice(0, 8)}-`;
  const memoryName = `twinwall-${mark}${unit}`;
  const unitDirectory = join(run, unit);
  return { unitDirectory, planFile: join(unitDirectory, "plan.json"), memoryName, memoryFile: join(MEMORY_DIRECTORY, memoryName) };
}
