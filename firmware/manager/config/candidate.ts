// A candidate: a configuration that is being edited, and the revision that it began from. It knows no unit and no disk: whoever edits
// holds it, and hands it in when it is to be committed.
//
//   revision 7 ──began from──► candidate ──set, delete, …──► candidate ──commit──► revision 8
//                                 └── stale, when another became 8 meanwhile: three documents are put together (merge)

import { difference, formatDifference, type Merged, merge, quoted, settings } from "./difference.ts";
import { EditError, hashOfDocument, type Json, locate, namesIn, remove, set, valueAt, wordsOfPointer } from "./document.ts";
import { nameOf, type Place, writeValue } from "./grammar.ts";
import { judgeDocument, type LoadedConfiguration, warningsOf } from "./load.ts";
import type { Problem } from "./problems.ts";
import { copy, move, rename, type Whither } from "./rearrange.ts";

/** What a candidate began from. */
export interface Origin {
  readonly number: number;
  /** Of the revision. */
  readonly hash: string;
  readonly document: Json;
}

export interface Verdict {
  /** With one, it cannot be committed. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

const WHITHER = ["first", "last", "before", "after"] as const;

export class Candidate {
  origin: Origin;
  document: Json;
  /** Where `edit` stands, in words. */
  level: readonly string[] = [];

  constructor(origin: Origin) {
    this.origin = origin;
    this.document = structuredClone(origin.document);
  }

  /** Does it differ from what it began from? */
  get isChanged(): boolean {
    return hashOfDocument(this.document) !== hashOfDocument(this.origin.document);
  }

  /** Sets a value, adds values, or makes an entry. This and all other edits throw EditError, and change nothing then. */
  set(words: readonly string[]): void {
    set(this.document, this.under(words));
  }

  delete(words: readonly string[]): void {
    remove(this.document, this.under(words));
    while (this.level.length > 0 && valueAt(this.document, this.level) === undefined) this.up();
  }

  /** The last word is the new name. */
  rename(words: readonly string[]): void {
    const [path, fresh] = this.split(words);
    rename(this.document, path, fresh);
    if (valueAt(this.document, this.level) === undefined) this.top();
  }

  copy(words: readonly string[]): void {
    copy(this.document, ...this.split(words));
  }

  /** Ends in `first`, `last`, `before NAME` or `after NAME`. */
  move(words: readonly string[]): void {
    const at = WHITHER.findLast((word) => word === words.at(-1) || word === words.at(-2));
    const names = at === words.at(-1) ? 1 : 2;
    if (at === undefined || (names === 1) !== (at === "first" || at === "last"))
      throw new EditError("missing-value", words, "where to?", "End with: first, last, before NAME or after NAME.");
    const whither: Whither = { at, name: names === 1 ? "" : (words.at(-1) as string) };
    move(this.document, this.under(words.slice(0, -names)), whither);
  }

  /** Goes to a place, so that paths begin there. It need not exist yet. */
  edit(words: readonly string[]): void {
    const { place, names, rest } = locate(this.under(words));
    if (place.kind === "value" || place.kind === "values" || rest.length > 0)
      throw new EditError("missing-path", names, "there is nothing below it.", "Set it from here.");
    this.level = names;
  }

  up(): void {
    const above = this.level.slice(0, -1);
    // An entry's list is no place to stand at: its name alone would follow.
    this.level = above.length > 0 && locate(above).place.kind !== "object" ? above.slice(0, -1) : above;
  }

  top(): void {
    this.level = [];
  }

  /** What is there, indented; below `words` only. Defaults are not shown. */
  show(words: readonly string[]): readonly string[] {
    const { place, names, isEntry } = locate(this.under(words));
    const lines: string[] = [];
    outline(isEntry ? withoutNameKeys(locate(names.slice(0, -1)).place) : place, valueAt(this.document, names), "", lines);
    return lines;
  }

  /** As commands that would make it. */
  settings(words: readonly string[]): readonly string[] {
    const { place, names } = locate(this.under(words));
    return settings(place, valueAt(this.document, names), names).map((line) => `set ${line}`);
  }

  /** How it differs from another document, or what it began from. */
  compare(other: Json = this.origin.document): readonly string[] {
    return difference(other, this.document).map(formatDifference);
  }

  /** Takes a whole document in the place of what it is. */
  load(document: Json): void {
    this.document = structuredClone(document);
    delete this.document["revision"];
    delete this.document["$schema"];
    this.level = [];
  }

  discard(): void {
    this.document = structuredClone(this.origin.document);
    this.level = [];
  }

  /** Brings it onto a newer revision; where both changed the same, this one's is kept, and told. */
  update(onto: Origin): Merged["clashes"] {
    const { document, clashes } = merge(this.origin.document, this.document, onto.document);
    this.origin = onto;
    this.document = document;
    if (valueAt(document, this.level) === undefined) this.level = [];
    return clashes;
  }

  /** Everything that is wrong with it, without any unit's hardware. */
  judge(): Verdict {
    const { document } = this;
    const source = sourceOf(document);
    const { configuration, problems } = judgeDocument(document, source);
    const loaded: LoadedConfiguration | undefined = configuration === undefined ? undefined : { configuration, source };
    return { problems, warnings: loaded === undefined ? [] : warningsOf(loaded) };
  }

  private under(words: readonly string[]): readonly string[] {
    return [...this.level, ...words];
  }

  private split(words: readonly string[]): readonly [readonly string[], string] {
    const fresh = words.at(-1);
    if (fresh === undefined || words.length < 2)
      throw new EditError("missing-value", words, "the new name is missing.", "Write the path of the entry, then its new name.");
    return [this.under(words.slice(0, -1)), fresh];
  }
}

/** A document that is in no file: problems name places as they are typed. */
export function sourceOf(document: unknown): { readonly file: string; lineOf(pointer: string): number; pathOf(pointer: string): string } {
  return { file: "", lineOf: () => 0, pathOf: (pointer) => wordsOfPointer(document, pointer) };
}

function outline(place: Place, node: unknown, indent: string, lines: string[]): void {
  if (node === undefined) return;
  if (place.kind === "value") lines.push(`${indent}${quoted(writeValue(node))}`);
  else if (place.kind === "values") lines.push(`${indent}${namesIn(place, node).map(quoted).join(" ")}`);
  else for (const [name, under, inner] of childrenOf(place, node)) outlineChild(place, name, under, inner, indent, lines);
}

function outlineChild(place: Place, name: string, under: Place, inner: unknown, indent: string, lines: string[]): void {
  if (under.kind === "value") lines.push(`${indent}${name} ${quoted(writeValue(inner))}`);
  else if (under.kind === "values") lines.push(`${indent}${name} ${namesIn(under, inner).map(quoted).join(" ")}`);
  else {
    lines.push(`${indent}${place.kind === "object" ? name : quoted(name)}`);
    outline(under, inner, `${indent}  `, lines);
  }
}

/** In the schema's order; an entry's name is not said again below it. */
function childrenOf(place: Place, node: unknown): readonly (readonly [string, Place, unknown])[] {
  const entry = place.entry;
  if (place.kind === "list" && entry !== undefined) {
    const under = withoutNameKeys(place);
    return (node as Json[]).map((item) => [nameOf(place, item), under, item]);
  }
  if (place.kind === "record" && entry !== undefined) return Object.entries(node as Json).map(([name, inner]) => [name, entry, inner]);
  return [...place.keys]
    .filter(([key, under]) => !under.isAssigned && Object.hasOwn(node as Json, key))
    .map(([key, under]) => [key, under, (node as Json)[key]]);
}

/** What an entry of a list or record is, without the keys that are its name. */
function withoutNameKeys(holding: Place): Place {
  const entry = holding.entry as Place;
  return { ...entry, keys: new Map([...entry.keys].filter(([key]) => !holding.nameKeys.includes(key))) };
}
