// SYNs that came within live sessions. A SYN moves nothing there (T3): an endpoint that knows the old connection answers with a
// challenge ACK, and the sender's reset ends the session (RFC 9293 §3.5.2 "half-open connections"). But if that endpoint has forgotten the connection
// too, it accepts the SYN, or refuses it; then the firewall alone would hold on to the old one for hours. So the originator's last
// SYN is remembered, and an answer that acknowledges exactly it starts the session anew, or ends it.
//
// A few places, by row: private, lost at a restart, overwritten by the next SYN. Who loses a place repeats its SYN.

import { REOPENINGS } from "../../limits.ts";
import { TCP_ACK, TCP_ACKNOWLEDGEMENT, TCP_FLAGS, TCP_RST, TCP_SEQUENCE, TCP_SYN, TCP_WINDOW, tcpHeaderBytes } from "../wire/tcp.ts";
import { beginTcp, offeredScale } from "./tcp.ts";

export const ANSWER_NONE = 0;
export const ANSWER_ACCEPTS = 1;
export const ANSWER_REFUSES = 2;

const MASK = REOPENINGS - 1;

export class Reopenings {
  /** Session row + 1, and its id's serial: a row is used again. */
  private readonly sessions = new Int32Array(REOPENINGS);
  private readonly serials = new Int32Array(REOPENINGS);
  private readonly sequences = new Int32Array(REOPENINGS);
  private readonly ends = new Int32Array(REOPENINGS);
  private readonly windows = new Uint16Array(REOPENINGS);
  private readonly scales = new Uint8Array(REOPENINGS);

  /** The originator of session row `session` sent a SYN. `l4`: its TCP header, `l4Bytes` from there. */
  remember(session: number, serial: number, view: DataView, l4: number, l4Bytes: number): void {
    const place = session & MASK;
    const headerBytes = tcpHeaderBytes(view, l4);
    const sequence = view.getInt32(l4 + TCP_SEQUENCE);
    this.sessions[place] = session + 1;
    this.serials[place] = serial;
    this.sequences[place] = sequence;
    this.ends[place] = (sequence + l4Bytes - headerBytes + 1) | 0;
    this.windows[place] = view.getUint16(l4 + TCP_WINDOW);
    this.scales[place] = offeredScale(view, l4, headerBytes);
  }

  /** What a segment of the responder says to the remembered SYN: ANSWER_*. RFC 9293 §3.10.7.3: it must acknowledge that SYN. */
  answer(session: number, serial: number, view: DataView, l4: number): number {
    const place = session & MASK;
    const flags = view.getUint8(l4 + TCP_FLAGS);
    if (this.sessions[place] !== session + 1 || this.serials[place] !== serial || (flags & TCP_ACK) === 0) return ANSWER_NONE;
    const beforeEnd = ((this.ends[place] as number) - view.getInt32(l4 + TCP_ACKNOWLEDGEMENT)) | 0;
    const sent = ((this.ends[place] as number) - (this.sequences[place] as number)) | 0;
    if (beforeEnd < 0 || beforeEnd >= sent) return ANSWER_NONE;
    if ((flags & TCP_SYN) !== 0) return ANSWER_ACCEPTS;
    return (flags & TCP_RST) !== 0 ? ANSWER_REFUSES : ANSWER_NONE;
  }

  /** Puts the session's tracking back to where the remembered SYN has just been sent. `row`: the row's first word. */
  reopen(session: number, i: Int32Array, row: number): void {
    const place = session & MASK;
    this.sessions[place] = 0;
    beginTcp(i, row, this.sequences[place] as number, this.ends[place] as number, this.windows[place] as number, this.scales[place] as number);
  }
}
