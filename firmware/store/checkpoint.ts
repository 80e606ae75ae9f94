// Checkpoints: the session rows in the database, a few seconds behind.
//
//   rows ──look (3 words each)──► changed? ──snapshot──► upsert          a pass looks at every row, in slices
//                              └► free, but kept? ─────► delete
//
// A row is written when its generation, epoch or version changed: the version grows with each change of state and whenever
// a direction has advanced by half a window's room, so what lies here is never further behind than what an adopter
// tolerates. A row that only saw packets is written again after CHECKPOINT_REFRESH_MILLIS, for its idle time.
//
// Rows belong to an incarnation of the tables. A new one (the tables started empty) is written beside the old, and only
// when every row was looked at once is it `complete`, and the old one forgotten bit by bit: a crash in between loses nothing.

import type Database from "better-sqlite3";
import { word } from "../fastpath/memory/layout.ts";
import { SESSIONS, SESSIONS_HASH, STATE_NAMES } from "../fastpath/memory/tables.ts";
import { CHECKPOINT_REFRESH_MILLIS } from "../limits.ts";
import { type Source, zeroMillis } from "./source.ts";

const STRIDE = SESSIONS.strideWords;
const GENERATION = word(SESSIONS, "generation");
const STATE = word(SESSIONS, "state");
const EPOCH = word(SESSIONS, "epoch");
const VERSION = word(SESSIONS, "version");
const LAST_SEEN = word(SESSIONS, "lastSeen");
const STATE_MASK = 0xff;
const FREE = STATE_NAMES.indexOf("free");
/** Rows between two looks at the clock. */
const STEP = 64;
/** Rows of older areas that are forgotten at once. */
const FORGET = 256;

/** Announces an area. One of the same number but another layout starts anew: its rows cannot be read any more. */
export function beginArea(database: Database.Database, incarnation: number): void {
  database.transaction(() => {
    database
      .prepare("UPDATE areas SET layout = ?, complete = 0, event_position = NULL WHERE incarnation = ? AND layout <> ?")
      .run(SESSIONS_HASH, incarnation, SESSIONS_HASH);
    database.prepare("INSERT OR IGNORE INTO areas (incarnation, layout, complete) VALUES (?, ?, 0)").run(incarnation, SESSIONS_HASH);
  })();
}

export class Checkpointer {
  private readonly database: Database.Database;
  private readonly source: Source;
  private readonly incarnation: number;
  /** What each row was like when it was last written. */
  private readonly generations: Int32Array;
  private readonly epochs: Int32Array;
  private readonly versions: Int32Array;
  private readonly lastSeens: Int32Array;
  /** 1: the database has the row, or had it when this store started. */
  private readonly kept: Uint8Array;
  private readonly words = new ArrayBuffer(STRIDE * 4);
  private readonly i = new Int32Array(this.words);
  private readonly bytes = Buffer.from(this.words);
  private readonly upsert: Database.Statement;
  private readonly remove: Database.Statement;
  private readonly forget: Database.Statement;
  private row = 0;
  private complete: boolean;
  /** Older areas may still have rows. */
  private hasOlder = true;

  /** `incarnation`: of the tables; `beginArea` must have been called for it. */
  constructor(database: Database.Database, source: Source, incarnation: number) {
    this.database = database;
    this.source = source;
    this.incarnation = incarnation;
    const { rows } = source.tables.sessions;
    this.generations = new Int32Array(rows);
    this.epochs = new Int32Array(rows);
    this.versions = new Int32Array(rows);
    this.lastSeens = new Int32Array(rows);
    this.kept = new Uint8Array(rows);
    this.upsert = database.prepare("INSERT OR REPLACE INTO checkpoints (incarnation, row, at_millis, zero_millis, words) VALUES (?, ?, ?, ?, ?)");
    this.remove = database.prepare("DELETE FROM checkpoints WHERE incarnation = ? AND row = ?");
    this.forget = database.prepare(
      `DELETE FROM checkpoints WHERE (incarnation, row) IN (SELECT incarnation, row FROM checkpoints WHERE incarnation <> ? LIMIT ${FORGET})`,
    );
    this.complete = database.prepare("SELECT complete FROM areas WHERE incarnation = ?").pluck().get(incarnation) === 1;
    for (const row of database.prepare("SELECT row FROM checkpoints WHERE incarnation = ?").pluck().iterate(incarnation)) this.kept[row as number] = 1;
  }

  /** Goes on with the pass for about `budgetMicros`, in one transaction. Returns true when the pass came to its end. */
  slice(budgetMicros: number): boolean {
    return this.database.transaction(() => this.look(budgetMicros))();
  }

  private look(budgetMicros: number): boolean {
    const { clock, tables } = this.source;
    const end = clock.nowMicros() + budgetMicros;
    const zero = zeroMillis(this.source);
    const { rows } = tables.sessions;
    while (this.row < rows) {
      const stop = Math.min(rows, this.row + STEP);
      for (; this.row < stop; this.row++) this.visit(this.row, zero);
      if (clock.nowMicros() >= end) break;
    }
    if (this.row < rows) return false;
    if (!this.complete) this.finish();
    while (this.hasOlder && clock.nowMicros() < end) this.forgetOlder();
    if (this.hasOlder) return false;
    this.row = 0;
    return true;
  }

  private visit(row: number, zero: number): void {
    const { i } = this.source.tables.sessions;
    const at = row * STRIDE;
    if (((i[at + STATE] as number) & STATE_MASK) === FREE) {
      if (this.kept[row] === 0) return;
      this.remove.run(this.incarnation, row);
      this.kept[row] = 0;
      this.generations[row] = 0;
      return;
    }
    if (this.isAsWritten(row, at)) return;
    if (!this.source.snapshot(row, this.words) || ((this.i[STATE] as number) & STATE_MASK) === FREE) return;
    this.upsert.run(this.incarnation, row, Math.round(this.source.wallMillis()), zero, this.bytes);
    this.kept[row] = 1;
    this.generations[row] = this.i[GENERATION] as number;
    this.epochs[row] = this.i[EPOCH] as number;
    this.versions[row] = this.i[VERSION] as number;
    this.lastSeens[row] = this.i[LAST_SEEN] as number;
  }

  private isAsWritten(row: number, at: number): boolean {
    const { i } = this.source.tables.sessions;
    if (this.generations[row] !== i[at + GENERATION] || this.versions[row] !== i[at + VERSION] || this.epochs[row] !== i[at + EPOCH]) return false;
    return (((i[at + LAST_SEEN] as number) - (this.lastSeens[row] as number)) | 0) < CHECKPOINT_REFRESH_MILLIS;
  }

  /** Every row was looked at once: what older areas have is not needed any more. */
  private finish(): void {
    this.database.prepare("UPDATE areas SET complete = 1 WHERE incarnation = ?").run(this.incarnation);
    this.complete = true;
  }

  private forgetOlder(): void {
    if (this.forget.run(this.incarnation).changes > 0) return;
    this.database.prepare("DELETE FROM areas WHERE incarnation <> ?").run(this.incarnation);
    this.hasOlder = false;
  }
}
