// The expiry wheel: which rows to look at now. A row lies in the slot of the moment at which it may be idle for too
// long; nothing moves per packet. When its slot comes up, the row is looked at and either ended or put further out.
//
//   slot(now) → row ⇄ row ⇄ row      doubly linked through two Int32Arrays, private, rebuilt at adoption

const SLOTS = 4_096;
const NONE = -1;

export class ExpiryWheel {
  private readonly heads = new Int32Array(SLOTS).fill(NONE);
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** Slot of each row, or NONE. */
  private readonly slotOf: Int32Array;
  /** The slot that is being emptied, and where in time it stands. */
  private cursor: number;
  readonly slotMillis: number;

  /** `slotMillis`: resolution; a deadline beyond SLOTS × slotMillis is looked at once per turn. */
  constructor(rows: number, slotMillis: number, nowMillis: number) {
    this.next = new Int32Array(rows).fill(NONE);
    this.previous = new Int32Array(rows).fill(NONE);
    this.slotOf = new Int32Array(rows).fill(NONE);
    this.slotMillis = slotMillis;
    this.cursor = Math.floor(nowMillis / slotMillis);
  }

  /** Puts `row` (back) into the slot that comes up at or just after `nowMillis + delayMillis`. */
  schedule(row: number, nowMillis: number, delayMillis: number): void {
    this.cancel(row);
    const ahead = Math.ceil((nowMillis + Math.max(delayMillis, 0)) / this.slotMillis) - this.cursor;
    const slot = (this.cursor + Math.min(Math.max(ahead, 1), SLOTS - 1)) & (SLOTS - 1);
    const head = this.heads[slot] as number;
    this.next[row] = head;
    this.previous[row] = NONE;
    if (head !== NONE) this.previous[head] = row;
    this.heads[slot] = row;
    this.slotOf[row] = slot;
  }

  cancel(row: number): void {
    const slot = this.slotOf[row] as number;
    if (slot === NONE) return;
    const after = this.next[row] as number;
    const before = this.previous[row] as number;
    if (before === NONE) this.heads[slot] = after;
    else this.next[before] = after;
    if (after !== NONE) this.previous[after] = before;
    this.slotOf[row] = NONE;
  }

  /** Takes one row whose time has come, or -1 when none is due. Call with a budget: a step must stay short. */
  due(nowMillis: number): number {
    const target = Math.floor(nowMillis / this.slotMillis);
    while (this.cursor <= target) {
      const row = this.heads[this.cursor & (SLOTS - 1)] as number;
      if (row !== NONE) {
        this.cancel(row);
        return row;
      }
      if (this.cursor === target) return NONE;
      this.cursor++;
    }
    return NONE;
  }
}
