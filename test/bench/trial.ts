// Can this machine run the benchmarks beside peers? They need namespaces, and an AF_XDP socket in them.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { whyNoSandbox } from "../lab/sandbox.ts";
import { program } from "./programs.ts";

const NATIVE = join(import.meta.dirname, "..", "..", "build", "native", "twinwall.node");

/** Why not; undefined when it can. */
export function whyNoStand(): string | undefined {
  const why = existsSync(NATIVE) ? whyNoSandbox() : "the native addon is not built (npm run prepared says why)";
  if (why !== undefined) return why;
  try {
    const { status, stderr } = spawnSync("unshare", ["--net", "sh", "-c", `ip link set lo up && exec ${program("trial")} lo`], { encoding: "utf8" });
    return status === 0 ? undefined : `no AF_XDP socket here (${stderr.trim()})`;
  } catch {
    return "the benchmark's C programs cannot be compiled";
  }
}
