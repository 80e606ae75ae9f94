// TCP: handshake, windows, close. Windows as in van Rooij's "Real Stateful TCP Packet Filtering" (T1), resets as in
// RFC 5961 §3.2 (T2), SYN in a session as in RFC 5961 §4 (T3). What segments carry (timestamps, SACK) is left as it is.
//
// Each direction has four flags: its SYN was seen, was acknowledged, its FIN was seen, was acknowledged. The state is a
// table over them, so that every order of events (simultaneous open, half-close, crossing FINs) ends where it should.
//
//   SYN─► syn-sent ─SYN,ACK─► syn-received ─ACK─► established ─FIN─► fin-wait ─ACK─► close-wait ─FIN─► last-ack ─ACK─► time-wait

import { REFRESH_BYTES } from "../../limits.ts";
import { STATE_NAMES } from "../memory/tables.ts";
import { FLAG_HALF_OPEN, FLAG_MIDSTREAM, FLAG_TENTATIVE, S_ACKED, S_ADOPTED, S_END, S_MAX_END, S_MAX_WINDOW, S_STATE, WINDOW_STRIDE } from "../sessions.ts";
import { drop } from "../verdicts.ts";
import {
  TCP_ACK,
  TCP_ACKNOWLEDGEMENT,
  TCP_BYTES,
  TCP_FIN,
  TCP_FLAGS,
  TCP_OPTION_END,
  TCP_OPTION_NOTHING,
  TCP_OPTION_WINDOW_SCALE,
  TCP_RST,
  TCP_SEQUENCE,
  TCP_SYN,
  TCP_WINDOW,
  TIMESTAMP_HEADER_BYTES,
  TIMESTAMP_LAYOUT,
  tcpHeaderBytes,
} from "../wire/tcp.ts";
import { sackFits } from "./sack.ts";

export const SYN_SENT = STATE_NAMES.indexOf("syn-sent");
export const SYN_RECEIVED = STATE_NAMES.indexOf("syn-received");
export const ESTABLISHED = STATE_NAMES.indexOf("established");
const FIN_WAIT = STATE_NAMES.indexOf("fin-wait");
const CLOSE_WAIT = STATE_NAMES.indexOf("close-wait");
const LAST_ACK = STATE_NAMES.indexOf("last-ack");
export const TIME_WAIT = STATE_NAMES.indexOf("time-wait");

/** Results of `trackTcp`, besides drop reasons (which are above 0). */
export const TCP_PASS = 0;
/** The row's state changed: replicate it, choose its idle limit anew. */
export const TCP_CHANGED = -1;
/** The session ends with this packet, which still passes. */
export const TCP_ENDED = -2;
/** Neither state nor windows moved, but a direction advanced far enough for its replica to be refreshed. */
export const TCP_REFRESH = -3;
/** A SYN for a tuple that is in time-wait: the old session ends, the packet meets the policy (RFC 9293 §3.6.1, F4). */
export const TCP_REOPENS = -4;
/** A SYN within a live session: nothing moved; it meets the policy (F3), and passes if that permits it (T3). */
export const TCP_SYN_AGAIN = -5;

/** What was seen of a direction; bits 24.. of the state word for the originator, 28.. for the responder. */
const SAW_SYN = 1;
const SYN_ACKED = 2;
const SAW_FIN = 4;
const FIN_ACKED = 8;
const ORIGINATOR_SHIFT = 24;
const RESPONDER_SHIFT = 28;
const SCALE_SHIFT = 16;
const SCALE_STEP = 4;
/** No scale offered; a scale above 14 counts as 14 (RFC 7323 §2.3). */
const SCALE_NONE = 15;
const SCALE_MOST = 14;

/** RFC 7323 §2.2: the largest window without scaling, with slack for acknowledgements. */
const ACK_WINDOW_BYTES = 66_000;
const TENTATIVE_MILLIS = 10_000;
/** RFC 7323 §2.3: no window is larger. What bounds a session whose scales were not seen (T4). */
const WINDOW_BYTES_MOST = 1 << 30;
/** A SYN's numbers that lie so close below those of an earlier one are its repetition, with less data or none (Fast Open, RFC 7413 §4.2). */
const SYN_BYTES_MOST = 65_535;

const OUT_OF_WINDOW = drop("tcp-out-of-window");
const BAD_STATE = drop("tcp-bad-state");
const INEXACT_RESET = drop("tcp-inexact-reset");
const STRAGGLER = drop("tcp-straggler");

/** State after the handshake by (originator FIN flags, responder FIN flags), each 0 none, 1 seen, 3 seen and acknowledged. */
const CLOSING = [
  [ESTABLISHED, FIN_WAIT, FIN_WAIT, CLOSE_WAIT],
  [FIN_WAIT, LAST_ACK, LAST_ACK, LAST_ACK],
  [FIN_WAIT, LAST_ACK, LAST_ACK, LAST_ACK],
  [CLOSE_WAIT, LAST_ACK, LAST_ACK, TIME_WAIT],
].flat();

/** The window scale that a SYN offers, 0..14, or SCALE_NONE. */
export function offeredScale(view: DataView, l4: number, headerBytes: number): number {
  let at = l4 + 20;
  const end = l4 + headerBytes;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === TCP_OPTION_END) return SCALE_NONE;
    if (kind === TCP_OPTION_NOTHING) {
      at++;
      continue;
    }
    // checkTcp() verified every length.
    const bytes = view.getUint8(at + 1);
    if (kind === TCP_OPTION_WINDOW_SCALE && bytes === 3) return Math.min(view.getUint8(at + 2), SCALE_MOST);
    at += bytes;
  }
  return SCALE_NONE;
}

function scaleOf(state: number, direction: number): number {
  const scale = (state >>> (SCALE_SHIFT + direction * SCALE_STEP)) & 15;
  return scale === SCALE_NONE ? 0 : scale;
}

function withScale(state: number, direction: number, scale: number): number {
  const shift = SCALE_SHIFT + direction * SCALE_STEP;
  return (state & ~(15 << shift)) | (scale << shift);
}

/** Fills a new row (all zero) from the SYN that opens it. `row` is the row's first word. */
export function openTcp(i: Int32Array, row: number, view: DataView, l4: number, l4Bytes: number): void {
  const headerBytes = tcpHeaderBytes(view, l4);
  const sequence = view.getInt32(l4 + TCP_SEQUENCE);
  const end = (sequence + l4Bytes - headerBytes + 1) | 0;
  beginTcp(i, row, sequence, end, view.getUint16(l4 + TCP_WINDOW), offeredScale(view, l4, headerBytes));
}

/** The originator has sent a SYN with these numbers; nothing of the responder is known. `end`: behind its last byte. `scale`: 0..14 or none. */
export function beginTcp(i: Int32Array, row: number, sequence: number, end: number, window: number, scale: number): void {
  i[row + S_END] = end;
  // Data in the SYN is allowed (Fast Open, T5), nothing beyond it until the responder grants a window.
  i[row + S_MAX_END] = end;
  i[row + S_MAX_WINDOW] = Math.max(window, 1);
  i[row + S_ACKED] = sequence;
  i[row + WINDOW_STRIDE + S_END] = 0;
  i[row + WINDOW_STRIDE + S_MAX_END] = 0;
  i[row + WINDOW_STRIDE + S_MAX_WINDOW] = 0;
  const state = withScale(withScale(SYN_SENT | (SAW_SYN << ORIGINATOR_SHIFT), 0, scale), 1, SCALE_NONE);
  i[row + S_STATE] = ((i[row + S_STATE] as number) & FLAG_HALF_OPEN) | state;
}

/**
 * Fills a new row (all zero) from a segment in the middle of a connection (T4). Its sender has sent so far and been promised nothing
 * that was seen here; scales stay unknown, so windows are never enforced. It is established when the other side answers.
 */
export function openMidstream(i: Int32Array, row: number, view: DataView, l4: number, l4Bytes: number): void {
  const sequence = view.getInt32(l4 + TCP_SEQUENCE);
  const ack = view.getInt32(l4 + TCP_ACKNOWLEDGEMENT);
  const window = Math.max(view.getUint16(l4 + TCP_WINDOW), 1);
  const end = (sequence + l4Bytes - tcpHeaderBytes(view, l4)) | 0;
  i[row + S_END] = end;
  i[row + S_MAX_END] = end;
  i[row + S_MAX_WINDOW] = window;
  i[row + S_ACKED] = sequence;
  i[row + WINDOW_STRIDE + S_END] = ack;
  i[row + WINDOW_STRIDE + S_MAX_END] = (ack + window) | 0;
  i[row + WINDOW_STRIDE + S_MAX_WINDOW] = 1;
  i[row + S_ACKED + 1] = ack;
  const seen = (SAW_SYN << ORIGINATOR_SHIFT) | ((SAW_SYN | SYN_ACKED) << RESPONDER_SHIFT);
  i[row + S_STATE] = withScale(withScale(SYN_RECEIVED | FLAG_MIDSTREAM | seen, 0, SCALE_NONE), 1, SCALE_NONE);
}

/**
 * Judges one segment of a session and moves its windows and state. `row` is the row's first word, `direction` 0 for the
 * originator, `l4` the TCP header's offset, `l4Bytes` from there. Returns TCP_* or a drop reason.
 */
export function trackTcp(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, nowMillis: number): number {
  const flags = view.getUint8(l4 + TCP_FLAGS);
  const state = i[row + S_STATE] as number;
  const kind = state & 0xff;
  if ((flags & TCP_SYN) !== 0) return trackSyn(i, row, direction, view, l4, l4Bytes, flags, kind);
  if (kind < ESTABLISHED) return trackOpening(i, row, direction, view, l4, l4Bytes, flags, nowMillis);
  if (kind === TIME_WAIT) return trackTimeWait(i, row, direction, view, l4, l4Bytes, flags);
  return trackSegment(i, row, direction, view, l4, l4Bytes, flags, nowMillis);
}

/** A SYN or SYN,ACK within a session. */
function trackSyn(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, flags: number, kind: number): number {
  if (kind === TIME_WAIT) return (flags & TCP_ACK) === 0 ? TCP_REOPENS : BAD_STATE;
  if (kind >= ESTABLISHED) return trackLateSyn(i, row, direction, view, l4, l4Bytes, flags);
  const state = i[row + S_STATE] as number;
  const own = row + direction * WINDOW_STRIDE;
  const other = row + (1 - direction) * WINDOW_STRIDE;
  const ownShift = direction === 0 ? ORIGINATOR_SHIFT : RESPONDER_SHIFT;
  const otherShift = direction === 0 ? RESPONDER_SHIFT : ORIGINATOR_SHIFT;
  const headerBytes = tcpHeaderBytes(view, l4);
  const end = (view.getInt32(l4 + TCP_SEQUENCE) + l4Bytes - headerBytes + 1) | 0;
  let next = state;
  if ((flags & TCP_ACK) !== 0) {
    // RFC 9293 §3.10.7.3: the acknowledgement must be of the SYN (or of the Fast Open data behind it).
    if (((state >>> otherShift) & SAW_SYN) === 0) return BAD_STATE;
    const ack = view.getInt32(l4 + TCP_ACKNOWLEDGEMENT);
    if (((ack - (i[other + S_END] as number)) | 0) > 0 || (((i[other + S_END] as number) - ack) | 0) > ACK_WINDOW_BYTES) return BAD_STATE;
    next |= SYN_ACKED << otherShift;
  } else if (direction === 1 && ((state >>> ORIGINATOR_SHIFT) & SAW_SYN) === 0) return BAD_STATE;
  const isFirst = ((state >>> ownShift) & SAW_SYN) === 0;
  const shorter = ((i[own + S_END] as number) - end) | 0;
  const isRepeated = !isFirst && shorter >= 0 && shorter <= SYN_BYTES_MOST;
  if (!isFirst && !isRepeated && kind === SYN_RECEIVED) {
    // Once the other side has answered, another SYN is another connection's, and its endpoint's to challenge.
    if ((flags & TCP_ACK) === 0) return TCP_SYN_AGAIN;
    // Who answers statelessly (SYN cookies, RFC 4987 §3.6) may choose another number each time, until one is acknowledged.
    if (((state >>> ownShift) & SYN_ACKED) !== 0) return BAD_STATE;
  }
  if ((flags & TCP_ACK) !== 0) {
    const ack = view.getInt32(l4 + TCP_ACKNOWLEDGEMENT);
    // The window in a SYN is never scaled (RFC 7323 §2.2).
    i[other + S_MAX_END] = (ack + view.getUint16(l4 + TCP_WINDOW)) | 0;
    noteAcked(i, row, 1 - direction, ack);
  }
  next |= SAW_SYN << ownShift;
  next = withScale(next, direction, offeredScale(view, l4, headerBytes));
  if (!isRepeated) {
    i[own + S_END] = end;
    i[row + S_ACKED + direction] = view.getInt32(l4 + TCP_SEQUENCE);
    // Data may follow a SYN,ACK at once, as far as the other side's SYN allowed (RFC 7413 §4.2).
    i[own + S_MAX_END] = (flags & TCP_ACK) === 0 ? end : (end + (i[other + S_MAX_WINDOW] as number)) | 0;
  }
  i[own + S_MAX_WINDOW] = Math.max(view.getUint16(l4 + TCP_WINDOW), i[own + S_MAX_WINDOW] as number, 1);
  // RFC 7323 §1.3: scaling is in force only if both offered it.
  const both = ((next >>> ORIGINATOR_SHIFT) & (next >>> RESPONDER_SHIFT) & SAW_SYN) !== 0;
  if (both && (((next >>> SCALE_SHIFT) & 15) === SCALE_NONE || ((next >>> (SCALE_SHIFT + SCALE_STEP)) & 15) === SCALE_NONE)) {
    next = withScale(withScale(next, 0, SCALE_NONE), 1, SCALE_NONE);
  }
  next = (next & ~0xff) | (both ? SYN_RECEIVED : SYN_SENT);
  i[row + S_STATE] = next;
  return next === state ? TCP_PASS : TCP_CHANGED;
}

/**
 * A SYN or SYN,ACK in a session that is established or closing. RFC 5961 §4: the endpoint answers a SYN with a challenge ACK, and nothing
 * moves here (T3). A SYN,ACK passes if it repeats that of the handshake; it has no new number to give.
 */
function trackLateSyn(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, flags: number): number {
  if ((flags & TCP_ACK) === 0) return TCP_SYN_AGAIN;
  const own = row + direction * WINDOW_STRIDE;
  const other = row + (1 - direction) * WINDOW_STRIDE;
  const end = (view.getInt32(l4 + TCP_SEQUENCE) + l4Bytes - tcpHeaderBytes(view, l4) + 1) | 0;
  const behind = ((i[own + S_END] as number) - end) | 0;
  const unacknowledged = ((i[other + S_END] as number) - view.getInt32(l4 + TCP_ACKNOWLEDGEMENT)) | 0;
  const ackWindow = Math.max(i[own + S_MAX_WINDOW] as number, ACK_WINDOW_BYTES);
  return behind >= 0 && behind <= (i[other + S_MAX_WINDOW] as number) && unacknowledged >= 0 && unacknowledged <= ackWindow ? TCP_PASS : BAD_STATE;
}

/** `direction`'s bytes up to `ack` have arrived. */
function noteAcked(i: Int32Array, row: number, direction: number, ack: number): void {
  if (((ack - (i[row + S_ACKED + direction] as number)) | 0) > 0) i[row + S_ACKED + direction] = ack;
}

/** A segment without SYN before the handshake is complete. */
function trackOpening(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, flags: number, nowMillis: number): number {
  const state = i[row + S_STATE] as number;
  const otherShift = direction === 0 ? RESPONDER_SHIFT : ORIGINATOR_SHIFT;
  const other = row + (1 - direction) * WINDOW_STRIDE;
  const own = row + direction * WINDOW_STRIDE;
  if ((flags & TCP_RST) !== 0) {
    // RFC 9293 §3.10.7.3: in SYN-SENT a reset counts only if it acknowledges the SYN; RFC 5961 §3.2 for the originator's own.
    const sawOwn = ((state >>> (direction === 0 ? ORIGINATOR_SHIFT : RESPONDER_SHIFT)) & SAW_SYN) !== 0;
    const exact = sawOwn
      ? view.getInt32(l4 + TCP_SEQUENCE) === i[own + S_END]
      : (flags & TCP_ACK) !== 0 && view.getInt32(l4 + TCP_ACKNOWLEDGEMENT) === i[other + S_END];
    if (exact) return TCP_ENDED;
    return direction === 0 && isChallenged(i, other) && view.getInt32(l4 + TCP_SEQUENCE) === i[other + S_END] ? TCP_PASS : INEXACT_RESET;
  }
  if ((state & 0xff) === SYN_SENT && direction === 1 && flags === TCP_ACK && l4Bytes === tcpHeaderBytes(view, l4)) {
    return trackChallenge(i, own, view.getInt32(l4 + TCP_ACKNOWLEDGEMENT), i[other + S_END] as number);
  }
  // Fast Open data travels in the SYN itself (RFC 7413 §4.2): before both SYNs were seen, nothing else belongs here (F3).
  if ((flags & TCP_ACK) === 0 || ((state >>> ORIGINATOR_SHIFT) & (state >>> RESPONDER_SHIFT) & SAW_SYN) === 0) return BAD_STATE;
  const verdict = trackSegment(i, row, direction, view, l4, l4Bytes, flags, nowMillis);
  if (verdict > 0) return verdict;
  let next = (i[row + S_STATE] as number) | (SYN_ACKED << otherShift);
  const acknowledged = (next >>> ORIGINATOR_SHIFT) & (next >>> RESPONDER_SHIFT) & SYN_ACKED;
  if (acknowledged !== 0 && (next & 0xff) < ESTABLISHED) next = (next & ~0xff) | ESTABLISHED;
  i[row + S_STATE] = next;
  return next === state ? verdict : TCP_CHANGED;
}

/**
 * A bare acknowledgement of something else answers a SYN: the responder still has an older connection, and challenges the originator
 * to reset that (T3, RFC 9293 §3.5.1 figure 9, §3.10.7.4). Its number is kept where the responder's will be: the reset must carry it.
 */
function trackChallenge(i: Int32Array, own: number, ack: number, expected: number): number {
  if (ack === expected) return BAD_STATE;
  i[own + S_END] = ack;
  i[own + S_MAX_END] = ~ack;
  return TCP_PASS;
}

/** The responder, of which no SYN was seen, has sent a challenge. `responder`: its windows' first word. */
function isChallenged(i: Int32Array, responder: number): boolean {
  return i[responder + S_MAX_END] === ~(i[responder + S_END] as number);
}

/**
 * After both FINs are acknowledged only a repeated FIN and its acknowledgement pass; all else meets the rules (F4). What others overtook on
 * the way is no intruder's, and has a reason of its own: nobody misses it, as all of it has been acknowledged.
 */
function trackTimeWait(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, flags: number): number {
  const own = row + direction * WINDOW_STRIDE;
  const other = row + (1 - direction) * WINDOW_STRIDE;
  const headerBytes = tcpHeaderBytes(view, l4);
  const end = (view.getInt32(l4 + TCP_SEQUENCE) + l4Bytes - headerBytes + (flags & TCP_FIN)) | 0;
  if ((flags & TCP_RST) !== 0) return end === i[own + S_END] ? TCP_ENDED : INEXACT_RESET;
  const exact = end === i[own + S_END] && (flags & TCP_ACK) !== 0 && view.getInt32(l4 + TCP_ACKNOWLEDGEMENT) === i[other + S_END];
  if (exact && l4Bytes === headerBytes) return TCP_PASS;
  if ((flags & TCP_ACK) === 0) return BAD_STATE;
  const behind = ((i[own + S_END] as number) - end) | 0;
  const unacknowledged = ((i[other + S_END] as number) - view.getInt32(l4 + TCP_ACKNOWLEDGEMENT)) | 0;
  const ackWindow = Math.max(i[own + S_MAX_WINDOW] as number, ACK_WINDOW_BYTES);
  const overtaken = behind >= 0 && behind <= 2 * (i[other + S_MAX_WINDOW] as number) && unacknowledged >= 0 && unacknowledged <= 2 * ackWindow;
  return overtaken ? STRAGGLER : BAD_STATE;
}

/** The window check (T1) and what follows from a segment that passes it. */
function trackSegment(i: Int32Array, row: number, direction: number, view: DataView, l4: number, l4Bytes: number, flags: number, nowMillis: number): number {
  const state = i[row + S_STATE] as number;
  const own = row + direction * WINDOW_STRIDE;
  const other = row + WINDOW_STRIDE - direction * WINDOW_STRIDE;
  const sequence = view.getInt32(l4 + TCP_SEQUENCE);
  const fin = flags & TCP_FIN;
  const headerBytes = tcpHeaderBytes(view, l4);
  const end = (sequence + l4Bytes - headerBytes + fin) | 0;
  const otherEnd = i[other + S_END] as number;
  const hasAck = (flags & TCP_ACK) !== 0;
  const ack = hasAck ? view.getInt32(l4 + TCP_ACKNOWLEDGEMENT) : otherEnd;
  const ownEnd = i[own + S_END] as number;
  const ownMaxEnd = i[own + S_MAX_END] as number;
  const ownMaxWindow = i[own + S_MAX_WINDOW] as number;
  const otherMaxWindow = i[other + S_MAX_WINDOW] as number;
  if ((state & (FLAG_TENTATIVE | FLAG_MIDSTREAM)) !== 0)
    return trackTentative(i, row, direction, sequence, end, ack, flags, view.getUint16(l4 + TCP_WINDOW), nowMillis);
  if (((sequence - ownMaxEnd) | 0) > 0) return OUT_OF_WINDOW;
  // RFC 5961 §5: what others overtook on its way lies within a window of the highest acknowledgement so far, be it data or itself an
  // acknowledgement. Counted from what was sent, as T1 has it, it would be dropped whenever the sender has filled the window that the later
  // ones opened: stack-loss saw an acknowledgement 81,056 bytes behind, of 79,872, and data 96,276 behind, of 80,896.
  if (((end - (i[row + S_ACKED + direction] as number) + otherMaxWindow) | 0) < 0) return OUT_OF_WINDOW;
  if (((ack - otherEnd) | 0) > 0) return OUT_OF_WINDOW;
  // The side that acknowledges lags by its own window at the most, which bounds what may be in flight towards it.
  const acked = i[row + S_ACKED + 1 - direction] as number;
  const ackWindow = ownMaxWindow > ACK_WINDOW_BYTES ? ownMaxWindow : ACK_WINDOW_BYTES;
  if (((ack - acked + ackWindow) | 0) < 0) return OUT_OF_WINDOW;
  // Nearly every segment has no options, or timestamps alone. A duplicate that is reported lay within a window when it arrived.
  if (headerBytes !== TCP_BYTES && (headerBytes !== TIMESTAMP_HEADER_BYTES || view.getInt32(l4 + TCP_BYTES, true) !== TIMESTAMP_LAYOUT)) {
    if (!sackFits(view, l4, headerBytes, (acked - 2 * ackWindow) | 0, otherEnd)) return OUT_OF_WINDOW;
  }
  if ((flags & TCP_RST) !== 0) return trackReset(i, row, direction, sequence, ownEnd);
  if (ack !== acked) noteAcked(i, row, 1 - direction, ack);
  const windowBytes = view.getUint16(l4 + TCP_WINDOW) << scaleOf(state, direction);
  if (windowBytes > ownMaxWindow) i[own + S_MAX_WINDOW] = windowBytes;
  const granted = (ack + (windowBytes === 0 ? 1 : windowBytes)) | 0;
  if (((granted - (i[other + S_MAX_END] as number)) | 0) > 0) i[other + S_MAX_END] = granted;
  let verdict = TCP_PASS;
  if (((end - ownEnd) | 0) > 0) {
    i[own + S_END] = end;
    // Crossing a multiple of M/2 makes the replica follow: cost goes with bytes, and no other line is read to know it.
    if (((end ^ ownEnd) & -(REFRESH_BYTES >> 1)) !== 0) verdict = TCP_REFRESH;
  }
  if (fin !== 0 || (state & 0xff) !== ESTABLISHED) return trackClose(i, row, direction, fin, end, ack, hasAck, verdict);
  return verdict;
}

/**
 * RFC 5961 §3.2: exactly the next byte that the receiver expects closes; elsewhere in the window it sends a challenge ACK (T2). What it
 * expects is what it acknowledged last, or all that was sent when the acknowledgement is still on its way.
 */
function trackReset(i: Int32Array, row: number, direction: number, sequence: number, ownEnd: number): number {
  return sequence === ownEnd || sequence === i[row + S_ACKED + direction] ? TCP_ENDED : TCP_PASS;
}

/** FINs and what acknowledges them. */
function trackClose(i: Int32Array, row: number, direction: number, fin: number, end: number, ack: number, hasAck: boolean, verdict: number): number {
  const state = i[row + S_STATE] as number;
  const ownShift = direction === 0 ? ORIGINATOR_SHIFT : RESPONDER_SHIFT;
  const otherShift = direction === 0 ? RESPONDER_SHIFT : ORIGINATOR_SHIFT;
  const otherEnd = i[row + (1 - direction) * WINDOW_STRIDE + S_END] as number;
  let next = state;
  if (fin !== 0 && end === i[row + direction * WINDOW_STRIDE + S_END]) next |= SAW_FIN << ownShift;
  if (hasAck && ((state >>> otherShift) & SAW_FIN) !== 0 && ack === otherEnd) next |= FIN_ACKED << otherShift;
  if ((state & 0xff) >= ESTABLISHED || ((next >>> ownShift) & SAW_FIN) !== 0) {
    const kind = CLOSING[((next >>> (ORIGINATOR_SHIFT + 2)) & 3) * 4 + ((next >>> (RESPONDER_SHIFT + 2)) & 3)] as number;
    if ((state & 0xff) >= ESTABLISHED || kind > ESTABLISHED) next = (next & ~0xff) | kind;
  }
  if (next === state) return verdict;
  i[row + S_STATE] = next;
  return TCP_CHANGED;
}

/**
 * Windows that are not known exactly: a session picked up in midstream, whose scales nobody will tell any more (T4), or adopted from an owner whose last words
 * this unit may not have heard (PROTOCOL.md "Sessions and replication"): accept to maxend + 2M; RST and FIN beyond the
 * known windows do not end anything. Strict again after 10 s, and not sooner, even if both directions have been seen: what one of
 * them sent by the former owner may be acknowledged only after this one has repeated an old segment, and an acknowledgement of
 * bytes that this unit never saw must still pass (simulator seed 459).
 */
function trackTentative(
  i: Int32Array,
  row: number,
  direction: number,
  sequence: number,
  end: number,
  ack: number,
  flags: number,
  window: number,
  nowMillis: number,
): number {
  const state = i[row + S_STATE] as number;
  const own = row + direction * WINDOW_STRIDE;
  const other = row + (1 - direction) * WINDOW_STRIDE;
  const isMidstream = (state & FLAG_MIDSTREAM) !== 0;
  const largest = isMidstream ? WINDOW_BYTES_MOST >> 1 : Math.max(i[own + S_MAX_WINDOW] as number, i[other + S_MAX_WINDOW] as number, REFRESH_BYTES);
  const slack = 2 * largest;
  const beyond = ((sequence - (i[own + S_MAX_END] as number)) | 0) > 0;
  if (((sequence - (i[own + S_MAX_END] as number) - slack) | 0) > 0) return OUT_OF_WINDOW;
  if (((end - (i[own + S_END] as number) + largest) | 0) < 0) return OUT_OF_WINDOW;
  if (((ack - (i[other + S_END] as number) - slack) | 0) > 0) return OUT_OF_WINDOW;
  if (((ack - (i[other + S_END] as number) + Math.max(largest, ACK_WINDOW_BYTES)) | 0) < 0) return OUT_OF_WINDOW;
  if ((flags & TCP_RST) !== 0) return beyond ? TCP_PASS : trackReset(i, row, direction, sequence, i[own + S_END] as number);
  noteAcked(i, row, 1 - direction, ack);
  const windowBytes = window << scaleOf(state, direction);
  if (windowBytes > (i[own + S_MAX_WINDOW] as number)) i[own + S_MAX_WINDOW] = windowBytes;
  const ownEnd = i[own + S_END] as number;
  const otherEnd = i[other + S_END] as number;
  // Replicas follow here, too: another unit may have to take over before the ten seconds are over, and its slack is no larger (the lab's
  // pair-active-killed: two takeovers in ten seconds left a transfer out of every window).
  let verdict = TCP_PASS;
  if (((end - ownEnd) | 0) > 0) {
    i[own + S_END] = end;
    if (((end ^ ownEnd) & -(REFRESH_BYTES >> 1)) !== 0) verdict = TCP_REFRESH;
  }
  // What this direction acknowledges, the other one has sent: its end is confirmed.
  if (((ack - otherEnd) | 0) > 0) {
    i[other + S_END] = ack;
    if (((ack ^ otherEnd) & -(REFRESH_BYTES >> 1)) !== 0) verdict = TCP_REFRESH;
  }
  const granted = (ack + Math.max(windowBytes, 1)) | 0;
  if (((granted - (i[other + S_MAX_END] as number)) | 0) > 0) i[other + S_MAX_END] = granted;
  let next = state;
  if (((nowMillis - (i[row + S_ADOPTED] as number)) | 0) > TENTATIVE_MILLIS) {
    next &= ~FLAG_TENTATIVE;
    i[row + S_ADOPTED] = 0;
  }
  i[row + S_STATE] = next;
  const fin = flags & TCP_FIN;
  const close = (fin !== 0 && !beyond) || (next & 0xff) !== ESTABLISHED;
  if (close) verdict = trackClose(i, row, direction, beyond ? 0 : fin, end, ack, (flags & TCP_ACK) !== 0, verdict);
  return next === state ? verdict : TCP_CHANGED;
}
