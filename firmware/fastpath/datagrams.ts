// What becomes of fragments: gathered here or at the other site, judged once as the datagram that they are parts of, and emitted as
// they came, in order of arrival, each with its own TTL step and Ethernet header.
//
//   fragment ─► hold ─┬─ whole ──► length, checksum (T7) ─► judge, once ─┬─ forward ──► each is emitted
//                     │                                                   ├─ drop ─────► each is dropped under that reason
//                     │                                                   └─ hand off ─► each goes to the owner, who gathers and judges
//                     └─ incomplete after 10 ms, and this unit does not gather ─► each goes to the unit that does (W3)
//
// The judge sees the first fragment's row, with the lengths of the whole. To its session a datagram is one packet. Handed-off
// fragments are ordinary handed-off packets: whoever decides about them gathers them again, so nobody judges a part. A fragment
// is sent to who gathers only if it comes from the wire, so it is handed off at most twice (W8). firmware/twin/README.md "Fragments".

import { FRAGMENT_DATAGRAMS, FRAGMENT_GATHER_MILLIS } from "../limits.ts";
import { COMPLETE, FOLLOWS, Fragments } from "./fragments.ts";
import { BACK_NONE, type Judge, NO_ROUTE, POLICY_REJECT, TO_TWIN_QUERY } from "./judge.ts";
import type { Outlet } from "./outlet.ts";
import {
  HANDED_ASKED,
  HANDED_JUDGED,
  HANDED_LAST,
  P_FLAGS,
  P_FOUND,
  P_HANDED,
  P_HASH,
  P_INGRESS,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_L4_BYTES,
  P_OFFSET,
  P_PROTOCOL,
  P_SOURCE,
  PACKET_ICMP_ERROR,
  PACKET_IPV6,
  PACKET_MULTICAST,
  PACKET_WORDS,
} from "./packets.ts";
import { ANSWER_NONE, ANSWER_OWNER, type Partner, QUERY_LIMITED, QUERY_SENT } from "./partner.ts";
import type { Replies } from "./replies.ts";
import type { SessionTable } from "./sessions.ts";
import { DROP, drop, FORWARD, HANDOFF, HELD, LOCAL } from "./verdicts.ts";
import { fold, pseudoSumIpv4, pseudoSumIpv6, sumBytes } from "./wire/checksum.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./wire/icmp.ts";
import { PROTOCOL_TCP } from "./wire/tcp.ts";
import { PROTOCOL_UDP, UDP_CHECKSUM, UDP_LENGTH } from "./wire/udp.ts";

const NONE = -1;
const BAD_TRANSPORT = drop("bad-transport-header");
const BAD_CHECKSUM = drop("bad-transport-checksum");
const MAC_FILTERED = drop("mac-filtered");
const HANDOFF_FULL = drop("handoff-full");
const TOO_MANY_HANDOFFS = drop("handoff-too-many");
const QUERY_LIMIT = drop("query-limited");

/** The walk, as far as a fragment takes it. */
export interface Emitter extends Outlet {
  /** Emits a judged packet; takes the frame. */
  emit(words: Int32Array, at: number): void;
  /** A packet to one of our own addresses; takes the frame. */
  local(words: Int32Array, at: number): void;
}

export interface DatagramParts {
  readonly transparent: boolean;
  readonly checksums: boolean;
  readonly memory: { readonly view: DataView; readonly bytes: Uint8Array };
  readonly sessions: SessionTable;
  readonly judge: Judge;
  readonly partner: Partner;
  readonly replies: Replies;
  readonly emitter: Emitter;
}

export class Datagrams {
  readonly fragments: Fragments;
  private readonly transparent: boolean;
  private readonly checksums: boolean;
  private readonly view: DataView;
  private readonly sessions: SessionTable;
  private readonly judge: Judge;
  private readonly partner: Partner;
  private readonly replies: Replies;
  private readonly emitter: Emitter;

  constructor(parts: DatagramParts) {
    this.transparent = parts.transparent;
    this.checksums = parts.checksums;
    this.view = parts.memory.view;
    this.sessions = parts.sessions;
    this.judge = parts.judge;
    this.partner = parts.partner;
    this.replies = parts.replies;
    this.emitter = parts.emitter;
    this.fragments = new Fragments(parts.memory, parts.sessions, parts.emitter);
  }

  /** Takes a fragment that check() and sanity() found sound (P_FAULT is A_FRAGMENT, P_FLOW complete), and its frame. */
  take(words: Int32Array, at: number, nowMillis: number): void {
    const offset = words[at + P_OFFSET] as number;
    if (((words[at + P_HANDED] as number) & HANDED_JUDGED) !== 0) {
      // A part alone has no tuple, so no session's path either: the route decides.
      words[at + P_FOUND] = NONE;
      this.emitter.emit(words, at);
      return;
    }
    if (((words[at + P_FLAGS] as number) & PACKET_MULTICAST) !== 0 && !this.transparent) {
      this.emitter.discard(offset, MAC_FILTERED);
      return;
    }
    const result = this.fragments.hold(words, at, nowMillis);
    if (result === COMPLETE) this.complete(this.fragments.completed);
    else if (result === FOLLOWS) {
      if (this.partner.query(words, at) !== QUERY_SENT) this.emitter.discard(offset, QUERY_LIMIT);
    } else if (result !== HELD) this.emitter.discard(offset, result >>> 8);
  }

  /** Each tick: what waited for too long, here or for the other site. */
  tick(nowMillis: number): void {
    const fragments = this.fragments;
    if (fragments.datagramCount === 0) return;
    const away = !this.partner.gathers && this.partner.mayForward;
    for (let datagram = 0; datagram < FRAGMENT_DATAGRAMS; datagram = (datagram + 1) | 0) {
      if (fragments.isExpired(datagram, nowMillis)) this.expire(datagram);
      else if (away && fragments.isWaiting(datagram, nowMillis, FRAGMENT_GATHER_MILLIS)) this.sendAway(datagram, nowMillis);
    }
  }

  /** RFC 8200 §4.5, RFC 792: its sender is told if the first fragment is there, by the unit that received it. */
  private expire(datagram: number): void {
    const fragments = this.fragments;
    const first = fragments.firsts[datagram] as number;
    const row = first * PACKET_WORDS;
    if (first !== NONE && fragments.isGathering(datagram) && this.partner.mayForward && fragments.rows[row + P_INGRESS] === 0)
      this.replies.reassemblyExpired(fragments.rows, row);
    fragments.expire(datagram);
  }

  /** Nothing was missing for long if all came by this site: so fragments may come by the other one, and are gathered there. */
  private sendAway(datagram: number, nowMillis: number): void {
    const fragments = this.fragments;
    const partner = this.partner;
    if (!fragments.isFromWire(datagram)) return;
    while (fragments.heads[datagram] !== NONE) {
      // Asked before it is taken out: what the twin does not take waits on here.
      const row = (fragments.heads[datagram] as number) * PACKET_WORDS;
      if (partner.query(fragments.rows, row) !== QUERY_SENT) return;
      fragments.shift(datagram);
    }
    fragments.follow(datagram, nowMillis);
  }

  /** All fragments are there: judged once, then each goes the way of the whole. */
  private complete(datagram: number): void {
    const fragments = this.fragments;
    const judge = this.judge;
    const sessions = this.sessions;
    const rows = fragments.rows;
    const slot = fragments.firsts[datagram] as number;
    const first = slot * PACKET_WORDS;
    const ingress = rows[first + P_INGRESS] as number;
    const handed = rows[first + P_HANDED] as number;
    const l4Bytes = rows[first + P_L4_BYTES] as number;
    const ipBytes = rows[first + P_IP_BYTES] as number;
    const restBytes = ((fragments.totals[datagram] as number) - (fragments.ends[slot] as number)) | 0;
    rows[first + P_L4_BYTES] = (l4Bytes + restBytes) | 0;
    rows[first + P_IP_BYTES] = (ipBytes + restBytes) | 0;
    rows[first + P_HASH] = sessions.hash(rows, first + P_SOURCE);
    const wrong = this.fault(datagram, slot);
    let verdict = DROP | (wrong << 8);
    if (wrong === 0) {
      this.setOrigin(datagram, first);
      verdict = judge.judge(rows, first);
      if (verdict === HANDOFF && judge.ask === TO_TWIN_QUERY) verdict = this.query(datagram, first);
    }
    rows[first + P_INGRESS] = ingress;
    rows[first + P_HANDED] = handed;
    rows[first + P_L4_BYTES] = l4Bytes;
    rows[first + P_IP_BYTES] = ipBytes;
    this.act(datagram, first, verdict);
    fragments.forget(datagram);
  }

  /** What check() could not see of a part: the transport's own length, and its checksum (T7). A drop reason, 0 = none. */
  private fault(datagram: number, slot: number): number {
    const fragments = this.fragments;
    const view = this.view;
    const row = slot * PACKET_WORDS;
    const rows = fragments.rows;
    const protocol = rows[row + P_PROTOCOL] as number;
    const l4 = rows[row + P_L4] as number;
    const ip = rows[row + P_L3] as number;
    const v6 = ((rows[row + P_FLAGS] as number) & PACKET_IPV6) !== 0;
    let bytes = rows[row + P_L4_BYTES] as number;
    if (protocol === PROTOCOL_UDP) {
      if (view.getUint16(l4 + UDP_LENGTH) > bytes) return BAD_TRANSPORT;
      bytes = view.getUint16(l4 + UDP_LENGTH);
      if (this.checksums && view.getUint16(l4 + UDP_CHECKSUM) === 0) return v6 ? BAD_CHECKSUM : 0; // RFC 768, RFC 8200 §8.1
    } else if (protocol !== PROTOCOL_TCP && protocol !== (v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP)) return 0;
    if (!this.checksums) return 0;
    let sum = 0;
    if (v6) sum = pseudoSumIpv6(view, ip, protocol, bytes);
    else if (protocol !== PROTOCOL_ICMP) sum = pseudoSumIpv4(view, ip, protocol, bytes);
    // Every part but the last is a multiple of eight: words do not straddle two parts, and the order of parts does not matter.
    const from = (l4 - (fragments.bodies[slot] as number)) | 0;
    for (let k = fragments.heads[datagram] as number; k !== NONE; k = fragments.next[k] as number) {
      const start = fragments.starts[k] as number;
      const skipped = start < from ? from - start : 0;
      const end = Math.min(fragments.ends[k] as number, from + bytes);
      if (end > start + skipped) sum = fold(sumBytes(view, (fragments.bodies[k] as number) + skipped, end - start - skipped, sum));
    }
    return fold(sum) === 0xffff ? 0 : BAD_CHECKSUM;
  }

  /**
   * Where the whole came from, for the judge. Fragments that came by both sites are nobody's question any more: they were gathered for
   * longer than a session takes to be known here, so they are judged here, without asking.
   */
  private setOrigin(datagram: number, first: number): void {
    const fragments = this.fragments;
    const rows = fragments.rows;
    const ingress = rows[first + P_INGRESS];
    for (let k = fragments.heads[datagram] as number; k !== NONE; k = fragments.next[k] as number) {
      const row = k * PACKET_WORDS;
      if (rows[row + P_INGRESS] !== ingress) {
        rows[first + P_INGRESS] = 0;
        rows[first + P_HANDED] = HANDED_ASKED;
        return;
      }
      rows[first + P_HANDED] = (rows[first + P_HANDED] as number) | ((rows[row + P_HANDED] as number) & HANDED_ASKED);
    }
  }

  /** The whole goes to the twin with a question, part by part. HELD: it went; else what the policy says, as nobody can be asked. */
  private query(datagram: number, first: number): number {
    const fragments = this.fragments;
    const partner = this.partner;
    const rows = fragments.rows;
    const answer = partner.query(rows, (fragments.heads[datagram] as number) * PACKET_WORDS);
    if (answer !== QUERY_SENT) {
      const needsAnswer = rows[first + P_PROTOCOL] === PROTOCOL_TCP || ((rows[first + P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0;
      return answer === QUERY_LIMITED && needsAnswer ? DROP | (QUERY_LIMIT << 8) : this.judge.judgeAlone(rows, first);
    }
    fragments.shift(datagram);
    for (let slot = fragments.shift(datagram); slot !== NONE; slot = fragments.shift(datagram)) {
      const row = slot * PACKET_WORDS;
      if (partner.query(rows, row) !== QUERY_SENT) this.emitter.discard(rows[row + P_OFFSET] as number, QUERY_LIMIT);
    }
    return HELD;
  }

  /** Every fragment goes the way of the whole. */
  private act(datagram: number, first: number, verdict: number): void {
    const fragments = this.fragments;
    const emitter = this.emitter;
    const rows = fragments.rows;
    const found = rows[first + P_FOUND] as number;
    if (verdict === POLICY_REJECT) this.replies.reject(rows, first);
    else if (verdict === NO_ROUTE) this.replies.unreachable(rows, first);
    const kind = verdict & 0xff;
    const isOwnerNamed = kind === HANDOFF && this.judge.ask !== BACK_NONE;
    const owner = this.judge.askUnit;
    for (let slot = fragments.shift(datagram); slot !== NONE; slot = fragments.shift(datagram)) {
      const row = slot * PACKET_WORDS;
      rows[row + P_FOUND] = found;
      if (kind === FORWARD) emitter.emit(rows, row);
      else if (isOwnerNamed) this.toOwner(row, found >>> 1, owner);
      else if (kind === HANDOFF) {
        if (!this.partner.answer(rows, row, ANSWER_NONE, NONE)) emitter.discard(rows[row + P_OFFSET] as number, HANDOFF_FULL);
      } else if (kind === LOCAL) emitter.local(rows, row);
      else emitter.discard(rows[row + P_OFFSET] as number, verdict >>> 8);
    }
  }

  /** To the session's owner: straight from here, or back to the unit that it was handed here by, with the owner's name (W8). */
  private toOwner(row: number, session: number, owner: number): void {
    const rows = this.fragments.rows;
    const offset = rows[row + P_OFFSET] as number;
    const handed = rows[row + P_HANDED] as number;
    if (rows[row + P_INGRESS] === 0) {
      // It was asked about already: no further than to the owner.
      if ((handed & HANDED_ASKED) !== 0) rows[row + P_HANDED] = HANDED_LAST;
      if (!this.partner.handoff(rows, row, session, owner)) this.emitter.discard(offset, HANDOFF_FULL);
    } else if ((handed & HANDED_LAST) !== 0) this.emitter.discard(offset, TOO_MANY_HANDOFFS);
    else if (!this.partner.answer(rows, row, ANSWER_OWNER, session)) this.emitter.discard(offset, HANDOFF_FULL);
  }
}
