// Sessions that this unit ended because the other site's session for the same flow stands (conflict.ts): the state word
// that each had, until the winner has acknowledged it. A list: conflicts are rare.

import { YIELDS } from "../limits.ts";

export class Yields {
  private readonly rows = new Int32Array(YIELDS);
  private readonly states = new Int32Array(YIELDS);
  private count = 0;

  /** False when the list is full: the winner then goes on with what it knows. */
  remember(row: number, state: number): boolean {
    if (this.count === YIELDS) return false;
    this.rows[this.count] = row;
    this.states[this.count] = state;
    this.count = (this.count + 1) | 0;
    return true;
  }

  /** The state word before the end; 0 when the row did not yield. */
  stateOf(row: number): number {
    for (let k = 0; k < this.count; k = (k + 1) | 0) if (this.rows[k] === row) return this.states[k] as number;
    return 0;
  }

  forget(row: number): void {
    for (let k = 0; k < this.count; k = (k + 1) | 0) {
      if (this.rows[k] !== row) continue;
      this.count = (this.count - 1) | 0;
      this.rows[k] = this.rows[this.count] as number;
      this.states[k] = this.states[this.count] as number;
      return;
    }
  }
}
