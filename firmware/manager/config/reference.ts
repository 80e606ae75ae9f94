// The reference of every key and every console command, and the JSON Schema for editors, written from their declarations.
//
//   npm run docs                writes REFERENCE.md and configuration.schema.json beside this file
//   npm run docs -- --check     says whether they are current; exit status 1 when not

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS, OPTIONS, spelled } from "../console/arguments.ts";
import { CONFIGURE_COMMANDS } from "../console/configure/words.ts";
import { CONFIGURATION, formOf, type Place } from "./grammar.ts";
import { ConfigurationSchema } from "./schema.ts";

const REFERENCE = "REFERENCE.md";
const SCHEMA = "configuration.schema.json";
const SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** The files that this writes, by name. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return { [REFERENCE]: referenceText(), [SCHEMA]: `${JSON.stringify(schemaForEditors(), null, 2)}\n` };
}

/** JSON Schema of what people write: a key with a default may be left out. */
export function schemaForEditors(): object {
  return { $schema: SCHEMA_DIALECT, title: "Twinwall configuration", ...(writable(ConfigurationSchema) as object) };
}

/** Makes a schema's copy in which only what has no default is required. */
function writable(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(writable);
  if (typeof node !== "object" || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, writable(value)]));
  const properties = copy["properties"] as Readonly<Record<string, { readonly default?: unknown }>> | undefined;
  const required = (copy["required"] as readonly string[] | undefined)?.filter((key) => properties?.[key]?.default === undefined);
  if (required !== undefined && required.length > 0) copy["required"] = required;
  else delete copy["required"];
  return copy;
}

function referenceText(): string {
  const rows: string[] = [];
  listKeys(CONFIGURATION, [], rows);
  return `${[
    "# Reference",
    "",
    "Written by `npm run docs` from `schema.ts`, `console/arguments.ts` and `console/configure/words.ts`; a test keeps it current. An editor that is given",
    `\`${SCHEMA}\` completes and checks a configuration while it is written.`,
    "",
    "## Keys",
    "",
    "A path is written as at the console: `set policy web service tcp/443`. Upper-case words are names of entries. *Part*: `shared` is the same",
    "on all units; `site` and `unit` are said for each site or unit. Everything is in one configuration, which all units have.",
    "",
    "| path | value | default | part | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    "## Commands",
    "",
    "`twinwall --unit A1 COMMAND [options]`, and the same at the serial console without `--unit`.",
    "",
    "| command | shows or does |",
    "| --- | --- |",
    ...Object.entries(COMMANDS).map(([name, shows]) => `| \`${name}\` | ${cell(shows)} |`),
    "",
    "## Commands of the configuration mode",
    "",
    "`configure` enters it. From a script: `twinwall --unit A1 configure < FILE`; the first line that is refused ends it.",
    "",
    "| command | does |",
    "| --- | --- |",
    ...Object.entries(CONFIGURE_COMMANDS).map(([name, { takes, help }]) => `| \`${cell(`${name} ${takes}`.trimEnd())}\` | ${cell(help)} |`),
    "",
    "## Options",
    "",
    "| option | meaning |",
    "| --- | --- |",
    ...(Object.keys(OPTIONS) as (keyof typeof OPTIONS)[]).map((name) => `| \`${spelled(name)}\` | ${cell(OPTIONS[name].help)} |`),
  ].join("\n")}\n`;
}

/** One row for each value; entries and keys without values of their own get one when they have help. */
function listKeys(place: Place, path: readonly string[], rows: string[]): void {
  if (place.isAssigned) return;
  const isLeaf = place.kind === "value" || place.kind === "values";
  if (path.length > 0 && (isLeaf || place.help !== "")) {
    const standard = place.default === undefined || !isLeaf ? (place.isRequired && isLeaf ? "required" : "") : `\`${JSON.stringify(place.default)}\``;
    rows.push(`| \`${path.join(" ")}\` | ${isLeaf ? `\`${cell(formOf(place))}\`` : ""} | ${standard} | ${place.part} | ${cell(place.help)} |`);
  }
  for (const [key, under] of place.keys) listKeys(under, [...path, key], rows);
  if (place.entry === undefined) return;
  const entry = place.entry;
  const keys = new Map([...entry.keys].filter(([key]) => !place.nameKeys.includes(key)));
  // The list's help speaks of all, the entry's of one; a row for each would say the same place twice.
  listKeys({ ...entry, keys, help: entry.help === place.help ? "" : entry.help }, [...path, "NAME"], rows);
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function main(isCheck: boolean): void {
  for (const [name, text] of Object.entries(generatedFiles())) {
    const file = join(import.meta.dirname, name);
    if (!isCheck) writeFileSync(file, text);
    else if (readFileSync(file, "utf8") !== text) {
      console.error(`${name} is not current [stale-reference]\n  npm run docs writes it anew.`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) main(process.argv.includes("--check"));
