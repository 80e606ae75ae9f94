// Entries renamed, copied and moved. A rename takes along what names the entry elsewhere, so that no reference breaks by it.

import { childOf, EditError, type Json, locate, namesIn, placeUnder, valueAt, walk } from "./document.ts";
import { CONFIGURATION, keysOfName, nameOf, type Place, readValue, writeValue } from "./grammar.ts";
import type { NamePlace } from "./schema.ts";

/** An entry of a list or record, or one of several values: what holds it, and its name there. */
interface Held {
  readonly above: readonly string[];
  readonly place: Place;
  readonly holder: unknown;
  readonly name: string;
}

function held(document: Json, words: readonly string[]): Held {
  const { place, names, isEntry, rest } = locate(words);
  const isValue = place.kind === "values" && rest.length === 1;
  if (!isValue && (!isEntry || rest.length > 0))
    throw new EditError("missing-path", words, "this is no entry of a list.", "Name one, such as: policy web, zones one, objects addresses server.");
  const above = isValue ? names : names.slice(0, -1);
  const holder = valueAt(document, above);
  const name = isValue ? (rest[0] as string) : (names.at(-1) as string);
  const holding = locate(above).place;
  if (!namesIn(holding, holder).includes(name))
    throw new EditError("absent", words, "there is no such entry.", `There are: ${namesIn(holding, holder).join(", ") || "none"}.`);
  return { above, place: holding, holder, name };
}

function refuseName({ above, place, holder }: Held, fresh: string): void {
  const fits = place.kind === "values" ? readValue(place, fresh) !== undefined : placeUnder(place, fresh) !== undefined;
  if (!fits) throw new EditError("wrong-name", [...above, fresh], "this cannot be the name of an entry.", place.help);
  if (namesIn(place, holder).includes(fresh)) throw new EditError("taken", [...above, fresh], "there is one of that name.", "Choose another name.");
}

/** Gives an entry another name, here and wherever it is named. Throws EditError. */
export function rename(document: Json, words: readonly string[], fresh: string): void {
  const entry = held(document, words);
  refuseName(entry, fresh);
  const { place, holder, name, above } = entry;
  if (place.kind === "values") {
    const list = holder as unknown[];
    list[list.map(writeValue).indexOf(name)] = readValue(place, fresh);
  } else if (place.kind === "list") Object.assign(childOf(place, holder, name) as Json, keysOfName(place, fresh));
  else renameKey(holder as Json, name, fresh);
  renameReferences(document, above.join("."), name, fresh);
}

/** The key keeps its place among the others. */
function renameKey(holder: Json, name: string, fresh: string): void {
  const entries = Object.entries(holder);
  for (const [key] of entries) delete holder[key];
  for (const [key, value] of entries) holder[key === name ? fresh : key] = value;
}

function renameReferences(document: Json, declared: string, name: string, fresh: string): void {
  const where = declared as NamePlace;
  /** Entries whose own name changes with it: a unit's is made of its site's. */
  const follow: [string, string, string][] = [];
  const isMeant = (place: Place, value: unknown): boolean => place.refersTo.includes(where) && value === name;
  walk(CONFIGURATION, document, [], (place, node, names) => {
    if (place.kind === "record" && place.namesReferTo.includes(where) && Object.hasOwn(node as Json, name)) renameKey(node as Json, name, fresh);
    if (place.kind === "values") {
      for (const [k, value] of (node as unknown[]).entries()) if (isMeant(place, value)) (node as unknown[])[k] = fresh;
    }
    if (place.kind === "list") {
      for (const entry of node as Json[]) {
        const old = nameOf(place, entry);
        for (const [key, inner] of place.entry?.keys ?? []) if (isMeant(inner, entry[key])) entry[key] = fresh;
        if (nameOf(place, entry) !== old) follow.push([names.join("."), old, nameOf(place, entry)]);
      }
    }
    if (place.kind === "object")
      for (const [key, inner] of place.keys) if (inner.kind === "value" && isMeant(inner, (node as Json)[key])) (node as Json)[key] = fresh;
  });
  for (const [list, old, renamed] of follow) renameReferences(document, list, old, renamed);
}

/** Makes an entry of another name that is otherwise the same. Throws EditError. */
export function copy(document: Json, words: readonly string[], fresh: string): void {
  const entry = held(document, words);
  if (entry.place.kind === "values") throw new EditError("missing-path", words, "a value cannot be copied.", "Set the other value.");
  refuseName(entry, fresh);
  const { place, holder, name } = entry;
  const twin = structuredClone(childOf(place, holder, name));
  if (place.kind === "list") (holder as unknown[]).push(Object.assign(twin as Json, keysOfName(place, fresh)));
  else (holder as Json)[fresh] = twin;
}

/** Where an entry goes; `name`: of the one that it goes before or after. */
export interface Whither {
  readonly at: "first" | "last" | "before" | "after";
  readonly name: string;
}

/** Gives an entry another place in its list. Throws EditError. */
export function move(document: Json, words: readonly string[], whither: Whither): void {
  const { place, holder, name, above } = held(document, words);
  if (place.kind === "record") throw new EditError("missing-path", words, "these have no order.", "Only entries of lists can be moved.");
  const list = holder as unknown[];
  const names = namesIn(place, list);
  if ((whither.at === "before" || whither.at === "after") && (!names.includes(whither.name) || whither.name === name))
    throw new EditError("absent", [...above, whither.name], "there is no such other entry.", `There are: ${names.join(", ")}.`);
  const [moved] = list.splice(names.indexOf(name), 1);
  const left = namesIn(place, list);
  const at = whither.at === "first" ? 0 : whither.at === "last" ? left.length : left.indexOf(whither.name) + (whither.at === "after" ? 1 : 0);
  list.splice(at, 0, moved);
}
