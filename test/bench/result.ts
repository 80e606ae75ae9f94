// What a benchmark gives: figures, each once per round and device under test; and what is made of them: ratios (more is better
// for us), a table for people, JSON for programs, and an exit code by floors.

/** One figure of ours beside a peer's. */
export interface Comparison {
  readonly benchmark: string;
  readonly figure: string;
  /** "none": a figure of ours alone. */
  readonly peer: string;
  /** Medians of the rounds; null: not measured. */
  readonly ours: number | null;
  readonly theirs: number | null;
  readonly ratio: { readonly min: number; readonly median: number; readonly max: number } | null;
  /** Least median ratio; null: none is asked. */
  readonly floor: number | null;
}

/** What stands in a chart: a line per device under test. */
export interface Chart {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly string[];
  /** One value per group; null leaves a gap. */
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

/** How a figure grows with something: a line per device under test. */
export interface Growth {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** What grows, such as sessions, and how many there were: at least 1, each more than the one before. */
  readonly along: string;
  readonly steps: readonly number[];
  /** One value per step, above 0; null leaves a gap. */
  readonly series: Chart["series"];
}

export interface Outcome {
  readonly comparisons: readonly Comparison[];
  readonly charts: readonly (Chart | Growth)[];
  /** What people should know beside the table, such as what was too noisy. */
  readonly notes: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export interface Measured {
  readonly benchmark: string;
  readonly figure: string;
  readonly peer: string;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  /** Which way is good: a rate is better when it is more, a cost when it is less. */
  readonly better: "more" | "less";
  readonly floor?: number;
}

/** Compares round with round: both were measured one after the other. Rounds that one of the two lacks are left out. */
export function compare({ benchmark, figure, peer, ours, theirs, better, floor }: Measured): Comparison {
  const rounds = Math.min(ours.length, theirs.length);
  const ratios = Array.from({ length: rounds }, (_, k) => {
    const [mine, other] = [ours[k] as number, theirs[k] as number];
    return better === "more" ? mine / other : other / mine;
  });
  return {
    benchmark,
    figure,
    peer,
    ours: ours.length > 0 ? median(ours) : null,
    theirs: theirs.length > 0 ? median(theirs) : null,
    ratio: rounds > 0 ? { min: Math.min(...ratios), median: median(ratios), max: Math.max(...ratios) } : null,
    floor: floor ?? null,
  };
}

/** A figure that nobody is compared with. */
export function alone(benchmark: string, figure: string, value: number): Comparison {
  return { benchmark, figure, peer: "none", ours: value, theirs: null, ratio: null, floor: null };
}

/**
 * The same figure beside what it must be, such as sessions kept beside all of them: of all rounds the worst counts, and nothing less than
 * `whole` will do.
 */
export function mustBeWhole(benchmark: string, figure: string, ours: readonly number[], whole: number): Comparison {
  const worst = Math.min(...ours);
  return compare({ benchmark, figure, peer: "all of them", ours: ours.map(() => worst), theirs: ours.map(() => whole), better: "more", floor: 1 });
}

/** Why the run failed, a sentence each: floors that are missed, and peers that are. */
export function shortcomings(comparisons: readonly Comparison[]): readonly string[] {
  return comparisons.flatMap(({ benchmark, figure, peer, ratio, floor }) => {
    if (peer === "none") return [];
    if (ratio === null) return [`${benchmark}: ${figure}: not compared with ${peer}, which is missing or could not be measured`];
    return floor !== null && ratio.median < floor ? [`${benchmark}: ${figure}: ${ratio.median.toFixed(2)} of ${peer}; the floor is ${floor}`] : [];
  });
}

const number = (value: number | null): string => (value === null ? "–" : value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3));

/** The comparisons as lines for people. */
export function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ figure, peer, ours, theirs, ratio, floor }) => [
    figure,
    peer === "none" ? "" : peer,
    number(ours),
    peer === "none" ? "" : number(theirs),
    ratio === null ? "" : ratio.min.toFixed(2),
    ratio === null ? (peer === "none" ? "" : "null") : ratio.median.toFixed(2),
    ratio === null ? "" : ratio.max.toFixed(2),
    floor === null ? "" : `${floor}${ratio !== null && ratio.median >= floor ? " ✓" : " ✗"}`,
  ]);
  const all = [["figure", "beside", "ours", "theirs", "ratio min", "median", "max", "floor"], ...rows];
  const widths = (all[0] as string[]).map((_, column) => Math.max(...all.map((row) => (row[column] as string).length)));
  return all
    .map((row) =>
      row
        .map((cell, k) => (k < 2 ? cell.padEnd(widths[k] as number) : cell.padStart(widths[k] as number)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
