// How the image's build runs commands and says so: one line when a step begins, one each ten seconds while it lasts, one when it ends.
// Everything goes to stderr. A step whose inputs and product are as they were is skipped (`unlessDone`).

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export const ROOT: string = join(import.meta.dirname, "..");
/** Everything that the build makes or downloads. */
export const WORK: string = join(ROOT, "build", "image");
/** Downloads: removing it fetches anew what Debian has by then. */
export const CACHE: string = join(WORK, "cache");

const PULSE_MILLIS = 10_000;
const KEPT_OUTPUT_CHARACTERS = 4_000;

/** What stops a build, for people: `code` is stable, the message says what was wrong and what to do. */
export class ImageError extends Error {
  readonly code: string;
  constructor(code: string, message: string, remedy: string) {
    super(`${message} [${code}]\n  ${remedy}`);
    this.code = code;
  }
}

export function say(text: string): void {
  process.stderr.write(`image: ${text}\n`);
}

/** Does some work as a step of its own; what `work` returns is said when it ends. */
export async function step(what: string, work: () => Promise<string>): Promise<void> {
  const startedAt = performance.now();
  const seconds = (digits: number): string => ((performance.now() - startedAt) / 1_000).toFixed(digits);
  say(`${what} …`);
  const pulse = setInterval(() => say(`${what}: ${seconds(0)} s`), PULSE_MILLIS);
  try {
    const result = await work();
    say(`${what}: ${result === "" ? "" : `${result}, `}${seconds(1)} s`);
  } finally {
    clearInterval(pulse);
  }
}

export interface RunOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
}

/** Runs a command quietly and returns what it printed. Throws ImageError `image-command` with the end of what it said. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd ?? ROOT, env: { ...process.env, ...options.environment }, stdio: ["pipe", "pipe", "pipe"] });
    const printed: Buffer[] = [];
    let complaints = "";
    const fail = (how: string): void => {
      const said = (complaints.trim() === "" ? Buffer.concat(printed).toString() : complaints).slice(-KEPT_OUTPUT_CHARACTERS).trim();
      reject(
        new ImageError(
          "image-command",
          `${command} ${args.slice(0, 4).join(" ")}: ${how}\n${said}`,
          "Mend what the command complains about and run the build again.",
        ),
      );
    };
    child.stdout.on("data", (bytes: Buffer) => printed.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => {
      complaints = (complaints + bytes.toString()).slice(-KEPT_OUTPUT_CHARACTERS);
    });
    child.on("error", (error) => fail(error.message));
    child.on("close", (code, signal) => (code === 0 ? resolve(Buffer.concat(printed).toString()) : fail(`exit ${code ?? signal}`)));
    child.stdin.on("error", () => undefined); // A command that ended early says so by its status.
    child.stdin.end(options.input ?? "");
  });
}

/** Runs a shell script; its arguments are $1, $2 … */
export function runShell(script: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
  return run("sh", ["-e", "-c", script, "sh", ...args], options);
}

/** Every file below some folders (or the files themselves), sorted. */
export function filesUnder(...places: readonly string[]): readonly string[] {
  return places.flatMap((place) =>
    readdirSync(place, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort(),
  );
}

/** Hash over texts, and over the files' names and contents. */
export function hashOf(texts: readonly string[], files: readonly string[] = []): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(text).update("\0");
  for (const file of files) hash.update(relative(ROOT, file)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

/** Makes `product` (a file or a directory) as a step, unless it is there and was made from the same inputs. */
export async function unlessDone(product: string, inputs: string, what: string, work: () => Promise<string>): Promise<void> {
  const stamp = `${product}.inputs`;
  if (existsSync(product) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;
  rmSync(stamp, { force: true });
  rmSync(product, { recursive: true, force: true });
  mkdirSync(dirname(product), { recursive: true });
  await step(what, work);
  writeFileSync(stamp, inputs);
}
