// A set of rows, one bit each, that knows how many it holds and can be walked in slices.

export class RowBits {
  private readonly words: Int32Array;
  private readonly rows: number;
  private cursor = 0;
  /** Rows in the set. */
  count = 0;
  /** True after `next` reached the end of the table and started over. */
  wrapped = false;

  constructor(rows: number) {
    this.rows = rows;
    this.words = new Int32Array((rows + 31) >>> 5);
  }

  has(row: number): boolean {
    return ((this.words[row >>> 5] as number) & (1 << (row & 31))) !== 0;
  }

  /** True when the row was not in the set before. */
  set(row: number): boolean {
    const word = this.words[row >>> 5] as number;
    const bit = 1 << (row & 31);
    if ((word & bit) !== 0) return false;
    this.words[row >>> 5] = word | bit;
    this.count = (this.count + 1) | 0;
    return true;
  }

  /** True when the row was in the set before. */
  clear(row: number): boolean {
    const word = this.words[row >>> 5] as number;
    const bit = 1 << (row & 31);
    if ((word & bit) === 0) return false;
    this.words[row >>> 5] = word & ~bit;
    this.count = (this.count - 1) | 0;
    return true;
  }

  /** Holds what `other`, a set over the same table, holds. */
  copyFrom(other: RowBits): void {
    this.words.set(other.words);
    this.count = other.count;
  }

  clearAll(): void {
    this.words.fill(0);
    this.count = 0;
    this.cursor = 0;
  }

  /** The next walk starts at row 0. */
  rewind(): void {
    this.cursor = 0;
  }

  /**
   * The next row of the set in a walk round the table, or -1 when there is none before the table's end (then `wrapped` is set
   * and the walk starts over) or within 2,048 words from where it stood.
   */
  next(): number {
    this.wrapped = false;
    if (this.count === 0 || this.cursor >= this.rows) {
      this.wrapped = true;
      this.cursor = 0;
      return -1;
    }
    let index = this.cursor >>> 5;
    let word = (this.words[index] as number) & (-1 << (this.cursor & 31));
    const stop = Math.min(index + 2_048, this.words.length - 1);
    while (word === 0 && index < stop) {
      index = (index + 1) | 0;
      word = this.words[index] as number;
    }
    if (word === 0) {
      this.wrapped = stop === this.words.length - 1;
      this.cursor = this.wrapped ? 0 : (stop + 1) << 5;
      return -1;
    }
    const row = (index << 5) + 31 - Math.clz32(word & -word);
    this.cursor = row + 1;
    return row;
  }
}
