// Lamps that shine in memory: the lab's, and the tests'. As honest as lights: they go wrong when told to, and STATUS goes dark
// by itself when nobody ticks it.

import type { Lamp, LampColour, LampPattern } from "./contracts.ts";

/** An armed lamp is dark when it was not ticked for so long. */
export const ARMED_MILLIS = 1_000;

export class MemoryLamp implements Lamp {
  colour: LampColour = "green";
  pattern: LampPattern = "off";
  /** Flashes so far. */
  flashes = 0;
  /** Thrown by each call while it is set. */
  fault: Error | undefined;
  private readonly isArmed: boolean;
  private tickedAt = Number.NEGATIVE_INFINITY;
  private flashedAt = Number.NEGATIVE_INFINITY;

  /** `isArmed`: shines only while it is ticked. */
  constructor(isArmed: boolean) {
    this.isArmed = isArmed;
  }

  show(colour: LampColour, pattern: LampPattern): void {
    if (this.fault !== undefined) throw this.fault;
    this.colour = colour;
    this.pattern = pattern;
  }

  tick(nowMillis: number, pulse: boolean): void {
    if (this.fault !== undefined) throw this.fault;
    this.tickedAt = nowMillis;
    if (this.pattern !== "flash" || !pulse || nowMillis - this.flashedAt < 1_000) return;
    this.flashedAt = nowMillis;
    this.flashes++;
  }

  /** What a person sees. */
  seen(nowMillis: number): string {
    const isDark = this.pattern === "off" || (this.isArmed && nowMillis - this.tickedAt > ARMED_MILLIS);
    return isDark ? "off" : `${this.colour} ${this.pattern}`;
  }
}
