// Do the rules, routes and zones that packets meet still hold what their revision compiled to? A sum over their words goes round, some words
// in each tick, and is compared with the one that the compiler made. A bit that has flipped in memory would permit, or lose, what nobody
// committed: the packet process ends then, nothing passes (F1), and its manager starts it anew from the plan, with all sessions.
//
//   arrays   │ policy … │ routes … │ zones … │       4,096 words a tick: 10,000 rules within a second

import { DRIFT_WORDS } from "../limits.ts";

/** What a sum over no words is: any number but 0, in which leading words of zero would not count. */
const OFFSET = 0x811c9dc5 | 0;

/** Sum over all words of `arrays`, on top of the sum over what is before them. */
export function sumOf(arrays: readonly Int32Array[], before: number = OFFSET): number {
  let sum = before;
  for (const array of arrays) sum = sumPart(array, 0, array.length, sum);
  return sum;
}

/** A turn by five bits and an addition: either is reversible, so one word that differs always shows. No Math.imul: V8 calls it where 200 ticks a second are not worth its best compiler. */
function sumPart(array: Int32Array, from: number, to: number, before: number): number {
  let sum = before;
  for (let k = from; k < to; k = (k + 1) | 0) sum = (((sum << 5) | (sum >>> 27)) + (array[k] as number)) | 0;
  return sum;
}

export class DriftWatch {
  private arrays: readonly Int32Array[] = [];
  private expected = OFFSET;
  private revision = 0;
  /** How far the sum has come: array, word in it. */
  private array = 0;
  private at = 0;
  private sum = OFFSET;

  /** From now on these arrays are in use, whose sum is `expected`. */
  watch(arrays: readonly Int32Array[], expected: number, revision: number): void {
    this.arrays = arrays;
    this.expected = expected;
    this.revision = revision;
    this.array = 0;
    this.at = 0;
    this.sum = OFFSET;
  }

  /** Once per tick. Throws when a whole sum is another than the compiler's. */
  tick(): void {
    for (let left = DRIFT_WORDS; left > 0 && this.array < this.arrays.length; ) {
      const array = this.arrays[this.array] as Int32Array;
      const to = Math.min(this.at + left, array.length);
      this.sum = sumPart(array, this.at, to, this.sum);
      left = (left - (to - this.at)) | 0;
      this.at = to;
      if (to < array.length) return;
      this.array = (this.array + 1) | 0;
      this.at = 0;
    }
    if (this.array < this.arrays.length) return;
    if (this.sum !== this.expected)
      throw new Error(
        `drift: the rules, routes or zones in memory are no longer those of revision ${this.revision}. Nothing passes until they are loaded anew; if this comes again, the memory of this appliance is bad: have it replaced.`,
      );
    this.array = 0;
    this.sum = OFFSET;
  }
}
