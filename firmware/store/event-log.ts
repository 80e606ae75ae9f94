// Drains the event ring into the durable log: in order, each event once, also across restarts of the store, because the
// position is committed together with the events. What was overwritten before it could be read is an entry of its own.

import type Database from "better-sqlite3";
import { EVENT_NAMES, type Severity } from "../fastpath/event-kinds.ts";
import { EventReader } from "../fastpath/events.ts";
import { word } from "../fastpath/memory/layout.ts";
import { EVENT_TABLE } from "../fastpath/memory/tables.ts";
import { UNIT_NAMES } from "../limits.ts";
import type { LiveNames } from "./live/views.ts";
import { type EventRow, eventSentence, eventSeverity } from "./sentences.ts";
import { type Source, zeroMillis } from "./source.ts";
import { cutFields, cutSentence, Trim } from "./trim.ts";

const at = (name: string) => word(EVENT_TABLE, name);
const FLOW = at("flow");

/** An address of four words as text; null when there is none. */
export function addressText(row: Int32Array, first: number): string | null {
  const bytes = new Uint8Array(row.buffer, row.byteOffset + first * 4, 16);
  if (bytes.every((byte) => byte === 0)) return null;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return bytes.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, k) => (((bytes[2 * k] as number) << 8) | (bytes[2 * k + 1] as number)).toString(16));
  // The URL parser writes IPv6 addresses as RFC 5952 asks.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** A ring row in the words of the `live_events` table. */
export function eventRowOf(row: Int32Array, doubles: Float64Array, names: LiveNames): EventRow {
  const unit = row[at("unit")] as number;
  const ports = row[at("ports")] as number;
  const swap = (half: number) => ((half & 0xff) << 8) | (half >>> 8);
  return {
    sequence: row[at("sequence")] as number,
    kind: EVENT_NAMES[row[at("kind")] as number] ?? String(row[at("kind")]),
    at: doubles[at("at") >> 1] as number,
    source: addressText(row, at("source")),
    destination: addressText(row, at("destination")),
    source_port: swap(ports & 0xffff),
    destination_port: swap(ports >>> 16),
    protocol: (row[FLOW] as number) & 0xff,
    zone: ((row[FLOW] as number) >> 8) & 0xff,
    rule: row[at("rule")] as number,
    port: row[at("port")] as number,
    unit: names.units.find((each) => each.number === unit)?.name ?? UNIT_NAMES[unit] ?? String(unit),
    value: doubles[at("value") >> 1] as number,
    suppressed: row[at("suppressed")] as number,
  };
}

export class EventLog {
  private readonly database: Database.Database;
  private readonly source: Source;
  private readonly incarnation: number;
  private readonly reader: EventReader;
  private readonly names: () => LiveNames;
  private readonly insert: Database.Statement;
  private readonly keepPosition: Database.Statement;
  private readonly trim: Trim;
  private missed = 0;

  /** `incarnation`: of the tables; its row in `areas` must exist. `names` is asked anew for each batch: the plan may change. */
  constructor(database: Database.Database, source: Source, incarnation: number, names: () => LiveNames) {
    this.database = database;
    this.source = source;
    this.incarnation = incarnation;
    this.names = names;
    const kept = database.prepare("SELECT event_position FROM areas WHERE incarnation = ?").pluck().get(incarnation) as number | null | undefined;
    this.reader = new EventReader(source.tables, kept ?? undefined);
    this.insert = database.prepare("INSERT INTO events (at_millis, incarnation, position, kind, severity, sentence, fields) VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.keepPosition = database.prepare("UPDATE areas SET event_position = ? WHERE incarnation = ?");
    this.trim = new Trim(database);
  }

  /** Moves up to `limit` events into the log in one transaction. Returns how many entries were written. */
  drain(limit: number): number {
    if (!this.reader.next()) return 0;
    return this.database.transaction(() => this.write(limit))();
  }

  private write(limit: number): number {
    const zero = zeroMillis(this.source);
    const names = this.names();
    let written = 0;
    do {
      if (this.reader.missed !== this.missed) {
        this.log(
          Math.round(this.source.wallMillis()),
          "events-missed",
          "warning",
          `${this.reader.missed - this.missed} events were overwritten before the store read them.`,
          "{}",
        );
        this.missed = this.reader.missed;
        written++;
      }
      const event = eventRowOf(this.reader.row, this.reader.rowDoubles, names);
      this.log(Math.round(zero + event.at / 1000), event.kind, eventSeverity(event.kind), eventSentence(event, names), cutFields(event));
      written++;
    } while (written < limit && this.reader.next());
    this.keepPosition.run(this.reader.position, this.incarnation);
    this.trim.wrote(written);
    return written;
  }

  private log(atMillis: number, kind: string, severity: Severity, sentence: string, fields: string): void {
    this.insert.run(atMillis, this.incarnation, this.reader.position - 1, kind, severity, cutSentence(sentence), fields);
  }
}
