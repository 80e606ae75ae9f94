// Who sits at the serial line: bytes in, bytes out, and one command at a time between them. It knows no process and no device; the
// line (hal) and the commands (job.ts) are given to it.
//
// `configure` enters a mode of its own: from then on a line means what the mode says, until it is over.
//
//   bytes ─► keys ─► line ──Enter──► words ─► known and right? ─► job ─► pager ─► outlet ─► line
//              │       └─► drawing ─────────────────────────────────────────────────┘
//              └─ while a command runs: typed ahead (bounded), Ctrl-C stops it
//
// Noise: a line in which a byte came that no keyboard sends is not executed, whatever it says. After 20 wrong lines in a row (a wrong
// baud rate, or another machine's console that answers our answers) nothing is heard or said until the line was silent for a second.

import { CONSOLE_IDLE_MILLIS, CONSOLE_LINE_MOST, CONSOLE_NOISE_MILLIS, CONSOLE_TYPE_AHEAD, CONSOLE_WRONG_LINES } from "../../limits.ts";
import { parseRequest, UsageError } from "./arguments.ts";
import { type Completion, complete, HELP, helpAt, helpLines, isQuoted, wordsOf } from "./completion.ts";
import { Drawing } from "./drawing.ts";
import { KEY_CLEAR, KEY_END_OF_INPUT, KEY_ENTER, KEY_INTERRUPT, KEY_NOISE, KEY_NONE, KEY_SIZE, KEY_TAB, KeyDecoder } from "./keys.ts";
import { History, Line } from "./line.ts";
import { Outlet } from "./outlet.ts";
import { Pager, type TerminalScreen } from "./pager.ts";

/** A command that runs. */
export interface Job {
  /** Holds back what it says; resume lets it go on. */
  pause(): void;
  resume(): void;
  /** Ends it at once; its listener is not called any more. */
  stop(): void;
}

export interface JobListener {
  onText(text: string): void;
  /** `complaint`: lines with a code in front, empty when all went well. */
  onEnd(complaint: string): void;
}

/** Starts a command of arguments.ts; `words` as typed, checked, without the unit. */
export type RunJob = (words: readonly string[], screen: TerminalScreen, listener: JobListener) => Job;

/** What lines mean while something is edited. */
export interface Mode {
  readonly prompt: string;
  /** The person has left it. */
  readonly isOver: boolean;
  complete(line: string): Completion;
  helpAt(line: string): readonly string[];
  /** Does what a line says; also when it is no command of it. */
  run(words: readonly string[], listener: JobListener): Job;
  /** The person is gone, and did not say so. */
  leave(): void;
}

/** A mode that was entered, and what it says first. */
export interface Entered {
  readonly mode: Mode;
  readonly lines: readonly string[];
}

/** The word that enters the configuration mode. */
const CONFIGURE = "configure";

export interface TerminalCounts {
  /** Bytes that no keyboard sends, and all bytes while the line was taken for noise. */
  noiseBytes: number;
  wrongLines: number;
  /** Keys that found no room to wait for a command's end. */
  keysDropped: number;
  commands: number;
}

export interface TerminalOptions {
  readonly unit: string;
  /** As SerialLine.write. */
  readonly send: (bytes: Uint8Array) => Promise<boolean>;
  readonly run: RunJob;
  /** Enters the configuration mode; rejects with a sentence for people. Absent: this terminal has none. */
  readonly configure?: () => Promise<Entered>;
  /** This terminal has only this mode, and is done with when the mode is over. */
  readonly only?: Entered & { onOver(): void };
  readonly nowMillis: () => number;
  /** The line is taken for noise from now on. */
  readonly onNoise: () => void;
}

type State = "down" | "prompt" | "command" | "noise";

const NEW_LINE = "\r\n";
const RETURN = "\r";
const UNKNOWN_SCREEN: TerminalScreen = { columns: 80, rows: 0, answers: false };
const COLUMNS_MOST = 400;
const PROMPT_NAME_MOST = 16;
/** Save the cursor, send it to the far corner, ask where it is, restore it; and wipe what a terminal shows that understands none of it. */
const ASK_SIZE = `\u001b7\u001b[999;999H\u001b[6n\u001b8${RETURN}${" ".repeat(20)}${RETURN}`;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";
const COLOURS_OFF = "\u001b[0m";
const QUIT = "qQ";
const HINT = "Type help, or press ? at any place.\n";

export class Terminal {
  readonly counts: TerminalCounts = { noiseBytes: 0, wrongLines: 0, keysDropped: 0, commands: 0 };
  readonly history = new History();
  private readonly options: TerminalOptions;
  private readonly prompt: string;
  private mode: Mode | undefined;
  private readonly decoder = new KeyDecoder();
  private readonly drawing = new Drawing();
  private readonly outlet: Outlet;
  private readonly pager: Pager;
  private line = new Line(this.history);
  private state: State = "down";
  private screen = UNKNOWN_SCREEN;
  private job: Job | undefined;
  private jobEnded = false;
  private ahead: number[] = [];
  private hasNoise = false;
  private isTooLong = false;
  private wrongInRow = 0;
  private drawLater = false;
  private heardAt = 0;
  private touched = false;
  private greetsAgain = false;

  constructor(options: TerminalOptions) {
    this.options = options;
    this.prompt = `${options.unit.slice(0, PROMPT_NAME_MOST)}> `;
    this.outlet = new Outlet(options.send, () => this.goOn());
    this.pager = new Pager(this.outlet);
  }

  /** The line can be used, at first or again: whoever is there begins anew. */
  up(): void {
    this.down();
    this.decoder.reset();
    this.touched = false;
    this.greet();
  }

  /** The line is gone. */
  down(): void {
    this.leaveMode();
    this.job?.stop();
    this.job = undefined;
    this.outlet.clear();
    this.pager.end();
    this.ahead = [];
    this.state = "down";
  }

  /** Greets anew if nobody has touched a key since the greeting: there is something better to tell. */
  refresh(): void {
    if (this.touched || this.state === "down") return;
    if (this.state === "prompt") this.greet();
    else this.greetsAgain = true;
  }

  /** Takes what came over the line; the bytes are not kept. */
  receive(bytes: Uint8Array): void {
    if (this.state === "down") return;
    const now = this.options.nowMillis();
    const silentMillis = now - this.heardAt;
    this.heardAt = now;
    if (this.state === "noise") {
      if (silentMillis < CONSOLE_NOISE_MILLIS) {
        this.counts.noiseBytes += bytes.length;
        return;
      }
      this.outlet.offer(NEW_LINE);
      this.newPrompt();
    }
    if (this.state === "prompt" && this.touched && silentMillis > CONSOLE_IDLE_MILLIS) this.greet();
    for (const byte of bytes) this.take(this.decoder.next(byte));
    this.redraw();
  }

  /** What is being typed, for tests: text, cursor, and what keeps it from being executed. */
  get typed(): { readonly text: string; readonly cursor: number; readonly hasNoise: boolean; readonly state: State; readonly ahead: number } {
    return { text: this.line.text, cursor: this.line.cursor, hasNoise: this.hasNoise, state: this.state, ahead: this.ahead.length };
  }

  private take(key: number): void {
    if (key === KEY_NONE) return;
    if (key === KEY_SIZE) {
      this.screen = { columns: Math.min(this.decoder.columns, COLUMNS_MOST), rows: this.decoder.rows, answers: true };
      return;
    }
    if (key === KEY_NOISE) this.counts.noiseBytes++;
    else this.touched = true;
    if (this.state === "prompt") this.promptKey(key);
    else if (this.state === "command") this.commandKey(key);
    else this.counts.noiseBytes++;
  }

  private commandKey(key: number): void {
    if (key === KEY_INTERRUPT) this.interrupt();
    else if (this.pager.isHeld) this.moreKey(key);
    else if (this.ahead.length < CONSOLE_TYPE_AHEAD) this.ahead.push(key);
    else this.counts.keysDropped++;
  }

  private moreKey(key: number): void {
    if (key === 32) this.pager.goOn(0);
    else if (key === KEY_ENTER) this.pager.goOn(1);
    else if (key > 32 && QUIT.includes(String.fromCharCode(key))) this.interrupt();
    this.goOn();
  }

  /** Stops what runs, with all that it has said and that was typed ahead. */
  private interrupt(): void {
    this.job?.stop();
    this.job = undefined;
    this.outlet.clear();
    this.pager.end();
    this.ahead = [];
    this.greetsAgain = false;
    this.outlet.offer(`${this.screen.answers ? COLOURS_OFF : ""}^C${NEW_LINE}`);
    this.newPrompt();
  }

  private promptKey(key: number): void {
    if (key === KEY_NOISE) this.hasNoise = true;
    else if (key === KEY_ENTER) this.enter();
    else if (key === KEY_INTERRUPT) {
      this.redraw();
      this.outlet.offer(`^C${NEW_LINE}`);
      this.newPrompt();
    } else if (key === KEY_END_OF_INPUT) {
      if (this.line.text === "") this.endOfInput();
    } else if (key === KEY_TAB) this.completeLine();
    else if (key === KEY_CLEAR) {
      this.outlet.offer(this.screen.answers ? CLEAR_SCREEN : NEW_LINE);
      this.drawing.forget();
    } else if (key === 63 && !isQuoted(this.leftOfCursor()))
      this.below(this.mode === undefined ? helpAt(this.leftOfCursor()) : this.mode.helpAt(this.leftOfCursor()));
    else if (key >= 32 && key <= 126) {
      if (!this.line.insert(String.fromCharCode(key))) this.isTooLong = true;
    } else this.line.edit(key);
  }

  private leftOfCursor(): string {
    return this.line.text.slice(0, this.line.cursor);
  }

  private completeLine(): void {
    const left = this.leftOfCursor();
    const { insert, candidates } = this.mode === undefined ? complete(left) : this.mode.complete(left);
    if (insert !== "") this.line.insert(insert);
    else if (candidates.length > 0) this.below([`  ${candidates.join("  ")}`]);
  }

  /** Shows lines below the one that is being typed, which then appears again. */
  private below(lines: readonly string[]): void {
    this.redraw();
    this.outlet.offer(NEW_LINE + lines.map((line) => line + NEW_LINE).join(""));
    this.drawing.forget();
  }

  private enter(): void {
    this.redraw();
    this.outlet.offer(NEW_LINE);
    const { text } = this.line;
    const { hasNoise, isTooLong } = this;
    this.newPrompt();
    if (hasNoise) this.wrong("line-noise: there was a byte in the line that no keyboard sends, so it was not executed. Type it again.");
    else if (isTooLong) this.wrong(`line-too-long: a line has at most ${CONSOLE_LINE_MOST} characters, so it was not executed.`);
    else if (text.trim() !== "") this.execute(text);
  }

  private execute(text: string): void {
    const { words, open } = wordsOf(text);
    this.history.keep(text);
    if (open !== "") {
      this.wrong(`open-quote: a ${open} is not closed.`);
      return;
    }
    if (this.mode !== undefined) {
      this.runMode(this.mode, words);
      return;
    }
    try {
      if (words[0] === HELP) this.answer(helpLines(words.slice(1)));
      else this.start(words);
      this.wrongInRow = 0;
      this.counts.commands++;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.wrong(`${error.code}: ${error.message}`);
    }
  }

  /** Starts a command. Throws UsageError when it is not one, or asks for what this console does not give. */
  private start(words: readonly string[]): void {
    const request = parseRequest([...words, "--unit", this.options.unit]);
    if (request === undefined) this.answer(helpLines([]));
    else if (request.runDirectory !== undefined || words.some((word) => /^--unit(=|$)/.test(word)))
      throw new UsageError("wrong-option", `This is the console of ${this.options.unit}; it shows no other unit.`);
    else if (request.command === CONFIGURE && this.options.configure !== undefined) this.enterMode(this.options.configure);
    else this.run(words);
  }

  private endOfInput(): void {
    if (this.mode === undefined) this.greet();
    else this.runMode(this.mode, ["exit"]);
  }

  private runMode(mode: Mode, words: readonly string[]): void {
    this.wrongInRow = 0;
    this.counts.commands++;
    this.beginAnswer();
    this.job = mode.run(words, this.listener(""));
  }

  private enterMode(enter: () => Promise<Entered>): void {
    this.beginAnswer();
    const listener = this.listener("");
    let stopped = false;
    const stop = (): void => {
      stopped = true;
    };
    this.job = { pause: () => undefined, resume: () => undefined, stop };
    const entered = ({ mode, lines }: Entered): void => {
      if (stopped) {
        mode.leave();
        return;
      }
      this.mode = mode;
      listener.onEnd(textOf(lines));
    };
    enter().then(entered, (error: Error) => {
      if (!stopped) listener.onEnd(`${error.message}\n`);
    });
  }

  private leaveMode(): void {
    this.mode?.leave();
    this.mode = undefined;
  }

  /** `farewell`: a line after all that the command says. */
  private run(words: readonly string[], farewell = ""): void {
    this.beginAnswer();
    this.job = this.options.run(words, this.screen, this.listener(farewell));
  }

  /** A listener of a job that was stopped is not called any more, so that there is one speaker at a time. */
  private listener(farewell: string): JobListener {
    return {
      onText: (text) => {
        this.pager.add(text);
        this.goOn();
      },
      onEnd: (complaint) => {
        this.job = undefined;
        this.jobEnded = true;
        this.pager.add(complaint + farewell);
        this.goOn();
      },
    };
  }

  /** An answer of the console itself. */
  private answer(lines: readonly string[]): void {
    this.beginAnswer();
    this.pager.add(textOf(lines));
    this.jobEnded = true;
    this.goOn();
  }

  private beginAnswer(): void {
    this.state = "command";
    this.jobEnded = false;
    this.pager.begin(this.screen);
  }

  /** Something changed: there is room again, the command said something or has ended, a key was pressed. */
  private goOn(): void {
    if (this.state === "prompt" && this.drawLater) this.redraw();
    if (this.state !== "command") return;
    this.pager.pump();
    if (!this.pager.isEmpty) this.job?.pause();
    else if (!this.jobEnded) this.job?.resume();
    else this.finish();
  }

  private finish(): void {
    if (this.mode?.isOver) {
      this.mode = undefined;
      this.options.only?.onOver();
    }
    if (this.greetsAgain && !this.touched) {
      this.greet();
      return;
    }
    this.newPrompt();
    while (this.state === "prompt" && this.ahead.length > 0) this.promptKey(this.ahead.shift() as number);
    this.redraw();
  }

  private greet(): void {
    this.greetsAgain = false;
    this.wrongInRow = 0;
    this.screen = UNKNOWN_SCREEN;
    this.newPrompt();
    const { only } = this.options;
    if (only === undefined) {
      this.outlet.offer(NEW_LINE + ASK_SIZE);
      this.run(["banner"], HINT);
      return;
    }
    this.outlet.offer(ASK_SIZE);
    this.mode = only.mode;
    this.answer(only.lines);
  }

  private newPrompt(): void {
    this.state = "prompt";
    this.line.clear();
    this.hasNoise = false;
    this.isTooLong = false;
    this.drawing.forget();
  }

  private wrong(message: string): void {
    this.counts.wrongLines++;
    this.wrongInRow++;
    this.outlet.offer(message + NEW_LINE);
    if (this.wrongInRow < CONSOLE_WRONG_LINES) return;
    this.wrongInRow = 0;
    this.state = "noise";
    this.outlet.offer(
      `noise: ${CONSOLE_WRONG_LINES} wrong lines in a row; nothing is heard until the line is silent for ${CONSOLE_NOISE_MILLIS / 1_000} s.${NEW_LINE}`,
    );
    this.options.onNoise();
  }

  private redraw(): void {
    if (this.state !== "prompt") return;
    this.drawLater = !this.outlet.hasRoom;
    if (!this.drawLater) this.outlet.offer(this.drawing.draw(this.mode?.prompt ?? this.prompt, this.line.text, this.line.cursor, this.screen.columns));
  }
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
