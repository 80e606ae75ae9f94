// Runs a piece of TypeScript as a process of its own, so that a test can kill it. The text is an ES module in this
// folder: its imports are relative to it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";

export interface Program {
  readonly child: ChildProcess;
  /** Resolves with the next line of standard output that begins with `text`; rejects when the program ends before. */
  line(text: string): Promise<string>;
  /** Ends it with SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
}

let programs = 0;

/** `prefix`: a command to run it under, e.g. ["ip", "netns", "exec", "name"]. */
export function runProgram(text: string, prefix: readonly string[] = []): Program {
  const file = join(import.meta.dirname, `.program-${process.pid}-${programs++}.ts`);
  writeFileSync(file, text);
  const command = [...prefix, process.execPath, file];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit").then(() => rmSync(file, { force: true }));
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const each of waiting.splice(0)) each();
  };
  const reader: Interface = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on("line", (line) => {
    lines.push(line);
    wake();
  });
  reader.on("close", wake);
  const line = async (wanted: string): Promise<string> => {
    for (;;) {
      const index = lines.findIndex((each) => each.startsWith(wanted));
      if (index >= 0) return lines.splice(index, 1)[0] as string;
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the program ended (${child.exitCode ?? child.signalCode}) before it said "${wanted}"`);
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
  };
  return { child, line, kill };
}
