// Opens sessions through the first device of a pair, and says what that took and what the second device knows of it.

import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { GENERATOR_CORE } from "../agent.ts";
import { IN_MAC, OUT_MAC, PEER_MACS, type Run, SERVICE_PORT } from "../forwarding/stand.ts";
import { program } from "../programs.ts";
import type { Pair } from "./pair.ts";

/** `tcp`: three-way handshake and close; `udp`: a datagram each way; `first`: one datagram. */
export type Pattern = "tcp" | "udp" | "first";
export const PACKETS: Readonly<Record<Pattern, number>> = { tcp: 6, udp: 2, first: 1 };

/** Between two packets of a session. */
const LAG_MICROS = 10_000;
/** Lost at the most, of packets and of rows, for a rate to count. */
const LOSS_MOST = 0.001;
/** After the last packet, for rows to arrive. Where a rate is asked for they must keep up: what a buffer swallows is not replicated. */
const ARRIVAL_MILLIS = 1_000;
const KEEPS_UP_MILLIS = 60;
const RATE_LEAST = 500;
const RATE_MOST = 400_000;

export interface Opening {
  readonly pattern: Pattern;
  readonly first: number;
  readonly sessions: number;
  /** Sessions per second. */
  readonly rate: number;
}

export interface Opened extends Run {
  /** New rows at the second device, once no more came. */
  readonly rows: number;
}

function runOpener(pair: Pair, devices: readonly [string, string], { pattern, first, sessions, rate }: Opening): Run {
  const load = [pattern, first, sessions, rate, LAG_MICROS].map(String);
  const ends = [PEER_MACS.left, IN_MAC, PEER_MACS.right, OUT_MAC, String(SERVICE_PORT)];
  const command = [program("opener"), ...devices, ...load, ...ends, ...pair.processes.map(String)];
  const strong = ["-n", "-20", "taskset", "-c", String(GENERATOR_CORE), "ip", "netns", "exec", pair.first.outside];
  const { status, stdout, stderr } = spawnSync("nice", [...strong, ...command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench: opener: ${stderr.trim()} (exit ${status})`);
  return JSON.parse(stdout) as Run;
}

/** Opens sessions; waits until the second device has them, `arrivalMillis` at the most. */
export async function open(pair: Pair, opening: Opening, arrivalMillis = ARRIVAL_MILLIS): Promise<Opened> {
  const before = pair.rowsThere();
  const run = runOpener(pair, ["left", "right"], opening);
  const until = performance.now() + arrivalMillis;
  let rows = pair.rowsThere() - before;
  while (rows < opening.sessions && performance.now() < until) {
    await pause(20);
    rows = pair.rowsThere() - before;
  }
  return { ...run, rows };
}

/** CPU time per session that the second device has, less the generator's own, in nanoseconds. */
export interface SessionCost {
  /** Of all cores. */
  readonly all: number;
  /** Of the generator, the devices' processes and their threads. */
  readonly ours: number;
  /** What others used meanwhile, as a share of a core. */
  readonly others: number;
  /** Sessions that did not get there, as a share. */
  readonly lost: number;
}

export async function measureCost(pair: Pair, opening: Opening): Promise<SessionCost> {
  const empty = runOpener(pair, ["unplugged", "unplugged"], { ...opening, sessions: Math.ceil(opening.sessions / 4) });
  const threadsBefore = await pair.first.threadNanos();
  const run = await open(pair, opening);
  const threads = (await pair.first.threadNanos()) - threadsBefore;
  const all = cpus().length * run.windowNanos - run.idleNanos - run.spinNanos;
  const ours = run.ownNanos + run.processNanos + threads;
  const generator = (empty.ownNanos / empty.sent) * run.sent;
  const made = run.rows;
  return { all: (all - generator) / made, ours: (ours - generator) / made, others: (all - ours) / run.windowNanos, lost: 1 - made / opening.sessions };
}

async function untilQuiet(pair: Pair): Promise<void> {
  for (let [before, now] = [-1, pair.rowsThere()]; now !== before; ) {
    await pause(ARRIVAL_MILLIS / 5);
    [before, now] = [now, pair.rowsThere()];
  }
}

/** Highest rate, in sessions per second, at which less than 0.1 % of packets and of rows are missing; found by halving, each step tried twice. `next`: a session that was never used, and one that was not afterwards. */
export async function highestRate(
  pair: Pair,
  pattern: Pattern,
  next: number,
  care: { readonly stepMillis: number; readonly resolution: number },
): Promise<{ readonly rate: number; readonly next: number }> {
  let first = next;
  const opens = async (rate: number): Promise<number> => {
    for (let tries = 0; tries < 2; tries++) {
      const sessions = Math.ceil((rate * care.stepMillis) / 1_000);
      const run = await open(pair, { pattern, first, sessions, rate }, KEEPS_UP_MILLIS);
      first += sessions;
      // What is late does not count for the next step.
      if (run.rows < sessions) await untilQuiet(pair);
      const whole = 1 - LOSS_MOST;
      if (run.arrived >= run.sent * whole && run.rows >= sessions * whole) return (run.sent / PACKETS[pattern]) * (1e9 / run.nanos);
    }
    return 0;
  };
  let [low, high, best] = [RATE_LEAST, RATE_MOST, 0];
  while (high / low > care.resolution) {
    const middle = Math.sqrt(low * high);
    const achieved = await opens(middle);
    if (achieved > 0) {
      best = Math.max(best, achieved);
      low = middle;
      // The opener cannot offer more.
      if (achieved < middle * 0.9) break;
    } else high = middle;
  }
  return { rate: best, next: first };
}
