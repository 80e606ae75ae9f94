// What the link shows of itself: its part of the member rows, its counters, its events. It only ever writes.

import { eventKind } from "../fastpath/event-kinds.ts";
import type { EventRing } from "../fastpath/events.ts";
import { word } from "../fastpath/memory/layout.ts";
import { counterRow, MEMBERS, PATH_TABLE, type Tables, TWIN_PATH_DOWN, TWIN_PATH_ONE_OF_TWO, TWIN_PATH_UP } from "../fastpath/memory/tables.ts";
import type { Port } from "../hal/contracts.ts";
import { UNITS } from "../limits.ts";
import { PATH_TWIN, PATHS } from "./frame.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Paths } from "./paths.ts";

const MEMBER_WORDS = MEMBERS.strideWords;
const M_LAST_HEARD = word(MEMBERS, "lastHeard");
const M_TWIN_PATH = word(MEMBERS, "twinPath");
const M_DATA_PATH = word(MEMBERS, "dataPath");
const M_ROUND_TRIP = word(MEMBERS, "roundTrip");
const M_HEARTBEATS_F64 = word(MEMBERS, "heartbeatsReceived") >> 1;
const M_REJECTED_F64 = word(MEMBERS, "framesRejected") >> 1;
const M_ASSOCIATED = word(MEMBERS, "associated");
const M_MTU = word(MEMBERS, "mtu");
const PATH_WORDS = PATH_TABLE.strideWords;
const P_UNIT = word(PATH_TABLE, "unit");
const P_PATH = word(PATH_TABLE, "path");
const P_UP = word(PATH_TABLE, "up");
const P_ROUND_TRIP = word(PATH_TABLE, "roundTrip");
const P_LOSS = word(PATH_TABLE, "loss");
const P_MTU = word(PATH_TABLE, "mtu");
const TWIN_REFUSED = counterRow("twin-refused");
const FRAMES_SEALED = counterRow("frames-sealed");
const FRAMES_OPENED = counterRow("frames-opened");
const FRAMES_REJECTED = counterRow("frames-rejected");

const EVENT_ASSOCIATED = eventKind("peer-associated");
const EVENT_LOST = eventKind("peer-lost");
const EVENT_PATH_UP = eventKind("path-up");
const EVENT_PATH_DOWN = eventKind("path-down");
const EVENT_KEY_REJECTED = eventKind("key-rejected");
const EVENT_DIFFERS = eventKind("agreement-differs");
const EVENT_REJECTED = eventKind("frames-rejected");

/** The same complaint about a peer is repeated this often at most. */
const COMPLAINT_MICROS = 10_000_000;

export interface LinkReportParts {
  readonly tables: Pick<Tables, "members" | "paths" | "counters">;
  readonly notes: Pick<EventRing, "note">;
  readonly paths: Paths;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** Number of the twin port. */
  readonly twinPort: number;
}

export class LinkReport {
  private readonly i: Int32Array;
  private readonly f: Float64Array;
  private readonly pathRows: Int32Array;
  private readonly counters: Float64Array;
  private readonly notes: Pick<EventRing, "note">;
  private readonly paths: Paths;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly twinPort: number;
  /** By unit: when each complaint may be made again. */
  private readonly keyDue = new Float64Array(UNITS);
  private readonly differsDue = new Float64Array(UNITS);
  private readonly rejectedDue = new Float64Array(UNITS);
  private readonly rejectedTold = new Float64Array(UNITS);
  private countedSealed = 0;
  private countedRefused = 0;
  private countedOpened = 0;
  private countedRejected = 0;

  constructor(parts: LinkReportParts) {
    this.i = parts.tables.members.i;
    this.f = parts.tables.members.f;
    this.pathRows = parts.tables.paths.i;
    this.counters = parts.tables.counters.f;
    this.notes = parts.notes;
    this.paths = parts.paths;
    this.inbox = parts.inbox;
    this.outbox = parts.outbox;
    this.twinPort = parts.twinPort;
    // What an earlier start on these tables agreed with whom is nothing to this one.
    for (let unit = 0; unit < UNITS; unit++) {
      this.i[unit * MEMBER_WORDS + M_ASSOCIATED] = 0;
      this.i[unit * MEMBER_WORDS + M_TWIN_PATH] = TWIN_PATH_DOWN;
      this.i[unit * MEMBER_WORDS + M_DATA_PATH] = 0;
    }
  }

  linked(unit: number, isLinked: boolean, nowMicros: number): void {
    this.i[unit * MEMBER_WORDS + M_ASSOCIATED] = isLinked ? 1 : 0;
    this.notes.note(isLinked ? EVENT_ASSOCIATED : EVENT_LOST, nowMicros, unit, -1, 0);
  }

  /** A path came up or went down. `twinLinks`: how many twin paths the two units have between them. */
  path(unit: number, path: number, isUp: boolean, twinLinks: number, nowMicros: number): void {
    const working = this.paths.workingTwins(unit);
    this.i[unit * MEMBER_WORDS + M_TWIN_PATH] = working === 0 ? TWIN_PATH_DOWN : working < twinLinks ? TWIN_PATH_ONE_OF_TWO : TWIN_PATH_UP;
    this.i[unit * MEMBER_WORDS + M_DATA_PATH] = this.paths.isAnyDataPathUp(unit) ? 1 : 0;
    this.notes.note(isUp ? EVENT_PATH_UP : EVENT_PATH_DOWN, nowMicros, unit, path === PATH_TWIN ? this.twinPort : path - 1, 0);
  }

  mtu(unit: number, mtuBytes: number): void {
    this.i[unit * MEMBER_WORDS + M_MTU] = mtuBytes;
  }

  heartbeat(unit: number): void {
    const at = unit * (MEMBER_WORDS >> 1) + M_HEARTBEATS_F64;
    this.f[at] = (this.f[at] as number) + 1;
  }

  keyRejected(unit: number, nowMicros: number): void {
    if (nowMicros < (this.keyDue[unit] as number)) return;
    this.keyDue[unit] = nowMicros + COMPLAINT_MICROS;
    this.notes.note(EVENT_KEY_REJECTED, nowMicros, unit, -1, 0);
  }

  agreementDiffers(unit: number, nowMicros: number): void {
    if (nowMicros < (this.differsDue[unit] as number)) return;
    this.differsDue[unit] = nowMicros + COMPLAINT_MICROS;
    this.notes.note(EVENT_DIFFERS, nowMicros, unit, -1, 0);
  }

  /** With each beat: what changes all the time. */
  tell(unit: number, nowMicros: number): void {
    const at = unit * MEMBER_WORDS;
    const heard = this.paths.lastHeard(unit);
    this.i[at + M_LAST_HEARD] = heard > 0 ? (heard / 1000) | 0 : 0;
    this.i[at + M_ROUND_TRIP] = this.paths.roundTripMicros[unit] as number;
    for (let path = 0; path < PATHS; path = (path + 1) | 0) this.tellPath(unit, path);
    const rejected = this.inbox.rejected[unit] as number;
    this.f[(at >> 1) + M_REJECTED_F64] = rejected;
    const since = rejected - (this.rejectedTold[unit] as number);
    if (since === 0 || nowMicros < (this.rejectedDue[unit] as number)) return;
    this.rejectedDue[unit] = nowMicros + COMPLAINT_MICROS;
    this.rejectedTold[unit] = rejected;
    this.notes.note(EVENT_REJECTED, nowMicros, unit, -1, since);
  }

  private tellPath(unit: number, path: number): void {
    const { paths } = this;
    if ((paths.ports[path] ?? null) === null) return;
    const cell = unit * PATHS + path;
    const at = cell * PATH_WORDS;
    this.pathRows[at + P_UNIT] = unit;
    this.pathRows[at + P_PATH] = path;
    this.pathRows[at + P_UP] = paths.isUp(unit, path) ? 1 : 0;
    this.pathRows[at + P_ROUND_TRIP] = paths.pathRoundTripMicros[cell] as number;
    this.pathRows[at + P_LOSS] = Math.round((paths.loss[cell] as number) * 1_000);
    this.pathRows[at + P_MTU] = paths.isTwin(path) ? (paths.mtuBytes[cell] as number) : (paths.ports[path] as Port).mtuBytes;
  }

  /** With each beat: adds what happened since the last one to the unit's counters, which outlive this start. */
  count(): void {
    const { inbox, outbox, counters } = this;
    let rejected = 0;
    for (let unit = 0; unit < UNITS; unit = (unit + 1) | 0) rejected += inbox.rejected[unit] as number;
    counters[FRAMES_SEALED] = (counters[FRAMES_SEALED] as number) + outbox.framesSealed - this.countedSealed;
    counters[FRAMES_OPENED] = (counters[FRAMES_OPENED] as number) + inbox.framesOpened - this.countedOpened;
    counters[FRAMES_REJECTED] = (counters[FRAMES_REJECTED] as number) + rejected - this.countedRejected;
    counters[TWIN_REFUSED] = (counters[TWIN_REFUSED] as number) + outbox.refused - this.countedRefused;
    this.countedRefused = outbox.refused;
    this.countedSealed = outbox.framesSealed;
    this.countedOpened = inbox.framesOpened;
    this.countedRejected = rejected;
  }
}
