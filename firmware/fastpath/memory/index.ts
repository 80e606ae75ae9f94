// An open-addressing index over rows: slots of two words (hash, value + 1), linear probing, backward-shift deletion, so
// that there are no deleted markers and a probe ends at the first empty slot. Private memory: rebuilt at adoption.

import { INDEX_PROBES } from "../../limits.ts";

export class HashIndex {
  /** `words[slot * 2]` hash, `words[slot * 2 + 1]` value + 1, 0 = empty. Lookups walk it themselves (no call per hit). */
  readonly words: Int32Array;
  readonly mask: number;

  /** `slots`: a power of two. `buffer`: at least slots × 8 bytes of zeroes, else one is made. */
  constructor(slots: number, buffer?: ArrayBuffer) {
    this.words = buffer === undefined ? new Int32Array(slots * 2) : new Int32Array(buffer, 0, slots * 2);
    this.mask = slots - 1;
  }

  /** False when the neighbourhood is full (INDEX_PROBES). */
  insert(hash: number, value: number): boolean {
    const words = this.words;
    let slot = hash & this.mask;
    for (let probe = 0; probe < INDEX_PROBES; probe++) {
      if (words[slot * 2 + 1] === 0) {
        words[slot * 2] = hash;
        words[slot * 2 + 1] = (value + 1) | 0;
        return true;
      }
      slot = (slot + 1) & this.mask;
    }
    return false;
  }

  /** Removes the entry; false when it is not there. */
  remove(hash: number, value: number): boolean {
    const words = this.words;
    const mask = this.mask;
    const wanted = (value + 1) | 0;
    let slot = hash & mask;
    for (let probe = 0; words[slot * 2 + 1] !== wanted || words[slot * 2] !== hash; probe++) {
      if (probe >= INDEX_PROBES || words[slot * 2 + 1] === 0) return false;
      slot = (slot + 1) & mask;
    }
    // Shift back what would no longer be found behind the gap.
    let gap = slot;
    let scan = (slot + 1) & mask;
    while (words[scan * 2 + 1] !== 0) {
      const home = (words[scan * 2] as number) & mask;
      if (((scan - home) & mask) >= ((scan - gap) & mask)) {
        words[gap * 2] = words[scan * 2] as number;
        words[gap * 2 + 1] = words[scan * 2 + 1] as number;
        gap = scan;
      }
      scan = (scan + 1) & mask;
    }
    words[gap * 2] = 0;
    words[gap * 2 + 1] = 0;
    return true;
  }

  clear(): void {
    this.words.fill(0);
  }
}
