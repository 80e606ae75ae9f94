// What the front panel needs to know of a unit, read from its shared tables alone. Rows are read while the dataplane writes them: a
// torn row would be a lamp that is wrong for a fifth of a second.

import { EVENT_NAMES, type EventName } from "../../fastpath/event-kinds.ts";
import { word } from "../../fastpath/memory/layout.ts";
import {
  EVENT_TABLE,
  headerWord,
  MEMBER_STATE_NAMES,
  MEMBERS,
  PORT_STATE_NAMES,
  PORT_TABLE,
  ROLE_NAMES,
  type Tables,
  TWIN_PATH_ONE_OF_TWO,
} from "../../fastpath/memory/tables.ts";
import { EVENTS, PORTS, UNITS } from "../../limits.ts";

/** Dataplanes breathe each 5 ms; a restart takes less than half of this. */
export const BREATH_SILENT_MICROS = 1_000_000;
/** What happened is news for so long. */
export const RECENT_MICROS = 60_000_000;
/** A replica further behind than this is being caught up. */
const LAG_MICROS_MOST = 1_000_000;

const H_UNIT = headerWord("unit");
const H_ROLE = headerWord("role");
const H_HEALTH = headerWord("health");
const H_CLEAN = headerWord("clean");
const H_EVENT_HEAD = headerWord("eventHead");
const H_BREATH_F64 = headerWord("breathAt") >> 1;
const H_STARTED_F64 = headerWord("startedAt") >> 1;
const at = (name: string): number => word(MEMBERS, name);
const M = {
  unit: at("unit"),
  state: at("state"),
  successor: at("successor"),
  lagMicros: at("lagMicros"),
  sweeping: at("sweeping"),
  digestsEqual: at("digestsEqual"),
  heartbeats: at("heartbeatsReceived") >> 1,
  associated: at("associated"),
  twinPath: at("twinPath"),
};
const P_NUMBER = word(PORT_TABLE, "number");
const P_STATE = word(PORT_TABLE, "state");
const E_KIND = word(EVENT_TABLE, "kind");
const E_AT_F64 = word(EVENT_TABLE, "at") >> 1;

export interface PeerLook {
  readonly unit: number;
  readonly state: (typeof MEMBER_STATE_NAMES)[number];
  readonly isAssociated: boolean;
  /** Its copy of our sessions, or ours of its, is not complete yet. */
  readonly isBehind: boolean;
  /** There are two twin links to it, and one of them does not work. */
  readonly isOneLinkDown: boolean;
  /** This unit took over from it. */
  readonly isSucceeded: boolean;
}

/** The tables that a look needs: all that lie before the sessions. */
export type PanelTables = Pick<Tables, "header" | "members" | "ports" | "events">;

export interface Look {
  /** False when no manager of the unit runs: then nobody keeps its lamps. */
  readonly isAttended: boolean;
  /** The dataplane has opened its ports at least once since the tables were made. */
  readonly hasStarted: boolean;
  readonly isBreathing: boolean;
  readonly wasStopped: boolean;
  readonly role: (typeof ROLE_NAMES)[number];
  /** HEALTH_* of memory/health.ts. */
  readonly health: number;
  readonly ports: readonly (typeof PORT_STATE_NAMES)[number][];
  /** The other unit of this site, if there is one. */
  readonly mates: readonly PeerLook[];
  /** The units of the other site. */
  readonly twins: readonly PeerLook[];
  /** Heartbeats received from the other site since start. */
  readonly heartbeats: number;
  /** Events of the last minute, by kind. */
  readonly recent: ReadonlyMap<EventName, number>;
}

/** A look at the tables; undefined: there are none (yet). `nowMicros`: the tables' clock. */
export function lookAt(tables: PanelTables | undefined, nowMicros: number, isAttended: boolean): Look {
  if (tables === undefined) return { ...NOTHING, isAttended };
  const { i, f } = tables.header;
  const own = i[H_UNIT] as number;
  const peers = peersOf(tables, own);
  const twins = peers.filter((peer) => siteOf(peer.unit) !== siteOf(own));
  return {
    isAttended,
    hasStarted: (f[H_STARTED_F64] as number) > 0,
    isBreathing: nowMicros - (f[H_BREATH_F64] as number) < BREATH_SILENT_MICROS,
    wasStopped: i[H_CLEAN] === 1,
    role: ROLE_NAMES[(i[H_ROLE] as number) & 0xff] ?? "none",
    health: i[H_HEALTH] as number,
    ports: portsOf(tables),
    mates: peers.filter((peer) => siteOf(peer.unit) === siteOf(own)),
    twins,
    heartbeats: twins.reduce((sum, peer) => sum + (tables.members.f[((peer.unit * tables.members.strideWords) >> 1) + M.heartbeats] as number), 0),
    recent: recentEvents(tables, nowMicros),
  };
}

const NOTHING: Omit<Look, "isAttended"> = {
  hasStarted: false,
  isBreathing: false,
  wasStopped: false,
  role: "none",
  health: 0,
  ports: [],
  mates: [],
  twins: [],
  heartbeats: 0,
  recent: new Map(),
};

function siteOf(unit: number): number {
  return (unit - 1) >> 1;
}

function peersOf({ members }: PanelTables, own: number): PeerLook[] {
  const { i, strideWords } = members;
  const peers: PeerLook[] = [];
  for (let unit = 1; unit < UNITS; unit++) {
    const row = unit * strideWords;
    if (unit === own || i[row + M.unit] !== unit) continue;
    peers.push({
      unit,
      state: MEMBER_STATE_NAMES[(i[row + M.state] as number) & 0xff] ?? "absent",
      isAssociated: i[row + M.associated] === 1,
      isBehind: i[row + M.sweeping] === 1 || (i[row + M.lagMicros] as number) > LAG_MICROS_MOST || i[row + M.digestsEqual] !== 1,
      isOneLinkDown: i[row + M.twinPath] === TWIN_PATH_ONE_OF_TWO,
      isSucceeded: i[row + M.successor] === own,
    });
  }
  return peers;
}

function portsOf({ ports }: PanelTables): (typeof PORT_STATE_NAMES)[number][] {
  const { i, strideWords } = ports;
  const states: (typeof PORT_STATE_NAMES)[number][] = [];
  for (let number = 0; number < PORTS; number++) {
    if (i[number * strideWords + P_NUMBER] !== number) continue;
    states.push(PORT_STATE_NAMES[(i[number * strideWords + P_STATE] as number) & 0xff] ?? "down");
  }
  return states;
}

function recentEvents({ header, events }: PanelTables, nowMicros: number): Map<EventName, number> {
  const { i, f, strideWords } = events;
  const recent = new Map<EventName, number>();
  const head = header.i[H_EVENT_HEAD] as number;
  for (let back = 1; back <= EVENTS; back++) {
    const row = ((head - back) & (EVENTS - 1)) * strideWords;
    const happenedAt = f[(row >> 1) + E_AT_F64] as number;
    if (happenedAt === 0 || nowMicros - happenedAt > RECENT_MICROS) break;
    const kind = EVENT_NAMES[i[row + E_KIND] as number] ?? "none";
    recent.set(kind, (recent.get(kind) ?? 0) + 1);
  }
  return recent;
}
