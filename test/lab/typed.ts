// Lines typed at a unit's `configure`, as an administrator types them, and what came of them.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Lab } from "./lab.ts";
import { must } from "./measured.ts";
import type { Unit } from "./unit.ts";

const CONSOLE = join(import.meta.dirname, "..", "..", "firmware", "manager", "console", "cli.ts");
const CHANNEL_MILLIS = 60_000;
/** How long a busy machine may need; what it took is told, not judged. */
const COMMIT_MILLIS = 30_000;

/** Types lines at a unit; returns what it said, and whether it refused one of them. */
export function type(unit: Unit, ...lines: readonly string[]): { readonly isRefused: boolean; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CONSOLE, "--unit", unit.name, "configure"], {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
  });
  return { isRefused: status !== 0, said: (status === 0 ? stdout : stderr).trimEnd() };
}

/** The same; throws with what it said when one of them is refused. */
export function configure(unit: Unit, ...lines: readonly string[]): string {
  const { isRefused, said } = type(unit, ...lines);
  if (isRefused) throw new Error(`${unit.name} refused: ${said}`);
  return said;
}

/** Number of the revision that a unit's packets meet. */
export const revisionOf = (unit: Unit): number => unit.number("SELECT revision FROM live_header");

/** Number of the revision that a commit has just put in force, by what was said. */
export const revisionSaid = (said: string): number => Number(/^Revision (\d+)/m.exec(said)?.[1]);

/** Resolves when every unit's packets meet that revision. */
export async function untilAllAt(lab: Lab, revision: number): Promise<void> {
  for (const name of lab.names) await lab.units[name].until(`at revision ${revision}`, `SELECT revision = ${revision} FROM live_header`, COMMIT_MILLIS);
}

/** Does a unit's `status` say that it holds what another site committed apart from it? */
export function hasConflict(unit: Unit): boolean {
  const { stdout } = spawnSync(process.execPath, [CONSOLE, "--unit", unit.name, "status", "--json"], { encoding: "utf8" });
  const { configuration } = JSON.parse(stdout) as { readonly configuration: { readonly conflict?: unknown } };
  return configuration.conflict !== undefined;
}

/** Managers find each other some seconds after the dataplanes have; a commit before that is one unit's alone. */
export async function untilAllTakeIt(lab: Lab): Promise<void> {
  const { A1 } = lab.units;
  const until = performance.now() + CHANNEL_MILLIS;
  for (let k = 1; ; k++) {
    configure(A1, "set policy ping log true", `commit trial ${k}`);
    const said = configure(A1, "delete policy ping log", `commit end of trial ${k}`);
    if (lab.names.every((name) => said.includes(`${name}: in force`))) return untilAllAt(lab, revisionSaid(said));
    must(performance.now() < until, `the managers did not find each other in ${CHANNEL_MILLIS / 1_000} s: ${said}`);
    await pause(500);
  }
}
