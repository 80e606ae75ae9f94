// What would be lost if something failed now, counted all the time: a slice of the table per tick, told when a pass is through
// (262,144 rows: 0.6 s). Heartbeats carry it, so that any unit can say it of the whole.
//
//   unit   own sessions that no other unit has acknowledged              gone with this unit
//   site   own sessions that no unit of the other site has acknowledged  gone with this site
//   link   own sessions whose packets come in at the other site          they stop without the link, if the setting says so

import { siteOf } from "../fastpath/half-open.ts";
import { headerWord, type TableView } from "../fastpath/memory/tables.ts";
import { ROW_WORDS, S_OWNER, S_REPLICA, S_STATE, S_UNITS, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "../fastpath/sessions.ts";
import { ROWS_COUNTED_PER_TICK, UNITS } from "../limits.ts";
import type { Digests } from "./digest.ts";

const H_UNIT = headerWord("exposedUnit");
const H_SITE = headerWord("exposedSite");
const H_LINK = headerWord("exposedLink");

export class Exposure {
  unit = 0;
  site = 0;
  link = 0;
  private readonly sessions: SessionTable;
  private readonly digests: Digests;
  private readonly header: Int32Array;
  private readonly ownSite: number;
  private readonly stops: boolean;
  /** Bits of the other site's units. */
  private readonly others: number;
  private cursor = 0;
  private nextUnit = 0;
  private nextSite = 0;
  private nextLink = 0;

  /** `stops`: the partition setting is `stop`. */
  constructor(sessions: SessionTable, digests: Digests, header: TableView["i"], stops: boolean) {
    this.sessions = sessions;
    this.digests = digests;
    this.header = header;
    this.ownSite = siteOf(sessions.unit);
    this.stops = stops;
    let others = 0;
    for (let unit = 1; unit < UNITS; unit++) if (siteOf(unit) !== this.ownSite) others |= 1 << unit;
    this.others = others;
  }

  /** Now and then: counts a slice. */
  tick(): void {
    const end = Math.min(this.cursor + ROWS_COUNTED_PER_TICK, this.sessions.capacity);
    this.count(end);
    this.cursor = end;
    if (end < this.sessions.capacity) return;
    this.cursor = 0;
    this.unit = this.nextUnit;
    this.site = this.nextSite;
    this.link = this.nextLink;
    this.nextUnit = 0;
    this.nextSite = 0;
    this.nextLink = 0;
    this.header[H_UNIT] = this.unit;
    this.header[H_SITE] = this.site;
    this.header[H_LINK] = this.link;
  }

  /** The walk has a function of its own: replaced while it runs, `tick` met what V8 had not seen yet, and was thrown away in each of the first 500 ticks. */
  private count(end: number): void {
    const i = this.sessions.i;
    for (let row = this.cursor; row < end; row = (row + 1) | 0) {
      // A byte each instead of a cold row each: touching all of them took most of what an idle unit used.
      if (!this.digests.isLive(row)) continue;
      const at = row * ROW_WORDS;
      const kind = (i[at + S_STATE] as number) & 0xff;
      if (kind === STATE_FREE || kind === STATE_TOMBSTONE || i[at + S_OWNER] !== this.sessions.me) continue;
      const acknowledged = (i[at + S_REPLICA] as number) & 0xff;
      const units = i[at + S_UNITS] as number;
      if (acknowledged === 0) this.nextUnit = (this.nextUnit + 1) | 0;
      if ((acknowledged & this.others) === 0) this.nextSite = (this.nextSite + 1) | 0;
      if (this.stops && (this.isAway(units & 0xff) || this.isAway((units >>> 8) & 0xff))) this.nextLink = (this.nextLink + 1) | 0;
    }
  }

  private isAway(unit: number): boolean {
    return unit !== 0 && siteOf(unit) !== this.ownSite;
  }
}
