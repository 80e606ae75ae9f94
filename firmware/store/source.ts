// What the store reads: a unit's tables, a clock, and the wall's. The process (store.ts) takes them from the machine, a test
// makes its own.

import type { Tables } from "../fastpath/memory/tables.ts";
import type { Clock } from "../hal/contracts.ts";

export interface Source {
  readonly tables: Tables;
  readonly clock: Clock;
  /** Time of day, milliseconds since 1970; may jump. */
  wallMillis(): number;
  /** Copies one session row as it was at one moment into `target` (256 bytes); false when it does not hold still. */
  snapshot(row: number, target: ArrayBuffer): boolean;
}

/** Time of day at which this boot's clock was 0: what turns its values into times of day. */
export function zeroMillis(source: Source): number {
  return Math.round(source.wallMillis() - source.clock.nowMicros() / 1000);
}
