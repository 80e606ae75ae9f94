// `status`: a unit in sentences, and what of its configuration waits for somebody. Whether its dataplane is alive shows by its breaths: they go on even when nothing arrives.

import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { TWIN_PATH_DOWN, TWIN_PATH_ONE_OF_TWO } from "../../fastpath/memory/tables.ts";
import { TICK_MILLIS } from "../../limits.ts";
import type { Places } from "../places.ts";
import { CONFIGURATION_FILE } from "../revisions/store.ts";
import { readWaiting, type Waiting } from "../revisions/waiting.ts";
import { waitingLines } from "./configure/sentences.ts";
import type { Answer, Context, Row } from "./query.ts";
import { number, text } from "./query.ts";
import { paint, type Screen, type Style } from "./table.ts";
import { exposureOf, wholeSentence } from "./whole.ts";
import { count, counted, duration } from "./words.ts";

const LOOK_MILLIS = TICK_MILLIS * 10;
const DROPS_SHOWN = 6;
const STATE_STYLES: Readonly<Record<string, Style>> = { alive: "green", dead: "red", partitioned: "red", rejoining: "yellow", absent: "yellow" };

interface Peer {
  readonly unit: string;
  readonly state: string;
  readonly sentence: string;
  readonly member: Row;
}

interface Drop {
  readonly name: string;
  readonly value: number;
  readonly sentence: string;
}

export function rowsOf({ database }: Pick<Context, "database">, sql: string): Row[] {
  return database.prepare(sql).all() as Row[];
}

function replication(member: Row, owned: number): string {
  const lagging = Math.min(owned, Math.max(0, number(member, "lag_rows")));
  const sentence = `${count(owned - lagging)} of ${counted(owned, "session")} replicated`;
  if (lagging === 0) return number(member, "digests_equal") === 1 ? `${sentence}, proven equal` : sentence;
  const behind = number(member, "lag_micros") > 0 ? `, ${duration(number(member, "lag_micros") / 1000)} behind` : "";
  return `${sentence}${behind}${number(member, "sweeping") === 1 ? ", a sweep is under way" : ""}`;
}

function paths(member: Row): string {
  const ways = [...(number(member, "twin_path") !== TWIN_PATH_DOWN ? ["the twin port"] : []), ...(number(member, "data_path") === 1 ? ["a data port"] : [])];
  return ways.length === 0 ? "no path works" : `reached through ${ways.join(" and ")}`;
}

/** One peer in a sentence. `owned`: sessions that this unit owns. */
export function peerSentence(member: Row, owned: number): string {
  const unit = text(member, "unit");
  const state = text(member, "state");
  const silent = `silent for ${duration(number(member, "silent_millis"))}`;
  if (state === "absent") return `${unit} was not heard yet.`;
  if (state === "dead") return `${unit} is dead; ${silent}; ${member.successor === null ? "nobody has taken over" : `${text(member, "successor")} took over`}.`;
  if (state === "partitioned") return `${unit} is partitioned: it may live, but cannot be reached; ${silent}.`;
  if (number(member, "associated") === 0) return `${unit} is ${state}, but not associated: keys are not agreed; ${paths(member)}.`;
  const roundTrip = number(member, "round_trip_micros");
  const trip = roundTrip > 0 ? `; round trip ${duration(roundTrip / 1000)}` : "";
  return `${unit} is ${state}; ${replication(member, owned)}${trip}${twinLinks(member)}.`;
}

function twinLinks(member: Row): string {
  const state = number(member, "twin_path");
  if (state === TWIN_PATH_DOWN) return `; the twin port does not work, ${paths(member)}`;
  return state === TWIN_PATH_ONE_OF_TWO ? "; one of two twin links is down" : "";
}

/** Looks for a few ticks. */
export async function isBreathing(context: Pick<Context, "database">): Promise<boolean> {
  const breaths = context.database.prepare("SELECT breaths FROM live_header").pluck();
  const before = breaths.get() as number;
  await pause(LOOK_MILLIS);
  return (breaths.get() as number) !== before;
}

/** Role, mode and driver in a sentence, or why the unit passes nothing. */
export function headline(header: Row, breathing: boolean): string {
  const up = duration((number(header, "breath_at") - number(header, "started_at")) / 1000);
  const what = `${text(header, "unit")} is ${text(header, "role")} in ${text(header, "mode")} mode (${text(header, "driver")})`;
  if (breathing) return `${what}, up ${up}; policy revision ${number(header, "revision")}.`;
  const end = number(header, "clean") === 1 ? "was stopped on request" : "does not breathe: it has died, or is being restarted";
  return `${text(header, "unit")} passes nothing: its dataplane ${end}. It was ${text(header, "role")} in ${text(header, "mode")} mode.`;
}

/** Role, peers, sessions, lag and drops. Takes a few ticks, to see the dataplane breathe. */
export async function status(context: Context, { dataDirectory }: Places): Promise<Answer> {
  const breathing = await isBreathing(context);
  const header = rowsOf(context, "SELECT * FROM live_header")[0] as Row;
  const owned = number(header, "sessions_owned");
  const peers = rowsOf(context, "SELECT * FROM members WHERE unit <> (SELECT unit FROM live_header) ORDER BY unit").map(
    (member): Peer => ({ unit: text(member, "unit"), state: text(member, "state"), sentence: peerSentence(member, owned), member }),
  );
  const drops = rowsOf(context, "SELECT name, value, sentence FROM counters WHERE kind = 'drop' AND value > 0 ORDER BY value DESC") as unknown as Drop[];
  const sessions = {
    live: number(header, "sessions_live"),
    owned,
    tombstones: number(header, "tombstones"),
    halfOpen: number(header, "half_open"),
    capacity: number(header, "sessions"),
  };
  const members = peers.map(({ member }) => member);
  const whole = members.length === 0 || !breathing ? "" : wholeSentence(header, members);
  const configuration = configurationOf(join(dataDirectory, CONFIGURATION_FILE));
  const { role, mode, driver, term, incarnation, revision, starts } = header;
  const json = {
    unit: header.unit,
    breathing,
    role,
    mode,
    driver,
    term,
    incarnation,
    revision,
    starts,
    sessions,
    peers,
    drops,
    whole,
    exposed: exposureOf(header, members),
    configuration: configuration.json,
  };
  return {
    json,
    lines: (screen) => [
      paint(headline(header, breathing), breathing ? "bold" : "red", screen),
      ...(whole === "" ? [] : [whole]),
      ...configuration.lines.map((line) => paint(line, "yellow", screen)),
      sessionLine(sessions),
      ...peers.map((peer) => peerLine(peer, screen)),
      ...dropLines(drops),
    ],
  };
}

/** What of the configuration waits for somebody; that it cannot be read is something to know, too. */
function configurationOf(file: string): { readonly json: Waiting | { readonly problem: string } | null; readonly lines: readonly string[] } {
  try {
    const waiting = readWaiting(file, Date.now());
    return waiting === undefined ? { json: null, lines: [] } : { json: waiting, lines: waitingLines(waiting).map((line) => `Configuration: ${line}`) };
  } catch (error) {
    const problem = `The configuration's database cannot be read: ${(error as Error).message}`;
    return { json: { problem }, lines: [problem] };
  }
}

function sessionLine(sessions: { live: number; owned: number; tombstones: number; halfOpen: number; capacity: number }): string {
  const replicas = Math.max(0, sessions.live - sessions.owned);
  return `${count(sessions.owned)} sessions owned here, ${counted(replicas, "replica")}, ${count(sessions.halfOpen)} half-open, ${count(sessions.tombstones)} ended and not yet forgotten; room for ${count(sessions.capacity)}.`;
}

function peerLine(peer: Peer, screen: Screen): string {
  return paint(peer.sentence, STATE_STYLES[peer.state] ?? "yellow", screen);
}

function dropLines(drops: readonly Drop[]): string[] {
  if (drops.length === 0) return ["Nothing was dropped."];
  const total = drops.reduce((sum, each) => sum + each.value, 0);
  const rest = drops.length > DROPS_SHOWN ? [`  and ${counted(drops.length - DROPS_SHOWN, "other reason")}: see counters`] : [];
  return [
    `Dropped ${counted(total, "packet")}:`,
    ...drops.slice(0, DROPS_SHOWN).map((each) => `  ${count(each.value).padStart(9)}  ${each.name}: ${each.sentence}`),
    ...rest,
  ];
}
