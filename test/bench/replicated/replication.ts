// What replication itself does: how many new rows reach the second device in a second, how soon one is there, what it takes on the wire, and
// what two devices say to each other while nothing happens.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { GENERATOR_CORE, tellProgress } from "../agent.ts";
import { missingOf } from "../peers.ts";
import { type Comparison, compare, type Outcome } from "../result.ts";
import { highestRate, open } from "./open.ts";
import { PAIR_TITLES, type Pair, type PairName, startPair } from "./pair.ts";

const NAME = "replication";
const ROWS_FLOOR = 2;
const ROUNDS = 3;
const WIRE_RATE = 5_000;
const WARM_RATE = 20_000;
const PERCENT = 100;

interface Care {
  readonly rounds: number;
  readonly warmSessions: number;
  readonly idleMillis: number;
  readonly wireSessions: number;
  readonly probes: number;
  readonly stepMillis: number;
  readonly resolution: number;
}
const FULL: Care = { rounds: ROUNDS, warmSessions: 60_000, idleMillis: 3_000, wireSessions: 10_000, probes: 500, stepMillis: 600, resolution: 1.06 };
const QUICK: Care = { rounds: 1, warmSessions: 3_000, idleMillis: 500, wireSessions: 1_000, probes: 50, stepMillis: 100, resolution: 2 };

export const REPLICATION_PARAGRAPH = `The pairs of the benchmark \`setup\`. Rows/s: one datagram makes a session, and the rate is the highest at which less than 0.1 % of the second device's rows are missing. Row
visible: from a datagram's sending, by a socket of the kernel, to the moment when the second device counts one row more; asked as fast as it answers (Twinwall: its
tables in shared memory; conntrackd: its control socket, which costs the daemon time on the devices' core). Bytes per session: what both put on their cable meanwhile,
Ethernet headers included, less what they say anyway. Twinwall's are encrypted and authenticated, and it proves its tables equal all the time; conntrackd does neither.`;

interface Figures {
  readonly rows: number[];
  readonly p50: number[];
  readonly p99: number[];
  readonly tcpBytes: number[];
  readonly udpBytes: number[];
  readonly idleBytes: number[];
  readonly idleShare: number[];
}

const NAMES: readonly PairName[] = ["twinwall", "conntrackd"];

/** Runs inside the sandbox. */
export async function measureReplication(isQuick: boolean): Promise<Outcome> {
  const care = isQuick ? QUICK : FULL;
  const names = missingOf(["nftables", "conntrackd"]).length === 0 ? NAMES : NAMES.slice(0, 1);
  const empty = (): Figures => ({ rows: [], p50: [], p99: [], tcpBytes: [], udpBytes: [], idleBytes: [], idleShare: [] });
  const figures: Readonly<Record<PairName, Figures>> = { twinwall: empty(), conntrackd: empty() };
  for (let round = 0; round < care.rounds; round++) {
    for (const [k, name] of names.entries()) {
      const step = round * names.length + k;
      tellProgress(step / (care.rounds * names.length), `round ${round + 1}: ${PAIR_TITLES[name]}`);
      const pair = await startPair(name, `${process.pid % 1_000}r${step}`);
      try {
        await measureRound(pair, care, figures[name]);
      } finally {
        pair.stop();
      }
    }
  }
  return { comparisons: comparisonsOf(figures), charts: [], notes: [] };
}

async function measureRound(pair: Pair, care: Care, figures: Figures): Promise<void> {
  // Compilers and caches warm up on sessions.
  await open(pair, { pattern: "first", first: 0, sessions: care.warmSessions, rate: WARM_RATE });
  const [bytes, nanos] = [pair.syncBytes(), pair.processNanos()];
  await pause(care.idleMillis);
  const idlePerMilli = (pair.syncBytes() - bytes) / care.idleMillis;
  figures.idleBytes.push(idlePerMilli * 1_000);
  figures.idleShare.push(((pair.processNanos() - nanos) / (care.idleMillis * 1e6)) * PERCENT);
  let first = care.warmSessions;
  for (const [pattern, into] of [
    ["tcp", figures.tcpBytes],
    ["udp", figures.udpBytes],
  ] as const) {
    const [before, since] = [pair.syncBytes(), performance.now()];
    await open(pair, { pattern, first, sessions: care.wireSessions, rate: WIRE_RATE });
    const said = pair.syncBytes() - before - idlePerMilli * (performance.now() - since);
    into.push(said / care.wireSessions);
    first += care.wireSessions;
  }
  const micros = await probe(pair, care.probes);
  figures.p50.push(quantile(micros, 0.5));
  figures.p99.push(quantile(micros, 0.99));
  figures.rows.push((await highestRate(pair, "first", first, care)).rate);
}

/** Sends datagrams one by one; microseconds until each is a row at the second device. */
async function probe(pair: Pair, count: number): Promise<readonly number[]> {
  const command = [process.execPath, join(import.meta.dirname, "..", "programs", "row-probe.ts"), String(count), ...pair.rowsFrom];
  const strong = ["-n", "-20", "taskset", "-c", String(GENERATOR_CORE), "ip", "netns", "exec", pair.first.outside];
  const child = spawn("nice", [...strong, ...command], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as number[];
  throw new Error(`bench: ${pair.first.name}: the probe of rows ended`);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}

function comparisonsOf({ twinwall, conntrackd }: Readonly<Record<PairName, Figures>>): Comparison[] {
  const row = (figure: string, pick: keyof Figures, better: "more" | "less", floor?: number): Comparison =>
    compare({ benchmark: NAME, figure, peer: "conntrackd", ours: twinwall[pick], theirs: conntrackd[pick], better, ...(floor !== undefined && { floor }) });
  return [
    row("rows/s that reach the other device", "rows", "more", ROWS_FLOOR),
    row("a row is visible there, p50: us", "p50", "less"),
    row("a row is visible there, p99: us", "p99", "less"),
    row("bytes on the wire per TCP session, six packets", "tcpBytes", "less"),
    row("bytes on the wire per UDP session, two packets", "udpBytes", "less"),
    row("idle: bytes/s on the wire", "idleBytes", "less"),
    row("idle: both processes, % of a core", "idleShare", "less"),
  ];
}
