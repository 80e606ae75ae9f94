// An end host or a router: interfaces with ARP and neighbour discovery, a few routes, TCP, UDP and ping. A router passes
// packets on without a TTL step, so that the steps which arrive are the firewall's alone.

import { Nic } from "../../firmware/hal/sim/port.ts";
import {
  type Address,
  address,
  addressAt,
  buildFrame,
  ETHERNET_BYTES,
  ETHERTYPE_ARP,
  ICMP,
  ICMPV6,
  IPV4_BYTES,
  IPV6_BYTES,
  macNumber,
  type Packet,
  parsePacket,
  put16,
  TCP,
  UDP,
  u16,
  u32,
} from "./packets.ts";
import type { Segment } from "./segment.ts";
import { ACK, RST, SYN, TcpConnection, type TcpUser } from "./tcp.ts";
import type { World } from "./world.ts";

const ND_TTL = 255;
const RESOLVE_MICROS = 100_000;
const RESOLVE_TRIES = 5;
/** Linux' reachable, delay and probe times together, and its retransmit time. */
const CONFIRMED_MICROS = 20_000_000;
const CONFIRM_AGAIN_MICROS = 1_000_000;
const WAITING_MOST = 64;
const MTU_BYTES = 1_500;

interface Interface {
  readonly nic: Nic;
  readonly addresses: readonly { readonly address: Address; readonly bits: number }[];
  readonly neighbours: Map<Address, Neighbour>;
}

interface Neighbour {
  mac: Uint8Array | null;
  tries: number;
  waiting: Uint8Array[];
  /** When it was last heard, or asked for. */
  confirmedMicros: number;
}

interface Route {
  readonly network: Address;
  readonly bits: number;
  via: Address | null;
}

/** Opens a service: what a host calls for each new connection or datagram. */
export type TcpService = (connection: TcpConnection, remote: Address) => TcpUser;
export type UdpService = (payload: Uint8Array, from: Address, fromPort: number, to: Address, toPort: number) => void;

export interface ConnectOptions {
  readonly user: TcpUser;
  readonly windowBytes?: number;
  readonly fill: (connection: TcpConnection, position: number, target: Uint8Array, at: number, length: number) => void;
  readonly localPort?: number;
}

export class Host {
  readonly name: string;
  readonly world: World;
  readonly interfaces: Interface[] = [];
  /** True: a router. */
  forwards = false;
  /** What its packets start with. */
  ttl = 64;
  /** Called for ICMP messages that are no neighbour discovery. */
  onIcmp: ((packet: Packet, frame: Uint8Array) => void) | null = null;
  /** Segments that belonged to no connection, and were answered by RST. */
  strays = 0;
  /** Packets that arrived damaged. */
  damaged = 0;
  readonly udp = new Map<number, UdpService>();
  private readonly routes: Route[] = [];
  private readonly listeners = new Map<number, { service: TcpService; fill: ConnectOptions["fill"] }>();
  private readonly connections = new Map<string, TcpConnection>();
  private readonly random;
  private nextTag: number;
  private nextPort: number;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random.fork(`host ${name}`);
    this.nextTag = this.random.below(65_536);
    this.nextPort = 32_768 + this.random.below(16_384);
  }

  /** Plugs the host in. `addresses`: "10.1.0.11/24". */
  addInterface(segment: Segment, mac: Uint8Array, addresses: readonly string[]): Nic {
    const nic = new Nic(this.interfaces.length === 0 ? this.name : `${this.name}.${this.interfaces.length}`, mac, MTU_BYTES);
    const own = addresses.map((text) => {
      const [left, bits] = text.split("/") as [string, string];
      return { address: address(left), bits: Number(bits) };
    });
    const created: Interface = { nic, addresses: own, neighbours: new Map() };
    for (const { address, bits } of own) this.routes.push({ network: address, bits, via: null });
    nic.receiver = (frame) => this.receive(created, frame);
    segment.attach(nic);
    this.interfaces.push(created);
    return nic;
  }

  /** Adds or replaces a route. */
  route(prefix: string, via: string): void {
    const [left, bits] = prefix.split("/") as [string, string];
    const network = address(left);
    const same = this.routes.find((route) => route.network === network && route.bits === Number(bits) && route.via !== null);
    if (same !== undefined) same.via = address(via);
    else this.routes.push({ network, bits: Number(bits), via: address(via) });
    this.routes.sort((one, other) => other.bits - one.bits);
  }

  /** The host's address of this family. */
  addressOf(v4: boolean): Address {
    for (const { addresses } of this.interfaces) for (const { address } of addresses) if (address.v4 === v4) return address;
    throw new Error(`${this.name} has no ${v4 ? "IPv4" : "IPv6"} address`);
  }

  /** Tells the switches and neighbours where this host is now (gratuitous ARP, unsolicited advertisement). */
  announce(): void {
    for (const place of this.interfaces) {
      for (const { address } of place.addresses) this.sendResolution(place, address, address, null);
    }
  }

  listen(port: number, service: TcpService, fill: ConnectOptions["fill"]): void {
    this.listeners.set(port, { service, fill });
  }

  connect(remote: Address, remotePort: number, options: ConnectOptions): TcpConnection {
    const localPort = options.localPort ?? this.ephemeralPort();
    const connection = this.makeConnection(remote, remotePort, localPort, options.user, options.fill, options.windowBytes);
    connection.open();
    return connection;
  }

  ephemeralPort(): number {
    this.nextPort = this.nextPort >= 60_999 ? 32_768 : this.nextPort + 1;
    return this.nextPort;
  }

  sendUdp(to: Address, toPort: number, fromPort: number, payload: Uint8Array): void {
    const segment = new Uint8Array(8 + payload.length);
    put16(segment, 0, fromPort);
    put16(segment, 2, toPort);
    put16(segment, 4, segment.length);
    segment.set(payload, 8);
    this.send(this.addressOf(to.v4), to, UDP, segment);
  }

  sendEcho(to: Address, identifier: number, sequence: number, payload: Uint8Array): void {
    const segment = new Uint8Array(8 + payload.length);
    segment[0] = to.v4 ? 8 : 128;
    put16(segment, 4, identifier);
    put16(segment, 6, sequence);
    segment.set(payload, 8);
    this.send(this.addressOf(to.v4), to, to.v4 ? ICMP : ICMPV6, segment);
  }

  /** Sends an IP packet; `segment`'s checksum is filled in. Returns the frame. */
  send(from: Address, to: Address, protocol: number, segment: Uint8Array): Uint8Array {
    this.nextTag = (this.nextTag + 1) & 0xffff;
    const frame = buildFrame(from, to, protocol, this.ttl, this.nextTag, segment);
    this.world.sent(this, frame);
    this.emit(to, frame);
    return frame;
  }

  // ── link ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private receive(place: Interface, frame: Uint8Array): void {
    if (((frame[0] as number) & 1) === 0 && macNumber(frame, 0) !== macNumber(place.nic.mac, 0)) return;
    if (u16(frame, 12) === ETHERTYPE_ARP) {
      this.receiveArp(place, frame);
      return;
    }
    const packet = parsePacket(frame);
    if (packet === null) return;
    if (packet.fault !== "") {
      this.damaged++;
      return;
    }
    if (packet.protocol === ICMPV6 && this.receiveDiscovery(place, packet, frame)) return;
    if (this.owns(packet.destination)) this.deliver(packet, frame);
    else if (this.forwards && ((frame[0] as number) & 1) === 0) this.emit(packet.destination, frame.slice());
  }

  private owns(candidate: Address): boolean {
    return this.interfaces.some(({ addresses }) => addresses.some(({ address }) => address === candidate));
  }

  private emit(to: Address, frame: Uint8Array): void {
    let hop = to;
    for (const route of this.routes) {
      if (route.via === null || !covers(route.network, route.bits, to)) continue;
      if (this.interfaces.some(({ addresses }) => addresses.some((own) => own.bits > route.bits && covers(own.address, own.bits, to)))) break;
      hop = route.via;
      break;
    }
    const place = this.interfaces.find(({ addresses }) => addresses.some((own) => covers(own.address, own.bits, hop)));
    if (place === undefined) return;
    const neighbour = place.neighbours.get(hop) ?? { mac: null, tries: 0, waiting: [], confirmedMicros: 0 };
    place.neighbours.set(hop, neighbour);
    if (neighbour.mac !== null) {
      this.transmit(place, neighbour.mac, frame);
      if (this.world.schedule.nowMicros - neighbour.confirmedMicros > CONFIRMED_MICROS) this.confirm(place, hop, neighbour);
      return;
    }
    if (neighbour.waiting.length < WAITING_MOST) neighbour.waiting.push(frame);
    if (neighbour.tries === 0) this.resolve(place, hop, neighbour);
  }

  private transmit(place: Interface, mac: Uint8Array, frame: Uint8Array): void {
    frame.set(mac, 0);
    frame.set(place.nic.mac, 6);
    place.nic.send(frame, this.world.schedule.nowMicros);
  }

  /** A neighbour that has not been heard for long is asked for again, by everybody: a switch may send to where it was. */
  private confirm(place: Interface, hop: Address, neighbour: Neighbour): void {
    neighbour.confirmedMicros = this.world.schedule.nowMicros - CONFIRMED_MICROS + CONFIRM_AGAIN_MICROS;
    const own = place.addresses.find(({ address, bits }) => address.v4 === hop.v4 && covers(address, bits, hop));
    if (own !== undefined) this.sendResolution(place, own.address, hop, null);
  }

  private resolve(place: Interface, hop: Address, neighbour: Neighbour): void {
    if (neighbour.mac !== null) return;
    if (neighbour.tries >= RESOLVE_TRIES) {
      place.neighbours.delete(hop);
      return;
    }
    neighbour.tries++;
    const own = place.addresses.find(({ address, bits }) => address.v4 === hop.v4 && covers(address, bits, hop));
    if (own === undefined) return;
    this.sendResolution(place, own.address, hop, null);
    this.world.schedule.after(RESOLVE_MICROS, () => this.resolve(place, hop, neighbour));
  }

  /** ARP or ND: asks for `target`, or answers `to` (its MAC) that `own` is here. */
  private sendResolution(place: Interface, own: Address, target: Address, to: Uint8Array | null): void {
    const frame = own.v4 ? this.arp(place, own, target, to) : this.discovery(place, own, target, to);
    place.nic.send(frame, this.world.schedule.nowMicros);
  }

  private arp(place: Interface, own: Address, target: Address, to: Uint8Array | null): Uint8Array {
    const frame = new Uint8Array(60);
    frame.set(to ?? new Uint8Array(6).fill(255), 0);
    frame.set(place.nic.mac, 6);
    put16(frame, 12, ETHERTYPE_ARP);
    frame.set([0, 1, 8, 0, 6, 4, 0, to === null ? 1 : 2], ETHERNET_BYTES);
    frame.set(place.nic.mac, 22);
    frame.set(own.bytes, 28);
    if (to !== null) frame.set(to, 32);
    frame.set(target.bytes, 38);
    return frame;
  }

  /** RFC 4861 §4.3, §4.4. */
  private discovery(place: Interface, own: Address, target: Address, to: Uint8Array | null): Uint8Array {
    const announces = to === null && own === target;
    const solicits = to === null && !announces;
    const segment = new Uint8Array(32);
    segment[0] = solicits ? 135 : 136;
    if (!solicits) segment[4] = announces ? 0x20 : 0x60;
    segment.set(solicits ? target.bytes : own.bytes, 8);
    segment.set([solicits ? 1 : 2, 1, ...place.nic.mac], 24);
    const multicast = announces ? address("ff02::1") : solicitedNode(target);
    const destination = to === null ? multicast : target;
    const frame = buildFrame(own, destination, ICMPV6, ND_TTL, 0, segment);
    frame.set(to ?? [0x33, 0x33, ...destination.bytes.subarray(12)], 0);
    frame.set(place.nic.mac, 6);
    return frame;
  }

  private receiveArp(place: Interface, frame: Uint8Array): void {
    const sender = addressAt(frame, 28, true);
    const target = addressAt(frame, 38, true);
    const mac = frame.slice(22, 28);
    const mine = place.addresses.some(({ address }) => address === target);
    this.learn(place, sender, mac, mine);
    if (mine && u16(frame, 20) === 1 && sender !== target) this.sendResolution(place, target, sender, mac);
  }

  /** True when it was neighbour discovery. */
  private receiveDiscovery(place: Interface, packet: Packet, frame: Uint8Array): boolean {
    const kind = frame[packet.at] as number;
    if (kind !== 135 && kind !== 136) return kind >= 133 && kind <= 137;
    if (packet.ttl !== ND_TTL || packet.end - packet.at < 24) return true;
    const target = addressAt(frame, packet.at + 8, false);
    const option = packet.end - packet.at >= 32 && frame[packet.at + 25] === 1 ? frame.slice(packet.at + 26, packet.at + 32) : null;
    if (kind === 136) {
      this.learn(place, target, option ?? frame.slice(6, 12), false);
      return true;
    }
    if (!place.addresses.some(({ address }) => address === target)) return true;
    this.learn(place, packet.source, option ?? frame.slice(6, 12), true);
    this.sendResolution(place, target, packet.source, option ?? frame.slice(6, 12));
    return true;
  }

  private learn(place: Interface, who: Address, mac: Uint8Array, create: boolean): void {
    let neighbour = place.neighbours.get(who);
    if (neighbour === undefined) {
      if (!create || this.owns(who)) return;
      neighbour = { mac: null, tries: 0, waiting: [], confirmedMicros: 0 };
      place.neighbours.set(who, neighbour);
    }
    neighbour.mac = mac;
    neighbour.confirmedMicros = this.world.schedule.nowMicros;
    for (const frame of neighbour.waiting.splice(0)) this.transmit(place, mac, frame);
  }

  // ── transport ──────────────────────────────────────────────────────────────────────────────────────────────────

  private deliver(packet: Packet, frame: Uint8Array): void {
    if (!this.world.arrived(this, packet, frame)) return;
    if (packet.protocol === TCP) this.deliverTcp(packet, frame);
    else if (packet.protocol === UDP) {
      const payload = frame.subarray(packet.at + 8, packet.at + u16(frame, packet.at + 4));
      this.udp.get(u16(frame, packet.at + 2))?.(payload, packet.source, u16(frame, packet.at), packet.destination, u16(frame, packet.at + 2));
    } else if (packet.protocol === ICMP || packet.protocol === ICMPV6) this.deliverIcmp(packet, frame);
  }

  private deliverIcmp(packet: Packet, frame: Uint8Array): void {
    const kind = frame[packet.at] as number;
    const request = packet.protocol === ICMP ? 8 : 128;
    if (kind === request) {
      const reply = frame.slice(packet.at, packet.end);
      reply[0] = packet.protocol === ICMP ? 0 : 129;
      put16(reply, 2, 0);
      this.send(packet.destination, packet.source, packet.protocol, reply);
      return;
    }
    this.onIcmp?.(packet, frame);
    this.shrinkPath(packet, frame, kind);
  }

  /** RFC 1191, RFC 8201: a router says that our packet is too big. */
  private shrinkPath(packet: Packet, frame: Uint8Array, kind: number): void {
    const v4 = packet.protocol === ICMP;
    const tooBig = v4 ? kind === 3 && frame[packet.at + 1] === 4 : kind === 2;
    if (!tooBig) return;
    const mtu = v4 ? u16(frame, packet.at + 6) : u32(frame, packet.at + 4);
    const inner = packet.at + 8;
    const header = v4 ? IPV4_BYTES : IPV6_BYTES;
    const remote = addressAt(frame, inner + (v4 ? 16 : 24), v4);
    const at = inner + header;
    this.connections.get(keyOf(remote, u16(frame, at + 2), u16(frame, at)))?.shrink(mtu - header - 20);
  }

  private deliverTcp(packet: Packet, frame: Uint8Array): void {
    const { at, end, source, destination } = packet;
    const remotePort = u16(frame, at);
    const localPort = u16(frame, at + 2);
    const flags = frame[at + 13] as number;
    const existing = this.connections.get(keyOf(source, remotePort, localPort));
    const reopens = existing?.state === "time-wait" && (flags & (SYN | ACK | RST)) === SYN;
    if (existing !== undefined && !reopens) {
      existing.input(frame, at, end);
      return;
    }
    const listener = this.listeners.get(localPort);
    if (listener !== undefined && (flags & (SYN | ACK | RST)) === SYN) {
      const late: TcpUser = {
        opened: (c) => user.opened(c),
        data: (c, b, p) => user.data(c, b, p),
        finished: (c) => user.finished(c),
        ended: (c, e) => user.ended(c, e),
      };
      const connection = this.makeConnection(source, remotePort, localPort, late, listener.fill);
      const user = listener.service(connection, source);
      connection.accept(frame, at);
      return;
    }
    if ((flags & RST) === 0) this.refuse(source, destination, frame, at, end);
  }

  /** RFC 9293 §3.10.7.1: what belongs to no connection is reset. */
  private refuse(remote: Address, own: Address, frame: Uint8Array, at: number, end: number): void {
    this.strays++;
    const flags = frame[at + 13] as number;
    const segment = new Uint8Array(20);
    put16(segment, 0, u16(frame, at + 2));
    put16(segment, 2, u16(frame, at));
    segment[12] = 5 << 4;
    if ((flags & ACK) !== 0) {
      segment.set(frame.subarray(at + 8, at + 12), 4);
      segment[13] = RST;
    } else {
      const length = end - at - ((frame[at + 12] as number) >> 4) * 4 + ((flags & SYN) !== 0 ? 1 : 0) + (flags & 1);
      const ack = (u32(frame, at + 4) + length) >>> 0;
      segment.set([ack >>> 24, ack >>> 16, ack >>> 8, ack], 8);
      segment[13] = RST | ACK;
    }
    this.send(own, remote, TCP, segment);
  }

  private makeConnection(
    remote: Address,
    remotePort: number,
    localPort: number,
    user: TcpUser,
    fill: ConnectOptions["fill"],
    windowBytes = 1 << 20,
  ): TcpConnection {
    const key = keyOf(remote, remotePort, localPort);
    const own = this.addressOf(remote.v4);
    const wrapped: TcpUser = {
      opened: (connection) => user.opened(connection),
      data: (connection, bytes, position) => user.data(connection, bytes, position),
      finished: (connection) => user.finished(connection),
      ended: (connection, end) => {
        if (this.connections.get(key) === connection) this.connections.delete(key);
        user.ended(connection, end);
      },
    };
    const connection = new TcpConnection({
      schedule: this.world.schedule,
      random: this.random,
      localPort,
      remotePort,
      segmentBytes: MTU_BYTES - 20 - (remote.v4 ? IPV4_BYTES : IPV6_BYTES),
      windowBytes,
      user: wrapped,
      fill,
      output: (segment) => this.send(own, remote, TCP, segment),
    });
    this.connections.set(key, connection);
    return connection;
  }
}

function keyOf(remote: Address, remotePort: number, localPort: number): string {
  return `${remote.text}/${remotePort}/${localPort}`;
}

/** Does the prefix `network`/`bits` hold the address? */
export function covers(network: Address, bits: number, candidate: Address): boolean {
  if (network.v4 !== candidate.v4) return false;
  const whole = bits >> 3;
  for (let k = 0; k < whole; k++) if (network.bytes[k] !== candidate.bytes[k]) return false;
  const rest = bits & 7;
  return rest === 0 || ((network.bytes[whole] as number) ^ (candidate.bytes[whole] as number)) >> (8 - rest) === 0;
}

function solicitedNode(target: Address): Address {
  const bytes = new Uint8Array([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0]);
  bytes.set(target.bytes.subarray(13), 13);
  return addressAt(bytes, 0, false);
}
