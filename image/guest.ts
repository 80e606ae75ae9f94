// A guest that runs: what its serial line says, and a shell in it for tests (image/appliance/maintenance).

import type { ChildProcess } from "node:child_process";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Emulation, startEmulator } from "./emulator.ts";
import { ImageError } from "./steps.ts";

const RETRY_MILLIS = 200;
const DONE = "twinwall-done";
/** Terminal sequences that UEFI and GRUB send. */
const SEQUENCES = /\x1b(\[[0-9;?=]*[A-Za-z]|[78])|\r/g;

export class Guest {
  readonly name: string;
  private readonly process: ChildProcess;
  private readonly maintenance: string;
  private readonly startedAt = performance.now();
  private said = "";
  private ended = "";

  private constructor(name: string, process: ChildProcess, maintenance: string) {
    this.name = name;
    this.process = process;
    this.maintenance = maintenance;
    const hear = (bytes: Buffer): void => {
      this.said += bytes.toString("utf8");
    };
    process.stdout?.on("data", hear);
    process.stderr?.on("data", hear);
    process.on("exit", (code, signal) => {
      this.ended = `ended (${code ?? signal})`;
    });
  }

  /** Switches a guest on. `given.maintenance` must be set. */
  static async start(name: string, given: Omit<Emulation, "serial"> & { readonly maintenance: string }): Promise<Guest> {
    return new Guest(name, await startEmulator({ ...given, serial: "stdio" }, ["ignore", "pipe", "pipe"]), given.maintenance);
  }

  /** Text of a terminal line without control sequences. */
  static readable(text: string): string {
    return text.replace(SEQUENCES, "");
  }

  /** What the serial line has said, as a person reads it. */
  get serialText(): string {
    return Guest.readable(this.said);
  }

  /** Seconds since it was switched on. */
  get seconds(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  /** Waits until the serial line says something; returns the seconds since power-on. Throws ImageError `image-guest`. */
  async untilSaid(pattern: RegExp, limitSeconds: number): Promise<number> {
    await this.until(`saying ${pattern}`, limitSeconds, async () => pattern.test(this.serialText));
    return this.seconds;
  }

  /** Waits until a command in the guest succeeds; returns what it printed. */
  async untilDone(what: string, command: string, limitSeconds: number): Promise<string> {
    let printed = "";
    await this.until(what, limitSeconds, async () => {
      const result = await this.execute(command);
      printed = result.output;
      return result.status === 0;
    });
    return printed;
  }

  private async until(what: string, limitSeconds: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + limitSeconds * 1_000;
    while (!(await isSo())) {
      if (this.ended !== "" || performance.now() > deadline) {
        const words = this.serialText.trim().split("\n").slice(-15).join("\n    ");
        const state = this.ended === "" ? `after ${limitSeconds} s still not ${what}` : this.ended;
        throw new ImageError("image-guest", `guest ${this.name}: ${state}`, `Its serial line said last:\n    ${words}`);
      }
      await pause(RETRY_MILLIS);
    }
  }

  /** Runs a command in the guest's shell. Throws when the command fails. */
  async run(command: string): Promise<string> {
    const { status, output } = await this.execute(command);
    if (status !== 0) throw new ImageError("image-guest", `in guest ${this.name}: ${command}: status ${status}`, output);
    return output;
  }

  /** Runs a command in the guest's shell over a connection of its own; tries until the shell answers. */
  private async execute(command: string): Promise<{ readonly status: number; readonly output: string }> {
    for (;;) {
      if (this.ended !== "") throw new ImageError("image-guest", `guest ${this.name} ${this.ended}`, this.serialText.slice(-1_000));
      const answer = await this.ask(`${command}\necho "${DONE} $?"\n`);
      if (answer !== undefined) return answer;
      await pause(RETRY_MILLIS);
    }
  }

  private ask(script: string): Promise<{ readonly status: number; readonly output: string } | undefined> {
    return new Promise((resolve) => {
      const socket: Socket = connect(this.maintenance);
      let text = "";
      const finish = (answer: { readonly status: number; readonly output: string } | undefined): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(answer);
      };
      // A shell that is not there yet says nothing.
      const timer = setTimeout(() => finish(undefined), 60_000);
      socket.on("error", () => finish(undefined));
      socket.on("close", () => finish(undefined));
      socket.on("connect", () => socket.write(script));
      socket.on("data", (bytes) => {
        text += bytes.toString("utf8");
        const end = new RegExp(`^${DONE} (\\d+)$`, "m").exec(text);
        if (end !== null) finish({ status: Number(end[1]), output: text.slice(0, end.index).trim() });
      });
    });
  }

  stop(): void {
    this.process.kill("SIGKILL");
  }
}
