// What the lamps say, once: for each lamp its situations, the worst first; the first that holds is shown. README.md's table is made from
// this one (a test compares them).
//
// A pattern means the same on every lamp, and each has one colour, so that nobody needs to see colours, and a lamp with a single
// light says as much:
//
//   off             nothing to say; STATUS: no power, or no software
//   solid, flash    green    good; a flash each second: good, and waiting or hearing
//   slow, 1 Hz      amber    degraded, or under way
//   fast, 5 Hz      red      act

import { LAMP_NAMES, type LampName } from "../../../board/board.ts";
import type { EventName } from "../../fastpath/event-kinds.ts";
import { HEALTH_DISK, HEALTH_DRAINED, HEALTH_STALLS } from "../../fastpath/memory/health.ts";
import type { LampColour, LampPattern } from "../../hal/contracts.ts";
import type { Look, PeerLook } from "./look.ts";

export interface Situation {
  readonly lamp: LampName;
  /** Stable. */
  readonly name: string;
  readonly pattern: LampPattern;
  /** What it means, a sentence. */
  readonly meaning: string;
  /** What to do, a sentence; empty: nothing. */
  readonly remedy: string;
  holds(look: Look): boolean;
}

export const COLOURS: Readonly<Record<Exclude<LampPattern, "off">, LampColour>> = { solid: "green", flash: "green", slow: "amber", fast: "red" };

const isDown = (look: Look): boolean => !look.isAttended || !look.isBreathing;
const anyTwin = (test: (peer: PeerLook) => boolean) => (look: Look) => look.twins.some(test);
const allTwins = (test: (peer: PeerLook) => boolean) => (look: Look) => look.twins.every(test);
const anyMate = (test: (peer: PeerLook) => boolean) => (look: Look) => look.mates.some(test);
const happened = (kind: EventName) => (look: Look) => look.recent.has(kind);
/** A restart's frames under old keys are rejected and told once; who goes on is told each 10 s. */
const keepsHappening = (kind: EventName) => (look: Look) => (look.recent.get(kind) ?? 0) > 1;
const ails = (ailment: number) => (look: Look) => (look.health & ailment) !== 0;
const isAlone = (look: Look): boolean => look.twins.some((peer) => !peer.isAssociated);

const of =
  (lamp: LampName) =>
  (name: string, pattern: LampPattern, meaning: string, remedy: string, holds: Situation["holds"]): Situation => ({
    lamp,
    name,
    pattern,
    meaning,
    remedy,
    holds,
  });
const status = of("status");
const ha = of("ha");
const twin = of("twin");
const alarm = of("alarm");

const EVENTS_COMMAND = "twinwall events --all";

export const SITUATIONS: readonly Situation[] = [
  status(
    "unattended",
    "off",
    "No power, or no software runs: the other lamps say nothing.",
    "Check power; if there is power, start the unit.",
    (look) => !look.isAttended,
  ),
  status("stopped", "fast", "The unit was stopped on request; it passes nothing.", "Start it.", (look) => look.wasStopped && !look.isBreathing),
  status("starting", "slow", "The unit is starting; it passes nothing yet.", `Longer than a minute: ${EVENTS_COMMAND}.`, (look) => !look.hasStarted),
  status(
    "dataplane-dead",
    "fast",
    "The dataplane does not run; the unit passes nothing.",
    `${EVENTS_COMMAND}, then restart the unit.`,
    (look) => !look.isBreathing,
  ),
  status(
    "fail-closed",
    "fast",
    "The unit passes nothing: its dataplane failed too often.",
    `${EVENTS_COMMAND}, then restart the unit.`,
    (look) => look.role === "fail-closed",
  ),
  status(
    "rejoining",
    "slow",
    "The unit rejoins its peers; it passes nothing for up to a second.",
    "",
    (look) => look.role === "rejoining" || look.role === "none",
  ),
  status("port-down", "slow", "A port has no link.", "Check its cable; twinwall ports says which.", (look) => look.ports.some((port) => port !== "up")),
  status("disk", "slow", "The store cannot write: history and warm starts are lost.", "Check the disk; twinwall events says more.", ails(HEALTH_DISK)),
  status("stalls", "slow", "The dataplane stood still several times lately.", "Look for what else uses the processor.", ails(HEALTH_STALLS)),
  status("good", "solid", "The unit runs.", "", () => true),

  ha("down", "off", "The unit does not run.", "See STATUS.", isDown),
  ha(
    "mate-partitioned",
    "fast",
    "The site's other unit cannot be reached, but may live.",
    "Check the cables between the two.",
    anyMate((peer) => peer.state === "partitioned"),
  ),
  ha(
    "mate-dead",
    "slow",
    "The site's other unit is dead: there is no standby.",
    "Repair or replace it.",
    anyMate((peer) => peer.state === "dead" || peer.state === "absent"),
  ),
  ha("drained", "slow", "An operator holds this unit back.", "Resume it.", ails(HEALTH_DRAINED)),
  ha("took-over", "slow", "This unit carries the sessions of a dead one.", "Repair or replace the dead one.", (look) =>
    [...look.mates, ...look.twins].some((peer) => peer.isSucceeded && peer.state === "dead"),
  ),
  ha("rejoining", "slow", "The unit's role is not decided yet.", "", (look) => look.role !== "active" && look.role !== "standby"),
  ha("standby", "flash", "Standby, ready to take over.", "", (look) => look.role === "standby"),
  ha("active", "solid", "Active: this unit carries its site's traffic.", "", () => true),

  twin("down", "off", "The unit does not run.", "See STATUS.", isDown),
  twin("no-twin", "off", "No twin is configured.", "", (look) => look.twins.length === 0),
  twin(
    "key-differs",
    "fast",
    "The other site's unit is not paired with this one.",
    "Pair them: pair, at both consoles.",
    (look) => isAlone(look) && look.recent.has("key-rejected"),
  ),
  twin(
    "agreement-differs",
    "fast",
    "The other site is configured differently in what both must agree on.",
    "Give all units the same configuration.",
    (look) => isAlone(look) && look.recent.has("agreement-differs"),
  ),
  twin(
    "partitioned",
    "fast",
    "The other site cannot be reached, but may live.",
    "Check the twin ports' cables and the line between the sites.",
    anyTwin((peer) => peer.state === "partitioned"),
  ),
  twin(
    "dead",
    "fast",
    "The other site is dead; its sessions live on here.",
    "Repair it.",
    allTwins((peer) => peer.state === "dead"),
  ),
  twin(
    "unit-dead",
    "slow",
    "A unit of the other site is dead.",
    "Repair it.",
    anyTwin((peer) => peer.state === "dead"),
  ),
  twin(
    "absent",
    "slow",
    "The other site was not heard since this unit started.",
    "Longer than a minute: check the twin port's cable, and the other site.",
    anyTwin((peer) => peer.state === "absent"),
  ),
  twin(
    "link-down",
    "slow",
    "One of two twin links is down; everything goes over the other.",
    "Check that link's cables and line; twinwall events says which.",
    (look) => [...look.mates, ...look.twins].some((peer) => peer.isAssociated && peer.isOneLinkDown),
  ),
  twin(
    "catching-up",
    "slow",
    "The two sites' session tables are being made equal.",
    "",
    anyTwin((peer) => peer.state === "rejoining" || !peer.isAssociated || peer.isBehind),
  ),
  twin("good", "flash", "The other site's heartbeats arrive, one flash for each second of them; tables proven equal.", "", () => true),

  alarm("down", "off", "The unit does not run.", "See STATUS.", isDown),
  alarm(
    "table-full",
    "fast",
    "The session table was full within the last minute: new connections were dropped.",
    "Find who opens them: twinwall sessions. Configure more sessions.",
    happened("table-full"),
  ),
  alarm("port-gone", "fast", "A port's device was removed.", "twinwall ports says which; restart the unit, or replace it.", (look) =>
    look.ports.includes("gone"),
  ),
  alarm(
    "replicas-refused",
    "slow",
    "A peer's table was full within the last minute: some sessions have no copy.",
    "Configure more sessions there.",
    happened("refused"),
  ),
  alarm(
    "flood",
    "slow",
    "A flood of half-open connections was held off within the last minute.",
    "twinwall events names the target.",
    happened("half-open-limit"),
  ),
  alarm("forged", "slow", "Forged, replayed or damaged twin frames keep arriving.", "Check who else is on the twin link.", keepsHappening("frames-rejected")),
  alarm("none", "off", "No alarm.", "", () => true),
];

export type LampStates = Readonly<Record<LampName, Situation>>;

/** The situation of each lamp. */
export function situationsOf(look: Look): LampStates {
  const first = (lamp: LampName): Situation => SITUATIONS.find((situation) => situation.lamp === lamp && situation.holds(look)) as Situation;
  return Object.fromEntries(LAMP_NAMES.map((lamp) => [lamp, first(lamp)])) as Record<LampName, Situation>;
}

/** The colour that goes with a pattern; green for off, which has none. */
export function colourOf(pattern: LampPattern): LampColour {
  return pattern === "off" ? "green" : COLOURS[pattern];
}
