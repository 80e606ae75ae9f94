// The commands that are a table each: counters, ports, members, neighbours, rules.

import { type Answer, ask, type Context, number, type Question, type Row, text } from "./query.ts";
import { type TableColumn, tableLines } from "./table.ts";
import { bytes, count, duration } from "./words.ts";

const EVERYTHING = 1_000_000;

interface Shown {
  readonly title: string;
  readonly align: "left" | "right";
  readonly cell: (row: Row) => string;
}

const left = (title: string, column: string): Shown => ({ title, align: "left", cell: (row) => text(row, column) });
const counted = (title: string, column: string): Shown => ({ title, align: "right", cell: (row) => count(number(row, column)) });
const bytesOf = (title: string, column: string): Shown => ({ title, align: "right", cell: (row) => bytes(number(row, column)) });
const millisOf = (title: string, column: string): Shown => ({
  title,
  align: "right",
  cell: (row) => (row[column] === null ? "-" : duration(number(row, column))),
});
const yesNo = (title: string, column: string): Shown => ({ title, align: "left", cell: (row) => (number(row, column) === 1 ? "yes" : "no") });

function list(context: Context, question: Question, shown: readonly Shown[], nothing: string): Answer {
  const found = ask(context, question);
  const columns: TableColumn[] = shown.map(({ title, align }) => ({ title: [title], align }));
  return {
    json: found.rows,
    lines: (screen) =>
      found.rows.length === 0
        ? [nothing]
        : tableLines(
            columns,
            found.rows.map((row) => shown.map(({ cell }) => [cell(row)])),
            screen,
          ),
  };
}

/** Drops by reason with what they mean, then the other counters; those at 0 only with --all. */
export function counters(context: Context): Answer {
  const shown = [left("counter", "name"), counted("value", "value"), left("meaning", "sentence")];
  return list(
    context,
    { from: "counters", where: context.request.all ? "1" : "value > 0", order: "kind DESC, value DESC, name", limit: EVERYTHING },
    shown,
    "Nothing was counted yet.",
  );
}

export function ports(context: Context): Answer {
  const known = context.names.ports.map((port) => port.number).join(", ");
  const where = context.request.all || known === "" ? "1" : `number IN (${known})`;
  const shown = [
    left("port", "name"),
    left("kind", "kind"),
    left("state", "state"),
    counted("received", "received_packets"),
    bytesOf("bytes", "received_bytes"),
    counted("sent", "transmitted_packets"),
    bytesOf("bytes", "transmitted_bytes"),
    counted("ring full", "transmit_full"),
    counted("missed", "receive_missed"),
    counted("errors", "receive_errors"),
  ];
  return list(context, { from: "ports", where, order: "number", limit: EVERYTHING }, shown, "There are no ports.");
}

export function members(context: Context): Answer {
  const shown = [
    left("unit", "unit"),
    left("state", "state"),
    left("role", "role"),
    counted("term", "term"),
    left("successor", "successor"),
    millisOf("silent", "silent_millis"),
    {
      title: "twin path",
      align: "left",
      cell: (row: Row) => ["no", "yes", "one of two"][number(row, "twin_path")] ?? "no",
    } as const,
    yesNo("data path", "data_path"),
    {
      title: "round trip",
      align: "right",
      cell: (row: Row) => (number(row, "round_trip_micros") === 0 ? "-" : duration(number(row, "round_trip_micros") / 1000)),
    } as const,
    counted("lag rows", "lag_rows"),
    counted("rows sent", "rows_sent"),
    counted("received", "rows_received"),
    counted("handed off", "handed_off"),
    counted("here", "handed_here"),
  ];
  return list(context, { from: "members", where: "1", order: "unit", limit: EVERYTHING }, shown, "This unit knows no other.");
}

export function neighbours(context: Context): Answer {
  const shown = [
    left("address", "address"),
    left("mac", "mac"),
    left("state", "state"),
    millisOf("confirmed", "confirmed_millis"),
    counted("queued", "queued"),
  ];
  return list(context, { from: "neighbours", where: "1", order: "address", limit: EVERYTHING }, shown, "No neighbour is known.");
}

/** The plan's rules; without a plan, or with --all, every rule number that decided something. */
export function rules(context: Context): Answer {
  const shown = [counted("rule", "number"), left("name", "name"), left("action", "action"), counted("hits", "hits"), millisOf("last hit", "last_hit_millis")];
  return list(
    context,
    { from: "rules", where: "(name IS NOT NULL OR hits > 0)", order: "number", limit: EVERYTHING },
    shown,
    "There are no rules: everything is denied.",
  );
}
