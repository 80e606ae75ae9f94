// Tells seeds in several processes at once, each a seed at a time. What becomes of a seed does not depend on who tells it; only the
// order in which seeds end does.
//
//   main ── next seed ──► teller ── outcome ──► main ── next seed ──► …

import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { type Outcome, type Telling, tellSeed } from "./outcome.ts";

/** Draws the next seed, or null when there is none to be told any more. */
export type NextSeed = () => number | null;

/** Tells every seed that `next` gives, with `workers` processes; with one, in this process. Rejects when a teller dies. */
export async function tellSeeds(workers: number, telling: Telling, next: NextSeed, done: (outcome: Outcome) => void): Promise<void> {
  if (workers > 1) await Promise.all(Array.from({ length: workers }, () => teller(telling, next, done)));
  else for (let seed = next(); seed !== null; seed = next()) done(tellSeed(seed, telling));
}

function teller(telling: Telling, next: NextSeed, done: (outcome: Outcome) => void): Promise<void> {
  const child: ChildProcess = fork(join(import.meta.dirname, "teller.ts"), [JSON.stringify(telling)]);
  return new Promise((resolve, reject) => {
    let telling: number | null = null;
    const give = () => {
      telling = next();
      if (telling === null) child.disconnect();
      else child.send(telling);
    };
    child.on("message", (outcome: Outcome) => {
      done(outcome);
      give();
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (telling === null) resolve();
      else reject(new Error(`the process that told seed ${telling} ended with ${signal ?? `status ${code}`}`));
    });
    give();
  });
}
