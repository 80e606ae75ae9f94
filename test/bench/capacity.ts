// Capacity: what a session takes, in bytes, beside conntrack; and how a hit's cost grows with sessions (judge.ts measures it).
//
// Ours are allocated at start, so that a session's bytes are those of all memory that grows with the capacity: rows and index.
// Conntrack's are what the kernel's slabs have grown by after so many sessions, and two entries of its hash table.

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { planRegions } from "../../firmware/fastpath/memory/tables.ts";
import { SESSIONS_MOST } from "../../firmware/limits.ts";
import { indexBytes } from "../../firmware/unit.ts";
import { startDevice } from "./forwarding/devices.ts";
import { establish } from "./forwarding/measure.ts";
import { Stand } from "./forwarding/stand.ts";
import { hitAt, type TakeApart } from "./judge.ts";
import { alone, compare, type Growth, type Outcome } from "./result.ts";

const NAME = "capacity";
const SIZES = [1_000, 10_000, 100_000, 262_144, 1_048_576];
const ROUNDS = 3;
const HASH_ENTRY_BYTES = 8;
const SESSIONS_LEAST = 1_024;
const SETTLING_MILLIS_MOST = 20_000;
/** Of half a million: less than one in a hundred. */
const OBJECTS_WHEN_EMPTY_MOST = 4_000;

export const CAPACITY_PARAGRAPH = `A session's bytes are all memory that grows with the number of sessions: rows and index here, slabs and two hash entries in conntrack. A hit is the
whole walk of a packet in TypeScript, from receive ring to transmit ring, of sessions in random order whose rows are not in the cache.`;

/** Outside the sandbox: how a hit's cost grows. */
export async function measureGrowth(isQuick: boolean, take: TakeApart): Promise<Outcome> {
  const sizes = isQuick ? SIZES.slice(0, 1) : SIZES;
  const nanos: number[] = [];
  for (const sessions of sizes) nanos.push((await take(hitAt(sessions), nanos.length / (sizes.length + 1))).medianNanos);
  const groups = sizes.map((sessions) => `${sessions.toLocaleString("en-US")} sessions`);
  return {
    comparisons: groups.map((group, k) => alone(NAME, `a hit at ${group}: ns`, nanos[k] as number)),
    charts: [growthOf(sizes, nanos)],
    notes: [],
  };
}

const growthOf = (steps: readonly number[], values: readonly number[]): Growth => ({
  name: `${NAME}-hit`,
  title: "A session hit, cold rows, as sessions grow",
  unit: "ns of TypeScript",
  along: "sessions",
  steps,
  series: [{ name: "Twinwall", values }],
});

/** Inside the sandbox: what a session takes, here and in conntrack. */
export async function measureBytes(isQuick: boolean): Promise<Outcome> {
  const sessions = isQuick ? 50_000 : 500_000;
  const rows = (planRegions(SESSIONS_MOST).totalBytes - planRegions(SESSIONS_LEAST).totalBytes) / (SESSIONS_MOST - SESSIONS_LEAST);
  const ours = rows + indexBytes(SESSIONS_MOST) / SESSIONS_MOST;
  const theirs: number[] = [];
  for (let round = 0; round < (isQuick ? 1 : ROUNDS); round++) {
    const stand = new Stand(`kernel${round}`, `${process.ppid}${process.pid % 1_000}c${round}`);
    stand.build();
    const device = await startDevice("kernel", stand, 1);
    const before = await settledSlabBytes();
    establish(device, sessions);
    theirs.push((slabBytes() - before) / sessions + 2 * HASH_ENTRY_BYTES);
    device.stop();
    stand.remove();
  }
  const figure = compare({ benchmark: NAME, figure: "bytes per session", peer: "nftables + conntrack", ours: theirs.map(() => ours), theirs, better: "less" });
  return { comparisons: [figure], charts: [], notes: [] };
}

/** The kernel clears away an earlier round's entries in its own time: while their slabs remain, new entries seem to take nothing. */
async function settledSlabBytes(): Promise<number> {
  const until = performance.now() + SETTLING_MILLIS_MOST;
  while (conntrackObjects() > OBJECTS_WHEN_EMPTY_MOST) {
    if (performance.now() > until) throw new Error("bench: conntrack's memory does not become free");
    await pause(50);
  }
  return slabBytes();
}

/** Entries that conntrack's slabs have room for, in use or not. */
function conntrackObjects(): number {
  return Number(/^nf_conntrack\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/slabinfo", "utf8"))?.[1] ?? 0);
}

function slabBytes(): number {
  return Number(/^Slab:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0) * 1_024;
}
