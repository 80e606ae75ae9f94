// Packets of our own that answer somebody's packet: ICMP errors, resets, echo replies.
//
//   packet ─► may it be answered at all? ─► a token? ─► ICMP error │ reset: back the way it came, from the site's MAC
//
// Sources are site addresses (PROTOCOL.md "Gateways at two sites"), but for what must come from the address that was spoken to: an
// echo reply, and a reset (which stands for the destination). Nothing is ever said about an ICMP error, a multicast, a
// broadcast or a later fragment (RFC 1122 §3.2.2, RFC 4443 §2.4 e), and what strangers can cause is limited (RFC 4443 §2.4 f).

import type { PacketMemory } from "../hal/contracts.ts";
import { ECHO_BURST, ECHOES_PER_SECOND, ICMP_ERROR_BURST, ICMP_ERRORS_PER_SECOND, RESET_BURST, RESETS_PER_SECOND } from "../limits.ts";
import type { Plan } from "../plan.ts";
import { Bucket } from "./bucket.ts";
import { Frames, padFrame } from "./frames.ts";
import { counterRow, type Tables } from "./memory/tables.ts";
import type { Outlet } from "./outlet.ts";
import {
  P_ENTRY,
  P_FLAGS,
  P_FRAGMENT,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_L4_BYTES,
  P_OFFSET,
  P_PROTOCOL,
  P_SOURCE,
  P_ZONE,
  PACKET_ICMP_ERROR,
  PACKET_ICMP_SHIFT,
  PACKET_IPV6,
  PACKET_LOCAL,
  PACKET_MULTICAST,
} from "./packets.ts";
import { Stations } from "./stations.ts";
import { checksumOf, pseudoSumIpv4, pseudoSumIpv6, sumBytes, updateChecksum } from "./wire/checksum.ts";
import { ETHERNET_SOURCE, TYPE_IPV4, TYPE_IPV6 } from "./wire/ethernet.ts";
import {
  ICMP_BYTES,
  ICMP_CHECKSUM,
  ICMP_CODE,
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_MTU,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
  ICMP_TYPE,
  ICMP_UNREACHABLE,
  ICMPV6_ECHO,
  ICMPV6_ECHO_REPLY,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_TOO_BIG,
  ICMPV6_UNREACHABLE,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  UNREACHABLE_FRAGMENTATION,
  UNREACHABLE_HOST,
  UNREACHABLE_NET,
  UNREACHABLE_PROHIBITED,
  UNREACHABLE6_ADDRESS,
  UNREACHABLE6_PROHIBITED,
  UNREACHABLE6_ROUTE,
} from "./wire/icmp.ts";
import {
  IPV4_BYTES,
  IPV4_CHECKSUM,
  IPV4_DESTINATION,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_IDENTIFICATION,
  IPV4_PROTOCOL,
  IPV4_SERVICE,
  IPV4_SOURCE,
  IPV4_TOTAL_BYTES,
  IPV4_TTL,
  ipv4HeaderBytes,
} from "./wire/ipv4.ts";
import { IPV6_BYTES, IPV6_DESTINATION, IPV6_HOP_LIMIT, IPV6_NEXT_HEADER, IPV6_PAYLOAD_BYTES, IPV6_SOURCE } from "./wire/ipv6.ts";
import {
  PROTOCOL_TCP,
  TCP_ACK,
  TCP_ACKNOWLEDGEMENT,
  TCP_BYTES,
  TCP_CHECKSUM,
  TCP_DESTINATION,
  TCP_FIN,
  TCP_FLAGS,
  TCP_OFFSET,
  TCP_RST,
  TCP_SEQUENCE,
  TCP_SOURCE,
  TCP_SYN,
  TCP_WINDOW,
  tcpHeaderBytes,
} from "./wire/tcp.ts";
import { Zones } from "./zones.ts";

const TTL = 64;
/** Fragment reassembly time exceeded: RFC 792, RFC 4443 §3.3. */
const TIME_EXCEEDED_REASSEMBLY = 1;
/** Precedence of errors: internetwork control (RFC 1812 §4.3.2.5). */
const ERROR_SERVICE = 0xc0;
/** Longest error: RFC 1812 §4.3.2.3, RFC 4443 §2.4 c. */
const ERROR_BYTES_V4 = 576;
const ERROR_BYTES_V6 = 1_280;

const C_ERRORS = counterRow("icmp-errors-sent");
const C_RESETS = counterRow("resets-sent");

export class Replies {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly frames: Frames;
  private readonly outlet: Outlet;
  private readonly zones: Zones;
  private readonly stations: Stations;
  private readonly counters: Float64Array;
  private readonly transparent: boolean;
  private readonly errors = new Bucket(ICMP_ERROR_BURST, ICMP_ERRORS_PER_SECOND);
  private readonly resets = new Bucket(RESET_BURST, RESETS_PER_SECOND);
  private readonly echoes = new Bucket(ECHO_BURST, ECHOES_PER_SECOND);

  constructor(plan: Plan, tables: Pick<Tables, "counters">, memory: PacketMemory, outlet: Outlet) {
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.outlet = outlet;
    this.zones = new Zones(plan);
    this.stations = new Stations(plan);
    this.counters = tables.counters.f;
    this.frames = new Frames(memory, outlet, this.zones, tables.counters.f);
    this.transparent = plan.mode === "transparent";
  }

  /** Refills what may be said; each tick. */
  tick(nowMillis: number): void {
    this.errors.tick(nowMillis);
    this.resets.tick(nowMillis);
    this.echoes.tick(nowMillis);
  }

  /** The packet's TTL or hop limit ran out here. It must still be as it was received; its frame stays the caller's (all but `echo`). */
  timeExceeded(words: Int32Array, at: number): void {
    this.error(words, at, ICMP_TIME_EXCEEDED, 0, ICMPV6_TIME_EXCEEDED, 0, 0);
  }

  /** The rest of this first fragment's datagram did not come in time. */
  reassemblyExpired(words: Int32Array, at: number): void {
    this.error(words, at, ICMP_TIME_EXCEEDED, TIME_EXCEEDED_REASSEMBLY, ICMPV6_TIME_EXCEEDED, TIME_EXCEEDED_REASSEMBLY, 0);
  }

  /** The packet is longer than the next link's MTU. IPv4 without DF too: this router does not fragment. */
  tooBig(words: Int32Array, at: number, mtuBytes: number): void {
    this.error(words, at, ICMP_UNREACHABLE, UNREACHABLE_FRAGMENTATION, ICMPV6_TOO_BIG, 0, mtuBytes);
  }

  /** No route to the destination. */
  unreachable(words: Int32Array, at: number): void {
    this.error(words, at, ICMP_UNREACHABLE, UNREACHABLE_NET, ICMPV6_UNREACHABLE, UNREACHABLE6_ROUTE, 0);
  }

  /** The next hop does not answer. */
  hostUnreachable(words: Int32Array, at: number): void {
    this.error(words, at, ICMP_UNREACHABLE, UNREACHABLE_HOST, ICMPV6_UNREACHABLE, UNREACHABLE6_ADDRESS, 0);
  }

  /** A rule rejects the packet: TCP gets a reset, everything else "administratively prohibited". */
  reject(words: Int32Array, at: number): void {
    if (words[at + P_PROTOCOL] === PROTOCOL_TCP) this.reset(words, at);
    else this.error(words, at, ICMP_UNREACHABLE, UNREACHABLE_PROHIBITED, ICMPV6_UNREACHABLE, UNREACHABLE6_PROHIBITED, 0);
  }

  /** Answers a ping to one of our own addresses in its own frame. True: sent, the frame is taken; false: it was none, or no token. */
  echo(words: Int32Array, at: number): boolean {
    const flags = words[at + P_FLAGS] as number;
    const v6 = (flags & PACKET_IPV6) !== 0;
    const type = (flags >>> PACKET_ICMP_SHIFT) & 0xff;
    if (words[at + P_PROTOCOL] !== (v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP) || type !== (v6 ? ICMPV6_ECHO : ICMP_ECHO)) return false;
    if (!this.mayAnswer(words, at) || (words[at + P_FRAGMENT] as number) !== 0 || !this.echoes.spend()) return false;
    const view = this.view;
    const ip = words[at + P_L3] as number;
    const icmp = words[at + P_L4] as number;
    this.turnAddresses(ip, v6);
    const before = view.getUint16(icmp, true);
    view.setUint8(icmp + ICMP_TYPE, v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY);
    view.setUint16(icmp + ICMP_CHECKSUM, updateChecksum(view.getUint16(icmp + ICMP_CHECKSUM, true), before, view.getUint16(icmp, true)), true);
    const offset = words[at + P_OFFSET] as number;
    const entry = this.entryOf(words, at);
    view.setInt32(offset, view.getInt32(offset + ETHERNET_SOURCE, true), true);
    view.setUint16(offset + 4, view.getUint16(offset + ETHERNET_SOURCE + 4, true), true);
    view.setInt32(offset + ETHERNET_SOURCE, this.zones.siteMac[entry] as number, true);
    view.setUint16(offset + ETHERNET_SOURCE + 4, this.zones.siteMacRest[entry] as number, true);
    const length = padFrame(this.bytes, offset, (ip + (words[at + P_IP_BYTES] as number)) | 0);
    this.outlet.send(this.zones.port[entry] as number, offset, length);
    return true;
  }

  /** Source and destination change places (no sum changes), and the packet gets a fresh TTL. */
  private turnAddresses(ip: number, v6: boolean): void {
    const view = this.view;
    const bytes = v6 ? 16 : 4;
    const source = (ip + (v6 ? IPV6_SOURCE : IPV4_SOURCE)) | 0;
    for (let k = source; k < source + bytes; k = (k + 4) | 0) {
      const address = view.getInt32(k, true);
      view.setInt32(k, view.getInt32(k + bytes, true), true);
      view.setInt32(k + bytes, address, true);
    }
    if (v6) view.setUint8(ip + IPV6_HOP_LIMIT, TTL);
    else {
      view.setUint8(ip + IPV4_TTL, TTL);
      view.setUint16(ip + IPV4_CHECKSUM, 0);
      view.setUint16(ip + IPV4_CHECKSUM, checksumOf(sumBytes(view, ip, ipv4HeaderBytes(view, ip), 0)), true);
    }
  }

  /** The entry it came in by; of a packet that was handed here, this unit's entry of the same (stretched) network. -1: none. */
  private entryOf(words: Int32Array, at: number): number {
    const entry = words[at + P_ENTRY] as number;
    return entry >= 0 ? entry : this.zones.ofZone(words[at + P_ZONE] as number);
  }

  /** RFC 1122 §3.2.2, RFC 4443 §2.4 e; and the packet's sender must be where we can speak to it. */
  private mayAnswer(words: Int32Array, at: number): boolean {
    const flags = words[at + P_FLAGS] as number;
    if (this.transparent || this.entryOf(words, at) < 0) return false;
    if ((flags & (PACKET_ICMP_ERROR | PACKET_MULTICAST | PACKET_LOCAL)) !== 0) return false;
    return ((words[at + P_FRAGMENT] as number) & ~1) === 0;
  }

  private error(words: Int32Array, at: number, typeV4: number, codeV4: number, typeV6: number, codeV6: number, mtuBytes: number): void {
    if (!this.mayAnswer(words, at)) return;
    const v6 = ((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0;
    // A redirect is an error message too, though its quoted packet is not looked at.
    const isRedirect = !v6 && words[at + P_PROTOCOL] === PROTOCOL_ICMP && (((words[at + P_FLAGS] as number) >>> PACKET_ICMP_SHIFT) & 0xff) === ICMP_REDIRECT;
    const speaker = this.stations.speaker(this.entryOf(words, at), words, at + P_SOURCE);
    if (isRedirect || speaker < 0 || !this.errors.spend()) return;
    const ip = this.open(words, at, v6);
    if (ip < 0) return;
    const view = this.view;
    const from = words[at + P_L3] as number;
    const headBytes = v6 ? IPV6_BYTES : IPV4_BYTES;
    const room = ((v6 ? ERROR_BYTES_V6 : ERROR_BYTES_V4) - headBytes - ICMP_BYTES) | 0;
    const packetBytes = words[at + P_IP_BYTES] as number;
    const quotedBytes = packetBytes < room ? packetBytes : room;
    const icmp = (ip + headBytes) | 0;
    const icmpBytes = (ICMP_BYTES + quotedBytes) | 0;
    view.setUint8(icmp + ICMP_TYPE, v6 ? typeV6 : typeV4);
    view.setUint8(icmp + ICMP_CODE, v6 ? codeV6 : codeV4);
    view.setUint16(icmp + ICMP_CHECKSUM, 0);
    view.setUint32(icmp + ICMP_MTU, mtuBytes);
    this.bytes.copyWithin(icmp + ICMP_BYTES, from, from + quotedBytes);
    for (let k = 0; k < (v6 ? 4 : 1); k = (k + 1) | 0) {
      view.setInt32(ip + (v6 ? IPV6_SOURCE : IPV4_SOURCE) + (k << 2), this.stations.addressWord(speaker, v6 ? k : 3), true);
      view.setInt32(ip + (v6 ? IPV6_DESTINATION : IPV4_DESTINATION) + (k << 2), words[at + P_SOURCE + (v6 ? k : 3)] as number, true);
    }
    this.head(ip, v6, v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, icmpBytes, ERROR_SERVICE);
    view.setUint16(icmp + ICMP_CHECKSUM, checksumOf(sumBytes(view, icmp, icmpBytes, v6 ? pseudoSumIpv6(view, ip, PROTOCOL_ICMPV6, icmpBytes) : 0)), true);
    this.frames.close(icmp + icmpBytes);
    this.counters[C_ERRORS] = (this.counters[C_ERRORS] as number) + 1;
  }

  /** RFC 9293 §3.10.7.1: as the destination itself would answer if nobody listened there. */
  private reset(words: Int32Array, at: number): void {
    const view = this.view;
    const segment = words[at + P_L4] as number;
    if (!this.mayAnswer(words, at) || words[at + P_FRAGMENT] !== 0) return;
    const flags = view.getUint8(segment + TCP_FLAGS);
    if ((flags & TCP_RST) !== 0 || !this.resets.spend()) return;
    const v6 = ((words[at + P_FLAGS] as number) & PACKET_IPV6) !== 0;
    const ip = this.open(words, at, v6);
    if (ip < 0) return;
    const from = words[at + P_L3] as number;
    const tcp = (ip + (v6 ? IPV6_BYTES : IPV4_BYTES)) | 0;
    for (let k = 0; k < (v6 ? 4 : 1); k = (k + 1) | 0) {
      view.setInt32(ip + (v6 ? IPV6_SOURCE : IPV4_SOURCE) + (k << 2), view.getInt32(from + (v6 ? IPV6_DESTINATION : IPV4_DESTINATION) + (k << 2), true), true);
      view.setInt32(ip + (v6 ? IPV6_DESTINATION : IPV4_DESTINATION) + (k << 2), words[at + P_SOURCE + (v6 ? k : 3)] as number, true);
    }
    this.head(ip, v6, PROTOCOL_TCP, TCP_BYTES, 0);
    view.setUint16(tcp + TCP_SOURCE, view.getUint16(segment + TCP_DESTINATION));
    view.setUint16(tcp + TCP_DESTINATION, view.getUint16(segment + TCP_SOURCE));
    const acknowledges = (flags & TCP_ACK) !== 0;
    const payloadBytes = ((words[at + P_L4_BYTES] as number) - tcpHeaderBytes(view, segment)) | 0;
    const lengthBytes = (payloadBytes + ((flags & TCP_SYN) !== 0 ? 1 : 0) + ((flags & TCP_FIN) !== 0 ? 1 : 0)) | 0;
    view.setInt32(tcp + TCP_SEQUENCE, acknowledges ? view.getInt32(segment + TCP_ACKNOWLEDGEMENT) : 0);
    view.setInt32(tcp + TCP_ACKNOWLEDGEMENT, acknowledges ? 0 : (view.getInt32(segment + TCP_SEQUENCE) + lengthBytes) | 0);
    view.setUint8(tcp + TCP_OFFSET, (TCP_BYTES >> 2) << 4);
    view.setUint8(tcp + TCP_FLAGS, acknowledges ? TCP_RST : TCP_RST | TCP_ACK);
    view.setUint16(tcp + TCP_WINDOW, 0);
    view.setUint32(tcp + TCP_CHECKSUM, 0); // and the urgent pointer
    const pseudo = v6 ? pseudoSumIpv6(view, ip, PROTOCOL_TCP, TCP_BYTES) : pseudoSumIpv4(view, ip, PROTOCOL_TCP, TCP_BYTES);
    view.setUint16(tcp + TCP_CHECKSUM, checksumOf(sumBytes(view, tcp, TCP_BYTES, pseudo)), true);
    this.frames.close(tcp + TCP_BYTES);
    this.counters[C_RESETS] = (this.counters[C_RESETS] as number) + 1;
  }

  /** A frame to the packet's sender, from the site's MAC. Returns where its IP header goes, or -1. */
  private open(words: Int32Array, at: number, v6: boolean): number {
    const entry = this.entryOf(words, at);
    const sender = ((words[at + P_OFFSET] as number) + ETHERNET_SOURCE) | 0;
    return this.frames.open(
      entry,
      this.view.getInt32(sender, true),
      this.view.getUint16(sender + 4, true),
      this.zones.siteMac[entry] as number,
      this.zones.siteMacRest[entry] as number,
      v6 ? TYPE_IPV6 : TYPE_IPV4,
    );
  }

  /** The IP header, but for the addresses, which must be there already. */
  private head(ip: number, v6: boolean, protocol: number, payloadBytes: number, service: number): void {
    const view = this.view;
    if (v6) {
      view.setUint32(ip, 0x60000000 | (service << 20));
      view.setUint16(ip + IPV6_PAYLOAD_BYTES, payloadBytes);
      view.setUint8(ip + IPV6_NEXT_HEADER, protocol);
      view.setUint8(ip + IPV6_HOP_LIMIT, TTL);
      return;
    }
    view.setUint8(ip, 0x45);
    view.setUint8(ip + IPV4_SERVICE, service);
    view.setUint16(ip + IPV4_TOTAL_BYTES, IPV4_BYTES + payloadBytes);
    view.setUint16(ip + IPV4_IDENTIFICATION, 0); // RFC 6864 §4.1: with DF it means nothing
    view.setUint16(ip + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT);
    view.setUint8(ip + IPV4_TTL, TTL);
    view.setUint8(ip + IPV4_PROTOCOL, protocol);
    view.setUint16(ip + IPV4_CHECKSUM, 0);
    view.setUint16(ip + IPV4_CHECKSUM, checksumOf(sumBytes(view, ip, IPV4_BYTES, 0)), true);
  }
}
