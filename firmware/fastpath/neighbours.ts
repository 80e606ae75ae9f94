// Next hops and their MACs: ARP (RFC 826) and neighbour discovery (RFC 4861). Rows lie in shared memory; the index over them
// and the packets that wait are private.
//
//              request                answer                       30 s: asked again, still used
//   free ──────────────► resolving ───────────► reachable ─────────────────────────────► stale
//    ▲                       │                      ▲ ◄──────────── answer ────────────────┤
//    └──── a second ─── failed ◄── no answer ───────┘ announcement                no answer┘
//
// A session keeps its next hop's MAC in its row, so a row here cannot know that it is used: every neighbour is asked again
// now and then, by unicast, and stays in use until it has failed to answer several times. Whenever a MAC that somebody may
// have kept stops being right, the path epoch moves and all paths are looked up again.
//
// The gateway's address answers and announces, from the gateway's MAC. Everything that asks comes from the site's address and
// MAC (PROTOCOL.md "Gateways at two sites").

import type { PacketMemory } from "../hal/contracts.ts";
import {
  NEIGHBOUR_FAILED_MILLIS,
  NEIGHBOUR_REACHABLE_MILLIS,
  NEIGHBOUR_RETRY_MILLIS,
  NEIGHBOUR_TRIES,
  NEIGHBOURS,
  NEIGHBOURS_RESOLVING,
  RESOLVE_QUEUE,
  RESOLVE_QUEUE_PER_HOP,
} from "../limits.ts";
import type { Plan } from "../plan.ts";
import { HashIndex } from "./memory/index.ts";
import { word } from "./memory/layout.ts";
import { counterRow, headerWord, NEIGHBOUR_STATE_NAMES, NEIGHBOUR_TABLE, type Tables } from "./memory/tables.ts";
import type { Outlet } from "./outlet.ts";
import { P_DESTINATION, P_ENTRY, P_FLAGS, P_L3, P_L4, P_L4_BYTES, P_OFFSET, P_SOURCE, PACKET_ICMP_SHIFT, PACKET_IPV6 } from "./packets.ts";
import { Solicitor } from "./solicitor.ts";
import { isV4Words, OWN_GATEWAY, OWN_NONE, Stations } from "./stations.ts";
import { drop } from "./verdicts.ts";
import { ARP_OPERATION, ARP_REQUEST, ARP_SENDER_MAC } from "./wire/arp.ts";
import { ETHERNET_SOURCE, GROUP_BIT } from "./wire/ethernet.ts";
import { ND_ADVERTISEMENT, ND_FLAGS, ND_OPTIONS, ND_OVERRIDE, ND_SOLICITATION, ND_SOLICITED, ND_SOURCE_LINK, ND_TARGET, ND_TARGET_LINK } from "./wire/icmp.ts";
import { Zones } from "./zones.ts";

/** Hears what became of a packet that waited; the frame changes hands with the call. */
export interface NeighbourListener {
  /** The next hop answered; its MAC is in `row`. */
  resolved(offset: number, lengthBytes: number, cookie: number, row: number): void;
  /** The next hop does not answer. */
  failed(offset: number, lengthBytes: number, cookie: number): void;
}

const STRIDE = NEIGHBOUR_TABLE.strideWords;
const N_STATE = word(NEIGHBOUR_TABLE, "state");
const N_ADDRESS = word(NEIGHBOUR_TABLE, "address");
const N_MAC = word(NEIGHBOUR_TABLE, "mac");
const N_MAC_REST = word(NEIGHBOUR_TABLE, "macRest");
const N_CONFIRMED = word(NEIGHBOUR_TABLE, "confirmed");
const N_NEXT = word(NEIGHBOUR_TABLE, "next");
const N_QUEUED = word(NEIGHBOUR_TABLE, "queued");

const FREE = NEIGHBOUR_STATE_NAMES.indexOf("free");
const RESOLVING = NEIGHBOUR_STATE_NAMES.indexOf("resolving");
const REACHABLE = NEIGHBOUR_STATE_NAMES.indexOf("reachable");
const STALE = NEIGHBOUR_STATE_NAMES.indexOf("stale");
const FAILED = NEIGHBOUR_STATE_NAMES.indexOf("failed");
const ENTRY_SHIFT = 8;
const TRIES_SHIFT = 16;

const PATH_EPOCH = headerWord("pathEpoch");
/** A session's path keeps 24 bits of it, and 0 means none. */
const PATH_EPOCHS = 0xffffff;
const C_ARP_ANSWERED = counterRow("arp-answered");
const C_ND_ANSWERED = counterRow("nd-answered");
const NO_NEIGHBOUR = drop("no-neighbour");
const QUEUE_FULL = drop("resolve-queue-full");

const NONE = -1;
/** Rows looked at per tick: all of them within 16 ticks. */
const ROWS_PER_TICK = NEIGHBOURS / 16;
/** Rows looked at for one to give up when too many wait for an answer. */
const EVICTION_ROWS = 64;
/** Spread of refreshes, so that neighbours learnt together are not asked together. */
const REFRESH_SPREAD_MILLIS = 127;

export class Neighbours {
  /** Set before the first packet. */
  listener: NeighbourListener | undefined;
  /** True while this unit may send nothing (standby, rejoining): it learns, and stays quiet. */
  silent = false;
  /** False at a passive site: gateway addresses are neither answered nor announced. */
  answersGateway = true;
  /** Burned-in MACs by entry: a silent unit asks from them, and from no address. The engine knows them. */
  readonly stationMac: Int32Array;
  readonly stationMacRest: Int32Array;
  /** Why `wait` refused last: a drop reason's number. */
  refusal = NO_NEIGHBOUR;
  private readonly rows: Int32Array;
  private readonly header: Int32Array;
  private readonly counters: Float64Array;
  private readonly view: DataView;
  private readonly zones: Zones;
  private readonly stations: Stations;
  private readonly solicitor: Solicitor;
  private readonly index = new HashIndex(NEIGHBOURS * 4);
  private readonly freeRows = new Int32Array(NEIGHBOURS);
  private freeCount = 0;
  private resolving = 0;
  private cursor = 0;
  private evictionCursor = 0;
  private nowMillis = 0;
  private started = false;
  /** Packets that wait: lists by row, through `queueNext`. */
  private readonly queueHead = new Int32Array(NEIGHBOURS).fill(NONE);
  private readonly queueTail = new Int32Array(NEIGHBOURS).fill(NONE);
  private readonly queueNext = new Int32Array(RESOLVE_QUEUE);
  private readonly queueOffset = new Int32Array(RESOLVE_QUEUE);
  private readonly queueLength = new Int32Array(RESOLVE_QUEUE);
  private readonly queueCookie = new Int32Array(RESOLVE_QUEUE);
  private queueFree = 0;
  /** Addresses out of packets, while they are looked at. */
  private readonly target = new Int32Array(4);

  /** Adopts the neighbours that it finds in the table; they are asked again at once, and used meanwhile. */
  constructor(plan: Plan, tables: Pick<Tables, "neighbours" | "header" | "counters">, memory: PacketMemory, outlet: Outlet) {
    this.rows = tables.neighbours.i;
    this.header = tables.header.i;
    this.counters = tables.counters.f;
    this.view = memory.view;
    this.zones = new Zones(plan);
    this.stations = new Stations(plan);
    this.stationMac = new Int32Array(this.zones.count);
    this.stationMacRest = new Int32Array(this.zones.count);
    this.solicitor = new Solicitor(memory, outlet, this.zones, this.stations, tables.counters.f);
    for (let k = 0; k < RESOLVE_QUEUE; k++) this.queueNext[k] = k + 1 < RESOLVE_QUEUE ? k + 1 : NONE;
    for (let row = NEIGHBOURS - 1; row >= 0; row--) this.adopt(row);
  }

  /** Row of the address `words[at .. at+3]` on a zone entry, if its MAC may be used; -1 if not. */
  find(entry: number, words: Int32Array, at: number): number {
    const row = this.lookUp(entry, words, at);
    if (row < 0) return NONE;
    const state = this.stateOf(row);
    return state === REACHABLE || state === STALE ? row : NONE;
  }

  /** True while an address counts as failed: it was asked for a moment ago and did not answer. */
  hasFailed(entry: number, words: Int32Array, at: number): boolean {
    const row = this.lookUp(entry, words, at);
    return row >= 0 && this.stateOf(row) === FAILED;
  }

  /** First four bytes of a row's MAC, in packet order. */
  macWord(row: number): number {
    return this.rows[row * STRIDE + N_MAC] as number;
  }
  /** Last two bytes. */
  macRest(row: number): number {
    return this.rows[row * STRIDE + N_MAC_REST] as number;
  }

  /** Asks for a next hop, unless that is under way; no packet waits. */
  solicit(entry: number, words: Int32Array, at: number): void {
    this.resolvingRow(entry, words, at);
  }

  /** Asks an address now, known or not: for monitoring. A silent unit asks as one that has no address yet (RFC 5227 §2.1.1, RFC 4862 §5.4.2). */
  probe(entry: number, words: Int32Array, at: number): void {
    const row = this.find(entry, words, at);
    if (row < 0) this.solicit(entry, words, at);
    if (this.silent) this.solicitor.askWithoutAddress(entry, words, at, this.stationMac[entry] as number, this.stationMacRest[entry] as number);
    else if (row >= 0) this.solicitor.ask(entry, words, at, this.macWord(row), this.macRest(row));
  }

  /** When an address last answered, ms of this boot's clock as a signed word; 0 = it is not known. */
  confirmedAt(entry: number, words: Int32Array, at: number): number {
    const row = this.find(entry, words, at);
    return row < 0 ? 0 : (this.rows[row * STRIDE + N_CONFIRMED] as number);
  }

  /**
   * Keeps a packet until its next hop has answered; the listener gets it back. False: refused (`refusal` says why), the caller
   * keeps the frame. `cookie` comes back with the packet.
   */
  wait(entry: number, words: Int32Array, at: number, offset: number, lengthBytes: number, cookie: number): boolean {
    const row = this.resolvingRow(entry, words, at);
    this.refusal = row < 0 ? NO_NEIGHBOUR : QUEUE_FULL;
    const queued = row * STRIDE + N_QUEUED;
    const slot = this.queueFree;
    if (row < 0 || slot === NONE || (this.rows[queued] as number) >= RESOLVE_QUEUE_PER_HOP) return false;
    this.queueFree = this.queueNext[slot] as number;
    this.queueNext[slot] = NONE;
    this.queueOffset[slot] = offset;
    this.queueLength[slot] = lengthBytes;
    this.queueCookie[slot] = cookie;
    if (this.queueHead[row] === NONE) this.queueHead[row] = slot;
    else this.queueNext[this.queueTail[row] as number] = slot;
    this.queueTail[row] = slot;
    this.rows[queued] = ((this.rows[queued] as number) + 1) | 0;
    return true;
  }

  /** An ARP or ND packet (PACKET_LOCAL, sound) came in by its P_ENTRY. Does not take the frame. */
  input(words: Int32Array, at: number, nowMillis: number): void {
    this.nowMillis = nowMillis;
    if ((words[at + P_ENTRY] as number) < 0) return;
    if (((words[at + P_FLAGS] as number) & PACKET_IPV6) === 0) this.inputArp(words, at);
    else {
      const type = ((words[at + P_FLAGS] as number) >>> PACKET_ICMP_SHIFT) & 0xff;
      if (type === ND_SOLICITATION) this.inputSolicitation(words, at);
      else if (type === ND_ADVERTISEMENT) this.inputAdvertisement(words, at);
    }
  }

  /** Tells the network where the entry's own addresses are: at start, after a takeover, when a port comes up. RFC 5227 §2.3, RFC 4861 §7.2.6. */
  announce(entry: number): void {
    if (this.silent) return;
    const after = this.stations.firstAddress(entry + 1);
    for (let number = this.stations.firstAddress(entry); number < after; number = (number + 1) | 0) {
      if (this.stations.kindOf(number) !== OWN_GATEWAY || this.answersGateway) this.solicitor.announce(entry, number);
    }
  }

  /** Retries, refreshes, failures; a slice of the rows per call. */
  tick(nowMillis: number): void {
    this.nowMillis = nowMillis;
    if (!this.started) {
      this.started = true;
      for (let row = 0; row < NEIGHBOURS; row = (row + 1) | 0) this.rows[row * STRIDE + N_NEXT] = nowMillis | 0;
    }
    for (let k = 0; k < ROWS_PER_TICK; k = (k + 1) | 0) {
      const row = this.cursor;
      this.cursor = row + 1 === NEIGHBOURS ? 0 : (row + 1) | 0;
      const state = this.stateOf(row);
      if (state === FREE || (((this.rows[row * STRIDE + N_NEXT] as number) - nowMillis) | 0) > 0) continue;
      if (state === FAILED) this.release(row);
      else if (!this.silent) this.askAgain(row, state);
      // A unit that fell silent in the middle of asking will not ask again: what waits for the answer is given back.
      else if (state === RESOLVING) this.fail(row, state);
    }
  }

  private askAgain(row: number, state: number): void {
    const at = row * STRIDE;
    const tries = ((this.rows[at + N_STATE] as number) >>> TRIES_SHIFT) & 0xff;
    // A known neighbour is first asked by unicast, then as a stranger: it may have moved to another MAC.
    const most = state === RESOLVING ? NEIGHBOUR_TRIES : NEIGHBOUR_TRIES * 2;
    if (state !== REACHABLE && tries >= most) {
      this.fail(row, state);
      return;
    }
    const entry = this.entryOf(row);
    const asked = state === REACHABLE ? 1 : (tries + 1) | 0;
    this.rows[at + N_STATE] = (state === REACHABLE ? STALE : state) | (entry << ENTRY_SHIFT) | (asked << TRIES_SHIFT);
    this.rows[at + N_NEXT] = (this.nowMillis + (NEIGHBOUR_RETRY_MILLIS << ((asked - 1) % NEIGHBOUR_TRIES))) | 0;
    const known = state !== RESOLVING && asked <= NEIGHBOUR_TRIES;
    this.solicitor.ask(entry, this.rows, at + N_ADDRESS, known ? this.macWord(row) : 0, known ? this.macRest(row) : 0);
  }

  private fail(row: number, state: number): void {
    const at = row * STRIDE;
    this.rows[at + N_STATE] = FAILED | (this.entryOf(row) << ENTRY_SHIFT);
    this.rows[at + N_NEXT] = (this.nowMillis + NEIGHBOUR_FAILED_MILLIS) | 0;
    if (state === RESOLVING) this.resolving = (this.resolving - 1) | 0;
    else this.movePaths();
    this.giveBack(row, false);
  }

  private inputArp(words: Int32Array, at: number): void {
    const view = this.view;
    const arp = words[at + P_L3] as number;
    const entry = words[at + P_ENTRY] as number;
    const mac = view.getInt32(arp + ARP_SENDER_MAC, true);
    const rest = view.getUint16(arp + ARP_SENDER_MAC + 4, true);
    if (!this.isStation(entry, mac, rest)) return;
    const own = this.stations.ownAt(entry, words, at + P_DESTINATION);
    // RFC 826: who asks for us will be answered, and will be spoken to; others are only updated.
    const isProbe = words[at + P_SOURCE + 3] === 0;
    if (!isProbe) this.learn(entry, words, at + P_SOURCE, mac, rest, own !== OWN_NONE);
    if (view.getUint16(arp + ARP_OPERATION) !== ARP_REQUEST || !this.mayAnswer(own)) return;
    this.solicitor.answerArp(entry, own, words, at + P_DESTINATION, words, at + P_SOURCE, mac, rest);
    this.counters[C_ARP_ANSWERED] = (this.counters[C_ARP_ANSWERED] as number) + 1;
  }

  /** RFC 4861 §7.2.3. */
  private inputSolicitation(words: Int32Array, at: number): void {
    const entry = words[at + P_ENTRY] as number;
    const own = this.loadTarget(words, at, entry);
    if (!this.mayAnswer(own)) return;
    const link = this.findLink(words, at, ND_SOURCE_LINK);
    const isProbe = words[at + P_SOURCE] === 0 && words[at + P_SOURCE + 1] === 0 && words[at + P_SOURCE + 2] === 0 && words[at + P_SOURCE + 3] === 0;
    if (isProbe) {
      if (link !== 0) return; // RFC 4861 §7.1.1
      this.solicitor.advertise(entry, own, this.target, 0, undefined, 0, 0, 0);
    } else {
      // Without the option the sender is where the frame came from.
      const frame = link === 0 ? ((words[at + P_OFFSET] as number) + ETHERNET_SOURCE) | 0 : link;
      const mac = this.view.getInt32(frame, true);
      const rest = this.view.getUint16(frame + 4, true);
      if (!this.isStation(entry, mac, rest)) return;
      this.learn(entry, words, at + P_SOURCE, mac, rest, true);
      this.solicitor.advertise(entry, own, this.target, 0, words, at + P_SOURCE, mac, rest);
    }
    this.counters[C_ND_ANSWERED] = (this.counters[C_ND_ANSWERED] as number) + 1;
  }

  /** RFC 4861 §7.2.5: only neighbours that somebody asked for. */
  private inputAdvertisement(words: Int32Array, at: number): void {
    const entry = words[at + P_ENTRY] as number;
    if (this.loadTarget(words, at, entry) !== OWN_NONE) return;
    const row = this.lookUp(entry, this.target, 0);
    if (row < 0) return;
    const flags = this.view.getUint8((words[at + P_L4] as number) + ND_FLAGS);
    const link = this.findLink(words, at, ND_TARGET_LINK);
    const usable = this.stateOf(row) === REACHABLE || this.stateOf(row) === STALE;
    if (link === 0) {
      if (usable && (flags & ND_SOLICITED) !== 0) this.confirm(row);
      return;
    }
    const mac = this.view.getInt32(link, true);
    const rest = this.view.getUint16(link + 4, true);
    if (!this.isStation(entry, mac, rest)) return;
    const same = mac === this.macWord(row) && rest === this.macRest(row);
    // Without the override flag a known MAC stays.
    if (usable && !same && (flags & ND_OVERRIDE) === 0) return;
    // Who asks without an address is answered to all, unsolicited.
    if (usable && same && (flags & ND_SOLICITED) === 0 && !this.silent) return;
    this.setMac(row, mac, rest);
  }

  /** Loads the target of an ND message; returns OWN_*. */
  private loadTarget(words: Int32Array, at: number, entry: number): number {
    const from = ((words[at + P_L4] as number) + ND_TARGET) | 0;
    for (let k = 0; k < 4; k = (k + 1) | 0) this.target[k] = this.view.getInt32(from + (k << 2), true);
    return this.stations.ownAt(entry, this.target, 0);
  }

  /** Where the link-layer address of an option of this type lies, or 0. check() walked the options already. */
  private findLink(words: Int32Array, at: number, type: number): number {
    const end = ((words[at + P_L4] as number) + (words[at + P_L4_BYTES] as number)) | 0;
    for (let k = ((words[at + P_L4] as number) + ND_OPTIONS) | 0; k < end; k = (k + (this.view.getUint8(k + 1) << 3)) | 0) {
      if (this.view.getUint8(k) === type && this.view.getUint8(k + 1) === 1) return k + 2;
    }
    return 0;
  }

  private mayAnswer(own: number): boolean {
    return !this.silent && own !== OWN_NONE && (own !== OWN_GATEWAY || this.answersGateway);
  }

  /** A MAC that one neighbour can have: no group, not empty, not one of ours. */
  private isStation(entry: number, mac: number, rest: number): boolean {
    return (mac & GROUP_BIT) === 0 && (mac !== 0 || rest !== 0) && !this.zones.takes(entry, mac, rest);
  }

  /** A neighbour said where it is. `mayCreate`: also when nobody asked for it. */
  private learn(entry: number, words: Int32Array, at: number, mac: number, rest: number, mayCreate: boolean): void {
    // RFC 5227 §2.4: a conflict is somebody else's mistake; our addresses are configured.
    if (this.stations.ownAt(entry, words, at) !== OWN_NONE) return;
    let row = this.lookUp(entry, words, at);
    if (row < 0) {
      if (!mayCreate || !this.stations.isOnLink(entry, words, at) || !this.isUnicast(words, at)) return;
      row = this.create(entry, words, at);
      if (row < 0) return;
    }
    this.setMac(row, mac, rest);
  }

  private isUnicast(words: Int32Array, at: number): boolean {
    return isV4Words(words, at) ? !this.stations.isBroadcast(words, at) : ((words[at] as number) & 0xff) !== 0xff;
  }

  private setMac(row: number, mac: number, rest: number): void {
    const at = row * STRIDE;
    const state = this.stateOf(row);
    const usable = state === REACHABLE || state === STALE;
    const moved = usable && (mac !== this.macWord(row) || rest !== this.macRest(row));
    this.rows[at + N_MAC] = mac;
    this.rows[at + N_MAC_REST] = rest;
    if (state === RESOLVING) this.resolving = (this.resolving - 1) | 0;
    this.confirm(row);
    if (moved) this.movePaths();
    this.giveBack(row, true);
  }

  private confirm(row: number): void {
    const at = row * STRIDE;
    this.rows[at + N_STATE] = REACHABLE | (this.entryOf(row) << ENTRY_SHIFT);
    this.rows[at + N_CONFIRMED] = this.nowMillis | 0;
    this.rows[at + N_NEXT] = (this.nowMillis + NEIGHBOUR_REACHABLE_MILLIS + (row & 0x1f) * REFRESH_SPREAD_MILLIS) | 0;
  }

  /** Hands waiting packets back, oldest first. */
  private giveBack(row: number, answered: boolean): void {
    let slot = this.queueHead[row] as number;
    if (slot === NONE) return;
    this.queueHead[row] = NONE;
    this.queueTail[row] = NONE;
    this.rows[row * STRIDE + N_QUEUED] = 0;
    const listener = this.listener;
    if (listener === undefined) throw new Error("neighbours: packets wait, and nobody listens");
    while (slot !== NONE) {
      const after = this.queueNext[slot] as number;
      this.queueNext[slot] = this.queueFree;
      this.queueFree = slot;
      if (answered) listener.resolved(this.queueOffset[slot] as number, this.queueLength[slot] as number, this.queueCookie[slot] as number, row);
      else listener.failed(this.queueOffset[slot] as number, this.queueLength[slot] as number, this.queueCookie[slot] as number);
      slot = after;
    }
  }

  /** The row that resolves this address, asked for now if need be; -1 when it failed a moment ago or no row can be had. */
  private resolvingRow(entry: number, words: Int32Array, at: number): number {
    const known = this.lookUp(entry, words, at);
    if (known >= 0) return this.stateOf(known) === FAILED ? NONE : known;
    if (this.stations.speaker(entry, words, at) < 0) return NONE;
    if (this.resolving >= NEIGHBOURS_RESOLVING) this.evict();
    if (this.resolving >= NEIGHBOURS_RESOLVING) return NONE;
    const row = this.create(entry, words, at);
    if (row < 0) return NONE;
    this.resolving = (this.resolving + 1) | 0;
    this.rows[row * STRIDE + N_STATE] = RESOLVING | (entry << ENTRY_SHIFT);
    if (!this.silent) this.askAgain(row, RESOLVING);
    return row;
  }

  /** Too many wait for an answer: one of them is given up, so that a scan costs the scanner's own packets first. */
  private evict(): void {
    for (let k = 0; k < EVICTION_ROWS; k = (k + 1) | 0) {
      const row = this.evictionCursor;
      this.evictionCursor = row + 1 === NEIGHBOURS ? 0 : (row + 1) | 0;
      if (this.stateOf(row) !== RESOLVING) continue;
      this.fail(row, RESOLVING);
      this.release(row);
      return;
    }
  }

  private create(entry: number, words: Int32Array, at: number): number {
    if (this.freeCount === 0) return NONE;
    const row = this.freeRows[this.freeCount - 1] as number;
    if (!this.index.insert(hash(entry, words, at), row)) return NONE;
    this.freeCount = (this.freeCount - 1) | 0;
    const to = row * STRIDE;
    this.rows[to + N_STATE] = FAILED | (entry << ENTRY_SHIFT);
    for (let k = 0; k < 4; k = (k + 1) | 0) this.rows[to + N_ADDRESS + k] = words[at + k] as number;
    this.rows[to + N_QUEUED] = 0;
    return row;
  }

  private release(row: number): void {
    const at = row * STRIDE;
    this.index.remove(hash(this.entryOf(row), this.rows, at + N_ADDRESS), row);
    this.rows.fill(0, at, at + STRIDE);
    this.freeRows[this.freeCount] = row;
    this.freeCount = (this.freeCount + 1) | 0;
  }

  private adopt(row: number): void {
    const at = row * STRIDE;
    const state = this.stateOf(row);
    const entry = this.entryOf(row);
    const usable = (state === REACHABLE || state === STALE) && entry < this.zones.count && this.stations.isOnLink(entry, this.rows, at + N_ADDRESS);
    if (usable && this.index.insert(hash(entry, this.rows, at + N_ADDRESS), row)) {
      this.rows[at + N_STATE] = REACHABLE | (entry << ENTRY_SHIFT);
      this.rows[at + N_QUEUED] = 0;
      return;
    }
    this.rows.fill(0, at, at + STRIDE);
    this.freeRows[this.freeCount] = row;
    this.freeCount = (this.freeCount + 1) | 0;
  }

  private lookUp(entry: number, words: Int32Array, at: number): number {
    const slots = this.index.words;
    const mask = this.index.mask;
    const wanted = hash(entry, words, at);
    for (let slot = wanted & mask; slots[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      if (slots[slot * 2] !== wanted) continue;
      const row = ((slots[slot * 2 + 1] as number) - 1) | 0;
      const own = (row * STRIDE + N_ADDRESS) | 0;
      const rows = this.rows;
      if (
        rows[own + 3] === words[at + 3] &&
        rows[own] === words[at] &&
        rows[own + 1] === words[at + 1] &&
        rows[own + 2] === words[at + 2] &&
        this.entryOf(row) === entry
      )
        return row;
    }
    return NONE;
  }

  private stateOf(row: number): number {
    return (this.rows[row * STRIDE + N_STATE] as number) & 0xff;
  }
  private entryOf(row: number): number {
    return ((this.rows[row * STRIDE + N_STATE] as number) >>> ENTRY_SHIFT) & 0xff;
  }

  /** Every session's path is looked up anew: a neighbour, a port or a route is another. */
  movePaths(): void {
    this.header[PATH_EPOCH] = ((this.header[PATH_EPOCH] as number) % PATH_EPOCHS) + 1;
  }
}

function hash(entry: number, words: Int32Array, at: number): number {
  let mixed = Math.imul(entry + 1, 0x9e3779b1);
  for (let k = 0; k < 4; k = (k + 1) | 0) {
    mixed = Math.imul(mixed ^ (words[at + k] as number), 0x85ebca6b);
    mixed ^= mixed >>> 15;
  }
  return mixed;
}
