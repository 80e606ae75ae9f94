// What a person at the appliance meets, and what watches over it: lamps, button, watchdog, and why it was started last. Runs on timers
// of the manager's own; nothing here waits, and nothing here stops the manager.

import type { Board } from "../../board/board.ts";
import { LAMP_TICK_MILLIS } from "../hal/contracts.ts";
import { openLine } from "../hal/linux/gpio.ts";
import { bootId } from "../hal/linux/proc.ts";
import { LinuxWatchdog } from "../hal/linux/watchdog.ts";
import { ResetJournal } from "./last-reset.ts";
import type { Log } from "./log.ts";
import { FrontPanel } from "./panel/front-panel.ts";
import { createButton, createLamps, createPortLights } from "./panel/lamps.ts";
import { lookAt } from "./panel/look.ts";
import type { UnitTables } from "./tables.ts";
import type { Machine } from "./unit.ts";
import { FEED_MILLIS, WatchdogKeeper } from "./watchdog.ts";

export interface FrontOptions {
  readonly board: Board;
  readonly tables: UnitTables;
  readonly log: Log;
  /** Directory that outlives a reset. */
  readonly data: string;
  /** Root of the kernel's sysfs. */
  readonly sysfs: string;
  readonly machine: Pick<Machine, "nowMillis" | "monotonicMicros">;
}

export interface Front {
  storeWrote(): void;
  /** A planned stop begins: the watchdog goes on counting, so that it ends a stop that hangs. */
  stopFeeding(): void;
  /** The planned stop is over: releases the watchdog, lamps off. */
  stop(): void;
}

export function startFront(options: FrontOptions): Front {
  const { board, tables, log, sysfs, machine } = options;
  const places = { sysfs, openLine };
  const watchdog = board.watchdog === undefined ? undefined : new LinuxWatchdog(sysfs, board.watchdog.device);
  const journal = openJournal(options, watchdog);
  const keeper = new WatchdogKeeper({ watchdog, log, breaths: () => tables.breaths(), onStarving: (reason) => journal?.starving(reason) });
  const panel = new FrontPanel({
    lamps: createLamps(board, places),
    button: createButton(board, places),
    portLights: createPortLights(board, places),
    look: () => lookAt(tables.now(), machine.monotonicMicros(), true),
    log,
  });
  const lampTimer = setInterval(() => panel.tick(machine.nowMillis()), LAMP_TICK_MILLIS);
  const feedTimer = setInterval(() => keeper.tick(machine.nowMillis()), FEED_MILLIS);
  return {
    storeWrote: () => keeper.storeWrote(machine.nowMillis()),
    stopFeeding: () => clearInterval(feedTimer),
    stop() {
      clearInterval(lampTimer);
      keeper.release();
      panel.off(machine.nowMillis());
      journal?.stopped();
    },
  };
}

/** What became of the last run, told and kept. */
function openJournal({ data, log }: FrontOptions, watchdog: LinuxWatchdog | undefined): Guarded | undefined {
  const complain = (error: unknown): void => {
    log.note("warning", "last-reset-lost", `Why this appliance was started cannot be kept: ${(error as Error).message}. Check ${data}.`);
  };
  try {
    const journal = new ResetJournal(data, bootId(), watchdog?.resetCauses() ?? [], new Date().toISOString());
    const { cause, sentence } = journal.lastReset;
    const severity = cause === "planned" || cause === "first-start" ? "notice" : "warning";
    log.note(severity, "last-reset", `Last reset: ${sentence}`, { cause });
    const guard = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        complain(error);
      }
    };
    return { starving: (reason) => guard(() => journal.starving(reason)), stopped: () => guard(() => journal.stopped()) };
  } catch (error) {
    complain(error);
    return undefined;
  }
}

type Guarded = Pick<ResetJournal, "starving" | "stopped">;
