// GPIO lines, through onoff: lights without a LED driver, and buttons without an input driver. A line is named by its chip's label
// and its number on that chip, because the numbers that /sys/class/gpio wants begin elsewhere on every kernel (512 here, 0 there).
//
// Lines are opened when they are first needed and again after a fault, so that a chip whose driver comes late is no accident.

import { createRequire } from "node:module";
import { join } from "node:path";
import type { Button, LampPattern } from "../contracts.ts";
import type { Light } from "./lamps.ts";
import { attribute, entries } from "./sysfs.ts";

/** An open line, as onoff has it. */
export interface Line {
  readSync(): 0 | 1;
  writeSync(value: 0 | 1): void;
  unexport(): void;
}

/** Opens line `number` (as /sys/class/gpio counts). Throws the system's error. */
export type OpenLine = (number: number, direction: "in" | "low", activeLow: boolean) => Line;

export interface LinePlace {
  readonly chip: string;
  readonly line: number;
  readonly activeLow: boolean;
}

/** Opens a line of this machine. onoff is loaded when a board has lines: it needs its native part. */
export const openLine: OpenLine = (number, direction, activeLow) => {
  const { Gpio } = createRequire(import.meta.url)("onoff") as typeof import("onoff");
  return new Gpio(number, direction, "none", { activeLow });
};

/** The number that /sys/class/gpio has for a line. Throws ENOENT when there is no such chip. */
export function lineNumber(sysfs: string, place: LinePlace): number {
  const directory = join(sysfs, "class/gpio");
  const chips = entries(directory).filter((name) => name.startsWith("gpiochip"));
  const found = chips.find((name) => attribute(join(directory, name, "label")) === place.chip);
  const base = found === undefined ? undefined : attribute(join(directory, found, "base"));
  if (base !== undefined) return Number(base) + place.line;
  const labels = chips.map((name) => attribute(join(directory, name, "label"))).join(", ");
  throw Object.assign(new Error(`there is no GPIO chip ${place.chip} (found: ${labels === "" ? "none" : labels})`), { code: "ENOENT" });
}

/** A line that is opened when it is needed, and given up after a fault. */
class LazyLine {
  private readonly open: () => Line;
  private line: Line | undefined;

  constructor(open: () => Line) {
    this.open = open;
  }

  use<T>(act: (line: Line) => T): T {
    this.line ??= this.open();
    try {
      return act(this.line);
    } catch (error) {
      this.giveUp();
      throw error;
    }
  }

  private giveUp(): void {
    const { line } = this;
    this.line = undefined;
    try {
      line?.unexport();
    } catch {
      // The chip is gone: nothing is left to give back.
    }
  }
}

const SLOW_HALF_MILLIS = 500;
const FAST_HALF_MILLIS = 100;
const FLASH_MILLIS = 100;
const FLASH_EVERY_MILLIS = 1_000;

/** A light on a GPIO line, blinked by the tick. */
export class GpioLight implements Light {
  private readonly line: LazyLine;
  private pattern: LampPattern = "off";
  private level: 0 | 1 | -1 = -1;
  private flashedAt = Number.NEGATIVE_INFINITY;

  constructor(sysfs: string, place: LinePlace, open: OpenLine) {
    this.line = new LazyLine(() => open(lineNumber(sysfs, place), "low", place.activeLow));
  }

  set(pattern: LampPattern): void {
    this.pattern = pattern;
    this.level = -1;
    this.put(pattern === "off" || pattern === "flash" ? 0 : 1);
  }

  tick(nowMillis: number, pulse: boolean): void {
    if (this.pattern === "slow") this.put(halfOf(nowMillis, SLOW_HALF_MILLIS));
    else if (this.pattern === "fast") this.put(halfOf(nowMillis, FAST_HALF_MILLIS));
    else if (this.pattern === "flash") {
      if (pulse && nowMillis - this.flashedAt >= FLASH_EVERY_MILLIS) this.flashedAt = nowMillis;
      this.put(nowMillis - this.flashedAt < FLASH_MILLIS ? 1 : 0);
    }
  }

  private put(level: 0 | 1): void {
    if (level === this.level) return;
    this.line.use((line) => line.writeSync(level));
    this.level = level;
  }
}

function halfOf(nowMillis: number, halfMillis: number): 0 | 1 {
  return Math.floor(nowMillis / halfMillis) % 2 === 0 ? 1 : 0;
}

/** A button on a GPIO line. */
export class GpioButton implements Button {
  private readonly line: LazyLine;
  private pressedAt = -1;

  constructor(sysfs: string, place: LinePlace, open: OpenLine) {
    this.line = new LazyLine(() => open(lineNumber(sysfs, place), "in", place.activeLow));
  }

  poll(nowMillis: number): number {
    const isPressed = this.line.use((line) => line.readSync()) === 1;
    if (isPressed && this.pressedAt < 0) this.pressedAt = nowMillis;
    if (isPressed || this.pressedAt < 0) return -1;
    const held = nowMillis - this.pressedAt;
    this.pressedAt = -1;
    return held;
  }
}
