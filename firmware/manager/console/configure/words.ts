// What can be typed while a configuration is edited: the commands, declared once, and what may come next at any place, which the
// configuration's schema says. Help and completion read both.

import type { Candidate } from "../../config/candidate.ts";
import { EditError, locate, namesIn, placeUnder, valueAt } from "../../config/document.ts";
import { CONFIGURATION, formOf, type Place } from "../../config/grammar.ts";
import type { NamePlace } from "../../config/schema.ts";
import { type Completion, completionOf, wordsOf } from "../completion.ts";

export interface ConfigureCommand {
  readonly takes: string;
  readonly help: string;
  /** Its words are a path in the configuration. */
  readonly isPath?: true;
}

/** Commands of the configuration mode. */
export const CONFIGURE_COMMANDS = {
  set: { takes: "PATH VALUE…", help: "sets a value, adds values to several, or makes an entry", isPath: true },
  delete: { takes: "PATH [VALUE…]", help: "removes what is there, or some of several values", isPath: true },
  rename: { takes: "PATH NAME", help: "gives an entry another name, here and wherever it is named", isPath: true },
  copy: { takes: "PATH NAME", help: "makes an entry of another name that is otherwise the same", isPath: true },
  move: { takes: "PATH first|last|before NAME|after NAME", help: "gives an entry another place: the first rule that matches decides", isPath: true },
  edit: { takes: "PATH", help: "goes to a place, so that paths begin there", isPath: true },
  up: { takes: "", help: "goes one level up" },
  top: { takes: "", help: "goes to the top" },
  show: { takes: "[PATH]", help: "what is there, without defaults", isPath: true },
  compare: { takes: "[N]", help: "what differs from the revision that it began from, or from revision N, as lines that could be typed" },
  check: { takes: "", help: "says what is wrong with it, and warns of rules that never decide" },
  commit: { takes: "[COMMENT]", help: "puts it in force on all units, or on none" },
  "commit-confirm": { takes: "MINUTES [COMMENT]", help: "the same, but every unit goes back unless confirm comes in time" },
  confirm: { takes: "", help: "keeps what commit-confirm put in force" },
  discard: { takes: "", help: "forgets every edit" },
  update: { takes: "", help: "brings the edits onto the revision that is in force now" },
  resolve: { takes: "ours|theirs|both", help: "settles what both sites committed while apart: takes one, or puts both together; then commit" },
  abandon: { takes: "", help: "gives up a commit of which nobody tells what became of it" },
  rollback: { takes: "N", help: "takes the document of revision N; then commit" },
  load: { takes: "FILE", help: "takes a whole configuration from a JSON file" },
  save: { takes: "FILE", help: "writes it to a JSON file" },
  history: { takes: "[N]", help: "revisions, or what revision N changed" },
  audit: { takes: "[N]", help: "who did what from where, the last N lines" },
  exit: { takes: "", help: "leaves; a second time if there are edits that were not committed" },
} as const satisfies Readonly<Record<string, ConfigureCommand>>;
export type ConfigureName = keyof typeof CONFIGURE_COMMANDS;

export const CONFIGURE_NAMES = Object.keys(CONFIGURE_COMMANDS) as ConfigureName[];
const HELP = "help";
const COLUMNS = 34;
const SAYS_ENTRY: readonly string[] = ["set", "edit", "copy", "rename"];

function commandOf(word: string | undefined): ConfigureCommand | undefined {
  return word !== undefined && Object.hasOwn(CONFIGURE_COMMANDS, word) ? CONFIGURE_COMMANDS[word as ConfigureName] : undefined;
}

/** What a place of a line can be. */
interface Next {
  readonly choices: readonly string[];
  /** The word so far. */
  readonly begun: string;
  /** The place in the configuration that a value, a key or an entry's name is missing of. */
  readonly place: Place | undefined;
  readonly command: string;
}

function nextAt(line: string, candidate: Candidate): Next {
  const { words, unfinished } = wordsOf(line);
  const begun = unfinished ? (words.at(-1) as string) : "";
  const [command = "", ...path] = unfinished ? words.slice(0, -1) : words;
  const none: Next = { choices: [], begun, place: undefined, command };
  if (command === "") return { ...none, choices: [...CONFIGURE_NAMES, HELP] };
  if (command === HELP) return { ...none, choices: path.length === 0 ? CONFIGURE_NAMES : [] };
  if (command === "resolve") return { ...none, choices: path.length === 0 ? ["ours", "theirs", "both"] : [] };
  if (commandOf(command)?.isPath !== true) return none;
  try {
    const { place, names, rest, isEntry } = locate([...candidate.level, ...path]);
    const choices = choicesAt(command, place, names, rest, candidate);
    const isMoved = command === "move" && isEntry && path.length > 0;
    return { choices: isMoved ? ["first", "last", "before", "after", ...choices] : choices, begun, place, command };
  } catch (error) {
    if (error instanceof EditError) return none;
    throw error;
  }
}

function choicesAt(command: string, place: Place, names: readonly string[], rest: readonly string[], candidate: Candidate): readonly string[] {
  const node = valueAt(candidate.document, names);
  if (place.kind === "object") return [...place.keys].filter(([, key]) => !key.isAssigned).map(([key]) => key);
  if (place.kind === "list") return namesIn(place, node);
  if (place.kind === "record") return [...new Set([...namesIn(place, node), ...(SAYS_ENTRY.includes(command) ? declared(place.namesReferTo, candidate) : [])])];
  if (command === "delete") return place.kind === "values" ? namesIn(place, node).filter((name) => !rest.includes(name)) : [];
  if (command !== "set" || (place.kind === "value" && rest.length > 0)) return [];
  return [...place.choices, ...declared(place.refersTo, candidate)].filter((choice) => !rest.includes(choice));
}

/** Names that are declared at these places. */
function declared(places: readonly NamePlace[], candidate: Candidate): readonly string[] {
  return places.flatMap((at) => {
    const names = at.split(".");
    const place = names.reduce<Place | undefined>((under, name) => (under === undefined ? undefined : placeUnder(under, name)), CONFIGURATION);
    return place === undefined ? [] : namesIn(place, valueAt(candidate.document, names));
  });
}

/** Completes the last word of a line. */
export function completeConfigure(line: string, candidate: Candidate): Completion {
  const { choices, begun } = nextAt(line, candidate);
  return completionOf(choices, begun);
}

/** Help for the place at the end of a line. */
export function helpConfigureAt(line: string, candidate: Candidate): readonly string[] {
  const { choices, begun, place, command } = nextAt(line, candidate);
  if (command === "" || command === HELP) return CONFIGURE_NAMES.filter((name) => name.startsWith(begun)).map(commandLine);
  const taken = commandOf(command);
  if (taken === undefined) return ["  There is no such command; help shows all."];
  if (place === undefined) return [`  ${command} ${taken.takes}`.trimEnd(), `  ${taken.help}`];
  if (place.kind === "value" || place.kind === "values") {
    const standard = place.default === undefined ? "" : ` Default: ${JSON.stringify(place.default)}.`;
    const names = choices.length > 0 && place.choices.length === 0 ? [`  ${choices.join("  ")}`] : [];
    return [`  ${formOf(place)}: ${place.help}${standard}`, ...names];
  }
  const fitting = choices.filter((choice) => choice.startsWith(begun)).map((choice) => choiceLine(place, choice));
  return place.kind === "object" ? fitting : [`  NAME: ${place.help}`, ...fitting];
}

function choiceLine(place: Place, choice: string): string {
  const under = place.kind === "object" ? place.keys.get(choice) : undefined;
  if (under === undefined) return `  ${choice}`;
  const form = under.kind === "value" || under.kind === "values" ? `${formOf(under)}  ` : "";
  const part = under.part === "shared" ? "" : ` (by ${under.part})`;
  return `  ${choice.padEnd(NAME_COLUMNS)}${form}${under.help}${part}`;
}

const NAME_COLUMNS = 18;

function commandLine(name: ConfigureName): string {
  const { takes, help } = CONFIGURE_COMMANDS[name];
  return `  ${`${name} ${takes}`.trimEnd().padEnd(COLUMNS)}${help}`;
}

/** What `help` and `help COMMAND` show; undefined when there is no such command. */
export function helpConfigure(about: string | undefined): readonly string[] | undefined {
  if (about === undefined)
    return [...CONFIGURE_NAMES.map(commandLine), "", "Tab completes, ? helps at any place. Values with spaces stand in '...' or \"...\"."];
  return commandOf(about) === undefined ? undefined : [commandLine(about as ConfigureName)];
}
