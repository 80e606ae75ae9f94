// Bytes of a terminal → keys. One byte at a time, so that it does not matter how the line cuts them; of an escape sequence at
// most 32 bytes are kept. Whatever comes, a Return or Ctrl-C in it is heard: a control character ends every sequence.
//
//   text ──ESC──► escape ──[──► sequence ──letter or ~──► key
//                    └───O──► function ──letter──► key

import { CONSOLE_ESCAPE_MOST } from "../../limits.ts";

/** Nothing to do yet, or a key without meaning here. */
export const KEY_NONE = -1;
/** A byte that no keyboard sends: noise, or a wrong baud rate. */
export const KEY_NOISE = -2;
/** The terminal told its size; see `rows` and `columns`. */
export const KEY_SIZE = -3;
/** A printable character is its own code, 32 to 126. Control keys are their byte; the others follow. */
export const KEY_HOME = 1;
export const KEY_LEFT = 2;
export const KEY_INTERRUPT = 3;
export const KEY_END_OF_INPUT = 4;
export const KEY_END = 5;
export const KEY_RIGHT = 6;
export const KEY_BACKSPACE = 8;
export const KEY_TAB = 9;
export const KEY_ERASE_RIGHT = 11;
export const KEY_CLEAR = 12;
export const KEY_ENTER = 13;
export const KEY_NEXT = 14;
export const KEY_PREVIOUS = 16;
export const KEY_ERASE_LEFT = 21;
export const KEY_ERASE_WORD = 23;
export const KEY_DELETE = 127;

const ESCAPE = 0x1b;
const LINE_FEED = 10;
const DELETE_BYTE = 127;
const LETTERS: Readonly<Record<string, number>> = { A: KEY_PREVIOUS, B: KEY_NEXT, C: KEY_RIGHT, D: KEY_LEFT, H: KEY_HOME, F: KEY_END };
const TILDES: Readonly<Record<string, number>> = { 1: KEY_HOME, 3: KEY_DELETE, 4: KEY_END, 7: KEY_HOME, 8: KEY_END };
/** Control bytes with a meaning. XON and XOFF have one too, but not here. */
const CONTROLS: ReadonlySet<number> = new Set([
  KEY_HOME,
  KEY_LEFT,
  KEY_INTERRUPT,
  KEY_END_OF_INPUT,
  KEY_END,
  KEY_RIGHT,
  KEY_BACKSPACE,
  KEY_TAB,
  KEY_ERASE_RIGHT,
  KEY_CLEAR,
  KEY_ENTER,
  KEY_NEXT,
  KEY_PREVIOUS,
  KEY_ERASE_LEFT,
  KEY_ERASE_WORD,
]);
const FLOW_CONTROL: ReadonlySet<number> = new Set([17, 19]);
const SIZE_MOST = 1_000;

type State = "text" | "escape" | "sequence" | "function";

export class KeyDecoder {
  /** What the terminal told with the last KEY_SIZE: 1 to 1,000. */
  rows = 0;
  columns = 0;
  private state: State = "text";
  private sequence = "";
  private afterReturn = false;

  /** Forgets a sequence that was begun. */
  reset(): void {
    this.state = "text";
    this.sequence = "";
    this.afterReturn = false;
  }

  /** The key that this byte (0..255) completes, or one of KEY_NONE, KEY_NOISE, KEY_SIZE. */
  next(byte: number): number {
    const followsReturn = this.afterReturn;
    this.afterReturn = false;
    if (byte < 32) return this.control(byte, followsReturn);
    if (byte > DELETE_BYTE) {
      this.state = "text";
      return KEY_NOISE;
    }
    if (this.state === "escape") return this.afterEscape(byte);
    if (this.state === "sequence") return this.inSequence(byte);
    if (this.state === "function") {
      this.state = "text";
      return LETTERS[String.fromCharCode(byte)] ?? KEY_NONE;
    }
    return byte === DELETE_BYTE ? KEY_BACKSPACE : byte;
  }

  private control(byte: number, followsReturn: boolean): number {
    this.state = byte === ESCAPE ? "escape" : "text";
    if (byte === ESCAPE || FLOW_CONTROL.has(byte)) return KEY_NONE;
    // A Return comes as CR, LF, CR LF or CR NUL.
    if (followsReturn && (byte === LINE_FEED || byte === 0)) return KEY_NONE;
    if (byte === LINE_FEED) return KEY_ENTER;
    this.afterReturn = byte === KEY_ENTER;
    return CONTROLS.has(byte) ? byte : KEY_NOISE;
  }

  private afterEscape(byte: number): number {
    this.state = byte === 0x5b ? "sequence" : byte === 0x4f ? "function" : "text";
    this.sequence = "";
    return KEY_NONE;
  }

  private inSequence(byte: number): number {
    if (byte < 0x40) {
      if (this.sequence.length < CONSOLE_ESCAPE_MOST) this.sequence += String.fromCharCode(byte);
      return KEY_NONE;
    }
    this.state = "text";
    if (byte === DELETE_BYTE) return KEY_NOISE;
    const letter = String.fromCharCode(byte);
    if (letter === "~") return TILDES[this.sequence] ?? KEY_NONE;
    if (letter === "R") return this.size();
    return this.sequence === "" || this.sequence.startsWith("1;") ? (LETTERS[letter] ?? KEY_NONE) : KEY_NONE;
  }

  /** `ESC [ rows ; columns R`: where the cursor is, which we had sent to the far corner. */
  private size(): number {
    const match = /^(\d{1,4});(\d{1,4})$/.exec(this.sequence);
    const rows = Number(match?.[1] ?? 0);
    const columns = Number(match?.[2] ?? 0);
    if (rows < 1 || columns < 1 || rows > SIZE_MOST || columns > SIZE_MOST) return KEY_NONE;
    this.rows = rows;
    this.columns = columns;
    return KEY_SIZE;
  }
}
