// The kernel's watchdog. Opening its device starts it, each write puts off the reset, and closing it stops it only after the magic
// letter, so a process that dies leaves it running. Its timeout is its driver's (ioctls are not to be had from here) and is read
// from /sys, as is what it remembers of the last reset.

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import type { ResetCause, Watchdog } from "../contracts.ts";
import { attribute } from "./sysfs.ts";

const MAGIC_CLOSE = "V";
const FOOD = "\0";
/** A shorter timeout leaves no time for a manager that is restarted. */
export const TIMEOUT_SECONDS_LEAST = 10;

/** WDIOF_* of linux/watchdog.h, as far as they are causes of a reset. */
const CAUSES: readonly (readonly [number, ResetCause])[] = [
  [0x0001, "overheated"],
  [0x0002, "fan-fault"],
  [0x0004, "external"],
  [0x0008, "external"],
  [0x0010, "power-low"],
  [0x0020, "watchdog"],
  [0x0040, "power-high"],
];

export class LinuxWatchdog implements Watchdog {
  private readonly device: string;
  private readonly directory: string;
  private descriptor = -1;

  constructor(sysfs: string, device: string) {
    this.device = device;
    this.directory = join(sysfs, "class/watchdog", basename(device));
  }

  feed(): void {
    if (this.descriptor < 0) this.open();
    try {
      writeSync(this.descriptor, FOOD);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  release(): void {
    if (this.descriptor < 0) return;
    try {
      writeSync(this.descriptor, MAGIC_CLOSE);
    } finally {
      this.close();
    }
  }

  resetCauses(): readonly ResetCause[] {
    const bits = Number(attribute(join(this.directory, "bootstatus")) ?? 0);
    return [...new Set(CAUSES.filter(([bit]) => (bits & bit) !== 0).map(([, cause]) => cause))];
  }

  private open(): void {
    const seconds = Number(attribute(join(this.directory, "timeout")) ?? Number.POSITIVE_INFINITY);
    if (seconds < TIMEOUT_SECONDS_LEAST) {
      const message = `${this.device} resets after ${seconds} s already, and at least ${TIMEOUT_SECONDS_LEAST} s are needed`;
      throw Object.assign(new Error(message), { code: "ERANGE" });
    }
    this.descriptor = openSync(this.device, constants.O_WRONLY);
  }

  /** Without the magic letter: it goes on counting until it is opened again. */
  private close(): void {
    const { descriptor } = this;
    this.descriptor = -1;
    closeSync(descriptor);
  }
}
