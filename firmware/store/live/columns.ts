// The SQL columns of a table, derived from its declaration:
//
//   i32, u32, f64   one column; with `names`, text         address   one column, text, NULL when all zero
//   parts           one column per part                    ports     two columns: ..source_port, ..destination_port
//   mac + macRest   one column, text                       counters  also name, kind and sentence, by row number
//
// Names are the declaration's in snake case (`originatorMaxEnd` is `originator_max_end`). Parts and ports that would collide carry
// their field's name without its last word: `originatorFlow`'s Protocol is `originator_protocol`. Every table has `row`.

import type { Field, Table } from "../../fastpath/memory/layout.ts";
import { COUNTER_NAMES, TABLES } from "../../fastpath/memory/tables.ts";
import { DROP_NAMES, DROP_SENTENCES } from "../../fastpath/verdicts.ts";

/** How the C module reads a column. `rowName`: `names` by row number. */
export type ColumnKind = "row" | "rowName" | "i32" | "u32" | "f64" | "bits" | "address" | "mac" | "port";

export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  /** First word in the row. */
  readonly at: number;
  /** bits: lowest bit. port: 0 the source, 16 the destination. */
  readonly shift: number;
  readonly bits: number;
  readonly names: readonly string[];
  readonly unit: string;
  readonly doc: string;
}

/** Rows whose word `at` masked is 0 hold nothing and are not shown. */
export interface UsedRule {
  readonly at: number;
  readonly mask: number;
}

const ALL_BITS = 0xffffffff;

export function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
}

/** `originatorFlow` → `originator_`, `ports` → nothing. */
function prefixOf(field: Field): string {
  const words = snakeCase(field.name).split("_");
  return words
    .slice(0, -1)
    .map((part) => `${part}_`)
    .join("");
}

function wordColumn(field: Field, kind: "i32" | "u32" | "f64" | "address" | "mac"): Column {
  return { name: snakeCase(field.name), kind, at: field.at, shift: 0, bits: 32, names: field.names ?? [], unit: field.unit ?? "", doc: field.doc };
}

function partColumns(field: Field, isShared: (part: string) => boolean): Column[] {
  return (field.parts ?? []).map((part) => {
    const name = isShared(part.name) ? prefixOf(field) + snakeCase(part.name) : snakeCase(part.name);
    return { name, kind: "bits", at: field.at, shift: part.shift, bits: part.bits, names: part.names ?? [], unit: "", doc: part.doc };
  });
}

function portColumns(field: Field): Column[] {
  const base = { kind: "port", at: field.at, bits: 16, names: [], unit: "", doc: field.doc } as const;
  return [
    { ...base, name: `${prefixOf(field)}source_port`, shift: 0 },
    { ...base, name: `${prefixOf(field)}destination_port`, shift: 16 },
  ];
}

function rowNameColumns(table: Table): Column[] {
  if (table.name !== "counters") return [];
  const base = { kind: "rowName", at: 0, shift: 0, bits: 0, unit: "" } as const;
  const others = COUNTER_NAMES.map(() => "");
  return [
    { ...base, name: "name", names: [...DROP_NAMES, ...COUNTER_NAMES], doc: "drop reason or counter" },
    { ...base, name: "kind", names: [...DROP_NAMES.map(() => "drop"), ...COUNTER_NAMES.map(() => "counter")], doc: "drop or counter" },
    { ...base, name: "sentence", names: [...DROP_SENTENCES, ...others], doc: "what a drop reason means" },
  ];
}

/** The columns of a table in their order. Throws when two would have one name. */
export function columnsOf(table: Table): readonly Column[] {
  const parts = table.fields.flatMap((field) => field.parts ?? []).map((part) => part.name);
  const isShared = (name: string) => parts.filter((other) => other === name).length > 1;
  const hasRest = (field: Field) => table.fields.some((other) => other.name === `${field.name}Rest`);
  const isRest = (field: Field) => field.name.endsWith("Rest") && table.fields.some((other) => `${other.name}Rest` === field.name);
  const columns: Column[] = [{ name: "row", kind: "row", at: 0, shift: 0, bits: 0, names: [], unit: "", doc: "row number" }, ...rowNameColumns(table)];
  for (const field of table.fields) {
    if (isRest(field)) continue;
    if (field.type === "parts") columns.push(...partColumns(field, isShared));
    else if (field.type === "ports") columns.push(...portColumns(field));
    else columns.push(wordColumn(field, hasRest(field) ? "mac" : field.type));
  }
  const names = columns.map((column) => column.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`${table.name}: two columns would be called ${twice}`);
  return columns;
}

/** Which rows of a table are in use; undefined: all. */
export function usedRuleOf(table: Table): UsedRule | undefined {
  const at = (name: string) => table.fields.find((field) => field.name === name)?.at as number;
  switch (table.name) {
    case "sessions":
    case "neighbours":
      return { at: at("state"), mask: 0xff };
    case "stations":
      return { at: at("place"), mask: 0xff };
    case "members":
    case "paths":
      return { at: at("unit"), mask: ALL_BITS };
    case "commands":
    case "events":
      return { at: at("sequence"), mask: ALL_BITS };
    default:
      return undefined;
  }
}

/** Table by name. Throws on an unknown one. */
export function tableNamed(name: string): Table {
  const found = TABLES.find((entry) => entry.table.name === name);
  if (found === undefined) throw new Error(`no table is called ${name}`);
  return found.table;
}
