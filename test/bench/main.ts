// Benchmarks by name: what the product costs on this machine. Each measurement runs in a process of its own, with the flags of
// the packet process: a unit is alone in its process, and what V8 has learnt from another table would count.
//
//   npm run bench -- judge [--json] [--only hit]

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { DATAPLANE_NODE_FLAGS } from "../../firmware/node-flags.ts";
import { JUDGE_MEASUREMENTS, type JudgeFigure, judgeTable } from "./judge.ts";
import { SYNC_MEASUREMENTS, type SyncFigure, syncTable } from "./sync.ts";

interface Bench {
  readonly measurements: ReadonlyMap<string, () => unknown>;
  /** The figures as lines for people. */
  readonly table: (figures: readonly unknown[]) => string;
}

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ["judge", { measurements: JUDGE_MEASUREMENTS, table: (figures: readonly unknown[]) => judgeTable(figures as readonly JudgeFigure[]) }],
  ["sync", { measurements: SYNC_MEASUREMENTS, table: (figures: readonly unknown[]) => syncTable(figures as readonly SyncFigure[]) }],
]);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, only: { type: "string", default: "" }, one: { type: "string" } },
});

/** Takes one measurement in another process. Throws when that fails. */
function measureApart(bench: string, measurement: string): unknown {
  process.stderr.write(`bench ${bench}: ${measurement}\n`);
  const flags = [...DATAPLANE_NODE_FLAGS, "--expose-gc"];
  const { status, stdout } = spawnSync(process.execPath, [...flags, import.meta.filename, bench, "--one", measurement], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`bench ${bench}: ${measurement}: failed`);
  return JSON.parse(stdout);
}

/** Runs benchmarks by name, all when none is named; the exit code: 1 when one missed its floor, where it has one. */
function runBenches(names: readonly string[]): number {
  const unknown = names.find((name) => !BENCHES.has(name));
  if (unknown !== undefined) {
    process.stderr.write(`bench: no benchmark is called ${unknown}; there are: ${[...BENCHES.keys()].join(", ")}\n`);
    return 1;
  }
  const results: Record<string, unknown> = {};
  let missed = 0;
  for (const [name, bench] of BENCHES) {
    if (names.length > 0 && !names.includes(name)) continue;
    const figures = [...bench.measurements.keys()].filter((what) => what.includes(values.only)).map((what) => measureApart(name, what));
    results[name] = figures;
    missed += figures.filter((figure) => (figure as { passed?: boolean }).passed === false).length;
    if (!values.json) process.stdout.write(`${bench.table(figures)}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  return missed === 0 ? 0 : 1;
}

if (values.one === undefined) process.exitCode = runBenches(positionals);
else {
  const figure = await BENCHES.get(positionals[0] ?? "")?.measurements.get(values.one)?.();
  process.stdout.write(JSON.stringify(figure));
}
