// A token bucket: so many at once, then so many per second. Refilled by the clock's tick, spent per packet. Whole numbers only.

/** Time that counts between two ticks; every bucket is full after so long. */
const PASSED_MOST_MILLIS = 10_000;

export class Bucket {
  private readonly burst: number;
  private readonly perSecond: number;
  private tokens: number;
  /** Thousandths of a token that are earned already: slow buckets fill too. */
  private rest = 0;
  private filledMillis = 0;
  private started = false;

  /** `perSecond`: 1 to 100,000; whole numbers both. */
  constructor(burst: number, perSecond: number) {
    this.burst = burst;
    this.perSecond = perSecond;
    this.tokens = burst;
  }

  /** Adds what is due since the last call. `nowMillis`: 32 bits of the clock. */
  tick(nowMillis: number): void {
    const passed = this.started ? (nowMillis - this.filledMillis) | 0 : 0;
    this.started = true;
    this.filledMillis = nowMillis;
    const earned = (this.rest + Math.imul(passed < PASSED_MOST_MILLIS ? passed : PASSED_MOST_MILLIS, this.perSecond)) | 0;
    const tokens = (this.tokens + ((earned / 1_000) | 0)) | 0;
    this.tokens = tokens < this.burst ? tokens : this.burst;
    this.rest = earned % 1_000;
  }

  /** Takes one; false when none is left. */
  spend(): boolean {
    if (this.tokens <= 0) return false;
    this.tokens = (this.tokens - 1) | 0;
    return true;
  }
}
