// A small honest TCP: what an end host's stack does that a firewall in the middle can notice. Handshake with MSS and window
// scale, sliding windows, slow start, fast retransmit (RFC 5681, 6582), retransmission timeout with back-off (RFC 6298),
// reassembly, FIN both ways, RST and challenge ACKs as RFC 5961 asks. No SACK, no timestamps, the application reads at once.
//
// Positions count a stream's bytes from the SYN (position 0) without wrapping; they become sequence numbers at the edge.

import type { Random } from "../../firmware/hal/sim/random.ts";
import type { Schedule, Timer } from "../../firmware/hal/sim/schedule.ts";
import { put16, put32, u16, u32 } from "./packets.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const RTO_LEAST_MICROS = 200_000;
const RTO_FIRST_MICROS = 1_000_000;
const RTO_MOST_MICROS = 4_000_000;
const RETRIES_MOST = 15;
const DELAYED_ACK_MICROS = 10_000;
const TIME_WAIT_MICROS = 2_000_000;
const FIRST_WINDOW_SEGMENTS = 10;
const HEADER_BYTES = 20;
const SYN_OPTION_BYTES = 8;

export type TcpEnd = "done" | "reset" | "refused" | "timeout";

/** What uses a connection. */
export interface TcpUser {
  opened(connection: TcpConnection): void;
  /** Bytes in order; `position` of the first, counted from 0. */
  data(connection: TcpConnection, bytes: Uint8Array, position: number): void;
  /** The peer has sent all. */
  finished(connection: TcpConnection): void;
  ended(connection: TcpConnection, end: TcpEnd): void;
}

export interface TcpSettings {
  readonly schedule: Schedule;
  readonly random: Random;
  readonly localPort: number;
  readonly remotePort: number;
  /** Bytes of payload that fit a packet. */
  readonly segmentBytes: number;
  /** What it can take at once; above 65,535 a window scale is offered. */
  readonly windowBytes: number;
  readonly user: TcpUser;
  /** Sends a segment (header and payload, checksum still zero). */
  readonly output: (segment: Uint8Array) => void;
  /** Copies bytes of the stream to be sent. */
  readonly fill: (connection: TcpConnection, position: number, target: Uint8Array, at: number, length: number) => void;
}

type State = "closed" | "syn-sent" | "syn-received" | "open" | "time-wait";

export class TcpConnection {
  readonly settings: TcpSettings;
  state: State = "closed";
  segmentBytes: number;
  retransmissions = 0;
  private readonly iss: number;
  private irs = 0;
  private una = 0;
  private next = 0;
  private most = 0;
  private dataEnd = 1;
  private finishing = false;
  private finArrived = false;
  private finPosition = -1;
  private received = 0;
  private early: { from: number; bytes: Uint8Array }[] = [];
  private readonly ownScale: number;
  private peerScale = 0;
  private scaling = false;
  private peerWindow = 65_535;
  private congestion: number;
  private threshold = Number.POSITIVE_INFINITY;
  private duplicates = 0;
  private recover = -1;
  private timeoutMicros = RTO_FIRST_MICROS;
  private smoothed = 0;
  private variance = 0;
  private timed = -1;
  private timedAt = 0;
  private retries = 0;
  private timer: Timer | null = null;
  private ackTimer: Timer | null = null;
  private unacknowledged = 0;

  constructor(settings: TcpSettings) {
    this.settings = settings;
    this.segmentBytes = settings.segmentBytes;
    this.iss = settings.random.word();
    let scale = 0;
    while (settings.windowBytes >> scale > 0xffff) scale++;
    this.ownScale = scale;
    this.congestion = FIRST_WINDOW_SEGMENTS * settings.segmentBytes;
  }

  /** Active open. */
  open(): void {
    this.state = "syn-sent";
    this.sendSyn();
  }

  /** Passive open: answers this SYN. */
  accept(segment: Uint8Array, at: number): void {
    this.state = "syn-received";
    this.learnSyn(segment, at);
    this.sendSyn();
  }

  /** Adds bytes to the stream. */
  send(bytes: number): void {
    this.dataEnd += bytes;
    this.push();
  }

  /** All is written: FIN follows the last byte. */
  finish(): void {
    if (this.finishing) return;
    this.finishing = true;
    this.push();
  }

  abort(): void {
    this.emit(RST | ACK, this.next, 0);
    this.end("reset");
  }

  /** The path cannot carry segments this large (ICMP). */
  shrink(segmentBytes: number): void {
    if (segmentBytes >= this.segmentBytes || segmentBytes < 500) return;
    this.segmentBytes = segmentBytes;
    this.next = this.una;
    this.push();
  }

  /** A segment from the peer, checksum verified: header at `at`, payload up to `end`. */
  input(segment: Uint8Array, at: number, end: number): void {
    const flags = segment[at + 13] as number;
    if (this.state === "closed") return;
    if (this.state === "syn-sent") {
      this.inputSynSent(segment, at, flags);
      return;
    }
    const from = this.received + ((u32(segment, at + 4) - this.irs - (this.received | 0)) | 0);
    const payload = at + ((segment[at + 12] as number) >> 4) * 4;
    if (!this.acceptable(from, end - payload, flags)) return;
    if ((flags & ACK) === 0) return;
    this.acknowledged(u32(segment, at + 8), u16(segment, at + 14), end - payload === 0 && (flags & (SYN | FIN)) === 0);
    // acknowledged() may have ended the connection.
    if ((this.state as State) === "closed") return;
    if (end > payload) this.take(from, segment.slice(payload, end));
    if ((flags & FIN) !== 0) this.finPosition = from + end - payload;
    this.takeFin();
    if (this.finArrived && this.finishing && this.una > this.dataEnd) this.rest();
  }

  // ── receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

  private inputSynSent(segment: Uint8Array, at: number, flags: number): void {
    const acks = ((u32(segment, at + 8) - this.iss - 1) | 0) === 0;
    if ((flags & ACK) !== 0 && !acks) return;
    if ((flags & RST) !== 0) {
      if ((flags & ACK) !== 0) this.end("refused");
      return;
    }
    if ((flags & (SYN | ACK)) !== (SYN | ACK)) return;
    this.learnSyn(segment, at);
    this.una = 1;
    this.next = Math.max(this.next, 1);
    this.settle();
    this.peerWindow = u16(segment, at + 14);
    this.state = "open";
    this.emit(ACK, this.next, 0);
    this.settings.user.opened(this);
    this.push();
  }

  /** RFC 9293 §3.10.7.4 first step, RFC 5961 §3.2 and §4.2. False: the segment is dealt with. */
  private acceptable(from: number, payloadBytes: number, flags: number): boolean {
    const length = payloadBytes + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    const right = this.received + this.settings.windowBytes;
    if ((flags & RST) !== 0) {
      if (from === this.received) this.end(this.state === "syn-received" ? "refused" : "reset");
      else if (from > this.received && from < right) this.emit(ACK, this.next, 0);
      return false;
    }
    if (this.state === "syn-received" && (flags & SYN) !== 0) {
      this.next = 0;
      this.sendSyn();
      return false;
    }
    if ((flags & SYN) !== 0 || from >= right || (length > 0 && from + length <= this.received) || (length === 0 && from < this.received)) {
      this.emit(ACK, this.next, 0);
      return false;
    }
    return true;
  }

  private acknowledged(ack: number, window: number, pure: boolean): void {
    const position = this.una + ((ack - this.iss - (this.una | 0)) | 0);
    if (position > this.most) {
      this.emit(ACK, this.next, 0);
      return;
    }
    if (position < this.una) return;
    const granted = window << (this.scaling ? this.peerScale : 0);
    if (position === this.una) {
      if (pure && this.next > this.una && granted === this.peerWindow) this.duplicate();
      this.peerWindow = granted;
    } else {
      this.peerWindow = granted;
      this.advance(position);
    }
    if (this.state === "syn-received" && this.una >= 1) {
      this.state = "open";
      this.settings.user.opened(this);
    }
    this.push();
  }

  private advance(position: number): void {
    const acked = position - this.una;
    this.una = position;
    this.next = Math.max(this.next, position);
    this.retries = 0;
    if (this.timed >= 0 && position > this.timed) this.measure(this.settings.schedule.nowMicros - this.timedAt);
    if (this.recover >= 0 && position < this.recover) {
      // Partial acknowledgement: the next hole (RFC 6582 §3.2).
      this.congestion = Math.max(this.segmentBytes, this.congestion - acked + this.segmentBytes);
      this.resend();
    } else if (this.recover >= 0) {
      this.recover = -1;
      this.congestion = this.threshold;
    } else if (this.congestion < this.threshold) this.congestion += Math.min(acked, this.segmentBytes);
    else this.congestion += Math.max(1, Math.floor((this.segmentBytes * this.segmentBytes) / this.congestion));
    this.duplicates = 0;
    this.settle();
  }

  private duplicate(): void {
    this.duplicates++;
    if (this.recover >= 0) this.congestion += this.segmentBytes;
    else if (this.duplicates === 3) {
      this.recover = this.most;
      this.threshold = Math.max((this.most - this.una) / 2, 2 * this.segmentBytes);
      this.congestion = this.threshold + 3 * this.segmentBytes;
      this.resend();
    }
  }

  private take(from: number, bytes: Uint8Array): void {
    if (from > this.received) {
      this.early.push({ from, bytes });
      this.early.sort((one, other) => one.from - other.from);
      if (this.early.length > 2_048) this.early.pop();
      this.emit(ACK, this.next, 0);
      return;
    }
    const filled = this.early.length > 0;
    this.deliver(from, bytes);
    while (this.early.length > 0 && (this.early[0] as { from: number }).from <= this.received) {
      const next = this.early.shift() as { from: number; bytes: Uint8Array };
      this.deliver(next.from, next.bytes);
    }
    this.unacknowledged++;
    if (filled || this.unacknowledged >= 2) this.emit(ACK, this.next, 0);
    else this.ackTimer ??= this.settings.schedule.after(DELAYED_ACK_MICROS, () => this.emit(ACK, this.next, 0));
  }

  private deliver(from: number, bytes: Uint8Array): void {
    const fresh = bytes.subarray(this.received - from);
    if (fresh.length === 0 || this.received - from > bytes.length) return;
    const position = this.received - 1;
    this.received += fresh.length;
    this.settings.user.data(this, fresh, position);
  }

  private takeFin(): void {
    if (this.finArrived || this.finPosition < 0 || this.finPosition !== this.received) return;
    this.finArrived = true;
    this.received++;
    this.emit(ACK, this.next, 0);
    this.settings.user.finished(this);
  }

  // ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────

  private push(): void {
    if (this.state !== "open") return;
    const limit = this.una + Math.min(this.congestion, this.peerWindow);
    while (this.next < this.dataEnd && this.next < limit) {
      const bytes = Math.min(this.segmentBytes, this.dataEnd - this.next, Math.floor(limit - this.next));
      // Silly window avoidance: a part of a segment goes only as the last one or when nothing is under way.
      if (bytes < this.segmentBytes && this.next + bytes < this.dataEnd && this.next > this.una) break;
      this.time(this.next);
      this.emit(this.next + bytes === this.dataEnd ? ACK | PSH : ACK, this.next, bytes);
      this.next += bytes;
    }
    if (this.finishing && this.next === this.dataEnd) {
      this.emit(ACK | FIN, this.next, 0);
      this.next++;
    }
    this.most = Math.max(this.most, this.next);
    if (this.next > this.una && this.timer === null) this.settle();
  }

  private resend(): void {
    this.timed = -1;
    this.retransmissions++;
    const bytes = Math.min(this.segmentBytes, this.dataEnd - this.una);
    if (bytes > 0) this.emit(ACK, this.una, bytes);
    else if (this.finishing) this.emit(ACK | FIN, this.una, 0);
  }

  private sendSyn(): void {
    const { schedule } = this.settings;
    const answer = this.state === "syn-received";
    const segment = this.segment(answer ? SYN | ACK : SYN, 0, SYN_OPTION_BYTES);
    segment.set([2, 4, this.settings.segmentBytes >> 8, this.settings.segmentBytes & 255], HEADER_BYTES);
    if (!answer || this.scaling) segment.set([1, 3, 3, this.ownScale], HEADER_BYTES + 4);
    // A SYN's window is never scaled (RFC 7323 §2.2).
    put16(segment, 14, Math.min(0xffff, this.settings.windowBytes));
    this.next = 1;
    this.most = 1;
    this.timed = this.retries === 0 ? 0 : -1;
    this.timedAt = schedule.nowMicros;
    this.settings.output(segment);
    this.settle();
  }

  private learnSyn(segment: Uint8Array, at: number): void {
    this.irs = u32(segment, at + 4);
    this.received = 1;
    const end = at + ((segment[at + 12] as number) >> 4) * 4;
    for (let k = at + HEADER_BYTES; k < end; ) {
      const kind = segment[k] as number;
      if (kind === 0) break;
      if (kind === 2) this.segmentBytes = Math.min(this.segmentBytes, u16(segment, k + 2));
      if (kind === 3) {
        this.scaling = true;
        this.peerScale = segment[k + 2] as number;
      }
      k += kind === 1 ? 1 : Math.max(2, segment[k + 1] as number);
    }
    this.peerWindow = u16(segment, at + 14);
  }

  private emit(flags: number, position: number, bytes: number): void {
    // After a timeout `next` has gone back; a bare acknowledgement from there would be too old for the peer, and be answered for ever.
    const from = bytes === 0 && (flags & (SYN | FIN)) === 0 ? Math.max(position, this.most) : position;
    const segment = this.segment(flags, from, bytes);
    if (bytes > 0) this.settings.fill(this, position - 1, segment, HEADER_BYTES, bytes);
    put16(segment, 14, Math.min(0xffff, this.scaling ? this.settings.windowBytes >> this.ownScale : this.settings.windowBytes));
    this.unacknowledged = 0;
    this.ackTimer?.cancel();
    this.ackTimer = null;
    this.settings.output(segment);
  }

  /** A header without options but with room for `bytes` behind it. */
  private segment(flags: number, position: number, bytes: number): Uint8Array {
    const segment = new Uint8Array(HEADER_BYTES + bytes);
    put16(segment, 0, this.settings.localPort);
    put16(segment, 2, this.settings.remotePort);
    put32(segment, 4, (this.iss + position) >>> 0);
    if ((flags & ACK) !== 0) put32(segment, 8, (this.irs + this.received) >>> 0);
    segment[12] = ((flags & SYN) !== 0 ? HEADER_BYTES + bytes : HEADER_BYTES) << 2;
    segment[13] = flags;
    return segment;
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private time(position: number): void {
    if (this.timed >= 0 || position < this.most) return;
    this.timed = position;
    this.timedAt = this.settings.schedule.nowMicros;
  }

  private measure(micros: number): void {
    this.timed = -1;
    if (this.smoothed === 0) {
      this.smoothed = micros;
      this.variance = micros / 2;
    } else {
      this.variance += (Math.abs(this.smoothed - micros) - this.variance) / 4;
      this.smoothed += (micros - this.smoothed) / 8;
    }
    this.timeoutMicros = Math.max(RTO_LEAST_MICROS, this.smoothed + 4 * this.variance);
  }

  /** Sets the retransmission timer anew. */
  private settle(): void {
    this.timer?.cancel();
    this.timer = null;
    if (this.most > this.una) this.timer = this.settings.schedule.after(this.timeoutMicros, () => this.timeout());
  }

  private timeout(): void {
    this.timer = null;
    this.retries++;
    if (this.retries > RETRIES_MOST) {
      this.end("timeout");
      return;
    }
    this.timeoutMicros = Math.min(RTO_MOST_MICROS, this.timeoutMicros * 2);
    this.timed = -1;
    if (this.state === "syn-sent" || this.state === "syn-received") {
      this.sendSyn();
      return;
    }
    this.threshold = Math.max((this.most - this.una) / 2, 2 * this.segmentBytes);
    this.congestion = this.segmentBytes;
    this.recover = -1;
    this.duplicates = 0;
    this.retransmissions++;
    this.next = this.una;
    this.push();
    this.settle();
  }

  /** Both sides have finished: late segments are still answered for a while. */
  private rest(): void {
    if (this.state === "time-wait") return;
    this.state = "time-wait";
    this.settings.schedule.after(TIME_WAIT_MICROS, () => this.end("done"));
  }

  private end(end: TcpEnd): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.timer?.cancel();
    this.ackTimer?.cancel();
    this.settings.user.ended(this, end);
  }
}
