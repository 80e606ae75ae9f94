// What the emitter does to a packet, once: next hop, TTL or hop limit, MTU, Ethernet header, VLAN tag, padding, port.
//
// Each direction of a session keeps its path in its row (egress entry, next hop's MAC), valid while the path epoch stands;
// the epoch moves when a route, a neighbour or a port changes. In transparent mode a packet leaves as it came, through
// the other end of the wire.

import { headerWord, type Tables } from "./memory/tables.ts";
import type { NeighbourListener, Neighbours } from "./neighbours.ts";
import type { Outlet } from "./outlet.ts";
import { P_DESTINATION, P_FLAGS, P_FOUND, P_INGRESS, P_IP_BYTES, P_L3, P_LENGTH, P_OFFSET, P_PORT, PACKET_IPV6 } from "./packets.ts";
import type { Replies } from "./replies.ts";
import type { Routes } from "./routes.ts";
import { KEY_STRIDE, ORIGINATOR, ROW_WORDS, S_FLOW, S_HOP_MAC, S_HOP_MAC_REST, S_PATH, type SessionTable } from "./sessions.ts";
import { DROP, drop, FORWARD, HELD } from "./verdicts.ts";
import type { Zones } from "./zones.ts";

/** This unit cannot emit the packet (no route, no neighbour yet, port down, or a wire elsewhere): its ingress unit shall. */
export const CANNOT_EMIT = -1;

const EGRESS_DOWN = DROP | (drop("egress-down") << 8);
const NO_ROUTE = DROP | (drop("no-route") << 8);
const NOT_PERMITTED = DROP | (drop("policy-deny") << 8);
const TTL_EXCEEDED = DROP | (drop("ttl-exceeded") << 8);
const TOO_BIG = DROP | (drop("too-big") << 8);
const NO_NEIGHBOUR = DROP | (drop("no-neighbour") << 8);

const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const FRAME_BYTES_LEAST = 60;
const V4_TTL = 8;
const V4_CHECKSUM = 10;
const V6_HOP_LIMIT = 7;
const PATH_EPOCH = headerWord("pathEpoch");

export class Forwarder implements NeighbourListener {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly sessions: SessionTable;
  private readonly routes: Routes;
  private readonly neighbours: Neighbours;
  private readonly zones: Zones;
  private readonly replies: Replies;
  private readonly outlet: Outlet;
  private readonly header: Int32Array;
  private readonly transparent: boolean;
  /** Where the packet will begin after its Ethernet header is rewritten, and how long it is then. */
  private offset = 0;
  private length = 0;

  constructor(
    transparent: boolean,
    memory: { readonly view: DataView; readonly bytes: Uint8Array },
    tables: Tables,
    sessions: SessionTable,
    routes: Routes,
    neighbours: Neighbours,
    zones: Zones,
    replies: Replies,
    outlet: Outlet,
  ) {
    this.transparent = transparent;
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.header = tables.header.i;
    this.sessions = sessions;
    this.routes = routes;
    this.neighbours = neighbours;
    this.zones = zones;
    this.replies = replies;
    this.outlet = outlet;
    this.header[PATH_EPOCH] = Math.max(this.header[PATH_EPOCH] as number, 1);
  }

  /**
   * Emits a judged packet. FORWARD: sent, HELD: waits for its next hop (both took the frame); CANNOT_EMIT (only for packets of
   * another unit) or DROP | reason << 8: the caller still has it.
   */
  emit(words: Int32Array, at: number): number {
    if (this.transparent) return this.emitThroughWire(words, at);
    const found = words[at + P_FOUND] as number;
    if (found >= 0) {
      const row = (found >>> 1) * ROW_WORDS + (found & 1) * KEY_STRIDE;
      const path = this.sessions.i[row + S_PATH] as number;
      if (path !== 0 && path >>> 8 === ((this.header[PATH_EPOCH] as number) & 0xffffff)) {
        const entry = path & 0xff;
        const verdict = this.prepare(words, at, entry);
        if (verdict !== FORWARD) return verdict;
        return this.send(entry, this.sessions.i[row + S_HOP_MAC] as number, this.sessions.i[row + S_HOP_MAC_REST] as number);
      }
    }
    return this.emitByRoute(words, at, found);
  }

  /** The slow way, once per session and path epoch: route, neighbour, and remember. */
  private emitByRoute(words: Int32Array, at: number, found: number): number {
    const foreign = words[at + P_INGRESS] !== 0;
    const route = this.routes.find(words, at + P_DESTINATION);
    if (route < 0) return foreign ? CANNOT_EMIT : NO_ROUTE;
    const entry = this.routes.entry[route] as number;
    if (found >= 0 && (found & 1) === ORIGINATOR && !this.leadsAsPermitted(found >>> 1, entry)) return NOT_PERMITTED;
    const onLink = this.routes.isOnLink(route);
    const hop = onLink ? words : this.routes.hop;
    const hopAt = onLink ? at + P_DESTINATION : route * 4;
    const neighbour = this.neighbours.find(entry, hop, hopAt);
    if (neighbour < 0 && foreign) {
      // The ingress emits this one; asking now lets this unit emit the next.
      this.neighbours.solicit(entry, hop, hopAt);
      return CANNOT_EMIT;
    }
    if (neighbour < 0 && this.neighbours.hasFailed(entry, hop, hopAt)) {
      // RFC 1812 §5.2.7.1, RFC 4861 §7.2.2
      this.replies.hostUnreachable(words, at);
      return NO_NEIGHBOUR;
    }
    const verdict = this.prepare(words, at, entry);
    if (verdict !== FORWARD) return verdict;
    if (neighbour < 0) return this.neighbours.wait(entry, hop, hopAt, this.offset, this.length, entry) ? HELD : DROP | (this.neighbours.refusal << 8);
    const mac = this.neighbours.macWord(neighbour);
    const rest = this.neighbours.macRest(neighbour);
    if (found >= 0) {
      const row = (found >>> 1) * ROW_WORDS + (found & 1) * KEY_STRIDE;
      this.sessions.i[row + S_HOP_MAC] = mac;
      this.sessions.i[row + S_HOP_MAC_REST] = rest;
      this.sessions.i[row + S_PATH] = entry | ((this.header[PATH_EPOCH] as number) << 8);
    }
    return this.send(entry, mac, rest);
  }

  /** False when a route has changed, and leads the session into another zone than the one that a rule has permitted. Review ends such a session. */
  private leadsAsPermitted(session: number, entry: number): boolean {
    const permitted = ((this.sessions.i[session * ROW_WORDS + S_FLOW + KEY_STRIDE] as number) >>> 8) & 0xff;
    return this.zones.zone[entry] === permitted;
  }

  /** TTL, MTU, and the Ethernet header but for the destination. Sets `offset` and `length`. */
  private prepare(words: Int32Array, at: number, entry: number): number {
    const view = this.view;
    const ip = words[at + P_L3] as number;
    const ipBytes = words[at + P_IP_BYTES] as number;
    const isV6 = ((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0;
    const ttlAt = isV6 ? ip + V6_HOP_LIMIT : ip + V4_TTL;
    const ttl = view.getUint8(ttlAt);
    if (ttl <= 1) {
      // RFC 1812 §5.3.1, RFC 8200 §3
      this.replies.timeExceeded(words, at);
      return TTL_EXCEEDED;
    }
    if (ipBytes > (this.zones.mtuBytes[entry] as number)) {
      // RFC 1191 §4, RFC 8201 §4
      this.replies.tooBig(words, at, this.zones.mtuBytes[entry] as number);
      return TOO_BIG;
    }
    view.setUint8(ttlAt, ttl - 1);
    if (!isV6) {
      // RFC 1624: the TTL is the high byte of its word.
      const sum = view.getUint16(ip + V4_CHECKSUM) + 0x100;
      view.setUint16(ip + V4_CHECKSUM, (sum & 0xffff) + (sum >>> 16));
    }
    const vlan = this.zones.vlan[entry] as number;
    const offset = ip - ETHERNET_BYTES - (vlan === 0 ? 0 : TAG_BYTES);
    view.setInt32(offset + 6, this.zones.siteMac[entry] as number, true);
    view.setUint16(offset + 10, this.zones.siteMacRest[entry] as number, true);
    if (vlan !== 0) {
      view.setUint16(offset + 12, 0x8100);
      view.setUint16(offset + 14, vlan);
    }
    view.setUint16(ip - 2, isV6 ? 0x86dd : 0x0800);
    this.offset = offset;
    this.length = this.pad(offset, ip + ipBytes - offset);
    return FORWARD;
  }

  private send(entry: number, mac: number, rest: number): number {
    this.view.setInt32(this.offset, mac, true);
    this.view.setUint16(this.offset + 4, rest, true);
    this.outlet.send(this.zones.port[entry] as number, this.offset, this.length);
    return FORWARD;
  }

  /** Fills a short frame with zeroes: no byte of an earlier packet shows (F10). Returns the frame's length. */
  private pad(offset: number, length: number): number {
    if (length >= FRAME_BYTES_LEAST) return length;
    for (let byte = offset + length; byte < offset + FRAME_BYTES_LEAST; byte++) this.bytes[byte] = 0;
    return FRAME_BYTES_LEAST;
  }

  private emitThroughWire(words: Int32Array, at: number): number {
    if (words[at + P_INGRESS] !== 0) return CANNOT_EMIT;
    const port = this.zones.pairedPort[words[at + P_PORT] as number] as number;
    if (port < 0) return EGRESS_DOWN;
    const offset = words[at + P_OFFSET] as number;
    // What the frame carries behind the datagram is somebody's padding: it leaves as zeroes.
    const length = (words[at + P_L3] as number) + (words[at + P_IP_BYTES] as number) - offset;
    this.outlet.send(port, offset, this.pad(offset, length));
    return FORWARD;
  }

  /** Transparent mode: a frame that is no routed packet (ARP, ND, BPDU) crosses the wire as it is. Takes the frame. */
  passThroughWire(words: Int32Array, at: number): number {
    const port = this.zones.pairedPort[words[at + P_PORT] as number] as number;
    if (port < 0) return EGRESS_DOWN;
    this.outlet.send(port, words[at + P_OFFSET] as number, words[at + P_LENGTH] as number);
    return FORWARD;
  }

  /** NeighbourListener: the next hop answered; `cookie` is the egress entry. */
  resolved(offset: number, lengthBytes: number, cookie: number, neighbour: number): void {
    this.view.setInt32(offset, this.neighbours.macWord(neighbour), true);
    this.view.setUint16(offset + 4, this.neighbours.macRest(neighbour), true);
    this.outlet.send(this.zones.port[cookie] as number, offset, lengthBytes);
  }

  /** NeighbourListener: the next hop does not answer. */
  failed(offset: number, lengthBytes: number, cookie: number): void {
    this.outlet.discard(offset, drop("no-neighbour"));
    void lengthBytes;
    void cookie;
  }
}
