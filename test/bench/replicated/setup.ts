// New sessions through a device that replicates them: what one costs in CPU time on both devices and their kernels, and how many come up
// in a second. Packets follow the handshake and the close that hosts would make, each when it is due (programs/opener.c).
//
//   round ─► a fresh pair of each kind ─► TCP, UDP: cost at a fixed rate, in either placement of receiving ─► highest rate

import { tellProgress } from "../agent.ts";
import type { Placement } from "../forwarding/stand.ts";
import { missingOf } from "../peers.ts";
import { type Chart, type Comparison, compare, median, type Outcome } from "../result.ts";
import { highestRate, measureCost, open, type Pattern, type SessionCost } from "./open.ts";
import { PAIR_TITLES, type PairName, startPair } from "./pair.ts";

const NAME = "setup";
const FLOOR = 1;
const ROUNDS = 3;
const COST_RATE = 10_000;
const WARM_RATE = 20_000;
const PATTERNS: readonly Pattern[] = ["tcp", "udp"];
const WORDS: Readonly<Record<Pattern, string>> = { tcp: "TCP, handshake and close", udp: "UDP, a datagram each way", first: "UDP, one datagram" };
const PLACEMENTS: readonly Placement[] = ["sender", "threaded"];
/** Others' use of a core above which only what is ours counts. */
const OTHERS_MOST = 0.04;

interface Care {
  readonly rounds: number;
  readonly warmSessions: number;
  readonly costSessions: number;
  readonly stepMillis: number;
  readonly resolution: number;
}
const FULL: Care = { rounds: ROUNDS, warmSessions: 60_000, costSessions: 15_000, stepMillis: 600, resolution: 1.12 };
const QUICK: Care = { rounds: 1, warmSessions: 3_000, costSessions: 3_000, stepMillis: 100, resolution: 2 };

export const SETUP_PARAGRAPH = `New sessions come through the first of two devices, and the second one gets to know of each state of them over a cable of its own; both devices have one core, the
opener, which plays both ends, has the other. Twinwall: packet processes of two sites, with their defaults except that first packets do not ask the other site (conntrackd
never does). The peer: the kernel's forwarding with nftables and conntrack at the first, conntrackd in FT-FW mode at both, as its documentation configures it. TCP is a
handshake and a close, six packets; UDP a datagram each way. What the floor applies to is CPU time per session at ${COST_RATE.toLocaleString("en-US")}/s, over all cores, less the opener's own; the cheaper placement
of receiving counts for each (forwarding's paragraph says why). The highest rate is the one at which less than 0.1 % of packets and of the second device's rows are missing.`;

interface Figures {
  readonly cost: Readonly<Record<Placement, SessionCost[]>>;
  readonly rate: Readonly<Record<Placement, number[]>>;
}

const NAMES: readonly PairName[] = ["twinwall", "conntrackd"];

/** Runs inside the sandbox. */
export async function measureSetup(isQuick: boolean): Promise<Outcome> {
  const care = isQuick ? QUICK : FULL;
  const names = missingOf(["nftables", "conntrackd"]).length === 0 ? NAMES : NAMES.slice(0, 1);
  const figures = new Map<string, Figures>();
  const figuresOf = (name: PairName, pattern: Pattern): Figures => {
    const key = `${name} ${pattern}`;
    const there = figures.get(key) ?? { cost: { sender: [], threaded: [] }, rate: { sender: [], threaded: [] } };
    figures.set(key, there);
    return there;
  };
  const steps = care.rounds * names.length * PATTERNS.length;
  let step = 0;
  for (let round = 0; round < care.rounds; round++) {
    for (const name of names) {
      for (const pattern of PATTERNS) {
        tellProgress(step++ / steps, `round ${round + 1}: ${PAIR_TITLES[name]}, ${WORDS[pattern]}`);
        await measureRound(name, pattern, `${process.pid % 1_000}s${step}`, care, figuresOf(name, pattern));
      }
    }
  }
  return outcomeOf(figuresOf);
}

/** A pair of its own, so that no table fills up. */
async function measureRound(name: PairName, pattern: Pattern, mark: string, care: Care, figures: Figures): Promise<void> {
  const pair = await startPair(name, mark);
  try {
    let next = 0;
    const take = (sessions: number): number => {
      next += sessions;
      return next - sessions;
    };
    // Compilers and caches warm up on sessions: what serves for months is warm.
    await open(pair, { pattern, first: take(care.warmSessions), sessions: care.warmSessions, rate: WARM_RATE });
    const cheaper = betterPlacement(nanosOf(figures, "ours"), "less");
    const faster = betterPlacement(figures.rate, "more");
    for (const placement of PLACEMENTS) {
      const isCheap = placement === (cheaper ?? placement);
      const isFast = placement === (faster ?? placement);
      if (isCheap || isFast) await pair.first.place(placement, pair.hasProgram);
      if (isCheap)
        figures.cost[placement].push(await measureCost(pair, { pattern, first: take(care.costSessions), sessions: care.costSessions, rate: COST_RATE }));
      if (!isFast) continue;
      const found = await highestRate(pair, pattern, next, care);
      next = found.next;
      figures.rate[placement].push(found.rate);
    }
  } finally {
    pair.stop();
  }
}

/** The placement that was better; undefined before both were tried. */
function betterPlacement(figures: Readonly<Record<Placement, readonly number[]>>, better: "more" | "less"): Placement | undefined {
  const { sender, threaded } = figures;
  if (sender.length === 0 || threaded.length === 0) return undefined;
  return median(sender) < median(threaded) === (better === "less") ? "sender" : "threaded";
}

const nanosOf = ({ cost }: Figures, accounting: "all" | "ours"): Readonly<Record<Placement, readonly number[]>> => ({
  sender: cost.sender.map((each) => each[accounting]),
  threaded: cost.threaded.map((each) => each[accounting]),
});

function outcomeOf(figuresOf: (name: PairName, pattern: Pattern) => Figures): Outcome {
  const costs = NAMES.flatMap((name) => PATTERNS.flatMap((pattern) => PLACEMENTS.flatMap((placement) => figuresOf(name, pattern).cost[placement])));
  const others = median(costs.map((cost) => cost.others));
  const accounting = others > OTHERS_MOST ? "ours" : "all";
  const notes: string[] = [];
  if (accounting === "ours")
    notes.push(`others used ${Math.round(others * 100)} % of a core meanwhile: only the time of the opener, the devices and their threads is counted`);
  const best = (values: Readonly<Record<Placement, readonly number[]>>, better: "more" | "less"): readonly number[] => {
    const placement = betterPlacement(values, better);
    return placement === undefined ? [] : values[placement];
  };
  const costOf = (name: PairName, pattern: Pattern): readonly number[] => best(nanosOf(figuresOf(name, pattern), accounting), "less");
  const rateOf = (name: PairName, pattern: Pattern): readonly number[] => best(figuresOf(name, pattern).rate, "more");
  const comparisons: Comparison[] = PATTERNS.flatMap((pattern) => {
    const common = { benchmark: NAME, peer: PAIR_TITLES.conntrackd } as const;
    const [cost, rate] = [costOf, rateOf].map((of) => ({ ours: of("twinwall", pattern), theirs: of("conntrackd", pattern) })) as [Sides, Sides];
    return [
      compare({ ...common, ...cost, figure: `CPU ns per session, ${WORDS[pattern]}`, better: "less", floor: FLOOR }),
      compare({ ...common, ...rate, figure: `new sessions/s, ${WORDS[pattern]}`, better: "more" }),
    ];
  });
  const chart: Chart = {
    name: NAME,
    title: "New sessions, replicated",
    unit: "CPU ns per session",
    groups: PATTERNS.map((pattern) => WORDS[pattern]),
    series: NAMES.map((name) => ({
      name: PAIR_TITLES[name],
      values: PATTERNS.map((pattern) => costOf(name, pattern)).map((values) => (values.length > 0 ? median(values) : null)),
    })).filter(({ values }) => values.some((value) => value !== null)),
  };
  return { comparisons, charts: [chart], notes };
}

interface Sides {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}
