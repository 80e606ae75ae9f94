// npm run sim -- --seed N | --runs N | --minutes M [--from N] [--kinds twin-cut,stall] [--units 1|2|4] [--verbose] [--results FILE]
//
// Runs worlds, one seed each. A failure prints the seed, the settings, the faults and the end of the trace; the seed alone
// shows it again.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { buildUnit } from "./production.ts";
import { type SimulationOptions, type SimulationResult, simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string" },
    minutes: { type: "string" },
    from: { type: "string", default: "1" },
    kinds: { type: "string" },
    units: { type: "string" },
    verbose: { type: "boolean", default: false },
    trace: { type: "string", default: "120" },
    results: { type: "string" },
  },
});

function report(result: SimulationResult): void {
  const { seed, failure, settings, faults, trace } = result;
  console.log(`\nseed ${seed} FAILED: ${failure}\nsettings ${settings}\nfaults`);
  for (const line of faults) console.log(`  ${line}`);
  console.log("the end of the trace");
  for (const line of trace.slice(-Number(values.trace))) console.log(line);
  console.log(`\nsee it again: npm run sim -- --seed ${seed}`);
}

const kinds = values.kinds?.split(",").map((name) => {
  if (!FAULT_KINDS.includes(name as FaultKind)) throw new Error(`there is no fault ${name}: ${FAULT_KINDS.join(", ")}`);
  return name as FaultKind;
});
/** One unit by itself: no twin, and no fault that is about one. */
const LONE: readonly FaultKind[] = ["data-noise", "crash-keep", "crash-lose", "crash-torn", "stall", "port-down", "port-gone", "flood"];
const PICTURES: Readonly<Record<string, Partial<SimulationOptions>>> = {
  1: { settings: { twin: false, mode: "routed" }, kinds: LONE },
  2: { settings: { pairs: false } },
  4: { settings: { pairs: true } },
};
const picture = values.units === undefined ? {} : PICTURES[values.units];
if (picture === undefined) throw new Error(`there is no picture of ${values.units} units: ${Object.keys(PICTURES).join(", ")}`);
const began = performance.now();
const limitMillis = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes) * 60_000;
const first = Number(values.seed ?? values.from);
const runs = values.seed !== undefined ? 1 : values.minutes !== undefined ? Number.POSITIVE_INFINITY : Number(values.runs ?? 10);
let failed = 0;
let done = 0;
let virtualMillis = 0;
for (; done < runs && performance.now() - began < limitMillis; done++) {
  const result = simulate({
    build: buildUnit,
    seed: first + done,
    ...picture,
    ...(kinds !== undefined && { kinds }),
    ...(values.verbose && { onNote: console.log }),
  });
  virtualMillis += result.virtualMillis;
  if (result.failure !== "") {
    failed++;
    report(result);
    continue;
  }
  const { seed, hash, transfers, exchanges, answered, excused, packets, faults } = result;
  console.log(
    `seed ${seed} held: ${faults.length} faults, ${transfers} transfers (${excused} excused), ${answered}/${exchanges} answers, ${packets} packets, ${Math.round(result.virtualMillis / 1_000)} s, trace ${hash}`,
  );
}
const seconds = (performance.now() - began) / 1_000;
console.log(`${done} runs, ${failed} failed; ${Math.round(virtualMillis / 1_000)} virtual seconds in ${seconds.toFixed(1)}`);
if (values.results !== undefined) writeFileSync(values.results, `${JSON.stringify({ passed: done - failed, failed })}\n`);
process.exitCode = failed === 0 ? 0 : 1;
