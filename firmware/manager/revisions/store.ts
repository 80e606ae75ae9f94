// The configuration's database: one file in the unit's durable directory, 0600. What a transaction wrote is on the disk before it
// returns (WAL with synchronous=FULL), so that a power cut at any instruction leaves the last committed revision. Secrets are not in it.
//
//   revisions   whole documents of the last 100; of older ones only what they followed
//   state       head, prepared, unconfirmed, conflict (journal.ts), as JSON by name
//   audit       who did what from where; each unit's own counted from 1, so that they can be told to others
//
// A damaged file is not put aside: an older policy would be in force without anyone asking for it. The unit does not start, and says so.

import { closeSync, existsSync, openSync } from "node:fs";
import Database from "better-sqlite3";
import { AUDIT_LINES, REVISIONS, REVISIONS_KNOWN } from "../../limits.ts";
import { ConfigurationError } from "../config/problems.ts";
import type { Change, Journal, Remembered } from "./journal.ts";
import type { Lineage, Revision, RevisionSummary } from "./revision.ts";

/** The database's name in a unit's data directory. */
export const CONFIGURATION_FILE = "configuration.db";

const VERSION = 1;

const TABLES = `
  CREATE TABLE IF NOT EXISTS revisions (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    parent TEXT NOT NULL,
    merged TEXT NOT NULL,
    document_hash TEXT NOT NULL,
    document TEXT,
    at_millis INTEGER NOT NULL,
    who TEXT NOT NULL,
    origin TEXT NOT NULL,
    comment TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS audit (
    unit TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    at_millis INTEGER NOT NULL,
    who TEXT NOT NULL,
    origin TEXT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (unit, sequence)
  ) WITHOUT ROWID;`;

const SUMMARY = "hash, number, parent, merged, document_hash AS documentHash, at_millis AS atMillis, who, origin, comment";

/** A line of the audit log. `sequence` counts those of `unit` from 1. */
export interface AuditLine {
  readonly unit: string;
  readonly sequence: number;
  readonly atMillis: number;
  readonly who: string;
  readonly origin: string;
  readonly what: string;
}

type RevisionRow = Omit<Revision, "document"> & { readonly document: string | null };

export class RevisionStore implements Journal {
  private readonly database: Database.Database;

  /** Opens or creates the database. Throws ConfigurationError when it is damaged or of another version. */
  constructor(file: string) {
    this.database = openDatabase(file);
  }

  read(): Remembered {
    const rows = this.database.prepare("SELECT name, value FROM state").all() as { readonly name: string; readonly value: string }[];
    const state = Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value)])) as Partial<Remembered>;
    return { head: state.head ?? "", prepared: state.prepared, unconfirmed: state.unconfirmed, conflict: state.conflict ?? "" };
  }

  lineages(): ReadonlyMap<string, Lineage> {
    const rows = this.database.prepare("SELECT number, hash, parent, merged FROM revisions").all() as Lineage[];
    return new Map(rows.map((row) => [row.hash, row]));
  }

  revision(hash: string): Revision | undefined {
    const row = this.database.prepare(`SELECT ${SUMMARY}, document FROM revisions WHERE hash = ?`).get(hash) as RevisionRow | undefined;
    return row === undefined ? undefined : { ...row, document: row.document === null ? undefined : JSON.parse(row.document) };
  }

  write(change: Change): void {
    this.database.transaction(() => {
      for (const revision of change.revisions ?? []) this.insert(revision);
      for (const name of ["head", "prepared", "unconfirmed", "conflict"] as const) {
        const value = change[name];
        if (value === null) this.database.prepare("DELETE FROM state WHERE name = ?").run(name);
        else if (value !== undefined) this.database.prepare("INSERT OR REPLACE INTO state VALUES (?, ?)").run(name, JSON.stringify(value));
      }
      if (change.revisions !== undefined) this.trim();
    })();
  }

  /** Whole revisions, newest first; without their documents. */
  history(): readonly RevisionSummary[] {
    return this.database.prepare(`SELECT ${SUMMARY} FROM revisions WHERE document IS NOT NULL ORDER BY number DESC, position DESC`).all() as RevisionSummary[];
  }

  /** Adds a line of this unit's. */
  audit(line: Omit<AuditLine, "sequence">): AuditLine {
    const last = this.database.prepare("SELECT max(sequence) FROM audit WHERE unit = ?").pluck().get(line.unit) as number | null;
    const whole = { ...line, sequence: (last ?? 0) + 1 };
    this.takeAudit([whole]);
    return whole;
  }

  /** Takes lines of any unit; those that are known stay as they are. */
  takeAudit(lines: readonly AuditLine[]): void {
    const insert = this.database.prepare("INSERT OR IGNORE INTO audit VALUES (@unit, @sequence, @atMillis, @who, @origin, @what)");
    const trim = this.database.prepare("DELETE FROM audit WHERE unit = ? AND sequence <= ?");
    this.database.transaction(() => {
      for (const line of lines) {
        insert.run(line);
        trim.run(line.unit, line.sequence - AUDIT_LINES);
      }
    })();
  }

  /** Lines of a unit from a sequence on, at most `limit`, oldest first. */
  auditFrom(unit: string, sequence: number, limit: number): readonly AuditLine[] {
    const columns = "unit, sequence, at_millis AS atMillis, who, origin, what";
    return this.database
      .prepare(`SELECT ${columns} FROM audit WHERE unit = ? AND sequence >= ? ORDER BY sequence LIMIT ?`)
      .all(unit, sequence, limit) as AuditLine[];
  }

  /** The newest sequence of each unit that has lines here. */
  auditHeads(): Readonly<Record<string, number>> {
    const rows = this.database.prepare("SELECT unit, max(sequence) AS last FROM audit GROUP BY unit").all() as {
      readonly unit: string;
      readonly last: number;
    }[];
    return Object.fromEntries(rows.map(({ unit, last }) => [unit, last]));
  }

  /** The last lines of all units, oldest first. */
  auditTail(limit: number): readonly AuditLine[] {
    const columns = "unit, sequence, at_millis AS atMillis, who, origin, what";
    const lines = this.database.prepare(`SELECT ${columns} FROM audit ORDER BY at_millis DESC, unit, sequence DESC LIMIT ?`).all(limit) as AuditLine[];
    return lines.reverse();
  }

  /** SQLite's setting: 2 waits for the disk at each transaction. */
  get synchronous(): number {
    return this.database.pragma("synchronous", { simple: true }) as number;
  }

  close(): void {
    this.database.close();
  }

  private insert({ document, ...summary }: Revision): void {
    this.database
      .prepare(
        `INSERT OR IGNORE INTO revisions (hash, number, parent, merged, document_hash, document, at_millis, who, origin, comment)
         VALUES (@hash, @number, @parent, @merged, @documentHash, @text, @atMillis, @who, @origin, @comment)`,
      )
      .run({ ...summary, text: document === undefined ? null : JSON.stringify(document) });
  }

  /** Forgets the documents of the oldest, never of what is in force, promised, in conflict, or gone back to. */
  private trim(): void {
    const { head, prepared, unconfirmed, conflict } = this.read();
    const held = [head, conflict, prepared?.revision.parent ?? "", unconfirmed?.hash ?? ""];
    const parents = held.map((hash) => this.database.prepare("SELECT parent FROM revisions WHERE hash = ?").pluck().get(hash) ?? "");
    const needed = JSON.stringify([...held, ...parents]);
    const kept = "SELECT position FROM revisions WHERE document IS NOT NULL ORDER BY position DESC LIMIT ?";
    this.database
      .prepare(`UPDATE revisions SET document = NULL WHERE document IS NOT NULL AND position NOT IN (${kept}) AND hash NOT IN (SELECT value FROM json_each(?))`)
      .run(REVISIONS, needed);
    this.database.prepare("DELETE FROM revisions WHERE document IS NULL AND position <= (SELECT max(position) FROM revisions) - ?").run(REVISIONS_KNOWN);
  }
}

function openDatabase(file: string): Database.Database {
  // SQLite gives its side files the mode of the database.
  if (!existsSync(file)) closeSync(openSync(file, "wx", 0o600));
  let database: Database.Database | undefined;
  try {
    database = new Database(file);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    const version = database.pragma("user_version", { simple: true });
    if (version !== 0 && version !== VERSION) throw new Error(`it has schema version ${version}, and this program reads ${VERSION}`);
    if (database.pragma("quick_check", { simple: true }) !== "ok") throw new Error("its pages are damaged");
    database.exec(TABLES);
    database.pragma(`user_version = ${VERSION}`);
    return database;
  } catch (error) {
    database?.close();
    const remedy = "Restore the file, or move it away: the unit then begins with its --config file, and its peers bring it up to date.";
    const message = `the configuration's database cannot be used: ${(error as Error).message}`;
    throw new ConfigurationError([{ code: "damaged-database", file, line: 0, path: "", message, remedy }]);
  }
}
