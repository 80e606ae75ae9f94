// Seeds that failed once. Each runs in `npm test` for ever; the note says what was wrong.

export interface KeptSeed {
  readonly seed: number;
  readonly was: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [];
