// npm run fuzz -- [--minutes N] [--seed N] [--only parsers,fragments,tracking] [--results FILE]
//
// Parsers, fragments and tracking in turn, a slice of time each, with new packets in each slice. Prints the seed: the same seed finds the
// same packets. Ends at the first finding.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fuzzFragments } from "./fragments.ts";
import { fuzzParsers } from "./parsers.ts";
import { fuzzTracking } from "./tracking.ts";

const SLICE_MINUTES = 1 / 12;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "1" },
    only: { type: "string", default: "parsers,fragments,tracking" },
    results: { type: "string" },
  },
});

const TARGETS: Readonly<Record<string, (seed: number, minutes: number) => Readonly<Record<string, number>>>> = {
  parsers: (seed, minutes) => ({ packets: fuzzParsers(seed, Number.MAX_SAFE_INTEGER, minutes).runs }),
  fragments: (seed, minutes) => ({ ...fuzzFragments(seed, Number.MAX_SAFE_INTEGER, minutes) }),
  tracking: (seed, minutes) => ({ ...fuzzTracking(seed, Number.MAX_SAFE_INTEGER, minutes) }),
};

const seed = values.seed === undefined ? process.pid : Number(values.seed);
const names = values.only.split(",");
for (const name of names) if (TARGETS[name] === undefined) throw new Error(`there is no target ${name}: ${Object.keys(TARGETS).join(", ")}`);
const until = performance.now() + Number(values.minutes) * 60_000;
const sums: Record<string, Record<string, number>> = Object.fromEntries(names.map((name) => [name, {}]));
console.log(`seed ${seed}`);
for (let slice = 0; performance.now() < until; slice++) {
  const name = names[slice % names.length] as string;
  const left = (until - performance.now()) / 60_000;
  const found = (TARGETS[name] as (typeof TARGETS)[string])((seed + slice * 7_919) | 0, Math.min(SLICE_MINUTES, left));
  const sum = sums[name] as Record<string, number>;
  for (const [what, count] of Object.entries(found)) sum[what] = (sum[what] ?? 0) + count;
}
for (const [name, sum] of Object.entries(sums))
  console.log(
    `${name}: ${Object.entries(sum)
      .map(([what, count]) => `${count} ${what}`)
      .join(", ")}`,
  );
console.log("no finding");
// One that finds something ends by its exception: whoever counts sees that from the exit code.
if (values.results !== undefined) writeFileSync(values.results, `${JSON.stringify({ passed: names.length, failed: 0 })}\n`);
