// Feeds the watchdog, as long as what the appliance is for goes on: the dataplane breathes and the store writes.
//
//   idle ──both seen well──► fed ──one of them stops──► starving ──both well again──► fed
//                             │                            └── the timeout passes: the kernel resets the appliance
//                             └──planned stop──► released
//
// It is not started before both were well once: an appliance whose store cannot write since its start passes traffic instead of being
// reset for ever. A watchdog that fails is told once, and tried again at each tick.

import type { Watchdog } from "../hal/contracts.ts";
import type { Log } from "./log.ts";

export const FEED_MILLIS = 1_000;
/** The store proves every 5 s that it writes; its slowest transaction takes less than the rest. */
const STORE_SILENT_MILLIS = 15_000;
/** A dataplane that is restarted is away for less: not worth a line. */
const STARVING_TOLD_MILLIS = 5_000;

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: "Load its driver, or correct the board.",
  EACCES: "Run the manager as root.",
  EBUSY: "Another program feeds it: stop that one.",
  ERANGE: "Give its driver a longer timeout.",
};
const REMEDY_OTHERWISE = "The appliance will not be reset when it hangs, or may be reset without need: replace it.";

export interface WatchdogKeeperOptions {
  /** undefined: the board has none. */
  readonly watchdog: Watchdog | undefined;
  readonly log: Log;
  /** Breaths of the dataplane so far; 0 while there are no tables. */
  breaths(): number;
  /** Called when feeding stops for long enough to matter, with the reason, and with an empty one when it goes on. */
  onStarving(reason: string): void;
}

export class WatchdogKeeper {
  private readonly options: WatchdogKeeperOptions;
  private lastBreaths = 0;
  private wroteAt = Number.NEGATIVE_INFINITY;
  private isArmed = false;
  private hasFailed = false;
  private wellAt = 0;
  private isTold = false;

  constructor(options: WatchdogKeeperOptions) {
    this.options = options;
  }

  /** The store has just written. */
  storeWrote(nowMillis: number): void {
    this.wroteAt = nowMillis;
  }

  /** Each FEED_MILLIS. Never throws for what the watchdog does. */
  tick(nowMillis: number): void {
    const breaths = this.options.breaths();
    const isBreathing = breaths !== this.lastBreaths && breaths > 0;
    this.lastBreaths = breaths;
    const reason = !isBreathing ? "the dataplane did not breathe" : nowMillis - this.wroteAt > STORE_SILENT_MILLIS ? "the store did not write" : "";
    if (reason !== "") this.starve(reason, nowMillis);
    else this.feed(nowMillis);
  }

  /** Stops it: a planned end. */
  release(): void {
    this.isArmed = false;
    this.guard(() => this.options.watchdog?.release());
  }

  private starve(reason: string, nowMillis: number): void {
    if (!this.isArmed || this.isTold || nowMillis - this.wellAt < STARVING_TOLD_MILLIS) return;
    this.isTold = true;
    const consequence = this.options.watchdog === undefined ? "" : " The watchdog is not fed and resets the appliance.";
    this.options.log.note("error", "starving", `For ${STARVING_TOLD_MILLIS / 1_000} s ${reason}.${consequence}`, { reason });
    this.options.onStarving(reason);
  }

  private feed(nowMillis: number): void {
    this.wellAt = nowMillis;
    this.isArmed = true;
    if (this.isTold) {
      this.isTold = false;
      this.options.log.note("notice", "well-again", "Dataplane and store work again.");
      this.options.onStarving("");
    }
    this.guard(() => this.options.watchdog?.feed());
  }

  private guard(act: () => void): void {
    const { log } = this.options;
    try {
      act();
      if (this.hasFailed) log.note("notice", "watchdog-works", "The watchdog works again.");
      this.hasFailed = false;
    } catch (error) {
      if (this.hasFailed) return;
      this.hasFailed = true;
      const { code, message } = error as NodeJS.ErrnoException;
      log.note("warning", "watchdog-failed", `The watchdog cannot be used: ${message}. ${REMEDIES[code ?? ""] ?? REMEDY_OTHERWISE}`, { cause: code ?? "" });
    }
  }
}
