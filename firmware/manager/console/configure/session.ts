// One person's configuration mode: lines in, lines out. It holds the candidate; the desk (revisions/desk.ts), in this process or behind a
// socket, holds everything else. Whoever shows it (terminal.ts, shell.ts) knows no configuration.

import { Candidate } from "../../config/candidate.ts";
import { merge } from "../../config/difference.ts";
import { EditError, type Json } from "../../config/document.ts";
import { locate } from "../../config/load.ts";
import { ConfigurationError, formatProblem, type Problem } from "../../config/problems.ts";
import type { CommitAnswer, Seat, Situation } from "../../revisions/desk.ts";
import type { Completion } from "../completion.ts";
import { duration } from "../words.ts";
import { commitLines, historyLines, situationLines } from "./sentences.ts";
import { CONFIGURE_COMMANDS, type ConfigureName, completeConfigure, helpConfigure, helpConfigureAt } from "./words.ts";

/** Files that a person names, where the person is. */
export interface Files {
  read(file: string): string;
  write(file: string, text: string): void;
}

/** What a line came to. */
export interface Outcome {
  readonly lines: readonly string[];
  /** It was refused; the lines say why. */
  readonly isWrong: boolean;
}

const AUDIT_LINES_SHOWN = 20;
const MINUTES_MOST = 10_080;

/** A refusal with a code in front. */
class Refused extends Error {}

export class ConfigureSession {
  /** The person has left. */
  isOver = false;
  private readonly seat: Seat;
  private readonly files: Files;
  private readonly unit: string;
  private candidate: Candidate;
  /** Of the revision that `resolve` settles with; empty: none. */
  private settles = "";
  private mayLose = false;

  private constructor(unit: string, seat: Seat, files: Files, situation: Situation) {
    this.unit = unit;
    this.seat = seat;
    this.files = files;
    this.candidate = new Candidate(originOf(situation));
  }

  /** Sits down at the desk. Returns the session, and what has to be said first. */
  static async begin(unit: string, seat: Seat, files: Files): Promise<{ readonly session: ConfigureSession; readonly lines: readonly string[] }> {
    const situation = await seat.situation();
    return { session: new ConfigureSession(unit, seat, files, situation), lines: situationLines(situation) };
  }

  /** Something was edited, and not committed. */
  get hasEdits(): boolean {
    return this.candidate.isChanged;
  }

  get prompt(): string {
    const level = this.candidate.level.length === 0 ? "" : `[${this.candidate.level.join(" ")}]`;
    return `${this.unit}${level}${this.candidate.isChanged ? "*" : ""}# `;
  }

  complete(line: string): Completion {
    return completeConfigure(line, this.candidate);
  }

  helpAt(line: string): readonly string[] {
    return helpConfigureAt(line, this.candidate);
  }

  /** Does what a line says. Never rejects for what a person can mend. */
  async execute(words: readonly string[]): Promise<Outcome> {
    const [command = "", ...rest] = words;
    const mayLose = this.mayLose;
    this.mayLose = false;
    try {
      if (command === "help") return { lines: helpConfigure(rest[0]) ?? refuseCommand(rest[0] as string), isWrong: false };
      if (!Object.hasOwn(CONFIGURE_COMMANDS, command)) refuseCommand(command);
      return { lines: await this.obey(command as ConfigureName, rest, mayLose), isWrong: false };
    } catch (error) {
      if (error instanceof EditError) return { lines: [`${error.code}: ${error.path}: ${error.message}`, `  ${error.remedy}`], isWrong: true };
      if (error instanceof Refused || error instanceof ConfigurationError) return { lines: error.message.split("\n"), isWrong: true };
      throw error;
    }
  }

  /** Gets up; what was not committed is gone. */
  leave(): void {
    this.isOver = true;
    this.seat.leave();
  }

  private async obey(command: ConfigureName, rest: readonly string[], mayLose: boolean): Promise<readonly string[]> {
    const { candidate } = this;
    switch (command) {
      case "set":
      case "delete":
      case "rename":
      case "copy":
      case "move":
      case "edit":
        candidate[command](rest);
        return [];
      case "up":
      case "top":
      case "discard":
        candidate[command]();
        if (command === "discard") this.settles = "";
        return [];
      case "show":
        return candidate.show(rest);
      case "compare":
        return this.compare(rest[0]);
      case "check":
        return this.check();
      case "exit":
        return this.exit(mayLose);
      case "load":
      case "save":
        return this.useFile(command, rest);
      default:
        return this.atDesk(command, rest);
    }
  }

  private async atDesk(command: ConfigureName, rest: readonly string[]): Promise<readonly string[]> {
    switch (command) {
      case "commit":
        return this.commit(0, rest.join(" "));
      case "commit-confirm":
        return this.commit(minutesOf(rest[0]), rest.slice(1).join(" "));
      case "confirm":
        return this.confirm();
      case "update":
        return this.update();
      case "resolve":
        return this.resolve(rest[0]);
      case "abandon":
        if (await this.seat.abandon()) return ["It is given up. If it was put in force elsewhere, that will show as a conflict."];
        throw new Refused("nothing-promised: this unit waits for no commit.");
      case "rollback":
        this.candidate.load((await this.revision(rest[0])).document as Json);
        return [`The document of revision ${rest[0]} is in the candidate; compare shows what that changes, commit puts it in force.`];
      case "history":
        return rest[0] === undefined ? historyLines(await this.seat.history()) : this.changesOf(rest[0]);
      case "audit":
        return (await this.seat.audit(Number(rest[0] ?? AUDIT_LINES_SHOWN) || AUDIT_LINES_SHOWN)).map(
          ({ atMillis, unit, who, origin, what }) => `${new Date(atMillis).toISOString()} ${unit} ${who} (${origin}): ${what}`,
        );
      default:
        return refuseCommand(command);
    }
  }

  private async compare(which: string | undefined): Promise<readonly string[]> {
    const lines = which === undefined ? this.candidate.compare() : this.candidate.compare((await this.revision(which)).document);
    return lines.length === 0 ? ["Nothing differs."] : lines;
  }

  private check(): readonly string[] {
    const { problems, warnings } = this.candidate.judge();
    if (problems.length > 0) throw new ConfigurationError(problems);
    return [...warningLines(warnings), "It can be committed, if it fits every unit."];
  }

  private exit(mayLose: boolean): readonly string[] {
    if (this.candidate.isChanged && !mayLose) {
      this.mayLose = true;
      throw new Refused("not-committed: there are edits that were not committed. commit, or save them; exit again forgets them.");
    }
    this.leave();
    return [];
  }

  private useFile(command: "load" | "save", [file]: readonly string[]): readonly string[] {
    if (file === undefined) throw new Refused(`missing-value: ${command} takes a file's name.`);
    try {
      if (command === "save") this.files.write(file, `${JSON.stringify(this.candidate.document, null, 2)}\n`);
      else {
        const { value } = locate(this.files.read(file), file);
        if (typeof value !== "object" || value === null || Array.isArray(value))
          throw new Refused(`wrong-value: ${file} holds no configuration: it is no JSON object.`);
        this.candidate.load(value as Json);
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof Refused || error instanceof ConfigurationError || code === undefined) throw error;
      throw new Refused(`file: ${file} cannot be ${command === "save" ? "written" : "read"}: ${code}. Name another.`);
    }
    return [];
  }

  private async commit(confirmMinutes: number, comment: string): Promise<readonly string[]> {
    const { candidate } = this;
    const { problems, warnings } = candidate.judge();
    if (problems.length > 0) throw new ConfigurationError(problems);
    if (!candidate.isChanged && this.settles === "") throw new Refused("nothing-changed: there is nothing to commit. After commit-confirm, say confirm.");
    const { document, origin } = candidate;
    const answer = await this.seat.commit({ document, base: origin.hash, comment, confirmMinutes, settles: this.settles, changes: candidate.compare() });
    if (answer.code === "stale")
      throw new Refused([...(await this.stale()), "stale-candidate: update brings your edits onto it; compare, then commit."].join("\n"));
    const lines = [...warningLines(warnings), ...commitLines(answer, confirmMinutes)];
    if (!answer.isCommitted) throw new Refused(lines.join("\n"));
    await this.startOver();
    return lines;
  }

  /** The revision in force, and what both it and this candidate changed. */
  private async stale(): Promise<readonly string[]> {
    const { head } = await this.seat.situation();
    const theirs = new Candidate({ ...originOf({ head }), document: this.candidate.origin.document });
    theirs.load(head.document as Json);
    const { clashes } = merge(this.candidate.origin.document, this.candidate.document, head.document as Json);
    return [
      `Revision ${head.number} of ${head.who} (${head.origin}) came into force since you began from ${this.candidate.origin.number}.`,
      "It changed:",
      ...theirs.compare().map((line) => `  ${line}`),
      "You changed:",
      ...this.candidate.compare().map((line) => `  ${line}`),
      ...(clashes.length === 0 ? ["Nothing was changed by both."] : ["Changed by both:", ...clashes.map(clashLine)]),
    ];
  }

  private async confirm(): Promise<readonly string[]> {
    if ((await this.seat.situation()).leftMillis === undefined) throw new Refused("nothing-to-confirm: what is in force stays.");
    const answer: CommitAnswer = await this.seat.confirm();
    const lines = commitLines(answer, 0);
    if (!answer.isCommitted) throw new Refused(lines.join("\n"));
    if (!this.candidate.isChanged) await this.startOver();
    return lines;
  }

  private async update(): Promise<readonly string[]> {
    const situation = await this.seat.situation();
    const { head } = situation;
    if (head.hash === this.candidate.origin.hash) return [`Revision ${head.number} is the one that it began from.`];
    const clashes = this.candidate.update(originOf(situation));
    const lines = [`Your edits are on revision ${head.number} now.`];
    return clashes.length === 0 ? lines : [...lines, "Changed by both; yours is kept:", ...clashes.map(clashLine)];
  }

  private async resolve(how: string | undefined): Promise<readonly string[]> {
    const situation = await this.seat.situation();
    const { head, conflict } = situation;
    if (conflict === undefined) throw new Refused("no-conflict: there is nothing to settle.");
    if (how !== "ours" && how !== "theirs" && how !== "both") throw new Refused("missing-value: resolve ours, theirs or both.");
    const [ours, theirs] = [head.document as Json, conflict.theirs.document as Json];
    const { document, clashes } = how === "both" ? merge(conflict.base ?? {}, ours, theirs) : { document: how === "ours" ? ours : theirs, clashes: [] };
    this.candidate = new Candidate(originOf(situation));
    this.candidate.load(document);
    this.settles = conflict.theirs.hash;
    const lines = [`It settles revision ${head.number} here with revision ${conflict.theirs.number} there: compare, change what is wrong, commit.`];
    return clashes.length === 0 ? lines : [...lines, "Changed by both; ours is kept:", ...clashes.map(clashLine)];
  }

  private async revision(which: string | undefined) {
    if (which === undefined) throw new Refused("missing-value: say which revision; history lists them.");
    const revision = await this.seat.revision(which);
    if (revision?.document === undefined)
      throw new Refused(`unknown-revision: there is no revision ${which}, or there are two: say the beginning of its hash. history lists them.`);
    return revision;
  }

  private async changesOf(which: string): Promise<readonly string[]> {
    const revision = await this.revision(which);
    const parent = revision.parent === "" ? undefined : await this.seat.revision(revision.parent);
    const candidate = new Candidate({ number: revision.number, hash: revision.hash, document: revision.document as Json });
    return candidate.compare(parent?.document ?? {});
  }

  private async startOver(): Promise<void> {
    const { level } = this.candidate;
    this.candidate = new Candidate(originOf(await this.seat.situation()));
    this.settles = "";
    this.candidate.level = level;
  }
}

function originOf({ head }: Pick<Situation, "head">): Candidate["origin"] {
  return { number: head.number, hash: head.hash, document: head.document as Json };
}

function refuseCommand(command: string): never {
  throw new Refused(`unknown-command: there is no command "${command}" here; help shows all. exit leaves the configuration mode.`);
}

function minutesOf(text: string | undefined): number {
  const minutes = /^\d+$/.test(text ?? "") ? Number(text) : 0;
  if (minutes < 1 || minutes > MINUTES_MOST)
    throw new Refused(`wrong-value: commit-confirm takes minutes, 1 to ${MINUTES_MOST} (${duration(MINUTES_MOST * 60_000)}).`);
  return minutes;
}

function warningLines(warnings: readonly Problem[]): readonly string[] {
  return warnings.flatMap((warning) => `warning: ${formatProblem(warning)}`.split("\n"));
}

function clashLine({ path, base, ours, theirs }: { readonly path: string; readonly base: string; readonly ours: string; readonly theirs: string }): string {
  const or = (text: string): string => (text === "" ? "nothing" : text);
  return `  ${path}: was ${or(base)}; ours ${or(ours)}; theirs ${or(theirs)}`;
}
