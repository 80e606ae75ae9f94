// Two records of what may be one flow: which one stands. PROTOCOL.md "Sessions and replication", "Both sites create".
//
//   one id                     (epoch, version) decides; of two owners in one epoch, the lower unit
//   one creator, equal tuple   the later id: the creator has reopened the tuple
//   two creators, equal key    the lower creator; the other yields, and the winner merges its state by tuple direction

import { STATE_NAMES } from "../fastpath/memory/tables.ts";
import {
  COUNTER_STRIDE,
  FLAG_HALF_OPEN,
  KEY_WORDS,
  ROW_WORDS,
  S_ACKED,
  S_END,
  S_EPOCH,
  S_ID_CREATOR,
  S_ID_INCARNATION,
  S_ID_SERIAL,
  S_IDLE_LIMIT,
  S_KEY,
  S_LAST_SEEN,
  S_MAX_END,
  S_MAX_WINDOW,
  S_PACKETS_F64,
  S_STATE,
  S_VERSION,
  STATE_LAST_TCP,
  WINDOW_STRIDE,
} from "../fastpath/sessions.ts";

const SYN_SENT = STATE_NAMES.indexOf("syn-sent");
const SYN_RECEIVED = STATE_NAMES.indexOf("syn-received");
const UDP_ONE_WAY = STATE_NAMES.indexOf("udp-one-way");
const OTHER_ONE_WAY = STATE_NAMES.indexOf("other-one-way");
/** Bits of the state word, per direction: window scale and TCP_* flags. */
const SCALE_SHIFT = 16;
const TCP_SHIFT = 24;
const DIRECTION_BITS = 4;

/** Orders two states of one session by epoch, then version: negative, zero or positive. Both wrap. */
export function compareAge(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  const epochs = ((a[aAt + S_EPOCH] as number) - (b[bAt + S_EPOCH] as number)) | 0;
  return epochs !== 0 ? epochs : ((a[aAt + S_VERSION] as number) - (b[bAt + S_VERSION] as number)) | 0;
}

/** Orders two ids of one creator: incarnation, then the 40-bit serial. */
export function compareIds(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  const incarnations = ((a[aAt + S_ID_INCARNATION] as number) - (b[bAt + S_ID_INCARNATION] as number)) | 0;
  if (incarnations !== 0) return incarnations;
  const high = ((a[aAt + S_ID_CREATOR] as number) & 0xff) - ((b[bAt + S_ID_CREATOR] as number) & 0xff);
  if (high !== 0) return high;
  const low = a[aAt + S_ID_SERIAL] as number;
  const otherLow = b[bAt + S_ID_SERIAL] as number;
  return low === otherLow ? 0 : low >>> 0 < otherLow >>> 0 ? -1 : 1;
}

/** Unit that created the session at word `at`. */
export function creatorOf(i: Int32Array, at: number): number {
  return ((i[at + S_ID_CREATOR] as number) >>> 8) & 0xff;
}

/** 0 when both rows' originators are the same side, 1 when one's originator is the other's responder. */
export function mirrored(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  for (let k = 0; k < KEY_WORDS; k = (k + 1) | 0) if (a[aAt + S_KEY + k] !== b[bAt + S_KEY + k]) return 1;
  return 0;
}

/**
 * Merges a yielded session into the live row `winner` (a row number): furthest state, sequence-maximum windows, summed
 * counters (the greater ones, if it is one session), each by tuple direction. `loserState`: its state word before it was ended. Epoch
 * and owner are the caller's.
 */
export function mergeRow(i: Int32Array, f: Float64Array, winner: number, loser: Int32Array, loserF: Float64Array, loserState: number): void {
  const at = winner * ROW_WORDS;
  const swap = mirrored(i, at, loser, 0);
  let state = i[at + S_STATE] as number;
  const kind = state & 0xff;
  const tcp = kind <= STATE_LAST_TCP;
  const isOne = creatorOf(i, at) === creatorOf(loser, 0) && compareIds(i, at, loser, 0) === 0;
  for (let direction = 0; direction < 2; direction = (direction + 1) | 0) {
    const theirs = direction ^ swap;
    const mine = (at >> 1) + S_PACKETS_F64 + direction * COUNTER_STRIDE;
    const other = S_PACKETS_F64 + theirs * COUNTER_STRIDE;
    if (tcp) state = mergeTcp(i, at, state, direction, loser, loserState, theirs);
    f[mine] = isOne ? Math.max(f[mine] as number, loserF[other] as number) : (f[mine] as number) + (loserF[other] as number);
    f[mine + 1] = isOne ? Math.max(f[mine + 1] as number, loserF[other + 1] as number) : (f[mine + 1] as number) + (loserF[other + 1] as number);
  }
  i[at + S_STATE] = (state & ~0xff) | furthest(kind, loserState & 0xff, swap);
  if ((((loser[S_LAST_SEEN] as number) - (i[at + S_LAST_SEEN] as number)) | 0) > 0) i[at + S_LAST_SEEN] = loser[S_LAST_SEEN] as number;
  if ((loser[S_IDLE_LIMIT] as number) > (i[at + S_IDLE_LIMIT] as number)) i[at + S_IDLE_LIMIT] = loser[S_IDLE_LIMIT] as number;
}

/** Is there more, or less, known of the connection in row `at` than in `b`: state, flags, windows? */
export function differs(i: Int32Array, at: number, b: Int32Array): boolean {
  if ((((i[at + S_STATE] as number) ^ (b[S_STATE] as number)) & ~FLAG_HALF_OPEN) !== 0) return true;
  for (let k = S_END; k < S_END + 2 * WINDOW_STRIDE; k = (k + 1) | 0) if (i[at + k] !== b[k]) return true;
  return i[at + S_ACKED] !== b[S_ACKED] || i[at + S_ACKED + 1] !== b[S_ACKED + 1];
}

/** One direction's windows and flags; returns the new state word. A direction that one of them never saw is taken from the other. */
function mergeTcp(i: Int32Array, at: number, state: number, direction: number, loser: Int32Array, loserState: number, theirs: number): number {
  const own = at + direction * WINDOW_STRIDE;
  const from = theirs * WINDOW_STRIDE;
  const flags = (state >>> (TCP_SHIFT + direction * DIRECTION_BITS)) & 15;
  const otherFlags = (loserState >>> (TCP_SHIFT + theirs * DIRECTION_BITS)) & 15;
  if (otherFlags === 0) return state;
  if (flags === 0) {
    i[own + S_END] = loser[from + S_END] as number;
    i[own + S_MAX_END] = loser[from + S_MAX_END] as number;
    i[at + direction + S_ACKED] = loser[theirs + S_ACKED] as number;
    const scale = (loserState >>> (SCALE_SHIFT + theirs * DIRECTION_BITS)) & 15;
    state = (state & ~(15 << (SCALE_SHIFT + direction * DIRECTION_BITS))) | (scale << (SCALE_SHIFT + direction * DIRECTION_BITS));
  } else {
    if ((((loser[from + S_END] as number) - (i[own + S_END] as number)) | 0) > 0) i[own + S_END] = loser[from + S_END] as number;
    if ((((loser[from + S_MAX_END] as number) - (i[own + S_MAX_END] as number)) | 0) > 0) i[own + S_MAX_END] = loser[from + S_MAX_END] as number;
    if ((((loser[theirs + S_ACKED] as number) - (i[at + direction + S_ACKED] as number)) | 0) > 0)
      i[at + direction + S_ACKED] = loser[theirs + S_ACKED] as number;
  }
  if ((loser[from + S_MAX_WINDOW] as number) > (i[own + S_MAX_WINDOW] as number)) i[own + S_MAX_WINDOW] = loser[from + S_MAX_WINDOW] as number;
  return state | (otherFlags << (TCP_SHIFT + direction * DIRECTION_BITS));
}

/** The further of two states; what only the two together show (both directions seen) counts. */
function furthest(kind: number, other: number, swap: number): number {
  if (swap === 1 && kind === SYN_SENT && other === SYN_SENT) return SYN_RECEIVED;
  if (swap === 1 && kind === other && (kind === UDP_ONE_WAY || kind === OTHER_ONE_WAY)) return kind + 1;
  return Math.max(kind, other);
}
