// The machine in one line: what figures depend on, and nothing that would name it.

import { availableParallelism, cpus, release, totalmem } from "node:os";

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const version = /^\d+\.\d+(\.\d+)?/.exec(release())?.[0] ?? "?";
  return `${availableParallelism()} cores of ${model} (${process.arch}), ${gibibytes} GiB, Linux ${version}, Node ${process.versions.node}`;
}
