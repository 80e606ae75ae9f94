// A command's answer on its way to the screen: cut into pieces that a slow line can take one by one, made fit for the terminal, and
// stopped at each screenful where there is somebody to go on. At most one piece of what the command said waits here; the command is held
// meanwhile.

import type { Outlet } from "./outlet.ts";

const PIECE = 512;
const MORE = "-- more: space, enter, q --";
const RETURN = "\r";
/** What a terminal without Unicode shows instead, one character for one, so that columns stay. */
const PLAIN = new Map([..."→>►>…~–-·.│|─-┌+┐+└+┘+●*◉@◐%○o◆#".matchAll(/(.)(.)/gu)].map((pair) => [pair[1] as string, pair[2] as string]));

/** A terminal as far as it is known. */
export interface TerminalScreen {
  readonly columns: number;
  /** 0: answers are not stopped at each screenful. */
  readonly rows: number;
  /** True when it has answered as a terminal with colours and Unicode does. */
  readonly answers: boolean;
}

/** A piece of a line without anything that could act on the terminal, colours apart. */
export function cleaned(text: string, answers: boolean): string {
  const safe = text.replace(/\u001b\[[0-9;]{0,8}m|[\u0000-\u001f\u007f-\u009f]/g, (found) => (found.length === 1 ? "?" : answers ? found : ""));
  return answers ? safe : safe.replace(/[^ -~]/gu, (character) => PLAIN.get(character) ?? "?");
}

export class Pager {
  private readonly outlet: Outlet;
  private screen: TerminalScreen = { columns: 80, rows: 0, answers: false };
  private rest = "";
  private rowsLeft = 0;
  private holds = false;

  constructor(outlet: Outlet) {
    this.outlet = outlet;
  }

  /** A new answer begins. */
  begin(screen: TerminalScreen): void {
    this.rest = "";
    this.holds = false;
    this.screen = screen;
    this.rowsLeft = screen.rows - 1;
  }

  get isEmpty(): boolean {
    return this.rest === "";
  }

  /** True while it waits for somebody to press a key. */
  get isHeld(): boolean {
    return this.holds;
  }

  add(text: string): void {
    this.rest += text;
  }

  /** Sends what there is room for. */
  pump(): void {
    while (this.rest !== "" && !this.holds && this.outlet.hasRoom) {
      const head = this.rest.slice(0, PIECE + 1);
      const end = head.indexOf("\n");
      const piece = end < 0 ? head.slice(0, PIECE) : head.slice(0, end);
      this.rest = this.rest.slice(end < 0 ? piece.length : end + 1);
      this.outlet.offer(cleaned(piece, this.screen.answers) + (end < 0 ? "" : "\r\n"));
      if (this.screen.rows > 0) this.countRows(piece, end >= 0);
    }
  }

  /** Goes on for `rows` lines, or a screenful when 0. */
  goOn(rows: number): void {
    this.wipe();
    this.rowsLeft = rows === 0 ? this.screen.rows - 1 : rows;
    this.pump();
  }

  /** Drops the rest. */
  end(): void {
    this.rest = "";
    if (this.holds) this.wipe();
  }

  private countRows(piece: string, isWhole: boolean): void {
    this.rowsLeft -= Math.floor(piece.length / this.screen.columns) + (isWhole ? 1 : 0);
    if (this.rowsLeft > 0 || this.rest === "") return;
    this.holds = true;
    this.outlet.offer(MORE);
  }

  private wipe(): void {
    this.holds = false;
    this.outlet.offer(RETURN + " ".repeat(MORE.length) + RETURN);
  }
}
