// The lab that stays up: both units with the twin on, a little asymmetric traffic, and a status line each second.

import { setTimeout as pause } from "node:timers/promises";
import { exchangeWith } from "./hosts.ts";
import { IS_FORWARDING, type Lab, peerOf, startLab, stopLab } from "./lab.ts";
import { LAB_UNITS, type LabUnit, SERVICE3 } from "./picture.ts";
import type { Screen } from "./screen.ts";
import type { UnitDriver } from "./unit.ts";

const CONVERSATIONS_PER_SECOND = 10;
const FOR_EVER = 1_000_000_000;

interface Sample {
  readonly atMillis: number;
  readonly packets: number;
}

/** One unit in few words, so that both fit a line of 80: `A1: 24 sessions, 120/s, B1 alive`. */
function describe(lab: Lab, name: LabUnit, last: Map<LabUnit, Sample>): string {
  const unit = lab.units[name];
  try {
    if (unit.number(IS_FORWARDING) === 0) return `${name}: starting`;
    const now = { atMillis: performance.now(), packets: unit.counter("forwarded") + unit.counter("handed-off") };
    const before = last.get(name) ?? now;
    last.set(name, now);
    const seconds = Math.max(0.001, (now.atMillis - before.atMillis) / 1_000);
    const rate = Math.max(0, Math.round((now.packets - before.packets) / seconds));
    const peer = unit.query(`SELECT state, lag_rows FROM members WHERE unit = '${peerOf(name)}'`)[0];
    const lag = Number(peer?.["lag_rows"] ?? 0);
    const sessions = unit.number("SELECT sessions_live FROM live_header");
    return `${name}: ${sessions} sessions, ${rate.toLocaleString("en-US")}/s, ${peerOf(name)} ${peer?.["state"] ?? "unknown"}${lag > 0 ? `, lag ${lag}` : ""}`;
  } catch (error) {
    return `${name}: ${(error as Error).message.split("\n")[0]}`;
  }
}

/** How to look inside; `enter` works from another terminal. */
function showHints(screen: Screen, lab: Lab): void {
  const hints: readonly (readonly [string, string])[] = [
    ["npm run -s enter -- service1", "a shell on a host: service1, service3, user, router, A1, B1"],
    ["npm run -s enter -- service1 curl -o /dev/null http://10.3.0.10:8080/bytes/67108864", "a download, replies through B"],
    ["npm run -s enter -- twinwall --unit A1 sessions", "A1's sessions; also status, counters, events; or --unit B1"],
    ["npm run -s enter -- A1 sh -c 'kill -9 $(cat /run/twinwall/A1/dataplane.pid)'", "an accident: A1's dataplane dies, is restarted, and keeps its sessions"],
  ];
  screen.line("");
  screen.line(screen.paint("bold", "The lab is up. In another terminal:"));
  for (const [command, meaning] of hints) screen.line(`  ${command}\n      ${screen.paint("dim", meaning)}`);
  screen.line("The line below: each unit's sessions and packets per second, and what it thinks of the other.");
  screen.line(`The units' logs lie in ${LAB_UNITS.map((name) => lab.units[name].logFile).join(" and ")} inside. Ctrl-C ends it and leaves nothing behind.`);
  screen.line("");
}

/** Runs until `stopped` resolves. */
export async function runLive(screen: Screen, driver: UnitDriver | undefined, stopped: Promise<void>): Promise<void> {
  const lab = await startLab({ wiring: "routed", twin: true }, driver, (text) => screen.line(text));
  showHints(screen, lab);
  void exchangeWith("service1", "tcp", SERVICE3.address4, { count: FOR_EVER, concurrency: 1, pauseMillis: 1_000 / CONVERSATIONS_PER_SECOND });
  const last = new Map<LabUnit, Sample>();
  let isOver = false;
  void stopped.then(() => {
    isOver = true;
  });
  while (!isOver) {
    screen.status(LAB_UNITS.map((name) => describe(lab, name, last)).join(" | "));
    await Promise.race([pause(1_000), stopped]);
  }
  screen.line("The lab ends.");
  stopLab();
}
