// Replay windows, as RFC 6479 has them: a ring of words in which a window slides by whole words, so that nothing is ever
// shifted. One window per peer, key and path. Looking changes nothing; only an authenticated frame moves a window.
//
//   counter   … │ top - 8192 │ … bits: seen … │ top │ …
//       too old ┘                                   └ new: words between are cleared, top moves

import { REPLAY_WINDOW } from "../limits.ts";

/** One word more than the window holds, rounded up to a power of two: the word that top enters is always cleared before use. */
const WORDS = 2 * (REPLAY_WINDOW / 32);

export class ReplayWindows {
  private readonly bits: Int32Array;
  private readonly tops: Float64Array;

  constructor(windows: number) {
    this.bits = new Int32Array(windows * WORDS);
    this.tops = new Float64Array(windows);
  }

  /** For a new key: nothing has been seen. Counters start at 1. */
  reset(window: number): void {
    this.tops[window] = 0;
    this.bits.fill(0, window * WORDS, (window + 1) * WORDS);
  }

  /** True when the counter (two words, unsigned) is neither too old nor seen. Changes nothing. */
  isNew(window: number, high: number, low: number): boolean {
    const counter = (high >>> 0) * 4294967296 + (low >>> 0);
    const top = this.tops[window] as number;
    if (counter > top) return true;
    if (counter + REPLAY_WINDOW <= top || counter === 0) return false;
    return (((this.bits[window * WORDS + ((low >>> 5) & (WORDS - 1))] as number) >>> (low & 31)) & 1) === 0;
  }

  /** Remembers the counter of a frame that was authenticated; false when it was too old or seen. */
  accept(window: number, high: number, low: number): boolean {
    if (!this.isNew(window, high, low)) return false;
    const counter = (high >>> 0) * 4294967296 + (low >>> 0);
    const top = this.tops[window] as number;
    const base = window * WORDS;
    if (counter > top) {
      const ahead = Math.floor(counter / 32) - Math.floor(top / 32);
      const clear = ahead < WORDS ? ahead : WORDS;
      const word = (low >>> 5) | 0;
      for (let k = 0; k < clear; k = (k + 1) | 0) this.bits[base + ((word - k) & (WORDS - 1))] = 0;
      this.tops[window] = counter;
    }
    const at = base + ((low >>> 5) & (WORDS - 1));
    this.bits[at] = (this.bits[at] as number) | (1 << (low & 31));
    return true;
  }
}
