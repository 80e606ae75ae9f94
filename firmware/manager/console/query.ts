// One question to the live tables, with what the command line asked for put around it.

import type Database from "better-sqlite3";
import { LiveError, liveErrorOf } from "../../store/live/open.ts";
import type { LiveNames } from "../../store/live/views.ts";
import type { Request } from "./arguments.ts";
import type { Screen } from "./table.ts";

export interface Context {
  readonly database: Database.Database;
  readonly names: LiveNames;
  readonly request: Request;
}

/** What a command found: as a value, and as lines for people. */
export interface Answer {
  readonly json: unknown;
  lines(screen: Screen): readonly string[];
}

export type Row = Readonly<Record<string, string | number | null>>;

export interface Question {
  /** Table or view. */
  readonly from: string;
  /** What always holds, `1` if nothing. */
  readonly where: string;
  readonly order: string;
  readonly limit: number;
}

export interface Found {
  readonly rows: readonly Row[];
  /** Rows that match, shown or not. */
  readonly matching: number;
}

/** The columns of a view, in their order. */
export function columnsOfView(database: Database.Database, view: string): string[] {
  return database
    .prepare(`SELECT * FROM ${view} LIMIT 0`)
    .columns()
    .map((column) => column.name);
}

function explained(error: unknown, context: Context, view: string): unknown {
  const known = liveErrorOf(error);
  if (known instanceof LiveError || !(known instanceof Error) || known.name !== "SqliteError") return known;
  return new LiveError("query", `${known.message}. Columns of ${view}: ${columnsOfView(context.database, view).join(", ")}`);
}

/**
 * Rows of a view, filtered, sorted and cut as the request says; its `where` is added to the question's own. Throws LiveError.
 */
export function ask(context: Context, question: Question): Found {
  const { database, request } = context;
  // Each on a line of its own, so that a comment in what was typed ends with its line.
  const where = request.where === undefined ? question.where : `${question.where} AND (${request.where}\n)`;
  const order = request.order ?? question.order;
  const limit = request.limit ?? question.limit;
  try {
    const rows = database.prepare(`SELECT * FROM ${question.from} WHERE ${where} ORDER BY ${order}\n LIMIT ${limit}`).all() as Row[];
    const matching = rows.length < limit ? rows.length : (database.prepare(`SELECT count(*) FROM ${question.from} WHERE ${where}`).pluck().get() as number);
    return { rows, matching };
  } catch (error) {
    throw explained(error, context, question.from);
  }
}

/** A number of a row; 0 where there is none. */
export function number(row: Row, name: string): number {
  const value = row[name];
  return typeof value === "number" ? value : 0;
}

/** A text of a row; empty where there is none. */
export function text(row: Row, name: string): string {
  const value = row[name];
  return value === null || value === undefined ? "" : String(value);
}
