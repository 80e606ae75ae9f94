// The line that is being typed: text, cursor, history. No drawing (drawing.ts), no meaning (completion.ts, terminal.ts).

import { CONSOLE_HISTORY, CONSOLE_LINE_MOST } from "../../limits.ts";
import {
  KEY_BACKSPACE,
  KEY_DELETE,
  KEY_END,
  KEY_ERASE_LEFT,
  KEY_ERASE_RIGHT,
  KEY_ERASE_WORD,
  KEY_HOME,
  KEY_LEFT,
  KEY_NEXT,
  KEY_PREVIOUS,
  KEY_RIGHT,
} from "./keys.ts";

/** Lines that were entered, oldest first. It outlives a pulled cable. */
export class History {
  private readonly lines: string[] = [];

  /** Keeps a line, unless it is empty or the last one again. */
  keep(line: string): void {
    if (line === "" || line === this.lines.at(-1)) return;
    this.lines.push(line);
    if (this.lines.length > CONSOLE_HISTORY) this.lines.shift();
  }

  get length(): number {
    return this.lines.length;
  }

  /** `back` 1 is the newest. */
  at(back: number): string {
    return this.lines.at(-back) ?? "";
  }
}

export class Line {
  text = "";
  /** 0..text.length. */
  cursor = 0;
  private readonly history: History;
  /** 0: the line itself; n: the n-th newest of the history is shown. */
  private back = 0;
  private draft = "";

  constructor(history: History) {
    this.history = history;
  }

  /** Puts text in at the cursor; false, and nothing put in, when the line would become too long. */
  insert(text: string): boolean {
    if (this.text.length + text.length > CONSOLE_LINE_MOST) return false;
    this.text = this.text.slice(0, this.cursor) + text + this.text.slice(this.cursor);
    this.cursor += text.length;
    return true;
  }

  clear(): void {
    this.text = "";
    this.cursor = 0;
    this.back = 0;
  }

  /** Does what a key of keys.ts says to the line; false when there was nothing to do. */
  edit(key: number): boolean {
    switch (key) {
      case KEY_LEFT:
        return this.move(this.cursor - 1);
      case KEY_RIGHT:
        return this.move(this.cursor + 1);
      case KEY_HOME:
        return this.move(0);
      case KEY_END:
        return this.move(this.text.length);
      case KEY_BACKSPACE:
        return this.erase(this.cursor - 1, this.cursor);
      case KEY_DELETE:
        return this.erase(this.cursor, this.cursor + 1);
      case KEY_ERASE_LEFT:
        return this.erase(0, this.cursor);
      case KEY_ERASE_RIGHT:
        return this.erase(this.cursor, this.text.length);
      case KEY_ERASE_WORD:
        return this.erase(this.text.slice(0, this.cursor).replace(/[^ ]+ *$|^ +$/, "").length, this.cursor);
      case KEY_PREVIOUS:
        return this.recall(this.back + 1);
      case KEY_NEXT:
        return this.recall(this.back - 1);
      default:
        return false;
    }
  }

  private move(to: number): boolean {
    if (to < 0 || to > this.text.length) return false;
    this.cursor = to;
    return true;
  }

  private erase(from: number, to: number): boolean {
    if (from < 0 || to > this.text.length || from === to) return false;
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.cursor = from;
    return true;
  }

  private recall(back: number): boolean {
    if (back < 0 || back > this.history.length) return false;
    if (this.back === 0) this.draft = this.text;
    this.back = back;
    this.text = back === 0 ? this.draft : this.history.at(back);
    this.cursor = this.text.length;
    return true;
  }
}
