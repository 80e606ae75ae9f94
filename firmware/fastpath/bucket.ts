// A token bucket: so many at once, then so many per second. Refilled by the clock's tick, spent per packet.

export class Bucket {
  private readonly burst: number;
  private readonly perSecond: number;
  private tokens: number;
  private filledMillis = -1;

  /** `perSecond` at most 1,000 per millisecond of tick; both whole numbers. */
  constructor(burst: number, perSecond: number) {
    this.burst = burst;
    this.perSecond = perSecond;
    this.tokens = burst;
  }

  /** Adds what is due since the last call. */
  tick(nowMillis: number): void {
    if (this.filledMillis < 0) this.filledMillis = nowMillis;
    const due = Math.floor(((nowMillis - this.filledMillis) * this.perSecond) / 1_000);
    if (due <= 0) return;
    this.tokens = Math.min(this.tokens + due, this.burst);
    // Only the time that became tokens has passed: slow buckets fill too.
    this.filledMillis += (due * 1_000) / this.perSecond;
  }

  /** Takes one; false when none is left. */
  spend(): boolean {
    if (this.tokens <= 0) return false;
    this.tokens = (this.tokens - 1) | 0;
    return true;
  }
}
