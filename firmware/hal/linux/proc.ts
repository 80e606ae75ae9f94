// What the kernel tells in /proc about this network namespace and about processes. /proc/net follows the process's own
// namespace; /sys/class/net shows that of whoever mounted it.

import { readFileSync } from "node:fs";

/** Names of the network devices in this process's network namespace. */
export function networkDevices(): readonly string[] {
  const lines = readFileSync("/proc/self/net/dev", "utf8").split("\n").slice(2);
  return lines.filter((line) => line.includes(":")).map((line) => line.slice(0, line.indexOf(":")).trim());
}

/** Arguments that a live process was started with; undefined when there is no such process, or it is a zombie. */
export function argumentsOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return text === "" ? undefined : text.split("\0").slice(0, -1);
  } catch {
    return undefined;
  }
}

/** A number of this boot: another one after each reset. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
