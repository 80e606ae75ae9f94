// Chance for the fuzzers: the same seed, the same packets.

/** xorshift32. */
export class Chance {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0 || 1;
  }

  /** 0 … limit - 1. */
  below(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
