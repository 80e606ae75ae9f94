// A configuration file, read and judged: text → JSON with lines → shape and defaults → meaning. Each step runs only if
// the one before found nothing; within a step everything is reported.

import { readFileSync } from "node:fs";
import { checkConfiguration } from "./check.ts";
import { JsonFault, parseJson } from "./json.ts";
import { planRules } from "./plan-rules.ts";
import { ConfigurationError, type Problem, pathIn, quote, readablePath } from "./problems.ts";
import { type Configuration, ConfigurationSchema } from "./schema.ts";
import { findShadowed } from "./shadow.ts";
import { checkShape, type Source } from "./shape.ts";

/** A configuration that passed every check, and where its keys stand. */
export interface LoadedConfiguration {
  readonly configuration: Configuration;
  readonly source: Source;
}

/** What a document comes to: a configuration only when there is no problem. */
export interface Judged {
  readonly configuration: Configuration | undefined;
  readonly problems: readonly Problem[];
}

/** Reads a file. Throws ConfigurationError with every problem found. */
export function loadConfiguration(file: string): LoadedConfiguration {
  return parseConfiguration(readText(file, "configuration"), file);
}

/** As `loadConfiguration`, from a text; `file` is what messages call it. */
export function parseConfiguration(text: string, file: string): LoadedConfiguration {
  const json = locate(text, file);
  const source = { file, lineOf: json.lineOf };
  const { configuration, problems } = judgeDocument(json.value, source);
  if (configuration === undefined) throw new ConfigurationError(problems);
  return { configuration, source };
}

/** Judges a document, whoever wrote it: shape and defaults, then meaning. The document is not changed. */
export function judgeDocument(document: unknown, source: Source): Judged {
  const shape = checkShape(ConfigurationSchema, document, source);
  if (shape.problems.length > 0) return { configuration: undefined, problems: shape.problems };
  const configuration = shape.value as Configuration;
  const problems = checkConfiguration(configuration, source);
  return { configuration: problems.length > 0 ? undefined : configuration, problems };
}

/** What is no error, but hardly meant: rules that never decide. */
export function warningsOf({ configuration, source }: LoadedConfiguration): readonly Problem[] {
  return findShadowed(planRules(configuration)).map(({ rule, by, isSame }) => {
    const [later, earlier] = [configuration.policy[rule]?.name, configuration.policy[by]?.name];
    const message = `rule ${quote(later)} never decides: ${quote(earlier)} before it matches everything that it does`;
    const remedy = isSame ? "Remove it: both do the same." : `Move it before ${quote(earlier)}, or remove it.`;
    return { code: "shadowed-rule", file: source.file, line: source.lineOf(`/policy/${rule}`), path: pathIn(source, `/policy/${rule}`), message, remedy };
  });
}

/** A text file that a person named. Throws ConfigurationError when it cannot be read. */
export function readText(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const message = `the ${what} file cannot be read: ${(error as NodeJS.ErrnoException).code}`;
    throw new ConfigurationError([{ code: "absent-file", file, line: 0, path: "", message, remedy: "Name a file that exists and that this user may read." }]);
  }
}

/** `parseJson` with faults as problems. */
export function locate(text: string, file: string): ReturnType<typeof parseJson> {
  try {
    return parseJson(text);
  } catch (fault) {
    if (!(fault instanceof JsonFault)) throw fault;
    const remedy = fault.code === "duplicate-key" ? "Keep one of the two." : "Correct the JSON (RFC 8259: no comments, no comma after the last entry).";
    throw new ConfigurationError([{ code: fault.code, file, line: fault.line, path: readablePath(fault.pointer), message: fault.message, remedy }]);
  }
}
