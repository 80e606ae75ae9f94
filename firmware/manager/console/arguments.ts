// What can be asked of a unit, declared once: commands and options with what they take and what they are for. The command line
// (`twinwall --unit A1 COMMAND [options]`) and the serial console read their grammar, help and completion from here.

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
  banner: "who this is, its role, the twin and the alarms, as the serial line greets",
  switchover: "hands over: of the unit to its mate, of the site to the other site",
  drain: "hands over and stays back, until it is resumed",
  resume: "ends a drain",
  configure: "changes the configuration: set, compare, commit; on a shell it also takes lines from standard input",
  peers: "this unit's fingerprint, who is paired and connected, and who was refused",
  pair: "pairs with a peer, by a code: pair B1, then at B1 what it says",
  unpair: "un-pairs a peer at once: its keys work nowhere any more; unpair self: from all, with a new identity",
  panel: "the front panel's lamps, what they mean and what to do, and why the appliance was started last",
} as const;
export type CommandName = keyof typeof COMMANDS;

/** Commands that say of what: their second word. */
export const OBJECTS = ["unit", "site"] as const;
const TAKES_OBJECT: readonly string[] = ["switchover", "drain", "resume"] satisfies readonly CommandName[];

/** Commands that name a peer. */
const TAKES_PEER: readonly string[] = ["pair", "unpair"] satisfies readonly CommandName[];

/** Is it an order: a command that changes something, and says of what? */
export function isOrder(command: string): boolean {
  return TAKES_OBJECT.includes(command);
}

interface Option {
  /** Word for its value; empty when it takes none. */
  readonly takes: string;
  readonly help: string;
  /** True where a person at the unit's own console cannot say it: they are at that unit already. */
  readonly shellOnly: boolean;
}

/** Options of every command; `unit` stands before the command and is not listed. */
export const OPTIONS = {
  json: { takes: "", help: "one JSON value on standard output", shellOnly: false },
  where: { takes: "SQL", help: "only rows for which it holds, such as \"owner = 'A1' AND bytes > 1000000\"", shellOnly: false },
  order: { takes: "SQL", help: 'sorted by it, such as "bytes DESC"', shellOnly: false },
  limit: { takes: "N", help: "at most N rows", shellOnly: false },
  all: { takes: "", help: "ended sessions, counters at 0 and unused rows too; events: the whole log, also of earlier runs", shellOnly: false },
  force: { takes: "", help: "switchover and drain: also while replicas lag, though sessions may be lost", shellOnly: false },
  "run-dir": { takes: "DIR", help: "the unit's own directory (else TWINWALL_RUN/A1, else /run/twinwall/A1)", shellOnly: true },
} as const satisfies Readonly<Record<string, Option>>;
export type OptionName = keyof typeof OPTIONS;

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
  /** Of orders: what it is about. */
  readonly object: (typeof OBJECTS)[number] | undefined;
  readonly force: boolean;
  /** Of `pair` and `unpair`: the peer's name, or `self`. */
  readonly peer: string | undefined;
  /** Of `pair`: the code, where it was made at the other unit. */
  readonly code: string | undefined;
}

/** Codes are stable; they stand in front of the message. */
export type UsageCode =
  | "missing-object"
  | "missing-peer"
  | "missing-command"
  | "unknown-command"
  | "wrong-option"
  | "wrong-value"
  | "too-many-words"
  | "missing-unit"
  | "wrong-unit";

export class UsageError extends Error {
  readonly code: UsageCode;
  constructor(code: UsageCode, message: string) {
    super(message);
    this.code = code;
  }
}

const NAME_COLUMNS = 12;
const OPTION_COLUMNS = 18;

/** An option as it is typed, such as `--limit N`. */
export function spelled(name: OptionName): string {
  const { takes } = OPTIONS[name];
  return takes === "" ? `--${name}` : `--${name} ${takes}`;
}

/** One line for each command. */
export function commandLines(): string[] {
  return Object.entries(COMMANDS).map(([name, shows]) => `  ${name.padEnd(NAME_COLUMNS)}${shows}`);
}

/** One line for each option; `atConsole`: only those that the unit's own console takes. */
export function optionLines(atConsole: boolean): string[] {
  const names = Object.keys(OPTIONS) as OptionName[];
  return names.filter((name) => !(atConsole && OPTIONS[name].shellOnly)).map((name) => `  ${spelled(name).padEnd(OPTION_COLUMNS)}${OPTIONS[name].help}`);
}

export const USAGE = ["usage: npm run -s twinwall -- --unit A1 COMMAND [options]", "", ...commandLines(), "", ...optionLines(false)].join("\n");

type ParsedType<K extends OptionName> = (typeof OPTIONS)[K]["takes"] extends "" ? "boolean" : "string";
const LISTED = Object.fromEntries(Object.entries(OPTIONS).map(([name, option]) => [name, { type: option.takes === "" ? "boolean" : "string" }])) as {
  readonly [K in OptionName]: { readonly type: ParsedType<K> };
};
const PARSED = { ...LISTED, unit: { type: "string" }, help: { type: "boolean", short: "h" } } as const;

function parsed(list: readonly string[]) {
  try {
    return parseArgs({ args: [...list], allowPositionals: true, options: PARSED });
  } catch (error) {
    // Node's advice about "--" after the first sentence is not for our commands.
    throw new UsageError("wrong-option", `${(error as Error).message.split(". ")[0]}.`);
  }
}

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError("wrong-value", `--limit wants a whole number, not "${text}".`);
  return Number(text);
}

/** Parses the arguments; undefined when help was asked for. Throws UsageError with a sentence. */
export function parseRequest(list: readonly string[]): Request | undefined {
  const { values, positionals } = parsed(list);
  if (values.help === true) return undefined;
  const [command, ...more] = positionals;
  const known = Object.keys(COMMANDS).join(", ");
  if (command === undefined) throw new UsageError("missing-command", `Which command? One of ${known}.`);
  if (!Object.hasOwn(COMMANDS, command)) throw new UsageError("unknown-command", `There is no command "${command}". Commands: ${known}.`);
  const object = isOrder(command) ? OBJECTS.find((word) => word === more[0]) : undefined;
  if (isOrder(command) && object === undefined) throw new UsageError("missing-object", `Of what? ${command} unit, or ${command} site.`);
  if (object !== undefined) more.shift();
  const peer = TAKES_PEER.includes(command) ? more.shift() : undefined;
  if (peer === undefined && TAKES_PEER.includes(command))
    throw new UsageError("missing-peer", `With whom? ${command} and a unit's name, such as ${command} B1.`);
  const code = command === "pair" ? more.shift() : undefined;
  if (more.length > 0) throw new UsageError("too-many-words", `One command at a time: "${more.join(" ")}" is too much.`);
  if (values.unit === undefined) throw new UsageError("missing-unit", "Which unit? Say --unit A1.");
  if (!/^[A-Za-z0-9-]+$/.test(values.unit)) throw new UsageError("wrong-unit", `"${values.unit}" is not a unit's name.`);
  return {
    command: command as CommandName,
    unit: values.unit,
    runDirectory: values["run-dir"],
    json: values.json === true,
    all: values.all === true,
    where: values.where,
    order: values.order,
    limit: limitOf(values.limit),
    object,
    force: values.force === true,
    peer,
    code,
  };
}
