// Chance for the simulator: sfc32 (Chris Doty-Humphrey's small fast counter), seeded by one number and a name. Every part of
// a world draws from a stream of its own, so that one more draw in one part does not change what the others do.

import type { Entropy } from "../contracts.ts";

const WARM_UP_ROUNDS = 15;

/** A stream of numbers that follows from `seed` and `name` alone. */
export class Random implements Entropy {
  readonly seed: number;
  readonly name: string;
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** `seed`: any 32-bit number. */
  constructor(seed: number, name = "") {
    this.seed = seed | 0;
    this.name = name;
    this.a = this.seed;
    this.b = hashText(name, 0x811c9dc5);
    this.c = hashText(name, 0x9e3779b9 ^ this.seed);
    for (let round = 0; round < WARM_UP_ROUNDS; round++) this.word();
  }

  /** An independent stream; does not advance this one. */
  fork(name: string): Random {
    return new Random(this.seed, `${this.name}/${name}`);
  }

  /** 0..2^32-1. */
  word(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    this.c |= 0;
    return sum >>> 0;
  }

  /** 0 ≤ fraction < 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** 0..limit-1. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True with this probability; 0 draws nothing. */
  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  fill(bytes: Uint8Array): void {
    for (let k = 0; k < bytes.length; k++) bytes[k] = this.word() >>> 24;
  }
}

function hashText(text: string, start: number): number {
  let hash = start | 0;
  for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193);
  return hash;
}
