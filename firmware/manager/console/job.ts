// A console's command as a process of its own, the same program as `twinwall` on a shell. A question is SQL that a person writes: it
// can sort a million sessions or never end, and nothing in this process could stop it. The manager would feed no watchdog meanwhile.
//
// Measured (x86-64): a process answers in 0.13 s, of which Node's start takes 0.03 and SQLite the rest; sorting 200,000 sessions keeps
// it busy for 0.6 s, writing 100,000 takes it 560 MB, which is why its heap has an end. What it says waits in its pipe: it
// blocks there while the line is slow, and nothing piles up here.

import { type ChildProcess, spawn } from "node:child_process";
import { setPriority } from "node:os";
import { CONSOLE_HEAP_MEGABYTES, CONSOLE_SILENT_MILLIS } from "../../limits.ts";
import type { Places } from "../places.ts";
import { SCREEN_COLOURS, SCREEN_COLUMNS } from "./table.ts";
import type { JobListener, RunJob } from "./terminal.ts";

const COMPLAINT_MOST = 2_000;
/** On fewer columns a table of sessions would be cut to nothing that helps: it is written whole, and the terminal breaks the lines. */
const COLUMNS_LEAST = 100;
/** Behind everything that keeps the appliance going. */
const NICE = 10;
const STATUS_WRONG = 2;

export interface JobOptions {
  readonly unit: string;
  readonly places: Places;
  /** Path of the command's program. */
  readonly program: string;
  readonly compileCache: string;
}

/** A person's mistakes keep the code that they have; a command that died gets one. */
function complaintOf(said: string, status: number | null, signal: string | null): string {
  const lines = said.replace(/^twinwall: /gm, "");
  if (status !== null && status <= STATUS_WRONG) return lines;
  return `command-died: the command ended by ${signal ?? `status ${status}`}; ask for less (--limit, --where), or look at the manager's log.\n`;
}

function behindOthers(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) setPriority(child.pid, NICE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // It has ended already.
  }
}

class CommandProcess {
  private readonly child: ChildProcess;
  private readonly listener: JobListener;
  private said = "";
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(child: ChildProcess, listener: JobListener) {
    this.child = child;
    this.listener = listener;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (this.stopped) return;
      this.watch();
      listener.onText(text);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.said = (this.said + text).slice(0, COMPLAINT_MOST);
    });
    child.once("error", (error) => this.end(`command-not-started: ${error.message}.\n`));
    child.once("close", (status, signal) => this.end(complaintOf(this.said, status, signal)));
    behindOthers(child);
    this.watch();
  }

  pause(): void {
    clearTimeout(this.timer);
    this.child.stdout?.pause();
  }

  resume(): void {
    if (this.stopped || !this.child.stdout?.isPaused()) return;
    this.watch();
    this.child.stdout.resume();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.child.kill("SIGKILL");
    this.child.stdout?.destroy();
  }

  private watch(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.end(`command-silent: it said nothing for ${CONSOLE_SILENT_MILLIS / 1_000} s and was stopped; ask for less (--limit, --where).\n`);
      this.stop();
    }, CONSOLE_SILENT_MILLIS);
  }

  private end(complaint: string): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.stopped = true;
    this.listener.onEnd(complaint);
  }
}

/** Commands of one unit, as processes. */
export function createJobs({ unit, places, program, compileCache }: JobOptions): RunJob {
  return (words, screen, listener) => {
    const list = [`--max-old-space-size=${CONSOLE_HEAP_MEGABYTES}`, program, "--unit", unit, "--run-dir", places.directory, ...words];
    const columns = screen.answers && screen.columns >= COLUMNS_LEAST ? screen.columns : Number.POSITIVE_INFINITY;
    const surroundings = { [SCREEN_COLUMNS]: String(columns), [SCREEN_COLOURS]: screen.answers ? "1" : "0", NODE_COMPILE_CACHE: compileCache };
    const child = spawn(process.execPath, list, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...surroundings } });
    return new CommandProcess(child, listener);
  };
}
