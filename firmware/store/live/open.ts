// Opens a unit's memory for SQL: an in-memory database with one virtual table `live_<table>` per table of the layout, and the
// views in words over them (views.ts). Read-only all the way: the file is mapped PROT_READ, and nothing is written to disk.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { TABLES } from "../../fastpath/memory/tables.ts";
import { UNIT_NAMES, UNITS } from "../../limits.ts";
import { CREATE_VIEWS, type LiveNames, NAME_TABLES, NO_NAMES } from "./views.ts";

/** The native module, built by `npm start`, `npm test` and the image. */
export const LIVE_MODULE = fileURLToPath(new URL("../../../build/native/livetables.so", import.meta.url));

/** Codes are stable; they stand in front of the message. */
export type LiveErrorCode = "module-absent" | "memory-absent" | "memory-truncated" | "memory-not-ours" | "layout-mismatch" | "log-unreadable" | "query";

const CODES: readonly LiveErrorCode[] = ["memory-absent", "memory-truncated", "memory-not-ours", "layout-mismatch"];
const ADVICE: Readonly<Record<LiveErrorCode, string>> = {
  "module-absent": "Run `npm start` or `npm test` once: they build it.",
  "memory-absent": "Is the unit running?",
  "memory-truncated": "The unit is being started, or something damaged its memory; restart the unit.",
  "memory-not-ours": "The unit is being started, or this is another program's file; try again in a second.",
  "layout-mismatch": "The unit runs another version of the firmware: use that version's command, or restart the unit.",
  "log-unreadable": "The store puts a damaged log aside when it starts.",
  query: "",
};

export class LiveError extends Error {
  readonly code: LiveErrorCode;
  constructor(code: LiveErrorCode, message: string) {
    super(`${code}: ${message}${ADVICE[code] === "" ? "" : `. ${ADVICE[code]}`}`);
    this.code = code;
  }
}

/** A fault of the native module as a LiveError; anything else comes back as it is. */
export function liveErrorOf(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  for (const code of CODES) {
    const at = error.message.indexOf(`${code}: `);
    if (at >= 0) return new LiveError(code, error.message.slice(at + code.length + 2));
  }
  return error;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function unitList(names: LiveNames): string {
  const most = Math.max(0, ...names.units.map((unit) => unit.number));
  return Array.from({ length: most }, (_, k) => names.units.find((unit) => unit.number === k + 1)?.name ?? "").join(",");
}

/** Adds the live tables and views of `file` to a database's temp schema. Throws LiveError. */
export function attachLive(database: Database.Database, file: string, names: LiveNames = NO_NAMES): void {
  if (!existsSync(LIVE_MODULE)) throw new LiveError("module-absent", "the native part of the live tables is not built");
  try {
    database.loadExtension(LIVE_MODULE);
    database.exec(NAME_TABLES);
    for (const { table } of TABLES) {
      database.exec(`CREATE VIRTUAL TABLE temp.live_${table.name} USING twinwall_live(${quoted(file)}, ${table.name}, ${quoted(unitList(names))})`);
    }
    fillNames(database, names);
    database.exec(CREATE_VIEWS);
  } catch (error) {
    throw liveErrorOf(error);
  }
}

function fillNames(database: Database.Database, names: LiveNames): void {
  const unit = database.prepare("INSERT INTO unit_names VALUES (?, ?)");
  for (let number = 1; number < UNITS; number++) unit.run(number, names.units.find((each) => each.number === number)?.name ?? UNIT_NAMES[number]);
  const zone = database.prepare("INSERT INTO zone_names VALUES (?, ?)");
  for (const { number, name } of new Map(names.zones.map((each) => [each.number, each])).values()) zone.run(number, name);
  const port = database.prepare("INSERT INTO port_names VALUES (?, ?, ?)");
  for (const { number, name, kind } of names.ports) port.run(number, name, kind);
  const rule = database.prepare("INSERT INTO rule_names VALUES (?, ?, ?)");
  for (const { number, name, action } of names.rules) rule.run(number, name, action);
}

/** The live tables of one unit's memory in a database of their own. The caller closes it. Throws LiveError. */
export function openLive(file: string, names: LiveNames = NO_NAMES): Database.Database {
  const database = new Database(":memory:");
  try {
    attachLive(database, file, names);
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}
