// The banner: what somebody who has just put in the cable wants to know, in five lines, however badly the unit is.
//
//   Twinwall 0.1.0: unit A1, site A of lab
//   A1 is active in routed mode (afxdp), up 6.2 s; policy revision 1.
//   Twin: B1 is alive; 8 of 8 sessions replicated, proven equal; round trip 2 ms.
//   No alarm.

import type Database from "better-sqlite3";
import { LAMP_NAMES } from "../../../board/board.ts";
import manifest from "../../../package.json" with { type: "json" };
import type { LampPattern } from "../../hal/contracts.ts";
import type { Plan } from "../../plan.ts";
import { type LampStates, situationsOf } from "../panel/situations.ts";
import type { Places } from "../places.ts";
import { readIfThere } from "../run-dir.ts";
import { lookNow } from "./panel.ts";
import { type Answer, number, type Row, text } from "./query.ts";
import { headline, isBreathing, peerSentence, rowsOf } from "./status.ts";
import { paint, type Screen } from "./table.ts";
import { counted } from "./words.ts";

const ALARMING: readonly LampPattern[] = ["slow", "fast"];

/** Of a terminal of which nothing is known. */
const COLUMNS = 80;

/** Who a unit is, from its plan. */
export type Identity = Pick<Plan, "name" | "site" | "system">;

interface Alarm {
  /** Lamp and situation, as the panel has them (panel/situations.ts). */
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
export function twinSentence(members: readonly Row[], owned: number): string {
  const [only, ...more] = members;
  if (only === undefined) return "The twin is off: this unit works alone.";
  if (more.length === 0) return `Twin: ${peerSentence(only, owned)}`;
  const states = [...Map.groupBy(members, (member) => text(member, "state"))];
  return `Twin: ${states.map(([state, those]) => `${listed(those.map((each) => text(each, "unit")))} ${those.length > 1 ? "are" : "is"} ${state}`).join("; ")}.`;
}

/** What the panel's lamps show that is not good. */
function alarmsOf(states: LampStates): Alarm[] {
  return LAMP_NAMES.filter((lamp) => ALARMING.includes(states[lamp].pattern) || states[lamp].name === "unattended").map((lamp) => {
    const { name, meaning, remedy } = states[lamp];
    return { code: `${lamp}-${name}`, sentence: remedy === "" ? meaning : `${meaning} ${remedy}` };
  });
}

function alarmLines(alarms: readonly Alarm[], screen: Screen): string[] {
  if (alarms.length === 0) return [paint("No alarm.", "green", screen)];
  return [
    paint(`${counted(alarms.length, "alarm")}:`, "red", screen),
    ...alarms.flatMap(({ code, sentence }) => wrapped(`${code}: ${sentence}`, screen, "  ")),
  ];
}

/** Breaks a sentence between words: the greeting goes to terminals that have not told their size yet. */
function wrapped(sentence: string, screen: Screen, indent = ""): string[] {
  const columns = Math.min(screen.width, COLUMNS);
  const [first = "", ...words] = sentence.split(" ");
  const lines: string[] = [];
  let line = indent + first;
  for (const word of words) {
    if (line.length + 1 + word.length > columns) {
      lines.push(line);
      line = `${indent}  ${word}`;
    } else line = `${line} ${word}`;
  }
  return [...lines, line];
}

/** The banner of a unit whose tables can be read. Takes a few ticks, to see the dataplane breathe. */
export async function banner(database: Database.Database, places: Places, identity: Identity): Promise<Answer> {
  const breathing = await isBreathing({ database });
  const header = rowsOf({ database }, "SELECT * FROM live_header")[0] as Row;
  const members = rowsOf({ database }, "SELECT * FROM members WHERE unit <> (SELECT unit FROM live_header) ORDER BY unit");
  return bannerOf(identity, headline(header, breathing), twinSentence(members, number(header, "sessions_owned")), situationsOf(lookNow(places, identity.name)));
}

/** The banner of a unit whose tables cannot be read, and why. */
export function bannerWithout(places: Places, identity: Identity, why: string): Answer {
  return bannerOf(identity, `${identity.name} passes nothing: ${why.replace(/\.$/, "")}.`, "", situationsOf(lookNow(places, identity.name)));
}

/** `role` and `twin` in a sentence each; no `twin`, no line. */
export function bannerOf(identity: Identity, role: string, twin: string, states: LampStates): Answer {
  const alarms = alarmsOf(states);
  return {
    json: { version: manifest.version, ...identity, role, twin, alarms },
    lines: (screen) => [
      paint(title(identity), "bold", screen),
      ...wrapped(role, screen),
      ...(twin === "" ? [] : wrapped(twin, screen)),
      ...alarmLines(alarms, screen),
    ],
  };
}
