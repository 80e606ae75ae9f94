// What a benchmark inside the sandbox asks of the side outside: kernel threads cannot be seen from its process namespace, and
// conntrack's sizes belong to the first network namespace. The sizes are put back at the end.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Outcome } from "./result.ts";

/** `pin`: puts the NAPI threads of a device on the devices' core, answered by how many there are; `threadNanos`: their CPU time. */
export type Question = "pin" | "threadNanos";

/** Everything that the two sides say to each other. */
export type Message =
  | { readonly kind: "question"; readonly question: Question; readonly device: string }
  | { readonly kind: "answer"; readonly value: number }
  | { readonly kind: "progress"; readonly share: number; readonly what: string }
  | { readonly kind: "outcome"; readonly outcome: Outcome };

/** The generator has a core of its own; the device under test has the other, alone. */
export const GENERATOR_CORE = 0;
export const DEVICE_CORE = 1;

const SESSION = "/proc/self/autogroup";
const HASH_SIZE = "/sys/module/nf_conntrack/parameters/hashsize";
const SESSIONS_MOST = "/proc/sys/net/netfilter/nf_conntrack_max";
/** An entry lies in the hash twice, so that this is half full at 1,000,000. */
const BUCKETS = 2_097_152;

/** Outside: answers a question about threads called napi/DEVICE-…. */
export function answer(question: Question, device: string): number {
  const threads = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && readIfThere(`/proc/${pid}/comm`).startsWith(`napi/${device}-`));
  if (question === "threadNanos") return threads.reduce((sum, pid) => sum + Number(readIfThere(`/proc/${pid}/schedstat`).split(" ")[0]), 0);
  for (const pid of threads) spawnSync("taskset", ["-p", "-c", String(DEVICE_CORE), pid]);
  return threads.length;
}

/** Empty when the process has ended meanwhile. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Outside: room for a million conntrack entries, as their administrator would give them. Returns what puts the old sizes back. */
export function enlargeConntrack(): () => void {
  const files = [HASH_SIZE, SESSIONS_MOST].filter((file) => existsSync(file));
  const before = files.map((file) => readFileSync(file, "utf8").trim());
  for (const [k, file] of files.entries()) if (Number(before[k]) < BUCKETS) writeFileSync(file, String(BUCKETS));
  return () => {
    for (const [k, file] of files.entries()) writeFileSync(file, before[k] as string);
  };
}

/**
 * Where the kernel has autogroups, cores are shared out among sessions first and by nice value only within each: a "nice 19" job of another session
 * took half a core from a generator at -20. Puts this session before all others; returns what puts it back.
 */
export function raiseSession(): () => void {
  const before = /nice (-?\d+)/.exec(readIfThere(SESSION))?.[1];
  if (before === undefined || process.getuid?.() !== 0) return () => {};
  writeFileSync(SESSION, "-20");
  return () => writeFileSync(SESSION, before);
}

/** Inside: asks the other side and waits. */
export async function askOutside(question: Question, device: string): Promise<number> {
  return new Promise((resolve) => {
    const listen = (message: Message): void => {
      if (message.kind !== "answer") return;
      process.off("message", listen);
      resolve(message.value);
    };
    process.on("message", listen);
    process.send?.({ kind: "question", question, device } satisfies Message);
  });
}

/** Inside: says how far the benchmark is. */
export function tellProgress(share: number, what: string): void {
  process.send?.({ kind: "progress", share, what } satisfies Message);
}
