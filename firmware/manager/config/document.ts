// A configuration as it is written: JSON without the defaults. Here it is read and changed at a place that a person names in words; every
// change is refused whole or done whole. Whether the configuration means something is judged later (load.ts), so that it may pass
// through states that mean nothing.
//
//   set policy web service tcp/443     adds a value; the rule is made if it is not there
//   delete policy web service tcp/443  what becomes empty goes too
//
// A document is JSON that was parsed: plain objects, arrays, texts, numbers, booleans.

import { createHash } from "node:crypto";
import { CONFIGURATION, formOf, keysOfName, nameOf, type Place, readValue, writeValue } from "./grammar.ts";

export type Json = Record<string, unknown>;

/** Codes are stable; they stand in front of the message. */
export type EditCode =
  | "unknown-path"
  | "missing-path"
  | "missing-value"
  | "wrong-value"
  | "wrong-name"
  | "too-many-words"
  | "absent"
  | "taken"
  | "not-settable";

/** An edit that was refused; the document is as it was. */
export class EditError extends Error {
  readonly code: EditCode;
  /** In words, as it is typed. */
  readonly path: string;
  readonly remedy: string;

  constructor(code: EditCode, path: readonly string[], message: string, remedy: string) {
    super(message);
    this.code = code;
    this.path = path.join(" ");
    this.remedy = remedy;
  }
}

/** Where words lead: as far as places go, and what is left: values. */
export interface Spot {
  readonly names: readonly string[];
  readonly place: Place;
  /** The last name is that of an entry of a list or a record. */
  readonly isEntry: boolean;
  readonly rest: readonly string[];
}

const KNOWN_MOST = 30;

/** SHA-256 over the document with sorted keys: 64 hex digits. */
export function hashOfDocument(document: Json): string {
  return createHash("sha256").update(canonical(document)).digest("hex");
}

/** JSON whose keys are sorted, so that equal documents are equal texts. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(",")}}`;
}

/** Follows words from the top. Throws EditError where they lead nowhere. */
export function locate(words: readonly string[]): Spot {
  let place = CONFIGURATION;
  let isEntry = false;
  let k = 0;
  for (; k < words.length && place.kind !== "value" && place.kind !== "values"; k++) {
    const name = words[k] as string;
    const next = placeUnder(place, name);
    if (next === undefined) throw unknownStep(place, words.slice(0, k), name);
    isEntry = place.kind === "list" || place.kind === "record";
    place = next;
  }
  return { names: words.slice(0, k), place, isEntry, rest: words.slice(k) };
}

/** The place of a key or an entry; undefined when there can be none of the name. */
export function placeUnder(place: Place, name: string): Place | undefined {
  if (place.kind === "object") return place.keys.get(name);
  if (place.kind === "list") return keysOfName(place, name) === undefined ? undefined : place.entry;
  if (place.kind === "record") return new RegExp(place.namePattern).test(name) ? place.entry : undefined;
  return undefined;
}

function unknownStep(place: Place, path: readonly string[], name: string): EditError {
  if (place.kind !== "object") return new EditError("wrong-name", [...path, name], "this cannot be the name of an entry.", place.help);
  const known = [...place.keys.keys()].filter((key) => place.keys.get(key)?.isAssigned !== true);
  return new EditError("unknown-path", [...path, name], "there is no such key.", `Known here: ${known.slice(0, KNOWN_MOST).join(", ")}.`);
}

/** What is under a name; undefined when nothing is. */
export function childOf(place: Place, node: unknown, name: string): unknown {
  if (place.kind === "list") return (node as readonly unknown[] | undefined)?.find((entry) => nameOf(place, entry) === name);
  if (typeof node !== "object" || node === null) return undefined;
  return Object.hasOwn(node, name) ? (node as Json)[name] : undefined;
}

/** What the document has at a place; undefined when nothing. */
export function valueAt(document: Json, names: readonly string[]): unknown {
  let place = CONFIGURATION;
  let node: unknown = document;
  for (const name of names) {
    node = childOf(place, node, name);
    place = placeUnder(place, name) as Place;
    if (node === undefined) return undefined;
  }
  return node;
}

/** Names of what is there, of a list, a record, an object or several values. */
export function namesIn(place: Place, node: unknown): readonly string[] {
  if (node === undefined) return [];
  if (place.kind === "list") return (node as readonly unknown[]).map((entry) => nameOf(place, entry));
  if (place.kind === "values") return (node as readonly unknown[]).map(writeValue);
  return Object.keys(node as Json);
}

/** Sets a value, adds values, or makes an entry. Throws EditError. */
export function set(document: Json, words: readonly string[]): void {
  const spot = locate(words);
  const { place, names, rest } = spot;
  if (place.isAssigned) throw new EditError("not-settable", names, "this is not for people to set.", "Leave it out: a unit counts its revisions itself.");
  if (place.kind === "list" || place.kind === "record") throw new EditError("missing-path", names, "which one?", `Say the name of an entry. ${place.help}`);
  if (place.kind === "object") {
    if (!spot.isEntry) throw new EditError("missing-path", names, "what of it?", `Known here: ${[...place.keys.keys()].join(", ")}.`);
    reach(document, names);
    return;
  }
  if (rest.length === 0) throw new EditError("missing-value", names, "the value is missing.", `Write ${formOf(place)}. ${place.help}`);
  const values = rest.map((text) => {
    const value = readValue(place, text);
    if (value === undefined) throw new EditError("wrong-value", names, `"${text}" is no value of it.`, `Write ${formOf(place)}. ${place.help}`);
    return value;
  });
  if (place.kind === "value" && rest.length > 1)
    throw new EditError("too-many-words", names, `"${rest.slice(1).join(" ")}" is too much.`, "It has one value; quote it if it holds spaces.");
  refuseNameKey(names, values[0]);
  const key = names.at(-1) as string;
  const holder = reach(document, names.slice(0, -1)) as Json;
  if (place.kind === "value") holder[key] = values[0];
  else addValues(holder, key, values);
}

function addValues(holder: Json, key: string, values: readonly unknown[]): void {
  const list = Object.hasOwn(holder, key) ? (holder[key] as unknown[]) : [];
  const known = new Set(list.map(writeValue));
  for (const value of values) {
    if (known.has(writeValue(value))) continue;
    known.add(writeValue(value));
    list.push(value);
  }
  holder[key] = list;
}

/** A key that names its entry is changed by renaming the entry; to say again what it is is no harm. */
function refuseNameKey(names: readonly string[], value: unknown): void {
  const key = names.at(-1) as string;
  const entry = names.at(-2);
  const list = entry === undefined ? undefined : locate(names.slice(0, -2)).place;
  if (list?.kind !== "list" || !list.nameKeys.includes(key) || entry === undefined) return;
  if (value !== undefined && keysOfName(list, entry)?.[key] === value) return;
  throw new EditError("not-settable", names, "it is the entry's name.", `Say: rename ${names.slice(0, -1).join(" ")} NEW.`);
}

/** The object at a place, made with all that leads to it. */
function reach(document: Json, names: readonly string[]): unknown {
  let place = CONFIGURATION;
  let node: unknown = document;
  for (const name of names) {
    const next = placeUnder(place, name) as Place;
    let child = childOf(place, node, name);
    if (child === undefined) {
      child = place.kind === "list" ? { ...keysOfName(place, name) } : next.kind === "list" || next.kind === "values" ? [] : {};
      if (place.kind === "list") (node as unknown[]).push(child);
      else (node as Json)[name] = child;
    }
    node = child;
    place = next;
  }
  return node;
}

/** Removes what is at a place, or some of several values. Throws EditError when nothing is there. */
export function remove(document: Json, words: readonly string[]): void {
  const { place, names, rest } = locate(words);
  if (names.length === 0) throw new EditError("missing-path", [], "what is to be deleted?", "Name a place, such as: delete policy web.");
  const node = valueAt(document, names);
  if (node === undefined) throw new EditError("absent", names, "there is nothing to delete.", "show says what is there.");
  if (rest.length > 0) {
    const there = place.kind === "values" ? namesIn(place, node) : [writeValue(node)];
    for (const text of rest) if (!there.includes(text)) throw new EditError("absent", names, `"${text}" is not there.`, `There is: ${there.join(", ")}.`);
  }
  refuseNameKey(names, undefined);
  if (place.kind === "values" && rest.length > 0) {
    const list = node as unknown[];
    list.splice(0, list.length, ...list.filter((value) => !rest.includes(writeValue(value))));
    if (list.length > 0) return;
  }
  cut(document, names);
}

/** Takes a place out, and what holds nothing any more: but no entry, whose name alone says something. */
function cut(document: Json, names: readonly string[]): void {
  const above = names.slice(0, -1);
  const name = names.at(-1) as string;
  const spot = locate(above);
  const holder = valueAt(document, above);
  if (spot.place.kind === "list") {
    const list = holder as unknown[];
    list.splice(namesIn(spot.place, list).indexOf(name), 1);
  } else delete (holder as Json)[name];
  if (above.length > 0 && !spot.isEntry && namesIn(spot.place, holder).length === 0) cut(document, above);
}

/** Every place that has something, from the top down; `visit` may change what it is given. */
export function walk(place: Place, node: unknown, names: readonly string[], visit: (place: Place, node: unknown, names: readonly string[]) => void): void {
  if (node === undefined) return;
  visit(place, node, names);
  if (place.kind === "value" || place.kind === "values") return;
  for (const name of namesIn(place, node)) {
    const under = placeUnder(place, name);
    if (under !== undefined) walk(under, childOf(place, node, name), [...names, name], visit);
  }
}

/** An RFC 6901 pointer in words, as they are typed: `/policy/3/source/0` is `policy web source 10.1.0.0/24`. */
export function wordsOfPointer(document: unknown, pointer: string): string {
  const words: string[] = [];
  let place: Place | undefined = CONFIGURATION;
  let node: unknown = document;
  for (const escaped of pointer.split("/").slice(1)) {
    const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    const inner: unknown = typeof node === "object" && node !== null && Object.hasOwn(node, key) ? (node as Json)[key] : undefined;
    if (place?.kind === "list") words.push(nameOf(place, inner) || `#${Number(key) + 1}`);
    else words.push(place?.kind === "values" && inner !== undefined ? writeValue(inner) : key);
    place = place?.kind === "list" || place?.kind === "record" ? place.entry : place?.keys.get(key);
    node = inner;
  }
  return words.join(" ");
}
