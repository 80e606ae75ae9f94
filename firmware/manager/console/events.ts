// `events`: what the dataplane noted lately, from the ring itself; older events are in the store's log.

import { type EventRow, eventSentence, eventSeverity } from "../../store/sentences.ts";
import { type Answer, ask, type Context, type Row } from "./query.ts";
import { paint, type Screen, type Style } from "./table.ts";
import { duration } from "./words.ts";

const SHOWN = 40;
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
