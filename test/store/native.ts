// Builds what is native when it is missing or out of date, so that a test file runs alone too.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Call before the first `openLive`. */
export function buildLiveModule(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL("../../image/native.mjs", import.meta.url))], { stdio: ["ignore", "ignore", "inherit"] });
}
