// A unit's tables in every situation that the front panel knows, by lamp and name.

import { type EventName, EventRing, eventKind } from "../../../firmware/fastpath/events.ts";
import { HEALTH_DISK, HEALTH_DRAINED, HEALTH_STALLS } from "../../../firmware/fastpath/memory/health.ts";
import { word } from "../../../firmware/fastpath/memory/layout.ts";
import {
  headerWord,
  MEMBER_STATE_NAMES,
  MEMBERS,
  PORT_STATE_NAMES,
  PORT_TABLE,
  ROLE_NAMES,
  type Tables,
  TWIN_PATH_ONE_OF_TWO,
} from "../../../firmware/fastpath/memory/tables.ts";
import type { Log } from "../../../firmware/manager/log.ts";
import { type Look, lookAt } from "../../../firmware/manager/panel/look.ts";
import { makeArea, NOW_MICROS } from "../../store/area.ts";

export { NOW_MICROS };

const A2 = 2;
const B1 = 3;
const B2 = 4;

type State = (typeof MEMBER_STATE_NAMES)[number];

/** Tables of A1: active, three ports up, B1 alive and equal. */
export function healthyTables(): Tables {
  const { tables } = makeArea(16);
  const words = PORT_TABLE.strideWords;
  for (let number = 0; number < 4; number++) tables.ports.i[number * words + word(PORT_TABLE, "number")] = number < 3 ? number : -1;
  for (let number = 0; number < 3; number++) setPort(tables, number, "up");
  setPeer(tables, B1, "alive");
  setMember(tables, B1, "heartbeatsReceived", 500);
  return tables;
}

export function setPort(tables: Tables, number: number, state: (typeof PORT_STATE_NAMES)[number]): void {
  tables.ports.i[number * PORT_TABLE.strideWords + word(PORT_TABLE, "state")] = PORT_STATE_NAMES.indexOf(state);
}

/** A peer in a state; one that lives is associated and equal. */
export function setPeer(tables: Tables, unit: number, state: State): void {
  setMember(tables, unit, "unit", unit);
  setMember(tables, unit, "state", MEMBER_STATE_NAMES.indexOf(state) | (1 << 8));
  setMember(tables, unit, "associated", state === "alive" || state === "rejoining" ? 1 : 0);
  setMember(tables, unit, "digestsEqual", 1);
}

export function setMember(tables: Tables, unit: number, field: string, value: number): void {
  const { members } = tables;
  const at = unit * members.strideWords + word(MEMBERS, field);
  if (field === "heartbeatsReceived") members.f[at >> 1] = value;
  else members.i[at] = value;
}

export function setHeader(tables: Tables, field: string, value: number): void {
  tables.header.i[headerWord(field)] = value;
}

export function setRole(tables: Tables, role: (typeof ROLE_NAMES)[number]): void {
  setHeader(tables, "role", ROLE_NAMES.indexOf(role));
}

export function setBreath(tables: Tables, atMicros: number): void {
  tables.header.f[headerWord("breathAt") >> 1] = atMicros;
}

/** An event some seconds ago. */
export function happen(tables: Tables, kind: EventName, secondsAgo: number): void {
  new EventRing(tables).note(eventKind(kind), NOW_MICROS - secondsAgo * 1_000_000, B1, -1, 1);
}

function changed(change: (tables: Tables) => void): Look {
  const tables = healthyTables();
  change(tables);
  return lookAt(tables, NOW_MICROS, true);
}

const dies = (tables: Tables): void => setBreath(tables, NOW_MICROS - 1_000_001);
const twinIs = (state: State) => changed((tables) => setPeer(tables, B1, state));
const mateIs = (state: State) => changed((tables) => setPeer(tables, A2, state));

/** By `lamp name`: a look at a unit in that situation. */
export const SITUATIONS_STAGED: Readonly<Record<string, Look>> = {
  "status unattended": lookAt(healthyTables(), NOW_MICROS, false),
  "status stopped": changed((tables) => {
    setHeader(tables, "clean", 1);
    dies(tables);
  }),
  "status starting": lookAt(undefined, NOW_MICROS, true),
  "status dataplane-dead": changed(dies),
  "status fail-closed": changed((tables) => setRole(tables, "fail-closed")),
  "status rejoining": changed((tables) => setRole(tables, "rejoining")),
  "status port-down": changed((tables) => setPort(tables, 1, "down")),
  "status disk": changed((tables) => setHeader(tables, "health", HEALTH_DISK)),
  "status stalls": changed((tables) => setHeader(tables, "health", HEALTH_STALLS)),
  "status good": changed(() => undefined),

  "ha down": changed(dies),
  "ha mate-partitioned": mateIs("partitioned"),
  "ha mate-dead": mateIs("dead"),
  "ha drained": changed((tables) => setHeader(tables, "health", HEALTH_DRAINED)),
  "ha took-over": changed((tables) => {
    setPeer(tables, B1, "dead");
    setMember(tables, B1, "successor", 1);
  }),
  "ha rejoining": changed((tables) => setRole(tables, "rejoining")),
  "ha standby": changed((tables) => setRole(tables, "standby")),
  "ha active": changed(() => undefined),

  "twin down": changed(dies),
  "twin no-twin": changed((tables) => setMember(tables, B1, "unit", 0)),
  "twin key-differs": changed((tables) => {
    setPeer(tables, B1, "absent");
    happen(tables, "key-rejected", 30);
  }),
  "twin agreement-differs": changed((tables) => {
    setPeer(tables, B1, "absent");
    happen(tables, "agreement-differs", 30);
  }),
  "twin partitioned": twinIs("partitioned"),
  "twin dead": twinIs("dead"),
  "twin unit-dead": changed((tables) => setPeer(tables, B2, "dead")),
  "twin absent": twinIs("absent"),
  "twin link-down": changed((tables) => setMember(tables, B1, "twinPath", TWIN_PATH_ONE_OF_TWO)),
  "twin catching-up": changed((tables) => setMember(tables, B1, "sweeping", 1)),
  "twin good": changed(() => undefined),

  "alarm down": changed(dies),
  "alarm table-full": changed((tables) => happen(tables, "table-full", 59)),
  "alarm port-gone": changed((tables) => setPort(tables, 2, "gone")),
  "alarm replicas-refused": changed((tables) => happen(tables, "refused", 1)),
  "alarm flood": changed((tables) => happen(tables, "half-open-limit", 1)),
  "alarm forged": changed((tables) => {
    happen(tables, "frames-rejected", 11);
    happen(tables, "frames-rejected", 1);
  }),
  "alarm none": changed((tables) => {
    happen(tables, "table-full", 61);
    happen(tables, "frames-rejected", 1); // Once: a peer restarted.
  }),
};

/** A log that keeps `severity code: text`. */
export function keptLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, note: (severity, code, text) => void lines.push(`${severity} ${code}: ${text}`) };
}
