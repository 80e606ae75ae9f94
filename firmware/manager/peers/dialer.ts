// When to dial whom: paired units of higher number, at the addresses from which they were heard lately, with growing pauses. Of
// two units the lower one dials, so that there is one connection.
//
//   heard after silence ─► at once      attempt failed ─► 250 ms, 500 ms … 8 s, the next address

import { ADDRESSES_MOST, DIAL_MILLIS_LEAST } from "./limits.ts";

interface Target {
  /** Latest last. */
  addresses: readonly string[];
  next: number;
  dueMillis: number;
  pauseMillis: number;
  isDialling: boolean;
  heardAtMillis: number;
}

/** Heard again after so long, a unit has probably started anew. */
const ABSENT_MILLIS = 3_000;

export interface DialerOptions {
  /** Is a connection wanted that is not there? */
  isWanted(unit: number): boolean;
  /** Dials; calls `done` once: true when the connection was taken. */
  dial(unit: number, address: string, done: (isTaken: boolean) => void): void;
  nowMillis(): number;
  /** Pauses grow to this. */
  readonly pauseMillisMost: number;
}

export class Dialer {
  private readonly options: DialerOptions;
  private readonly targets = new Map<number, Target>();

  constructor(options: DialerOptions) {
    this.options = options;
  }

  /** Somebody at this address says to be the unit. */
  seen(unit: number, address: string): void {
    const now = this.options.nowMillis();
    const target = this.targets.get(unit) ?? { addresses: [], next: 0, dueMillis: 0, pauseMillis: DIAL_MILLIS_LEAST, isDialling: false, heardAtMillis: 0 };
    this.targets.set(unit, target);
    if (!target.addresses.includes(address)) target.addresses = [...target.addresses, address].slice(-ADDRESSES_MOST);
    if (now - target.heardAtMillis > ABSENT_MILLIS) this.soon(unit);
    target.heardAtMillis = now;
    this.tick();
  }

  /** There is news about the unit: the next attempt need not wait. */
  soon(unit: number): void {
    const target = this.targets.get(unit);
    if (target === undefined) return;
    target.pauseMillis = DIAL_MILLIS_LEAST;
    target.dueMillis = 0;
  }

  /** Now and then. */
  tick(): void {
    const now = this.options.nowMillis();
    for (const [unit, target] of this.targets) {
      if (target.isDialling || now < target.dueMillis || !this.options.isWanted(unit)) continue;
      const address = target.addresses[target.next % target.addresses.length] as string;
      target.next++;
      target.isDialling = true;
      this.options.dial(unit, address, (isTaken) => {
        target.isDialling = false;
        target.dueMillis = this.options.nowMillis() + target.pauseMillis;
        target.pauseMillis = isTaken ? DIAL_MILLIS_LEAST : Math.min(2 * target.pauseMillis, this.options.pauseMillisMost);
        if (isTaken) target.next--;
      });
    }
  }
}
