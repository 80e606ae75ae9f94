// What the packet process's longest breath is while another policy comes in: a slice is read in each, then one switch, then sessions are
// judged anew. The ports are arrays; everything else is the product. Run in a process of its own, with the packet process's flags.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { putCommand } from "../../../firmware/fastpath/memory/commands.ts";
import { COMMAND_POLICY, headerWord } from "../../../firmware/fastpath/memory/tables.ts";
import { writePolicyImage } from "../../../firmware/fastpath/policy-image.ts";
import { openUnitMemory, removeUnitMemory } from "../../../firmware/hal/linux/memory.ts";
import { createPolicySource } from "../../../firmware/hal/linux/policy-source.ts";
import { createPacketMemory } from "../../../firmware/hal/packets.ts";
import { BATCH, FRAME_BYTES, FRAMES, POLICY_IMAGE_BYTES } from "../../../firmware/limits.ts";
import type { Plan, PlannedRule } from "../../../firmware/plan.ts";
import { Dataplane } from "../../../firmware/unit.ts";
import { ArrayPort, planFor, randomSource, Traffic } from "../traffic.ts";

const SESSIONS = 262_144;
const WARM_UP_COMMITS = 2;
/** More than a walk over all rows takes, 2,048 of them in each 5 ms. */
const REVIEW_MICROS = 1_500_000;
const BREATH_MICROS = 300;

export interface Spread {
  readonly median: number;
  readonly p999: number;
}

export interface BreathFigure {
  /** Of each commit: its longest breath that reads a slice or switches, with a full batch of packets in it, in microseconds. */
  readonly longestMicros: readonly number[];
  /** Breaths in which a slice was read, of one commit. */
  readonly slices: number;
  /** Of all commits: breaths in which sessions are judged anew, and breaths before, by their median and 99.9th percentile. */
  readonly reviewMicros: Spread;
  readonly quietMicros: Spread;
  /** Compiling it in this process, in milliseconds. */
  readonly compileMillis: readonly number[];
}

function rulesFor(plan: Plan, count: number): readonly PlannedRule[] {
  const [web, rest] = plan.rules as [PlannedRule, PlannedRule];
  const others = Array.from({ length: count - 2 }, (_, k) => ({
    ...web,
    number: k + 1,
    name: `rule-${k}`,
    sources: [{ bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 172, 16 + (k >> 12), (k >> 4) & 0xff, (k & 15) << 4], prefixBits: 124 }],
    services: [{ protocol: 17, ports: [20_000 + (k % 1_000), 20_000 + (k % 1_000)], codes: [0, 255] }] as const,
  }));
  return [...others, { ...web, number: count - 1 }, { ...rest, number: count }];
}

/** Commits `rules` rules `commits` times while 262,144 sessions of TCP are hit in random order. */
export function measureBreaths(rules: number, commits: number): BreathFigure {
  const directory = mkdtempSync(join(tmpdir(), "twinwall-bench-"));
  const file = join(directory, "policy.image");
  const packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  const give = (offset: number) => packets.give(offset);
  const ports: readonly [ArrayPort, ArrayPort] = [new ArrayPort("one", give), new ArrayPort("three", give)];
  const name = `bench-${process.pid}`;
  const memory = openUnitMemory(name, SESSIONS);
  removeUnitMemory(name);
  const plan = planFor(SESSIONS);
  let now = 3_000_000_000_000;
  const dataplane = new Dataplane(
    {
      clock: { nowMicros: () => now },
      entropy: { fill: (bytes: Uint8Array) => bytes.fill(0x5b) },
      packets,
      memory,
      ports,
      sealer: { install: () => {}, remove: () => {}, seal: () => {}, open: () => 0 },
      pairKeys: () => [],
      policies: { source: createPolicySource(file), areas: [new ArrayBuffer(POLICY_IMAGE_BYTES), new ArrayBuffer(POLICY_IMAGE_BYTES)] },
    },
    plan,
    1,
  );
  const traffic = new Traffic(packets, ports);
  const breathe = (): number => {
    now += BREATH_MICROS;
    const from = performance.now();
    dataplane.breathe();
    return (performance.now() - from) * 1_000;
  };
  for (const [port, zone] of [
    [0, 1],
    [1, 3],
  ] as const) {
    breathe();
    traffic.askAsRouter(port, zone);
    breathe();
  }
  const half = SESSIONS / 2;
  traffic.establish(half, breathe);
  const random = randomSource(88_172_645);
  const busy = (): number => {
    for (let k = 0; k < BATCH; k++) traffic.hit((random() >>> 1) % half, 0);
    return breathe();
  };
  const revision = (): number => dataplane.tables.header.i[headerWord("revision")] as number;
  const breathsOfReview = REVIEW_MICROS / BREATH_MICROS;
  const figure = { longestMicros: [] as number[], slices: 0, compileMillis: [] as number[] };
  const quiet: number[] = [];
  const review: number[] = [];
  try {
    for (let commit = 0; commit < commits + WARM_UP_COMMITS; commit++) {
      const wanted = revision() + 1;
      const compiled = performance.now();
      const words = writePolicyImage({ ...plan, rules: rulesFor(plan, rules), revision: wanted });
      figure.compileMillis.push(performance.now() - compiled);
      writeFileSync(`${file}.new`, new Uint8Array(words.buffer));
      renameSync(`${file}.new`, file);
      for (let k = 0; k < breathsOfReview; k++) quiet.push(busy());
      putCommand(dataplane.tables, COMMAND_POLICY, 0, 0);
      let longest = 0;
      for (figure.slices = 0; revision() !== wanted; figure.slices++) longest = Math.max(longest, busy());
      figure.longestMicros.push(longest);
      for (let k = 0; k < breathsOfReview; k++) review.push(busy());
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return {
    ...figure,
    longestMicros: figure.longestMicros.slice(WARM_UP_COMMITS),
    compileMillis: figure.compileMillis.slice(WARM_UP_COMMITS),
    quietMicros: spreadOf(quiet),
    reviewMicros: spreadOf(review),
  };
}

function spreadOf(values: number[]): Spread {
  values.sort((a, b) => a - b);
  return { median: values[values.length >> 1] as number, p999: values[Math.floor(values.length * 0.999)] as number };
}

const RULES = 10_000;
const COMMITS = 5;
export const BREATH_MEASUREMENTS: ReadonlyMap<string, () => BreathFigure> = new Map([
  ["breaths", () => measureBreaths(RULES, COMMITS)],
  ["breaths, quick", () => measureBreaths(1_000, 1)],
]);
