// What a line at the console means: its words, what may come next, and help for that place. All of it derives from the declaration in
// arguments.ts; the console's own word is `help`.

import { COMMANDS, type CommandName, commandLines, isOrder, OBJECTS, OPTIONS, type OptionName, optionLines, spelled, UsageError } from "./arguments.ts";

export const HELP = "help";
const OWN = { [HELP]: "this; also ? at any place, and Tab completes" } as const;
const NAME_COLUMNS = 12;

export interface Words {
  readonly words: readonly string[];
  /** The quote that is still open at the end; empty when none. */
  readonly open: string;
  /** True when the last word goes on at the end of the line. */
  readonly unfinished: boolean;
}

/** Splits a line at spaces. '…' and "…" hold spaces and the other quote; there is no other escape. */
export function wordsOf(line: string): Words {
  const words: string[] = [];
  let word = "";
  let inWord = false;
  let open = "";
  for (const character of line) {
    if (open !== "") {
      if (character === open) open = "";
      else word += character;
    } else if (character === "'" || character === '"') {
      open = character;
      inWord = true;
    } else if (character !== " ") {
      word += character;
      inWord = true;
    } else if (inWord) {
      words.push(word);
      word = "";
      inWord = false;
    }
  }
  if (inWord) words.push(word);
  return { words, open, unfinished: inWord };
}

const OPTION_NAMES = (Object.keys(OPTIONS) as OptionName[]).filter((name) => !OPTIONS[name].shellOnly);
const FIRST_WORDS: readonly string[] = [...Object.keys(COMMANDS), HELP];

/** What the end of a line is about. */
interface Place {
  /** What the word there can be; empty when it is a value, or nothing is known. */
  readonly choices: readonly string[];
  /** The word so far. */
  readonly begun: string;
  /** The option whose value stands there. */
  readonly option: OptionName | undefined;
}

function optionOf(word: string | undefined): OptionName | undefined {
  return OPTION_NAMES.find((name) => word === `--${name}`);
}

function placeAt(line: string): Place {
  const { words, open, unfinished } = wordsOf(line);
  const begun = unfinished ? (words.at(-1) as string) : "";
  const before = unfinished ? words.slice(0, -1) : words;
  const option = optionOf(before.at(-1));
  if (option !== undefined && OPTIONS[option].takes !== "") return { choices: [], begun, option: option };
  if (open !== "") return { choices: [], begun, option: undefined };
  if (before.length === 0) return { choices: FIRST_WORDS, begun, option: undefined };
  if (before[0] === HELP) return { choices: before.length === 1 ? Object.keys(COMMANDS) : [], begun, option: undefined };
  if (before.length === 1 && isOrder(before[0] as string)) return { choices: OBJECTS, begun, option: undefined };
  const choices = OPTION_NAMES.map((name) => `--${name}`).filter((spelling) => !before.includes(spelling));
  return { choices: Object.hasOwn(COMMANDS, before[0] as string) ? choices : [], begun, option: undefined };
}

export interface Completion {
  /** What to put in at the cursor. */
  readonly insert: string;
  /** What it could be, when that is not decided. */
  readonly candidates: readonly string[];
}

/** Completes the last word of the line up to the cursor. */
export function complete(line: string): Completion {
  const { choices, begun } = placeAt(line);
  return completionOf(choices, begun);
}

/** Completes a word that has begun, as far as the choices agree. */
export function completionOf(choices: readonly string[], begun: string): Completion {
  const candidates = choices.filter((choice) => choice.startsWith(begun));
  const [first] = candidates;
  if (first === undefined) return { insert: "", candidates: [] };
  if (candidates.length === 1) return { insert: `${first.slice(begun.length)} `, candidates: [] };
  let common = first.length;
  for (const candidate of candidates) while (!candidate.startsWith(first.slice(0, common))) common--;
  const insert = first.slice(begun.length, common);
  return { insert, candidates: insert === "" ? candidates : [] };
}

/** True when a ? at the end of the line is a character of a value, and no question. */
export function isQuoted(line: string): boolean {
  return wordsOf(line).open !== "";
}

function ownLines(): string[] {
  return Object.entries(OWN).map(([name, shows]) => `  ${name.padEnd(NAME_COLUMNS)}${shows}`);
}

/** Help for the place at the end of the line. */
export function helpAt(line: string): readonly string[] {
  const { choices, begun, option } = placeAt(line);
  if (option !== undefined) return [`  ${spelled(option)}: ${OPTIONS[option].help}`];
  if (choices === OBJECTS) return OBJECTS.filter((word) => word.startsWith(begun)).map((word) => `  ${word}`);
  const starts = (described: string): boolean => described.trimStart().startsWith(begun);
  const lines =
    choices === FIRST_WORDS ? [...commandLines(), ...ownLines()] : choices.some((choice) => choice.startsWith("--")) ? optionLines(true) : commandLines();
  const fitting = choices.length === 0 ? [] : lines.filter(starts);
  return fitting.length === 0 ? ["  Nothing more is known to come here."] : fitting;
}

/** What `help` and `help COMMAND` show. Throws UsageError. */
export function helpLines(words: readonly string[]): readonly string[] {
  const [about] = words;
  if (about === undefined) return ["Commands:", ...commandLines(), ...ownLines(), "", "Options:", ...optionLines(true), "", ...KEYS];
  if (!Object.hasOwn(COMMANDS, about))
    throw new UsageError("unknown-command", `There is no command "${about}". Commands: ${Object.keys(COMMANDS).join(", ")}.`);
  return [`  ${about}: ${COMMANDS[about as CommandName]}`, "", "Options:", ...optionLines(true)];
}

const KEYS = [
  "Keys: Tab completes, ? helps, Up and Down recall lines, Ctrl-C stops a command or drops the line, Ctrl-U clears to the left,",
  "Ctrl-W a word, Ctrl-L the screen, Ctrl-D on an empty line greets anew. Values with spaces stand in '...' or \"...\".",
];
