// Rows in the order in which they were put in, in any number of lists; a row is in one list at the most. Taking the oldest, or any,
// costs the same however long the list is.
//
//   oldest[list] ─► row ⇄ row ⇄ row ◄─ newest[list]

const NONE = -1;

export class AgeLists {
  private readonly heads: Int32Array;
  private readonly tails: Int32Array;
  private readonly newer: Int32Array;
  private readonly older: Int32Array;

  constructor(rows: number, lists: number) {
    this.heads = new Int32Array(lists).fill(NONE);
    this.tails = new Int32Array(lists).fill(NONE);
    this.newer = new Int32Array(rows).fill(NONE);
    this.older = new Int32Array(rows).fill(NONE);
  }

  /** Puts a row that is in no list in as the newest. */
  append(list: number, row: number): void {
    const tail = this.tails[list] as number;
    this.older[row] = tail;
    this.newer[row] = NONE;
    if (tail === NONE) this.heads[list] = row;
    else this.newer[tail] = row;
    this.tails[list] = row;
  }

  /** Takes a row out of the list that it is in. */
  remove(list: number, row: number): void {
    const after = this.newer[row] as number;
    const before = this.older[row] as number;
    if (before === NONE) this.heads[list] = after;
    else this.newer[before] = after;
    if (after === NONE) this.tails[list] = before;
    else this.older[after] = before;
  }

  /** The oldest row of a list but `except`; -1: there is none. */
  oldest(list: number, except: number): number {
    const row = this.heads[list] as number;
    return row === except && row !== NONE ? (this.newer[row] as number) : row;
  }
}
