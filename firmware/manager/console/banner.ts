// The banner: what somebody who has just put in the cable wants to know, in five lines, however badly the unit is.
//
//   Twinwall 0.1.0: unit A1, site A of lab
//   A1 is active in routed mode (afxdp), up 6.2 s; policy revision 1.
//   Twin: B1 is alive; 8 of 8 sessions replicated, proven equal; round trip 2 ms.
//   No alarm.

import type Database from "better-sqlite3";
import manifest from "../../../package.json" with { type: "json" };
import type { Plan } from "../../plan.ts";
import { readIfThere } from "../run-dir.ts";
import { type Answer, number, type Row, text } from "./query.ts";
import { headline, isBreathing, peerSentence, rowsOf } from "./status.ts";
import { paint, type Screen } from "./table.ts";
import { counted } from "./words.ts";

/** Sessions in use, of a hundred, that are worth an alarm. */
const FULL_PERCENT = 90;

/** Of a terminal of which nothing is known. */
const COLUMNS = 80;

/** Who a unit is, from its plan. */
export type Identity = Pick<Plan, "name" | "site" | "system">;

interface Alarm {
  /** Stable. */
  readonly code: string;
  readonly sentence: string;
}

/** Identity from a plan file; of a unit that has none only the name is known. */
export function identityOfPlanFile(planFile: string, unit: string): Identity {
  const { name, site, system } = JSON.parse(readIfThere(planFile) ?? "{}") as Partial<Plan>;
  return { name: name ?? unit, site: site ?? "", system: system ?? "" };
}

function title({ name, site, system }: Identity): string {
  const place = site === "" ? "" : `, site ${site}${system === "" ? "" : ` of ${system}`}`;
  return `Twinwall ${manifest.version}: unit ${name}${place}`;
}

function listed(units: readonly string[]): string {
  return units.length < 2 ? units.join("") : `${units.slice(0, -1).join(", ")} and ${units.at(-1)}`;
}

/** The other units in one sentence: a single one as `status` tells it, several by their state. */
function twinSentence(members: readonly Row[], owned: number): string {
  const [only, ...more] = members;
  if (only === undefined) return "The twin is off: this unit works alone.";
  if (more.length === 0) return `Twin: ${peerSentence(only, owned)}`;
  const states = [...Map.groupBy(members, (member) => text(member, "state"))];
  return `Twin: ${states.map(([state, those]) => `${listed(those.map((each) => text(each, "unit")))} ${those.length > 1 ? "are" : "is"} ${state}`).join("; ")}.`;
}

function memberAlarms(member: Row): Alarm[] {
  const unit = text(member, "unit");
  const state = text(member, "state");
  if (state === "dead") return [{ code: "peer-dead", sentence: `${unit} is dead.` }];
  if (state === "partitioned") return [{ code: "peer-partitioned", sentence: `${unit} cannot be reached, but may live.` }];
  if (state === "absent") return [{ code: "peer-absent", sentence: `${unit} was not heard yet.` }];
  if (number(member, "twin_path") === 0) return [{ code: "twin-path-down", sentence: `The twin port does not reach ${unit}.` }];
  return [];
}

function alarmsOf(header: Row, breathing: boolean, members: readonly Row[], ports: readonly Row[]): Alarm[] {
  if (!breathing) return [{ code: "dataplane-dead", sentence: "The dataplane does not run." }];
  const full = (number(header, "sessions_live") / Math.max(1, number(header, "sessions"))) * 100;
  return [
    ...members.flatMap(memberAlarms),
    ...ports
      .filter((port) => text(port, "state") !== "up")
      .map((port): Alarm => ({ code: "port-down", sentence: `Port ${text(port, "name")} is ${text(port, "state")}.` })),
    ...(full >= FULL_PERCENT ? [{ code: "sessions-full", sentence: `The session table is ${Math.floor(full)} % full.` }] : []),
  ];
}

function alarmLines(alarms: readonly Alarm[], screen: Screen): string[] {
  if (alarms.length === 0) return [paint("No alarm.", "green", screen)];
  return [paint(`${counted(alarms.length, "alarm")}:`, "red", screen), ...alarms.map(({ code, sentence }) => `  ${code}: ${sentence}`)];
}

/** Breaks a sentence between words: the greeting goes to terminals that have not told their size yet. */
function wrapped(sentence: string, screen: Screen): string[] {
  const columns = Math.min(screen.width, COLUMNS);
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The banner of a unit whose tables can be read. Takes a few ticks, to see the dataplane breathe. */
export async function banner(database: Database.Database, identity: Identity): Promise<Answer> {
  const breathing = await isBreathing({ database });
  const header = rowsOf({ database }, "SELECT * FROM live_header")[0] as Row;
  const members = rowsOf({ database }, "SELECT * FROM members WHERE unit <> (SELECT unit FROM live_header) ORDER BY unit");
  const ports = rowsOf({ database }, "SELECT * FROM ports WHERE kind IS NOT NULL ORDER BY number");
  const alarms = alarmsOf(header, breathing, members, ports);
  const role = headline(header, breathing);
  const twin = twinSentence(members, number(header, "sessions_owned"));
  return {
    json: { version: manifest.version, ...identity, breathing, role: header.role, twin, alarms },
    lines: (screen) => [paint(title(identity), "bold", screen), ...wrapped(role, screen), ...wrapped(twin, screen), ...alarmLines(alarms, screen)],
  };
}

/** The banner of a unit whose tables cannot be read, and why. */
export function bannerWithout(identity: Identity, why: string): Answer {
  const role = `${identity.name} passes nothing: ${why}.`;
  const alarms: Alarm[] = [{ code: "dataplane-absent", sentence: "The dataplane does not run." }];
  return {
    json: { version: manifest.version, ...identity, breathing: false, role: null, twin: null, alarms },
    lines: (screen) => [paint(title(identity), "bold", screen), ...wrapped(role, screen), ...alarmLines(alarms, screen)],
  };
}
