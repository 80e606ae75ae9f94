// `sessions`: each session in two lines, the originator's above and the responder's below.

import { ENDED_STATE } from "../../store/live/views.ts";
import { endpoint } from "../../store/sentences.ts";
import { type Answer, ask, type Context, number, type Row, text } from "./query.ts";
import { type TableColumn, tableLines } from "./table.ts";
import { bytes, count, duration } from "./words.ts";

const SHOWN = 50;

const COLUMNS: readonly TableColumn[] = [
  { title: ["proto", "state"], align: "left" },
  { title: ["originator's tuple", "responder's tuple"], align: "left" },
  { title: ["from", "to"], align: "left" },
  { title: ["owner", "copies"], align: "left" },
  { title: ["entry", "exit"], align: "left" },
  { title: ["rule"], align: "right" },
  { title: ["packets", "back"], align: "right" },
  { title: ["bytes", "back"], align: "right" },
  { title: ["age", "idle"], align: "right" },
];

function unitOr(name: string): string {
  return name === "none" ? "-" : name;
}

function cells(row: Row): string[][] {
  const tuple = (source: string, destination: string) =>
    `${endpoint(text(row, source), number(row, `${source}_port`))} → ${endpoint(text(row, destination), number(row, `${destination}_port`))}`;
  return [
    [text(row, "protocol"), text(row, "state")],
    [tuple("source", "destination"), tuple("reply_source", "reply_destination")],
    [text(row, "from_zone"), text(row, "to_zone")],
    [text(row, "owner"), text(row, "replica")],
    [unitOr(text(row, "entry_unit")), unitOr(text(row, "exit_unit"))],
    [number(row, "rule") === 0 ? "-" : text(row, "rule")],
    [count(number(row, "packets_out")), count(number(row, "packets_back"))],
    [bytes(number(row, "bytes_out")), bytes(number(row, "bytes_back"))],
    [duration(number(row, "age_millis")), duration(number(row, "idle_millis"))],
  ];
}

/** The sessions that the request asks for; ended ones only with --all or when `where` names a state. */
export function sessions(context: Context): Answer {
  const showsEnded = context.request.all || /\bstate\b/i.test(context.request.where ?? "");
  const found = ask(context, { from: "sessions", where: showsEnded ? "1" : `state <> '${ENDED_STATE}'`, order: "idle_millis, row", limit: SHOWN });
  return {
    json: found.rows,
    lines: (screen) => {
      if (found.rows.length === 0) return ["No session matches."];
      const left = found.matching - found.rows.length;
      const rest = left > 0 ? [`${count(found.rows.length)} of ${count(found.matching)} sessions; --limit shows more, --where fewer.`] : [];
      return [...tableLines(COLUMNS, found.rows.map(cells), screen), ...rest];
    },
  };
}
