// From a schema's verdict to problems that a person can act on. Used for everything that people write: configuration
// and boards.

import type { TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { Settings } from "typebox/system";
import Value from "typebox/value";
import { type Problem, type ProblemCode, pathIn, quote } from "./problems.ts";

/** More problems than anyone reads at once; TypeBox stops at 8 unless told. */
const PROBLEMS_MOST = 1_000;
Settings.Set({ maxErrors: PROBLEMS_MOST });

/** What problems need to know of the text. */
export interface Source {
  /** What messages call it. */
  readonly file: string;
  lineOf(pointer: string): number;
  /** A place as a person at hand writes it; absent: `zones[1].vlan`. */
  readonly pathOf?: (pointer: string) => string;
}

interface ShapeError {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

interface SchemaNode {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** Schemas as functions: 10,000 rules that are in order are found so in 6 ms, not in 350. */
const validators = new WeakMap<TSchema, Validator>();

function isShaped(schema: TSchema, value: unknown): boolean {
  const validator = validators.get(schema) ?? Compile(schema);
  validators.set(schema, validator);
  return validator.Check(value);
}

/** Fills defaults into a copy of `value` and checks it. The value is of the schema's type if no problem is returned. */
export function checkShape(schema: TSchema, value: unknown, source: Source): { readonly value: unknown; readonly problems: readonly Problem[] } {
  const filled = Value.Default(schema, structuredClone(value));
  if (isShaped(schema, filled)) return { value: filled, problems: [] };
  const problems: Problem[] = [];
  for (const error of Value.Errors(schema, filled)) problems.push(...explain(schema, filled, error as ShapeError, source));
  return { value: filled, problems };
}

/** Most errors are one problem; a list of unknown or missing keys is one for each. */
function explain(schema: TSchema, value: unknown, error: ShapeError, source: Source): Problem[] {
  const node = nodeAt(schema, error.schemaPath) as SchemaNode | undefined;
  const params = error.params as Readonly<Record<string, unknown>>;
  const at = error.instancePath;
  const make = (code: ProblemCode, pointer: string, message: string, remedy: string): Problem => ({
    code,
    file: source.file,
    line: source.lineOf(pointer),
    path: pathIn(source, pointer),
    message,
    remedy,
  });
  const found = quote(nodeAt(value, at));
  const help = node?.description === undefined ? "" : ` ${node.description}`;
  switch (error.keyword) {
    case "boolean":
      return []; // The object that holds the unknown key has an error of its own.
    case "additionalProperties":
      return (params.additionalProperties as string[]).map((key) => {
        const known = Object.keys(node?.properties ?? {});
        const remedy = known.length === 0 ? "Correct or remove it." : `Correct or remove it; known here: ${known.join(", ")}.`;
        return make("unknown-key", `${at}/${escapeKey(key)}`, `the key is not known (found ${quote(nodeAt(value, `${at}/${escapeKey(key)}`))})`, remedy);
      });
    case "required":
      return (params.requiredProperties as string[]).map((key) => {
        const doc = (node?.properties?.[key] as SchemaNode | undefined)?.description;
        return make("missing-key", `${at}/${escapeKey(key)}`, "the key is missing", `Add it.${doc === undefined ? "" : ` ${doc}`}`);
      });
    case "type":
      return [make("wrong-type", at, `must be ${articled(String(params.type))} (found ${found})`, `Correct the value.${help}`)];
    case "enum":
      return [make("not-allowed", at, `must be one of ${(params.allowedValues as unknown[]).join(", ")} (found ${found})`, `Choose one of them.${help}`)];
    case "minimum":
    case "maximum":
      return [make("out-of-range", at, `must be ${params.comparison} ${params.limit} (found ${found})`, `Correct the value.${help}`)];
    case "minItems":
    case "maxItems":
    case "maxProperties":
      return [
        make(
          "wrong-count",
          at,
          `must have ${error.keyword === "minItems" ? "at least" : "at most"} ${params.limit} entries (found ${Object.keys(nodeAt(value, at) as object).length})`,
          `Add or remove entries.${help}`,
        ),
      ];
    case "pattern":
      return [make("wrong-form", at, `has characters or a length that are not allowed (found ${found})`, `Write it as ${params.pattern}.${help}`)];
    default:
      return [make("wrong-type", at, `${error.message} (found ${found})`, `Correct the value.${help}`)];
  }
}

function articled(type: string): string {
  return type === "string" ? "text" : /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}

function escapeKey(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** The value at an RFC 6901 pointer; also takes a schema path, which begins with #. */
function nodeAt(root: unknown, pointer: string): unknown {
  let node = root;
  for (const escaped of pointer.split("/").slice(1)) {
    if (typeof node !== "object" || node === null) return undefined;
    node = (node as Readonly<Record<string, unknown>>)[escaped.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return node;
}
