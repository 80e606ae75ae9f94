// The lab that stays up: both units with the twin on, a little asymmetric traffic, and the units' front panels as they are.
//
//   A1   STATUS ●   HA ●   TWIN ◉   ALARM ○   24 sessions, 120/s, B1 alive
//   B1   STATUS ●   HA ●   TWIN ◉   ALARM ○   24 sessions, 118/s, A1 alive

import { setTimeout as pause } from "node:timers/promises";
import { LAMP_NAMES, type LampName } from "../../board/board.ts";
import type { LampPattern } from "../../firmware/hal/contracts.ts";
import { lookNow } from "../../firmware/manager/console/panel.ts";
import { lampRow } from "../../firmware/manager/panel/drawing.ts";
import { type LampStates, situationsOf } from "../../firmware/manager/panel/situations.ts";
import type { Places } from "../../firmware/manager/places.ts";
import { exchangeWith } from "./hosts.ts";
import { IS_FORWARDING, type Lab, peerOf, startLab, stopLab } from "./lab.ts";
import { LAB_UNITS, type LabUnit, SERVICE3 } from "./picture.ts";
import type { Screen } from "./screen.ts";
import type { UnitDriver } from "./unit.ts";

const FRAME_MILLIS = 100;
const LOOK_MILLIS = 500;
const SECOND_MILLIS = 1_000;
const CONVERSATIONS_PER_SECOND = 10;
const FOR_EVER = 1_000_000_000;

interface Sample {
  readonly atMillis: number;
  readonly packets: number;
}

/** One unit in few words: `24 sessions, 120/s, B1 alive`. */
function describe(lab: Lab, name: LabUnit, last: Map<LabUnit, Sample>): string {
  const unit = lab.units[name];
  try {
    if (unit.number(IS_FORWARDING) === 0) return "starting";
    const now = { atMillis: performance.now(), packets: unit.counter("forwarded") + unit.counter("handed-off") };
    const before = last.get(name) ?? now;
    last.set(name, now);
    const seconds = Math.max(0.001, (now.atMillis - before.atMillis) / 1_000);
    const rate = Math.max(0, Math.round((now.packets - before.packets) / seconds));
    const peer = unit.query(`SELECT state, lag_rows FROM members WHERE unit = '${peerOf(name)}'`)[0];
    const lag = Number(peer?.["lag_rows"] ?? 0);
    const sessions = unit.number("SELECT sessions_live FROM live_header");
    return `${sessions} sessions, ${rate.toLocaleString("en-US")}/s, ${peerOf(name)} ${peer?.["state"] ?? "unknown"}${lag > 0 ? `, lag ${lag}` : ""}`;
  } catch (error) {
    return `${(error as Error).message.split("\n")[0]}`;
  }
}

/** A unit's front panel, drawn so often that a terminal shows its lamps blink. */
class LivePanel {
  readonly unit: LabUnit;
  private readonly places: Places;
  private states: LampStates | undefined;
  private heartbeats = 0;
  private isHearing = false;
  private lookAt = 0;

  constructor(unit: LabUnit, places: Places) {
    this.unit = unit;
    this.places = places;
  }

  lines(nowMillis: number, words: string, isTerminal: boolean): string[] {
    if (this.states === undefined || nowMillis >= this.lookAt) this.look(nowMillis);
    const states = this.states as LampStates;
    const screen = { width: Number.POSITIVE_INFINITY, colours: isTerminal };
    const isLit = (lamp: LampName): boolean => !isTerminal || this.isLit(states[lamp].pattern, nowMillis);
    const trouble = LAMP_NAMES.map((lamp) => states[lamp]).find(({ pattern }) => pattern === "fast" || pattern === "slow");
    const meaning = trouble === undefined ? [] : [`     ${trouble.lamp.toUpperCase()}: ${trouble.meaning} ${trouble.remedy}`.trimEnd()];
    return [`${this.unit}   ${lampRow(states, screen, isLit)}   ${words}`, ...meaning];
  }

  private look(nowMillis: number): void {
    this.lookAt = nowMillis + LOOK_MILLIS;
    const look = lookNow(this.places, this.unit);
    this.states = situationsOf(look);
    this.isHearing = look.heartbeats > this.heartbeats;
    this.heartbeats = look.heartbeats;
  }

  private isLit(pattern: LampPattern, nowMillis: number): boolean {
    if (pattern === "flash") return this.isHearing && nowMillis % SECOND_MILLIS < FRAME_MILLIS * 2;
    if (pattern === "slow") return nowMillis % SECOND_MILLIS < SECOND_MILLIS / 2;
    return pattern !== "fast" || nowMillis % (FRAME_MILLIS * 2) < FRAME_MILLIS;
  }
}

/** How to look inside; `enter` works from another terminal. */
function showHints(screen: Screen, lab: Lab): void {
  const hints: readonly (readonly [string, string])[] = [
    ["npm run -s enter -- service1", "a shell on a host: service1, service3, user, router, A1, B1"],
    ["npm run -s enter -- service1 curl -o /dev/null http://10.3.0.10:8080/bytes/67108864", "a download, replies through B"],
    ["npm run -s enter -- twinwall --unit A1 sessions", "A1's sessions; also panel, status, counters, events; or --unit B1"],
    ["npm run -s enter -- A1 console", "a cable in A1's serial port; Ctrl-] pulls it"],
    ["npm run -s enter -- A1 sh -c 'kill -9 $(cat /run/twinwall/A1/dataplane.pid)'", "an accident: A1's dataplane dies, is restarted, and keeps its sessions"],
  ];
  screen.line("");
  screen.line(screen.paint("bold", "The lab is up. In another terminal:"));
  for (const [command, meaning] of hints) screen.line(`  ${command}\n      ${screen.paint("dim", meaning)}`);
  screen.line("Below: each unit's front panel (solid or flashing: good; 1 Hz: degraded; 5 Hz: act), its sessions, packets per second and peer.");
  screen.line(`The units' logs lie in ${LAB_UNITS.map((name) => lab.units[name].logFile).join(" and ")} inside. Ctrl-C ends it and leaves nothing behind.`);
  screen.line("");
}

/** Runs until `stopped` resolves. */
export async function runLive(screen: Screen, driver: UnitDriver | undefined, stopped: Promise<void>): Promise<void> {
  const lab = await startLab({ wiring: "routed", twin: true }, driver, (text) => screen.line(text));
  showHints(screen, lab);
  void exchangeWith("service1", "tcp", SERVICE3.address4, { count: FOR_EVER, concurrency: 1, pauseMillis: 1_000 / CONVERSATIONS_PER_SECOND });
  const panels = LAB_UNITS.map((name) => new LivePanel(name, lab.units[name].places));
  const last = new Map<LabUnit, Sample>();
  const described = new Map<LabUnit, string>();
  let describeAt = 0;
  let isOver = false;
  void stopped.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const nowMillis = performance.now();
    if (nowMillis >= describeAt) {
      describeAt = nowMillis + SECOND_MILLIS;
      for (const name of LAB_UNITS) described.set(name, describe(lab, name, last));
    }
    screen.replace(panels.flatMap((panel) => panel.lines(nowMillis, described.get(panel.unit) ?? "", screen.isTerminal)));
    await Promise.race([pause(screen.isTerminal ? FRAME_MILLIS : SECOND_MILLIS), stopped]);
  }
  screen.line("The lab ends.");
  stopLab();
}
