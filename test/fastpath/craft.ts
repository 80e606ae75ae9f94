// Packets and plans for the fastpath's tests: made from words that people use, sound unless a test breaks them.

import { P_ENTRY, P_LENGTH, P_OFFSET, P_ZONE, PACKET_WORDS } from "../../firmware/fastpath/packets.ts";
import { addressWords } from "../../firmware/fastpath/stations.ts";
import { checksumOf, pseudoSumIpv4, pseudoSumIpv6, sumBytes } from "../../firmware/fastpath/wire/checksum.ts";
import { CHECKS, HALF_OPEN_PER_DESTINATION, IDLE_MILLIS } from "../../firmware/limits.ts";
import type { Plan, PlannedChecks, PlannedRoute, PlannedRule, PlannedZone, Prefix } from "../../firmware/plan.ts";

/** "10.1.0.1" or "2001:db8::1" → 16 bytes. */
export function address(text: string): readonly number[] {
  if (!text.includes(":")) return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...text.split(".").map(Number)];
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return all.flatMap((group) => [group >> 8, group & 0xff]);
}

/** "10.0.0.0/8" → prefix; without a length, the whole address. */
export function prefix(text: string): Prefix {
  const [host = "", bits] = text.split("/");
  const v6 = host.includes(":");
  return { bytes: address(host), prefixBits: (bits === undefined ? (v6 ? 128 : 32) : Number(bits)) + (v6 ? 0 : 96) };
}

export function words(text: string): Int32Array {
  return Int32Array.from(addressWords(address(text)));
}

/** "02:00:00:00:00:01" → 6 bytes. */
export function mac(text: string): readonly number[] {
  return text.split(":").map((byte) => Number.parseInt(byte, 16));
}

/** The checks as they are by default. */
export const CHECKED: PlannedChecks = { ...CHECKS, midstream: false, ipv4Options: [148] };

export const GATEWAY_MAC = "02:54:57:00:00:01";
export const SITE_MAC = "02:54:57:0a:00:01";
export const HOST_MAC = "02:00:00:00:00:11";

/** Zone one on port 0 (10.1.0.0/24, 2001:db8:1::/64, gateway .254, site .251) and zone three on port 1 (10.3.0.0/24, VLAN 30). */
export function zones(): readonly PlannedZone[] {
  return [
    {
      zone: 1,
      name: "one",
      port: 0,
      vlan: 0,
      gatewayMac: mac(GATEWAY_MAC),
      siteMac: mac(SITE_MAC),
      gatewayAddresses: [prefix("10.1.0.254/24"), prefix("2001:db8:1::254/64"), prefix("fe80::1/64")],
      siteAddresses: [prefix("10.1.0.251/24"), prefix("2001:db8:1::251/64"), prefix("fe80::251/64")],
    },
    {
      zone: 3,
      name: "three",
      port: 1,
      vlan: 30,
      gatewayMac: mac("02:54:57:00:00:03"),
      siteMac: mac("02:54:57:0a:00:03"),
      gatewayAddresses: [prefix("10.3.0.254/24"), prefix("2001:db8:3::254/64"), prefix("fe80::1/64")],
      siteAddresses: [prefix("10.3.0.251/24"), prefix("2001:db8:3::251/64"), prefix("fe80::253/64")],
    },
  ];
}

export function plan(
  parts: {
    readonly routes?: readonly PlannedRoute[];
    readonly rules?: readonly PlannedRule[];
    readonly zones?: readonly PlannedZone[];
    readonly reversePath?: boolean;
  } = {},
): Plan {
  const port = (number: number) => ({ number, device: `port${number}`, kind: "data", mtuBytes: 1_500, pairedPort: -1 }) as const;
  return {
    unit: 1,
    name: "A1",
    site: "A",
    system: "example",
    mode: "routed",
    agreementHash: "",
    revision: 1,
    sessions: 1_024,
    ports: [port(0), port(1)],
    zones: parts.zones ?? zones(),
    routes: parts.routes ?? [],
    rules: parts.rules ?? [],
    idleMillis: IDLE_MILLIS,
    halfOpenPerDestination: HALF_OPEN_PER_DESTINATION,
    reviewSessions: true,
    checks: { ...CHECKED, reversePath: parts.reversePath ?? true },
    twin: {
      enabled: false,
      peers: [],
      heartbeatMillis: 20,
      heartbeatMisses: 5,
      partition: "stop",
      priority: 100,
      preemptMillis: 0,
      deployment: "active/active",
      activeSite: 0,
      follow: "never",
      followPackets: 64,
      firstPacket: "query",
      monitored: [],
    },
  };
}

export function rule(number: number, parts: Partial<PlannedRule> = {}): PlannedRule {
  return {
    number,
    name: `rule ${number}`,
    fromZones: [],
    toZones: [],
    sources: [],
    destinations: [],
    services: [],
    action: "permit",
    log: false,
    idleMillis: 0,
    ...parts,
  };
}

export interface Crafted {
  readonly source?: string;
  readonly destination?: string;
  /** Transport protocol; the transport header follows from it. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  /** TCP: 1,000, 2,000 and 8,192 unless told. */
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly window?: number;
  /** ICMP: type, code and the four bytes after the checksum. */
  readonly type?: number;
  readonly code?: number;
  readonly rest?: readonly number[];
  /** TCP options, a multiple of four bytes. */
  readonly tcpOptions?: readonly number[];
  /** IPv4 options, a multiple of four bytes. */
  readonly ipOptions?: readonly number[];
  /** IPv6: whole extension headers, and the number of the first; the last one's next header must be `protocol`. */
  readonly extensions?: { readonly first: number; readonly bytes: readonly number[] };
  readonly payload?: readonly number[];
  readonly vlan?: number;
  readonly ttl?: number;
  /** IPv4: the word with flags and offset. */
  readonly fragment?: number;
  readonly destinationMac?: string;
  readonly sourceMac?: string;
  /** Replaces the transport header and payload. */
  readonly transport?: readonly number[];
}

const two = (value: number): readonly number[] => [(value >> 8) & 0xff, value & 0xff];
const four = (value: number): readonly number[] => [...two(value >>> 16), ...two(value)];

/** A frame with right lengths and checksums. */
export function craft(parts: Crafted = {}): Uint8Array<ArrayBuffer> {
  const source = parts.source ?? "10.1.0.11";
  const destination = parts.destination ?? "10.3.0.33";
  const v6 = destination.includes(":");
  const protocol = parts.protocol ?? 6;
  const transport = parts.transport ?? transportBytes(protocol, parts);
  const extensions = parts.extensions?.bytes ?? [];
  const ethernet = [
    ...mac(parts.destinationMac ?? GATEWAY_MAC),
    ...mac(parts.sourceMac ?? HOST_MAC),
    ...(parts.vlan === undefined ? [] : [0x81, 0x00, ...two(parts.vlan)]),
    ...(v6 ? [0x86, 0xdd] : [0x08, 0x00]),
  ];
  const options = parts.ipOptions ?? [];
  const headerBytes = 20 + options.length;
  const header = v6
    ? [
        0x60,
        0,
        0,
        0,
        ...two(extensions.length + transport.length),
        parts.extensions?.first ?? protocol,
        parts.ttl ?? 64,
        ...address(source),
        ...address(destination),
        ...extensions,
      ]
    : [
        0x40 | (headerBytes / 4),
        0,
        ...two(headerBytes + transport.length),
        0x12,
        0x34,
        ...two(parts.fragment ?? 0),
        parts.ttl ?? 64,
        protocol,
        0,
        0,
        ...address(source).slice(12),
        ...address(destination).slice(12),
        ...options,
      ];
  const frame = Uint8Array.from([...ethernet, ...header, ...transport]);
  const view = new DataView(frame.buffer);
  const l3 = ethernet.length;
  if (!v6) view.setUint16(l3 + 10, checksumOf(sumBytes(view, l3, headerBytes, 0)), true);
  if (parts.transport === undefined) finishTransport(view, l3, l3 + header.length, protocol, transport.length, v6);
  return frame;
}

function transportBytes(protocol: number, parts: Crafted): readonly number[] {
  const payload = parts.payload ?? [];
  const ports = [...two(parts.sourcePort ?? 40_000), ...two(parts.destinationPort ?? 80)];
  if (protocol === 6) {
    const options = parts.tcpOptions ?? [];
    const numbers = [...four(parts.sequence ?? 1_000), ...four(parts.acknowledgement ?? 2_000)];
    const window = two(parts.window ?? 8_192);
    return [...ports, ...numbers, (5 + options.length / 4) << 4, parts.flags ?? 0x10, ...window, 0, 0, 0, 0, ...options, ...payload];
  }
  if (protocol === 17) return [...ports, ...two(8 + payload.length), 0, 0, ...payload];
  if (protocol === 1 || protocol === 58)
    return [parts.type ?? (protocol === 1 ? 8 : 128), parts.code ?? 0, 0, 0, ...(parts.rest ?? [0x12, 0x34, 0, 1]), ...payload];
  return payload;
}

/** Puts the transport checksum in. */
export function finishTransport(view: DataView, l3: number, l4: number, protocol: number, bytes: number, v6: boolean): void {
  const field = protocol === 6 ? 16 : protocol === 17 ? 6 : protocol === 1 || protocol === 58 ? 2 : -1;
  if (field < 0 || l4 + field + 2 > view.byteLength) return;
  view.setUint16(l4 + field, 0);
  const pseudo = v6 ? pseudoSumIpv6(view, l3, protocol, bytes) : protocol === 1 ? 0 : pseudoSumIpv4(view, l3, protocol, bytes);
  const sum = checksumOf(sumBytes(view, l4, bytes, pseudo));
  view.setUint16(l4 + field, sum === 0 && protocol === 17 ? 0xffff : sum, true);
}

/** A packet row for a frame that lies at `offset`. */
export function row(lengthBytes: number, offset = 0, entry = 0, zone = 1): Int32Array {
  const result = new Int32Array(PACKET_WORDS);
  result[P_OFFSET] = offset;
  result[P_LENGTH] = lengthBytes;
  result[P_ENTRY] = entry;
  result[P_ZONE] = zone;
  return result;
}
