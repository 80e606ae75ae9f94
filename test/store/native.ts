// Builds the live tables' native module when it is missing or older than what it is made of, so that a test file runs alone.

import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { headerText } from "../../firmware/store/live/generate.ts";
import { LIVE_MODULE } from "../../firmware/store/live/open.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = ["firmware/hal/linux/addon/livetables.c", "firmware/store/live/generate.ts", "firmware/store/live/columns.ts", "firmware/fastpath/memory/tables.ts", "firmware/fastpath/verdicts.ts", "firmware/fastpath/event-kinds.ts", "firmware/limits.ts"];

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Call before the first `openLive`. */
export function buildLiveModule(): void {
  const newest = Math.max(...SOURCES.map((file) => changedAt(join(ROOT, file))));
  if (changedAt(LIVE_MODULE) > newest) return;
  const directory = dirname(LIVE_MODULE);
  mkdirSync(directory, { recursive: true });
  // Several test files may build at once: each makes its own and moves it into place.
  const mine = join(directory, `livetables-${process.pid}`);
  mkdirSync(mine, { recursive: true });
  writeFileSync(join(mine, "livetables_layout.h"), headerText());
  const flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"];
  const includes = ["-I", mine, "-I", join(ROOT, "node_modules/better-sqlite3/deps/sqlite3")];
  execFileSync("cc", [...flags, ...includes, join(ROOT, "firmware/hal/linux/addon/livetables.c"), "-o", join(mine, "livetables.so")], { stdio: "inherit" });
  renameSync(join(mine, "livetables.so"), LIVE_MODULE);
}
