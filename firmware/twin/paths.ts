// What is known of each path to each peer: the twin port, a second one where the board has it, and every data port. A path is up
// only if both ways work:
//
//   heardAt    an authenticated frame of the peer came in on this port           its way to us works
//   echoedAt   it told, on any path, that it had heard our heartbeat on this one  our way to it works
//
// Heartbeats echo the last sequence heard on every path of the receiver, with the time since, so that one path's failure
// is known at once as long as another works, and the twin path's round trip follows without synchronised clocks.
//
// Of two twin paths the better one carries everything but heartbeats: it works, its last signs of life are not overdue, it loses
// less, its round trip is shorter. The last two are looked at with each heartbeat, and a small difference moves nothing.

import type { Port } from "../hal/contracts.ts";
import { PORT_UP } from "../hal/contracts.ts";
import { UNITS } from "../limits.ts";
import { B_ECHO, ECHO_BYTES, PATH_TWIN, PATHS } from "./frame.ts";

/** Send times of the last heartbeats on each path, per peer; a power of two. */
const SENT = 64;
/** Heartbeats that the loss is reckoned over. */
const LOSS_MEMORY = 64;
const NEVER = Number.NEGATIVE_INFINITY;
const CELLS = UNITS * PATHS;
/** Of two twin paths that both work the other one is better if it loses so much less (0..1) … */
const LOSS_MARGIN = 1 / 32;
/** … or loses no more, and its round trip is so much shorter. */
const ROUND_TRIP_SHARE = 3 / 4;

export class Paths {
  readonly detectMicros: number;
  /** Paths that this unit has, by number: its port, or null. */
  readonly ports: readonly (Port | null)[];
  /** The twin port's path, and the second one's if there is one. */
  readonly twinPaths: Int32Array;
  /** By unit: the twin path that its frames take. */
  readonly best = new Int32Array(UNITS).fill(PATH_TWIN);
  /** What frames may have, by unit × PATHS + path; twin paths only. */
  readonly mtuBytes = new Int32Array(CELLS);
  /** By unit × PATHS + path. */
  private readonly heardAt = new Float64Array(CELLS).fill(NEVER);
  private readonly echoedAt = new Float64Array(CELLS).fill(NEVER);
  private readonly up = new Uint8Array(CELLS);
  private readonly lastUpAt = new Float64Array(CELLS).fill(NEVER);
  private readonly sent = new Int32Array(CELLS);
  /** By unit × PATHS + path of the peer: last sequence heard and when. */
  private readonly sequenceHeard = new Int32Array(CELLS);
  private readonly sequenceHeardAt = new Float64Array(CELLS).fill(NEVER);
  private readonly sentAt = new Float64Array(CELLS * SENT);
  /** Smoothed round trip there and back on one path, by unit × PATHS + path; 0 = unknown. */
  readonly pathRoundTripMicros = new Float64Array(CELLS);
  /** Of the peer's heartbeats on this path, lately lost: 0..1. */
  readonly loss = new Float64Array(CELLS);
  /** Sequences sent when `mark` was called, and who has echoed a later one since. */
  private readonly marks = new Int32Array(CELLS);
  private readonly markEchoed = new Uint8Array(UNITS);
  /** Smoothed round trip of the best twin path by unit; 0 = unknown. */
  readonly roundTripMicros = new Float64Array(UNITS);

  /** `ports[PATH_TWIN]` is the twin port, `ports[1 + n]` port n, null where there is none. `second`: path of the second twin port, 0 = none. */
  constructor(ports: readonly (Port | null)[], detectMicros: number, second = 0) {
    this.ports = ports;
    this.detectMicros = detectMicros;
    this.twinPaths = second === 0 ? Int32Array.of(PATH_TWIN) : Int32Array.of(PATH_TWIN, second);
  }

  isTwin(path: number): boolean {
    return path === PATH_TWIN || (this.twinPaths.length === 2 && path === this.twinPaths[1]);
  }

  /** A twin path to the unit works both ways, as of the last `refresh`. */
  isTwinUp(unit: number): boolean {
    return this.workingTwins(unit) > 0;
  }

  /** Twin paths to the unit that work both ways, as of the last `refresh`. */
  workingTwins(unit: number): number {
    const first = this.up[unit * PATHS + PATH_TWIN] as number;
    return this.twinPaths.length === 2 ? first + (this.up[unit * PATHS + (this.twinPaths[1] as number)] as number) : first;
  }

  /** When a twin path to the unit last worked both ways; -Infinity = never. */
  lastTwinUp(unit: number): number {
    const last = this.lastUp(unit, PATH_TWIN);
    return this.twinPaths.length === 2 ? Math.max(last, this.lastUp(unit, this.twinPaths[1] as number)) : last;
  }

  /** After `refresh`: which twin path is the better one? `isBeatDue`: loss and round trip count too. True: it is another one than before. */
  choose(unit: number, isBeatDue: boolean, nowMicros: number): boolean {
    if (this.twinPaths.length < 2) return false;
    const path = this.best[unit] as number;
    const other = path === PATH_TWIN ? (this.twinPaths[1] as number) : PATH_TWIN;
    const ahead = this.grade(unit, other, nowMicros) - this.grade(unit, path, nowMicros);
    if (ahead < 0 || (ahead === 0 && !(isBeatDue && this.isBetter(unit * PATHS + other, unit * PATHS + path)))) return false;
    this.best[unit] = other;
    this.roundTripMicros[unit] = this.pathRoundTripMicros[unit * PATHS + other] as number;
    return true;
  }

  /** 0: does not work; 1: its signs of life are overdue; 2: it works. */
  private grade(unit: number, path: number, nowMicros: number): number {
    const port = this.ports[path] as Port | null;
    if (!this.isUp(unit, path) || port === null || port.state !== PORT_UP) return 0;
    const cell = unit * PATHS + path;
    return Math.min(this.heardAt[cell] as number, this.echoedAt[cell] as number) < nowMicros - this.detectMicros / 2 ? 1 : 2;
  }

  private isBetter(other: number, cell: number): boolean {
    const less = (this.loss[cell] as number) - (this.loss[other] as number);
    const known = this.pathRoundTripMicros[other] as number;
    if (Math.abs(less) >= LOSS_MARGIN) return less > 0;
    return known > 0 && known < (this.pathRoundTripMicros[cell] as number) * ROUND_TRIP_SHARE;
  }

  /** A new start of the peer: what the old one echoed means nothing. When it was last heard stays true. */
  restart(unit: number): void {
    const from = unit * PATHS;
    this.echoedAt.fill(NEVER, from, from + PATHS);
    this.sequenceHeard.fill(0, from, from + PATHS);
    this.sequenceHeardAt.fill(NEVER, from, from + PATHS);
    this.roundTripMicros[unit] = 0;
    this.pathRoundTripMicros.fill(0, from, from + PATHS);
    this.markEchoed[unit] = 0;
  }

  /** From now on, who has heard us since? */
  mark(): void {
    this.marks.set(this.sent);
    this.markEchoed.fill(0);
  }

  /** True when a heartbeat of `unit` echoed one that we sent after `mark`: what it says, it says knowing that we are back. */
  hasEchoedMark(unit: number): boolean {
    return this.markEchoed[unit] === 1;
  }

  /** An authenticated frame of `unit` came in on our path. */
  heard(unit: number, path: number, nowMicros: number): void {
    this.heardAt[unit * PATHS + path] = nowMicros;
  }

  /** Takes a heartbeat's sequence (sent on `peerPath`) and its echoes (body at `body`); `path`: where it came in. */
  beat(unit: number, peerPath: number, path: number, view: DataView, body: number, sequence: number, nowMicros: number): void {
    const theirs = unit * PATHS + peerPath;
    const ahead = (sequence - (this.sequenceHeard[theirs] as number)) | 0;
    if (ahead > 0) {
      this.countLoss(unit * PATHS + path, this.sequenceHeard[theirs] === 0 ? 0 : Math.min(ahead - 1, LOSS_MEMORY));
      this.sequenceHeard[theirs] = sequence;
      this.sequenceHeardAt[theirs] = nowMicros;
    }
    for (let mine = 0; mine < PATHS; mine = (mine + 1) | 0) {
      const at = body + B_ECHO + mine * ECHO_BYTES;
      const echo = view.getInt32(at);
      if (echo === 0) continue;
      const holdMicros = view.getUint32(at + 4);
      const cell = unit * PATHS + mine;
      const echoedAt = nowMicros - holdMicros;
      if (echoedAt > (this.echoedAt[cell] as number)) this.echoedAt[cell] = echoedAt;
      if (((echo - (this.marks[cell] as number)) | 0) > 0) this.markEchoed[unit] = 1;
      if (mine === path) this.measure(unit, path, echo, echoedAt);
    }
  }

  /** Draws the sequence of a heartbeat that is sent on `path` now. Never 0. */
  nextSequence(unit: number, path: number, nowMicros: number): number {
    const cell = unit * PATHS + path;
    const next = ((this.sent[cell] as number) + 1) | 0 || 1;
    this.sent[cell] = next;
    this.sentAt[cell * SENT + (next & (SENT - 1))] = nowMicros;
    return next;
  }

  /** Writes what was heard of `unit` on each of its paths into a heartbeat's body. */
  writeEchoes(view: DataView, body: number, unit: number, nowMicros: number): void {
    for (let path = 0; path < PATHS; path = (path + 1) | 0) {
      const cell = unit * PATHS + path;
      const at = body + B_ECHO + path * ECHO_BYTES;
      const holdMicros = nowMicros - (this.sequenceHeardAt[cell] as number);
      const isFresh = holdMicros < 0xffffffff;
      view.setInt32(at, isFresh ? (this.sequenceHeard[cell] as number) : 0);
      view.setUint32(at + 4, isFresh ? holdMicros : 0);
    }
  }

  /** True when both ways of the path worked within the detection time. */
  works(unit: number, path: number, nowMicros: number): boolean {
    const cell = unit * PATHS + path;
    const limit = nowMicros - this.detectMicros;
    return (this.heardAt[cell] as number) >= limit && (this.echoedAt[cell] as number) >= limit;
  }

  /** Brings the path's state up to date; 1: it came up, -1: it went down, 0: no change. */
  refresh(unit: number, path: number, nowMicros: number): number {
    const cell = unit * PATHS + path;
    const is = this.works(unit, path, nowMicros) ? 1 : 0;
    if (is === 1) this.lastUpAt[cell] = nowMicros;
    const change = is - (this.up[cell] as number);
    this.up[cell] = is;
    return change;
  }

  /** As of the last `refresh`. */
  isUp(unit: number, path: number): boolean {
    return this.up[unit * PATHS + path] === 1;
  }

  isAnyDataPathUp(unit: number): boolean {
    for (let path = 1; path < PATHS; path = (path + 1) | 0) if (this.up[unit * PATHS + path] === 1 && !this.isTwin(path)) return true;
    return false;
  }

  /** When the path last worked both ways; -Infinity = never. */
  lastUp(unit: number, path: number): number {
    return this.lastUpAt[unit * PATHS + path] as number;
  }

  /** When a data path whose port is up here last worked both ways: a cable that was pulled from us says nothing about a peer. */
  lastIndependentUp(unit: number): number {
    let last = NEVER;
    for (let path = 1; path < PATHS; path = (path + 1) | 0) {
      const port = this.ports[path];
      if (port === null || port === undefined || port.state !== PORT_UP || this.isTwin(path)) continue;
      const at = this.lastUpAt[unit * PATHS + path] as number;
      if (at > last) last = at;
    }
    return last;
  }

  /** When the unit was last heard on any path; -Infinity = never. */
  lastHeard(unit: number): number {
    let last = NEVER;
    for (let path = 0; path < PATHS; path = (path + 1) | 0) {
      const at = this.heardAt[unit * PATHS + path] as number;
      if (at > last) last = at;
    }
    return last;
  }

  /** This unit stood still: nobody could be heard meanwhile, so everybody gets the time back. */
  forgive(gapMicros: number): void {
    for (let cell = 0; cell < CELLS; cell = (cell + 1) | 0) {
      this.heardAt[cell] = (this.heardAt[cell] as number) + gapMicros;
      this.echoedAt[cell] = (this.echoedAt[cell] as number) + gapMicros;
      this.lastUpAt[cell] = (this.lastUpAt[cell] as number) + gapMicros;
    }
  }

  /** One heartbeat came, and `lost` before it did not: each counts for one in LOSS_MEMORY. */
  private countLoss(cell: number, lost: number): void {
    let loss = this.loss[cell] as number;
    for (let k = 0; k < lost; k = (k + 1) | 0) loss += (1 - loss) / LOSS_MEMORY;
    this.loss[cell] = loss - loss / LOSS_MEMORY;
  }

  private measure(unit: number, path: number, echo: number, echoedAtMicros: number): void {
    const cell = unit * PATHS + path;
    const latest = this.sent[cell] as number;
    const age = (latest - echo) | 0;
    if (age < 0 || age >= SENT) return;
    const sample = echoedAtMicros - (this.sentAt[cell * SENT + (echo & (SENT - 1))] as number);
    if (sample < 0) return;
    const known = this.pathRoundTripMicros[cell] as number;
    this.pathRoundTripMicros[cell] = known === 0 ? Math.max(sample, 1) : known + (sample - known) / 8;
    if (path === this.best[unit]) this.roundTripMicros[unit] = this.pathRoundTripMicros[cell] as number;
  }
}
