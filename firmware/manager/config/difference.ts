// What differs between two documents, as lines that a person could have typed; and three documents put together.
//
//   - policy web action permit        delete it
//   + policy web action deny          set it
//   ~ policy web after names          move it
//
// Done in this order, the lines make the second document of the first (a test does that).

import { isDeepStrictEqual } from "node:util";
import { type Json, namesIn, placeUnder } from "./document.ts";
import { CONFIGURATION, nameOf, type Place, writeValue } from "./grammar.ts";

export interface DifferenceLine {
  readonly sign: "-" | "+" | "~";
  /** Words of the path, with the value or (~) `first`, or `after` and a name. */
  readonly words: readonly string[];
}

/** A word as it is typed: in quotes when it holds a space or a quote. */
export function quoted(word: string): string {
  if (!/[ '"?]/.test(word) && word !== "") return word;
  return word.includes('"') ? `'${word}'` : `"${word}"`;
}

export function formatDifference({ sign, words }: DifferenceLine): string {
  return `${sign} ${words.map(quoted).join(" ")}`;
}

/** Lines that lead from one document to the other; none when they are the same. */
export function difference(before: Json, after: Json): readonly DifferenceLine[] {
  const lines: DifferenceLine[] = [];
  compare(CONFIGURATION, before, after, [], lines);
  const order = { "-": 0, "+": 1, "~": 2 } as const;
  return lines.sort((a, b) => order[a.sign] - order[b.sign]);
}

function compare(place: Place, before: unknown, after: unknown, path: readonly string[], lines: DifferenceLine[]): void {
  if (isDeepStrictEqual(before, after) || place.isAssigned) return;
  if (place.kind === "value") {
    if (before !== undefined) lines.push({ sign: "-", words: [...path, writeValue(before)] });
    if (after !== undefined) lines.push({ sign: "+", words: [...path, writeValue(after)] });
    return;
  }
  const old = namesIn(place, before);
  const fresh = namesIn(place, after);
  if (place.kind === "values") {
    for (const name of old) if (!fresh.includes(name)) lines.push({ sign: "-", words: [...path, name] });
    for (const name of fresh) if (!old.includes(name)) lines.push({ sign: "+", words: [...path, name] });
  } else compareChildren(place, before, after, path, lines);
  if (place.kind === "list" || place.kind === "values")
    for (const words of moves([...new Set(old)], [...new Set(fresh)])) lines.push({ sign: "~", words: [...path, ...words] });
}

function compareChildren(place: Place, before: unknown, after: unknown, path: readonly string[], lines: DifferenceLine[]): void {
  const [old, fresh] = [entriesOf(place, before), entriesOf(place, after)];
  const isNamed = place.kind === "list" || place.kind === "record";
  for (const name of place.kind === "object" ? place.keys.keys() : new Set([...old.keys(), ...fresh.keys()])) {
    const under = placeUnder(place, name);
    if (under === undefined) continue;
    const [was, is] = [old.get(name), fresh.get(name)];
    if (isDeepStrictEqual(was, is)) continue;
    const isWhole = isNamed && under.kind === "object";
    if (isWhole && was === undefined) lines.push({ sign: "+", words: [...path, name] });
    compare(under, place.kind === "list" ? withoutName(place, was) : was, place.kind === "list" ? withoutName(place, is) : is, [...path, name], lines);
    if (isWhole && is === undefined) lines.push({ sign: "-", words: [...path, name] });
  }
}

/** Children by name, found in one pass: a policy has 10,000. */
function entriesOf(place: Place, node: unknown): ReadonlyMap<string, unknown> {
  if (node === undefined) return new Map();
  if (place.kind === "list") return new Map((node as readonly unknown[]).map((entry) => [nameOf(place, entry), entry]));
  return new Map(Object.entries(node as Json));
}

function withoutName(list: Place, entry: unknown): unknown {
  if (entry === undefined) return undefined;
  return Object.fromEntries(Object.entries(entry as Json).filter(([key]) => !list.nameKeys.includes(key)));
}

/** What must be moved so that what is left of `old`, with the new ones behind it, gets the order of `fresh`. */
function moves(old: readonly string[], fresh: readonly string[]): readonly (readonly string[])[] {
  const kept = new Set(fresh);
  const before = new Set(old);
  const from = [...old.filter((name) => kept.has(name)), ...fresh.filter((name) => !before.has(name))];
  const placeIn = new Map(from.map((name, k) => [name, k]));
  const stay = longestRise(fresh.map((name) => placeIn.get(name) as number));
  return fresh.flatMap((name, k) => (stay.has(k) ? [] : [k === 0 ? [name, "first"] : [name, "after", fresh[k - 1] as string]]));
}

/** Places of a longest rising subsequence: those stay, so that as few as possible move. */
function longestRise(numbers: readonly number[]): ReadonlySet<number> {
  const tails: number[] = [];
  const previous = new Int32Array(numbers.length);
  for (const [k, number] of numbers.entries()) {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((numbers[tails[middle] as number] as number) < number) low = middle + 1;
      else high = middle;
    }
    previous[k] = low > 0 ? (tails[low - 1] as number) : -1;
    tails[low] = k;
  }
  const stay = new Set<number>();
  for (let k = tails.at(-1) ?? -1; k >= 0; k = previous[k] as number) stay.add(k);
  return stay;
}

/** A place that both changed, and not to the same. Texts as `show` writes them; empty when it is gone there. */
export interface Clash {
  readonly path: string;
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
}

export interface Merged {
  readonly document: Json;
  /** In the document, ours is kept at each of these. */
  readonly clashes: readonly Clash[];
}

/** Both changes since `base` put together, entry by entry and key by key. */
export function merge(base: Json, ours: Json, theirs: Json): Merged {
  const clashes: Clash[] = [];
  const document = mergeAt(CONFIGURATION, base, ours, theirs, [], clashes) as Json;
  return { document: structuredClone(document), clashes };
}

function mergeAt(place: Place, base: unknown, ours: unknown, theirs: unknown, path: readonly string[], clashes: Clash[]): unknown {
  if (isDeepStrictEqual(ours, theirs) || isDeepStrictEqual(base, theirs)) return ours;
  if (isDeepStrictEqual(base, ours)) return theirs;
  if (place.kind === "value" || ours === undefined || theirs === undefined) {
    clashes.push({ path: path.join(" "), base: brief(base), ours: brief(ours), theirs: brief(theirs) });
    return ours;
  }
  if (place.kind === "values") return mergeValues(place, base, ours, theirs, path, clashes);
  const [b, o, t] = [entriesOf(place, base), entriesOf(place, ours), entriesOf(place, theirs)];
  const merged = new Map<string, unknown>();
  for (const name of new Set([...o.keys(), ...t.keys()])) {
    const under = placeUnder(place, name);
    const value = under === undefined ? o.get(name) : mergeAt(under, b.get(name), o.get(name), t.get(name), [...path, name], clashes);
    if (value !== undefined) merged.set(name, value);
  }
  if (place.kind !== "list") return Object.fromEntries(merged);
  return mergeOrder([...b.keys()], [...o.keys()], [...t.keys()], new Set(merged.keys()), path, clashes).map((name) => merged.get(name));
}

function mergeValues(place: Place, base: unknown, ours: unknown, theirs: unknown, path: readonly string[], clashes: Clash[]): unknown {
  const values = new Map([...(theirs as unknown[]), ...(ours as unknown[])].map((value) => [writeValue(value), value]));
  const [b, o, t] = [namesIn(place, base), namesIn(place, ours), namesIn(place, theirs)];
  // There when both have it, or one added it.
  const stay = new Set([...values.keys()].filter((name) => (o.includes(name) && t.includes(name)) || !b.includes(name)));
  return mergeOrder(b, o, t, stay, path, clashes).map((name) => values.get(name));
}

/** One order of both: of whoever moved something, with the other's new ones behind what they stood behind. */
function mergeOrder(
  base: readonly string[],
  ours: readonly string[],
  theirs: readonly string[],
  stay: ReadonlySet<string>,
  path: readonly string[],
  clashes: Clash[],
): readonly string[] {
  const common = (names: readonly string[], others: readonly string[]): string => {
    const known = new Set(others);
    return names.filter((name) => known.has(name)).join(" ");
  };
  const oursMoved = common(ours, base) !== common(base, ours);
  const theirsMoved = common(theirs, base) !== common(base, theirs);
  if (oursMoved && theirsMoved && common(ours, theirs) !== common(theirs, ours))
    clashes.push({ path: [...path, "order"].join(" "), base: base.join(" "), ours: ours.join(" "), theirs: theirs.join(" ") });
  const [first, second] = theirsMoved && !oursMoved ? [theirs, ours] : [ours, theirs];
  const order = first.filter((name) => stay.has(name));
  const known = new Set(order);
  second.forEach((name, k) => {
    if (!stay.has(name) || known.has(name)) return;
    order.splice(order.indexOf(second.slice(0, k).findLast((earlier) => known.has(earlier)) ?? "") + 1, 0, name);
    known.add(name);
  });
  return order;
}

/** What stands at a place, in a line. */
function brief(node: unknown): string {
  return node === undefined ? "" : typeof node === "object" ? JSON.stringify(node) : String(node);
}

/** A document as set commands, in the order of the schema; below `path` only. */
export function settings(place: Place, node: unknown, path: readonly string[]): readonly string[] {
  const lines: DifferenceLine[] = [];
  compare(place, undefined, node, path, lines);
  return lines.filter(({ sign }) => sign === "+").map(({ words }) => words.map(quoted).join(" "));
}
