// What the kernel tells in /sys about the machine. The root is an argument: tests give a directory of their own.

import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join, relative } from "node:path";

export const SYSFS = "/sys";

/** A network device and the path of what it belongs to, below /sys/devices; empty for devices without hardware. */
export interface NetworkDevice {
  readonly name: string;
  readonly path: string;
}

/** Network devices of the namespace that /sys was mounted in, by name. */
export function networkDevicePaths(sysfs: string): readonly NetworkDevice[] {
  return entries(join(sysfs, "class/net")).map((name) => ({ name, path: devicePath(sysfs, join(sysfs, "class/net", name, "device")) }));
}

/** Names in a directory, sorted; none when it is not there. */
export function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** An attribute's text without its line end; undefined when it cannot be read. */
export function attribute(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trimEnd();
  } catch {
    return undefined;
  }
}

function devicePath(sysfs: string, link: string): string {
  try {
    return relative(join(realpathSync(sysfs), "devices"), realpathSync(link));
  } catch {
    return "";
  }
}
