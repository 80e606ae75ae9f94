// Incarnations tell a unit that lost its tables from the unit that it was: session ids, ownership and successions name
// them. A number is reserved, durably, before each dataplane starts; a dataplane that adopts its rows keeps the old one
// and the reserved number is skipped. No number is ever used twice.

import { join } from "node:path";
import { readIfThere, writeDurably } from "./run-dir.ts";

/** Where counting starts when nothing is known, so that it lies above every number used before the file was lost. */
const EPOCH_MILLIS = Date.UTC(2026, 0, 1);
const MINUTE_MILLIS = 60_000;

/** The owner word of a session holds 24 bits of it. */
const INCARNATION_MOST = 0xff_ffff;

/**
 * Reserves the next number, 1..2^24-1. `data`: the unit's durable directory. Without a readable file it starts at the
 * minutes since 2026: less than one start a minute keeps that above all numbers used before.
 */
export function reserveIncarnation(data: string, nowMillis: number): number {
  const file = join(data, "incarnation");
  const text = readIfThere(file)?.trim() ?? "";
  const lost = Math.max(1, Math.floor((nowMillis - EPOCH_MILLIS) / MINUTE_MILLIS));
  const next = /^\d{1,8}$/.test(text) ? Number(text) + 1 : lost;
  if (next > INCARNATION_MOST) throw new Error(`${file}: incarnation ${next} does not fit 24 bits`);
  writeDurably(file, `${next}\n`);
  return next;
}
