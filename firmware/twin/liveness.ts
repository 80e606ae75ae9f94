// Who lives. A peer is
//
//   absent        not heard since this start
//   alive         the twin path, or one of two, works both ways
//   dead          silent on every path, an independent one that worked until then included, while we still reach somebody else
//   partitioned   everything else: heard on a data path only, heard but not hearing us, or silent for a reason that may be ours
//
//               twin path up                    silent, independent path fell silent with it, we reach others
//   absent ────────────────────► alive ─────────────────────────────────────────────────────► dead
//                                 ▲ │ twin path down, or silent otherwise                        ▲
//                                 │ ▼                                                           │ the same, later
//                              partitioned ──────────────────────────────────────────────────────┘
//
// "Somebody else" is a monitored address or another peer. Two units without any monitored address have no third party to
// ask: there, silence on the twin path and on a data path whose port is still up here is a death. Cutting all links at the
// same moment looks the same from both sides; whoever fears that configures a monitored address.
//
// The judgement is made once, when the silence begins: what is reached again later may be our own return from isolation.

import { eventKind } from "../fastpath/event-kinds.ts";
import type { EventRing } from "../fastpath/events.ts";
import { MEMBER_STATE_NAMES } from "../fastpath/memory/tables.ts";
import { RESTART_GRACE_MILLIS, UNITS } from "../limits.ts";
import type { PlannedPeer } from "../plan.ts";
import type { Paths } from "./paths.ts";

export const ABSENT = MEMBER_STATE_NAMES.indexOf("absent");
export const ALIVE = MEMBER_STATE_NAMES.indexOf("alive");
export const DEAD = MEMBER_STATE_NAMES.indexOf("dead");
export const PARTITIONED = MEMBER_STATE_NAMES.indexOf("partitioned");

const EVENT_DEAD = eventKind("peer-dead");
const EVENT_PARTITIONED = eventKind("peer-partitioned");
const EVENT_ALIVE = eventKind("peer-alive");
const EVENT_LOOP_GAP = eventKind("loop-gap");
const CHECK_MICROS = 1_000;

export interface LivenessOptions {
  readonly peers: readonly PlannedPeer[];
  readonly paths: Paths;
  readonly notes: Pick<EventRing, "note">;
  /**
   * Monitored addresses are configured: true when one of them answered within the detection time. Null: none is configured.
   */
  readonly reaches: (() => boolean) | null;
  readonly heartbeatMillis: number;
}

export class Liveness {
  /** Grows with each change of a state. */
  changes = 0;
  private readonly peers: Int32Array;
  private readonly paths: Paths;
  private readonly notes: Pick<EventRing, "note">;
  private readonly reaches: (() => boolean) | null;
  private readonly detectMicros: number;
  /** By unit. */
  private readonly states = new Uint8Array(UNITS);
  private readonly isSilent = new Uint8Array(UNITS);
  /** Since when it is heard without a working twin path; 0 = it is not so. */
  private readonly straysSince = new Float64Array(UNITS);
  private readonly graceUntil = new Float64Array(UNITS);
  /** When its manager said that its dataplane has ended and nobody need wait for it; 0 = it did not, or it was heard since. */
  private readonly endedAt = new Float64Array(UNITS);
  private readonly endMicros: number;
  private breathAt = -1;
  private checkDueMicros = 0;

  constructor(options: LivenessOptions) {
    this.peers = Int32Array.from(options.peers, (peer) => peer.unit);
    this.paths = options.paths;
    this.notes = options.notes;
    this.reaches = options.reaches;
    this.detectMicros = options.paths.detectMicros;
    this.endMicros = options.heartbeatMillis * 1_500;
  }

  /**
   * First thing in each breath, before anything is received. True: this unit stood still for more than half the detection
   * time; peers may have given it up, so it must discard its backlog and rejoin.
   */
  begin(nowMicros: number): boolean {
    const gapMicros = this.breathAt < 0 ? 0 : nowMicros - this.breathAt;
    this.breathAt = nowMicros;
    if (gapMicros <= this.detectMicros / 2) return false;
    // Frames that came meanwhile are read before anybody is judged; what our rings could not hold is our own fault.
    this.paths.forgive(gapMicros);
    for (let unit = 0; unit < UNITS; unit++) if (this.endedAt[unit] !== 0) this.endedAt[unit] = (this.endedAt[unit] as number) + gapMicros;
    this.notes.note(EVENT_LOOP_GAP, nowMicros, 0, -1, gapMicros);
    return true;
  }

  /**
   * Its manager says that the unit's dataplane ended and is being restarted. If somebody stands by (`isReplaced`) that is its death, as
   * soon as it has been silent for one and a half heartbeats: the notice may be late. Else silence means nothing for RESTART_GRACE_MILLIS.
   */
  restarting(unit: number, isReplaced: boolean, nowMicros: number): void {
    if (unit <= 0 || unit >= UNITS) return;
    if (isReplaced) this.endedAt[unit] = nowMicros;
    else this.graceUntil[unit] = nowMicros + RESTART_GRACE_MILLIS * 1000;
  }

  /** Its manager said so, and it was not heard since. */
  hasEnded(unit: number): boolean {
    return this.endedAt[unit] !== 0 && this.states[unit] === DEAD;
  }

  /** Each breath, after the link has received and looked at its paths. */
  tick(nowMicros: number): void {
    if (nowMicros < this.checkDueMicros) return;
    this.checkDueMicros = nowMicros + CHECK_MICROS;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) this.judge(this.peers[k] as number, nowMicros);
  }

  /** The twin path works both ways as of now: alive at once, not at the next look. */
  linked(unit: number, nowMicros: number): void {
    this.judge(unit, nowMicros);
  }

  /** ABSENT, ALIVE, DEAD or PARTITIONED. */
  state(unit: number): number {
    return this.states[unit] as number;
  }

  /** Heard on any path within the detection time. */
  isHeard(unit: number, nowMicros: number): boolean {
    return nowMicros - this.paths.lastHeard(unit) <= this.detectMicros;
  }

  private judge(unit: number, nowMicros: number): void {
    const endedAt = this.endedAt[unit] as number;
    if (endedAt !== 0 && this.paths.lastHeard(unit) > endedAt) this.endedAt[unit] = 0;
    else if (endedAt !== 0) {
      if (nowMicros - endedAt < this.endMicros) return;
      this.isSilent[unit] = 1;
      this.straysSince[unit] = 0;
      this.become(unit, DEAD, nowMicros);
      return;
    }
    if (this.paths.isTwinUp(unit)) {
      this.isSilent[unit] = 0;
      this.straysSince[unit] = 0;
      this.become(unit, ALIVE, nowMicros);
      return;
    }
    if (nowMicros < (this.graceUntil[unit] as number)) return;
    if (this.isHeard(unit, nowMicros)) {
      this.isSilent[unit] = 0;
      if (this.straysSince[unit] === 0) this.straysSince[unit] = nowMicros;
      // Paths fall silent a heartbeat apart, and a restarted peer needs a moment for its keys.
      if (nowMicros - (this.straysSince[unit] as number) >= this.detectMicros / 2) this.become(unit, PARTITIONED, nowMicros);
      return;
    }
    this.straysSince[unit] = 0;
    if (this.isSilent[unit] === 1) return;
    this.isSilent[unit] = 1;
    const state = this.states[unit];
    if (state === ALIVE || state === PARTITIONED) this.become(unit, this.isDeath(unit) ? DEAD : PARTITIONED, nowMicros);
  }

  /** The peer has just fallen silent on every path: is it the peer, or may it be us or what lies between? */
  private isDeath(unit: number): boolean {
    // A path counts as up for a detection time after its last sign of life, hence "until then" is "not before".
    if (this.paths.lastIndependentUp(unit) < this.paths.lastHeard(unit)) return false;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const other = this.peers[k] as number;
      if (other !== unit && this.paths.isTwinUp(other)) return true;
    }
    return this.reaches === null || this.reaches();
  }

  private become(unit: number, state: number, nowMicros: number): void {
    if (this.states[unit] === state) return;
    this.states[unit] = state;
    this.changes = (this.changes + 1) | 0;
    const silentMillis = Math.round((nowMicros - this.paths.lastHeard(unit)) / 1000);
    const kind = state === ALIVE ? EVENT_ALIVE : state === DEAD ? EVENT_DEAD : EVENT_PARTITIONED;
    this.notes.note(kind, nowMicros, unit, -1, state === DEAD ? silentMillis : 0);
  }
}
