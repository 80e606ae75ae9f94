// A wire with faults: joins two devices frame by frame, loses some and lets others overtake. Works on our own AF_XDP driver.
//
//   node relay.ts LEFT RIGHT SEED LOST_PER_MILLE OVERTAKEN_PER_MILLE
//
// A frame that is overtaken waits until some frames of its direction (1 to 6) have passed it, or 5 ms. Says {"ready": true}, and for
// each line of stdin what it has done: {"passed", "lost", "overtaken"}. The same seed makes the same decisions, frame by frame.

import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { createIdle } from "../../../firmware/hal/linux/idle.ts";
import { privateArea } from "../../../firmware/hal/linux/memory.ts";
import { openPorts } from "../../../firmware/hal/linux/ports.ts";
import { createPacketMemory } from "../../../firmware/hal/packets.ts";
import { BATCH, FRAME_BYTES, FRAMES } from "../../../firmware/limits.ts";

const [, , left = "", right = "", seed = "1", lostPerMille = "0", overtakenPerMille = "0"] = process.argv;
const HELD_MILLIS = 5;
const OVERTAKERS = 6;
const WAIT_MILLIS = 2;

const memory = createPacketMemory(privateArea(FRAMES * FRAME_BYTES));
const { ports } = openPorts(
  [left, right].map((device, number) => ({ number, device, kind: "data", mtuBytes: 1_500, pairedPort: 1 - number }) as const),
  memory,
);
const idle = createIdle([], ports, -1);
const offsets = new Int32Array(BATCH);
const lengths = new Int32Array(BATCH);
const done = { passed: 0, lost: 0, overtaken: 0 };

/** Numbers below 1 from a seed (mulberry32). */
let state = Number(seed) | 0;
function chance(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

interface Held {
  readonly offset: number;
  readonly length: number;
  readonly since: number;
  /** Frames that still have to pass it. */
  overtakers: number;
}
/** By the port that they came from. */
const held: Held[][] = [[], []];

function send(from: number, offset: number, length: number): void {
  if (ports[1 - from]?.transmit(offset, length) === true) done.passed++;
  else memory.give(offset);
}

/** Lets go who has been overtaken often or long enough; `passed`: one more frame of the direction has gone by. */
function release(from: number, passed: boolean, now: number): void {
  const waiting = held[from] as Held[];
  for (let k = 0; k < waiting.length; k++) {
    const each = waiting[k] as Held;
    if (passed) each.overtakers--;
    if (each.overtakers > 0 && now - each.since < HELD_MILLIS) continue;
    waiting.splice(k--, 1);
    send(from, each.offset, each.length);
  }
}

function carry(from: number, now: number): void {
  const count = ports[from]?.receive(offsets, lengths, BATCH) ?? 0;
  for (let k = 0; k < count; k++) {
    const offset = offsets[k] as number;
    const length = lengths[k] as number;
    const drawn = chance() * 1_000;
    if (drawn < Number(lostPerMille)) {
      done.lost++;
      memory.give(offset);
    } else if (drawn < Number(lostPerMille) + Number(overtakenPerMille)) {
      done.overtaken++;
      (held[from] as Held[]).push({ offset, length, since: now, overtakers: 1 + Math.floor(chance() * OVERTAKERS) });
    } else {
      send(from, offset, length);
      release(from, true, now);
    }
  }
  release(from, false, now);
}

createInterface({ input: process.stdin }).on("line", () => console.log(JSON.stringify(done)));
console.log(JSON.stringify({ ready: true }));
for (;;) {
  idle.rest(0, WAIT_MILLIS * 1_000);
  const now = performance.now();
  for (const port of ports) port.service(Math.round(now * 1_000));
  carry(0, now);
  carry(1, now);
  for (const port of ports) port.flush();
  await turn();
}
