// npm run mutate [-- --ids F5,T1] [--all] | [-- --twin]
//
// Switches one rule after another off (mutations.ts) in a scratch copy of what is committed, runs the tests that cite the rule's
// ids, quick ones first, until each id has a test that fails, and prints which fail. A rule whose absence no test of each of its ids
// notices has survived: that fails. --twin puts one bug after another into the twin instead (twin.ts) and lets the simulator tell stories,
// from seed 1 on, until it finds it, and prints the seed; a bug that it does not find within TWIN_MINUTES fails. --all runs every one of these tests, and lists in the end those that no missing rule has made fail.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Citation, citations } from "../requirements.ts";
import { MUTATIONS, type Mutation, staleness } from "./mutations.ts";
import { TWIN_MUTATIONS, type TwinMutation } from "./twin.ts";

const ROOT = join(import.meta.dirname, "../..");
/** These make namespaces and processes, or run for long: the rules that they show have other tests too. */
const LEFT_OUT = ["test/lab/", "test/hal/linux/", "test/fuzz/", "test/manager/"];
const JOBS = 2;
const LIMIT_MILLIS = 120_000;
/** Of the failing tests' names, in a line. */
const SHOWN = 160;
/** What plays scripts. */
const PLAYERS = { evasions: "test/evasions.test.ts", other: "test/scripts/scripts.test.ts" };

interface Run {
  readonly file: string;
  readonly names: readonly string[];
}

const TWIN_MINUTES = 5;
const MINUTE_MILLIS = 60_000;

const { values } = parseArgs({ options: { ids: { type: "string" }, all: { type: "boolean", default: false }, twin: { type: "boolean", default: false } } });

/** The files to run for some ids, each with the names of the tests that are wanted. */
function runsFor(ids: readonly string[], all: readonly Citation[]): readonly Run[] {
  const wanted = all.filter((citation) => citation.ids.some((id) => ids.includes(id)) && !LEFT_OUT.some((folder) => citation.file.startsWith(folder)));
  const files = Map.groupBy(wanted, ({ file }) => (!file.endsWith(".packets") ? file : file.endsWith("evasions.packets") ? PLAYERS.evasions : PLAYERS.other));
  return [...files].map(([file, tests]) => ({ file, names: tests.map(({ name }) => name) }));
}

/** Names of the tests that fail; a file that breaks altogether fails with all of its wanted tests. */
async function failing(scratch: string, { file, names }: Run): Promise<readonly string[]> {
  const starts = names.map((name) => name.split("${")[0]?.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  const vectors = process.env["TWINWALL_VECTORS"] ?? join(ROOT, "../shared/vectors");
  const env = { ...process.env, TAP_GREP: `/^(?:${starts.join("|")})/`, TWINWALL_VECTORS: vectors, NODE_COMPILE_CACHE: join(scratch, ".compiled") };
  const child = spawn(process.execPath, [file], { cwd: scratch, env, stdio: ["ignore", "pipe", "ignore"], timeout: LIMIT_MILLIS, killSignal: "SIGKILL" });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const failed = [...text.matchAll(/^not ok \d+ - (.*?)(?: # time=.*)?$/gm)].map((match) => match[1] as string);
  const named = failed.filter((name) => names.some((wanted) => name.startsWith(wanted.split("${")[0] as string)));
  return code !== 0 && named.length === 0 ? names.map((name) => `${name} (the file broke)`) : named;
}

/** Runs file by file, a few at a time, until `isEnough`. */
async function failingOf(scratch: string, runs: readonly Run[], isEnough: (found: readonly string[]) => boolean): Promise<readonly string[]> {
  const waiting = [...runs].sort((a, b) => costOf(a) - costOf(b));
  const found: string[] = [];
  const worker = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined && !isEnough(found); run = waiting.shift()) found.push(...(await failing(scratch, run)));
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
  return found;
}

/** Simulated worlds take seconds, scripts one or two, the rest less. */
function costOf({ file }: Run): number {
  return file.startsWith("test/sim/") || file.startsWith("test/twin/") ? 2 : Object.values(PLAYERS).includes(file) ? 1 : 0;
}

/** Puts the mutation into the scratch copy; returns what undoes it. */
function apply(scratch: string, { file, find, replace }: Mutation): () => void {
  const path = join(scratch, file);
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  return () => writeFileSync(path, text);
}

function makeScratch(): string {
  const scratch = join(mkdtempSync(join(tmpdir(), "twinwall-mutate-")), "copy");
  execFileSync("git", ["worktree", "add", "--quiet", "--detach", scratch, "HEAD"], { cwd: ROOT });
  for (const folder of ["node_modules", "build"]) if (existsSync(join(ROOT, folder))) symlinkSync(join(ROOT, folder), join(scratch, folder));
  return scratch;
}

function removeScratch(scratch: string): void {
  execFileSync("git", ["worktree", "remove", "--force", scratch], { cwd: ROOT });
  rmSync(join(scratch, ".."), { recursive: true, force: true });
}

/** Tests that passed whatever was switched off. */
function listIdle(all: readonly Citation[], useful: ReadonlySet<string>): void {
  const looked = all.filter(({ file }) => !LEFT_OUT.some((folder) => file.startsWith(folder)));
  const idle = looked.filter((citation) => ![...useful].some((name) => name.startsWith(citation.name.split("${")[0] as string)));
  console.log(`\n${looked.length - idle.length} of ${looked.length} tests have failed for want of a rule; these have not:`);
  for (const { file, name } of idle) console.log(`  ${file}: ${name}`);
}

/** Tells stories until one fails; says which, or that none did. */
function findByStories(scratch: string, { stories }: TwinMutation): string {
  const command = ["test/sim/main.ts", "--workers", "1", "--minutes", String(TWIN_MINUTES), "--first", ...stories];
  const { stdout, stderr } = spawnSync(process.execPath, command, { cwd: scratch, encoding: "utf8", timeout: 2 * TWIN_MINUTES * MINUTE_MILLIS });
  return /^seed \d+ FAILED.*$/m.exec(stdout)?.[0] ?? (stdout === "" ? `the simulator broke: ${stderr.slice(-SHOWN)}` : "");
}

function mutateTwin(): number {
  const stale = TWIN_MUTATIONS.flatMap((mutation) => staleness(mutation, ROOT));
  if (stale.length > 0) throw new Error(stale.join("\n"));
  const scratch = makeScratch();
  try {
    let survived = 0;
    console.log("| rule that is broken | found by | after |\n| --- | --- | --- |");
    for (const mutation of TWIN_MUTATIONS) {
      const undo = apply(scratch, mutation);
      const began = performance.now();
      const found = findByStories(scratch, mutation);
      undo();
      if (found === "") survived++;
      console.log(`| ${mutation.rule} | ${found === "" ? "**SURVIVED**" : found.slice(0, SHOWN)} | ${Math.round((performance.now() - began) / 1_000)} s |`);
    }
    console.log(`\n${TWIN_MUTATIONS.length} bugs put into the twin, ${survived} of them not found`);
    return survived === 0 ? 0 : 1;
  } finally {
    removeScratch(scratch);
  }
}

async function main(): Promise<number> {
  if (values.twin) return mutateTwin();
  const ids = values.ids?.split(",");
  const wanted = ids === undefined ? MUTATIONS : MUTATIONS.filter((mutation) => mutation.ids.some((id) => ids.includes(id)));
  const stale = wanted.flatMap((mutation) => staleness(mutation, ROOT));
  if (stale.length > 0) throw new Error(stale.join("\n"));
  const scratch = makeScratch();
  try {
    const all = citations(scratch);
    const idsOfTest = (name: string): readonly string[] => all.find((citation) => name.startsWith(citation.name.split("${")[0] as string))?.ids ?? [];
    let survived = 0;
    const useful = new Set<string>();
    console.log("| ids | rule switched off | tests that fail |\n| --- | --- | --- |");
    for (const mutation of wanted) {
      const unnoticedBy = (failed: readonly string[]) => mutation.ids.filter((id) => !failed.some((name) => idsOfTest(name).includes(id)));
      const undo = apply(scratch, mutation);
      const failed = await failingOf(scratch, runsFor(mutation.ids, all), (found) => !values.all && unnoticedBy(found).length === 0);
      undo();
      for (const name of failed) useful.add(name);
      const unnoticed = unnoticedBy(failed);
      if (unnoticed.length > 0) survived++;
      const verdict = unnoticed.length > 0 ? `**SURVIVED for ${unnoticed.join(" ")}** ` : "";
      console.log(`| ${mutation.ids.join(" ")} | ${mutation.rule} | ${verdict}${failed.length}: ${failed.join("; ").slice(0, SHOWN)} |`);
    }
    console.log(`\n${wanted.length} rules switched off one by one, ${survived} of them unnoticed`);
    if (values.all) listIdle(all, useful);
    return survived === 0 ? 0 : 1;
  } finally {
    removeScratch(scratch);
  }
}

process.exitCode = await main();
