// The unit's directory:
//
//   plan.json            the dataplane's plan, 0600: it holds the pre-shared key
//   NAME.pid             processes that run, so that a manager that comes back finds them
//   data/                what must outlive a reboot: incarnation, the store's database
//   compile-cache/       compiled code, so that a restarted dataplane is soon there
//
// Everything is 0700 and 0600: the plan's key opens the twin.

import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface RunDir {
  readonly path: string;
  readonly data: string;
  readonly compileCache: string;
  readonly plan: string;
}

/** Makes the directory and what belongs in it. Throws the system's error. */
export function openRunDir(path: string): RunDir {
  const root = resolve(path);
  const runDir = { path: root, data: join(root, "data"), compileCache: join(root, "compile-cache"), plan: join(root, "plan.json") };
  for (const directory of [runDir.path, runDir.data, runDir.compileCache]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  }
  return runDir;
}

/** Replaces a file so that after a power cut it holds either the old text or the new one, 0600. */
export function writeDurably(file: string, text: string): void {
  const fresh = `${file}.new`;
  rmSync(fresh, { force: true });
  const descriptor = openSync(fresh, "wx", 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(fresh, file);
  const directory = openSync(dirname(file), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** A file's text, or undefined when it is not there. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function pidFile(runDir: RunDir, process: string): string {
  return join(runDir.path, `${process}.pid`);
}
