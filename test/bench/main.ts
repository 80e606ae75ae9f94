// Benchmarks by name: what the product costs on this machine. Runs itself again with the flags of the packet process.
//
//   npm run bench -- judge [--json] [--only hit]

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { DATAPLANE_NODE_FLAGS } from "../../firmware/node-flags.ts";
import { judgeTable, runJudgeBench } from "./judge.ts";

interface Bench {
  readonly name: string;
  /** Runs what contains `only` in its name; returns figures for machines and lines for people. */
  readonly run: (progress: (sentence: string) => void, only: string) => Promise<{ readonly figures: unknown; readonly text: string }>;
}

const BENCHES: readonly Bench[] = [
  {
    name: "judge",
    run: async (progress, only) => {
      const figures = await runJudgeBench(progress, only);
      return { figures, text: judgeTable(figures) };
    },
  },
];

/** Runs the chosen benchmarks in this process; the exit code. */
async function runChosen(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false }, only: { type: "string", default: "" } },
  });
  const chosen = BENCHES.filter((bench) => positionals.length === 0 || positionals.includes(bench.name));
  if (chosen.length === 0) {
    process.stderr.write(`bench: no benchmark is called ${positionals.join(" ")}; there are: ${BENCHES.map((bench) => bench.name).join(", ")}\n`);
    return 1;
  }
  const results: Record<string, unknown> = {};
  for (const bench of chosen) {
    const { figures, text } = await bench.run((sentence) => process.stderr.write(`bench ${bench.name}: ${sentence}\n`), values.only);
    results[bench.name] = figures;
    if (!values.json) process.stdout.write(`${text}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  return 0;
}

const FLAGS = [...DATAPLANE_NODE_FLAGS, "--expose-gc"];
if (FLAGS.every((flag) => process.execArgv.includes(flag))) process.exitCode = await runChosen();
else process.exitCode = spawnSync(process.execPath, [...FLAGS, ...process.argv.slice(1)], { stdio: "inherit" }).status ?? 1;
