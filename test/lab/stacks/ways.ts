// The two ways of every stack scenario, and the account of drops.
//
//   alone   user ── router leg B ── B1 ── service3     both directions through one unit
//   across  service1 ── A1 ── service3 ── B1           requests through A1, replies through B1, which hands them to A1

import type { Lab } from "../lab.ts";
import { must } from "../measured.ts";
import { LAB_UNITS, type LabHost } from "../picture.ts";
import { dropsOf, MISSED, number } from "../scenarios.ts";
import { lostOnCables, moveUserPath } from "../topology.ts";

export interface Way {
  readonly from: LabHost;
  readonly words: string;
}

export const ALONE: Way = { from: "user", words: "through B1 alone" };
export const ACROSS: Way = { from: "service1", words: "out through A1, back through B1" };
export const WAYS: readonly Way[] = [ALONE, ACROSS];

/** Packets dropped, by reason, both units together. */
export type Drops = ReadonlyMap<string, number>;

export function dropsIn(lab: Lab): Drops {
  const sums = new Map<string, number>();
  for (const name of LAB_UNITS) for (const drop of dropsOf(lab.units[name])) sums.set(drop.name, (sums.get(drop.name) ?? 0) + drop.value);
  return sums;
}

/** What was dropped since `before`. */
export function dropsSince(lab: Lab, before: Drops): Drops {
  return new Map([...dropsIn(lab)].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const).filter(([, value]) => value > 0));
}

export const inWords = (drops: Drops): string => [...drops].map(([name, value]) => `${name} ${number(value)}`).join(", ") || "none";

/**
 * What happens on every segment and concerns no session: multicast of hosts (neighbour discovery, listener reports), and frames that
 * a bridge floods until it has learnt where their station is.
 */
const BACKGROUND = ["mac-filtered", "not-for-us"];
/** A unit that this machine did not run for longer than half the detection time throws its backlog away, as it must, and says so. */
const AFTER_A_PAUSE = "rejoining";
/** A packet that was handed over in two frames, of which a full ring lost one on the cable: as if it had lost the packet. */
const AFTER_A_LOST_FRAME = "handoff-incomplete";

/** Fails when a counter outside `allowed` moved since `before`; returns what moved but for the background. */
export function mustDropOnly(lab: Lab, before: Drops, allowed: readonly string[] = []): Drops {
  const stoodStill = LAB_UNITS.some((name) => lab.units[name].longestPauseMillis() > 0);
  const lostFrames = LAB_UNITS.some((name) => lostOnCables(name) + lab.units[name].number(MISSED) > 0);
  const excused = [...BACKGROUND, ...(stoodStill ? [AFTER_A_PAUSE] : []), ...(lostFrames ? [AFTER_A_LOST_FRAME] : [])];
  const drops = new Map([...dropsSince(lab, before)].filter(([name]) => !excused.includes(name)));
  must(
    [...drops.keys()].every((name) => allowed.includes(name)),
    `unexpected drops: ${inWords(drops)} (allowed: ${allowed.join(", ") || "none"})`,
  );
  return drops;
}

/** Runs `body` from both hosts, one after the other, with the user's path at site B; nothing but `allowed` may be dropped. */
export async function bothWays(lab: Lab, allowed: readonly string[], body: (way: Way) => Promise<string>): Promise<void> {
  moveUserPath("B");
  for (const way of WAYS) {
    const before = dropsIn(lab);
    const seen = await body(way);
    const drops = mustDropOnly(lab, before, allowed);
    lab.say(`${way.words}: ${seen}${drops.size > 0 ? `; dropped, as expected: ${inWords(drops)}` : ""}`);
  }
  const handed = lab.units.B1.counter("handed-off") + lab.units.B1.counter("queried");
  must(handed > 0, "nothing went across: B1 handed no packet to A1");
}
