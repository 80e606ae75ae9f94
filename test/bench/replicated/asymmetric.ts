// What it costs that a reply comes in at the wrong device: it is handed over the twin cable to the device that owns its session, inspected there
// and sent on. Nothing else does that, so it stands beside the straight way, of the same sessions at the same moment.
//
//            ┌────────────────────────────── right ─ straight ─┐
//    left ── first device, owner ══ twin cable ══ second ── right ─ handed ─┴── one host sends both: programs/latency.c, or a TCP (hosts.ts)

import { spawnSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { DEVICE_CORE, GENERATOR_CORE, tellProgress } from "../agent.ts";
import { OUT_MAC, PEER_MACS, SERVICE_PORT } from "../forwarding/stand.ts";
import { program } from "../programs.ts";
import { alone, type Chart, type Comparison, compare, median, type Outcome } from "../result.ts";
import { startHosts } from "./hosts.ts";
import { startTwinwallPair, type TwinwallPair } from "./pair.ts";

const NAME = "asymmetric";
const STRAIGHT = "the straight way";
/** A handoff adds so much at the median, at the most. */
const ADDED_MICROS_MOST = 100;
const FLOOR = 1;
/** Where the machine's other work hides what a handoff adds, it counts as this. */
const ADDED_MICROS_LEAST = 1;
const RATES = [1_000, 20_000] as const;
const WARM_RATE = 20_000;
const SESSIONS = 1_000;
const OPENING_RATE = 20_000;
const OPENED_MILLIS = 2_000;
/** Ways take turns so often. */
const TURNS_PER_SECOND = 10;
const LOSS_MOST = 0.001;

/** Where the second device runs: on the devices' core with the first one, or on the generator's, which then sleeps between two packets. */
type Sharing = "shared" | "apart";
const SHARINGS: readonly Sharing[] = ["shared", "apart"];
const SHARING_WORDS: Readonly<Record<Sharing, string>> = { shared: "devices on one core", apart: "a core each" };

interface Care {
  readonly rounds: number;
  readonly warmMillis: number;
  readonly latencyMillis: number;
  readonly transferMillis: number;
}
const FULL: Care = { rounds: 3, warmMillis: 2_000, latencyMillis: 4_000, transferMillis: 2_000 };
const QUICK: Care = { rounds: 1, warmMillis: 200, latencyMillis: 400, transferMillis: 300 };

export const ASYMMETRIC_PARAGRAPH = `A reply comes in at the device that owns its session (straight), or at the other one, which hands it over the twin cable, sealed, to the owner; there it is inspected and
goes out. One program sends both, a tenth of a second this way and a tenth that way, and takes a packet's time from just before it is sent to when the kernel has received it at the end.
Both devices share a core, or the second one shares the sender's. TCP: one connection between two kernels, its server's replies straight for a while and then handed over, both devices on one core,
which carries each packet twice then.`;

/** Of one run of programs/latency.c, microseconds. */
interface Times {
  readonly sent: number;
  readonly arrived: number;
  readonly p50: number;
  readonly p99: number;
}
interface Both<Figure> {
  readonly straight: Figure;
  readonly handed: Figure;
}
interface Condition {
  readonly sharing: Sharing;
  readonly rate: number;
  readonly rounds: Both<Times>[];
}

/** Runs inside the sandbox. */
export async function measureAsymmetric(isQuick: boolean): Promise<Outcome> {
  const care = isQuick ? QUICK : FULL;
  const conditions: readonly Condition[] = SHARINGS.flatMap((sharing) => RATES.map((rate) => ({ sharing, rate, rounds: [] })));
  const transfers: Both<number>[] = [];
  for (let round = 0; round < care.rounds; round++) {
    const tell = (share: number, what: string): void => tellProgress((round + share) / care.rounds, `round ${round + 1}: ${what}`);
    tell(0, "starting two devices");
    const pair = await startTwinwallPair(`${process.pid % 1_000}a${round}`);
    try {
      await openSessions(pair);
      for (const [k, { sharing, rate, rounds }] of conditions.entries()) {
        tell((k + 1) / (conditions.length + 2), `replies, ${titleOf({ sharing, rate })}`);
        rounds.push(measureLatency(pair, sharing, rate, care));
      }
      tell(1 - 1 / (conditions.length + 2), "TCP");
      transfers.push(await measureTransfer(pair, care));
    } finally {
      pair.stop();
    }
  }
  const charts = [chartOf("p50", "A reply's time, median", conditions), chartOf("p99", "A reply's time, 99th percentile", conditions)];
  return { comparisons: [...conditions.flatMap(comparisonsOf), comparisonOf(transfers)], charts, notes: notesOf(conditions) };
}

const titleOf = ({ sharing, rate }: Pick<Condition, "sharing" | "rate">): string => `${rate.toLocaleString("en-US")}/s, ${SHARING_WORDS[sharing]}`;

/** Opens sessions through the first device, both directions; waits until the second one knows them. */
async function openSessions(pair: TwinwallPair): Promise<void> {
  const before = pair.rowsThere();
  for (const way of ["forth", "back"] as const) pair.first.send({ order: "each", sessions: SESSIONS, bytes: 64, rate: OPENING_RATE, way });
  for (const until = performance.now() + OPENED_MILLIS; pair.rowsThere() < before + SESSIONS; await pause(20))
    if (performance.now() > until) throw new Error(`bench: ${pair.rowsThere() - before} of ${SESSIONS} sessions came up`);
}

function measureLatency(pair: TwinwallPair, sharing: Sharing, rate: number, care: Care): Both<Times> {
  putSecond(pair, sharing);
  // Compilers warm up on packets, of which a slow rate brings few.
  runLatency(pair, sharing, WARM_RATE, care.warmMillis);
  return runLatency(pair, sharing, rate, care.latencyMillis);
}

function putSecond(pair: TwinwallPair, sharing: Sharing): void {
  const core = sharing === "shared" ? DEVICE_CORE : GENERATOR_CORE;
  spawnSync("taskset", ["-p", "-c", String(core), String(pair.processes[1])]);
}

function runLatency(pair: TwinwallPair, sharing: Sharing, rate: number, millis: number): Both<Times> {
  const load = [SESSIONS, rate, rate / TURNS_PER_SECOND, (rate * millis) / 1_000].map(String);
  const ends = [PEER_MACS.right, OUT_MAC, String(SERVICE_PORT), sharing === "shared" ? "spin" : "sleep"];
  const command = [program("latency"), pair.first.outside, pair.second.outside, ...load, ...ends];
  const before = pair.handedOff();
  const { status, stdout, stderr } = spawnSync("nice", ["-n", "-20", "taskset", "-c", String(GENERATOR_CORE), ...command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench: latency: ${stderr.trim()} (exit ${status})`);
  const run = JSON.parse(stdout) as Both<Times>;
  const handed = pair.handedOff() - before;
  if (run.straight.arrived === 0 || run.handed.arrived === 0 || handed < run.handed.arrived)
    throw new Error(`bench: replies did not come by both ways: ${stdout.trim()}, ${handed} handed off`);
  return run;
}

/** Gbit/s by either way. */
async function measureTransfer(pair: TwinwallPair, care: Care): Promise<Both<number>> {
  putSecond(pair, "shared");
  const hosts = await startHosts(pair);
  try {
    hosts.fetch("handed", care.warmMillis);
    const before = pair.handedOff();
    const straight = hosts.fetch("straight", care.transferMillis);
    const between = pair.handedOff();
    const handed = hosts.fetch("handed", care.transferMillis);
    // What the end of the transfer before left under way may still come by the other device.
    if (pair.handedOff() - between < 10 * (between - before)) throw new Error("bench: replies did not come by both ways");
    return { straight, handed };
  } finally {
    hosts.stop();
  }
}

function comparisonsOf(condition: Condition): Comparison[] {
  const title = titleOf(condition);
  const pick = (which: "p50" | "p99"): { readonly ours: number[]; readonly theirs: number[] } => ({
    ours: condition.rounds.map(({ handed }) => handed[which]),
    theirs: condition.rounds.map(({ straight }) => straight[which]),
  });
  const added = (which: "p50" | "p99"): number[] => condition.rounds.map(({ straight, handed }) => handed[which] - straight[which]);
  const common = { benchmark: NAME, better: "less" } as const;
  const judged = added("p50").map((micros) => Math.max(micros, ADDED_MICROS_LEAST));
  const most = condition.rounds.map(() => ADDED_MICROS_MOST);
  return [
    compare({ ...common, figure: `a handoff adds, p50, ${title}: us`, peer: `${ADDED_MICROS_MOST} us`, ours: judged, theirs: most, floor: FLOOR }),
    alone(NAME, `a handoff adds, p99, ${title}: us`, median(added("p99"))),
    compare({ ...common, figure: `a handed reply, p50, ${title}: us`, peer: STRAIGHT, ...pick("p50") }),
    compare({ ...common, figure: `a handed reply, p99, ${title}: us`, peer: STRAIGHT, ...pick("p99") }),
  ];
}

function comparisonOf(transfers: readonly Both<number>[]): Comparison {
  const ours = transfers.map(({ handed }) => handed);
  const theirs = transfers.map(({ straight }) => straight);
  return compare({ benchmark: NAME, figure: `TCP, replies handed over, ${SHARING_WORDS.shared}: Gbit/s`, peer: STRAIGHT, ours, theirs, better: "more" });
}

function notesOf(conditions: readonly Condition[]): string[] {
  return conditions.flatMap((condition) => {
    const lost = condition.rounds.flatMap(({ straight, handed }) => [1 - straight.arrived / straight.sent, 1 - handed.arrived / handed.sent]);
    const worst = Math.max(...lost);
    return worst > LOSS_MOST ? [`${titleOf(condition)}: up to ${(worst * 100).toFixed(1)} % of the replies did not arrive and have no time`] : [];
  });
}

function chartOf(which: "p50" | "p99", title: string, conditions: readonly Condition[]): Chart {
  const middle = (way: keyof Both<Times>): number[] => conditions.map(({ rounds }) => median(rounds.map((round) => round[way][which])));
  const series = [
    { name: "handed over", values: middle("handed") },
    { name: "straight", values: middle("straight") },
  ];
  return { name: `${NAME}-${which}`, title, unit: "us", groups: conditions.map(titleOf), series };
}
