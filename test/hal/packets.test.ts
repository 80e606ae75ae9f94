// Packet memory keeps account of every frame: whatever is done with frames, free, in hand and owned add up, and a
// second give is found.

import fc from "fast-check";
import { test } from "tap";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { FRAME_BYTES, FRAME_HEADROOM_BYTES, PORTS } from "../../firmware/limits.ts";

const FRAMES = 24;
const make = (): FrameMemory => createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));

test("a taken frame leaves room for the headroom, and frames do not overlap", async (t) => {
  const memory = make();
  const frames = new Set<number>();
  for (let k = 0; k < FRAMES; k++) {
    const offset = memory.take();
    t.equal(offset % FRAME_BYTES, FRAME_HEADROOM_BYTES);
    frames.add(Math.floor(offset / FRAME_BYTES));
  }
  t.equal(frames.size, FRAMES);
  t.equal(memory.take(), -1, "an exhausted memory says so");
  t.equal(memory.takeFor(0), -1, "to drivers too");
});

test("any offset inside a frame names the frame", async (t) => {
  const memory = make();
  const offset = memory.take();
  memory.give(offset - FRAME_HEADROOM_BYTES + FRAME_BYTES - 1);
  t.equal(memory.freeCount, FRAMES);
});

test("a frame that is given twice is a bug that throws", async (t) => {
  const memory = make();
  const offset = memory.take();
  memory.give(offset);
  t.throws(() => memory.give(offset), /belongs to the free list, not to the walk/);
});

test("a frame that a port owns cannot be given, queued or received by somebody else", async (t) => {
  const memory = make();
  const offset = memory.take();
  memory.claim(offset, 1);
  t.throws(() => memory.give(offset), /belongs to port 1, not to the walk/);
  t.throws(() => memory.claim(offset, 2), /belongs to port 1/);
  t.throws(() => memory.hand(offset, 2), /belongs to port 1, not to port 2/);
  t.throws(() => memory.recycle(offset, 0), /belongs to port 1, not to port 0/);
  t.throws(() => memory.give(FRAMES * FRAME_BYTES), /outside the area/);
});

test("an area that is no whole number of frames is refused", async (t) => {
  t.throws(() => createPacketMemory(new ArrayBuffer(FRAME_BYTES + 1)), /not a number of/);
  t.throws(() => createPacketMemory(new ArrayBuffer(0)), /not a number of/);
});

test("frames are conserved under any sequence of moves", async (t) => {
  const step = fc.record({ move: fc.integer({ min: 0, max: 6 }), port: fc.integer({ min: 0, max: PORTS - 1 }), pick: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const memory = make();
      const hand: number[] = [];
      const owned: number[][] = Array.from({ length: PORTS }, () => []);
      for (const { move, port, pick } of steps) {
        const mine = owned[port] as number[];
        if (move === 0) {
          const offset = memory.take();
          if (offset >= 0) hand.push(offset);
        } else if (move === 1 && hand.length > 0) memory.give(hand.splice(pick % hand.length, 1)[0] as number);
        else if (move === 2 && hand.length > 0) {
          const offset = hand.splice(pick % hand.length, 1)[0] as number;
          memory.claim(offset, port);
          mine.push(offset);
        } else if (move === 3 && mine.length > 0) {
          const offset = mine.splice(pick % mine.length, 1)[0] as number;
          memory.hand(offset, port);
          hand.push(offset);
        } else if (move === 4) {
          const offset = memory.takeFor(port);
          if (offset >= 0) mine.push(offset);
        } else if (move === 5 && mine.length > 0) memory.recycle(mine.splice(pick % mine.length, 1)[0] as number, port);
        else if (move === 6 && pick % 8 === 0) {
          if (memory.sweep(port) !== mine.length) return false;
          mine.length = 0;
        }
        const held = owned.reduce((sum, frames) => sum + frames.length, hand.length);
        if (memory.freeCount + held !== FRAMES) return false;
        if (memory.ownedBy(port) !== mine.length) return false;
      }
      for (let port = 0; port < PORTS; port++) memory.sweep(port);
      for (const offset of hand) memory.give(offset);
      return memory.freeCount === FRAMES;
    }),
    { seed: 1, numRuns: 300 },
  );
  t.pass("counted back");
});
