// A story: everything that a seed decides before anything happens. Settings of the picture, what hosts do, and the list of faults,
// each drawn from a stream of its own, so that a new setting or fault leaves the others as they are. A story that failed is
// kept as it was drawn (kept-story.ts), so that it stays the same story when more can be drawn.

import { Random } from "../../firmware/hal/sim/random.ts";
import { drawFaults, FAULT_KINDS, type Fault, type FaultKind, fits } from "./faults.ts";
import { type PictureOptions, unitsOf } from "./picture.ts";
import type { WorkloadOptions } from "./workload.ts";

export type Settings = Omit<PictureOptions, "build">;

export interface Story {
  /** Of everything that is drawn while it is told. */
  readonly seed: number;
  readonly settings: Settings;
  readonly work: WorkloadOptions;
  readonly faults: readonly Fault[];
}

export interface DrawOptions {
  /** Only faults of these kinds; all when absent. */
  readonly kinds?: readonly FaultKind[];
  /** Instead of settings drawn from the seed. */
  readonly settings?: Partial<Settings>;
}

/** Faults begin within this time. */
export const WORK_MILLIS = 8_000;
const FAULTS_MOST = 12;
export const SHORT_IDLE = { tcpOpening: 15_000, tcpClosing: 10_000, udpOneWay: 3_000, udpBothWays: 4_000, icmpQuery: 3_000, tcpReset: 2_000 };

/** The story of a seed. */
export function drawStory(seed: number, options: DrawOptions = {}): Story {
  const random = new Random(seed, "story");
  const drawn = { ...drawSettings(random.fork("settings")), ...options.settings };
  const kinds = (options.kinds ?? FAULT_KINDS).filter((kind) => fits(kind, drawn));
  const count = kinds.length === 0 ? 0 : random.fork("count").between(1, FAULTS_MOST);
  const faults = drawFaults(random.fork("faults"), { count, untilMillis: WORK_MILLIS, kinds, units: unitsOf(drawn) });
  // A flood fills tables; with the default timers they would stay full for minutes.
  const isFlooded = faults.some(({ kind }) => kind === "flood");
  const settings: Settings = isFlooded && options.settings?.idleMillis === undefined ? { ...drawn, idleMillis: SHORT_IDLE } : drawn;
  const work = { everyMillis: random.fork("pace").between(10, 150), downloadBytesMost: random.fork("size").between(10_000, 600_000) };
  return { seed, settings, work, faults };
}

function drawSettings(random: Random): Settings {
  const draw = (name: string): Random => random.fork(name);
  const pairs = draw("pairs").chance(0.5);
  const mode = draw("mode").chance(0.25) ? "transparent" : "routed";
  const isPassive = mode === "routed" && draw("deployment").chance(0.25);
  return {
    pairs,
    mode,
    ...(mode === "routed" && !isPassive && draw("upstream").chance(0.33) && { upstream: true }),
    deployment: isPassive ? "active/passive" : "active/active",
    follow: draw("follow").pick(["never", "both-directions", "both-directions", "originator"]),
    followPackets: draw("follow packets").between(4, 64),
    partition: draw("partition").chance(0.5) ? "stop" : "local",
    firstPacket: draw("first packet").pick(["query", "hold", "none"]),
    sessions: draw("sessions").pick([1_024, 2_048]),
    distanceMicros: Math.round(50 * 100 ** draw("distance").fraction()),
    twinMtuBytes: draw("mtu").pick([1_500, 1_600]),
    previous: draw("previous").chance(0.3) ? unitsOf({ pairs }).filter((name) => draw(`previous ${name}`).chance(0.5)) : [],
    ...(draw("keys").chance(0.4) && { keyMillis: draw("key").between(200, 3_000) }),
    ...(draw("keys by volume").chance(0.3) && { keyFrames: draw("key frames").between(100, 3_000) }),
    ...(draw("idle").chance(0.5) && { idleMillis: SHORT_IDLE }),
  };
}

/**
 * The shortest list of faults with which the story still fails, as far as leaving some out finds it: halves first, then smaller and
 * smaller parts. `fails` tells a story; `spent` says when there is no more time.
 */
export function shrink(story: Story, fails: (shorter: Story) => boolean, spent: () => boolean): Story {
  let faults = story.faults;
  for (let part = Math.ceil(faults.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    for (let at = 0; at < faults.length && !spent(); ) {
      const shorter = faults.toSpliced(at, part);
      if (shorter.length < faults.length && fails({ ...story, faults: shorter })) faults = shorter;
      else at += part;
    }
  }
  return { ...story, faults };
}
