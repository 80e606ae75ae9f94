// The configuration mode as a terminal shows it.

import type { Entered, Job, JobListener, Mode } from "../terminal.ts";
import type { ConfigureSession } from "./session.ts";

/** A session as a mode. */
export function modeOf({ session, lines }: { readonly session: ConfigureSession; readonly lines: readonly string[] }): Entered {
  const mode: Mode = {
    get prompt() {
      return session.prompt;
    },
    get isOver() {
      return session.isOver;
    },
    complete: (line) => session.complete(line),
    helpAt: (line) => session.helpAt(line),
    run: (words, listener) => run(session, words, listener),
    leave: () => session.leave(),
  };
  return { mode, lines };
}

/** A command whose answer nobody waits for any more goes on: a commit is not half done. */
function run(session: ConfigureSession, words: readonly string[], listener: JobListener): Job {
  let stopped = false;
  const say = (text: string): void => {
    if (!stopped) listener.onEnd(text);
  };
  session.execute(words).then(
    (outcome) => say(outcome.lines.map((line) => `${line}\n`).join("")),
    (error: Error) => say(`command-died: ${error.message}. configure again; the log of the manager says more.\n`),
  );
  const stop = (): void => {
    stopped = true;
  };
  return { pause: () => undefined, resume: () => undefined, stop };
}
