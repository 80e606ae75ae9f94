// Who decides for an owner word (a unit in an incarnation). The fastpath asks for every packet of another unit's session, so
// the answers for present words are kept and brought up to date with each change.
//
//   succession records ─┐
//   incarnations heard ─┼─► resolve ─► here │ elsewhere │ adopt │ stop │ unknown
//   liveness ───────────┘
//
// It only knows; what is claimed, and when, is roles.ts' business.

import { word } from "../fastpath/memory/layout.ts";
import { headerWord, MEMBERS, type Tables } from "../fastpath/memory/tables.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE, OWNER_STOP, OWNER_UNKNOWN } from "../fastpath/partner.ts";
import { ownerUnit, ownerWord } from "../fastpath/sessions.ts";
import { UNITS } from "../limits.ts";
import type { Census } from "./census.ts";
import { ABSENT, ALIVE, DEAD, type Liveness } from "./liveness.ts";
import { Successions } from "./successions.ts";

const MEMBER_WORDS = MEMBERS.strideWords;
const M_UNIT = word(MEMBERS, "unit");
const M_INCARNATION = word(MEMBERS, "incarnation");
const M_TERM = word(MEMBERS, "term");
const M_SUCCESSOR = word(MEMBERS, "successor");
const H_INCARNATION = headerWord("incarnation");

/** Successions of successions are followed so far. */
const HOPS = 2 * UNITS;

export class Owners {
  incarnation: number;
  /** This unit's owner word. */
  me: number;
  readonly successions = new Successions();
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly census: Census;
  private readonly setting: number;
  private readonly header: Int32Array;
  private liveness: Liveness | null = null;
  /** As peers tell, by unit. */
  private readonly incarnations = new Float64Array(UNITS);
  private readonly incarnationsBefore = new Float64Array(UNITS);
  /** Owner words of units that came back in a later incarnation: somebody must succeed them. 0 = none. */
  readonly orphans = new Int32Array(UNITS);
  /** Owner words that were current when their units died; 0 = it lives. */
  readonly deadWords = new Int32Array(UNITS);
  /** Who decides for each unit's current owner word: recomputed at each change, read per packet. */
  private readonly currentWords = new Int32Array(UNITS);
  private readonly currentAnswers = new Int32Array(UNITS).fill(OWNER_UNKNOWN);

  /** `partition`: what happens to flows of a unit that cannot be reached and is not dead. `header.incarnation` holds ours. */
  constructor(unit: number, peers: Int32Array, census: Census, partition: "stop" | "local", header: Int32Array) {
    this.unit = unit;
    this.peers = peers;
    this.census = census;
    this.setting = partition === "local" ? OWNER_ADOPT : OWNER_STOP;
    this.header = header;
    this.incarnation = (header[H_INCARNATION] as number) >>> 0;
    this.me = ownerWord(unit, this.incarnation);
  }

  watch(liveness: Liveness): void {
    this.liveness = liveness;
  }

  /** OWNER_* | unit << 8. */
  disposition(owner: number): number {
    const unit = ownerUnit(owner);
    if (unit < UNITS && this.currentWords[unit] === owner) return this.currentAnswers[unit] as number;
    return this.resolve(owner);
  }

  /** A unit's owner word in its current incarnation; 0 = never heard of. */
  wordOf(unit: number): number {
    return this.currentWords[unit] as number;
  }

  /** Highest incarnation known of a unit; `Before`: known before its present start was accepted. */
  seen(unit: number): number {
    return this.incarnations[unit] as number;
  }

  seenBefore(unit: number): number {
    return this.incarnationsBefore[unit] as number;
  }

  greeted(unit: number): void {
    this.incarnationsBefore[unit] = this.incarnations[unit] as number;
  }

  /** A peer knows of this incarnation of ours. */
  seenByPeer(seen: number): void {
    if (seen > (this.incarnations[this.unit] as number)) this.incarnations[this.unit] = seen;
  }

  /** A peer's incarnation, as it says; false when it is not new. A later one leaves rows of the earlier one behind. */
  learn(unit: number, incarnation: number): boolean {
    const known = this.incarnations[unit] as number;
    if (incarnation <= known) return false;
    this.incarnations[unit] = incarnation;
    if (known !== 0 && this.successions.follow(ownerWord(unit, known)) === 0) this.orphans[unit] = ownerWord(unit, known);
    return true;
  }

  /** A peer's state may have changed: who died, in which incarnation? One that comes back in a later one did not die in that. */
  lookAt(unit: number): void {
    if ((this.liveness as Liveness).state(unit) !== DEAD) this.deadWords[unit] = 0;
    else if (this.deadWords[unit] === 0) this.deadWords[unit] = this.currentWords[unit] as number;
  }

  setIncarnation(incarnation: number): void {
    this.incarnation = incarnation >>> 0;
    this.me = ownerWord(this.unit, this.incarnation);
    this.header[H_INCARNATION] = this.incarnation;
    this.recompute();
  }

  /** After anything that `resolve` looks at has changed. */
  recompute(): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      if (unit === this.unit) this.currentWords[unit] = this.me;
      else if (this.census.isPeer(unit) && (this.incarnations[unit] as number) > 0)
        this.currentWords[unit] = ownerWord(unit, this.incarnations[unit] as number);
      else continue;
      this.currentAnswers[unit] = this.liveness === null ? OWNER_UNKNOWN : this.resolve(this.currentWords[unit] as number);
    }
  }

  /** A start on tables that an earlier one left: who was who, and who had succeeded whom. */
  remember(members: Tables["members"]["i"]): void {
    for (let k = 0; k < this.peers.length; k++) {
      const unit = this.peers[k] as number;
      const at = unit * MEMBER_WORDS;
      if (members[at + M_UNIT] !== unit) continue;
      this.incarnations[unit] = (members[at + M_INCARNATION] as number) >>> 0;
    }
    for (let k = 0; k < this.peers.length; k++) {
      const unit = this.peers[k] as number;
      const at = unit * MEMBER_WORDS;
      const successor = members[at + M_SUCCESSOR] as number;
      const heir = successor === this.unit ? this.incarnation : (this.incarnations[successor] as number);
      if (successor <= 0 || successor >= UNITS || heir === 0) continue;
      this.successions.apply(ownerWord(unit, this.incarnations[unit] as number), ownerWord(successor, heir), (members[at + M_TERM] as number) >>> 0);
    }
  }

  private resolve(owner: number): number {
    let at = owner;
    for (let hop = 0; hop < HOPS; hop = (hop + 1) | 0) {
      if (at === this.me) return hop === 0 ? OWNER_HERE : OWNER_ADOPT;
      const successor = this.successions.follow(at);
      if (successor === 0) return this.resolveLast(at);
      at = successor;
    }
    return OWNER_UNKNOWN;
  }

  /** An owner word that nobody succeeded. */
  private resolveLast(owner: number): number {
    const unit = ownerUnit(owner);
    // Our own earlier incarnation, and no peer took its rows.
    if (unit === this.unit) return OWNER_ADOPT;
    if (unit >= UNITS || !this.census.isPeer(unit)) return OWNER_UNKNOWN;
    const state = this.liveness?.state(unit) ?? ABSENT;
    const known = ownerWord(unit, this.incarnations[unit] as number);
    if (state === ALIVE && owner === known) return OWNER_ELSEWHERE | (unit << 8);
    // An earlier incarnation that no peer remembers, so nobody took its rows: they are its own still.
    if (state === ALIVE && (owner & 0xffffff) < (known & 0xffffff) && owner !== this.orphans[unit]) return OWNER_ELSEWHERE | (unit << 8);
    if (state === ALIVE || state === DEAD) return OWNER_UNKNOWN;
    return this.setting | (unit << 8);
  }
}
