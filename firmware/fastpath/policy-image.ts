// A compiled policy as words in a file: one process compiles it, and the dataplane reads it, some of it in each breath, and switches to it
// between two packets. It holds all that a change of policy, timeouts or static routes changes.
//
//   words:  magic │ version │ words in all │ revision │ blocks │ zone classes │ half-open │ review │ sum │ idle times … │ array lengths … │ arrays …

import { IDLE_MILLIS } from "../limits.ts";
import type { Plan } from "../plan.ts";
import { sumOf } from "./drift.ts";
import { type CompiledPolicy, Policy } from "./policy.ts";
import { ROUTE_ARRAYS, Routes } from "./routes.ts";

/** Idle times in the order of an image. */
export const IDLE_NAMES = Object.keys(IDLE_MILLIS) as (keyof typeof IDLE_MILLIS)[];

/** "TWPI", and what changes with the layout of a compiled policy. */
const MAGIC = 0x54575049;
const VERSION = 4;
const POLICY_ARRAYS = 22;
const ARRAYS = POLICY_ARRAYS + ROUTE_ARRAYS;
const FIXED_WORDS = 9;
const LENGTHS = FIXED_WORDS + IDLE_NAMES.length;
const HEADER_WORDS = LENGTHS + ARRAYS;
/** Of an image without its arrays, in bytes. */
export const POLICY_HEADER_BYTES = HEADER_WORDS * 4;

export interface PolicyImage {
  readonly policy: CompiledPolicy;
  /** For `Routes.use`. */
  readonly routes: readonly Int32Array[];
  /** By IDLE_NAMES. */
  readonly idleMillis: Int32Array;
  readonly halfOpenPerDestination: number;
  readonly reviewSessions: boolean;
  /** Over the words of both, as the compiler left them (drift.ts). */
  readonly sum: number;
}

/** Compiles what of a plan can change while the dataplane runs. */
export function writePolicyImage(plan: Plan): Int32Array<ArrayBuffer> {
  const { revision, blockCount, zoneClassCount, arrays: policy } = new Policy(plan.rules, plan.revision).compiled();
  const arrays = [...policy, ...new Routes(plan).compiled()];
  if (arrays.length !== ARRAYS) throw new Error(`a policy and its routes have ${arrays.length} arrays, and their image ${ARRAYS}`);
  const total = arrays.reduce((words, array) => words + array.length, HEADER_WORDS);
  const words = new Int32Array(total);
  words.set([MAGIC, VERSION, total, revision, blockCount, zoneClassCount, plan.halfOpenPerDestination, plan.reviewSessions ? 1 : 0, sumOf(arrays)]);
  for (const [k, name] of IDLE_NAMES.entries()) words[FIXED_WORDS + k] = plan.idleMillis[name];
  let at = HEADER_WORDS;
  for (const [k, array] of arrays.entries()) {
    words[LENGTHS + k] = array.length;
    words.set(array, at);
    at += array.length;
  }
  return words;
}

/** Reads an image; its arrays are views of `words`. Undefined when it is none, or of another version. */
export function readPolicyImage(words: Int32Array): PolicyImage | undefined {
  if (words.length < HEADER_WORDS || words[0] !== MAGIC || words[1] !== VERSION || words[2] !== words.length) return undefined;
  const arrays: Int32Array[] = [];
  let at = HEADER_WORDS;
  for (let k = 0; k < ARRAYS; k++) {
    const length = words[LENGTHS + k] as number;
    if (length < 0 || at + length > words.length) return undefined;
    arrays.push(words.subarray(at, at + length));
    at += length;
  }
  if (at !== words.length) return undefined;
  return {
    policy: {
      revision: words[3] as number,
      blockCount: words[4] as number,
      zoneClassCount: words[5] as number,
      arrays: arrays.slice(0, POLICY_ARRAYS),
    },
    routes: arrays.slice(POLICY_ARRAYS),
    idleMillis: words.subarray(FIXED_WORDS, LENGTHS),
    halfOpenPerDestination: words[6] as number,
    reviewSessions: words[7] === 1,
    sum: words[8] as number,
  };
}
