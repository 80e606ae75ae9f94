// What of a unit's configuration waits for somebody, read from its database alone: `status` says it, whether a manager runs or not.

import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import type { Remembered } from "./journal.ts";
import type { RevisionSummary } from "./revision.ts";

export interface Waiting {
  /** The revision in force. */
  readonly number: number;
  /** Milliseconds until it is left, at least 0; undefined when it stays. */
  readonly leftMillis: number | undefined;
  /** Promised, and not known what became of it. */
  readonly undecided: { readonly number: number; readonly coordinator: string } | undefined;
  /** What was committed apart from the revision in force. */
  readonly conflict: Pick<RevisionSummary, "number" | "who" | "origin"> | undefined;
}

/** `nowMillis`: since 1970. Undefined: the unit has no configuration of its own yet. Throws when the database cannot be read. */
export function readWaiting(file: string, nowMillis: number): Waiting | undefined {
  if (!existsSync(file)) return undefined;
  const database = new Database(file, { readonly: true });
  try {
    const rows = database.prepare("SELECT name, value FROM state").all() as { readonly name: string; readonly value: string }[];
    const state = Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value)])) as Partial<Remembered>;
    const find = database.prepare("SELECT number, who, origin FROM revisions WHERE hash = ?");
    const revision = (hash: string): Waiting["conflict"] => find.get(hash) as Waiting["conflict"];
    const head = revision(state.head ?? "");
    if (head === undefined) return undefined;
    const { prepared, unconfirmed } = state;
    return {
      number: head.number,
      leftMillis: unconfirmed === undefined ? undefined : Math.max(0, unconfirmed.untilMillis - nowMillis),
      undecided: prepared === undefined ? undefined : { number: prepared.revision.number, coordinator: prepared.coordinator },
      conflict: revision(state.conflict ?? ""),
    };
  } finally {
    database.close();
  }
}
