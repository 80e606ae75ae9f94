// What is wrong with something that a person wrote: a stable code, where, what was found, and what to do about it.
// Problems are collected, not thrown one by one, so that one run shows all of them.

export type ProblemCode =
  | "json-syntax"
  | "duplicate-key"
  | "unknown-key"
  | "missing-key"
  | "wrong-type"
  | "not-allowed"
  | "out-of-range"
  | "wrong-form"
  | "wrong-count"
  | "duplicate-name"
  | "duplicate-address"
  | "unknown-zone"
  | "unknown-site"
  | "unknown-unit"
  | "unknown-port"
  | "self-peer"
  | "overlapping-ports"
  | "wrong-address"
  | "wrong-prefix"
  | "wrong-service"
  | "no-site-address"
  | "outside-profile"
  | "gateway-outside-prefix"
  | "gateway-in-transparent"
  | "unreachable-next-hop"
  | "unknown-object"
  | "group-loop"
  | "reserved-name"
  | "shadowed-rule"
  | "damaged-database"
  | "no-twin-port"
  | "no-wire"
  | "absent-device"
  | "ambiguous-device"
  | "absent-file"
  | "unknown-board"
  | "wrong-argument";

export interface Problem {
  readonly code: ProblemCode;
  /** The file it is in, as the person named it; empty when it is about the command line. */
  readonly file: string;
  /** 1-based; 0 when there is no line to name. */
  readonly line: number;
  /** The key's path as a person reads it: `zones[1].vlan`; empty for the whole file. */
  readonly path: string;
  /** What is wrong, with what was found. */
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** Takes one problem: its code, the place as an RFC 6901 pointer, what is wrong, what to do. */
export type Report = (code: ProblemCode, pointer: string, message: string, remedy: string) => void;

/** Carries every problem that was found; `message` lists them all. */
export class ConfigurationError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}

/** `file:line: path: message [code]`, then the remedy on a line of its own. */
export function formatProblem(problem: Problem): string {
  const place = problem.file === "" ? "" : `${problem.file}${problem.line > 0 ? `:${problem.line}` : ""}: `;
  const path = problem.path === "" ? "" : `${problem.path}: `;
  return `${place}${path}${problem.message} [${problem.code}]\n  ${problem.remedy}`;
}

/** A place in `source`, in its own way of writing places. */
export function pathIn(source: { readonly pathOf?: (pointer: string) => string }, pointer: string): string {
  return source.pathOf === undefined ? readablePath(pointer) : source.pathOf(pointer);
}

/** `/zones/1/vlan` (RFC 6901) as `zones[1].vlan`. */
export function readablePath(pointer: string): string {
  let path = "";
  for (const escaped of pointer.split("/").slice(1)) {
    const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    path += /^\d+$/.test(key) ? `[${key}]` : path === "" ? key : `.${key}`;
  }
  return path;
}

/** Longest text of a found value that a message quotes. */
const QUOTE_CHARACTERS_MOST = 60;

/** A found value as a message quotes it. */
export function quote(found: unknown): string {
  const text = JSON.stringify(found) ?? "nothing";
  return text.length > QUOTE_CHARACTERS_MOST ? `${text.slice(0, QUOTE_CHARACTERS_MOST)}…` : text;
}
