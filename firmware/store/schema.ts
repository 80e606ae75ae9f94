// The store's database, one file in the unit's data directory. WAL: a reader never waits, and whatever kills the store leaves
// the last committed slice. A damaged file is put aside, not argued with: what it held is history and a warm start, never
// something that forwarding needs.
//
//   areas        one per incarnation of the tables that was checkpointed; `complete` once every row was looked at
//   checkpoints  session rows, raw, by area and row number
//   events       what happened, with its sentence

import { existsSync, renameSync } from "node:fs";
import Database from "better-sqlite3";

/** The database's name in a unit's data directory. */
export const STORE_FILE = "store.db";

/** Grows with the tables below; another version's file is put aside. */
const VERSION = 1;

const TABLES = `
  CREATE TABLE IF NOT EXISTS areas (
    incarnation INTEGER PRIMARY KEY,
    layout INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    event_position INTEGER
  );
  CREATE TABLE IF NOT EXISTS checkpoints (
    incarnation INTEGER NOT NULL,
    row INTEGER NOT NULL,
    at_millis INTEGER NOT NULL,
    zero_millis INTEGER NOT NULL,
    words BLOB NOT NULL,
    PRIMARY KEY (incarnation, row)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_millis INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    sentence TEXT NOT NULL,
    fields TEXT NOT NULL
  );`;

export interface OpenedStore {
  readonly database: Database.Database;
  /** Why an older file was put aside; undefined when there was none or it is in use. */
  readonly putAside: string | undefined;
}

function open(file: string): Database.Database {
  const database = new Database(file);
  try {
    database.pragma("journal_mode = WAL");
    // A power cut may lose the last slices, never the file (WAL with NORMAL).
    database.pragma("synchronous = NORMAL");
    database.pragma("journal_size_limit = 16777216");
    const version = database.pragma("user_version", { simple: true });
    if (version !== 0 && version !== VERSION) throw new Error(`it has schema version ${version}, and this program writes ${VERSION}`);
    database.exec(TABLES);
    database.pragma(`user_version = ${VERSION}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens or creates the database. Throws only when a new file cannot be made either. */
export function openStore(file: string): OpenedStore {
  try {
    return { database: open(file), putAside: undefined };
  } catch (error) {
    if (!existsSync(file)) throw error;
    for (const suffix of ["", "-wal", "-shm"]) if (existsSync(file + suffix)) renameSync(file + suffix, `${file}.damaged${suffix}`);
    return { database: open(file), putAside: (error as Error).message };
  }
}

/** Commits something that changes nothing, a page: throws SQLite's error when the database does not take it. */
export function proveWriting(database: Database.Database): void {
  database.pragma(`user_version = ${VERSION}`);
}
