// The session table: 256-byte rows in shared memory, found by tuple (both directions) and by session id.
//
//   free ─ take ─► locked row ─ commit, link ─► live ─ end ─► tombstone ─ release ─► free
//
// A live row is in the tuple index (twice) and in the id index. A tombstone is only in the id index: its tuple meets the
// policy again (W2), yet a delayed record of it is recognised. The row's `generation` is odd while its identity changes;
// `check` guards what a crash may have torn. Indexes, free list and wheel are private and rebuilt at adoption.

import { CHANGES, INDEX_PROBES, INDEX_SLOTS_PER_ROW, UNITS } from "../limits.ts";
import { HalfOpen, siteOf } from "./half-open.ts";
import { hashId, hashTuple } from "./memory/hash.ts";
import { HashIndex } from "./memory/index.ts";
import { word } from "./memory/layout.ts";
import { ChangeRing } from "./memory/ring.ts";
import { headerWord, SESSIONS, STATE_NAMES, type TableView } from "./memory/tables.ts";
import { ExpiryWheel } from "./memory/wheel.ts";

export const ROW_WORDS = SESSIONS.strideWords;

/** Direction of a packet within a session. */
export const ORIGINATOR = 0;
export const RESPONDER = 1;

export const S_GENERATION = word(SESSIONS, "generation");
export const S_CHECK = word(SESSIONS, "check");
/** First key word (source); the responder's key lies KEY_STRIDE words further. */
export const S_KEY = word(SESSIONS, "originatorSource");
export const KEY_WORDS = 10;
/** Between a word of the originator's line and the responder's. */
export const KEY_STRIDE = word(SESSIONS, "responderSource") - S_KEY;
export const S_HASH = word(SESSIONS, "originatorHash");
export const S_PATH = word(SESSIONS, "originatorPath");
export const S_HOP_MAC = word(SESSIONS, "originatorHopMac");
export const S_HOP_MAC_REST = word(SESSIONS, "originatorHopMacRest");
export const S_REWRITE = word(SESSIONS, "originatorRewrite");
export const S_PORTS = word(SESSIONS, "originatorPorts");
export const S_FLOW = word(SESSIONS, "originatorFlow");
export const S_STATE = word(SESSIONS, "state");
export const S_LAST_SEEN = word(SESSIONS, "lastSeen");
/** Windows: end, max end, max window of the originator; the responder's lie WINDOW_STRIDE words further. */
export const S_END = word(SESSIONS, "originatorEnd");
export const S_MAX_END = word(SESSIONS, "originatorMaxEnd");
export const S_MAX_WINDOW = word(SESSIONS, "originatorMaxWindow");
export const WINDOW_STRIDE = word(SESSIONS, "responderEnd") - S_END;
/** Counters as f64 indexes within a row: packets, bytes of the originator; COUNTER_STRIDE further the responder's. */
export const S_PACKETS_F64 = word(SESSIONS, "originatorPackets") >> 1;
export const COUNTER_STRIDE = (word(SESSIONS, "responderPackets") >> 1) - S_PACKETS_F64;
export const S_ID_SERIAL = word(SESSIONS, "idSerial");
export const S_ID_CREATOR = word(SESSIONS, "idCreator");
export const S_ID_INCARNATION = word(SESSIONS, "idIncarnation");
export const S_EPOCH = word(SESSIONS, "epoch");
export const S_VERSION = word(SESSIONS, "version");
export const S_OWNER = word(SESSIONS, "owner");
export const S_REVISION = word(SESSIONS, "revision");
export const S_RULE = word(SESSIONS, "rule");
export const S_CREATED = word(SESSIONS, "created");
export const S_IDLE_LIMIT = word(SESSIONS, "idleLimit");
/** What the originator has been acknowledged; the next word is the responder's. */
export const S_ACKED = word(SESSIONS, "originatorAcked");
export const S_UNITS = word(SESSIONS, "units");
export const S_REPLICA = word(SESSIONS, "replica");
export const S_SWEEP = word(SESSIONS, "sweep");
export const S_ADOPTED = word(SESSIONS, "adopted");

export const STATE_FREE = STATE_NAMES.indexOf("free");
/** States up to this one are TCP's. */
export const STATE_LAST_TCP = STATE_NAMES.indexOf("reset");
export const STATE_TOMBSTONE = STATE_NAMES.indexOf("tombstone");

/** Window scales were not seen: windows are not enforced (T4). */
export const FLAG_MIDSTREAM = 1 << 8;
/** Ownership was taken over lately: the windows may be behind what the former owner let pass. */
export const FLAG_TENTATIVE = 1 << 9;
/** The row waits for a half-open slot to be given back. */
export const FLAG_HALF_OPEN = 1 << 12;

export const NOT_FOUND = -1;

const H_LIVE = headerWord("sessionsLive");
const H_OWNED = headerWord("sessionsOwned");
const H_TOMBSTONES = headerWord("tombstones");
const H_HALF_OPEN = headerWord("halfOpen");
const H_SERIAL_LOW = headerWord("serialLow");
const H_SERIAL_HIGH = headerWord("serialHigh");
const H_INCARNATION = headerWord("incarnation");

/** The owner word of a unit in an incarnation: unit << 24 | low 24 bits. Unit 1..UNITS-1. */
export function ownerWord(unit: number, incarnation: number): number {
  return (unit << 24) | (incarnation & 0xffffff);
}

export function ownerUnit(owner: number): number {
  return (owner >>> 24) & 0x7f;
}

export class SessionTable {
  readonly i: Int32Array;
  readonly f: Float64Array;
  readonly capacity: number;
  readonly changes = new ChangeRing(CHANGES);
  readonly wheel: ExpiryWheel;
  readonly halfOpen: HalfOpen;
  /** Tuple hash → row << 1 | direction. */
  readonly tuples: HashIndex;
  /** Session id → row. */
  private readonly ids: HashIndex;
  private readonly header: Int32Array;
  private readonly freeRows: Int32Array;
  private freeCount = 0;
  private readonly key0: number;
  private readonly key1: number;
  /** This unit's number, and its owner word (`reincarnate` changes it). */
  readonly unit: number;
  me: number;

  /**
   * `key0`, `key1`: this boot's hash key. `nowMillis`: clock. Call `adoptRows` or `clear` before use. `indexBuffer`: zeroed
   * memory for the tuple index (rows × INDEX_SLOTS_PER_ROW × 8 bytes), else one is made.
   */
  constructor(sessions: TableView, header: Int32Array, unit: number, key0: number, key1: number, nowMillis: number, indexBuffer?: ArrayBuffer) {
    if (unit < 1 || unit >= UNITS) throw new Error(`unit ${unit} is not in 1..${UNITS - 1}`);
    this.i = sessions.i;
    this.f = sessions.f;
    this.capacity = sessions.rows;
    this.header = header;
    this.unit = unit;
    this.me = ownerWord(unit, header[H_INCARNATION] as number);
    this.key0 = key0 | 0;
    this.key1 = key1 | 0;
    this.tuples = new HashIndex(sessions.rows * INDEX_SLOTS_PER_ROW, indexBuffer);
    this.ids = new HashIndex(sessions.rows * 2);
    this.halfOpen = new HalfOpen(sessions.rows, this.key0, this.key1);
    this.wheel = new ExpiryWheel(sessions.rows, 64, nowMillis);
    this.freeRows = new Int32Array(sessions.rows);
  }

  get liveCount(): number {
    return this.header[H_LIVE] as number;
  }
  get freeRowCount(): number {
    return this.freeCount;
  }

  /** Keyed hash of the ten key words at `words[at]`. */
  hash(words: Int32Array, at: number): number {
    return hashTuple(words, at, this.key0, this.key1);
  }

  /** Finds a live row by tuple: row << 1 | direction, or NOT_FOUND. `hash` is `this.hash(words, at)`. */
  find(words: Int32Array, at: number, hash: number): number {
    const slots = this.tuples.words;
    const mask = this.tuples.mask;
    const rows = this.i;
    let slot = hash & mask;
    for (let probe = 0; probe < INDEX_PROBES; probe++) {
      const value = slots[slot * 2 + 1] as number;
      if (value === 0) return NOT_FOUND;
      if (slots[slot * 2] === hash) {
        const found = value - 1;
        const key = (found >>> 1) * ROW_WORDS + S_KEY + (found & 1) * KEY_STRIDE;
        if (
          rows[key + 3] === words[at + 3] &&
          rows[key + 7] === words[at + 7] &&
          rows[key + 8] === words[at + 8] &&
          rows[key + 9] === words[at + 9] &&
          rows[key] === words[at] &&
          rows[key + 1] === words[at + 1] &&
          rows[key + 2] === words[at + 2] &&
          rows[key + 4] === words[at + 4] &&
          rows[key + 5] === words[at + 5] &&
          rows[key + 6] === words[at + 6]
        )
          return found;
      }
      slot = (slot + 1) & mask;
    }
    return NOT_FOUND;
  }

  /** Finds a row (live or tombstone) by session id, or NOT_FOUND. */
  findById(serial: number, creator: number, incarnation: number): number {
    const slots = this.ids.words;
    const hash = hashId(serial, creator, incarnation);
    let slot = hash & this.ids.mask;
    for (let probe = 0; probe < INDEX_PROBES; probe++) {
      const value = slots[slot * 2 + 1] as number;
      if (value === 0) return NOT_FOUND;
      if (slots[slot * 2] === hash) {
        const at = (value - 1) * ROW_WORDS;
        if (this.i[at + S_ID_SERIAL] === serial && this.i[at + S_ID_CREATOR] === creator && this.i[at + S_ID_INCARNATION] === incarnation) return value - 1;
      }
      slot = (slot + 1) & this.ids.mask;
    }
    return NOT_FOUND;
  }

  /** Takes a free row, its generation odd, all other words zero; -1 when the table is full. `commit` and `link` make it live. */
  take(): number {
    if (this.freeCount === 0) return -1;
    this.freeCount--;
    const row = this.freeRows[this.freeCount] as number;
    const at = row * ROW_WORDS;
    const generation = this.i[at + S_GENERATION] as number;
    this.i[at + S_GENERATION] = generation | 1;
    this.i.fill(0, at + 1, at + ROW_WORDS);
    return row;
  }

  /** Draws the next session id into the row: this unit, its incarnation, a serial never used before. */
  drawId(row: number): void {
    const at = row * ROW_WORDS;
    const low = this.header[H_SERIAL_LOW] as number;
    const next = (low + 1) | 0;
    // High first: dying in between skips serials, never repeats one.
    if (next === 0) this.header[H_SERIAL_HIGH] = ((this.header[H_SERIAL_HIGH] as number) + 1) & 0xff;
    this.header[H_SERIAL_LOW] = next;
    this.i[at + S_ID_SERIAL] = low;
    this.i[at + S_ID_CREATOR] = (this.unit << 8) | (this.header[H_SERIAL_HIGH] as number);
    this.i[at + S_ID_INCARNATION] = this.header[H_INCARNATION] as number;
  }

  /** Opens a change of identity (tuples, owner, epoch, rewrite) of a live row; `commit` closes it. */
  begin(row: number): void {
    const at = row * ROW_WORDS;
    this.i[at + S_GENERATION] = (this.i[at + S_GENERATION] as number) | 1;
  }

  /** Closes a change of identity: the check is made anew, the generation becomes even and new. */
  commit(row: number): void {
    const at = row * ROW_WORDS;
    this.i[at + S_CHECK] = this.checkOf(at);
    const generation = ((this.i[at + S_GENERATION] as number) + 1) & ~1;
    this.i[at + S_GENERATION] = generation === 0 ? 2 : generation;
  }

  /**
   * Puts a committed row into both indexes. Returns -1 when done; the other live row when it already holds one of the
   * keys (nothing was changed); -2 when the index has no room there.
   */
  link(row: number): number {
    const at = row * ROW_WORDS;
    const forward = this.hash(this.i, at + S_KEY);
    const backward = this.hash(this.i, at + S_KEY + KEY_STRIDE);
    const clash = this.find(this.i, at + S_KEY, forward);
    if (clash !== NOT_FOUND) return clash >>> 1;
    const mirrored = this.find(this.i, at + S_KEY + KEY_STRIDE, backward);
    if (mirrored !== NOT_FOUND) return mirrored >>> 1;
    this.i[at + S_HASH] = forward;
    this.i[at + S_HASH + KEY_STRIDE] = backward;
    if (!this.linkId(row)) return -2;
    if (!this.tuples.insert(forward, row << 1)) {
      this.unlinkId(row);
      return -2;
    }
    if (!this.tuples.insert(backward, (row << 1) | 1)) {
      this.tuples.remove(forward, row << 1);
      this.unlinkId(row);
      return -2;
    }
    this.header[H_LIVE] = (this.header[H_LIVE] as number) + 1;
    if (this.i[at + S_OWNER] === this.me) this.header[H_OWNED] = (this.header[H_OWNED] as number) + 1;
    return -1;
  }

  /** Puts a tombstone (state already set) into the id index only; false when there is no room. */
  linkTombstone(row: number): boolean {
    if (!this.linkId(row)) return false;
    this.header[H_TOMBSTONES] = (this.header[H_TOMBSTONES] as number) + 1;
    return true;
  }

  /** Ends a live row: it leaves the tuple index at once (W2) and stays as a tombstone until `release`. */
  end(row: number): void {
    const at = row * ROW_WORDS;
    this.tuples.remove(this.i[at + S_HASH] as number, row << 1);
    this.tuples.remove(this.i[at + S_HASH + KEY_STRIDE] as number, (row << 1) | 1);
    this.setHalfOpen(row, false);
    this.i[at + S_STATE] = ((this.i[at + S_STATE] as number) & ~0xff) | STATE_TOMBSTONE;
    this.header[H_LIVE] = (this.header[H_LIVE] as number) - 1;
    this.header[H_TOMBSTONES] = (this.header[H_TOMBSTONES] as number) + 1;
    if (this.i[at + S_OWNER] === this.me) this.header[H_OWNED] = (this.header[H_OWNED] as number) - 1;
    this.wheel.cancel(row);
  }

  /** Gives a tombstone's or a never-linked row back to the free list. */
  release(row: number): void {
    const at = row * ROW_WORDS;
    if (((this.i[at + S_STATE] as number) & 0xff) === STATE_TOMBSTONE && this.unlinkId(row))
      this.header[H_TOMBSTONES] = (this.header[H_TOMBSTONES] as number) - 1;
    this.begin(row);
    this.i[at + S_STATE] = STATE_FREE;
    this.commit(row);
    this.wheel.cancel(row);
    this.freeRows[this.freeCount] = row;
    this.freeCount++;
  }

  /** Changes a live row's owner and epoch under its lock; counts follow. Marks nothing: call `changed`. */
  setOwner(row: number, owner: number, epoch: number): void {
    const at = row * ROW_WORDS;
    if (((this.i[at + S_STATE] as number) & 0xff) !== STATE_TOMBSTONE) {
      const was = this.i[at + S_OWNER] === this.me ? 1 : 0;
      const is = owner === this.me ? 1 : 0;
      this.header[H_OWNED] = (this.header[H_OWNED] as number) + is - was;
      this.moveHalfOpen(at, owner);
    }
    this.begin(row);
    this.i[at + S_OWNER] = owner;
    this.i[at + S_EPOCH] = epoch;
    this.commit(row);
  }

  /**
   * Takes a live row over from its owner: this unit decides from now on, in a new epoch. The idle timer starts anew and the
   * windows are tentative for a while (track/tcp.ts). `nowMillis`: clock.
   */
  adopt(row: number, nowMillis: number): void {
    const at = row * ROW_WORDS;
    this.setOwner(row, this.me, ((this.i[at + S_EPOCH] as number) + 1) | 0);
    const state = this.i[at + S_STATE] as number;
    if ((state & 0xff) <= STATE_LAST_TCP) this.i[at + S_STATE] = state | FLAG_TENTATIVE;
    this.i[at + S_ADOPTED] = nowMillis | 0;
    this.i[at + S_LAST_SEEN] = nowMillis | 0;
    this.wheel.schedule(row, nowMillis, this.i[at + S_IDLE_LIMIT] as number);
    this.changed(row);
  }

  /**
   * Another unit has taken over what this one owned: all its rows become replicas at once, because their owner word is not
   * this unit's any more. New sessions belong to the new incarnation. Counts follow; indexes and rows stay as they are.
   */
  reincarnate(incarnation: number): void {
    this.header[H_INCARNATION] = incarnation;
    this.me = ownerWord(this.unit, incarnation);
    this.header[H_OWNED] = 0;
  }

  /** The row's state changed: a new version that no peer has acknowledged. */
  changed(row: number): void {
    const at = row * ROW_WORDS;
    this.i[at + S_VERSION] = ((this.i[at + S_VERSION] as number) + 1) | 0;
    this.i[at + S_REPLICA] = 0;
    this.changes.note(row);
  }

  /** The session became half-open, or is not any more: its destination's count follows (F9). A session without a place there is not counted. */
  setHalfOpen(row: number, open: boolean): void {
    const at = row * ROW_WORDS + S_STATE;
    const state = this.i[at] as number;
    if (((state & FLAG_HALF_OPEN) !== 0) === open) return;
    const site = siteOf(ownerUnit(this.i[row * ROW_WORDS + S_OWNER] as number));
    if (!open) this.halfOpen.remove(this.i, row * ROW_WORDS + S_KEY, site);
    else if (!this.halfOpen.add(this.i, row * ROW_WORDS + S_KEY, site)) return;
    this.i[at] = open ? state | FLAG_HALF_OPEN : state & ~FLAG_HALF_OPEN;
    this.header[H_HALF_OPEN] = this.halfOpen.total;
  }

  /** A half-open session counts for its owner's site: `owner` is its next one. */
  private moveHalfOpen(at: number, owner: number): void {
    if (((this.i[at + S_STATE] as number) & FLAG_HALF_OPEN) === 0) return;
    const from = siteOf(ownerUnit(this.i[at + S_OWNER] as number));
    const to = siteOf(ownerUnit(owner));
    if (from === to) return;
    this.halfOpen.remove(this.i, at + S_KEY, from);
    this.halfOpen.add(this.i, at + S_KEY, to);
  }

  /**
   * May a SYN with the key at `words[at]` make a row (F9)? `limit`: half-open sessions per destination; `sites`: how many share it.
   * Tombstones count in the whole: a flood of SYNs that are refused at once would fill the table with them.
   */
  allowsHalfOpen(words: Int32Array, at: number, limit: number, sites: number): boolean {
    if (this.halfOpen.total + (this.header[H_TOMBSTONES] as number) >= this.halfOpen.most * 2) return false;
    return this.halfOpen.allows(words, at, siteOf(this.unit), limit, sites);
  }

  /** An empty table: every row free, in order. */
  clear(): void {
    this.i.fill(0);
    this.resetCounts();
    for (let k = 0; k < this.capacity; k++) this.freeRows[k] = this.capacity - 1 - k;
    this.freeCount = this.capacity;
  }

  /**
   * After a crash: keeps every row whose generation is even and whose check holds, frees the others, rebuilds indexes,
   * free list, wheel and counts; a new hash key is in force. Returns how many rows were torn and freed.
   */
  adoptRows(nowMillis: number): number {
    this.tuples.clear();
    this.ids.clear();
    this.resetCounts();
    this.freeCount = 0;
    let torn = 0;
    for (let row = this.capacity - 1; row >= 0; row--) {
      const at = row * ROW_WORDS;
      const state = (this.i[at + S_STATE] as number) & 0xff;
      const even = ((this.i[at + S_GENERATION] as number) & 1) === 0;
      let keep = even && state !== STATE_FREE && this.i[at + S_CHECK] === this.checkOf(at);
      if (keep && state === STATE_TOMBSTONE) keep = this.linkTombstone(row);
      else if (keep) {
        this.i[at + S_PATH] = 0;
        this.i[at + S_PATH + KEY_STRIDE] = 0;
        keep = this.link(row) === -1;
        if (keep) this.countAgain(row);
      }
      if (keep) {
        this.wheel.schedule(row, nowMillis, (this.i[at + S_IDLE_LIMIT] as number) - ((Math.floor(nowMillis) - (this.i[at + S_LAST_SEEN] as number)) | 0));
        continue;
      }
      if (!even || state !== STATE_FREE) {
        torn++;
        this.begin(row);
        this.i[at + S_STATE] = STATE_FREE;
        this.commit(row);
      }
      this.freeRows[this.freeCount] = row;
      this.freeCount++;
    }
    return torn;
  }

  /** Adoption: the counts of half-open sessions are private memory and begin anew. */
  private countAgain(row: number): void {
    const at = row * ROW_WORDS + S_STATE;
    const wasOpen = ((this.i[at] as number) & FLAG_HALF_OPEN) !== 0;
    this.i[at] = (this.i[at] as number) & ~FLAG_HALF_OPEN;
    this.setHalfOpen(row, wasOpen);
  }

  private linkId(row: number): boolean {
    const at = row * ROW_WORDS;
    return this.ids.insert(hashId(this.i[at + S_ID_SERIAL] as number, this.i[at + S_ID_CREATOR] as number, this.i[at + S_ID_INCARNATION] as number), row);
  }

  private unlinkId(row: number): boolean {
    const at = row * ROW_WORDS;
    return this.ids.remove(hashId(this.i[at + S_ID_SERIAL] as number, this.i[at + S_ID_CREATOR] as number, this.i[at + S_ID_INCARNATION] as number), row);
  }

  private checkOf(at: number): number {
    let check = 0x5a5a5a5a;
    for (let key = at + S_KEY; key < at + S_KEY + KEY_WORDS; key++) {
      check = Math.imul(check ^ (this.i[key] as number), 0x01000193);
      check = Math.imul(check ^ (this.i[key + KEY_STRIDE] as number), 0x01000193);
    }
    for (let id = at + S_ID_SERIAL; id <= at + S_EPOCH; id++) check = Math.imul(check ^ (this.i[id] as number), 0x01000193);
    return check ^ (this.i[at + S_OWNER] as number);
  }

  private resetCounts(): void {
    this.header[H_LIVE] = 0;
    this.header[H_OWNED] = 0;
    this.header[H_TOMBSTONES] = 0;
    this.header[H_HALF_OPEN] = 0;
    this.halfOpen.clear();
  }
}
