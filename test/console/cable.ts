// The person at the other end of a serial cable: a pseudo-terminal (cable.py) at a path where the firmware finds its serial line.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const PROGRAM = join(import.meta.dirname, "..", "lab", "programs", "cable.py");
const LOOK_MILLIS = 10;
const PATIENCE_MILLIS = 60_000;

export class Cable {
  /** Everything that came over the line since the cable was put in or `forget` was called. */
  seen = "";
  /** Bytes that came over the line. */
  bytes = 0;
  private readonly child: ChildProcess;

  private constructor(link: string) {
    this.child = spawn("python3", [PROGRAM, link], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.seen += text;
      this.bytes += text.length;
    });
    this.child.stdin?.on("error", () => undefined);
  }

  /** Puts the cable in; the line is then at `link`. */
  static async plug(link: string): Promise<Cable> {
    rmSync(link, { force: true });
    const cable = new Cable(link);
    for (let waited = 0; !existsSync(link); waited += LOOK_MILLIS) {
      if (waited > PATIENCE_MILLIS) throw new Error("there is no pseudo-terminal");
      await pause(LOOK_MILLIS);
    }
    return cable;
  }

  type(text: string | Uint8Array): void {
    this.child.stdin?.write(text);
  }

  /** Nobody looks at the screen any more: nothing is taken from the line. */
  lookAway(): void {
    this.child.stdout?.pause();
  }

  lookBack(): void {
    this.child.stdout?.resume();
  }

  forget(): void {
    this.seen = "";
  }

  /** Resolves when the screen has shown it. */
  async shows(what: string | RegExp): Promise<void> {
    const has = (): boolean => (typeof what === "string" ? this.seen.includes(what) : what.test(this.seen));
    for (let waited = 0; !has(); waited += LOOK_MILLIS) {
      if (waited > PATIENCE_MILLIS) throw new Error(`the line does not show ${what}, but ${JSON.stringify(this.seen.slice(-2_000))}`);
      await pause(LOOK_MILLIS);
    }
  }

  /** Pulls the cable at once, in the middle of whatever goes over it. */
  async pull(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}
