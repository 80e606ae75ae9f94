// The expiry wheel: which rows to look at now. A row lies in the slot of the moment at which it may be idle for too
// long; nothing moves per packet. When its slot comes up, the row is looked at and either ended or put further out.
//
//   slot(now) → row ⇄ row ⇄ row      doubly linked through two Int32Arrays, private, rebuilt at adoption

// Times are milliseconds in 32 bits, compared by difference: the clock may run past 2^31 (25 days).

const SLOTS = 4_096;
const NONE = -1;

export class ExpiryWheel {
  private readonly heads = new Int32Array(SLOTS).fill(NONE);
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** Slot of each row, or NONE. */
  private readonly slotOf: Int32Array;
  /** When the slot that is being emptied began. */
  private cursorMillis: number;
  private readonly slotMillis: number;
  private readonly slotShift: number;

  /** `slotMillis`: resolution, a power of two; a deadline beyond SLOTS × slotMillis is looked at once per turn. */
  constructor(rows: number, slotMillis: number, nowMillis: number) {
    this.next = new Int32Array(rows).fill(NONE);
    this.previous = new Int32Array(rows).fill(NONE);
    this.slotOf = new Int32Array(rows).fill(NONE);
    this.slotMillis = slotMillis;
    this.slotShift = 31 - Math.clz32(slotMillis);
    this.cursorMillis = (nowMillis | 0) & -slotMillis;
  }

  /** Puts `row` (back) into the slot that comes up at or just after `nowMillis + delayMillis`. */
  schedule(row: number, nowMillis: number, delayMillis: number): void {
    this.cancel(row);
    const deadline = (nowMillis + (delayMillis > 0 ? delayMillis : 0) + this.slotMillis - 1) | 0;
    const ahead = ((deadline - this.cursorMillis) | 0) >> this.slotShift;
    const slot = ((this.cursorMillis >>> this.slotShift) + (ahead < 1 ? 1 : ahead < SLOTS ? ahead : SLOTS - 1)) & (SLOTS - 1);
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
    const now = nowMillis | 0;
    for (;;) {
      const row = this.heads[(this.cursorMillis >>> this.slotShift) & (SLOTS - 1)] as number;
      if (row !== NONE) {
        this.cancel(row);
        return row;
      }
      const after = (this.cursorMillis + this.slotMillis) | 0;
      if (((now - after) | 0) < 0) return NONE;
      this.cursorMillis = after;
    }
  }
}
