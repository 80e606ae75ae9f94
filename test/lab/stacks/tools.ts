// Ordinary tools in a host's namespace: what an administrator would type. Each ends within its limit, or is killed and has failed.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Failure } from "../measured.ts";

const PROGRAMS = join(import.meta.dirname, "..", "programs");
const LIMIT_MILLIS = 20_000;

/** What a shell script in a namespace prints. Rejects with a Failure that tells what it said when it fails or takes longer than `limitMillis`. */
export function tool(namespace: string, script: string, limitMillis = LIMIT_MILLIS): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("ip", ["netns", "exec", namespace, "sh", "-e", "-c", script], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMillis,
      killSignal: "SIGKILL",
    });
    let said = "";
    let complained = "";
    child.stdout.on("data", (bytes: Buffer) => {
      said += String(bytes);
    });
    child.stderr.on("data", (bytes: Buffer) => {
      complained += String(bytes);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(said);
      const how = signal === null ? `ended with ${code}` : `did not end within ${limitMillis} ms`;
      reject(new Failure(`in ${namespace}, ${script.split("\n")[0]?.slice(0, 120)} … ${how}: ${(complained.trim() || said.trim()).slice(-400)}`));
    });
  });
}

export interface Running {
  /** The next JSON object that it prints; rejects when it ends before. */
  next<T>(): Promise<T>;
  /** Writes a line to its standard input. */
  tell(line: string): void;
  stop(): void;
}

/** Starts one of test/lab/programs in a namespace; each prints a JSON object per line. */
export function startTool(namespace: string, program: string, args: readonly (string | number)[]): Running {
  const child = spawn("ip", ["netns", "exec", namespace, process.execPath, join(PROGRAMS, program), ...args.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async <T>() => {
      const { value, done } = await lines.next();
      if (done === true) throw new Failure(`${program} in ${namespace} ended before it said what it was asked`);
      return JSON.parse(value) as T;
    },
    tell: (line) => void child.stdin.write(`${line}\n`),
    stop: () => void child.kill("SIGKILL"),
  };
}
