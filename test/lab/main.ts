// `npm start`: the picture on real network stacks, two units of Twinwall in it, and what it must show.
//
//   npm start                        stays up with both front panels drawn live until Ctrl-C
//   npm start -- --once              runs every scenario, ends with a table; exit 0 when all passed
//   npm start -- stacks              the second list: curl, ssh, iperf3, path-MTU discovery, loss, floods … (stacks/list.ts)
//   npm start -- pairs               the third list: four units, two pairs, in every deployment (pairs/list.ts)
//   npm start -- crowd               262,144 sessions, and the unit that owns them is killed
//       --repeat N                   each scenario N times, then also a table of gaps and lost transfers
//       --json                       one object on stdout and nothing else (progress goes to stderr)
//       --only NAME[,NAME…]          some of them; the beginning of names will do
//       --driver afxdp|pcap|simulator
//       --results FILE               also writes the object to a file
//
// This process starts itself again inside the sandbox (sandbox.ts). Where root, namespaces or the native build are missing, the
// scenarios run in the simulator, and a line says so.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runLive } from "./live.ts";
import { CROWDS, PAIRS } from "./pairs/list.ts";
import {
  ALL_NAMES,
  type AnyName,
  CROWD_NAMES,
  type LabDriver,
  type LabReport,
  PAIR_NAMES,
  reportOf,
  SCENARIO_NAMES,
  type ScenarioResult,
  STACK_NAMES,
} from "./result.ts";
import { repeatScenario, runScenario } from "./run.ts";
import { forgetSandbox, isInsideSandbox, rememberSandbox, startSandbox, whyNoSandbox } from "./sandbox.ts";
import { SCENARIOS } from "./scenarios.ts";
import { createScreen, type Screen, showRepeats, showReport } from "./screen.ts";
import { STACKS } from "./stacks/list.ts";
import type { UnitDriver } from "./unit.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NATIVE = join(ROOT, "build", "native", "twinwall.node");
const USAGE = "npm start -- [stacks|pairs|crowd] [--once] [--json] [--only NAME[,NAME…]] [--repeat N] [--driver afxdp|pcap|simulator] [--results FILE]";

interface Arguments {
  readonly once: boolean;
  readonly json: boolean;
  /** What runs: the chosen list, or the chosen names of both lists. */
  readonly names: readonly AnyName[];
  /** How often each of them runs. */
  readonly repeat: number;
  readonly driver: LabDriver | undefined;
  readonly results: string | undefined;
}

const LISTS = { stacks: STACK_NAMES, pairs: PAIR_NAMES, crowd: CROWD_NAMES } as const;

/** The scenario of that name; or all whose names begin with it, as `pair-active-killed` in every deployment. */
function namesMeantBy(text: string): readonly AnyName[] {
  const exact = ALL_NAMES.filter((name) => name === text);
  return exact.length > 0 ? exact : ALL_NAMES.filter((name) => name.startsWith(`${text}-`));
}

/** Reads the command line; a wrong one ends the process with status 2. */
function readArguments(): Arguments {
  const fail = (message: string): never => {
    console.error(`${message}\nusage: ${USAGE}`);
    process.exit(2);
  };
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    const options = { once: flag, json: flag, only: text, repeat: text, driver: text, results: text };
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const wrong = positionals.find((list) => !(list in LISTS));
    if (wrong !== undefined) fail(`there is no list ${wrong}`);
    const only = (values.only ?? "").split(",").filter(Boolean);
    const unknown = only.find((name) => namesMeantBy(name).length === 0);
    if (unknown !== undefined) fail(`there is no scenario ${unknown}; there are ${ALL_NAMES.join(", ")}`);
    const list = LISTS[positionals[0] as keyof typeof LISTS] ?? SCENARIO_NAMES;
    const repeat = Number(values.repeat ?? 1);
    if (!Number.isInteger(repeat) || repeat < 1 || repeat > 1_000) fail(`--repeat takes a number from 1 to 1000 (found ${values.repeat})`);
    const driver = values.driver;
    if (driver !== undefined && driver !== "afxdp" && driver !== "pcap" && driver !== "simulator") fail(`there is no driver ${driver}`);
    // JSON and single scenarios make sense only in a run that ends.
    const once = values.once || values.json || only.length > 0 || repeat > 1 || positionals.length > 0 || values.results !== undefined;
    const meant = only.flatMap(namesMeantBy);
    const names = only.length > 0 ? ALL_NAMES.filter((name) => meant.includes(name)) : list;
    return { once, json: values.json, names, repeat, driver: driver as LabDriver | undefined, results: values.results };
  } catch (error) {
    return fail((error as Error).message);
  }
}

/** Prints or writes the report; returns the exit code. */
function finish(given: Arguments, screen: Screen, report: LabReport): number {
  if (given.results !== undefined) writeFileSync(given.results, `${JSON.stringify(report)}\n`);
  showReport(screen, report);
  if (report.repeats !== undefined) showRepeats(screen, report.repeats);
  if (given.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.failed === 0 && report.passed > 0 ? 0 : 1;
}

/** Inside the sandbox: the scenarios, or the lab that stays. */
async function runInside(given: Arguments, screen: Screen): Promise<number> {
  const driver = given.driver as UnitDriver | undefined;
  if (!given.once) {
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => resolve());
    });
    try {
      await runLive(screen, driver, stopped);
      return 0;
    } catch (error) {
      screen.line(screen.paint("red", `The lab does not come up: ${(error as Error).message}`));
      return 1;
    }
  }
  const results: ScenarioResult[] = [];
  let used: LabDriver | undefined;
  for (const scenario of [...SCENARIOS, ...STACKS, ...PAIRS, ...CROWDS].filter(({ name }) => given.names.includes(name))) {
    const outcomes = given.repeat > 1 ? await repeatScenario(scenario, given.repeat, driver, screen) : [await runScenario(scenario, driver, screen)];
    results.push(...outcomes.map(({ result }) => result));
    used ??= outcomes[0]?.driver;
    // What is known is kept, however the run ends.
    if (given.results !== undefined) writeFileSync(given.results, `${JSON.stringify(reportOf(used ?? driver ?? "afxdp", results, given.repeat))}\n`);
  }
  return finish(given, screen, reportOf(used ?? driver ?? "afxdp", results, given.repeat));
}

/** The same scenarios in the simulator, with the production dataplane. */
async function runSimulator(given: Arguments, screen: Screen, why: string): Promise<number> {
  screen.line(`The lab runs in the simulator: ${why}.`);
  const { runSimulatedScenarios } = await import("../sim/lab.ts");
  const { buildUnit } = await import("../sim/production.ts");
  const names = SCENARIO_NAMES.filter((name) => given.names.includes(name));
  const left = given.names.filter((name) => !names.some((known) => known === name));
  if (left.length > 0) screen.line(`These need real network stacks, so they do not run: ${left.join(", ")}.`);
  // Nothing that this machine can run was asked for: that is not a failure.
  if (names.length === 0) return 0;
  return finish(given, screen, runSimulatedScenarios({ build: buildUnit, names, onLine: (line) => screen.line(`  ${line}`) }));
}

function whySimulator(given: Arguments): string | undefined {
  if (given.driver === "simulator") return "you asked for it";
  if (!existsSync(NATIVE)) return "the native addon is not built (npm start says why)";
  return whyNoSandbox();
}

async function main(): Promise<number> {
  const given = readArguments();
  const screen = createScreen(given.json ? process.stderr : process.stdout);
  if (isInsideSandbox()) return runInside(given, screen);
  const why = whySimulator(given);
  if (why !== undefined) return runSimulator(given, screen, why);
  const sandbox = startSandbox("test/lab/main.ts", process.argv.slice(2));
  rememberSandbox(sandbox);
  // A terminal sends Ctrl-C to the sandbox as well: a run that ends is simply cut off, a lab that stays says goodbye.
  process.on("SIGINT", () => {
    if (given.once) process.exit(130);
  });
  process.on("SIGTERM", () => process.exit(143));
  const code = await sandbox.exited;
  forgetSandbox();
  return code;
}

process.exit(await main());
