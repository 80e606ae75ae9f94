// The change ring: rows that changed, oldest first. It is a hint of order for the twin, not the truth: the truth is the
// twin's dirty bitmap per peer. When the ring is full it says so once (`overflowed`) and the twin takes all rows as dirty.

/** Private to the dataplane; capacity is a power of two. */
export class ChangeRing {
  private readonly rows: Int32Array;
  private readonly mask: number;
  private head = 0;
  private tail = 0;
  overflowed = false;

  constructor(capacity: number) {
    this.rows = new Int32Array(capacity);
    this.mask = capacity - 1;
  }

  note(row: number): void {
    if (((this.head - this.tail) | 0) > this.mask) {
      this.overflowed = true;
      return;
    }
    this.rows[this.head & this.mask] = row;
    this.head = (this.head + 1) | 0;
  }

  /** Oldest noted row, or -1. */
  next(): number {
    if (this.head === this.tail) return -1;
    const row = this.rows[this.tail & this.mask] as number;
    this.tail = (this.tail + 1) | 0;
    return row;
  }
}
