// What must hold in every world (PROTOCOL.md), looked at from outside the units: in their shared tables, in their packet
// memory, and at the hosts. `watch` holds at any time; `afterHealing` once faults have ended and the units had time.
//
//   always           no (key, nonce) twice (the sealer's ledger), one emission and one TTL step per packet (tracker), nothing
//                    that the policy denies (oracle), every byte right (hosts), acknowledged implies present, no id that was gone
//                    is back, no replica outlives its owner's row, counts and frames within bounds
//   after healing    one owner, one successor of each incarnation for all units, equal tables by comparison and by digest, no
//                    replica without its owner's row, none whose site stands by owns a session, no frame kept
//   by what happens  a superseded unit that emits, or two that decide, show as a packet that arrives twice (tracker) or as a
//                    transfer that stops; a verdict that depends on the site, or an established session that was lost though a
//                    replica had it, as a transfer that ends otherwise than its account says (simulation.ts). Tables, queues,
//                    buckets and half-open counts are arrays of fixed size: what is over fails in the fastpath's own tests

import { word } from "../../firmware/fastpath/memory/layout.ts";
import { headerWord, MEMBER_STATE_NAMES, MEMBERS, STATE_NAMES } from "../../firmware/fastpath/memory/tables.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE, OWNER_UNKNOWN } from "../../firmware/fastpath/partner.ts";
import {
  KEY_STRIDE,
  KEY_WORDS,
  ownerUnit,
  ownerWord,
  ROW_WORDS,
  S_EPOCH,
  S_GENERATION,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_KEY,
  S_OWNER,
  S_PORTS,
  S_REPLICA,
  S_STATE,
  S_VERSION,
  STATE_FREE,
  STATE_TOMBSTONE,
} from "../../firmware/fastpath/sessions.ts";
import { FRAGMENTS_HELD, RESOLVE_QUEUE } from "../../firmware/limits.ts";
import { u16 } from "./packets.ts";
import type { Picture } from "./picture.ts";
import type { SimUnit } from "./unit.ts";

/** A session as a row says it. What is seldom asked for is put together when it is. */
export class SeenRow {
  readonly unit: SimUnit;
  readonly row: number;
  readonly id: string;
  readonly state: number;
  readonly owner: number;
  readonly epoch: number;
  readonly version: number;
  readonly acknowledged: number;
  private readonly words: Int32Array;

  constructor(unit: SimUnit, words: Int32Array, row: number) {
    const at = row * ROW_WORDS;
    this.unit = unit;
    this.words = words;
    this.row = row;
    this.id = `${(words[at + S_ID_CREATOR] as number).toString(16)}/${words[at + S_ID_INCARNATION]}/${words[at + S_ID_SERIAL]}`;
    this.state = (words[at + S_STATE] as number) & 0xff;
    this.owner = words[at + S_OWNER] as number;
    this.epoch = words[at + S_EPOCH] as number;
    this.version = words[at + S_VERSION] as number;
    this.acknowledged = (words[at + S_REPLICA] as number) & 0xff;
  }

  get tuples(): string {
    const at = this.row * ROW_WORDS + S_KEY;
    return `${this.words.subarray(at, at + KEY_WORDS)},${this.words.subarray(at + KEY_STRIDE, at + KEY_STRIDE + KEY_WORDS)}`;
  }

  get originatorPort(): number {
    return u16(this.portBytes(), 0);
  }

  /** The originator's source and destination port. */
  get ports(): string {
    return `${u16(this.portBytes(), 0)} to ${u16(this.portBytes(), 2)}`;
  }

  private portBytes(): Uint8Array {
    return new Uint8Array(this.words.buffer, this.words.byteOffset + (this.row * ROW_WORDS + S_PORTS) * 4, 4);
  }
}

const H = {
  incarnation: headerWord("incarnation"),
  live: headerWord("sessionsLive"),
  owned: headerWord("sessionsOwned"),
  tombstones: headerWord("tombstones"),
};
const MEMBER_STATE = word(MEMBERS, "state");
const DIGESTS_EQUAL = word(MEMBERS, "digestsEqual");
const OWNED = headerWord("sessionsOwned");
const PASSIVE_SITES = headerWord("passiveSites");
const SITE = headerWord("site");
const SWEEPING = word(MEMBERS, "sweeping");
const ASSOCIATED = word(MEMBERS, "associated");
/** A sweep of the whole table, with losses, takes less. */
const LEARNT_AFTER_MICROS = 1_500_000;
/** Longer than a frame is delayed, and a watch lasts. */
const GONE_MICROS = 500_000;
const INCARNATIONS_LOOKED = 12;
/** Frames that may wait in a unit: for next hops or other fragments, and a batch in the twin's hands. */
const IN_HAND_MOST = RESOLVE_QUEUE + FRAGMENTS_HELD + 512;

/** Rows of a unit that are live or tombstones. A row that is being changed is left out. */
export function rowsOf(unit: SimUnit): SeenRow[] {
  const tables = unit.tables;
  if (tables === null) return [];
  const { i, rows } = tables.sessions;
  const found: SeenRow[] = [];
  for (let row = 0; row < rows; row++) {
    const at = row * ROW_WORDS;
    const state = (i[at + S_STATE] as number) & 0xff;
    if (state === STATE_FREE || ((i[at + S_GENERATION] as number) & 1) !== 0) continue;
    found.push(new SeenRow(unit, i, row));
  }
  return found;
}

/** Is (epoch, version) of one at least that of the other? Both wrap. */
export function notOlder(one: SeenRow, other: SeenRow): boolean {
  const epochs = (one.epoch - other.epoch) | 0;
  return epochs > 0 || (epochs === 0 && ((one.version - other.version) | 0) >= 0);
}

/** A row in words. */
export function describeRow({ unit, id, state, owner, epoch, version, acknowledged, ports }: SeenRow): string {
  return `${unit.name}: session ${id} ${STATE_NAMES[state]} owner ${ownerUnit(owner)}/${owner & 0xffffff} epoch ${epoch} version ${version} acknowledged ${acknowledged.toString(2)}, ports ${ports}`;
}

export class Invariants {
  private readonly picture: Picture;
  /** By id: when some unit was last seen to hold it. */
  private readonly heldAt = new Map<string, number>();
  checks = 0;
  /** By owner and peer: since when the two are associated without a break, as last seen. */
  private readonly togetherSince = new Map<string, number>();

  constructor(picture: Picture) {
    this.picture = picture;
  }

  /** What holds at any time, whatever happens. */
  watch(): void {
    this.checks++;
    const running = this.picture.units.filter((unit) => unit.isRunning);
    const rows = new Map(running.map((unit) => [unit, rowsOf(unit)]));
    for (const unit of running) {
      this.counts(unit, rows.get(unit) as SeenRow[]);
      const inHand = unit.framesInHand();
      if (inHand > IN_HAND_MOST) this.violate(`${unit.name} has ${inHand} packet frames in hand`);
    }
    this.noneResurrects(rows);
    for (const unit of running) this.acknowledgedIsPresent(unit, rows);
    for (const unit of running) this.noneOutlivesItsOwner(unit, rows);
  }

  /** An id that no unit holds, not even a dead one in its memory, for longer than any frame is under way, never comes back. */
  private noneResurrects(rows: ReadonlyMap<SimUnit, readonly SeenRow[]>): void {
    const now = this.picture.world.schedule.nowMicros;
    // With all units down at once, nobody may be left who remembers which incarnations there were.
    if (this.picture.units.every(({ isRunning }) => !isRunning)) this.heldAt.clear();
    for (const unit of this.picture.units) {
      for (const row of rows.get(unit) ?? rowsOf(unit)) {
        if (row.state === STATE_TOMBSTONE) continue;
        if (now > this.underWayUntil(this.heldAt.get(row.id) ?? now)) this.violate(`a session that was gone is back. ${describeRow(row)}`);
        this.heldAt.set(row.id, now);
      }
    }
  }

  /**
   * Until when a record may arrive of a row that was last held at `heldMicros`. In the ring of a unit that stands still it is under way for
   * as long as that lasts: read then, it is the replica which that unit would have had all the time (seeds 1701 and 2783).
   */
  private underWayUntil(heldMicros: number): number {
    const lastMicros = heldMicros + GONE_MICROS;
    const wokeMicros = this.picture.units.map((unit) => (unit.stalledFromMicros <= lastMicros ? unit.stalledUntilMicros : 0));
    return Math.max(lastMicros, ...wokeMicros.map((micros) => micros + GONE_MICROS));
  }

  /** An owner forgets a session's end only when all peers that it streams to have heard of it. */
  private noneOutlivesItsOwner(unit: SimUnit, rows: ReadonlyMap<SimUnit, readonly SeenRow[]>): void {
    const now = this.picture.world.schedule.nowMicros;
    const own = new Set((rows.get(unit) as readonly SeenRow[]).map(({ id }) => id));
    for (const [peer, theirs] of rows) {
      if (peer === unit) continue;
      const since = Math.max(this.together(unit, peer), this.together(peer, unit), unit.rowsLostMicros, peer.rowsLostMicros);
      if (now - since < LEARNT_AFTER_MICROS || isSweeping(unit, peer) || isSweeping(peer, unit)) continue;
      for (const row of theirs)
        if (row.owner === wordOf(unit) && row.state !== STATE_TOMBSTONE && !own.has(row.id))
          this.violate(`a replica outlives its owner's row. ${describeRow(row)}`);
    }
  }

  /** Faults have ended, all units run, traffic has stopped or is slow: what must hold now. */
  afterHealing(): void {
    this.watch();
    const { units } = this.picture;
    const tables = units.map((unit) => rowsOf(unit).filter(({ state }) => state !== STATE_TOMBSTONE));
    this.oneOwner(tables.flat());
    if (this.picture.options.twin !== false) {
      this.oneSuccessor();
      this.equal(tables);
    }
    for (const unit of units) {
      const header = unit.tables?.header.i;
      if (header === undefined) continue;
      const standsBy = ((header[PASSIVE_SITES] as number) & (1 << (header[SITE] as number))) !== 0;
      if (standsBy && (header[OWNED] as number) > 0) this.violate(`${unit.name} owns ${header[OWNED]} sessions although its site stands by`);
    }
    for (const unit of units) if (unit.framesInHand() !== 0) this.violate(`${unit.name} keeps ${unit.framesInHand()} packet frames although nothing moves`);
  }

  private oneOwner(rows: readonly SeenRow[]): void {
    const owners = new Map<string, SeenRow>();
    for (const row of rows) {
      if (row.owner !== wordOf(row.unit)) continue;
      const other = owners.get(row.id);
      if (other !== undefined) this.violate(`two owners. ${describeRow(row)} and ${describeRow(other)}`);
      owners.set(row.id, row);
    }
    if (this.picture.options.twin === false) return;
    for (const row of rows) if (!owners.has(row.id)) this.violate(`a replica whose owner has no such row. ${describeRow(row)}`);
  }

  /** Whoever is asked, of each incarnation that there was the same unit decides. */
  private oneSuccessor(): void {
    for (const { plan, incarnation, name } of this.picture.units) {
      for (let number = Math.max(1, incarnation - INCARNATIONS_LOOKED); number <= incarnation; number++) {
        const said = new Map<number, string>();
        for (const unit of this.picture.units) {
          const decider = deciderOf(unit, ownerWord(plan.unit, number));
          if (decider > 0) said.set(decider, unit.name);
        }
        if (said.size > 1)
          this.violate(`incarnation ${number} of ${name} has ${said.size} successors: ${[...said].map(([one, by]) => `${one} says ${by}`).join(", ")}`);
      }
    }
  }

  private equal(tables: readonly (readonly SeenRow[])[]): void {
    const [first, ...others] = tables as [SeenRow[], ...SeenRow[][]];
    const { units } = this.picture;
    for (const [k, other] of others.entries()) {
      const theirs = new Map(other.map((row) => [row.id, row]));
      for (const row of first) {
        const twin = theirs.get(row.id);
        if (twin === undefined) this.violate(`${units[k + 1]?.name} lacks a row. ${describeRow(row)}`);
        const same =
          twin.epoch === row.epoch && twin.version === row.version && twin.owner === row.owner && twin.tuples === row.tuples && twin.state === row.state;
        if (!same) this.violate(`rows differ. ${describeRow(row)} and ${describeRow(twin)}`);
        theirs.delete(row.id);
      }
      for (const row of theirs.values()) this.violate(`${units[0]?.name} lacks a row. ${describeRow(row)}`);
    }
    for (const unit of units) {
      for (const { unit: peer, name } of unit.plan.twin.peers) {
        const members = unit.tables?.members;
        if (members !== undefined && members.i[peer * members.strideWords + DIGESTS_EQUAL] !== 1)
          this.violate(`${unit.name} has not proven its table equal to ${name}'s, yet it is`);
      }
    }
  }

  /** A row that its owner counts as replicated lies at that peer, this version or a newer one. */
  private acknowledgedIsPresent(unit: SimUnit, rows: ReadonlyMap<SimUnit, readonly SeenRow[]>): void {
    const now = this.picture.world.schedule.nowMicros;
    // What a unit owned that stands still is its successor's to end and to forget, until it wakes and learns of that (seed 930127).
    const isSucceeded = [...rows.keys()].some((peer) => ![0, unit.plan.unit].includes(deciderOf(peer, wordOf(unit))));
    if (isSucceeded && now - unit.stalledUntilMicros < LEARNT_AFTER_MICROS) return;
    for (const [peer, theirs] of rows) {
      if (peer === unit) continue;
      // An owner learns that its peer has lost rows when the two associate again, and nothing while it stands still.
      const since = Math.max(this.together(unit, peer), peer.rowsLostMicros, unit.stalledUntilMicros);
      if (peer.rowsLostMicros > 0 && now - since < LEARNT_AFTER_MICROS) continue;
      const known = new Map(theirs.map((row) => [row.id, row]));
      for (const row of rows.get(unit) as readonly SeenRow[]) {
        if (row.owner !== wordOf(unit) || row.state === STATE_TOMBSTONE || ((row.acknowledged >> peer.plan.unit) & 1) === 0) continue;
        const copy = known.get(row.id);
        if (copy === undefined) this.violate(`${peer.name} acknowledged a row that it does not have. ${describeRow(row)}`);
        if (!notOlder(copy, row)) this.violate(`${peer.name} acknowledged a version that it does not have. ${describeRow(row)} and ${describeRow(copy)}`);
      }
    }
  }

  private together(unit: SimUnit, peer: SimUnit): number {
    const now = this.picture.world.schedule.nowMicros;
    const key = `${unit.name} ${peer.name}`;
    const members = unit.tables?.members;
    const isTogether = members !== undefined && members.i[peer.plan.unit * members.strideWords + ASSOCIATED] === 1;
    if (!isTogether) this.togetherSince.set(key, now);
    return this.togetherSince.get(key) ?? 0;
  }

  /** What the header counts is what there is. */
  private counts(unit: SimUnit, rows: readonly SeenRow[]): void {
    const header = unit.tables?.header.i;
    if (header === undefined) return;
    const live = rows.filter(({ state }) => state !== STATE_TOMBSTONE);
    const owned = live.filter(({ owner }) => owner === wordOf(unit)).length;
    const wrong = (what: string, counted: number | undefined, found: number) => this.violate(`${unit.name} counts ${counted} ${what}, there are ${found}`);
    if (header[H.live] !== live.length) wrong("live sessions", header[H.live], live.length);
    if (header[H.owned] !== owned) wrong("own sessions", header[H.owned], owned);
    if (header[H.tombstones] !== rows.length - live.length) wrong("tombstones", header[H.tombstones], rows.length - live.length);
  }

  private violate(what: string): never {
    this.picture.world.violate(what);
  }
}

/** Who decides for an owner word, by what a unit knows; 0 = it knows nobody. */
function deciderOf(unit: SimUnit, owner: number): number {
  const disposition = unit.life?.dataplane.twin?.membership.roles.disposition(owner) ?? OWNER_UNKNOWN;
  const kind = disposition & 0xff;
  if (kind === OWNER_HERE || kind === OWNER_ADOPT) return unit.plan.unit;
  return kind === OWNER_ELSEWHERE ? disposition >> 8 : 0;
}

/** Is a sweep of `unit` to `peer` under way? */
function isSweeping(unit: SimUnit, peer: SimUnit): boolean {
  const members = unit.tables?.members;
  return members !== undefined && members.i[peer.plan.unit * members.strideWords + SWEEPING] === 1;
}

/** What a unit holds its peer for: absent, alive, dead, partitioned, rejoining. */
export function memberState(unit: SimUnit, peer: SimUnit): string {
  const members = unit.tables?.members;
  const state = members === undefined ? 0 : (members.i[peer.plan.unit * members.strideWords + MEMBER_STATE] as number) & 0xff;
  return MEMBER_STATE_NAMES[state] ?? "absent";
}

/** The owner word of a unit's present tables. */
export function wordOf(unit: SimUnit): number {
  return ownerWord(unit.plan.unit, (unit.tables?.header.i[H.incarnation] as number | undefined) ?? 0);
}
