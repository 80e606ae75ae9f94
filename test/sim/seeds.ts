// Seeds that failed once. Each runs in `npm test` for ever; the note says what was wrong.

export interface KeptSeed {
  readonly seed: number;
  readonly was: string;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  { seed: 51, was: "a sweep ended while its peer was still held for partitioned: a row of a former incarnation was neither offered nor deleted" },
  { seed: 60, was: "a replica outlived its owner's row after a damaged peer came back" },
  { seed: 67, was: "a replica outlived its owner's row, its owner word superseded" },
  { seed: 459, was: "an adopter was strict too soon and refused acknowledgements of bytes that the former owner had let pass" },
];
