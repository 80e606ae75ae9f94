// Why the appliance was started last, kept in the data directory across resets.
//
//   another boot than the file's?   no: the manager was restarted, the cause stays
//                                   yes: what the hardware remembers, else what the file's run noted at its end, else: unplanned

import { join } from "node:path";
import type { ResetCause } from "../hal/contracts.ts";
import { readIfThere, writeDurably } from "./run-dir.ts";

const FILE = "last-reset.json";

export type StartCause = ResetCause | "first-start" | "planned" | "unplanned";

const SENTENCES: Readonly<Record<StartCause, string>> = {
  "first-start": "No earlier run is known.",
  planned: "It was stopped on request.",
  unplanned: "It ended without a word: a power cut, the reset button, or a crash of the kernel.",
  watchdog: "The watchdog reset it",
  overheated: "It overheated.",
  "fan-fault": "A fan failed.",
  "power-low": "The supply voltage was too low.",
  "power-high": "The supply voltage was too high.",
  external: "Something outside asked for it.",
};

export interface LastReset {
  readonly cause: StartCause;
  /** The cause, in a sentence. */
  readonly sentence: string;
  /** When the appliance was up again: time of day, ISO 8601. */
  readonly at: string;
}

/** What the file holds: the last reset, and what the run since then notes for the next one. */
interface Kept extends LastReset {
  readonly boot: string;
  readonly isStopped: boolean;
  /** Why the watchdog is not fed; empty while it is. */
  readonly starving: string;
}

/** The last reset as the file in `data` says; undefined when there is none. */
export function lastResetOf(data: string): LastReset | undefined {
  const kept = parse(readIfThere(join(data, FILE)));
  return kept === undefined ? undefined : { cause: kept.cause, sentence: kept.sentence, at: kept.at };
}

export class ResetJournal {
  private readonly file: string;
  private kept: Kept;

  /**
   * A run begins. `boot`: this boot's id; `remembered`: what the watchdog remembers; `at`: now, ISO 8601. Throws the system's error when
   * the directory cannot be written.
   */
  constructor(data: string, boot: string, remembered: readonly ResetCause[], at: string) {
    this.file = join(data, FILE);
    const before = parse(readIfThere(this.file));
    const run = { boot, isStopped: false, starving: "" };
    this.kept = before?.boot === boot ? { ...before, ...run } : { ...explain(before, remembered), at, ...run };
    this.write();
  }

  get lastReset(): LastReset {
    return this.kept;
  }

  /** The watchdog is not fed, for this reason; empty: it is again. */
  starving(reason: string): void {
    this.kept = { ...this.kept, starving: reason };
    this.write();
  }

  stopped(): void {
    this.kept = { ...this.kept, isStopped: true };
    this.write();
  }

  private write(): void {
    writeDurably(this.file, `${JSON.stringify(this.kept)}\n`);
  }
}

function explain(before: Kept | undefined, remembered: readonly ResetCause[]): { readonly cause: StartCause; readonly sentence: string } {
  const said = (cause: StartCause) => ({ cause, sentence: SENTENCES[cause] });
  const bite = (reason: string) => ({ cause: "watchdog" as const, sentence: `${SENTENCES.watchdog}: ${reason}.` });
  const other = remembered.find((cause) => cause !== "watchdog");
  if (other !== undefined) return said(other);
  if (before?.isStopped === true && !remembered.includes("watchdog")) return said("planned");
  // Some drivers, softdog among them, remember nothing: then the run's own note tells.
  if (before !== undefined && before.starving !== "") return bite(before.starving);
  if (remembered.includes("watchdog")) return bite("the manager did not run");
  return said(before === undefined ? "first-start" : "unplanned");
}

/** A file that a power cut or a hand damaged is as good as none. */
function parse(text: string | undefined): Kept | undefined {
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Partial<Kept> | null;
    const isWhole = [kept?.boot, kept?.cause, kept?.sentence, kept?.at, kept?.starving].every((each) => typeof each === "string");
    return isWhole ? (kept as Kept) : undefined;
  } catch {
    return undefined;
  }
}
