// The sentences of ARP and neighbour discovery that this unit says: asks, answers, announcements. Who may speak, and when, is
// decided in neighbours.ts; here is only how the frames look.

import type { PacketMemory } from "../hal/contracts.ts";
import { Frames } from "./frames.ts";
import type { Outlet } from "./outlet.ts";
import { isV4Words, OWN_GATEWAY, type Stations } from "./stations.ts";
import {
  ARP_BYTES,
  ARP_HARDWARE,
  ARP_HARDWARE_ETHERNET,
  ARP_OPERATION,
  ARP_PROTOCOL,
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_ADDRESS,
  ARP_SENDER_MAC,
  ARP_SIZES,
  ARP_SIZES_ETHERNET_IPV4,
  ARP_TARGET_ADDRESS,
  ARP_TARGET_MAC,
} from "./wire/arp.ts";
import { checksumOf, pseudoSumIpv6, sumBytes } from "./wire/checksum.ts";
import { TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "./wire/ethernet.ts";
import {
  ICMP_CHECKSUM,
  ND_ADVERTISEMENT,
  ND_BYTES,
  ND_FLAGS,
  ND_OPTIONS,
  ND_OVERRIDE,
  ND_ROUTER,
  ND_SOLICITATION,
  ND_SOLICITED,
  ND_SOURCE_LINK,
  ND_TARGET,
  ND_TARGET_LINK,
  PROTOCOL_ICMPV6,
} from "./wire/icmp.ts";
import { IPV6_BYTES, IPV6_DESTINATION, IPV6_HOP_LIMIT, IPV6_NEXT_HEADER, IPV6_PAYLOAD_BYTES, IPV6_SOURCE } from "./wire/ipv6.ts";
import type { Zones } from "./zones.ts";

const BROADCAST = -1;
const BROADCAST_REST = 0xffff;
/** ff02::1 and 33:33:00:00:00:01, as they lie in a packet. */
const ALL_NODES = Int32Array.of(0x000002ff, 0, 0, 0x01000000);
const ALL_NODES_MAC = 0x00003333;
const ALL_NODES_MAC_REST = 0x0100;

export class Solicitor {
  private readonly view: DataView;
  private readonly frames: Frames;
  private readonly zones: Zones;
  private readonly stations: Stations;
  /** Addresses of the message that is being made. */
  private readonly speaker = new Int32Array(4);
  private readonly listener = new Int32Array(4);

  constructor(memory: PacketMemory, outlet: Outlet, zones: Zones, stations: Stations, counters: Float64Array) {
    this.view = memory.view;
    this.frames = new Frames(memory, outlet, zones, counters);
    this.zones = zones;
    this.stations = stations;
  }

  /**
   * Asks who has `words[at .. at+3]`, from the entry's site address and MAC. `mac`, `rest`: ask this station only (RFC 1122
   * §2.3.2.1 (2), RFC 4861 §7.3.3); both 0 = everybody. Says nothing when the entry has no site address of that version.
   */
  ask(entry: number, words: Int32Array, at: number, mac: number, rest: number): void {
    const number = this.stations.speaker(entry, words, at);
    if (number < 0) return;
    this.loadSpeaker(number);
    const siteMac = this.zones.siteMac[entry] as number;
    const siteMacRest = this.zones.siteMacRest[entry] as number;
    const toAll = mac === 0 && rest === 0;
    if (isV4Words(words, at)) {
      this.arp(
        entry,
        ARP_REQUEST,
        siteMac,
        siteMacRest,
        this.speaker[3] as number,
        toAll ? BROADCAST : mac,
        toAll ? BROADCAST_REST : rest,
        0,
        0,
        words[at + 3] as number,
      );
      return;
    }
    if (toAll) this.loadSolicitedNode(words, at);
    else for (let k = 0; k < 4; k = (k + 1) | 0) this.listener[k] = words[at + k] as number;
    const last = words[at + 3] as number;
    const toMac = toAll ? solicitedMac(last) : mac;
    this.neighbour(entry, ND_SOLICITATION, 0, siteMac, siteMacRest, toMac, toAll ? last >>> 16 : rest, words, at, true);
  }

  /** Asks everybody who has `words[at .. at+3]`, from `mac` and no address: who answers learns nothing. */
  askWithoutAddress(entry: number, words: Int32Array, at: number, mac: number, rest: number): void {
    const last = words[at + 3] as number;
    if (isV4Words(words, at)) {
      this.arp(entry, ARP_REQUEST, mac, rest, 0, BROADCAST, BROADCAST_REST, 0, 0, last);
      return;
    }
    this.speaker.fill(0);
    this.loadSolicitedNode(words, at);
    this.neighbour(entry, ND_SOLICITATION, 0, mac, rest, solicitedMac(last), last >>> 16, words, at, false);
  }

  /** RFC 4291 §2.7.1: ff02::1:ff and the last three bytes. */
  private loadSolicitedNode(words: Int32Array, at: number): void {
    this.listener[0] = 0x000002ff;
    this.listener[1] = 0;
    this.listener[2] = 0x01000000;
    this.listener[3] = ((words[at + 3] as number) & ~0xff) | 0xff;
  }

  /** Answers an ARP request for our address `words[at]` to the asker; from the MAC that belongs to the address (`own`: OWN_*). */
  answerArp(entry: number, own: number, words: Int32Array, at: number, asker: Int32Array, askerAt: number, mac: number, rest: number): void {
    const zones = this.zones;
    const ownMac = (own === OWN_GATEWAY ? zones.gatewayMac[entry] : zones.siteMac[entry]) as number;
    const ownRest = (own === OWN_GATEWAY ? zones.gatewayMacRest[entry] : zones.siteMacRest[entry]) as number;
    this.arp(entry, ARP_REPLY, ownMac, ownRest, words[at + 3] as number, mac, rest, mac, rest, asker[askerAt + 3] as number);
  }

  /** Advertises our address `words[at]` to the asker, or to all nodes when `asker` is undefined (RFC 4861 §7.2.4). */
  advertise(entry: number, own: number, words: Int32Array, at: number, asker: Int32Array | undefined, askerAt: number, mac: number, rest: number): void {
    for (let k = 0; k < 4; k = (k + 1) | 0) {
      this.speaker[k] = words[at + k] as number;
      this.listener[k] = (asker === undefined ? ALL_NODES[k] : asker[askerAt + k]) as number;
    }
    const zones = this.zones;
    const ownMac = (own === OWN_GATEWAY ? zones.gatewayMac[entry] : zones.siteMac[entry]) as number;
    const ownRest = (own === OWN_GATEWAY ? zones.gatewayMacRest[entry] : zones.siteMacRest[entry]) as number;
    const flags = ND_ROUTER | ND_OVERRIDE | (asker === undefined ? 0 : ND_SOLICITED);
    const toMac = asker === undefined ? ALL_NODES_MAC : mac;
    this.neighbour(entry, ND_ADVERTISEMENT, flags, ownMac, ownRest, toMac, asker === undefined ? ALL_NODES_MAC_REST : rest, words, at, true);
  }

  /** Announces own address `number` of the entry, unasked. */
  announce(entry: number, number: number): void {
    this.loadSpeaker(number);
    const own = this.stations.kindOf(number);
    if (this.stations.isIpv6(number)) {
      this.advertise(entry, own, this.speaker, 0, undefined, 0, 0, 0);
      return;
    }
    const zones = this.zones;
    const mac = (own === OWN_GATEWAY ? zones.gatewayMac[entry] : zones.siteMac[entry]) as number;
    const rest = (own === OWN_GATEWAY ? zones.gatewayMacRest[entry] : zones.siteMacRest[entry]) as number;
    const address = this.speaker[3] as number;
    this.arp(entry, ARP_REQUEST, mac, rest, address, BROADCAST, BROADCAST_REST, 0, 0, address);
  }

  private loadSpeaker(number: number): void {
    for (let k = 0; k < 4; k = (k + 1) | 0) this.speaker[k] = this.stations.addressWord(number, k);
  }

  private arp(
    entry: number,
    operation: number,
    mac: number,
    rest: number,
    address: number,
    toMac: number,
    toRest: number,
    targetMac: number,
    targetRest: number,
    target: number,
  ): void {
    const at = this.frames.open(entry, toMac, toRest, mac, rest, TYPE_ARP);
    if (at < 0) return;
    const view = this.view;
    view.setUint16(at + ARP_HARDWARE, ARP_HARDWARE_ETHERNET);
    view.setUint16(at + ARP_PROTOCOL, TYPE_IPV4);
    view.setUint16(at + ARP_SIZES, ARP_SIZES_ETHERNET_IPV4);
    view.setUint16(at + ARP_OPERATION, operation);
    view.setInt32(at + ARP_SENDER_MAC, mac, true);
    view.setUint16(at + ARP_SENDER_MAC + 4, rest, true);
    view.setInt32(at + ARP_SENDER_ADDRESS, address, true);
    view.setInt32(at + ARP_TARGET_MAC, targetMac, true);
    view.setUint16(at + ARP_TARGET_MAC + 4, targetRest, true);
    view.setInt32(at + ARP_TARGET_ADDRESS, target, true);
    this.frames.close(at + ARP_BYTES);
  }

  /** A solicitation or an advertisement of target `words[at]`, from `speaker` to `listener`; `tellsMac`: with our MAC as its one option. */
  private neighbour(
    entry: number,
    type: number,
    flags: number,
    mac: number,
    rest: number,
    toMac: number,
    toRest: number,
    words: Int32Array,
    at: number,
    tellsMac: boolean,
  ): void {
    const bytes = tellsMac ? ND_BYTES : ND_OPTIONS;
    const ip = this.frames.open(entry, toMac, toRest, mac, rest, TYPE_IPV6);
    if (ip < 0) return;
    const view = this.view;
    view.setUint32(ip, 0x60000000);
    view.setUint16(ip + IPV6_PAYLOAD_BYTES, bytes);
    view.setUint8(ip + IPV6_NEXT_HEADER, PROTOCOL_ICMPV6);
    view.setUint8(ip + IPV6_HOP_LIMIT, 255);
    const icmp = (ip + IPV6_BYTES) | 0;
    view.setUint32(icmp, type << 24);
    view.setUint32(icmp + ND_FLAGS, flags << 24);
    for (let k = 0; k < 4; k = (k + 1) | 0) {
      view.setInt32(ip + IPV6_SOURCE + (k << 2), this.speaker[k] as number, true);
      view.setInt32(ip + IPV6_DESTINATION + (k << 2), this.listener[k] as number, true);
      view.setInt32(icmp + ND_TARGET + (k << 2), words[at + k] as number, true);
    }
    if (tellsMac) {
      view.setUint8(icmp + ND_OPTIONS, type === ND_SOLICITATION ? ND_SOURCE_LINK : ND_TARGET_LINK);
      view.setUint8(icmp + ND_OPTIONS + 1, 1);
      view.setInt32(icmp + ND_OPTIONS + 2, mac, true);
      view.setUint16(icmp + ND_OPTIONS + 6, rest, true);
    }
    view.setUint16(icmp + ICMP_CHECKSUM, checksumOf(sumBytes(view, icmp, bytes, pseudoSumIpv6(view, ip, PROTOCOL_ICMPV6, bytes))), true);
    this.frames.close(icmp + bytes);
  }
}

/** 33:33:ff and the last three bytes of the address whose last word this is; its last two bytes are `last >>> 16`. */
function solicitedMac(last: number): number {
  return 0x00ff3333 | ((last << 16) & 0xff000000);
}
