// The loop's body. A breath of a unit:
//
//   twin in ─► handed packets ─┐
//   port 0 ─► batch ──────────┼─► touch packets ─► prepare all (check, zone, sanity, hash) ─► touch index ─► touch rows ─► judge each ─► act
//   port 1 ─► batch ──────────┘                                                                                             │
//        ports flush ◄── forward │ hand off │ reply │ drop and count ◄───────────────────────────────────────────────────────┘
//
// The short loops before judging let the memory system fetch what the judge will need: a cold hit costs 295 ns
// instead of 456. A packet's frame has exactly one owner all along; every path below ends with the frame sent, held,
// taken by the partner or given back.

import type { PacketMemory, Port } from "../hal/contracts.ts";
import { PORT_UP } from "../hal/contracts.ts";
import { BATCH, PORTS, TICK_MILLIS } from "../limits.ts";
import type { Plan, PlannedChecks } from "../plan.ts";
import { Announcer } from "./announcer.ts";
import { checkPacket } from "./check.ts";
import { Datagrams, type Emitter } from "./datagrams.ts";
import { DriftWatch, sumOf } from "./drift.ts";
import { type EventRing, eventKind } from "./events.ts";
import { FirstPackets, type Releaser } from "./first-packets.ts";
import { CANNOT_EMIT, Forwarder } from "./forward.ts";
import { Frames } from "./frames.ts";
import { BACK_NONE, Judge, NO_ROUTE, POLICY_REJECT, TO_OWNER, TO_TWIN_QUERY } from "./judge.ts";
import { word } from "./memory/layout.ts";
import { counterRow, headerWord, PORT_TABLE, type Tables } from "./memory/tables.ts";
import { Neighbours } from "./neighbours.ts";
import {
  A_FRAGMENT,
  HANDED_ASKED,
  HANDED_JUDGED,
  HANDED_STRAY,
  P_ENTRY,
  P_EPOCH,
  P_FAULT,
  P_FLAGS,
  P_FLOW,
  P_FOUND,
  P_FRAGMENT,
  P_HANDED,
  P_HASH,
  P_ID_CREATOR,
  P_ID_INCARNATION,
  P_ID_SERIAL,
  P_INGRESS,
  P_LENGTH,
  P_OFFSET,
  P_PORT,
  P_PROTOCOL,
  P_SOURCE,
  P_VLAN,
  P_ZONE,
  PACKET_ICMP_ERROR,
  PACKET_LOCAL,
  PACKET_MULTICAST,
  PACKET_WORDS,
  PacketBatch,
} from "./packets.ts";
import { type Admission, ANSWER_JUDGED, ANSWER_NONE, ANSWER_OWNER, loneUnit, type Partner, QUERY_LIMITED, QUERY_SENT } from "./partner.ts";
import { Policy } from "./policy.ts";
import type { PolicyImage } from "./policy-image.ts";
import { Replies } from "./replies.ts";
import { Review } from "./review.ts";
import { Routes } from "./routes.ts";
import { sanity } from "./sanity.ts";
import { ROW_WORDS, S_IDLE_LIMIT, S_LAST_SEEN, S_OWNER, S_STATE, type SessionTable, STATE_FREE, STATE_TOMBSTONE } from "./sessions.ts";
import { drop, FORWARD, HANDOFF, HELD, LOCAL } from "./verdicts.ts";
import { optionTable } from "./wire/ipv4.ts";
import { PROTOCOL_TCP } from "./wire/tcp.ts";
import { WireStations } from "./wire-stations.ts";
import { Zones } from "./zones.ts";

const ETHERTYPE_TWIN = 0x88b5;
const TAKEN = -1;

const NOT_FOR_US = drop("not-for-us");
const NO_ZONE = drop("no-zone");
const UNKNOWN_ETHERTYPE = drop("unknown-ethertype");
const MAC_FILTERED = drop("mac-filtered");
const HANDOFF_FULL = drop("handoff-full");
const QUERY_LIMIT = drop("query-limited");
const NOT_LOCAL = drop("not-local-service");
const TRANSMIT_FULL = drop("transmit-full");
const HELD_TOO_LONG = drop("held-too-long");
const SITE_PASSIVE = drop("site-passive");
const EGRESS_DOWN = drop("egress-down");

const C_RECEIVED = counterRow("received");
const C_FORWARDED = counterRow("forwarded");
const C_LOCAL = counterRow("local");
const C_HELD = counterRow("first-packets-held");
const C_UNHELD = counterRow("first-packets-unheld");
const C_FOR_PEER = counterRow("emitted-for-peer");

const PORT_WORDS = PORT_TABLE.strideWords;
const PORT_STATE = word(PORT_TABLE, "state");
const PORT_COUNTERS_F64 = word(PORT_TABLE, "receivedPackets") >> 1;
const EVENT_PORT = [eventKind("port-down"), eventKind("port-up"), eventKind("port-gone")] as const;
/** Rows that one breath looks at for expiry: a batch of new sessions can end (one look) and be freed (another) in a breath. */
const EXPIRY_BUDGET = 2 * BATCH;
/** A replica, or a tombstone that a peer still needs, is looked at again after this. */
const LOOK_AGAIN_MILLIS = 1_000;

/** What an engine is made of; everything lives as long as the engine. */
export interface EngineParts {
  readonly plan: Plan;
  /** By the plan's port numbers. The twin port's packets are the partner's; its state and counters are kept here. */
  readonly ports: readonly Port[];
  readonly packets: PacketMemory;
  readonly tables: Tables;
  readonly sessions: SessionTable;
  readonly partner: Partner;
  readonly events: EventRing;
}

export class Engine implements Admission, Emitter, Releaser {
  /** Data ports by number; the twin port's place is undefined. */
  private readonly ports: readonly (Port | undefined)[];
  private readonly allPorts: readonly Port[];
  private readonly packets: PacketMemory;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly tables: Tables;
  private readonly sessions: SessionTable;
  private readonly partner: Partner;
  /** False without a twin: nobody would take its frames, they are of an unknown EtherType then. */
  private readonly takesTwinFrames: boolean;
  private readonly events: EventRing;
  private readonly counters: Float64Array;
  private readonly transparent: boolean;
  private readonly checks: PlannedChecks;
  private readonly ipv4Options: Uint8Array;
  readonly zones: Zones;
  readonly routes: Routes;
  readonly policy: Policy;
  readonly neighbours: Neighbours;
  readonly replies: Replies;
  readonly stations: WireStations | null;
  private readonly announcer: Announcer;
  private readonly forwarder: Forwarder;
  private readonly judge: Judge;
  readonly datagrams: Datagrams;
  readonly firsts: FirstPackets;
  readonly review: Review;
  private readonly drift = new DriftWatch();
  private readonly batch = new PacketBatch();
  private readonly handed = new PacketBatch();
  private readonly offsets = new Int32Array(BATCH);
  private readonly lengths = new Int32Array(BATCH);
  private nowMicros = 0;
  /** 32 bits, compared by difference: a number above 2^31 would be put on the heap for each call that it is passed to. */
  private nowMillis = 0;
  private nextTickMicros = 0;
  /** Keeps the touching loops from being optimised away. */
  touched = 0;

  constructor(parts: EngineParts) {
    const { plan, tables, sessions, packets } = parts;
    this.allPorts = parts.ports;
    this.ports = parts.ports.map((port, number) => (plan.ports[number]?.kind === "data" ? port : undefined));
    this.packets = packets;
    this.view = packets.view;
    this.bytes = packets.bytes;
    this.tables = tables;
    this.sessions = sessions;
    this.partner = parts.partner;
    this.takesTwinFrames = parts.partner !== loneUnit;
    this.events = parts.events;
    this.counters = tables.counters.f;
    this.transparent = plan.mode === "transparent";
    this.checks = plan.checks;
    this.ipv4Options = optionTable(plan.checks.ipv4Options);
    this.routes = new Routes(plan);
    this.zones = new Zones(plan);
    this.policy = new Policy(plan.rules, plan.revision);
    this.neighbours = new Neighbours(plan, tables, packets, this);
    this.replies = new Replies(plan, tables, packets, this);
    this.stations = this.transparent ? new WireStations(tables.stations.i, this.zones, new Frames(packets, this, this.zones, tables.counters.f)) : null;
    this.announcer = new Announcer(this.zones, this.neighbours, this.stations);
    this.forwarder = new Forwarder(this.transparent, packets, tables, sessions, this.routes, this.neighbours, this.zones, this.replies, this);
    this.neighbours.listener = this.forwarder;
    this.judge = new Judge(plan, packets.view, tables, sessions, this.policy, this.routes, this.zones, parts.partner, parts.events);
    this.firsts = new FirstPackets(sessions);
    this.review = new Review(sessions, this.policy, this.judge, this.routes, plan.reviewSessions);
    const { transparent, judge, replies, partner } = this;
    this.datagrams = new Datagrams({ transparent, checksums: plan.checks.checksums, memory: packets, sessions, judge, partner, replies, emitter: this });
    tables.header.i[headerWord("revision")] = plan.revision;
    this.watchDrift(sumOf([...this.policy.compiled().arrays, ...this.routes.compiled()]));
    for (let entry = 0; entry < this.zones.count; entry++) {
      const { mac } = this.allPorts[this.zones.port[entry] as number] as Port;
      const view = new DataView(mac.buffer, mac.byteOffset, 6);
      this.neighbours.stationMac[entry] = view.getInt32(0, true);
      this.neighbours.stationMacRest[entry] = view.getUint16(4, true);
    }
    for (let number = 0; number < PORTS; number++) tables.ports.i[number * PORT_WORDS] = number < this.allPorts.length ? number : -1;
  }

  /** Sets the clock of this breath. */
  begin(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.nowMillis = Math.floor(nowMicros / 1_000) | 0;
    this.judge.nowMicros = nowMicros;
    this.judge.nowMillis = this.nowMillis;
  }

  /** Judges what peers handed here since the last call, then one batch per data port. Returns packets judged. */
  breathe(): number {
    this.neighbours.silent = !this.partner.mayForward;
    this.neighbours.answersGateway = !this.partner.isPassive;
    if (this.firsts.count !== 0) this.firsts.release(this.partner.mayForward ? this.partner.heldFor : 0, this.nowMillis, this);
    let moved = this.handed.count;
    this.judgeHanded();
    for (let number = 0; number < this.ports.length; number++) {
      const port = this.ports[number];
      if (port !== undefined) moved += this.receive(port, number);
    }
    return moved;
  }

  /** Sends what is queued, on every data port. */
  flush(): void {
    for (let number = 0; number < this.ports.length; number++) this.ports[number]?.flush();
  }

  /** Another policy, and other routes, are in force from the next packet on; sessions that live are judged anew, some in each tick. */
  usePolicy(image: PolicyImage): void {
    this.policy.use(image.policy);
    this.routes.use(image.routes);
    this.neighbours.movePaths();
    this.judge.follow(image.policy.revision, image.idleMillis, image.halfOpenPerDestination);
    this.tables.rules.i.fill(0);
    this.tables.header.i[headerWord("revision")] = image.policy.revision;
    this.review.begin(image.reviewSessions);
    this.watchDrift(image.sum);
  }

  /** `sum`: over the words of policy and routes, as their compiler left them. */
  private watchDrift(sum: number): void {
    const { words } = this.zones;
    this.drift.watch([...this.policy.compiled().arrays, ...this.routes.compiled(), ...words], sumOf(words, sum), this.policy.revision);
  }

  private receive(port: Port, number: number): number {
    const count = port.receive(this.offsets, this.lengths, BATCH);
    if (count === 0) return 0;
    const words = this.batch.words;
    for (let k = 0; k < count; k++) {
      const at = k * PACKET_WORDS;
      words[at + P_OFFSET] = this.offsets[k] as number;
      words[at + P_LENGTH] = this.lengths[k] as number;
      words[at + P_PORT] = number;
      words[at + P_INGRESS] = 0;
      words[at + P_HANDED] = 0;
    }
    this.counters[C_RECEIVED] = (this.counters[C_RECEIVED] as number) + count;
    this.judgeBatch(words, count);
    return count;
  }

  private judgeBatch(words: Int32Array, count: number): void {
    let touched = 0;
    // Another core has copied the packets here: their lines come from its cache, 160 ns each when one is waited for after the other.
    const bytes = this.bytes;
    for (let k = 0; k < count; k++) {
      const at = k * PACKET_WORDS;
      const offset = words[at + P_OFFSET] as number;
      touched ^= (bytes[offset] as number) ^ (bytes[offset + (words[at + P_LENGTH] as number) - 1] as number);
    }
    for (let k = 0; k < count; k++) this.prepare(words, k * PACKET_WORDS);
    const slots = this.sessions.tuples.words;
    const mask = this.sessions.tuples.mask;
    for (let k = 0; k < count; k++) touched ^= slots[((words[k * PACKET_WORDS + P_HASH] as number) & mask) * 2 + 1] as number;
    const rows = this.sessions.i;
    for (let k = 0; k < count; k++) {
      const value = slots[((words[k * PACKET_WORDS + P_HASH] as number) & mask) * 2 + 1] as number;
      if (value === 0) continue;
      const row = ((value - 1) >>> 1) * ROW_WORDS;
      touched ^= (rows[row + (((value - 1) & 1) << 4)] as number) ^ (rows[row + S_STATE] as number) ^ (rows[row + S_OWNER] as number);
    }
    this.touched = touched;
    for (let k = 0; k < count; k++) this.decide(words, k * PACKET_WORDS);
  }

  /** Check, zone, own addresses, sanity, hash. What fails is noted in P_FAULT; what is none of the walk's is taken. */
  private prepare(words: Int32Array, at: number): void {
    const offset = words[at + P_OFFSET] as number;
    const length = words[at + P_LENGTH] as number;
    words[at + P_HASH] = 0;
    words[at + P_FOUND] = -1;
    if (this.takesTwinFrames && words[at + P_INGRESS] === 0 && length >= 14 && this.view.getUint16(offset + 12) === ETHERTYPE_TWIN) {
      this.partner.controlFrame(words[at + P_PORT] as number, offset, length);
      words[at + P_OFFSET] = TAKEN;
      return;
    }
    const kept = words[at + P_INGRESS] === 0 ? 0 : (words[at + P_ZONE] as number);
    const vlan = words[at + P_VLAN] as number;
    checkPacket(this.view, words, at, this.checks.checksums, this.ipv4Options);
    if (words[at + P_INGRESS] === 0) this.placeInZone(words, at, offset);
    else {
      words[at + P_ZONE] = kept;
      words[at + P_VLAN] = vlan;
      words[at + P_ENTRY] = -1;
    }
    if (words[at + P_FAULT] === 0 && words[at + P_FRAGMENT] !== 0) this.prepareFragment(words, at);
    if (words[at + P_FAULT] !== 0) return;
    const domain = this.transparent ? (words[at + P_VLAN] as number) : 0;
    words[at + P_FLOW] = ((words[at + P_FLOW] as number) & 0xff) | ((words[at + P_ZONE] as number) << 8) | (domain << 16);
    const flags = words[at + P_FLAGS] as number;
    if ((flags & PACKET_LOCAL) !== 0) return;
    // An ICMP error travels under its flow's tuple: its own sender is looked at here, everyone else's when there is no session.
    if ((flags & PACKET_ICMP_ERROR) !== 0) {
      words[at + P_FAULT] = sanity(words, at, this.view, this.routes, this.checks);
      if (words[at + P_FAULT] !== 0) return;
    }
    words[at + P_HASH] = this.sessions.hash(words, at + P_SOURCE);
  }

  /** A fragment faces the judge with its datagram; its sender is looked at before it may take room. */
  private prepareFragment(words: Int32Array, at: number): void {
    const domain = this.transparent ? (words[at + P_VLAN] as number) : 0;
    words[at + P_FLOW] = ((words[at + P_FLOW] as number) & 0xff) | ((words[at + P_ZONE] as number) << 8) | (domain << 16);
    const isFromWire = words[at + P_INGRESS] === 0 && words[at + P_HANDED] === 0;
    const wrong = isFromWire ? sanity(words, at, this.view, this.routes, this.checks) : 0;
    words[at + P_FAULT] = wrong === 0 ? A_FRAGMENT : wrong;
  }

  /** The zone of a packet from the wire, and whether its frame is for this unit at all. */
  private placeInZone(words: Int32Array, at: number, offset: number): void {
    const entry = this.zones.at(words[at + P_PORT] as number, words[at + P_VLAN] as number);
    words[at + P_ENTRY] = entry;
    if (entry < 0) {
      if (words[at + P_FAULT] === 0) words[at + P_FAULT] = NO_ZONE;
      return;
    }
    words[at + P_ZONE] = this.zones.zone[entry] as number;
    if (this.stations !== null && this.partner.mayForward && (words[at + P_LENGTH] as number) >= 14)
      this.stations.learn(entry, this.view.getInt32(offset + 6, true), this.view.getUint16(offset + 10, true));
    if (this.transparent || (words[at + P_LENGTH] as number) < 14 || ((this.bytes[offset] as number) & 1) !== 0) return;
    const mac = this.view.getInt32(offset, true);
    const rest = this.view.getUint16(offset + 4, true);
    if (!this.zones.takes(entry, mac, rest) && !this.isAnswerToSilence(entry, mac, rest)) words[at + P_FAULT] = NOT_FOR_US;
  }

  /** A silent unit asks from its burned-in address; whoever answers writes there. */
  private isAnswerToSilence(entry: number, mac: number, rest: number): boolean {
    const { neighbours } = this;
    return neighbours.silent && mac === neighbours.stationMac[entry] && rest === neighbours.stationMacRest[entry];
  }

  private decide(words: Int32Array, at: number): void {
    if (words[at + P_OFFSET] === TAKEN) return;
    const isNeighbourhood = words[at + P_FAULT] === 0 && ((words[at + P_FLAGS] as number) & PACKET_LOCAL) !== 0;
    // A silent unit learns who its neighbours are, answers nothing and passes nothing.
    if (!this.partner.mayForward && (this.transparent || !isNeighbourhood)) this.discard(words[at + P_OFFSET] as number, this.partner.silentReason);
    else if (isNeighbourhood) this.neighbourhood(words, at);
    else if (words[at + P_FAULT] !== 0) this.faulty(words, at);
    else if (((words[at + P_HANDED] as number) & HANDED_JUDGED) !== 0) this.emitForOwner(words, at);
    else if (((words[at + P_FLAGS] as number) & PACKET_MULTICAST) !== 0 && !this.transparent) this.discard(words[at + P_OFFSET] as number, MAC_FILTERED);
    else this.act(words, at, this.judge.judge(words, at));
  }

  /** Fragments wait for their datagram; a wire passes bridge control frames; everything else with a fault is dropped. */
  private faulty(words: Int32Array, at: number): void {
    if (words[at + P_FAULT] === A_FRAGMENT) {
      this.datagrams.take(words, at, this.nowMillis);
      return;
    }
    const offset = words[at + P_OFFSET] as number;
    const isBridgeControl =
      this.transparent && words[at + P_FAULT] === UNKNOWN_ETHERTYPE && this.view.getUint16(offset + 12) < 0x600 && this.view.getInt32(offset) === 0x0180c200;
    if (!isBridgeControl || this.forwarder.passThroughWire(words, at) !== FORWARD) this.discard(offset, words[at + P_FAULT] as number);
  }

  /** ARP and ND. */
  private neighbourhood(words: Int32Array, at: number): void {
    if (this.transparent) {
      if (this.forwarder.passThroughWire(words, at) !== FORWARD) this.discard(words[at + P_OFFSET] as number, EGRESS_DOWN);
      return;
    }
    this.counters[C_LOCAL] = (this.counters[C_LOCAL] as number) + 1;
    this.neighbours.input(words, at, this.nowMillis);
    this.packets.give(words[at + P_OFFSET] as number);
  }

  private act(words: Int32Array, at: number, verdict: number): void {
    const kind = verdict & 0xff;
    if (kind === FORWARD && this.firsts.count === 0) this.emit(words, at);
    else if (kind === FORWARD || kind === HELD) this.emitInTurn(words, at, kind);
    else if (kind === HANDOFF) this.handOff(words, at);
    else if (kind === LOCAL) this.local(words, at);
    else {
      if (verdict === POLICY_REJECT) this.replies.reject(words, at);
      else if (verdict === NO_ROUTE) this.replies.unreachable(words, at);
      this.discard(words[at + P_OFFSET] as number, verdict >>> 8);
    }
  }

  /** A session's first packet waits until the twin knows of it, and those that follow wait behind it. */
  private emitInTurn(words: Int32Array, at: number, kind: number): void {
    const row = (words[at + P_FOUND] as number) >> 1;
    if (kind === FORWARD && (row < 0 || words[at + P_INGRESS] !== 0 || !this.firsts.isHeld(row))) this.emit(words, at);
    else if (this.firsts.hold(words, at, row, this.nowMillis)) this.counters[C_HELD] = (this.counters[C_HELD] as number) + 1;
    else {
      this.counters[C_UNHELD] = (this.counters[C_UNHELD] as number) + 1;
      this.emit(words, at);
    }
  }

  /** Releaser: a first packet waited for too long. */
  discardHeld(offset: number): void {
    this.discard(offset, HELD_TOO_LONG);
  }

  /** Emitter: sends a judged packet, or returns it to its ingress; the frame is taken whatever happens. */
  emit(words: Int32Array, at: number): void {
    const verdict = this.forwarder.emit(words, at);
    const foreign = words[at + P_INGRESS] !== 0;
    if (verdict === FORWARD || verdict === HELD) {
      const counter = foreign ? C_FOR_PEER : C_FORWARDED;
      this.counters[counter] = (this.counters[counter] as number) + 1;
    } else if (verdict === CANNOT_EMIT) {
      const found = words[at + P_FOUND] as number;
      if (!this.partner.answer(words, at, ANSWER_JUDGED, found < 0 ? -1 : found >>> 1)) this.discard(words[at + P_OFFSET] as number, HANDOFF_FULL);
    } else {
      if (verdict === NO_ROUTE) this.replies.unreachable(words, at);
      this.discard(words[at + P_OFFSET] as number, verdict >>> 8);
    }
  }

  /** A packet of our ingress that its owner has judged: only emission is left; the replica's row remembers the path. */
  private emitForOwner(words: Int32Array, at: number): void {
    words[at + P_FOUND] = this.sessions.find(words, at + P_SOURCE, words[at + P_HASH] as number);
    this.emit(words, at);
  }

  /** To the owner, to the twin with a question, or back to the ingress: judge.ask says which. */
  private handOff(words: Int32Array, at: number): void {
    const offset = words[at + P_OFFSET] as number;
    const row = (words[at + P_FOUND] as number) < 0 ? -1 : (words[at + P_FOUND] as number) >>> 1;
    const ask = this.judge.ask;
    if (ask === TO_OWNER) {
      if (!this.partner.handoff(words, at, row, this.judge.askUnit)) this.discard(offset, HANDOFF_FULL);
      return;
    }
    if (ask !== TO_TWIN_QUERY) {
      if (!this.partner.answer(words, at, ask === BACK_NONE ? ANSWER_NONE : ANSWER_OWNER, row)) this.discard(offset, HANDOFF_FULL);
      return;
    }
    const answer = this.partner.query(words, at);
    if (answer === QUERY_SENT) return;
    if (((words[at + P_HANDED] as number) & HANDED_STRAY) !== 0) {
      this.discard(offset, SITE_PASSIVE);
      return;
    }
    if (answer === QUERY_LIMITED && (words[at + P_PROTOCOL] === PROTOCOL_TCP || ((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0))
      this.discard(offset, QUERY_LIMIT);
    else this.act(words, at, this.judge.judgeAlone(words, at));
  }

  /** Emitter: addressed to one of our own addresses: only ping is answered here (management goes to the kernel before us). */
  local(words: Int32Array, at: number): void {
    this.counters[C_LOCAL] = (this.counters[C_LOCAL] as number) + 1;
    if (!this.replies.echo(words, at)) this.discard(words[at + P_OFFSET] as number, NOT_LOCAL);
  }

  /** Outlet: sends a packet; the frame is taken whatever happens. */
  send(port: number, offset: number, lengthBytes: number): void {
    const outlet = this.ports[port];
    if (outlet === undefined || outlet.state !== PORT_UP) this.discard(offset, EGRESS_DOWN);
    else if (!outlet.transmit(offset, lengthBytes)) this.discard(offset, TRANSMIT_FULL);
  }

  /** Outlet: drops a packet that nobody needs any more. `reason`: a drop reason's number. */
  discard(offset: number, reason: number): void {
    this.counters[reason] = (this.counters[reason] as number) + 1;
    this.packets.give(offset);
  }

  admit(
    offset: number,
    lengthBytes: number,
    ingressUnit: number,
    port: number,
    zone: number,
    vlan: number,
    handed: number,
    idSerial: number,
    idCreator: number,
    idIncarnation: number,
    epoch: number,
  ): void {
    const at = this.nextHanded(offset, lengthBytes, port, zone, vlan);
    const words = this.handed.words;
    words[at + P_INGRESS] = ingressUnit;
    words[at + P_HANDED] = handed;
    words[at + P_ID_SERIAL] = idSerial;
    words[at + P_ID_CREATOR] = idCreator;
    words[at + P_ID_INCARNATION] = idIncarnation;
    words[at + P_EPOCH] = epoch;
  }

  emitJudged(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void {
    const at = this.nextHanded(offset, lengthBytes, port, zone, vlan);
    this.handed.words[at + P_INGRESS] = 0;
    this.handed.words[at + P_HANDED] = HANDED_JUDGED;
  }

  judgeHere(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void {
    const at = this.nextHanded(offset, lengthBytes, port, zone, vlan);
    this.handed.words[at + P_INGRESS] = 0;
    this.handed.words[at + P_HANDED] = HANDED_ASKED;
  }

  private nextHanded(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): number {
    if (this.handed.count === BATCH) this.judgeHanded();
    const at = this.handed.count * PACKET_WORDS;
    this.handed.count++;
    const words = this.handed.words;
    words[at + P_OFFSET] = offset;
    words[at + P_LENGTH] = lengthBytes;
    words[at + P_PORT] = port;
    words[at + P_ZONE] = zone;
    words[at + P_VLAN] = vlan;
    return at;
  }

  private judgeHanded(): void {
    const count = this.handed.count;
    if (count === 0) return;
    this.handed.count = 0;
    this.judgeBatch(this.handed.words, count);
  }

  /** Timers, each breath: cheap when nothing is due. */
  tick(): void {
    this.expire();
    if (this.nowMicros < this.nextTickMicros) return;
    this.nextTickMicros = this.nowMicros + TICK_MILLIS * 1_000;
    this.neighbours.tick(this.nowMillis);
    this.replies.tick(this.nowMillis);
    if (this.partner.mayForward) this.announcer.tick(this.nowMillis);
    this.datagrams.tick(this.nowMillis);
    this.review.tick();
    this.drift.tick();
    // Asked here: passing a time on would leave it on the heap, each tick.
    if (this.events.anyLeft !== 0) this.events.tick(this.nowMicros);
    for (let number = 0; number < this.allPorts.length; number++) this.notePort(this.allPorts[number] as Port, number);
  }

  /** Only the owner ends a session; tombstones are released when no peer needs them. */
  private expire(): void {
    const i = this.sessions.i;
    for (let budget = EXPIRY_BUDGET; budget > 0; budget--) {
      const session = this.sessions.wheel.due(this.nowMillis);
      if (session < 0) return;
      const row = session * ROW_WORDS;
      const kind = (i[row + S_STATE] as number) & 0xff;
      if (kind === STATE_FREE) continue;
      if (kind === STATE_TOMBSTONE) {
        if (this.partner.mayRelease(session)) this.sessions.release(session);
        else this.sessions.wheel.schedule(session, this.nowMillis, LOOK_AGAIN_MILLIS);
        continue;
      }
      const left = (i[row + S_IDLE_LIMIT] as number) - ((this.nowMillis - (i[row + S_LAST_SEEN] as number)) | 0);
      if (i[row + S_OWNER] !== this.sessions.me) this.sessions.wheel.schedule(session, this.nowMillis, Math.max(left, LOOK_AGAIN_MILLIS));
      else if (left > 0) this.sessions.wheel.schedule(session, this.nowMillis, left);
      else this.judge.end(session);
    }
  }

  /** Link state and counters for readers; a change of state makes every path be looked up again. */
  private notePort(port: Port, number: number): void {
    port.service(this.nowMicros);
    const row = number * PORT_WORDS;
    const i = this.tables.ports.i;
    if (i[row + PORT_STATE] !== port.state) {
      i[row + PORT_STATE] = port.state;
      this.neighbours.movePaths();
      this.events.note(EVENT_PORT[port.state] as number, this.nowMicros, 0, number, 0);
      if (port.state === PORT_UP && this.partner.mayForward) this.announcer.announce(number);
    }
    const f = this.tables.ports.f;
    const at = (row >> 1) + PORT_COUNTERS_F64;
    f[at] = port.counters.receivedPackets;
    f[at + 1] = port.counters.receivedBytes;
    f[at + 2] = port.counters.transmittedPackets;
    f[at + 3] = port.counters.transmittedBytes;
    f[at + 4] = port.counters.transmitFull;
    f[at + 5] = port.counters.receiveMissed;
    f[at + 6] = port.counters.receiveErrors;
  }

  /** This unit answers from now on for what others answered for: says so, several times. */
  takeOver(): void {
    this.announcer.takeOver(this.nowMillis);
  }
}
