// The event log's bound: so many entries, each cut to so many characters; the oldest are thrown away. Ids are never used again, so
// what is missing before the first one is how many were.

import type Database from "better-sqlite3";
import { EVENT_TEXT_MOST, EVENTS_KEPT } from "../limits.ts";

/** Entries are thrown away when this many have been written since the last time. */
const TRIM_EVERY = 1_000;

export class Trim {
  private readonly statement: Database.Statement;
  private since = 0;

  constructor(database: Database.Database) {
    this.statement = database.prepare(`DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ${EVENTS_KEPT}`);
  }

  /** So many entries were written. */
  wrote(entries: number): void {
    this.since += entries;
    if (this.since < TRIM_EVERY) return;
    this.statement.run();
    this.since = 0;
  }
}

/** A sentence as the log keeps it. */
export function cutSentence(sentence: string): string {
  return sentence.length <= EVENT_TEXT_MOST ? sentence : `${sentence.slice(0, EVENT_TEXT_MOST)}…`;
}

/** Fields as the log keeps them: JSON, whole or none. */
export function cutFields(fields: object): string {
  const text = JSON.stringify(fields);
  return text.length <= EVENT_TEXT_MOST ? text : "{}";
}

/** Entries that were thrown away since the log was begun. */
export function thrownAway(database: Database.Database): number {
  return (database.prepare("SELECT coalesce(min(id) - 1, 0) FROM events").pluck().get() as number | null) ?? 0;
}
