// What the configuration mode says about revisions and commits, in sentences.

import type { CommitAnswer, Situation } from "../../revisions/desk.ts";
import type { UnitOutcome } from "../../revisions/member.ts";
import type { RevisionSummary } from "../../revisions/revision.ts";
import type { Waiting } from "../../revisions/waiting.ts";
import { duration } from "../words.ts";

const OUTCOMES: Readonly<Record<UnitOutcome["what"], string>> = {
  applied: "in force",
  later: "promised; takes it when it is reached again",
  away: "not reached; catches up",
  refused: "refuses",
  silent: "did not answer",
  unchanged: "unchanged",
};

const FAILURES: Readonly<Record<Exclude<CommitAnswer["code"], "committed">, string>> = {
  refused: "Nothing was changed on any unit.",
  stale: "Another revision is in force than the one that it began from.",
  conflict: "The sites committed apart from each other: resolve settles that first.",
  undecided: "This unit has promised a commit and does not know yet what became of it. It asks; abandon gives it up.",
  busy: "Another commit is under way.",
  "confirm-out-of-reach": "Units that wait to be confirmed are not reached, and will go back; so nothing is confirmed, and all go back together.",
  "not-written": "The configuration's database does not take it; the log says why.",
};

/** What became of a commit, unit by unit. */
export function commitLines(answer: CommitAnswer, confirmMinutes: number): readonly string[] {
  const units = answer.units.flatMap(({ unit, what, reasons }) => [`  ${unit}: ${OUTCOMES[what]}`, ...reasons.map((reason) => `    ${reason}`)]);
  if (answer.code !== "committed") return [`${answer.code}: ${FAILURES[answer.code]}`, ...units];
  const until = confirmMinutes === 0 ? "" : ` Every unit goes back in ${confirmMinutes} min unless you say confirm.`;
  return [`Revision ${answer.number} is in force.${until}`, ...units];
}

/** What somebody who begins to edit has to know. */
export function situationLines({ head, leftMillis, undecided, conflict, editors }: Situation): readonly string[] {
  const lines = [`You edit a copy of revision ${head.number} of ${head.who} (${head.origin}); nothing changes before commit. help shows the commands.`];
  for (const { who, origin } of editors) lines.push(`${who} (${origin}) is editing too.`);
  return [...lines, ...waitingLines({ number: head.number, leftMillis, undecided, conflict: conflict?.theirs })];
}

/** What waits for somebody to say something, a sentence each. */
export function waitingLines({ number, leftMillis, undecided, conflict }: Waiting): readonly string[] {
  const lines = leftMillis === undefined ? [] : [`Revision ${number} is left in ${duration(leftMillis)} unless you say confirm.`];
  if (undecided !== undefined)
    lines.push(`This unit has promised revision ${undecided.number} of ${undecided.coordinator} and waits to hear what became of it.`);
  if (conflict !== undefined)
    lines.push(`conflict: revision ${conflict.number} of ${conflict.who} (${conflict.origin}) was committed apart from this one. resolve settles it.`);
  return lines;
}

const HASH_SHOWN = 8;

export function historyLines(revisions: readonly RevisionSummary[]): readonly string[] {
  return revisions.map(({ number, hash, atMillis, who, origin, comment, merged }) => {
    const settles = merged === "" ? "" : ` (settles ${merged.slice(0, HASH_SHOWN)})`;
    return `${String(number).padStart(5)}  ${hash.slice(0, HASH_SHOWN)}  ${new Date(atMillis).toISOString().slice(0, 19)}Z  ${who} (${origin})${settles}  ${comment}`.trimEnd();
  });
}
