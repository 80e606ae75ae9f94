// What the dataplane takes from the last checkpoint when its tables start empty, before its ports open.
//
//   checkpoint ──age, filter──► candidates ──createWarmStart──► rows 0.. ──SessionTable.adoptRows──► indexes, wheel, counts
//
// They are candidates, not the truth: (id, epoch, version) are as they were, the owner's word still names the incarnation that
// died. Peers have newer rows and successions and win during the rejoin; what nobody knows better lives on. Clocks restart at
// reboot, so `lastSeen`, `created` and `adopted` are put into the new clock by their ages, time spent switched off included.

import { existsSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { word } from "../fastpath/memory/layout.ts";
import { SESSIONS, SESSIONS_HASH, STATE_NAMES } from "../fastpath/memory/tables.ts";
import { STORE_FILE } from "./schema.ts";

const STRIDE = SESSIONS.strideWords;
const STATE = word(SESSIONS, "state");
const LAST_SEEN = word(SESSIONS, "lastSeen");
const CREATED = word(SESSIONS, "created");
const ADOPTED = word(SESSIONS, "adopted");
const IDLE_LIMIT = word(SESSIONS, "idleLimit");
const ID_FIRST = word(SESSIONS, "idSerial");
const TOMBSTONE = STATE_NAMES.indexOf("tombstone");
/** Words of the boot that died: hashes, paths and next hops, acknowledgements, sweeps. */
const FORGOTTEN = [
  "originatorHash",
  "originatorPath",
  "originatorHopMac",
  "originatorHopMacRest",
  "responderHash",
  "responderPath",
  "responderHopMac",
  "responderHopMacRest",
  "replica",
  "sweep",
].map((name) => word(SESSIONS, name));

export interface Candidates {
  /** Rows of SESSIONS, one behind the other, in the new boot's clock. */
  readonly words: Int32Array;
  readonly count: number;
  /** Rows that were left out because their idle time had run out. */
  readonly expired: number;
  /** Milliseconds since the newest of them was written; 0 when there is none. */
  readonly ageMillis: number;
  /** Why there is nothing, when the file could not be read. */
  readonly problem: string | undefined;
}

export interface Now {
  /** The new boot's clock. */
  readonly nowMillis: number;
  /** Time of day. A clock that was set back counts as no time passed. */
  readonly wallMillis: number;
}

interface Kept {
  readonly at_millis: number;
  readonly zero_millis: number;
  readonly words: Buffer;
}

function nothing(problem: string | undefined): Candidates {
  return { words: new Int32Array(0), count: 0, expired: 0, ageMillis: 0, problem };
}

/** Milliseconds since a clock value of the old boot. `zero`: time of day at that clock's 0. */
function ageOf(clockValue: number, kept: Kept, now: Now): number {
  // Clock values are 32 bits and wrap; the distance to the moment of writing does not.
  const beforeWriting = Math.max(0, (kept.at_millis - kept.zero_millis - clockValue) | 0);
  return beforeWriting + Math.max(0, now.wallMillis - kept.at_millis);
}

/** Puts a row into the new clock. False when its idle time has run out. */
function convert(row: Int32Array, kept: Kept, now: Now): boolean {
  const idle = ageOf(row[LAST_SEEN] as number, kept, now);
  const isClosed = ((row[STATE] as number) & 0xff) === TOMBSTONE;
  if (!isClosed && idle >= (row[IDLE_LIMIT] as number)) return false;
  const clock = Math.floor(now.nowMillis);
  row[CREATED] = (clock - ageOf(row[CREATED] as number, kept, now)) | 0;
  if (row[ADOPTED] !== 0) row[ADOPTED] = (clock - ageOf(row[ADOPTED] as number, kept, now)) | 0 || 1;
  row[LAST_SEEN] = (clock - idle) | 0;
  for (const forgotten of FORGOTTEN) row[forgotten] = 0;
  row[0] = 2;
  return true;
}

function idOf(row: Int32Array): string {
  return row.subarray(ID_FIRST, ID_FIRST + 3).join();
}

function readAll(database: Database.Database, layoutHash: number, now: Now): Candidates {
  // What is older than a complete area, the store has only not forgotten yet.
  const complete = "(SELECT coalesce(max(incarnation), 0) FROM areas WHERE complete = 1)";
  const fitting = `FROM checkpoints JOIN areas USING (incarnation) WHERE layout = ? AND incarnation >= ${complete}`;
  const most = database.prepare(`SELECT count(*) ${fitting}`).pluck().get(layoutHash) as number;
  const areas = database.prepare("SELECT count(*) FROM areas WHERE layout = ?").pluck().get(layoutHash) as number;
  const words = new Int32Array(most * STRIDE);
  // Two areas overlap only when the store died in the first pass over a new one; the newer row of a session wins.
  const seen = new Set<string>();
  let count = 0;
  let expired = 0;
  let newest = 0;
  for (const kept of database
    .prepare(`SELECT at_millis, zero_millis, words ${fitting} ORDER BY incarnation DESC, row`)
    .iterate(layoutHash) as IterableIterator<Kept>) {
    if (kept.words.length !== STRIDE * 4 || count >= most) continue;
    const row = words.subarray(count * STRIDE, (count + 1) * STRIDE);
    new Uint8Array(row.buffer, row.byteOffset, row.byteLength).set(kept.words);
    newest = Math.max(newest, kept.at_millis);
    if (areas > 1) {
      const id = idOf(row);
      if (seen.has(id)) continue;
      seen.add(id);
    }
    if (convert(row, kept, now)) count++;
    else expired++;
  }
  return { words: words.subarray(0, count * STRIDE), count, expired, ageMillis: newest === 0 ? 0 : Math.max(0, now.wallMillis - newest), problem: undefined };
}

/**
 * Session rows of the last checkpoint in `databasePath` that were written under `layoutHash` and have not expired. Ended sessions
 * come back as tombstones. Never throws: an absent, foreign or damaged file gives none, and says why.
 */
export function loadCheckpoint(databasePath: string, layoutHash: number, now: Now): Candidates {
  if (!existsSync(databasePath)) return nothing("there is no checkpoint");
  let database: Database.Database | undefined;
  try {
    // Not read-only: after a crash the WAL has to be recovered. Nothing is written.
    database = new Database(databasePath, { fileMustExist: true, timeout: 1_000 });
    return readAll(database, layoutHash, now);
  } catch (error) {
    return nothing((error as Error).message);
  } finally {
    database?.close();
  }
}

/** What a warm start needs of the dataplane's session table, which is empty. */
export interface EmptyTable {
  readonly i: Int32Array;
  readonly capacity: number;
  /** Links the rows that it finds; returns how many were damaged and freed. */
  adoptRows(nowMillis: number): number;
}

/**
 * The dataplane's warm start: fills an empty session table from the checkpoint in a unit's data directory, and returns how
 * many sessions it restored. `report` hears, in a sentence, why there are none.
 */
export function createWarmStart(
  dataDirectory: string,
  wallMillis: () => number,
  report: (sentence: string) => void,
): (sessions: EmptyTable, nowMillis: number) => number {
  return (sessions, nowMillis) => {
    const candidates = loadCheckpoint(join(dataDirectory, STORE_FILE), SESSIONS_HASH, { nowMillis, wallMillis: wallMillis() });
    if (candidates.problem !== undefined) report(`starting cold: ${candidates.problem}`);
    if (candidates.count === 0) return 0;
    const placed = placeCandidates(sessions, candidates);
    return placed - sessions.adoptRows(nowMillis);
  };
}

/**
 * Puts candidates into an empty session table, from row 0 on, for `SessionTable.adoptRows` to link. Returns how many fitted:
 * all, unless the table has become smaller.
 */
export function placeCandidates(sessions: Pick<EmptyTable, "i" | "capacity">, candidates: Candidates): number {
  const count = Math.min(sessions.capacity, candidates.count);
  sessions.i.set(candidates.words.subarray(0, count * STRIDE));
  return count;
}
