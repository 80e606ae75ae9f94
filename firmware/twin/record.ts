// A session row as a record: what the table declares as replicated, as it lies in memory, without the zeroes.
//
//    0               1               2               3
//   ┌───────────────────────────────────────────────────────────────┐
//   │ row number at the sender                                      │  answered in acknowledgements
//   │ stamp: grows at each change of any row at the sender          │  answered in acknowledgements
//   │ sweep: the sender's sweep that this record belongs to         │  answered in acknowledgements
//   │ idle time, milliseconds                                       │
//   │ age, milliseconds                                             │
//   ├───────────────────────────────────────────────────────────────┤
//   │ mask: bit n of word m set = common word 32m + n follows       │
//   ├───────────────────────────────────────────────────────────────┤
//   │ words that are not zero, little-endian, as they lie in memory │
//   └───────────────────────────────────────────────────────────────┘
//
// Which words are common is agreed at HELLO (link.ts); the list's order is equal at both ends. A tombstone carries only id, epoch,
// version, owner and state. Times are durations: two units share no clock.

import { wordsOf } from "../fastpath/memory/layout.ts";
import { SESSIONS } from "../fastpath/memory/tables.ts";
import {
  ROW_WORDS,
  S_ACKED,
  S_END,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_MAX_WINDOW,
  S_OWNER,
  S_STATE,
  S_VERSION,
  WINDOW_STRIDE,
} from "../fastpath/sessions.ts";

export const ROW_NUMBER = 0;
export const ROW_STAMP = 4;
export const ROW_SWEEP = 8;
export const ROW_IDLE = 12;
export const ROW_AGE = 16;
const MASK = 20;

/** Without these a record says nothing; every version of the firmware has them. */
const ESSENTIAL: readonly number[] = [S_ID_SERIAL, S_ID_CREATOR, S_ID_INCARNATION, S_EPOCH, S_VERSION, S_OWNER, S_STATE];

/** Word positions of all replicated fields, in the table's order. */
export function replicatedWords(): Int32Array {
  const words: number[] = [];
  for (const field of SESSIONS.fields) {
    if (field.replicated !== true) continue;
    for (let word = field.at; word < field.at + wordsOf(field.type); word++) words.push(word);
  }
  return Int32Array.from(words);
}

/** First words of the replicated 64-bit fields: they are stored in one go, so that no reader sees half a counter. */
export function replicatedDoubles(): Int32Array {
  return Int32Array.from(SESSIONS.fields.filter((field) => field.replicated === true && field.type === "f64").map((field) => field.at));
}

/** A decoded record: a row of its own and what came with it. One per receiver, used again for each record. */
export class DecodedRow {
  readonly i: Int32Array;
  readonly f: Float64Array;
  /** As the sender knows it; answered unchanged. */
  row = 0;
  stamp = 0;
  sweep = 0;
  idleMillis = 0;
  ageMillis = 0;
  /** Its sweep is the latest that was heard of from the sender. */
  latest = false;

  constructor() {
    const buffer = new ArrayBuffer(ROW_WORDS * 4);
    this.i = new Int32Array(buffer);
    this.f = new Float64Array(buffer);
  }
}

/** Encodes and decodes rows for one peer. Allocates nothing after construction. */
export class RowCodec {
  private readonly words: Int32Array;
  private readonly maskWords: number;
  /** The mask being built by `measure`, and one with only the essential words. */
  private readonly mask: Int32Array;
  private readonly essential: Int32Array;
  private readonly knowsAcked: boolean;

  /** `words`: positions that both peers know, equal order at both. Throws when an essential word is missing. */
  constructor(words: Int32Array) {
    this.words = words;
    this.knowsAcked = words.includes(S_ACKED);
    this.maskWords = (words.length + 31) >>> 5;
    this.mask = new Int32Array(this.maskWords);
    this.essential = new Int32Array(this.maskWords);
    for (const at of ESSENTIAL) {
      const k = words.indexOf(at);
      if (k < 0) throw new Error(`the peer does not know word ${at} of a session row, which every record needs`);
      this.essential[k >>> 5] = (this.essential[k >>> 5] as number) | (1 << (k & 31));
    }
  }

  /** Bytes of the record body for the row at word `at`; remembers the mask for the `encode` that follows. `whole` false: a tombstone. */
  measure(i: Int32Array, at: number, whole: boolean): number {
    const words = this.words;
    let filled = 0;
    for (let m = 0; m < this.maskWords; m = (m + 1) | 0) {
      let mask = 0;
      const first = m << 5;
      const count = Math.min(32, words.length - first);
      for (let n = 0; n < count; n = (n + 1) | 0) if (i[at + (words[first + n] as number)] !== 0) mask |= 1 << n;
      if (!whole) mask &= this.essential[m] as number;
      this.mask[m] = mask;
      filled = (filled + popCount(mask)) | 0;
    }
    return MASK + ((this.maskWords + filled) << 2);
  }

  /** Writes the row that `measure` looked at just before; `state` replaces its state word (a yielded row's last one). */
  encode(
    i: Int32Array,
    at: number,
    view: DataView,
    body: number,
    row: number,
    stamp: number,
    sweep: number,
    idleMillis: number,
    ageMillis: number,
    state: number,
  ): void {
    view.setInt32(body + ROW_NUMBER, row);
    view.setInt32(body + ROW_STAMP, stamp);
    view.setInt32(body + ROW_SWEEP, sweep);
    view.setInt32(body + ROW_IDLE, idleMillis);
    view.setInt32(body + ROW_AGE, ageMillis);
    const words = this.words;
    let out = (body + MASK + (this.maskWords << 2)) | 0;
    for (let m = 0; m < this.maskWords; m = (m + 1) | 0) {
      let mask = this.mask[m] as number;
      view.setInt32(body + MASK + (m << 2), mask);
      while (mask !== 0) {
        const n = 31 - Math.clz32(mask & -mask);
        mask &= mask - 1;
        const position = words[(m << 5) + n] as number;
        view.setInt32(out, position === S_STATE ? state : (i[at + position] as number), true);
        out = (out + 4) | 0;
      }
    }
  }

  /** Reads a record into `into`; false when its length contradicts its mask. */
  decode(view: DataView, body: number, bodyBytes: number, into: DecodedRow): boolean {
    const words = this.words;
    const start = MASK + (this.maskWords << 2);
    if (bodyBytes < start) return false;
    let filled = 0;
    for (let m = 0; m < this.maskWords; m = (m + 1) | 0) filled = (filled + popCount(view.getInt32(body + MASK + (m << 2)))) | 0;
    if (bodyBytes !== start + (filled << 2)) return false;
    into.row = view.getInt32(body + ROW_NUMBER);
    into.stamp = view.getInt32(body + ROW_STAMP);
    into.sweep = view.getInt32(body + ROW_SWEEP);
    into.idleMillis = view.getInt32(body + ROW_IDLE);
    into.ageMillis = view.getInt32(body + ROW_AGE);
    into.i.fill(0);
    let from = (body + start) | 0;
    for (let m = 0; m < this.maskWords; m = (m + 1) | 0) {
      let mask = view.getInt32(body + MASK + (m << 2));
      while (mask !== 0) {
        const n = 31 - Math.clz32(mask & -mask);
        mask &= mask - 1;
        const k = (m << 5) + n;
        if (k >= words.length) return false;
        into.i[words[k] as number] = view.getInt32(from, true);
        from = (from + 4) | 0;
      }
    }
    if (!this.knowsAcked) deriveAcked(into.i);
    return true;
  }
}

/**
 * A peer of the version before knows no highest acknowledgements (originatorAcked, responderAcked). Zero would be judged as one, and drop
 * everything: what the other side's window allows to be in flight is taken as not acknowledged.
 */
function deriveAcked(i: Int32Array): void {
  for (let direction = 0; direction < 2; direction = (direction + 1) | 0) {
    const other = 1 - direction;
    i[S_ACKED + direction] = ((i[S_END + direction * WINDOW_STRIDE] as number) - (i[S_MAX_WINDOW + other * WINDOW_STRIDE] as number)) | 0;
  }
}

function popCount(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555);
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
