// `panel`: the lamps as they are now, with what they mean, and why the appliance was started last. Needs nothing but the unit's memory: it
// shows what the manager shows, and that no manager runs.

import { LAMP_NAMES } from "../../../board/board.ts";
import { lastResetOf } from "../last-reset.ts";
import { panelLines } from "../panel/drawing.ts";
import { type Look, lookAt } from "../panel/look.ts";
import { readPanelTables } from "../panel/read.ts";
import { colourOf, situationsOf } from "../panel/situations.ts";
import type { Places } from "../places.ts";
import { runningPid } from "../processes.ts";
import { pidFile } from "../run-dir.ts";
import type { Answer } from "./query.ts";

const NANOS_PER_MICRO = 1_000n;

/** A unit as its front panel sees it now. `unit`: its name, which its manager was started with. */
export function lookNow(places: Places, unit: string): Look {
  const nowMicros = Number(process.hrtime.bigint() / NANOS_PER_MICRO);
  return lookAt(readPanelTables(places.memoryFile), nowMicros, isAttended(places, unit));
}

function isAttended(places: Places, unit: string): boolean {
  return runningPid(pidFile({ path: places.directory }, "manager"), unit) !== 0;
}

/** `unit`: its name. */
export function panel(places: Places, unit: string): Answer {
  const states = situationsOf(lookNow(places, unit));
  const lastReset = lastResetOf(places.dataDirectory);
  const lamps = Object.fromEntries(
    LAMP_NAMES.map((lamp) => {
      const { name, pattern, meaning, remedy } = states[lamp];
      return [lamp, { situation: name, pattern, colour: pattern === "off" ? null : colourOf(pattern), meaning, remedy }];
    }),
  );
  return {
    json: { unit, lamps, lastReset: lastReset ?? null },
    lines: (screen) => [
      ...panelLines(unit, states, screen),
      ...(lastReset === undefined ? [] : [`Last reset: ${lastReset.sentence} Up again at ${lastReset.at}.`]),
    ],
  };
}
