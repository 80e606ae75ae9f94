// What is left of a run that failed, for whoever looks for the reason: each unit's own account, and its logs, in one file. Namespaces,
// shared memory and run directories are gone a moment later.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import type { LabUnit } from "./picture.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const FOLDER = join(ROOT, "build", "lab-failures");
const CONSOLE = join(ROOT, "firmware", "manager", "console", "cli.ts");
const COMMANDS = [["status"], ["members"], ["events"], ["sessions", "--where", "protocol = 'tcp'"], ["counters"], ["ports"], ["neighbours"]];

/** Writes the account of a run of `name` that failed, and returns the file's path within the project. */
export function writeAccount(lab: Lab, name: string, failure: string): string {
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, `${name}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.txt`);
  writeFileSync(file, [`${name}: ${failure}`, ...lab.names.map((unit) => accountOf(lab, unit))].join("\n\n"));
  return file.slice(ROOT.length + 1);
}

function accountOf(lab: Lab, unit: LabUnit): string {
  const said = COMMANDS.map((command) => {
    const { stdout, stderr } = spawnSync(process.execPath, [CONSOLE, "--unit", unit, ...command], { encoding: "utf8", maxBuffer: 16 << 20 });
    return `── ${unit} ${command[0]} ──\n${stdout}${stderr}`;
  });
  const { logFile } = lab.units[unit];
  return [...said, `── ${unit} log ──\n${existsSync(logFile) ? readFileSync(logFile, "utf8") : ""}`].join("\n");
}
