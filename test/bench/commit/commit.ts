// A commit of 10,000 rules while packets flow, beside `nft -f` of the same ones: from the order to the first packet that the new rules
// permit, and what a paced flow misses meanwhile.
//
//   left ── probe (each ms, denied at first) ──► device ──► right: when does the first one arrive?

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { stopLab } from "../../lab/lab.ts";
import { tellProgress } from "../agent.ts";
import { alone, type Comparison, compare, median, type Outcome } from "../result.ts";
import { LEFT, RIGHT } from "../takeover/network.ts";
import { Pulse } from "../takeover/pulse.ts";
import type { BreathFigure } from "./breaths.ts";
import { Appliance, type Changed, Kernel } from "./devices.ts";
import { PROBE_PORT } from "./rules.ts";

const NAME = "commit";
const RULES = 10_000;
const QUICK_RULES = 1_000;
const ROUNDS = 3;
/** Changes of one device in one round: permitted, denied, permitted … */
const CHANGES = 3;
const PROBE = join(import.meta.dirname, "..", "programs", "probe.ts");
const EFFECT_LIMIT_MILLIS = 30_000;
const SETTLE_MILLIS = 1_500;
/** What the issue asks for. */
const PAUSE_LIMIT_MICROS = 1_000;
const COMPILE_LIMIT_MILLIS = 2_000;

type Name = "twinwall" | "kernel";
const TITLES: Readonly<Record<Name, string>> = { twinwall: "Twinwall", kernel: "nft -f" };

export const COMMIT_PARAGRAPH = `One device between two networks has ${RULES.toLocaleString("en-US")} rules that name a network and a service each; the last one denies a probe, which comes each millisecond. Then the last
rule permits it. At Twinwall that is a commit typed into a configuration mode that is open: checked, written down, compiled by a process of its own, switched; the whole appliance runs (manager,
packet process, store). The kernel's administrator loads the whole chain anew (nft -f, one transaction). Time to effect is from the order to the first probe at the other side. The paced flow is a
datagram each millisecond both ways, and its silence is also what this machine's two cores make of it: the same without a change stands in a note. The longest breath is the packet process's own,
with 64 packets of 262,144 sessions in each, while slices of the compiled rules come in, are switched to, and sessions are judged anew.`;

interface Round {
  readonly effectMillis: number[];
  readonly silenceMillis: number[];
  quietMillis: number;
}

class Probe {
  private readonly children = [this.start(LEFT.name, "beat", RIGHT.address, String(PROBE_PORT)), this.start(RIGHT.name, "await", String(PROBE_PORT))] as const;
  private readonly lines = createInterface({ input: this.children[1].stdout })[Symbol.asyncIterator]();

  private start(namespace: string, ...args: readonly string[]): ChildProcessByStdio<Writable, Readable, null> {
    return spawn("ip", ["netns", "exec", namespace, process.execPath, PROBE, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  }

  async ready(): Promise<void> {
    await this.lines.next();
  }

  /** Resolves with when the next probe arrives, in microseconds of the monotonic clock. */
  async next(): Promise<number> {
    this.children[1].stdin.write("\n");
    const limit = pause(EFFECT_LIMIT_MILLIS, undefined, { ref: false });
    const line = (await Promise.race([this.lines.next(), limit]))?.value as string | undefined;
    if (line === undefined) throw new Error(`bench: no probe arrived within ${EFFECT_LIMIT_MILLIS / 1_000} s of the change that permits it`);
    return (JSON.parse(line) as { atMicros: number }).atMicros;
  }

  stop(): void {
    for (const child of this.children) child.kill("SIGKILL");
  }
}

const nowMicros = (): number => Number(process.hrtime.bigint() / 1_000n);

async function measureRound(device: Changed, changes: number): Promise<Round> {
  const round: Round = { effectMillis: [], silenceMillis: [], quietMillis: 0 };
  try {
    await device.start();
    const pulse = await Pulse.start();
    const probe = new Probe();
    await probe.ready();
    await pause(SETTLE_MILLIS);
    pulse.mark();
    round.quietMillis = (await pulse.gaps()).pacedMillis;
    for (let k = 0; k < changes; k++) {
      await device.prepare("permit");
      await pause(SETTLE_MILLIS);
      pulse.mark();
      const arrives = probe.next();
      const from = nowMicros();
      await device.change();
      round.effectMillis.push(((await arrives) - from) / 1_000);
      round.silenceMillis.push((await pulse.gaps()).pacedMillis);
      if (device instanceof Appliance) device.noteSwitch();
      await device.prepare("deny");
      await device.change();
      await pause(SETTLE_MILLIS);
    }
    probe.stop();
    pulse.stop();
    device.stop();
  } finally {
    stopLab();
  }
  return round;
}

/** Runs inside the sandbox: both devices in turn, `ROUNDS` times. */
export async function measureCommit(isQuick: boolean): Promise<Outcome> {
  const rules = isQuick ? QUICK_RULES : RULES;
  const rounds = isQuick ? 1 : ROUNDS;
  const results: Readonly<Record<Name, Round[]>> = { twinwall: [], kernel: [] };
  const switchMillis: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [k, name] of (["twinwall", "kernel"] as const).entries()) {
      tellProgress((round * 2 + k) / (rounds * 2), `round ${round + 1}: ${TITLES[name]}`);
      const device = name === "twinwall" ? new Appliance(rules) : new Kernel(rules);
      results[name].push(await measureRound(device, isQuick ? 1 : CHANGES));
      if (device instanceof Appliance) switchMillis.push(...device.switchMillis);
    }
  }
  const all = (name: Name, pick: (round: Round) => readonly number[]): number[] => results[name].map((round) => median(pick(round)));
  const common = { benchmark: NAME, peer: TITLES.kernel, better: "less" } as const;
  const effects = { ours: all("twinwall", ({ effectMillis }) => effectMillis), theirs: all("kernel", ({ effectMillis }) => effectMillis) };
  const silences = { ours: all("twinwall", ({ silenceMillis }) => silenceMillis), theirs: all("kernel", ({ silenceMillis }) => silenceMillis) };
  const quiet = (name: Name): string => median(results[name].map(({ quietMillis }) => quietMillis)).toFixed(1);
  return {
    comparisons: [
      compare({ ...common, figure: "ordered to first packet under the new rules: ms", ...effects }),
      compare({ ...common, figure: "longest silence of a paced flow meanwhile: ms", ...silences }),
      ...(switchMillis.length > 0 ? [alone(NAME, "of that, compiled and switched to: ms", median(switchMillis))] : []),
    ],
    charts: [
      {
        name: NAME,
        title: `${rules.toLocaleString("en-US")} rules change while packets flow`,
        unit: "ms",
        groups: ["time to effect", "longest silence"],
        series: (["twinwall", "kernel"] as const).map((name) => ({
          name: TITLES[name],
          values: name === "twinwall" ? [median(effects.ours), median(silences.ours)] : [median(effects.theirs), median(silences.theirs)],
        })),
      },
    ],
    notes: [
      `without a change, the paced flow's longest silence in two seconds is ${quiet("twinwall")} ms (${TITLES.twinwall}) and ${quiet("kernel")} ms (${TITLES.kernel})`,
    ],
  };
}

/** What the packet process's own breaths say. */
export function breathComparisons(figure: BreathFigure): { readonly comparisons: readonly Comparison[]; readonly notes: readonly string[] } {
  const { longestMicros, quietMicros, reviewMicros, slices, compileMillis } = figure;
  const asked = (values: readonly number[], limit: number): number[] => values.map(() => limit);
  return {
    comparisons: [
      compare({
        benchmark: NAME,
        figure: "longest breath that reads rules or switches: us",
        peer: "1,000 us",
        ours: longestMicros,
        theirs: asked(longestMicros, PAUSE_LIMIT_MICROS),
        better: "less",
        floor: 1,
      }),
      compare({
        benchmark: NAME,
        figure: "compiling the rules: ms",
        peer: "2,000 ms",
        ours: compileMillis,
        theirs: asked(compileMillis, COMPILE_LIMIT_MILLIS),
        better: "less",
        floor: 1,
      }),
    ],
    notes: [
      `the rules come in within ${slices} breaths; then sessions are judged anew: a breath takes ${reviewMicros.median.toFixed(0)} us at the median and ${reviewMicros.p999.toFixed(0)} us at the 99.9th percentile, before the commit ${quietMicros.median.toFixed(0)} and ${quietMicros.p999.toFixed(0)} us`,
    ],
  };
}
