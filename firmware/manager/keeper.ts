// Keeps one child process alive.
//
//   idle ──start──► running ──exit──► (crash noted) ──► running        restarted at once: sessions wait
//                      │                    └──────────► failed         three crashes in 10 s: stays down, fail closed
//                      └──stop──► stopping ──exit──► idle               asked first, killed when it does not go
//
// Whatever was not asked for is a crash, also an exit with status 0. Time and processes are arguments.

import type { Log } from "./log.ts";

export const CRASHES_MOST = 3;
export const CRASH_WINDOW_MILLIS = 10_000;

/** A running process. */
export interface Child {
  readonly pid: number;
  /** Called once, before the exit, when the process is seen to die; not by every child. */
  onDying?(listener: () => void): void;
  /** Called once. */
  onExit(listener: (code: number | null, signal: string | null) => void): void;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

export interface KeeperOptions {
  /** What messages call it: `dataplane`. */
  readonly name: string;
  readonly log: Log;
  /** Starts the process. May throw: that counts as a crash. */
  spawn(): Child;
  nowMillis(): number;
  /** As soon as it is known that it crashed, before the restart. */
  onCrash(): void;
  /** When it stays down. */
  onFailed(): void;
}

type State = "idle" | "running" | "stopping" | "failed";

export class Keeper {
  state: State = "idle";
  child: Child | undefined;
  private readonly options: KeeperOptions;
  private readonly crashes: number[] = [];
  private stopped: (() => void) | undefined;

  constructor(options: KeeperOptions) {
    this.options = options;
  }

  /** Starts the process, or takes over one that runs already. */
  start(running?: Child): void {
    const { log, name } = this.options;
    this.state = "running";
    try {
      this.child = running ?? this.options.spawn();
    } catch (error) {
      log.note("error", `${name}-not-started`, `The ${name} could not be started: ${(error as Error).message}`);
      this.crashed();
      return;
    }
    const { child } = this;
    const text = running === undefined ? `The ${name} runs` : `The ${name} of an earlier manager still runs and is kept`;
    log.note("notice", `${name}-spawned`, `${text} (process ${child.pid}).`, { pid: child.pid });
    child.onDying?.(() => {
      if (this.state === "running" && this.child === child) this.crashed();
    });
    child.onExit((code, signal) => this.exited(child, code, signal));
  }

  /**
   * Asks the process to go, and kills it after `graceMillis`. Resolves when it is gone; at once when it does not run.
   * `setTimer` runs a function later and returns what calls that off.
   */
  stop(ask: (child: Child) => void, graceMillis: number, setTimer: (run: () => void, millis: number) => () => void): Promise<void> {
    const { child } = this;
    if (this.state !== "running" || child === undefined) {
      this.state = this.state === "failed" ? "failed" : "idle";
      return Promise.resolve();
    }
    this.state = "stopping";
    return new Promise((resolve) => {
      const callOff = setTimer(() => {
        this.options.log.note("warning", `${this.options.name}-killed`, `The ${this.options.name} did not stop within ${graceMillis} ms and is killed.`);
        child.kill("SIGKILL");
      }, graceMillis);
      this.stopped = () => {
        callOff();
        resolve();
      };
      ask(child);
    });
  }

  private exited(child: Child, code: number | null, signal: string | null): void {
    const { log, name } = this.options;
    const how = signal === null ? `status ${code}` : signal;
    if (this.state === "stopping" && this.child === child) {
      this.child = undefined;
      this.state = "idle";
      log.note("notice", `${name}-stopped`, `The ${name} stopped (${how}).`, { how });
      this.stopped?.();
      return;
    }
    log.note("error", `${name}-exited`, `The ${name} exited (${how}).`, { how });
    // One that was seen to die is replaced already: the next one loads while the kernel still closes this one's sockets.
    if (this.child === child) this.crashed();
  }

  private crashed(): void {
    const { log, name } = this.options;
    const now = this.options.nowMillis();
    this.child = undefined;
    this.crashes.push(now);
    while ((this.crashes[0] as number) <= now - CRASH_WINDOW_MILLIS) this.crashes.shift();
    if (this.crashes.length >= CRASHES_MOST) {
      this.state = "failed";
      log.note(
        "error",
        `${name}-failed`,
        `The ${name} exited ${CRASHES_MOST} times within ${CRASH_WINDOW_MILLIS / 1_000} s and stays down. Correct the cause, then restart the manager.`,
      );
      this.options.onFailed();
      return;
    }
    this.options.onCrash();
    this.start();
  }
}
