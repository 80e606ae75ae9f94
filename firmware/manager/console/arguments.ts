// The command line: twinwall --unit A1 <command> [options].

import { parseArgs } from "node:util";

/** Commands and what they show. */
export const COMMANDS = {
  status: "role, peers, sessions, lag and drops, in sentences",
  sessions: "the tracked sessions: both tuples, owner, replicas, counters",
  counters: "drops by reason, and everything else that is counted",
  events: "what happened lately, oldest first",
  ports: "network ports and their counters",
  members: "the units of the logical firewall, as this one sees them",
  neighbours: "ARP and ND",
  rules: "the rules and how often each decided",
} as const;
export type CommandName = keyof typeof COMMANDS;

export interface Request {
  readonly command: CommandName;
  readonly unit: string;
  readonly runDirectory: string | undefined;
  readonly json: boolean;
  readonly all: boolean;
  /** SQL, over the columns that `--json` shows. */
  readonly where: string | undefined;
  readonly order: string | undefined;
  readonly limit: number | undefined;
}

export class UsageError extends Error {}

export const USAGE = [
  "usage: npm run -s twinwall -- --unit A1 COMMAND [options]",
  "",
  ...Object.entries(COMMANDS).map(([name, shows]) => `  ${name.padEnd(12)}${shows}`),
  "",
  "  --json            one JSON value on standard output",
  "  --where SQL       only rows for which it holds, such as \"owner = 'A1' AND bytes > 1000000\"",
  '  --order SQL       sorted by it, such as "bytes DESC"',
  "  --limit N         at most N rows",
  "  --all             ended sessions, counters at 0 and unused rows too; events: the whole log, also of earlier runs",
  "  --run-dir DIR     the unit's own directory (else TWINWALL_RUN/A1, else /run/twinwall/A1)",
].join("\n");

function parsed(list: readonly string[]) {
  try {
    return parseArgs({
      args: [...list],
      allowPositionals: true,
      options: {
        unit: { type: "string" },
        json: { type: "boolean" },
        all: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        where: { type: "string" },
        order: { type: "string" },
        limit: { type: "string" },
        "run-dir": { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`--limit wants a whole number, not "${text}".`);
  return Number(text);
}

/** Parses the arguments; undefined when help was asked for. Throws UsageError with a sentence. */
export function parseRequest(list: readonly string[]): Request | undefined {
  const { values, positionals } = parsed(list);
  if (values.help === true) return undefined;
  const [command, ...more] = positionals;
  if (command === undefined) throw new UsageError(`Which command? One of ${Object.keys(COMMANDS).join(", ")}.`);
  if (!Object.hasOwn(COMMANDS, command)) throw new UsageError(`There is no command "${command}". Commands: ${Object.keys(COMMANDS).join(", ")}.`);
  if (more.length > 0) throw new UsageError(`One command at a time: "${more.join(" ")}" is too much.`);
  if (values.unit === undefined) throw new UsageError("Which unit? Say --unit A1.");
  if (!/^[A-Za-z0-9-]+$/.test(values.unit)) throw new UsageError(`"${values.unit}" is not a unit's name.`);
  return {
    command: command as CommandName,
    unit: values.unit,
    runDirectory: values["run-dir"],
    json: values.json === true,
    all: values.all === true,
    where: values.where,
    order: values.order,
    limit: limitOf(values.limit),
  };
}
