// Three figures of one device: the highest rate that it forwards, what it forwards when more comes, and what a packet costs.

import { cpus } from "node:os";
import type { Device } from "./devices.ts";
import type { Placement } from "./stand.ts";

/** Lost at the most, of what was sent, for a rate to count as forwarded. */
const LOSS_MOST = 0.001;
const RATE_LEAST = 10_000;
const RATE_MOST = 1_600_000;
/** An overload is one when the generator has sent so much more than arrived. */
const OVERLOAD_LEAST = 1.2;
const ESTABLISH_RATE = 200_000;
const ESTABLISH_TRIES = 5;
/** Of the sessions that should be there. */
const WHOLE = 0.99;

export interface Condition {
  readonly bytes: number;
  readonly sessions: number;
  readonly rules: number;
}

/** How long each measurement sends, and how fine the search is. */
export interface Care {
  readonly costMillis: number;
  readonly stepMillis: number;
  /** The search ends when its two ends are this close. */
  readonly resolution: number;
}

/** CPU time per forwarded packet less the generator's own, in nanoseconds, counted twice. */
export interface Cost {
  /** Of all cores. */
  readonly all: number;
  /** Of the generator, the device and its threads: what remains usable where others use the machine too. */
  readonly ours: number;
  /** What others used meanwhile, as a share of a core. */
  readonly others: number;
}

export async function measureCost({ stand }: Device, { bytes, sessions }: Condition, rate: number, millis: number): Promise<Cost> {
  const load = { order: "random", sessions, bytes, rate, millis } as const;
  const empty = stand.sendIntoVoid({ ...load, millis: millis / 4 });
  const threadsBefore = await stand.threadNanos();
  const run = stand.send(load);
  const threads = (await stand.threadNanos()) - threadsBefore;
  const all = cpus().length * run.windowNanos - run.idleNanos - run.spinNanos;
  const ours = run.ownNanos + run.processNanos + threads;
  const generator = (empty.ownNanos / empty.sent) * run.sent;
  return { all: (all - generator) / run.arrived, ours: (ours - generator) / run.arrived, others: (all - ours) / run.windowNanos };
}

/** Highest rate at which less than 0.1 % is lost, found by halving. A step that fails is tried once more: a pause of the machine is not the device's. */
export function forwardedPerSecond(device: Device, condition: Condition, care: Care, expected: number | undefined): number {
  const forwards = (rate: number): number => {
    for (let tries = 0; tries < 2; tries++) {
      const run = device.stand.send({ order: "random", sessions: condition.sessions, bytes: condition.bytes, rate, millis: care.stepMillis });
      const achieved = (run.arrived * 1e9) / run.nanos;
      if (run.sent - run.arrived <= run.sent * LOSS_MOST) return achieved;
    }
    return 0;
  };
  let low = expected === undefined ? RATE_LEAST : expected * 0.75;
  let high = expected === undefined ? RATE_MOST : expected * 1.25;
  let best = 0;
  while (high / low > care.resolution) {
    const middle = Math.sqrt(low * high);
    const achieved = forwards(middle);
    if (achieved > 0) {
      best = Math.max(best, achieved);
      low = middle;
      // The generator cannot offer more.
      if (achieved < middle * 0.97) break;
    } else high = middle;
  }
  return best > 0 || expected === undefined ? best : forwardedPerSecond(device, condition, care, undefined);
}

/** Packets per second that arrive when the generator sends what it can; undefined when that is no overload. */
export function overloadedPerSecond({ stand }: Device, { bytes, sessions }: Condition, millis: number): number | undefined {
  const run = stand.send({ order: "random", sessions, bytes, rate: 0, millis });
  return run.sent < run.arrived * OVERLOAD_LEAST ? undefined : (run.arrived * 1e9) / run.nanos;
}

/** New sessions per second, each opened by its first packet, which faces the rules; `first` is a number of a session that was never used. */
export function firstPacketsPerSecond({ stand }: Device, first: number, count: number, rate: number): number {
  const run = stand.send({ order: "each", first, sessions: count, bytes: 64, rate });
  return (run.arrived * 1e9) / run.nanos;
}

/** Sends both directions of each session once, so that devices with a table have it whole; again, slower, when a pause of the machine cost packets. */
export function establish(device: Device, sessions: number): void {
  for (const way of ["forth", "back"] as const) {
    let arrived = 0;
    for (let tries = 0; tries < ESTABLISH_TRIES && arrived < sessions * WHOLE; tries++) {
      const rate = device.hasSessions ? ESTABLISH_RATE >> tries : ESTABLISH_RATE;
      arrived = device.stand.send({ order: "each", sessions, bytes: 64, rate, way: device.hasSessions ? way : "forth" }).arrived;
      if (!device.hasSessions) return;
    }
    if (arrived < sessions * WHOLE) throw new Error(`bench: ${device.name}: ${arrived} of ${sessions} sessions came up (${way})`);
  }
}

/** The placement that costs less per packet, of the two. */
export async function cheaperPlacement(device: Device, condition: Condition, rate: number, millis: number): Promise<Placement> {
  const cost: Record<Placement, number> = { threaded: 0, sender: 0 };
  for (const placement of ["threaded", "sender"] as const) {
    await device.stand.place(placement, device.hasProgram);
    device.stand.send({ order: "random", sessions: condition.sessions, bytes: condition.bytes, rate, millis: 200 });
    cost[placement] = (await measureCost(device, condition, rate, millis)).ours;
  }
  return cost.threaded < cost.sender ? "threaded" : "sender";
}

/** The placement that forwards more without loss, of the two. */
export async function fasterPlacement(device: Device, condition: Condition, care: Care): Promise<Placement> {
  const rate: Record<Placement, number> = { threaded: 0, sender: 0 };
  for (const placement of ["threaded", "sender"] as const) {
    await device.stand.place(placement, device.hasProgram);
    rate[placement] = forwardedPerSecond(device, condition, care, undefined);
  }
  return rate.threaded > rate.sender ? "threaded" : "sender";
}
