// What hosts send to each other: an endless stream of bytes that both ends know, so that every byte that arrives is compared
// with the one that was sent, at its position. A stream is named by a number; streams of different numbers differ.

import type { Random } from "../../firmware/hal/sim/random.ts";

/** Prime, so that no power of two divides it: a packet moved by a round figure is found. */
const BLOCK_BYTES = 262_139;
const STREAM_STEP = 7_919;

export class Content {
  private readonly block: Uint8Array;

  constructor(random: Random) {
    this.block = new Uint8Array(BLOCK_BYTES);
    random.fill(this.block);
  }

  /** Writes `length` bytes of a stream, from `position` on, to `target[at..]`. */
  copy(stream: number, position: number, target: Uint8Array, at: number, length: number): void {
    let from = (position + stream * STREAM_STEP) % BLOCK_BYTES;
    let done = 0;
    while (done < length) {
      const part = Math.min(length - done, BLOCK_BYTES - from);
      target.set(this.block.subarray(from, from + part), at + done);
      done += part;
      from = 0;
    }
  }

  /** Are these the stream's bytes from `position` on? */
  matches(stream: number, position: number, bytes: Uint8Array): boolean {
    let from = (position + stream * STREAM_STEP) % BLOCK_BYTES;
    let done = 0;
    while (done < bytes.length) {
      const part = Math.min(bytes.length - done, BLOCK_BYTES - from);
      if (Buffer.compare(bytes.subarray(done, done + part), this.block.subarray(from, from + part)) !== 0) return false;
      done += part;
      from = 0;
    }
    return true;
  }
}
