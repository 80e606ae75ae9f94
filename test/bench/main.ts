// Benchmarks by name: what the product costs on this machine, beside its peers. Exit 1 when a floor is missed or a peer is missing.
//
//   npm run bench                        all of them: a table each, charts in build/bench/*.svg
//       --only NAME[,NAME…]              some of them (or: npm run bench -- NAME)
//       --json                           one array of comparisons on stdout and nothing else
//       --quick                          does everything work? Small, short, and without floors
//       --install                        installs the peers' Debian packages first
//
// What needs network namespaces runs in the lab's sandbox (inside.ts); this process is its agent outside. Measurements of the walk run
// in a process each, with the flags of the packet process: what V8 has learnt from another table would count.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DATAPLANE_NODE_FLAGS } from "../../firmware/node-flags.ts";
import { startCommandInSandbox, whyNoSandbox } from "../lab/sandbox.ts";
import { answer, enlargeConntrack, type Message } from "./agent.ts";
import { CAPACITY_PARAGRAPH, measureGrowth } from "./capacity.ts";
import { drawChart } from "./chart.ts";
import { FORWARDING_PARAGRAPH } from "./forwarding/forwarding.ts";
import { JUDGE_MEASUREMENTS, JUDGE_PARAGRAPH, type JudgeFigure, measureJudge, type TakeApart } from "./judge.ts";
import { describeMachine } from "./machine.ts";
import { installPeers, missingFor } from "./peers.ts";
import { PRODUCTS, program } from "./programs.ts";
import { endProgress, showProgress } from "./progress.ts";
import { type Comparison, type Outcome, shortcomings, table } from "./result.ts";
import { measureSync, SYNC_MEASUREMENTS, SYNC_PARAGRAPH, type SyncFigure } from "./sync.ts";

interface Benchmark {
  readonly name: string;
  /** What is compared, and how. */
  readonly paragraph: string;
  measure(isQuick: boolean): Promise<Outcome>;
}

const BENCHMARKS: readonly Benchmark[] = [
  { name: "judge", paragraph: JUDGE_PARAGRAPH, measure: (isQuick) => measureJudge(isQuick, takeHit("judge")) },
  { name: "sync", paragraph: SYNC_PARAGRAPH, measure: (isQuick) => measureSync(isQuick, (what, share) => apart<SyncFigure>("sync", "sync", what, share)) },
  { name: "forwarding", paragraph: FORWARDING_PARAGRAPH, measure: (isQuick) => measureInside("forwarding", isQuick) },
  { name: "capacity", paragraph: CAPACITY_PARAGRAPH, measure: measureCapacity },
];

/** Each share of a benchmark's time that has passed is told at most this often. */
const PULSE_MILLIS = 200;

async function measureCapacity(isQuick: boolean): Promise<Outcome> {
  const [growth, bytes] = [await measureGrowth(isQuick, takeHit("capacity")), await measureInside("capacity", isQuick)];
  return { comparisons: [...growth.comparisons, ...bytes.comparisons], charts: growth.charts, notes: bytes.notes };
}

/** Measurements of one process each. */
const APART: Readonly<Record<string, ReadonlyMap<string, () => unknown>>> = { judge: JUDGE_MEASUREMENTS, sync: SYNC_MEASUREMENTS };

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
  const why = whyNoSandbox() ?? missingFor(name).map((each) => `no package ${each} (--install brings it)`)[0];
  if (why !== undefined) throw new Error(why);
  for (const each of ["generator", "reflector"] as const) program(each);
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
    writeFileSync(join(PRODUCTS, `${chart.name}.svg`), drawChart(chart));
    return `build/bench/${chart.name}.svg`;
  });
}

/** Runs benchmarks, all when none is named; the exit code. */
async function runBenchmarks(names: readonly string[], isQuick: boolean, isJson: boolean): Promise<number> {
  const say = (text: string): boolean => (isJson ? process.stderr : process.stdout).write(`${text}\n`);
  const comparisons: Comparison[] = [];
  const failures: string[] = [];
  say(describeMachine());
  for (const { name, paragraph, measure } of BENCHMARKS) {
    if (names.length > 0 && !names.includes(name)) continue;
    const startedAt = performance.now();
    try {
      const outcome = await measure(isQuick);
      endProgress();
      comparisons.push(...outcome.comparisons);
      failures.push(...shortcomings(outcome.comparisons));
      const charts = writeCharts(outcome);
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      say(`\n${name} (${seconds} s)\n${paragraph}\n\n${table(outcome.comparisons)}`);
      for (const note of outcome.notes) say(note);
      if (charts.length > 0) say(`charts: ${charts.join(" ")}`);
    } catch (error) {
      endProgress();
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  for (const failure of failures) process.stderr.write(`bench: ${failure}\n`);
  if (isJson) process.stdout.write(`${JSON.stringify(comparisons)}\n`);
  return failures.length > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const options = { json: flag, quick: flag, install: flag, only: { type: "string", default: "" }, one: { type: "string" } } as const;
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
  return runBenchmarks(names, values.quick, values.json);
}

// Whoever ends the run gets the machine back as it was.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
