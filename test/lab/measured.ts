// What a scenario returns, and how it fails: with a sentence, and with what it had measured until then.

import type { ScenarioResult } from "./result.ts";

/** Figures of a result; what is unknown stays away. */
export type Measured = Omit<ScenarioResult, "name" | "passed" | "durationMs">;

/** A scenario did not show what it should. */
export class Failure extends Error {
  readonly measured: Partial<Measured>;
  constructor(message: string, measured: Partial<Measured> = {}) {
    super(message);
    this.measured = measured;
  }
}

export function must(condition: boolean, message: string, measured: Partial<Measured> = {}): void {
  if (!condition) throw new Failure(message, measured);
}
