// npm run sim -- --seed N | --runs N | --minutes M [--from N] [--kinds twin-cut,stall] [--units 1|2|4] [--keep 3,7] [--verbose]
//                [--trace LINES] [--results FILE] [--first] [--workers N]
//
// Tells stories, one seed each, in as many processes as there are cores. A failure prints the seed, the settings, the shortest list
// of faults that still fails and the end of the trace; the seed alone, or the seed and the numbers of the faults to keep, shows it
// again. In the end: how often each fault struck and what units did. A run of LONG_RUN stories that leaves a fault or a way out
// has failed. --first: stop at the first failure, as it is.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { WAYS } from "./coverage.ts";
import { tellSeeds } from "./crew.ts";
import { FAULT_KINDS, type FaultKind, LONE_KINDS } from "./faults.ts";
import type { Outcome, Telling } from "./outcome.ts";
import type { DrawOptions } from "./story.ts";

/** So many stories meet every fault and go every way. */
const LONG_RUN = 200;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string" },
    minutes: { type: "string" },
    from: { type: "string", default: "1" },
    kinds: { type: "string" },
    units: { type: "string" },
    keep: { type: "string" },
    first: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    trace: { type: "string", default: "120" },
    results: { type: "string" },
    workers: { type: "string" },
  },
});

const PICTURES: Readonly<Record<string, DrawOptions>> = {
  1: { settings: { pairs: false, twin: false, mode: "routed" }, kinds: LONE_KINDS },
  2: { settings: { pairs: false } },
  4: { settings: { pairs: true } },
};

function drawOptions(): DrawOptions {
  const picture = values.units === undefined ? {} : PICTURES[values.units];
  if (picture === undefined) throw new Error(`there is no picture of ${values.units} units: ${Object.keys(PICTURES).join(", ")}`);
  const kinds = values.kinds?.split(",").map((name) => {
    if (!FAULT_KINDS.includes(name as FaultKind)) throw new Error(`there is no fault ${name}: ${FAULT_KINDS.join(", ")}`);
    return name as FaultKind;
  });
  return kinds === undefined ? picture : { ...picture, kinds };
}

function telling(): Telling {
  const given = [values.units === undefined ? "" : ` --units ${values.units}`, values.kinds === undefined ? "" : ` --kinds ${values.kinds}`].join("");
  const keep = values.keep?.split(",").map(Number);
  return { draw: drawOptions(), traceLines: values.first ? 0 : Number(values.trace), verbose: values.verbose, given, ...(keep !== undefined && { keep }) };
}

/** Prints the sums; returns what a long run should have met and did not. */
function account(injected: ReadonlyMap<string, number>, covered: ReadonlyMap<string, number>): readonly string[] {
  const list = (names: readonly string[], sums: ReadonlyMap<string, number>) => names.map((name) => `${name} ${sums.get(name) ?? 0}`).join(", ");
  console.log(`\nfaults that struck: ${list(FAULT_KINDS, injected)}`);
  console.log(`ways: ${list(WAYS, covered)}`);
  const others = [...covered.keys()].filter((name) => !WAYS.includes(name)).sort();
  console.log(`also counted: ${list(others, covered)}`);
  return [...FAULT_KINDS.filter((kind) => !injected.has(kind)), ...WAYS.filter((name) => !covered.has(name))];
}

/** What a run has met so far. */
class Sums {
  readonly injected = new Map<string, number>();
  readonly covered = new Map<string, number>();
  /** The first line that each story that failed says. */
  readonly failures: string[] = [];
  failed = 0;
  done = 0;
  virtualMillis = 0;

  add(outcome: Outcome): void {
    this.done++;
    this.failed += outcome.failed ? 1 : 0;
    this.virtualMillis += outcome.virtualMillis;
    for (const [name, count] of outcome.injected) this.injected.set(name, (this.injected.get(name) ?? 0) + count);
    for (const [name, count] of outcome.covered) this.covered.set(name, (this.covered.get(name) ?? 0) + count);
    if (outcome.failed) this.failures.push(outcome.text.split("\n", 1)[0] as string);
    console.log(outcome.text);
  }
}

async function main(): Promise<number> {
  const began = performance.now();
  const limitMillis = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes) * 60_000;
  const first = Number(values.seed ?? values.from);
  const runs = values.seed !== undefined ? 1 : values.minutes !== undefined ? Number.POSITIVE_INFINITY : Number(values.runs ?? 10);
  const sums = new Sums();
  let begun = 0;
  const next = () => {
    const isOver = begun >= runs || performance.now() - began >= limitMillis || (values.first && sums.failed > 0);
    return isOver ? null : first + begun++;
  };
  const workers = Math.min(Number(values.workers ?? availableParallelism()), runs);
  await tellSeeds(workers, telling(), next, (outcome) => sums.add(outcome));
  const missing = account(sums.injected, sums.covered);
  const seconds = (performance.now() - began) / 1_000;
  console.log(`${sums.done} runs, ${sums.failed} failed; ${Math.round(sums.virtualMillis / 1_000)} virtual seconds in ${seconds.toFixed(1)}`);
  const isPoor = sums.done >= LONG_RUN && values.kinds === undefined && values.units === undefined && missing.length > 0;
  if (isPoor) console.log(`so many stories should have met: ${missing.join(", ")}`);
  if (values.results !== undefined) {
    const poor = isPoor ? [`not met: ${missing.join(", ")}`] : [];
    const results = { passed: sums.done - sums.failed, failed: sums.failed + poor.length, failures: [...sums.failures, ...poor] };
    writeFileSync(values.results, `${JSON.stringify(results)}\n`);
  }
  return sums.failed === 0 && !isPoor ? 0 : 1;
}

process.exitCode = await main();
