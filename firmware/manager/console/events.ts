// `events`: what the dataplane noted lately, from the ring itself. With --all: the store's log, which also has what the
// manager told, outlives the unit and can be asked while nothing runs.

import Database from "better-sqlite3";
import { EVENTS_KEPT } from "../../limits.ts";
import { LiveError } from "../../store/live/open.ts";
import { NO_NAMES } from "../../store/live/views.ts";
import { type EventRow, eventSentence, eventSeverity } from "../../store/sentences.ts";
import { thrownAway } from "../../store/trim.ts";
import type { Request } from "./arguments.ts";
import { type Answer, ask, type Context, type Row, text } from "./query.ts";
import { paint, type Screen, type Style } from "./table.ts";
import { duration } from "./words.ts";

const SHOWN = 40;
const LOG_SHOWN = 1_000;
const STYLES: Readonly<Record<string, Style>> = { error: "red", warning: "yellow", information: "dim" };

interface Told {
  readonly sequence: number;
  /** Milliseconds before the dataplane's last breath. */
  readonly agoMillis: number;
  readonly severity: string;
  readonly kind: string;
  readonly sentence: string;
  readonly event: Row;
}

function lineOf(told: Told, screen: Screen): string {
  const style = STYLES[told.severity];
  const line = `${`${duration(told.agoMillis)} ago`.padStart(16)}  ${told.severity.padEnd(11)}  ${told.sentence}`;
  return style === undefined ? line : paint(line, style, screen);
}

/** The newest events that match, oldest first. */
export function events(context: Context): Answer {
  const now = context.database.prepare("SELECT breath_at FROM live_header").pluck().get() as number;
  const found = ask(context, { from: "live_events", where: "1", order: "sequence DESC", limit: SHOWN });
  const told = found.rows
    .map((row): Told => {
      const event = row as unknown as EventRow;
      const sentence = eventSentence(event, context.names);
      return {
        sequence: event.sequence,
        agoMillis: Math.max(0, (now - event.at) / 1000),
        severity: eventSeverity(event.kind),
        kind: event.kind,
        sentence,
        event: row,
      };
    })
    .sort((one, other) => one.sequence - other.sequence);
  return { json: told, lines: (screen) => (told.length === 0 ? ["No event matches."] : told.map((each) => lineOf(each, screen))) };
}

const LOG_VIEW = `CREATE TEMP VIEW log AS
  SELECT id, strftime('%Y-%m-%dT%H:%M:%fZ', at_millis / 1000.0, 'unixepoch') AS at, severity, kind, sentence, fields FROM events`;

function openLog(file: string): Database.Database {
  const database = new Database(file, { readonly: true, fileMustExist: true });
  try {
    database.exec(LOG_VIEW);
    // A view is not looked into before it is asked.
    database.prepare("SELECT count(*) FROM log WHERE id < 0").get();
    return database;
  } catch (error) {
    database.close();
    throw new LiveError("log-unreadable", `${file}: ${(error as Error).message}`);
  }
}

/** The newest entries of the log in `file` that match, oldest first. Times are UTC. */
export function loggedEvents(file: string, request: Request): Answer {
  const database = openLog(file);
  try {
    const found = ask({ database, names: NO_NAMES, request }, { from: "log", where: "1", order: "id DESC", limit: LOG_SHOWN });
    const entries = request.order === undefined ? found.rows.toReversed() : found.rows;
    const line = (row: Row, screen: Screen) => {
      const style = STYLES[text(row, "severity")];
      const plain = `${text(row, "at")}  ${text(row, "severity").padEnd(11)}  ${text(row, "sentence")}`;
      return style === undefined ? plain : paint(plain, style, screen);
    };
    const gone = thrownAway(database);
    const before =
      gone === 0 ? [] : [`${gone.toLocaleString("en")} older entries were thrown away: the log keeps the newest ${EVENTS_KEPT.toLocaleString("en")}.`];
    return { json: entries, lines: (screen) => [...before, ...(entries.length === 0 ? ["No event matches."] : entries.map((row) => line(row, screen)))] };
  } finally {
    database.close();
  }
}
