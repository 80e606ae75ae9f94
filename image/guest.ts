// A guest that runs: what its serial line says, and a shell in it for tests (image/appliance/maintenance).

import type { ChildProcess } from "node:child_process";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Emulation, startEmulator } from "./emulator.ts";
import { ImageError } from "./steps.ts";

const RETRY_MILLIS = 200;
const ANSWER_MILLIS = 20;
/** The first command is answered when the guest has booted. */
const COMMAND_LIMIT_MILLIS = 300_000;
/** Terminal sequences that UEFI and GRUB send. */
const SEQUENCES = /\x1b(\[[0-9;?=]*[A-Za-z]|[78])|\r/g;

export class Guest {
  readonly name: string;
  private readonly process: ChildProcess;
  private readonly maintenance: string;
  private readonly startedAt = performance.now();
  private said = "";
  private ended = "";
  private shell: Socket | undefined;
  private heard = "";
  private commands = 0;

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

  /** Runs a command in the guest's shell, one at a time; before the guest has booted the shell answers late. */
  private async execute(command: string): Promise<{ readonly status: number; readonly output: string }> {
    const shell = await this.openShell();
    const mark = `twinwall-done-${++this.commands}`;
    this.heard = "";
    shell.write(`(\n${command}\n) </dev/null; echo "${mark} $?"\n`);
    const deadline = performance.now() + COMMAND_LIMIT_MILLIS;
    const answer = new RegExp(`^([\\s\\S]*?)^${mark} (\\d+)$`, "m");
    for (;;) {
      const found = answer.exec(this.heard);
      if (found !== null) return { status: Number(found[2]), output: (found[1] as string).trim() };
      if (this.ended !== "" || performance.now() > deadline) {
        const state = this.ended === "" ? "does not answer" : this.ended;
        throw new ImageError("image-guest", `guest ${this.name} ${state}, asked: ${command}`, `${this.heard}\n${this.serialText.slice(-1_000)}`);
      }
      await pause(ANSWER_MILLIS);
    }
  }

  /** The connection to the guest's shell. QEMU takes it at once and passes on what is written when the guest listens. */
  private async openShell(): Promise<Socket> {
    while (this.shell === undefined) {
      const socket = connect(this.maintenance);
      const isOpen = await new Promise<boolean>((resolve) => socket.once("connect", () => resolve(true)).once("error", () => resolve(false)));
      if (!isOpen && this.ended !== "") throw new ImageError("image-guest", `guest ${this.name} ${this.ended}`, this.serialText.slice(-1_000));
      if (!isOpen) await pause(RETRY_MILLIS);
      else this.shell = socket.on("error", () => undefined).on("data", (bytes: Buffer) => this.hearShell(bytes));
    }
    return this.shell;
  }

  private hearShell(bytes: Buffer): void {
    this.heard += bytes.toString("utf8");
  }

  stop(): void {
    this.shell?.destroy();
    this.process.kill("SIGKILL");
  }
}
