// What goes wrong in a world, drawn from its seed: a list of faults with their times, made before anything happens, so that it
// can be printed, and later shortened. Each fault begins, lasts and ends; injector.ts makes them happen.

import type { Random } from "../../firmware/hal/sim/random.ts";

export const FAULT_KINDS = [
  "twin-noise",
  "data-noise",
  "twin-cut",
  "twin-one-way",
  "data-cut",
  "data-one-way",
  "all-cut",
  "crash-keep",
  "crash-lose",
  "crash-torn",
  "stall",
  "forge",
  "replay",
  "port-down",
  "port-gone",
  "move-user",
  "flood",
  "twin-delay",
  "data-delay",
  "site-twin-cut",
  "site-cut",
  "drift",
  "switchover",
  "drain",
  "switch-site",
  "drain-site",
  "crash-sweep",
  "crash-handover",
  "incarnation-lost",
  "wrap",
  "upgrade",
  "commit",
  "miss-flood",
  "reopen",
  "mirrored",
  "move-host",
  "crash-rejoin",
  "crash-grant",
  "new-secret",
  "late-order",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Those that are not about a twin: for a unit by itself. */
export const LONE_KINDS: readonly FaultKind[] = ["data-noise", "crash-keep", "crash-lose", "crash-torn", "stall", "port-down", "port-gone", "flood"];

/** Those that need two units at a site, a stretched LAN or another way than by the wire that is cut, or a site that stands by. */
const PAIR_KINDS: readonly FaultKind[] = ["site-twin-cut", "site-cut", "switchover", "crash-handover", "late-order"];
const ROUTED_KINDS: readonly FaultKind[] = ["move-user", "move-host", "crash-grant", "drain-site"];
const PASSIVE_KINDS: readonly FaultKind[] = ["switch-site"];

/** Can this happen in such a picture? */
export function fits(
  kind: FaultKind,
  picture: { readonly pairs?: boolean; readonly mode?: string; readonly deployment?: string; readonly follow?: string },
): boolean {
  if (kind === "crash-grant" && picture.follow === "never") return false;
  if (PAIR_KINDS.includes(kind)) return picture.pairs === true;
  if (ROUTED_KINDS.includes(kind)) return picture.mode !== "transparent";
  return !PASSIVE_KINDS.includes(kind) || picture.deployment === "active/passive";
}

export interface Fault {
  readonly kind: FaultKind;
  readonly atMillis: number;
  readonly lastsMillis: number;
  /** Whom it strikes, where that matters. */
  readonly unit: string;
  /** Fixes the details. */
  readonly detail: number;
}

export interface FaultPlan {
  readonly count: number;
  readonly untilMillis: number;
  readonly kinds: readonly FaultKind[];
  /** Names of those whom they may strike. */
  readonly units: readonly string[];
}

/** The faults of a seed, in order of time. */
export function drawFaults(random: Random, plan: FaultPlan): Fault[] {
  const faults: Fault[] = [];
  for (let k = 0; k < plan.count; k++) {
    const draw = random.fork(String(k));
    const kind = draw.pick(plan.kinds);
    const lastsMillis = Math.ceil(durationOf(kind, draw));
    faults.push({ kind, atMillis: draw.below(plan.untilMillis), lastsMillis, unit: draw.pick(plan.units), detail: draw.word() });
  }
  return faults.sort((one, other) => one.atMillis - other.atMillis);
}

function durationOf(kind: FaultKind, random: Random): number {
  const detection = 100;
  if (kind === "stall" || kind === "late-order") return detection * 0.5 * 40 ** random.fraction();
  if (kind === "crash-keep" || kind === "crash-torn") return random.between(20, 500);
  if (kind === "crash-lose" || kind === "incarnation-lost") return random.between(50, 3_000);
  if (kind === "crash-rejoin" || kind === "crash-grant" || kind === "crash-sweep" || kind === "crash-handover" || kind === "upgrade" || kind === "commit")
    return random.between(20, 800);
  return 20 * 150 ** random.fraction();
}

export function describeFault({ kind, atMillis, lastsMillis, unit, detail }: Fault): string {
  return `${String(atMillis).padStart(6)} ms  ${kind} ${unit} for ${lastsMillis} ms, detail ${detail}`;
}

/** Reads what `describeFault` writes; throws when it cannot. */
export function parseFault(text: string): Fault {
  const [, at, kind, unit, lasts, detail] = /^\s*(\d+) ms {2}([a-z-]+) (\w+) for (\d+) ms, detail (\d+)$/.exec(text) ?? [];
  if (!FAULT_KINDS.includes(kind as FaultKind)) throw new Error(`this is not a fault: ${text}`);
  return { kind: kind as FaultKind, atMillis: Number(at), lastsMillis: Number(lasts), unit: unit as string, detail: Number(detail) };
}
