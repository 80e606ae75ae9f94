// When to dial whom: paired units of higher number, at the addresses from which they were heard lately, with growing pauses. Of
// two units the lower one dials, so that there is one connection.
//
//   heard after silence ─► at once      attempted ─► 250 ms, 500 ms … 8 s      failed ─► the next address
//
// A unit with two twin ports is heard at two addresses: one that has fallen silent is dialled only if all have.

import { ADDRESSES_MOST, DIAL_MILLIS_LEAST } from "./limits.ts";

interface Heard {
  readonly address: string;
  atMillis: number;
}

interface Target {
  addresses: readonly Heard[];
  /** Whose turn it is. */
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
    target.addresses = withHeard(target.addresses, address, now);
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
      const { addresses } = target;
      const turns = addresses.map((_, k) => (target.next + k) % addresses.length);
      const turn = turns.find((k) => now - (addresses[k] as Heard).atMillis <= ABSENT_MILLIS) ?? (turns[0] as number);
      target.isDialling = true;
      this.options.dial(unit, (addresses[turn] as Heard).address, (isTaken) => {
        target.isDialling = false;
        target.dueMillis = this.options.nowMillis() + target.pauseMillis;
        // Taken is not yet up: it may be refused for what it says. Whoever ends a connection that was up calls `soon`.
        target.pauseMillis = Math.min(2 * target.pauseMillis, this.options.pauseMillisMost);
        target.next = isTaken ? turn : turn + 1;
      });
    }
  }
}

/** At most ADDRESSES_MOST: the one that was heard longest ago goes. */
function withHeard(addresses: readonly Heard[], address: string, atMillis: number): readonly Heard[] {
  const known = addresses.find((heard) => heard.address === address);
  if (known !== undefined) {
    known.atMillis = atMillis;
    return addresses;
  }
  const oldest = addresses.length < ADDRESSES_MOST ? undefined : addresses.reduce((one, other) => (other.atMillis < one.atMillis ? other : one));
  return [...addresses.filter((heard) => heard !== oldest), { address, atMillis }];
}
