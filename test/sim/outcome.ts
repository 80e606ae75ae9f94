// What became of one seed: told, put into words, and when it failed, shortened. Depends on the seed and the options alone, so that
// it does not matter which process tells it (crew.ts).

import { describeFault, type Fault } from "./faults.ts";
import { buildUnit } from "./production.ts";
import { type SimulationResult, simulate } from "./simulation.ts";
import { type DrawOptions, drawStory, type Story, shrink } from "./story.ts";

const SHRINK_MILLIS = 120_000;

/** How seeds are told; plain data. */
export interface Telling {
  readonly draw: DrawOptions;
  /** Numbers of the faults that are kept; all when absent. */
  readonly keep?: readonly number[];
  /** Lines of the trace that a failure shows; 0: it is not even shortened. */
  readonly traceLines: number;
  /** Says each note as it is made. */
  readonly verbose: boolean;
  /** The options as they were given, for the line that shows a failure again. */
  readonly given: string;
}

export interface Outcome {
  readonly failed: boolean;
  readonly text: string;
  readonly virtualMillis: number;
  readonly injected: readonly (readonly [string, number])[];
  readonly covered: readonly (readonly [string, number])[];
}

/** Tells the story of a seed. */
export function tellSeed(seed: number, telling: Telling): Outcome {
  const drawn = drawStory(seed, telling.draw);
  const story = telling.keep === undefined ? drawn : { ...drawn, faults: drawn.faults.filter((_, k) => telling.keep?.includes(k)) };
  const tell = (candidate: Story) => simulate(candidate, { build: buildUnit, ...(telling.verbose && { onNote: console.log }) });
  const began = performance.now();
  const result = tell(story);
  const { failure, virtualMillis } = result;
  const short = `seed ${seed} FAILED: ${failure}`;
  const text = failure === "" ? describe(story, result, performance.now() - began) : telling.traceLines === 0 ? short : report(story, result, telling, tell);
  return {
    failed: failure !== "",
    text,
    virtualMillis,
    injected: [...result.injected],
    covered: [...result.covered, ...picturesOf(story).map((name) => [name, 1] as const)],
  };
}

/** What kind of picture it was, as coverage.ts names it. */
function picturesOf({ settings }: Story): readonly string[] {
  const { mode, upstream, deployment, pairs } = settings;
  const wiring = upstream === true ? "upstream" : deployment === "active/passive" ? "one site stands by" : mode === "transparent" ? "wires" : "gateways";
  return [`picture ${wiring}`, `picture ${pairs === true ? "pairs" : "one unit each"}`];
}

function describe({ seed, settings, faults }: Story, result: SimulationResult, tookMillis: number): string {
  const { hash, transfers, exchanges, answered, excused, packets, virtualMillis } = result;
  const picture = [
    `${settings.pairs === true ? 4 : 2} units`,
    settings.upstream === true ? "upstream" : settings.mode,
    ...(settings.deployment === "active/passive" ? ["B stands by"] : []),
  ];
  const work = [`${faults.length} faults`, `${transfers} transfers (${excused} excused)`, `${answered}/${exchanges} answers`, `${packets} packets`];
  const time = `${Math.round(virtualMillis / 1_000)} s in ${(tookMillis / 1_000).toFixed(1)}`;
  return `seed ${seed} held: ${[...picture, ...work, time].join(", ")}, trace ${hash}`;
}

function report(story: Story, first: SimulationResult, telling: Telling, tell: (story: Story) => SimulationResult): string {
  const until = performance.now() + SHRINK_MILLIS;
  const shorter = shrink(
    story,
    (candidate) => tell(candidate).failure !== "",
    () => performance.now() > until,
  );
  const { failure, trace } = shorter === story ? first : tell(shorter);
  const kept = shorter.faults.map((fault: Fault) => story.faults.indexOf(fault));
  const numbered = (k: number) => `  ${String(k).padStart(2)} ${describeFault(story.faults[k] as Fault)}`;
  const { seed, work, settings } = shorter;
  const told = [work, settings, shorter.faults.map((fault) => describeFault(fault).trim())].map((part) => JSON.stringify(part));
  return [
    `\nseed ${seed} FAILED: ${first.failure}`,
    `settings ${JSON.stringify({ ...settings, ...work })}`,
    "faults",
    ...story.faults.map((_, k) => numbered(k)),
    `\n${kept.length} of them are enough: ${failure}`,
    ...kept.map(numbered),
    "the end of the trace",
    ...trace.slice(-telling.traceLines),
    `keep it: story(${seed}, "…", ${told.join(", ")}),`,
    `\nsee it again: npm run sim -- --seed ${seed}${telling.given} --keep ${kept.join(",") || "none"}`,
  ].join("\n");
}
