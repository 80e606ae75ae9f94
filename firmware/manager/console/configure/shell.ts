// `twinwall --unit A1 configure`: at a terminal with the serial console's line editor, else line by line from standard input, where the
// first line that is refused ends it, so that a script does not go on with half of what it means.

import { readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Editor, Seat } from "../../revisions/desk.ts";
import { connectSeat } from "../../revisions/seat-wire.ts";
import { wordsOf } from "../completion.ts";
import { Terminal } from "../terminal.ts";
import { modeOf } from "./mode.ts";
import { ConfigureSession, type Files } from "./session.ts";

/** What is typed: at a terminal, or as lines. */
export type Typed = { readonly terminal: NodeJS.ReadStream } | { readonly lines: AsyncIterable<string> | Iterable<string> };

interface Voice {
  out(line: string): void;
  complain(line: string): void;
}

/** Files of whoever runs this process. */
export const FILES: Files = {
  read: (file) => readFileSync(file, "utf8"),
  write: (file, text) => writeFileSync(file, text, { mode: 0o600 }),
};

function editorOf(unit: string): Editor {
  const { SUDO_USER, SSH_CONNECTION } = process.env;
  const who = SUDO_USER ?? userInfo().username;
  return { who, origin: SSH_CONNECTION === undefined ? `${unit} shell` : `${unit} ssh from ${SSH_CONNECTION.split(" ")[0]}` };
}

/** Edits the configuration of a unit by its manager's socket. Returns the exit status. */
export async function configure(unit: string, ordersFile: string, voice: Voice, typed: Typed): Promise<number> {
  let seat: Seat;
  try {
    seat = await connectSeat(ordersFile, editorOf(unit), () => undefined);
  } catch (error) {
    voice.complain(`manager-absent: the manager of ${unit} is not reached (${(error as Error).message}); start it, then configure.`);
    return 1;
  }
  const begun = await ConfigureSession.begin(unit, seat, FILES);
  return "terminal" in typed ? atTerminal(unit, begun, typed.terminal) : byLines(begun.session, typed.lines, voice);
}

async function byLines(session: ConfigureSession, lines: AsyncIterable<string> | Iterable<string>, voice: Voice): Promise<number> {
  for await (const line of lines) {
    const { words, open } = wordsOf(line.trim());
    if (words.length === 0 || (words[0] as string).startsWith("#")) continue;
    const outcome = open === "" ? await session.execute(words) : { lines: [`open-quote: a ${open} is not closed.`], isWrong: true };
    for (const said of outcome.lines) (outcome.isWrong ? voice.complain : voice.out)(said);
    if (outcome.isWrong || session.isOver) {
      session.leave();
      return outcome.isWrong ? 1 : 0;
    }
  }
  const isUnfinished = session.hasEdits;
  if (isUnfinished) voice.complain("not-committed: the lines ended, and what they edited was not committed; end with commit, or with discard.");
  session.leave();
  return isUnfinished ? 1 : 0;
}

function atTerminal(unit: string, begun: Awaited<ReturnType<typeof ConfigureSession.begin>>, input: NodeJS.ReadStream): Promise<number> {
  return new Promise((resolve) => {
    const end = (): void => {
      input.setRawMode(false);
      input.pause();
      resolve(0);
    };
    const terminal = new Terminal({
      unit,
      send: (bytes) => new Promise((sent) => process.stdout.write(bytes, (error) => sent(error === undefined || error === null))),
      run: () => {
        throw new Error("this terminal has one mode");
      },
      only: { ...modeOf(begun), onOver: end },
      nowMillis: () => performance.now(),
      onNoise: () => undefined,
    });
    input.setRawMode(true);
    input.on("data", (bytes: Buffer) => terminal.receive(bytes));
    input.once("end", end);
    terminal.up();
  });
}
