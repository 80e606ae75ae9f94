// Child processes as the keeper sees them: ones that we spawn, and one that an earlier manager left running.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { setPriority } from "node:os";
import type { Readable } from "node:stream";
import { argumentsOf } from "../hal/linux/proc.ts";
import type { Child } from "./keeper.ts";
import { readIfThere } from "./run-dir.ts";

/**
 * A pipe that nobody writes to. The kernel closes the files of a dying process from the highest descriptor down, and each
 * AF_XDP socket takes it 25 ms: this one tells of the death 10–25 ms after kill -9, the exit itself only after 90.
 */
const LIFELINE = 255;

/** How often an inherited process is looked at: it is not our child, so that no signal tells of its end. */
const LOOK_MILLIS = 50;

export interface Program {
  /** Path of the .ts file. */
  readonly file: string;
  /** Of Node itself. */
  readonly flags: readonly string[];
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptor that becomes number 3 of the child; -1: none. */
  readonly descriptor: number;
  /** Opens a message channel to the child. */
  readonly messages: boolean;
  /** Core to run on; -1: any. */
  readonly cpu: number;
  /** -20 (strongest) to 0. */
  readonly nice: number;
}

export interface SpawnedChild extends Child {
  /** Sends a message over the channel; nothing when there is none. */
  send(message: object): void;
  /** Messages that come over the channel. */
  onMessage(listener: (message: unknown) => void): void;
}

/** Runs a program of the firmware with this process's own Node. Its output goes where ours goes. */
export function spawnProgram(program: Program): SpawnedChild {
  const node = [process.execPath, ...program.flags, program.file, ...program.arguments];
  const [command, ...rest] = program.cpu >= 0 ? ["taskset", "-c", String(program.cpu), ...node] : node;
  const third = program.descriptor >= 0 ? program.descriptor : program.messages ? "ipc" : "ignore";
  const stdio = new Array<StdioOptions[number]>(LIFELINE + 1).fill("ignore");
  stdio.splice(0, 4, "ignore", "inherit", "inherit", third);
  stdio[LIFELINE] = "pipe";
  const child = spawn(command as string, rest, { stdio: stdio as StdioOptions, env: { ...process.env, ...program.environment } });
  if (child.pid === undefined) {
    child.on("error", () => undefined);
    throw new Error(`${command} cannot be executed`);
  }
  strengthen(child.pid, program.nice);
  const lifeline = (child.stdio as readonly unknown[])[LIFELINE] as Readable;
  lifeline.resume().on("error", () => undefined);
  return {
    pid: child.pid,
    onDying: (listener) => lifeline.once("close", listener),
    onExit: (listener) => onceGone(child, listener),
    kill: (signal) => child.kill(signal),
    send: (message) => tell(child, message),
    onMessage: (listener) => void child.on("message", listener),
  };
}

/** Process that a pid file names, if it runs and one of its arguments is `mark`; 0 when not. */
export function runningPid(pidFilePath: string, mark: string): number {
  const pid = Number(readIfThere(pidFilePath));
  return Number.isInteger(pid) && pid > 1 && argumentsOf(pid)?.includes(mark) === true ? pid : 0;
}

/** A process that an earlier manager started, as `runningPid` finds it. */
export function findRunning(pidFilePath: string, mark: string): Child | undefined {
  const pid = runningPid(pidFilePath, mark);
  if (pid === 0) return undefined;
  return {
    pid,
    onExit(listener) {
      const timer = setInterval(() => {
        if (argumentsOf(pid)?.includes(mark) === true) return;
        clearInterval(timer);
        listener(null, "unknown");
      }, LOOK_MILLIS);
    },
    kill: (signal) => {
      if (argumentsOf(pid)?.includes(mark) === true) process.kill(pid, signal);
    },
  };
}

function onceGone(child: ChildProcess, listener: (code: number | null, signal: string | null) => void): void {
  child.once("exit", listener);
  child.on("error", () => undefined); // A failed kill or send: the exit tells what matters.
}

function tell(child: ChildProcess, message: object): void {
  if (child.connected) child.send(message, () => undefined);
}

/** Without the right to it, the process runs as it is. */
function strengthen(pid: number, nice: number): void {
  try {
    if (nice !== 0) setPriority(pid, nice);
  } catch (error) {
    if (!["EACCES", "EPERM", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
