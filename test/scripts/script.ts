// Reads packet scripts (README.md describes them): a file is a list of tests, a test is a few settings and then steps. What
// differs between IPv4 and IPv6 stands as `this|that` and is chosen when a step is played.

export interface Script {
  readonly file: string;
  readonly line: number;
  /** Requirement ids and sentence. */
  readonly name: string;
  /** Variants that it is meant for; all when empty. */
  readonly only: readonly Variant[];
  /** Path into the plan and JSON value. */
  readonly settings: readonly { readonly path: string; readonly value: unknown }[];
  /** Rules as words; when there are none, everything is permitted. */
  readonly rules: readonly string[];
  readonly steps: readonly Step[];
}

export const VARIANTS = ["IPv4", "IPv6", "routed", "transparent", "one site", "other site"] as const;
export type Variant = (typeof VARIANTS)[number];

export type Step =
  | {
      readonly kind: "packet";
      readonly line: number;
      readonly text: string;
      readonly label: string;
      readonly words: readonly string[];
      readonly outcome: string;
    }
  | { readonly kind: "wait"; readonly line: number; readonly text: string; readonly millis: number }
  | { readonly kind: "look"; readonly line: number; readonly text: string; readonly what: LookAt; readonly rest: string };

const LOOKS = ["sessions", "counter", "event"] as const;
export type LookAt = (typeof LOOKS)[number];

const UNITS_OF_TIME: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/** All tests of a file. Throws, with file and line, when a line is not understood. */
export function parseScripts(file: string, text: string): readonly Script[] {
  const scripts: { -readonly [K in keyof Script]: Script[K] extends readonly (infer T)[] ? T[] : Script[K] }[] = [];
  for (const [number, raw] of text.split("\n").entries()) {
    const line = raw.replace(/(^|\s)#.*$/, "").trim();
    if (line === "") continue;
    const fail = (why: string): never => {
      throw new Error(`${file}:${number + 1}: ${why}: ${line}`);
    };
    const [word = "", rest = ""] = [line.split(" ", 1)[0], line.slice(line.indexOf(" ") + 1)];
    const script = scripts.at(-1);
    if (word === "test") scripts.push({ file, line: number + 1, name: rest, only: [], settings: [], rules: [], steps: [] });
    else if (script === undefined) fail("a file begins with a test");
    else if (word === "only")
      script.only.push(...rest.split(", ").map((name) => (VARIANTS.includes(name as Variant) ? (name as Variant) : fail(`no variant ${name}`))));
    else if (word === "set") script.settings.push({ path: rest.split(" ")[0] as string, value: JSON.parse(rest.slice(rest.indexOf(" ") + 1)) });
    else if (word === "rule") script.rules.push(rest);
    else if (word === "wait") script.steps.push({ kind: "wait", line: number + 1, text: line, millis: millisOf(rest) ?? fail("no duration") });
    else if (LOOKS.includes(word as LookAt)) script.steps.push({ kind: "look", line: number + 1, text: line, what: word as LookAt, rest });
    else script.steps.push(packetStep(line, number + 1) ?? fail("neither a packet nor anything else"));
  }
  return scripts;
}

/** "[label:] sender > receiver words… [-> outcome]" */
function packetStep(text: string, line: number): Step | undefined {
  const [packet = "", outcome = ""] = text.split(" -> ");
  const match = /^(?:(\w+): )?(\S+) +> +(.*)$/.exec(packet);
  if (match === null) return undefined;
  return {
    kind: "packet",
    line,
    text,
    label: match[1] ?? "",
    words: [match[2] as string, ...(match[3] as string).trim().split(/\s+/)],
    outcome: outcome.trim(),
  };
}

/** "2 h 4 min" → milliseconds. */
function millisOf(text: string): number | undefined {
  const words = text.split(/\s+/);
  let sum = 0;
  for (let k = 0; k < words.length; k += 2) sum += Number(words[k]) * (UNITS_OF_TIME[words[k + 1] ?? ""] ?? Number.NaN);
  return Number.isNaN(sum) ? undefined : sum;
}
