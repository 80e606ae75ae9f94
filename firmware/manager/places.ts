// Where a unit keeps what, said once: the manager makes these, the store and the console find them.
//
//   --run-dir DIR         DIR                  and memory named after DIR, so that labs on one machine do not meet
//   TWINWALL_RUN=DIR      DIR/A1               likewise
//   neither               /run/twinwall/A1     and /dev/shm/twinwall-A1

import { createHash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";

export const RUN_DIRECTORY = "/run/twinwall";
export const MEMORY_DIRECTORY = "/dev/shm";

export interface Places {
  /** The unit's own directory. */
  readonly directory: string;
  readonly planFile: string;
  /** A policy that was compiled for the running dataplane. */
  readonly policyFile: string;
  /** Socket that operators' orders come by (orders.ts). */
  readonly ordersFile: string;
  /** Socket that questions about peers come by (peers/desk.ts). */
  readonly peersFile: string;
  /** What must outlive a reboot: the store's database, the incarnation. */
  readonly dataDirectory: string;
  /** Name of the shared memory; the file lies in MEMORY_DIRECTORY. */
  readonly memoryName: string;
  readonly memoryFile: string;
}

/** A unit's places. `asked`: the unit's own directory, as --run-dir gives it. */
export function placesOf(unit: string, asked: string | undefined, environment: Readonly<Record<string, string | undefined>>): Places {
  const directory = resolve(asked ?? join(environment.TWINWALL_RUN ?? RUN_DIRECTORY, unit));
  const isDefault = dirname(directory) === RUN_DIRECTORY && basename(directory) === unit;
  const mark = isDefault ? "" : `${createHash("sha256").update(directory).digest("hex").slice(0, 8)}-`;
  const memoryName = `twinwall-${mark}${unit}`;
  return {
    directory,
    planFile: join(directory, "plan.json"),
    policyFile: join(directory, "policy.image"),
    ordersFile: join(directory, "orders"),
    peersFile: join(directory, "peers"),
    dataDirectory: join(directory, "data"),
    memoryName,
    memoryFile: join(MEMORY_DIRECTORY, memoryName),
  };
}
