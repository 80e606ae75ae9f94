// Runs every test file with tap: most of them two at a time, then those that make network namespaces one after the other,
// because they would steal each other's processor time. `npm test -- test/twin` runs what lies under a path.
//
// On a terminal tap's own live report is shown. Elsewhere it is one line per file, and what a failing file said. The sums go to
// build/test-results.json, where .ci/run finds them; at the end comes each requirement with its tests.

import { spawn } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { index, sentences } from "./requirements.ts";

const ROOT = join(import.meta.dirname, "..");
const BUILD = join(ROOT, "build");
const TAP = join(ROOT, "node_modules", ".bin", "tap");
const RESULTS = join(BUILD, "test-results.json");

/** These make namespaces, devices and processes of their own. */
const SERIAL = [`test${sep}lab${sep}`, `test${sep}hal${sep}linux${sep}`, `test${sep}manager${sep}process`];

interface Sums {
  passed: number;
  failed: number;
  skipped: number;
  /** Files that failed, with the tests in them that did. */
  failures: string[];
}

/** Adds what the last summary line of a TAP stream says, e.g. `# { total: 3, pass: 1, fail: 1, skip: 1 }`. */
function addSummary(tapText: string, sums: Sums): void {
  const summary = [...tapText.matchAll(/^# (\{ total: .*\})$/gm)].at(-1)?.[1] ?? "";
  const figure = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0);
  sums.passed += figure("pass");
  sums.failed += figure("fail");
  sums.skipped += figure("skip") + figure("todo");
}

/** What failed in a file, as its TAP says it, e.g. `    not ok 2 - text # time=3ms`: each assertion, then the test that it is part of. */
function failedParts(tapLines: readonly string[]): readonly string[] {
  return tapLines.flatMap((line) => /^ +not ok \d+ - (.*?)(?: # time=.*)?$/.exec(line)?.[1] ?? []);
}

/** Passes one line per test file on, and everything about a file that failed, which it also adds to `failures`. */
function reportLines(failures: string[]): (chunk: string) => void {
  let rest = "";
  let block: string[] = [];
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const result = /^(not )?ok \d+ - (\S+\.test\.ts)(.*)$/.exec(line);
      if (result === null) {
        block.push(line);
        continue;
      }
      if (result[1] !== undefined) {
        process.stdout.write(`${block.join("\n")}\n`);
        failures.push(`${result[2]}: ${failedParts(block).join(", ")}`);
      }
      process.stdout.write(`${result[1] === undefined ? "ok    " : "FAILED"} ${result[2]}${result[3]?.replace(/ # time=/, "  ")}\n`);
      block = [];
    }
  };
}

/** Runs tap over some files; returns false when a test failed or tap itself did. */
async function runTap(files: readonly string[], jobs: number, sums: Sums): Promise<boolean> {
  if (files.length === 0) return true;
  const output = join(BUILD, `test-${jobs}.tap`);
  rmSync(output, { force: true });
  const isLive = process.stdout.isTTY === true;
  // The scenarios are one file and take minutes.
  const limit = jobs === 1 ? ["--timeout=900"] : [];
  const report = isLive ? ["--reporter=base", `--output-file=${output}`] : ["--reporter=tap"];
  const child = spawn(process.execPath, [TAP, "run", `--jobs=${jobs}`, ...limit, ...report, ...files], {
    cwd: ROOT,
    stdio: ["ignore", isLive ? "inherit" : "pipe", "inherit"],
  });
  const chunks: string[] = [];
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  child.stdout?.on("data", reportLines(sums.failures));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  addSummary(isLive && existsSync(output) ? readFileSync(output, "utf8") : chunks.join(""), sums);
  return code === 0;
}

async function main(): Promise<number> {
  const wanted = process.argv.slice(2).map((path) => path.replace(/^\.\//, ""));
  const all = globSync("test/**/*.test.ts", { cwd: ROOT }).sort();
  const files = wanted.length === 0 ? all : all.filter((file) => wanted.some((path) => file.startsWith(path)));
  const isSerial = (file: string): boolean => SERIAL.some((folder) => file.startsWith(folder));
  mkdirSync(BUILD, { recursive: true });
  const sums: Sums = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const parallelPassed = await runTap(
    files.filter((file) => !isSerial(file)),
    2,
    sums,
  );
  const serialPassed = await runTap(files.filter(isSerial), 1, sums);
  const passed = parallelPassed && serialPassed && sums.failed === 0 && sums.passed > 0;
  // A run that broke without a failing assertion (a crash of tap itself) must not count as zero failures.
  if (!passed && sums.failed === 0) sums.failed = 1;
  writeFileSync(RESULTS, `${JSON.stringify(sums)}\n`);
  const requirements = index();
  if (wanted.length === 0) for (const line of sentences(requirements)) console.log(line);
  const isCovered = wanted.length > 0 || requirements.missing.length + requirements.unknown.length === 0;
  console.log(`${files.length} files: ${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`);
  return passed && isCovered ? 0 : 1;
}

process.exitCode = await main();
