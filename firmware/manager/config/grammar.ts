// The configuration as a person walks through it: places with names, read from the schema. What can be set, how a value is written, what
// comes next, and help: nothing of it is declared twice.
//
//   policy            web                service            tcp/443
//   └ list: entries   └ entry, by the    └ values: several  └ a value, read by its type
//     have names        list's key         under one key
//
// Kinds: an object has keys; a list has entries in an order, each with a name made of its key's values; a record has entries by name; values
// are several under one key; a value is one.

import { ConfigurationSchema, type NamePlace, type Part } from "./schema.ts";

export type Kind = "object" | "list" | "record" | "values" | "value";
export type ValueType = "text" | "integer" | "boolean" | "choice" | "tuple";

export interface Place {
  readonly kind: Kind;
  readonly help: string;
  readonly part: Part;
  /** Not for people to set. */
  readonly isAssigned: boolean;
  /** It must be there, and has no default. */
  readonly isRequired: boolean;
  readonly default: unknown;
  /** Of an object: its keys. */
  readonly keys: ReadonlyMap<string, Place>;
  /** Of a list or a record: what each entry is. */
  readonly entry: Place | undefined;
  /** Of a list: the keys that name an entry. */
  readonly nameKeys: readonly string[];
  /** Of a record: what its names must look like. */
  readonly namePattern: string;
  readonly namesReferTo: readonly NamePlace[];
  /** Of a value, and of each of several. */
  readonly type: ValueType;
  readonly choices: readonly string[];
  readonly least: number | undefined;
  readonly most: number | undefined;
  readonly pattern: string | undefined;
  readonly refersTo: readonly NamePlace[];
}

interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly key?: readonly string[];
  readonly refersTo?: readonly NamePlace[];
  readonly keyRefersTo?: readonly NamePlace[];
  readonly part?: Part;
  readonly assigned?: boolean;
}

/** The whole configuration. */
export const CONFIGURATION: Place = placeOf(ConfigurationSchema as SchemaNode, "shared", true);

function kindOf(node: SchemaNode): Kind {
  if (node.properties !== undefined) return "object";
  if (node.patternProperties !== undefined) return "record";
  if (node.type !== "array") return "value";
  return node.items?.properties === undefined ? "values" : "list";
}

function typeOf(node: SchemaNode): ValueType {
  if (node.enum !== undefined) return "choice";
  if (node.type === "array") return "tuple";
  if (node.type === "integer" || node.type === "boolean") return node.type;
  return "text";
}

function placeOf(node: SchemaNode, inherited: Part, isRequired: boolean): Place {
  const kind = kindOf(node);
  const part = node.part ?? node.items?.part ?? inherited;
  const value = kind === "values" ? (node.items as SchemaNode) : node;
  const [namePattern, recordEntry] = Object.entries(node.patternProperties ?? {})[0] ?? ["", undefined];
  const entry = kind === "list" ? node.items : recordEntry;
  const required = node.required ?? [];
  return {
    kind,
    help: node.description ?? node.items?.description ?? "",
    part,
    isAssigned: node.assigned === true,
    isRequired: isRequired && node.default === undefined,
    default: node.default,
    keys: new Map(Object.entries(node.properties ?? {}).map(([key, child]) => [key, placeOf(child, part, required.includes(key))])),
    entry: entry === undefined ? undefined : placeOf(entry, part, false),
    nameKeys: (kind === "list" ? node.items?.key : undefined) ?? [],
    namePattern,
    namesReferTo: node.keyRefersTo ?? [],
    type: typeOf(value),
    choices: value.enum ?? (value.type === "boolean" ? ["true", "false"] : []),
    least: value.minimum,
    most: value.maximum,
    pattern: value.pattern ?? value.items?.pattern,
    refersTo: value.refersTo ?? [],
  };
}

/** How a value of the place is written: `1..255`, `permit | deny`, `text`. */
export function formOf(place: Place): string {
  const plural = place.kind === "values" ? "…" : "";
  switch (place.type) {
    case "integer":
      return `${place.least}..${place.most}${plural}`;
    case "boolean":
    case "choice":
      return `${place.choices.join(" | ")}${plural}`;
    case "tuple":
      return `NAME,NAME${plural}`;
    default:
      return `${place.pattern === undefined ? "TEXT" : "NAME"}${plural}`;
  }
}

export type Entry = Readonly<Record<string, unknown>>;

/** The name of a list's entry: its key's values, one after the other; `` when they are missing. */
export function nameOf(list: Place, entry: unknown): string {
  if (typeof entry !== "object" || entry === null) return "";
  return list.nameKeys.map((key) => String((entry as Entry)[key] ?? "")).join("");
}

/** The keys of an entry by its name, the other way round; undefined when the name does not have the form. */
export function keysOfName(list: Place, name: string): Entry | undefined {
  const [first, second] = list.nameKeys;
  const parts = second === undefined ? [name] : (/^(.*?)(\d)$/.exec(name)?.slice(1) ?? []);
  const entry: Record<string, unknown> = {};
  for (const [k, key] of [first, second].entries()) {
    if (key === undefined) continue;
    const place = list.entry?.keys.get(key);
    const value = place === undefined || parts[k] === undefined ? undefined : readValue(place, parts[k]);
    if (value === undefined) return undefined;
    entry[key] = value;
  }
  return entry;
}

/** A value as a person writes it; undefined when the place does not take it. */
export function readValue(place: Place, text: string): unknown {
  switch (place.type) {
    case "integer": {
      const number = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
      return number >= (place.least ?? number) && number <= (place.most ?? number) ? number : undefined;
    }
    case "boolean":
      return text === "true" ? true : text === "false" ? false : undefined;
    case "choice":
      return place.choices.includes(text) ? text : undefined;
    case "tuple": {
      const parts = text.split(",");
      return parts.length === 2 && parts.every((part) => fits(place, part)) ? parts : undefined;
    }
    default:
      return fits(place, text) ? text : undefined;
  }
}

function fits(place: Place, text: string): boolean {
  return text !== "" && (place.pattern === undefined || new RegExp(place.pattern).test(text));
}

/** A value as it is written; the other way round. */
export function writeValue(value: unknown): string {
  return Array.isArray(value) ? value.join(",") : String(value);
}
