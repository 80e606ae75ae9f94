// Benchmarks by name: what the product costs on this machine, beside its peers. Exit 1 when a floor is missed or a peer is missing.
//
//   npm run bench                        all of them: a table each, charts in build/bench/*.svg
//       --only NAME[,NAME…]              some of them (or: npm run bench -- NAME)
//       --json                           one array of comparisons on stdout and nothing else
//       --quick                          does everything work? Small, short, and without floors; what this machine cannot do is skipped
//       --install                        installs the peers' Debian packages first
//       --results FILE                   also writes how many benchmarks passed and failed
//
// What needs network namespaces runs in the lab's sandbox (inside.ts); this process is its agent outside. Measurements of the walk run
// in a process each, with the flags of the packet process: what V8 has learnt from another table would count.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DATAPLANE_NODE_FLAGS } from "../../firmware/node-flags.ts";
import { startCommandInSandbox } from "../lab/sandbox.ts";
import { answer, enlargeConntrack, type Message, raiseSession } from "./agent.ts";
import { CAPACITY_PARAGRAPH, measureGrowth } from "./capacity.ts";
import { drawChart } from "./chart.ts";
import { BREATH_MEASUREMENTS, type BreathFigure } from "./commit/breaths.ts";
import { breathComparisons, COMMIT_PARAGRAPH } from "./commit/commit.ts";
import { FORWARDING_PARAGRAPH } from "./forwarding/forwarding.ts";
import { drawGrowth } from "./growth-chart.ts";
import { JUDGE_MEASUREMENTS, JUDGE_PARAGRAPH, type JudgeFigure, measureJudge, type TakeApart } from "./judge.ts";
import { describeMachine } from "./machine.ts";
import { installPeers, missingOf, type PeerPackage } from "./peers.ts";
import { buildPrograms, PRODUCTS } from "./programs.ts";
import { endProgress, showProgress } from "./progress.ts";
import { ASYMMETRIC_PARAGRAPH } from "./replicated/asymmetric.ts";
import { REPLICATION_PARAGRAPH } from "./replicated/replication.ts";
import { SETUP_PARAGRAPH } from "./replicated/setup.ts";
import { type Comparison, type Outcome, shortcomings, table } from "./result.ts";
import { measureSync, SYNC_MEASUREMENTS, SYNC_PARAGRAPH, type SyncFigure } from "./sync.ts";
import { RESTART_PARAGRAPH } from "./takeover/restart.ts";
import { TAKEOVER_PARAGRAPH } from "./takeover/takeover.ts";
import { whyNoStand } from "./trial.ts";

interface Benchmark {
  readonly name: string;
  /** What is compared, and how. */
  readonly paragraph: string;
  /** What it needs on top of what the product does: packages, and namespaces with AF_XDP. Left out: nothing. */
  readonly stand?: { readonly peers: readonly PeerPackage[] };
  measure(isQuick: boolean): Promise<Outcome>;
}

const BENCHMARKS: readonly Benchmark[] = [
  { name: "judge", paragraph: JUDGE_PARAGRAPH, measure: (isQuick) => measureJudge(isQuick, takeHit("judge")) },
  { name: "sync", paragraph: SYNC_PARAGRAPH, measure: (isQuick) => measureSync(isQuick, (what, share) => apart<SyncFigure>("sync", "sync", what, share)) },
  {
    name: "forwarding",
    paragraph: FORWARDING_PARAGRAPH,
    stand: { peers: ["libbpf-dev"] },
    measure: (isQuick) => measureInside("forwarding", isQuick),
  },
  { name: "capacity", paragraph: CAPACITY_PARAGRAPH, stand: { peers: [] }, measure: measureCapacity },
  { name: "setup", paragraph: SETUP_PARAGRAPH, stand: { peers: ["conntrackd"] }, measure: (isQuick) => measureInside("setup", isQuick) },
  {
    name: "replication",
    paragraph: REPLICATION_PARAGRAPH,
    stand: { peers: ["conntrackd"] },
    measure: (isQuick) => measureInside("replication", isQuick),
  },
  { name: "asymmetric", paragraph: ASYMMETRIC_PARAGRAPH, stand: { peers: [] }, measure: (isQuick) => measureInside("asymmetric", isQuick) },
  {
    name: "takeover",
    paragraph: TAKEOVER_PARAGRAPH,
    stand: { peers: ["keepalived", "conntrackd", "conntrack"] },
    measure: (isQuick) => measureInside("takeover", isQuick),
  },
  { name: "restart", paragraph: RESTART_PARAGRAPH, stand: { peers: [] }, measure: (isQuick) => measureInside("restart", isQuick) },
  { name: "commit", paragraph: COMMIT_PARAGRAPH, stand: { peers: [] }, measure: measureCommits },
];

/** Each share of a benchmark's time that has passed is told at most this often. */
const PULSE_MILLIS = 200;

async function measureCapacity(isQuick: boolean): Promise<Outcome> {
  const [growth, bytes] = [await measureGrowth(isQuick, takeHit("capacity")), await measureInside("capacity", isQuick)];
  return { comparisons: [...growth.comparisons, ...bytes.comparisons], charts: growth.charts, notes: bytes.notes };
}

async function measureCommits(isQuick: boolean): Promise<Outcome> {
  const breaths = breathComparisons(await apart<BreathFigure>("commit", "commit", isQuick ? "breaths, quick" : "breaths", 0));
  const changes = await measureInside("commit", isQuick);
  return { ...changes, comparisons: [...changes.comparisons, ...breaths.comparisons], notes: [...changes.notes, ...breaths.notes] };
}

/** Measurements of one process each. */
const APART: Readonly<Record<string, ReadonlyMap<string, () => unknown>>> = {
  judge: JUDGE_MEASUREMENTS,
  sync: SYNC_MEASUREMENTS,
  commit: BREATH_MEASUREMENTS,
};

const takeHit =
  (benchmark: string): TakeApart =>
  (measurement, share) =>
    apart<JudgeFigure>(benchmark, "judge", measurement, share);

/** Takes a measurement of `list` in another process. Throws when that fails. */
async function apart<Figure>(benchmark: string, list: string, measurement: string, share: number): Promise<Figure> {
  showProgress(benchmark, share, measurement);
  const flags = [...DATAPLANE_NODE_FLAGS, "--expose-gc"];
  const child = spawn(process.execPath, [...flags, import.meta.filename, list, "--one", measurement], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${measurement}: failed`);
  return JSON.parse(said) as Figure;
}

/** Runs a benchmark in the sandbox, as its agent. Throws why it cannot. */
async function measureInside(name: string, isQuick: boolean): Promise<Outcome> {
  buildPrograms();
  const restore = enlargeConntrack();
  process.once("exit", restore);
  try {
    const inside = join(import.meta.dirname, "inside.ts");
    const sandbox = startCommandInSandbox([process.execPath, inside, name, ...(isQuick ? ["--quick"] : [])], "ipc");
    let outcome: Outcome | undefined;
    let toldAt = 0;
    sandbox.process.on("message", (message: Message) => {
      if (message.kind === "question") sandbox.process.send({ kind: "answer", value: answer(message.question, message.device) } satisfies Message);
      else if (message.kind === "outcome") outcome = message.outcome;
      else if (message.kind === "progress" && performance.now() > toldAt + PULSE_MILLIS) {
        toldAt = performance.now();
        showProgress(name, message.share, message.what);
      }
    });
    const code = await sandbox.exited;
    if (code !== 0 || outcome === undefined) throw new Error(`it ended with ${code}`);
    return outcome;
  } finally {
    process.off("exit", restore);
    restore();
  }
}

function writeCharts({ charts }: Outcome): readonly string[] {
  mkdirSync(PRODUCTS, { recursive: true });
  return charts.map((chart) => {
    writeFileSync(join(PRODUCTS, `${chart.name}.svg`), "along" in chart ? drawGrowth(chart) : drawChart(chart));
    return `build/bench/${chart.name}.svg`;
  });
}

interface Wish {
  /** All when none is named. */
  readonly names: readonly string[];
  readonly isQuick: boolean;
  readonly isJson: boolean;
  readonly results: string | undefined;
}

/** Runs benchmarks; the exit code. */
async function runBenchmarks({ names, isQuick, isJson, results }: Wish): Promise<number> {
  const say = (text: string): boolean => (isJson ? process.stderr : process.stdout).write(`${text}\n`);
  const comparisons: Comparison[] = [];
  const failures: string[] = [];
  let [passed, failed] = [0, 0];
  say(describeMachine());
  const noStand = whyNoStand();
  for (const { name, paragraph, stand, measure } of BENCHMARKS) {
    if (names.length > 0 && !names.includes(name)) continue;
    if (stand !== undefined && noStand !== undefined) {
      if (isQuick) say(`\n${name}: skipped, because this machine cannot run it: ${noStand}`);
      else failures.push(`${name}: ${noStand}`);
      continue;
    }
    for (const missing of missingOf(stand?.peers ?? [])) say(`\n${name}: Debian package ${missing} is missing, so its rows stay empty (--install brings it)`);
    const startedAt = performance.now();
    try {
      const outcome = await measure(isQuick);
      endProgress();
      const figures = isQuick ? outcome.comparisons.map((figure) => ({ ...figure, floor: null })) : outcome.comparisons;
      comparisons.push(...figures);
      if (!isQuick) failures.push(...shortcomings(figures));
      const charts = writeCharts(outcome);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      say(`\n${name} (${seconds} s)\n${paragraph}\n\n${table(figures)}`);
      for (const note of outcome.notes) say(note);
      if (charts.length > 0) say(`charts: ${charts.join(" ")}`);
      passed++;
    } catch (error) {
      endProgress();
      failed++;
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  for (const failure of failures) process.stderr.write(`bench: ${failure}\n`);
  if (isJson) process.stdout.write(`${JSON.stringify(comparisons)}\n`);
  if (results !== undefined) writeFileSync(results, `${JSON.stringify({ passed, failed, failures })}\n`);
  return failures.length > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const text = { type: "string" } as const;
  const options = { json: flag, quick: flag, install: flag, only: { type: "string", default: "" }, one: text, results: text } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  if (values.one !== undefined) {
    process.stdout.write(JSON.stringify(await APART[positionals[0] ?? ""]?.get(values.one)?.()));
    return 0;
  }
  const names = [...positionals, ...values.only.split(",").filter(Boolean)];
  const unknown = names.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`bench: no benchmark is called ${unknown}; there are: ${BENCHMARKS.map(({ name }) => name).join(", ")}\n`);
    return 2;
  }
  if (values.install && !installPeers()) process.stderr.write("bench: not every peer could be installed\n");
  process.once("exit", raiseSession());
  return runBenchmarks({ names, isQuick: values.quick, isJson: values.json, results: values.results });
}

// Whoever ends the run gets the machine back as it was.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
