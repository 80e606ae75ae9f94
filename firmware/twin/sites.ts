// Which site stands by. A passive site answers and announces no gateway address, and makes no session: what reaches it all the
// same is handed to the active site. In transparent mode its wires pass nothing.
//
//   deployment       at first                 changes when
//   active/active    none is passive          a site is drained, and resumed
//   active/passive   the one not configured   the active one dies, or an operator switches over
//
// All units believe one statement, the one with the highest term; heartbeats carry it. Only a site's active unit makes a new one: to
// stand by itself, to take over from a site that is dead, or to stop standing by. So both sites are never told to stand by.

import { headerWord, type TableView } from "../fastpath/memory/tables.ts";
import { SITE_SETTLE_MILLIS, UNITS } from "../limits.ts";

const H_PASSIVE = headerWord("passiveSites");
const H_SITE_TERM = headerWord("siteTerm");
const H_SITE = headerWord("site");
const BOTH = 3;

export interface SitesOptions {
  /** 0 or 1: the first or the second of the configuration's sites. */
  readonly site: number;
  readonly deployment: "active/active" | "active/passive";
  /** Of active/passive: the site that is active at first, 0 or 1. */
  readonly activeSite: number;
  readonly header: TableView["i"];
}

export class Sites {
  /** Bit 0: the first site stands by, bit 1: the second. Never both. */
  passive: number;
  term: number;
  private readonly own: number;
  /** By unit of the other site: 1 = it said that its site answers for the gateways, or may have done so while it was not heard. */
  private readonly answering = new Uint8Array(UNITS);
  private readonly isPaired: boolean;
  private settlesUntil = 0;
  private readonly header: Int32Array;

  /** Goes on with what an earlier start on these tables believed. */
  constructor(options: SitesOptions) {
    this.own = 1 << options.site;
    this.isPaired = options.deployment === "active/passive";
    this.header = options.header;
    this.term = (this.header[H_SITE_TERM] as number) >>> 0;
    const first = this.isPaired ? BOTH & ~(1 << options.activeSite) : 0;
    this.passive = this.term === 0 ? first : (this.header[H_PASSIVE] as number);
    this.header[H_SITE] = options.site;
    this.show();
  }

  /** This unit's site stands by. */
  get isPassive(): boolean {
    return (this.passive & this.own) !== 0;
  }

  get isOtherPassive(): boolean {
    return (this.passive & ~this.own) !== 0;
  }

  /** The deployment has one active site. */
  get hasOneActive(): boolean {
    return this.isPaired;
  }

  /** A peer's belief; true when it is a newer one. Of two with one term the smaller mask counts: who doubts, answers. */
  hear(term: number, passive: number): boolean {
    if (term < this.term || (term === this.term && passive >= this.passive) || passive >= BOTH) return false;
    this.believe(term, passive);
    return true;
  }

  /**
   * A unit of the other site says which sites stand by. True when its site answered for the gateways until now, or may have, and so does this one:
   * switches may have learnt that they are there.
   */
  yields(unit: number, passive: number): boolean {
    const standsBy = (passive & ~this.own) !== 0;
    const was = this.answering[unit] as number;
    this.answering[unit] = standsBy ? 0 : 1;
    return standsBy && was === 1 && !this.isPassive;
  }

  /**
   * A link, or a data path, with a unit of the other site works again. While it did not, that site may have answered for the gateways, and what
   * this one announced may not have reached its switches: so it yields with the first heartbeat that says that it stands by.
   */
  reached(unit: number, nowMicros: number): void {
    this.answering[unit] = 1;
    this.settlesUntil = nowMicros + SITE_SETTLE_MILLIS * 1_000;
  }

  /**
   * This site stands by, and the active one, reached a moment ago, is still announcing that the gateways are there: a packet that reaches
   * this site may have been flooded, and reach the active one by itself.
   */
  isSettling(nowMicros: number): boolean {
    return this.isPassive && nowMicros < this.settlesUntil;
  }

  /** The other site goes on, this one stands by. */
  standBy(): void {
    this.believe(this.term + 1, this.own);
  }

  /** This site goes on; the other one, which is dead or gives way, stands by where only one is to be active. */
  takeOver(): void {
    this.believe(this.term + 1, this.isPaired ? BOTH & ~this.own : 0);
  }

  private believe(term: number, passive: number): void {
    this.term = term;
    this.passive = passive;
    this.show();
  }

  /** Written in this order: who dies in between and comes back believes the earlier statement, and hears the later one. */
  private show(): void {
    this.header[H_PASSIVE] = this.passive;
    this.header[H_SITE_TERM] = this.term;
  }
}
