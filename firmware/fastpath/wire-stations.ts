// Transparent mode: which stations are heard on which end of a wire. When another unit takes the wire over, the bridges on either side
// must learn that the stations of the other side are now behind another port: they are told so in each station's name, as a
// virtual machine that moves is announced (RARP request, RFC 903).
//
//   host H ─ bridge ─ port P ══ wire ══ port Q ─ bridge ─ …      heard on P: announced through Q
//
// Only an active unit learns: a standby hears a broadcast twice, as it was sent and as its mate passed it on. It is told what its
// mate has learnt (twin/stations.ts). A station that only ever receives would not be heard again for long, so the table lies in
// shared memory and outlives the dataplane; power that fails takes the links down, and bridges forget what they learnt there.

import { WIRE_STATIONS } from "../limits.ts";
import type { Frames } from "./frames.ts";
import { word } from "./memory/layout.ts";
import { STATION_TABLE } from "./memory/tables.ts";
import type { StationTable } from "./partner.ts";
import {
  ARP_BYTES,
  ARP_HARDWARE,
  ARP_HARDWARE_ETHERNET,
  ARP_OPERATION,
  ARP_PROTOCOL,
  ARP_SENDER_MAC,
  ARP_SIZES,
  ARP_SIZES_ETHERNET_IPV4,
  ARP_TARGET_MAC,
} from "./wire/arp.ts";
import { GROUP_BIT, TYPE_IPV4, TYPE_RARP } from "./wire/ethernet.ts";
import type { Zones } from "./zones.ts";

const RARP_REQUEST = 3;
const BROADCAST = -1;
const BROADCAST_REST = 0xffff;
/** Places that a station can have; beyond, the place of another is taken. */
const WAYS = 4;
const STRIDE = STATION_TABLE.strideWords;
const MAC = word(STATION_TABLE, "mac");
const REST = word(STATION_TABLE, "macRest");
const PLACE = word(STATION_TABLE, "place");
const VLAN_SHIFT = 16;
const ANNOUNCED_PER_TICK = 64;

export class WireStations implements StationTable {
  private readonly words: Int32Array;
  private readonly zones: Zones;
  private readonly frames: Frames;
  private victim = 0;
  private cursor = WIRE_STATIONS;

  /** `words`: the table's; what it holds is kept. */
  constructor(words: Int32Array, zones: Zones, frames: Frames) {
    this.words = words;
    this.zones = zones;
    this.frames = frames;
  }

  /** A frame from this MAC (first four bytes and last two, in packet order) came in by the entry. Cheap when that is known. */
  learn(entry: number, mac: number, rest: number): void {
    if ((mac & GROUP_BIT) !== 0) return;
    let at = this.find(mac, rest);
    if (at < 0) at = this.take(mac, rest);
    this.words[at + PLACE] = (this.zones.zone[entry] as number) | ((this.zones.vlan[entry] as number) << VLAN_SHIFT) | 0;
  }

  /** First word of its row, or -1. */
  private find(mac: number, rest: number): number {
    const words = this.words;
    const first = bucketOf(mac, rest);
    for (let way = 0; way < WAYS; way = (way + 1) | 0) {
      const at = (first + way) * STRIDE;
      if (words[at + PLACE] !== 0 && words[at + MAC] === mac && words[at + REST] === rest) return at;
    }
    return -1;
  }

  private take(mac: number, rest: number): number {
    const words = this.words;
    const first = bucketOf(mac, rest);
    let at = -1;
    for (let way = 0; way < WAYS && at < 0; way = (way + 1) | 0) if (words[(first + way) * STRIDE + PLACE] === 0) at = (first + way) * STRIDE;
    if (at < 0) {
      this.victim = (this.victim + 1) & (WAYS - 1);
      at = (first + this.victim) * STRIDE;
    }
    words[at + PLACE] = 0;
    words[at + MAC] = mac;
    words[at + REST] = rest;
    return at;
  }

  /** The next place from `place` on that holds a station, or -1 up to the table's end. */
  next(place: number): number {
    for (let at = place; at < WIRE_STATIONS; at = (at + 1) | 0) if (this.words[at * STRIDE + PLACE] !== 0) return at;
    return -1;
  }

  macOf(place: number): number {
    return this.words[place * STRIDE + MAC] as number;
  }
  macRestOf(place: number): number {
    return this.words[place * STRIDE + REST] as number;
  }
  zoneOf(place: number): number {
    return (this.words[place * STRIDE + PLACE] as number) & 0xff;
  }
  vlanOf(place: number): number {
    return (this.words[place * STRIDE + PLACE] as number) >>> VLAN_SHIFT;
  }
  /** The zone entry where it is heard, or -1 when the plan has none any more. */
  private entryOf(place: number): number {
    const { zones } = this;
    for (let entry = 0; entry < zones.count; entry++) if (zones.zone[entry] === this.zoneOf(place) && zones.vlan[entry] === this.vlanOf(place)) return entry;
    return -1;
  }

  learnAt(zone: number, vlan: number, mac: number, rest: number, isHint: boolean): void {
    const { zones } = this;
    const isKnown = this.find(mac, rest) >= 0;
    if (isKnown && isHint) return;
    for (let entry = 0; entry < zones.count; entry++) if (zones.zone[entry] === zone && zones.vlan[entry] === vlan) this.learn(entry, mac, rest);
    if (isHint && this.find(mac, rest) >= 0) this.announce(this.find(mac, rest) / STRIDE);
  }

  /** Announces every station through the other end of its wire, some with each `tick`. */
  announceAll(): void {
    this.cursor = 0;
    this.tick();
  }

  tick(): void {
    for (let k = 0; k < ANNOUNCED_PER_TICK && this.cursor < WIRE_STATIONS; k = (k + 1) | 0) {
      const place = this.next(this.cursor);
      this.cursor = place < 0 ? WIRE_STATIONS : (place + 1) | 0;
      if (place >= 0) this.announce(place);
    }
  }

  private announce(place: number): void {
    const entry = this.entryOf(place);
    if (entry < 0) return;
    const port = this.zones.pairedPort[this.zones.port[entry] as number] as number;
    const other = port < 0 ? -1 : this.zones.at(port, this.zones.vlan[entry] as number);
    if (other < 0) return;
    const mac = this.macOf(place);
    const rest = this.macRestOf(place);
    const at = this.frames.open(other, BROADCAST, BROADCAST_REST, mac, rest, TYPE_RARP);
    if (at < 0) return;
    const view = this.frames.view;
    view.setUint16(at + ARP_HARDWARE, ARP_HARDWARE_ETHERNET);
    view.setUint16(at + ARP_PROTOCOL, TYPE_IPV4);
    view.setUint16(at + ARP_SIZES, ARP_SIZES_ETHERNET_IPV4);
    view.setUint16(at + ARP_OPERATION, RARP_REQUEST);
    for (let byte = ARP_SENDER_MAC; byte < ARP_BYTES; byte = (byte + 1) | 0) view.setUint8(at + byte, 0);
    view.setInt32(at + ARP_SENDER_MAC, mac, true);
    view.setUint16(at + ARP_SENDER_MAC + 4, rest, true);
    view.setInt32(at + ARP_TARGET_MAC, mac, true);
    view.setUint16(at + ARP_TARGET_MAC + 4, rest, true);
    this.frames.close(at + ARP_BYTES);
  }
}

function bucketOf(mac: number, rest: number): number {
  return (Math.imul(mac ^ Math.imul(rest, 0x85ebca6b), 0x9e3779b1) >>> 16) & (WIRE_STATIONS - 1) & -WAYS;
}
