// npm run sim -- --seed N | --runs N | --minutes M [--from N] [--kinds twin-cut,stall] [--units 1|2|4] [--keep 3,7] [--verbose]
//                [--trace LINES] [--results FILE] [--first]     first: stop at the first failure, as it is
//
// Tells stories, one seed each. A failure prints the seed, the settings, the shortest list of faults that still fails and the end
// of the trace; the seed alone, or the seed and the numbers of the faults to keep, shows it again. In the end: how often each
// fault struck and what units did. A run of LONG_RUN stories that leaves a fault or a way out has failed.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { WAYS } from "./coverage.ts";
import { describeFault, FAULT_KINDS, type Fault, type FaultKind, LONE_KINDS } from "./faults.ts";
import { buildUnit } from "./production.ts";
import { type SimulationResult, simulate } from "./simulation.ts";
import { type DrawOptions, drawStory, type Story, shrink } from "./story.ts";

/** So many stories meet every fault and go every way. */
const LONG_RUN = 200;
const SHRINK_MILLIS = 120_000;

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

const tell = (story: Story): SimulationResult => simulate(story, { build: buildUnit, ...(values.verbose && { onNote: console.log }) });

function report(story: Story, first: SimulationResult): void {
  console.log(`\nseed ${story.seed} FAILED: ${first.failure}\nsettings ${JSON.stringify({ ...story.settings, ...story.work })}\nfaults`);
  for (const [k, fault] of story.faults.entries()) console.log(`  ${String(k).padStart(2)} ${describeFault(fault)}`);
  const until = performance.now() + SHRINK_MILLIS;
  const shorter = shrink(
    story,
    (candidate) => tell(candidate).failure !== "",
    () => performance.now() > until,
  );
  const { failure, trace } = shorter === story ? first : tell(shorter);
  const kept = shorter.faults.map((fault: Fault) => story.faults.indexOf(fault));
  console.log(`\n${kept.length} of them are enough: ${failure}`);
  for (const k of kept) console.log(`  ${String(k).padStart(2)} ${describeFault(story.faults[k] as Fault)}`);
  console.log("the end of the trace");
  for (const line of trace.slice(-Number(values.trace))) console.log(line);
  const units = values.units === undefined ? "" : ` --units ${values.units}`;
  const kinds = values.kinds === undefined ? "" : ` --kinds ${values.kinds}`;
  const { seed, work, settings, faults } = shorter;
  console.log(
    `keep it: story(${seed}, "…", ${JSON.stringify(work)}, ${JSON.stringify(settings)}, ${JSON.stringify(faults.map((fault) => describeFault(fault).trim()))}),`,
  );
  console.log(`\nsee it again: npm run sim -- --seed ${story.seed}${units}${kinds} --keep ${kept.join(",") || "none"}`);
}

function add<K>(sums: Map<K, number>, found: ReadonlyMap<K, number>): void {
  for (const [name, count] of found) sums.set(name, (sums.get(name) ?? 0) + count);
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

function main(): number {
  const options = drawOptions();
  const began = performance.now();
  const limitMillis = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes) * 60_000;
  const first = Number(values.seed ?? values.from);
  const runs = values.seed !== undefined ? 1 : values.minutes !== undefined ? Number.POSITIVE_INFINITY : Number(values.runs ?? 10);
  const injected = new Map<FaultKind, number>();
  const covered = new Map<string, number>();
  let failed = 0;
  let done = 0;
  let virtualMillis = 0;
  for (; done < runs && performance.now() - began < limitMillis; done++) {
    const drawn = drawStory(first + done, options);
    const keep = values.keep?.split(",").map(Number);
    const story = keep === undefined ? drawn : { ...drawn, faults: drawn.faults.filter((_, k) => keep.includes(k)) };
    const at = performance.now();
    const result = tell(story);
    virtualMillis += result.virtualMillis;
    add(injected, result.injected);
    add(covered, result.covered);
    if (result.failure !== "") {
      failed++;
      if (values.first) {
        console.log(`seed ${story.seed} FAILED: ${result.failure}`);
        return 1;
      }
      report(story, result);
      continue;
    }
    const { hash, transfers, exchanges, answered, excused, packets } = result;
    const { pairs, mode } = story.settings;
    console.log(
      `seed ${story.seed} held: ${pairs === true ? 4 : 2} units, ${mode}, ${story.faults.length} faults, ${transfers} transfers (${excused} excused), ${answered}/${exchanges} answers, ${packets} packets, ${Math.round(result.virtualMillis / 1_000)} s in ${((performance.now() - at) / 1_000).toFixed(1)}, trace ${hash}`,
    );
  }
  const missing = account(injected, covered);
  const seconds = (performance.now() - began) / 1_000;
  console.log(`${done} runs, ${failed} failed; ${Math.round(virtualMillis / 1_000)} virtual seconds in ${seconds.toFixed(1)}`);
  const isPoor = done >= LONG_RUN && values.kinds === undefined && values.units === undefined && missing.length > 0;
  if (isPoor) console.log(`so many stories should have met: ${missing.join(", ")}`);
  if (values.results !== undefined) writeFileSync(values.results, `${JSON.stringify({ passed: done - failed, failed: failed + (isPoor ? 1 : 0) })}\n`);
  return failed === 0 && !isPoor ? 0 : 1;
}

process.exitCode = main();
