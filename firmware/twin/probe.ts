// MTU discovery of the twin path to one peer. Every twin segment carries TWIN_MTU_BYTES; a probe padded to a larger size
// that is answered proves more. Found by halving between what works and what does not, then checked now and then: a path
// that changes under us falls back to what always works.

import { PROBE_CHECK_MILLIS, PROBE_MILLIS, TWIN_MTU_BYTES } from "../limits.ts";

const TRIES = 3;
/** Closer than this is found. */
const STEP_BYTES = 8;

export class MtuProbe {
  mtuBytes = TWIN_MTU_BYTES;
  /** Size of the probe that is out, 0 = none. */
  private sizeBytes = 0;
  private tries = 0;
  /** Smallest size that failed, exclusive upper end of the search. */
  private failedBytes = 0;
  private dueMicros = 0;

  /** A new association or a path that came back. `mostBytes`: what both twin ports could carry. */
  reset(mostBytes: number, nowMicros: number): void {
    this.mtuBytes = Math.min(TWIN_MTU_BYTES, mostBytes);
    this.failedBytes = mostBytes + 1;
    this.sizeBytes = mostBytes > this.mtuBytes ? mostBytes : 0;
    this.tries = 0;
    this.dueMicros = nowMicros;
  }

  /** The size to probe now, or 0. */
  next(nowMicros: number): number {
    if (this.sizeBytes === 0 || nowMicros < this.dueMicros) return 0;
    if (this.tries === TRIES) this.failed(nowMicros);
    if (this.sizeBytes === 0 || nowMicros < this.dueMicros) return 0;
    this.tries++;
    this.dueMicros = nowMicros + PROBE_MILLIS * 1000;
    return this.sizeBytes;
  }

  /** A probe of this size came through; true when the MTU changed. */
  answered(sizeBytes: number, nowMicros: number): boolean {
    if (sizeBytes !== this.sizeBytes) return false;
    const grew = sizeBytes > this.mtuBytes;
    if (grew) this.mtuBytes = sizeBytes;
    this.choose(nowMicros);
    return grew;
  }

  private failed(nowMicros: number): void {
    // What worked before does no longer: start again from below.
    if (this.sizeBytes === this.mtuBytes) this.mtuBytes = Math.min(TWIN_MTU_BYTES, this.mtuBytes);
    else this.failedBytes = this.sizeBytes;
    this.choose(nowMicros);
  }

  private choose(nowMicros: number): void {
    this.tries = 0;
    const middle = ((this.mtuBytes + this.failedBytes) >> 1) & ~3;
    const isFound = this.failedBytes - this.mtuBytes <= STEP_BYTES || middle <= this.mtuBytes;
    this.sizeBytes = isFound ? this.mtuBytes : middle;
    // At the least size there is nothing to lose, so nothing to check.
    if (isFound && this.mtuBytes <= TWIN_MTU_BYTES) this.sizeBytes = 0;
    this.dueMicros = nowMicros + (isFound ? PROBE_CHECK_MILLIS * 1000 : 0);
  }
}
