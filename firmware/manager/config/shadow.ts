// Rules that can never decide, because an earlier rule matches everything that they do. No error: a policy with one is safe, but somebody
// meant something else.
//
// Each dimension gives the rules that cover it as bit vectors, which are intersected word by word until a word has a bit left, so that 10,000
// rules take milliseconds and not 50,000,000 comparisons. What only several earlier rules together cover is not found.

import type { PlannedRule, PlannedService, Prefix } from "../../plan.ts";
import { networkOf } from "./addresses.ts";

export interface Shadow {
  /** Places in the list, from 0: the rule that never decides, and the first that covers it. */
  readonly rule: number;
  readonly by: number;
  /** Both do the same, so that removing the later one changes nothing. */
  readonly isSame: boolean;
}

type Bits = Uint32Array;

/** Who covers a list of one dimension: rules that are open there, and those that hold each of its values. */
interface Covering {
  readonly open: Bits;
  /** Of each value; empty when the list is open: only open rules cover it. */
  readonly holders: readonly Bits[];
}

/** Every rule that one earlier rule covers whole. */
export function findShadowed(rules: readonly PlannedRule[]): readonly Shadow[] {
  const sources = new PrefixCover(rules.map((rule) => rule.sources));
  const destinations = new PrefixCover(rules.map((rule) => rule.destinations));
  const services = new SetCover<PlannedService>(
    rules.map((rule) => rule.services),
    serviceKey,
    serviceCovers,
  );
  const from = zoneCover(rules.map((rule) => rule.fromZones));
  const to = zoneCover(rules.map((rule) => rule.toZones));
  const found: Shadow[] = [];
  for (const [place, rule] of rules.entries()) {
    const covers = [sources.of(rule.sources), destinations.of(rule.destinations), services.of(rule.services), from.of(rule.fromZones), to.of(rule.toZones)];
    const by = firstIn(covers, place);
    const earlier = rules[by];
    if (earlier !== undefined && by < place) found.push({ rule: place, by, isSame: earlier.action === rule.action });
  }
  return found;
}

function zoneCover(lists: readonly (readonly number[])[]): SetCover<number> {
  return new SetCover<number>(
    lists,
    (zone) => String(zone),
    (a, b) => a === b,
  );
}

function serviceKey(service: PlannedService): string {
  return `${service.protocol} ${service.ports} ${service.codes}`;
}

function serviceCovers(outer: PlannedService, inner: PlannedService): boolean {
  const within = (a: readonly [number, number], b: readonly [number, number]) => a[0] <= b[0] && b[1] <= a[1];
  return outer.protocol === inner.protocol && within(outer.ports, inner.ports) && within(outer.codes, inner.codes);
}

/** One dimension: for a value, the rules of which one entry holds it, or that are open there. */
abstract class Cover<T> {
  protected readonly words: number;
  private readonly open: Bits;
  private readonly known = new Map<string, Bits>();

  protected constructor(lists: readonly (readonly T[])[]) {
    this.words = (lists.length + 31) >>> 5;
    this.open = new Uint32Array(this.words);
    for (const [rule, list] of lists.entries()) if (list.length === 0) setBit(this.open, rule);
  }

  protected abstract keyOf(value: T): string;
  protected abstract addHolders(value: T, bits: Bits): void;

  of(list: readonly T[]): Covering {
    return { open: this.open, holders: list.map((value) => this.holders(value)) };
  }

  private holders(value: T): Bits {
    const key = this.keyOf(value);
    const old = this.known.get(key);
    if (old !== undefined) return old;
    const bits = new Uint32Array(this.words);
    this.addHolders(value, bits);
    // Each holds a bit per rule: what many rules name is kept, a list of thousands is not kept whole.
    if (this.known.size < KNOWN_MOST) this.known.set(key, bits);
    return bits;
  }
}

const KNOWN_MOST = 2_048;

class SetCover<T> extends Cover<T> {
  private readonly entries = new Map<string, { readonly value: T; readonly rules: number[] }>();
  private readonly key: (value: T) => string;
  private readonly holds: (outer: T, inner: T) => boolean;

  constructor(lists: readonly (readonly T[])[], key: (value: T) => string, holds: (outer: T, inner: T) => boolean) {
    super(lists);
    this.key = key;
    this.holds = holds;
    for (const [rule, list] of lists.entries()) {
      for (const value of list) {
        const entry = this.entries.get(key(value));
        if (entry === undefined) this.entries.set(key(value), { value, rules: [rule] });
        else entry.rules.push(rule);
      }
    }
  }

  protected keyOf(value: T): string {
    return this.key(value);
  }

  protected addHolders(value: T, bits: Bits): void {
    for (const entry of this.entries.values()) if (this.holds(entry.value, value)) for (const rule of entry.rules) setBit(bits, rule);
  }
}

/** Prefixes: who holds one is found by cutting it to every length that occurs. */
class PrefixCover extends Cover<Prefix> {
  private readonly rulesByPrefix = new Map<string, number[]>();
  private readonly lengths: readonly number[];

  constructor(lists: readonly (readonly Prefix[])[]) {
    super(lists);
    const lengths = new Set<number>();
    for (const [rule, list] of lists.entries()) {
      for (const prefix of list) {
        lengths.add(prefix.prefixBits);
        const key = this.keyOf(prefix);
        const rules = this.rulesByPrefix.get(key);
        if (rules === undefined) this.rulesByPrefix.set(key, [rule]);
        else rules.push(rule);
      }
    }
    this.lengths = [...lengths];
  }

  protected keyOf(prefix: Prefix): string {
    return `${prefix.prefixBits} ${networkOf(prefix)}`;
  }

  protected addHolders(prefix: Prefix, bits: Bits): void {
    for (const prefixBits of this.lengths) {
      if (prefixBits > prefix.prefixBits) continue;
      for (const rule of this.rulesByPrefix.get(this.keyOf({ bytes: prefix.bytes, prefixBits })) ?? []) setBit(bits, rule);
    }
  }
}

function setBit(bits: Bits, k: number): void {
  bits[k >>> 5] = (bits[k >>> 5] as number) | (1 << (k & 31));
}

/** The first rule that covers all dimensions, up to and with the one at `last`; -1: none does. */
function firstIn(dimensions: readonly Covering[], last: number): number {
  for (let k = 0; k <= last >>> 5; k++) {
    let word = -1;
    for (const { open, holders } of dimensions) {
      let all = holders.length === 0 ? 0 : -1;
      for (const bits of holders) all &= bits[k] as number;
      word &= (open[k] as number) | all;
      if (word === 0) break;
    }
    if (word !== 0) return (k << 5) | (31 - Math.clz32(word & -word));
  }
  return -1;
}
