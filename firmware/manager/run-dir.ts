// The unit's directory (places.ts says where it lies):
//
//   plan.json            the dataplane's plan
//   NAME.pid             processes that run, so that a manager that comes back finds them
//   data/                what must outlive a reboot: incarnation, the store's database, identity, trust, pair keys
//   compile-cache/       compiled code, so that a restarted dataplane is soon there
//
// Everything is 0700 and 0600: the pair keys open the twin.

import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

export interface UnitDirectory {
  readonly path: string;
  readonly data: string;
  readonly compileCache: string;
}

/** Makes the directory and what belongs in it. Throws the system's error. */
export function openUnitDirectory(path: string): UnitDirectory {
  const directory = { path, data: join(path, "data"), compileCache: join(path, "compile-cache") };
  for (const one of [directory.path, directory.data, directory.compileCache]) {
    mkdirSync(one, { recursive: true, mode: 0o700 });
    chmodSync(one, 0o700);
  }
  return directory;
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

/** File that holds the process id of one of the unit's processes. */
export function pidFile(directory: Pick<UnitDirectory, "path">, name: string): string {
  return join(directory.path, `${name}.pid`);
}

export function writePid(directory: UnitDirectory, name: string, pid: number): void {
  writeFileSync(pidFile(directory, name), `${pid}\n`, { mode: 0o600 });
}
