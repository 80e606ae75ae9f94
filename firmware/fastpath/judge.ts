// One packet in, one verdict out.
//
//   fault? ─► local (ARP, ND, own address) ─► lookup ─┬─ hit, mine ──────────► track ─► forward
//                                                    ├─ hit, another's ─────► hand off │ adopt, then as mine │ stop
//                                                    └─ miss ─┬─ opens ─────► policy ─► create ─► forward
//                                                             └─ opens not ─► ask the twin │ drop
//
// A verdict is FORWARD, HELD (forward, once the twin knows the session), HANDOFF, LOCAL or DROP | reason << 8. The judge moves no packet: engine.ts does what it says.

import { TOMBSTONE_MILLIS } from "../limits.ts";
import type { Plan, PlannedChecks } from "../plan.ts";
import { type EventRing, eventKind } from "./events.ts";
import { siteOf } from "./half-open.ts";
import { word } from "./memory/layout.ts";
import { COUNTER_ROWS, COUNTERS, counterRow, RULE_TABLE, type Tables } from "./memory/tables.ts";
import {
  HANDED_ASKED,
  HANDED_LAST,
  HANDED_STRAY,
  P_FAULT,
  P_FLAGS,
  P_FLOW,
  P_FOUND,
  P_FRAGMENT,
  P_HANDED,
  P_HASH,
  P_INGRESS,
  P_IP_BYTES,
  P_L4,
  P_L4_BYTES,
  P_PORT,
  P_PROTOCOL,
  P_SOURCE,
  PACKET_ICMP_ERROR,
  PACKET_ICMP_SHIFT,
  PACKET_IPV6,
} from "./packets.ts";
import { OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE, OWNER_STOP, type Partner } from "./partner.ts";
import { ACTION_PERMIT, ACTION_REJECT, type Policy } from "./policy.ts";
import { IDLE_NAMES } from "./policy-image.ts";
import type { Routes } from "./routes.ts";
import { sanity } from "./sanity.ts";
import {
  COUNTER_STRIDE,
  KEY_STRIDE,
  NOT_FOUND,
  ORIGINATOR,
  ROW_WORDS,
  S_CREATED,
  S_EPOCH,
  S_FLOW,
  S_ID_SERIAL,
  S_IDLE_LIMIT,
  S_KEY,
  S_LAST_SEEN,
  S_OWNER,
  S_PACKETS_F64,
  S_PORTS,
  S_REVISION,
  S_RULE,
  S_STATE,
  S_UNITS,
  type SessionTable,
  STATE_LAST_TCP,
} from "./sessions.ts";
import { ICMP_QUERY, openQuery, trackQuery } from "./track/icmp.ts";
import { ANSWER_NONE, ANSWER_REFUSES, Reopenings } from "./track/reopenings.ts";
import { ESTABLISHED, openMidstream, openTcp, TCP_CHANGED, TCP_ENDED, TCP_REFRESH, TCP_REOPENS, TCP_SYN_AGAIN, TIME_WAIT, trackTcp } from "./track/tcp.ts";
import { OTHER_ONE_WAY, trackDatagram, UDP_BOTH_WAYS, UDP_ONE_WAY } from "./track/udp.ts";
import { DROP, drop, FORWARD, HANDOFF, HELD, LOCAL } from "./verdicts.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./wire/icmp.ts";
import { PROTOCOL_TCP, TCP_ACK, TCP_FIN, TCP_FLAGS, TCP_RST, TCP_SYN } from "./wire/tcp.ts";
import { PROTOCOL_UDP } from "./wire/udp.ts";
import type { Zones } from "./zones.ts";

const NO_SESSION = DROP | (drop("no-session") << 8);
const ICMP_UNMATCHED = DROP | (drop("icmp-unmatched") << 8);
const POLICY_DENY = DROP | (drop("policy-deny") << 8);
export const POLICY_REJECT = DROP | (drop("policy-reject") << 8);
const HALF_OPEN_LIMIT = DROP | (drop("half-open-limit") << 8);
const TABLE_FULL = DROP | (drop("table-full") << 8);
export const NO_ROUTE = DROP | (drop("no-route") << 8);
const OWNER_UNREACHABLE = DROP | (drop("owner-unreachable") << 8);
const OWNER_UNKNOWN = DROP | (drop("owner-unknown") << 8);
const TOO_MANY_HANDOFFS = DROP | (drop("handoff-too-many") << 8);
const SITE_PASSIVE = DROP | (drop("site-passive") << 8);
const EGRESS_DOWN = DROP | (drop("egress-down") << 8);

/** What engine.ts does with a HANDOFF verdict; in `ask`. */
export const TO_OWNER = 0;
export const TO_TWIN_QUERY = 1;
export const BACK_NONE = 2;
export const BACK_OWNER = 3;

const EVENT_PERMIT = eventKind("rule-permit");
const EVENT_DENY = eventKind("rule-deny");
const EVENT_DEFAULT_DENY = eventKind("default-deny");
const EVENT_HALF_OPEN = eventKind("half-open-limit");
const EVENT_TABLE_FULL = eventKind("table-full");

const RULE_WORDS = RULE_TABLE.strideWords;
const RULE_F64 = RULE_WORDS >> 1;
const RULE_LAST_HIT = word(RULE_TABLE, "lastHit");
const C_CREATED = counterRow("sessions-created");
const C_ENDED = counterRow("sessions-ended");
const C_STRAYS = counterRow("strays-admitted");
const C_ADOPTED = counterRow("sessions-adopted");

export class Judge {
  private readonly view: DataView;
  private readonly sessions: SessionTable;
  private readonly policy: Policy;
  private readonly routes: Routes;
  private readonly zones: Zones;
  private readonly checks: PlannedChecks;
  private readonly partner: Partner;
  private readonly events: EventRing;
  private readonly counters: Float64Array;
  private readonly ruleHits: Float64Array;
  private readonly ruleTimes: Int32Array;
  private readonly transparent: boolean;
  private revision: number;
  private readonly idle: { -readonly [Key in keyof Plan["idleMillis"]]: number };
  private halfOpenLimit: number;
  private readonly unit: number;
  private readonly site: number;
  /** 0: sessions stay where they are. */
  private readonly followPackets: number;
  private readonly followsOriginator: boolean;
  private readonly reopenings = new Reopenings();
  /** The rule that permitted the packet that was asked about last. */
  private ruled = 0;
  nowMicros = 0;
  nowMillis = 0;
  /** With a HANDOFF verdict: TO_OWNER, TO_TWIN_QUERY, BACK_NONE or BACK_OWNER; and the owner. */
  ask = 0;
  askUnit = 0;

  constructor(
    plan: Plan,
    view: DataView,
    tables: Tables,
    sessions: SessionTable,
    policy: Policy,
    routes: Routes,
    zones: Zones,
    partner: Partner,
    events: EventRing,
  ) {
    if (tables.counters.rows !== COUNTER_ROWS || COUNTERS.strideWords !== 2) throw new Error("counters are not laid out as the judge expects");
    this.view = view;
    this.sessions = sessions;
    this.policy = policy;
    this.routes = routes;
    this.zones = zones;
    this.checks = plan.checks;
    this.partner = partner;
    this.events = events;
    this.counters = tables.counters.f;
    this.ruleHits = tables.rules.f;
    this.ruleTimes = tables.rules.i;
    this.transparent = plan.mode === "transparent";
    this.revision = plan.revision;
    this.idle = { ...plan.idleMillis };
    this.halfOpenLimit = plan.halfOpenPerDestination;
    this.unit = plan.unit;
    this.site = siteOf(plan.unit);
    this.followPackets = plan.twin.follow === "never" ? 0 : plan.twin.followPackets;
    this.followsOriginator = plan.twin.follow === "originator";
  }

  /** Another policy is in force: sessions from now on carry its revision and its idle times. */
  follow(revision: number, idleMillis: Int32Array, halfOpenLimit: number): void {
    this.revision = revision;
    this.halfOpenLimit = halfOpenLimit;
    for (const [k, name] of IDLE_NAMES.entries()) this.idle[name] = idleMillis[k] as number;
  }

  /** Judges packet row `at`, which passed check() and sanity() and is neither ARP nor ND. Sets P_FOUND. */
  judge(words: Int32Array, at: number): number {
    if (words[at + P_FAULT] !== 0) return DROP | ((words[at + P_FAULT] as number) << 8);
    const found = this.sessions.find(words, at + P_SOURCE, words[at + P_HASH] as number);
    words[at + P_FOUND] = found;
    return found === NOT_FOUND ? this.miss(words, at) : this.hit(words, at, found);
  }

  private hit(words: Int32Array, at: number, found: number): number {
    const i = this.sessions.i;
    const row = (found >>> 1) * ROW_WORDS;
    const owner = i[row + S_OWNER] as number;
    if (owner !== this.sessions.me) {
      const verdict = this.notMine(words, at, found >>> 1, owner);
      if (verdict !== FORWARD) return verdict;
    }
    const direction = found & 1;
    const f = this.sessions.f;
    if (((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) === 0) {
      const verdict = this.track(words, at, found >>> 1, row, direction);
      if (verdict !== FORWARD) return verdict;
      i[row + S_LAST_SEEN] = this.nowMillis;
    }
    const counter = (row >> 1) + S_PACKETS_F64 + direction * COUNTER_STRIDE;
    f[counter] = (f[counter] as number) + 1;
    f[counter + 1] = (f[counter + 1] as number) + (words[at + P_IP_BYTES] as number);
    // Where its packets come in is kept while some come in at the other site, so that the session can follow them. The word lies in the
    // owner's cache line, in tables that begin on a page: in an ArrayBuffer of V8's own it does not, and costs 45 ns.
    if (((words[at + P_INGRESS] as number) | ((i[row + S_UNITS] as number) >>> 16)) !== 0) this.noteWhere(words[at + P_INGRESS] as number, row, direction);
    return FORWARD;
  }

  /** Somebody else's session: FORWARD when it was adopted and is mine now. */
  private notMine(words: Int32Array, at: number, row: number, owner: number): number {
    const disposition = this.partner.disposition(owner);
    const kind = disposition & 0xff;
    if (kind === OWNER_HERE) return FORWARD;
    if (kind === OWNER_ELSEWHERE) {
      // W8: a packet that was handed here goes back once with the owner's name; the second handoff is the last.
      if (words[at + P_INGRESS] !== 0) {
        if (((words[at + P_HANDED] as number) & HANDED_LAST) !== 0) return TOO_MANY_HANDOFFS;
        this.ask = BACK_OWNER;
      } else this.ask = TO_OWNER;
      this.askUnit = disposition >> 8;
      return HANDOFF;
    }
    if (kind === OWNER_ADOPT) {
      this.sessions.adopt(row, this.nowMillis);
      this.counters[C_ADOPTED] = (this.counters[C_ADOPTED] as number) + 1;
      return FORWARD;
    }
    return kind === OWNER_STOP ? OWNER_UNREACHABLE : OWNER_UNKNOWN;
  }

  private track(words: Int32Array, at: number, session: number, row: number, direction: number): number {
    const i = this.sessions.i;
    const kind = (i[row + S_STATE] as number) & 0xff;
    const l4 = words[at + P_L4] as number;
    if (kind <= STATE_LAST_TCP) {
      const result = trackTcp(i, row, direction, this.view, l4, words[at + P_L4_BYTES] as number, this.nowMillis);
      if (result === 0) return FORWARD;
      if (result > 0) return this.tcpRefused(words, at, session, row, direction, result);
      return this.tcpMoved(words, at, session, row, direction, result);
    }
    if (kind === ICMP_QUERY) {
      const flags = words[at + P_FLAGS] as number;
      const reason = trackQuery(i[row + S_STATE] as number, direction, flags >>> PACKET_ICMP_SHIFT, (flags & PACKET_IPV6) !== 0);
      return reason === 0 ? FORWARD : DROP | (reason << 8);
    }
    if (trackDatagram(i, row, direction)) {
      this.noteUnit(row, direction, this.unit);
      if (((i[row + S_STATE] as number) & 0xff) === UDP_BOTH_WAYS) i[row + S_IDLE_LIMIT] = this.idleOf(row, this.idle.udpBothWays);
      this.sessions.changed(session);
    }
    return FORWARD;
  }

  /** A segment changed the session. */
  private tcpMoved(words: Int32Array, at: number, session: number, row: number, direction: number, result: number): number {
    const i = this.sessions.i;
    if (result === TCP_REOPENS) {
      this.end(session);
      words[at + P_FOUND] = NOT_FOUND;
      return this.miss(words, at);
    }
    if (result === TCP_ENDED) {
      this.end(session);
      return FORWARD;
    }
    if (result === TCP_SYN_AGAIN) return this.synAgain(words, at, session, row, direction);
    if (result === TCP_CHANGED) {
      const kind = (i[row + S_STATE] as number) & 0xff;
      if (kind >= ESTABLISHED) this.sessions.setHalfOpen(session, false);
      const limit =
        kind < ESTABLISHED
          ? this.idle.tcpOpening
          : kind === ESTABLISHED
            ? this.idleOf(row, this.idle.tcpEstablished)
            : kind === TIME_WAIT
              ? this.idle.tcpTimeWait
              : this.idle.tcpClosing;
      if (limit !== i[row + S_IDLE_LIMIT]) {
        i[row + S_IDLE_LIMIT] = limit;
        this.sessions.wheel.schedule(session, this.nowMillis, limit);
      }
    } else if (result !== TCP_REFRESH) throw new Error(`trackTcp answered ${result}`);
    if (words[at + P_INGRESS] === 0) this.noteUnit(row, direction, this.unit);
    this.sessions.changed(session);
    return FORWARD;
  }

  /** A SYN within a live session faces the rules of its own direction (F3); its receiver challenges it or has forgotten the session (T3). */
  private synAgain(words: Int32Array, at: number, session: number, row: number, direction: number): number {
    const i = this.sessions.i;
    // Where a direction goes to is where the other comes from.
    const toZone = ((i[row + S_FLOW + (1 - direction) * KEY_STRIDE] as number) >>> 8) & 0xff;
    const verdict = this.askPolicy(words, at, toZone);
    if (verdict !== FORWARD) return verdict;
    // Only the originator can be answered in this row: the other way round it would be another session.
    if (direction === ORIGINATOR)
      this.reopenings.remember(session, i[row + S_ID_SERIAL] as number, this.view, words[at + P_L4] as number, words[at + P_L4_BYTES] as number);
    return FORWARD;
  }

  /** A segment that does not fit the session may be the answer to a SYN that did not fit either: both ends have forgotten the old connection. */
  private tcpRefused(words: Int32Array, at: number, session: number, row: number, direction: number, reason: number): number {
    const i = this.sessions.i;
    const l4 = words[at + P_L4] as number;
    const answer = direction === ORIGINATOR ? ANSWER_NONE : this.reopenings.answer(session, i[row + S_ID_SERIAL] as number, this.view, l4);
    if (answer === ANSWER_NONE) return DROP | (reason << 8);
    if (answer === ANSWER_REFUSES) {
      this.end(session);
      return FORWARD;
    }
    this.reopenings.reopen(session, i, row);
    this.sessions.setHalfOpen(session, true);
    return this.tcpMoved(words, at, session, row, direction, trackTcp(i, row, direction, this.view, l4, words[at + P_L4_BYTES] as number, this.nowMillis));
  }

  /** Ends a session of this unit: its tuple meets the policy from now on (F4, W2). */
  end(session: number): void {
    this.sessions.end(session);
    this.sessions.changed(session);
    this.sessions.wheel.schedule(session, this.nowMillis, TOMBSTONE_MILLIS);
    this.counters[C_ENDED] = (this.counters[C_ENDED] as number) + 1;
  }

  private miss(words: Int32Array, at: number): number {
    const protocol = words[at + P_PROTOCOL] as number;
    const isError = ((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0;
    const isTcp = protocol === PROTOCOL_TCP && !isError;
    const opens = isTcp && (this.view.getUint8((words[at + P_L4] as number) + TCP_FLAGS) & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN;
    if (words[at + P_INGRESS] !== 0 && !this.takesStray(words, at)) {
      // Handed here, but there is no such session: it goes back and is judged where it came in, exactly once.
      this.ask = BACK_NONE;
      return HANDOFF;
    }
    // A session's key was made from a packet that passed; only what opens no session and belongs to none is looked at here.
    const fault = sanity(words, at, this.view, this.routes, this.checks);
    if (fault !== 0) return DROP | (fault << 8);
    if (!this.transparent && this.routes.isOwn(words, at + P_SOURCE + 4) >= 0) return LOCAL;
    const toZone = this.egressZone(words, at);
    if (toZone === 0) return this.transparent ? EGRESS_DOWN : NO_ROUTE;
    const mayAsk = ((words[at + P_HANDED] as number) & (HANDED_ASKED | HANDED_STRAY)) === 0;
    if (this.partner.isPassive) return this.stray(words, at, toZone, mayAsk);
    if (mayAsk && !opens && (isTcp || isError || this.partner.asksFirst) && this.policy.couldPermit(words, at, toZone)) {
      this.ask = TO_TWIN_QUERY;
      return HANDOFF;
    }
    return this.judgeAlone(words, at);
  }

  /** A packet that a passive site was sent: this site judges it. */
  private takesStray(words: Int32Array, at: number): boolean {
    if (((words[at + P_HANDED] as number) & HANDED_STRAY) === 0 || this.partner.isPassive) return false;
    this.counters[C_STRAYS] = (this.counters[C_STRAYS] as number) + 1;
    return true;
  }

  /** This site stands by: the active one judges, or nobody. */
  private stray(words: Int32Array, at: number, toZone: number, mayAsk: boolean): number {
    if (!mayAsk) return SITE_PASSIVE;
    if (!this.policy.couldPermit(words, at, toZone)) return this.judgeAlone(words, at);
    words[at + P_HANDED] = (words[at + P_HANDED] as number) | HANDED_STRAY;
    this.ask = TO_TWIN_QUERY;
    return HANDOFF;
  }

  /** A packet without a session that nobody else decides about: the policy, if it may open one. */
  judgeAlone(words: Int32Array, at: number): number {
    const protocol = words[at + P_PROTOCOL] as number;
    if (((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0) return ICMP_UNMATCHED;
    const toZone = this.egressZone(words, at);
    if (toZone === 0) return this.transparent ? EGRESS_DOWN : NO_ROUTE;
    const isTcp = protocol === PROTOCOL_TCP;
    // What opens nothing is nobody's first packet, whatever the rules would say of a first packet.
    if (isTcp && !this.opens(this.view.getUint8((words[at + P_L4] as number) + TCP_FLAGS))) return NO_SESSION;
    const verdict = this.askPolicy(words, at, toZone);
    if (verdict !== FORWARD) return verdict;
    const rule = this.ruled;
    if (isTcp && !this.sessions.allowsHalfOpen(words, at + P_SOURCE, this.halfOpenLimit, this.partner.sites))
      return this.refused(words, at, EVENT_HALF_OPEN, HALF_OPEN_LIMIT);
    if (this.policy.logs(rule)) this.events.noteFlow(EVENT_PERMIT, this.nowMicros, words, at + P_SOURCE, rule, this.unit, words[at + P_PORT] as number);
    return this.create(words, at, toZone, rule);
  }

  /** Does a TCP segment with these flags begin a session: a SYN, or under `midstream: permit` any in the middle of a connection (T4). */
  private opens(flags: number): boolean {
    if ((flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN) return true;
    return this.checks.midstream && (flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) === TCP_ACK;
  }

  /** FORWARD when a rule permits the packet (`ruled` is its number), else the verdict; counted and logged. */
  private askPolicy(words: Int32Array, at: number, toZone: number): number {
    const decision = this.policy.decide(words, at, toZone);
    const rule = decision >> 2;
    const action = decision & 3;
    this.ruleHits[rule * RULE_F64] = (this.ruleHits[rule * RULE_F64] as number) + 1;
    this.ruleTimes[rule * RULE_WORDS + RULE_LAST_HIT] = this.nowMillis;
    if (action !== ACTION_PERMIT) {
      if (rule === 0 || this.policy.logs(rule))
        this.events.noteFlow(rule === 0 ? EVENT_DEFAULT_DENY : EVENT_DENY, this.nowMicros, words, at + P_SOURCE, rule, this.unit, words[at + P_PORT] as number);
      return action === ACTION_REJECT ? POLICY_REJECT : POLICY_DENY;
    }
    this.ruled = rule;
    return FORWARD;
  }

  /** Zone that the packet would leave through; 0 = nowhere. */
  private egressZone(words: Int32Array, at: number): number {
    if (this.transparent) {
      const paired = this.zones.pairedPort[words[at + P_PORT] as number] as number;
      if (paired < 0) return 0;
      return this.zones.zoneAt(paired, (words[at + P_FLOW] as number) >>> 16);
    }
    const route = this.routes.find(words, at + P_SOURCE + 4);
    return route < 0 ? 0 : (this.routes.zone[route] as number);
  }

  private create(words: Int32Array, at: number, toZone: number, rule: number): number {
    const sessions = this.sessions;
    const i = sessions.i;
    const session = sessions.take();
    if (session < 0) return this.refused(words, at, EVENT_TABLE_FULL, TABLE_FULL);
    const row = session * ROW_WORDS;
    for (let k = 0; k < 4; k++) {
      const source = words[at + P_SOURCE + k] as number;
      const destination = words[at + P_SOURCE + 4 + k] as number;
      i[row + S_KEY + k] = source;
      i[row + S_KEY + 4 + k] = destination;
      i[row + S_KEY + KEY_STRIDE + k] = destination;
      i[row + S_KEY + KEY_STRIDE + 4 + k] = source;
    }
    const ports = words[at + P_SOURCE + 8] as number;
    i[row + S_PORTS] = ports;
    i[row + S_PORTS + KEY_STRIDE] = (ports >>> 16) | (ports << 16);
    const flow = words[at + P_FLOW] as number;
    i[row + S_FLOW] = flow;
    i[row + S_FLOW + KEY_STRIDE] = (flow & ~0xff00) | (toZone << 8);
    i[row + S_REVISION] = this.revision;
    i[row + S_RULE] = rule;
    this.openState(words, at, row);
    i[row + S_CREATED] = this.nowMillis;
    i[row + S_LAST_SEEN] = this.nowMillis;
    i[row + S_UNITS] = this.unit;
    i[row + S_EPOCH] = 1;
    i[row + S_OWNER] = sessions.me;
    sessions.drawId(session);
    sessions.commit(session);
    let other = sessions.link(session);
    // The tuple's mirror belongs to a session that left through another zone: the newer fact wins if the older is ours.
    if (other >= 0 && i[other * ROW_WORDS + S_OWNER] === sessions.me) {
      this.end(other);
      other = sessions.link(session);
    }
    if (other !== -1) {
      sessions.release(session);
      return this.refused(words, at, EVENT_TABLE_FULL, TABLE_FULL);
    }
    const f = sessions.f;
    f[(row >> 1) + S_PACKETS_F64] = 1;
    f[(row >> 1) + S_PACKETS_F64 + 1] = words[at + P_IP_BYTES] as number;
    if (((i[row + S_STATE] as number) & 0xff) <= STATE_LAST_TCP) sessions.setHalfOpen(session, true);
    sessions.wheel.schedule(session, this.nowMillis, i[row + S_IDLE_LIMIT] as number);
    sessions.changed(session);
    words[at + P_FOUND] = (session << 1) | ORIGINATOR;
    this.counters[C_CREATED] = (this.counters[C_CREATED] as number) + 1;
    // What was handed here, and fragments, have waited for the twin already.
    const isFirst = this.partner.holdsFirst && words[at + P_INGRESS] === 0 && words[at + P_FRAGMENT] === 0;
    return isFirst && words[at + P_PROTOCOL] !== PROTOCOL_TCP ? HELD : FORWARD;
  }

  /** The first state, by protocol. */
  private openState(words: Int32Array, at: number, row: number): void {
    const i = this.sessions.i;
    const protocol = words[at + P_PROTOCOL] as number;
    if (protocol === PROTOCOL_TCP) {
      const l4 = words[at + P_L4] as number;
      const open = (this.view.getUint8(l4 + TCP_FLAGS) & TCP_SYN) !== 0 ? openTcp : openMidstream;
      open(i, row, this.view, l4, words[at + P_L4_BYTES] as number);
      i[row + S_IDLE_LIMIT] = this.idle.tcpOpening;
    } else if (protocol === PROTOCOL_UDP) {
      i[row + S_STATE] = UDP_ONE_WAY;
      i[row + S_IDLE_LIMIT] = this.idleOf(row, this.idle.udpOneWay);
    } else if (protocol === (((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP)) {
      openQuery(i, row, (words[at + P_FLAGS] as number) >>> PACKET_ICMP_SHIFT);
      i[row + S_IDLE_LIMIT] = this.idleOf(row, this.idle.icmpQuery);
    } else {
      i[row + S_STATE] = OTHER_ONE_WAY;
      i[row + S_IDLE_LIMIT] = this.idleOf(row, this.idle.other);
    }
  }

  /** T6: the idle time of the rule that permitted the session, else the protocol's. Of a session of another revision the rule's number says nothing. */
  private idleOf(row: number, byProtocol: number): number {
    const i = this.sessions.i;
    const own = i[row + S_REVISION] === this.revision ? this.policy.idleMillis(i[row + S_RULE] as number) : 0;
    return own === 0 ? byProtocol : own;
  }

  /** A rule permits it, but there is no room for it. */
  private refused(words: Int32Array, at: number, event: number, verdict: number): number {
    this.events.noteFlow(event, this.nowMicros, words, at + P_SOURCE, 0, this.unit, words[at + P_PORT] as number);
    return verdict;
  }

  /** A packet of ours came in at `unit`, 0 = here; after enough of them in a row from the other site the session follows. */
  private noteWhere(unit: number, row: number, direction: number): void {
    if (unit === 0) {
      this.noteHome(row, direction);
      return;
    }
    this.noteUnit(row, direction, unit);
    if (this.followPackets === 0 || siteOf(unit) === this.site || (this.followsOriginator && direction !== ORIGINATOR)) return;
    const units = this.sessions.i[row + S_UNITS] as number;
    const strays = Math.min((units >>> 16) + 1, 0xffff);
    this.sessions.i[row + S_UNITS] = (units & 0xffff) | (strays << 16);
    if (strays < this.followPackets) return;
    // A direction that was never seen while others strayed came in nowhere.
    const other = (units >>> ((1 - direction) << 3)) & 0xff;
    if (this.followsOriginator || other === 0 || siteOf(other) !== this.site) this.partner.follow((row / ROW_WORDS) | 0, unit);
  }

  private noteHome(row: number, direction: number): void {
    this.noteUnit(row, direction, this.unit);
    if (this.followsOriginator && direction !== ORIGINATOR) return;
    this.sessions.i[row + S_UNITS] = (this.sessions.i[row + S_UNITS] as number) & 0xffff;
  }

  /** Keeps where a direction's packets come in: entry unit for the originator's, exit unit for the responder's. */
  private noteUnit(row: number, direction: number, unit: number): void {
    const shift = direction * 8;
    const units = this.sessions.i[row + S_UNITS] as number;
    if (((units >>> shift) & 0xff) !== unit) this.sessions.i[row + S_UNITS] = (units & ~(0xff << shift)) | (unit << shift);
  }
}
