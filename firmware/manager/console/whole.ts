// The whole firewall in one sentence: who does what, what is not as it should be, and what would be lost if something failed now.
// Said by any unit, from its own count and from what the others tell in their heartbeats.

import { TWIN_PATH_ONE_OF_TWO } from "../../fastpath/memory/tables.ts";
import type { Row } from "./query.ts";
import { number, text } from "./query.ts";
import { count, counted } from "./words.ts";

interface Unit {
  readonly name: string;
  readonly state: string;
  readonly role: string;
  readonly row: Row;
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** "A1 and A2 stand by"; nothing of nobody. */
function said(names: readonly string[], one: string, several: string): readonly string[] {
  return names.length === 0 ? [] : [`${listed(names)} ${names.length === 1 ? one : several}`];
}

/** What can ail a unit, gravest first: how it is said of one, and of several. */
const AILMENTS: readonly (readonly [column: string, one: string, several: string])[] = [
  ["drained", "is drained", "are drained"],
  ["behind", "is not yet synchronised", "are not yet synchronised"],
  ["stalls", "stands still at times", "stand still at times"],
  ["twin_lost", "has lost the twin link", "have lost the twin link"],
  ["ports_down", "has ports down", "have ports down"],
  ["monitored_silent", "does not reach all of its monitored addresses", "do not reach all of their monitored addresses"],
  ["disk_ailing", "cannot write to its disk", "cannot write to their disks"],
];

function roles(units: readonly Unit[]): string {
  const there = units.filter(({ state }) => state === "alive" || state === "rejoining");
  const namesOf = (some: readonly Unit[]) => some.map(({ name }) => name);
  const inRole = (role: string) => namesOf(there.filter((unit) => unit.role === role));
  const inState = (state: string) => namesOf(units.filter((unit) => unit.state === state));
  const active = said(inRole("active"), "is active", "are active");
  const parts = [
    ...(active.length > 0 ? active : ["no unit is active"]),
    ...said(inRole("standby"), "stands by", "stand by"),
    ...said(inRole("rejoining"), "rejoins", "rejoin"),
    ...said(inState("dead"), "is dead", "are dead"),
    ...said(inState("partitioned"), "is partitioned", "are partitioned"),
    ...said(inState("absent"), "was not heard", "were not heard"),
    ...AILMENTS.flatMap(([column, one, several]) => said(namesOf(there.filter(({ row }) => number(row, column) > 0)), one, several)),
    ...there.filter(({ row }) => row.twin_path === TWIN_PATH_ONE_OF_TWO).map(({ name }) => `one of two twin links to ${name} is down`),
  ];
  return parts.join(", ");
}

/** Sessions that would be lost, by what failed; the header's own count and the others' words. */
export function exposureOf(header: Row, members: readonly Row[]): { units: Record<string, number>; sites: Record<string, number>; link: number } {
  const units: Record<string, number> = {};
  const sites: Record<string, number> = {};
  let link = 0;
  for (const row of [header, ...members.filter((member) => text(member, "state") === "alive")]) {
    const name = text(row, "unit");
    const site = name.slice(0, -1);
    units[name] = number(row, "exposed_unit");
    sites[site] = (sites[site] ?? 0) + number(row, "exposed_site");
    link += number(row, "exposed_link");
  }
  return { units, sites, link };
}

function losses(header: Row, members: readonly Row[]): string {
  const { units, sites, link } = exposureOf(header, members);
  const parts = [
    ...Object.entries(units).flatMap(([name, lost]) => (lost > 0 ? [`${counted(lost, "session")} with ${name}`] : [])),
    ...Object.entries(sites).flatMap(([site, lost]) => (lost > 0 ? [`${count(lost)} with site ${site}`] : [])),
  ];
  const lost = parts.length === 0 ? "no session would be lost with any unit or site" : `${listed(parts)} would be lost`;
  return link === 0 ? lost : `${lost}, and ${counted(link, "session")} would stop without the link between the sites`;
}

/** `header`: of live_header; `members`: the other units' rows. */
export function wholeSentence(header: Row, members: readonly Row[]): string {
  const own: Unit = { name: text(header, "unit"), state: "alive", role: text(header, "role"), row: header };
  const units = [own, ...members.map((row): Unit => ({ name: text(row, "unit"), state: text(row, "state"), role: text(row, "role"), row }))];
  units.sort((one, other) => (one.name < other.name ? -1 : 1));
  const passive = number(header, "passive_sites");
  const sites = [...new Set(units.map(({ name }) => name.slice(0, -1)))];
  const standing = sites.filter((_, k) => (passive & (1 << k)) !== 0).map((site) => `, site ${site} stands by`);
  return `${roles(units)}${standing.join("")}; if it failed now, ${losses(header, members)}.`;
}
