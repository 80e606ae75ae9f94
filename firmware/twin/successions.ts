// Successions: whose rows a unit's incarnation's rows are now. One record moves any number of rows at once; the rows
// themselves are rewritten when they are next touched.
//
//   (dead unit, incarnation) ─► (successor, incarnation), term        a few per unit, newest incarnations
//
// Tables merge: for one dead incarnation the higher term wins. Two units with equal tables have equal hashes, so a hash in
// each heartbeat is all that it takes to find out who lacks what. Only a ring of records takes one back. Words are owner words
// (SESSIONS.owner): unit << 24 | low 24 bits of the incarnation.

import { ownerUnit } from "../fastpath/sessions.ts";
import { SUCCESSIONS_PER_UNIT, UNITS } from "../limits.ts";
import { RECORD_HEADER_BYTES, RECORD_SUCCESSION } from "./frame.ts";

const INCARNATION = 0xffffff;
const CELLS = UNITS * SUCCESSIONS_PER_UNIT;
/** Dead word, successor word, term. */
export const SUCCESSION_BYTES = 12;

export class Successions {
  /** By unit × SUCCESSIONS_PER_UNIT; dead word 0 = free. */
  private readonly dead = new Int32Array(CELLS);
  private readonly successors = new Int32Array(CELLS);
  private readonly terms = new Float64Array(CELLS);
  hash = 0;
  /** Of all records ever applied. */
  highestTerm = 0;

  /** The record for exactly this word: its successor word, or 0. */
  of(deadWord: number): number {
    const cell = this.cellOf(deadWord);
    return cell < 0 ? 0 : (this.successors[cell] as number);
  }

  /** Term of the record for exactly this word, or 0. */
  termOf(deadWord: number): number {
    const cell = this.cellOf(deadWord);
    return cell < 0 ? 0 : (this.terms[cell] as number);
  }

  /** Who has the rows of this word: its own record, else that of the unit's next later incarnation that has one; 0 = nobody. */
  follow(deadWord: number): number {
    const cell = this.cellFollowing(deadWord);
    return cell < 0 ? 0 : (this.successors[cell] as number);
  }

  /** Applies a record; true when it changed something. Stale ones (lower term, incarnations long gone) change nothing. */
  apply(deadWord: number, successorWord: number, term: number): boolean {
    const unit = ownerUnit(deadWord);
    if (unit < 1 || unit >= UNITS || ownerUnit(successorWord) < 1 || ownerUnit(successorWord) >= UNITS || deadWord === successorWord) return false;
    let cell = this.cellOf(deadWord);
    if (cell >= 0) {
      if (!this.isStronger(term, successorWord, cell)) return false;
    } else {
      cell = this.oldest(unit);
      if (this.dead[cell] !== 0 && ((this.dead[cell] as number) & INCARNATION) > (deadWord & INCARNATION)) return false;
    }
    if (!this.breakRing(deadWord, successorWord, term)) return false;
    this.dead[cell] = deadWord;
    this.successors[cell] = successorWord;
    this.terms[cell] = term;
    this.highestTerm = Math.max(this.highestTerm, term);
    this.rehash();
    return true;
  }

  /** Writes all records as whole records at `at`; returns their bytes, at most `roomBytes`. */
  write(view: DataView, at: number, roomBytes: number): number {
    const recordBytes = RECORD_HEADER_BYTES + SUCCESSION_BYTES;
    let bytes = 0;
    for (let cell = 0; cell < CELLS; cell = (cell + 1) | 0) {
      if (this.dead[cell] === 0 || bytes + recordBytes > roomBytes) continue;
      view.setUint16(at + bytes, RECORD_SUCCESSION << 8);
      view.setUint16(at + bytes + 2, SUCCESSION_BYTES);
      view.setInt32(at + bytes + 4, this.dead[cell] as number);
      view.setInt32(at + bytes + 8, this.successors[cell] as number);
      view.setUint32(at + bytes + 12, this.terms[cell] as number);
      bytes += recordBytes;
    }
    return bytes;
  }

  /**
   * Two sites that lost sight of each other may each have claimed the other's rows. Of records that lead in a ring the weakest is
   * void, everywhere the same one. False: that is the new one.
   */
  private breakRing(deadWord: number, successorWord: number, term: number): boolean {
    let weakest = -1;
    let at = successorWord;
    for (let hop = 0; hop < CELLS && at !== deadWord; hop = (hop + 1) | 0) {
      const cell = this.cellFollowing(at);
      if (cell < 0) return true;
      if (weakest < 0 || this.isStronger(this.terms[weakest] as number, this.successors[weakest] as number, cell)) weakest = cell;
      at = this.successors[cell] as number;
    }
    if (weakest < 0) return true;
    if (!this.isStronger(term, successorWord, weakest)) return false;
    this.dead[weakest] = 0;
    return true;
  }

  /** Is a record with this term and successor stronger than the one in `cell`? Higher term, then lower unit, then later incarnation. */
  private isStronger(term: number, successorWord: number, cell: number): boolean {
    const known = this.terms[cell] as number;
    if (term !== known) return term > known;
    const other = this.successors[cell] as number;
    if (ownerUnit(successorWord) !== ownerUnit(other)) return ownerUnit(successorWord) < ownerUnit(other);
    return (successorWord & INCARNATION) > (other & INCARNATION);
  }

  private cellFollowing(deadWord: number): number {
    const from = ownerUnit(deadWord) * SUCCESSIONS_PER_UNIT;
    const incarnation = deadWord & INCARNATION;
    let best = -1;
    for (let cell = from; cell < from + SUCCESSIONS_PER_UNIT; cell = (cell + 1) | 0) {
      if (this.dead[cell] === 0) continue;
      const recorded = (this.dead[cell] as number) & INCARNATION;
      if (recorded >= incarnation && (best < 0 || recorded < ((this.dead[best] as number) & INCARNATION))) best = cell;
    }
    return best;
  }

  private cellOf(deadWord: number): number {
    const from = ownerUnit(deadWord) * SUCCESSIONS_PER_UNIT;
    for (let cell = from; cell < from + SUCCESSIONS_PER_UNIT; cell = (cell + 1) | 0) if (this.dead[cell] === deadWord && deadWord !== 0) return cell;
    return -1;
  }

  /** A free cell, else the one with the lowest incarnation: what was before it follows the next later record. */
  private oldest(unit: number): number {
    const from = unit * SUCCESSIONS_PER_UNIT;
    let best = from;
    for (let cell = from; cell < from + SUCCESSIONS_PER_UNIT; cell = (cell + 1) | 0) {
      if (this.dead[cell] === 0) return cell;
      if (((this.dead[cell] as number) & INCARNATION) < ((this.dead[best] as number) & INCARNATION)) best = cell;
    }
    return best;
  }

  private rehash(): void {
    let hash = 0;
    for (let cell = 0; cell < CELLS; cell++) {
      if (this.dead[cell] === 0) continue;
      let mixed = Math.imul((this.dead[cell] as number) ^ 0x5bd1e995, 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 15) ^ (this.successors[cell] as number), 0xc2b2ae35);
      mixed = Math.imul(mixed ^ (mixed >>> 13) ^ (this.terms[cell] as number), 0x27d4eb2f);
      // A sum, so that the order of records in the table does not matter.
      hash = (hash + (mixed ^ (mixed >>> 16))) | 0;
    }
    this.hash = hash;
  }
}
