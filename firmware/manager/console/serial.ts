// The serial console of a unit: line, terminal and commands put together, and what of it is worth a line in the log.

import { openSerialLine } from "../../hal/linux/serial.ts";
import type { Log } from "../log.ts";
import { createJobs, type JobOptions } from "./job.ts";
import { type Entered, Terminal } from "./terminal.ts";

/** A line that comes and goes is told once in this time, and so is one that is noisy. */
const QUIET_MILLIS = 60_000;

export interface SerialConsoleOptions extends JobOptions {
  readonly device: string;
  /** Bits per second. */
  readonly baud: number;
  readonly log: Log;
  /** As TerminalOptions.configure. */
  configure(): Promise<Entered>;
}

export interface SerialConsole {
  /** There is something better to tell than the greeting told. */
  refresh(): void;
  close(): Promise<void>;
}

/** Opens the line and greets on it, now and each time that it comes back. */
export function startSerialConsole(options: SerialConsoleOptions): SerialConsole {
  const { device, baud, log, unit } = options;
  let quietUntil = 0;
  let noiseQuietUntil = 0;
  let isUp = false;
  let toldUp = false;
  const tellUp = (): void => {
    isUp = true;
    if (toldUp) return;
    toldUp = true;
    log.note("notice", "serial-up", `The serial console answers on ${device} at ${baud} baud.`, { device });
  };
  const tellDown = (reason: string): void => {
    if (performance.now() < quietUntil) return;
    if (isUp) quietUntil = performance.now() + QUIET_MILLIS;
    isUp = false;
    toldUp = false;
    log.note("warning", "serial-down", `The serial console cannot use ${device} (${reason}); it is tried again.`, { device });
  };
  const terminal = new Terminal({
    unit,
    send: (bytes) => line.write(bytes),
    run: createJobs(options),
    configure: () => options.configure(),
    nowMillis: () => performance.now(),
    onNoise() {
      if (performance.now() < noiseQuietUntil) return;
      noiseQuietUntil = performance.now() + QUIET_MILLIS;
      log.note("warning", "serial-noise", `What comes over ${device} is no typing: a wrong baud rate, or another machine's console.`, { ...terminal.counts });
    },
  });
  const line = openSerialLine(device, baud, {
    onUp() {
      tellUp();
      terminal.up();
    },
    onDown(reason) {
      tellDown(reason);
      terminal.down();
    },
    onData: (bytes) => terminal.receive(bytes),
  });
  return {
    refresh: () => terminal.refresh(),
    async close() {
      terminal.down();
      await line.close();
    },
  };
}
