// The configuration, declared once. Validation, defaults, the console's grammar and help, forms and documentation all
// derive from here: `description` is the key's help, `default` comes from limits.ts. One file serves every unit.
//
//   system ─ sites ─ units           who we are
//   mode, ports, zones, routes       where packets come from and go to
//   objects, policy, reviewSessions  what may pass
//   twin                             how the sites hold together
//   sessions, idleMillis, checks     how much, how long, how strict
//
// Beside what JSON Schema knows, a node says (Notes): which keys name an entry of a list, whose names a text is, and which part of the
// configuration it belongs to. grammar.ts reads these.

import Type from "typebox";
import { SEAL_HEADER_BYTES, SEAL_TAG_BYTES } from "../../hal/contracts.ts";
import {
  CHECKS,
  FOLLOW_PACKETS,
  HALF_OPEN_PER_DESTINATION,
  HEARTBEAT_MILLIS,
  HEARTBEAT_MISSES,
  IDLE_MILLIS,
  OBJECT_MEMBERS,
  OBJECTS,
  PACKET_BYTES_MOST,
  PRIORITY_DEFAULT,
  ROUTES,
  RULES,
  SESSIONS_DEFAULT,
  SESSIONS_MOST,
  TICK_MILLIS,
  ZONES,
} from "../../limits.ts";

/** Ethernet and one 802.1Q tag in front of an IP packet. */
const LINK_HEADER_BYTES = 18;
/** Largest MTU of a port: its frame must fit packet memory. */
export const MTU_BYTES_MOST = PACKET_BYTES_MOST - LINK_HEADER_BYTES;
/** IPv6 asks this much of every link (RFC 8200 §5). */
export const MTU_BYTES_LEAST = 1_280;
export const MTU_BYTES_DEFAULT = 1_500;

/** Record header and handoff fields around one half of a handed-off packet, at the most. */
const HANDOFF_RECORD_BYTES = 64;
// PROTOCOL.md, Handoff: a data port's packet fits two twin frames. With these bounds it does, whatever is configured.
if (MTU_BYTES_MOST + LINK_HEADER_BYTES > 2 * (MTU_BYTES_LEAST - SEAL_HEADER_BYTES - SEAL_TAG_BYTES - HANDOFF_RECORD_BYTES)) {
  throw new Error("schema.ts: it must hold that the largest packet fits two frames of the smallest twin port");
}

/** IPv4 options that may be let through, and their numbers (V3). */
export const IPV4_OPTIONS = { "router-alert": 148, timestamp: 68, "stream-id": 136, security: 130, "commercial-security": 134, "quick-start": 25 } as const;
const IPV4_OPTION_NAMES = Object.keys(IPV4_OPTIONS) as (keyof typeof IPV4_OPTIONS)[];

const NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$";
const SITE = "^[A-Za-z][A-Za-z0-9-]{0,14}$";
const UNIT = "^[A-Za-z][A-Za-z0-9-]{0,14}[12]$";

/** Objects begin with a letter, so that none is taken for an address. */
const OBJECT = "^[A-Za-z][A-Za-z0-9_.-]{0,30}$";

/** Everything shared is the same on all units; the rest is of one site, or of one unit, and said for each. */
export type Part = "shared" | "site" | "unit";

/** Places that names are declared at. */
export type NamePlace = "sites" | "units" | "zones" | "objects.addresses" | "objects.addressGroups" | "objects.services" | "objects.serviceGroups";

/** What a node of the schema says beside JSON Schema's own words. */
export type Notes = {
  /** Of a list's entry: the keys that name it, written one after the other. */
  readonly key?: readonly string[];
  /** Of a text: where the names that it may be are declared. */
  readonly refersTo?: readonly NamePlace[];
  /** Of an object whose keys are names: where those are declared. */
  readonly keyRefersTo?: readonly NamePlace[];
  readonly part?: Part;
  /** Not for people to set. */
  readonly assigned?: boolean;
};
const note = <N extends Notes>(notes: N): N => notes;

const closed = { additionalProperties: false } as const;
const name = (description: string, notes: Notes = {}) => Type.String({ pattern: NAME, description, ...notes });
const texts = (description: string, notes: Notes = {}) => Type.Array(Type.String(notes), { default: [], description });
const ADDRESS_NAMES = note({ refersTo: ["objects.addresses", "objects.addressGroups"] });
const SERVICE_NAMES = note({ refersTo: ["objects.services", "objects.serviceGroups"] });

const Gateway = Type.Object(
  {
    addresses: texts("Addresses with prefix length that hosts use as their gateway: equal at both sites; they answer and announce, and never send."),
    mac: Type.Optional(
      Type.String({
        description:
          "Ethernet address that the gateway addresses answer with, equal at both sites. Left out: 02:54, two bytes of the system name's hash, the zone's number, 00.",
      }),
    ),
  },
  { ...closed, default: {}, description: "What hosts in this zone see as their router, at either site." },
);

const ZoneAtSite = Type.Object(
  {
    addresses: texts(
      "Addresses with prefix length of this site alone: the source of every routed frame, ARP and ND request and packet of our own. A link-local address is derived from the MAC when IPv6 is used and none is given.",
    ),
    mac: Type.Optional(
      Type.String({
        description:
          "Ethernet address that this site sends with; it moves with the pair's active unit. Left out: 02:54, two bytes of the system name's hash, the zone's number, the site's number.",
      }),
    ),
  },
  { ...closed, default: {}, description: "This zone as one site has it." },
);

const Zone = Type.Object(
  {
    name: name("The zone's name, shared by both sites."),
    port: Type.Optional(name("The board's port that the zone lies on, on every unit that `ports` does not name.")),
    ports: Type.Record(Type.String({ pattern: UNIT }), name("Port of the board."), {
      ...closed,
      ...note({ part: "unit", keyRefersTo: ["units"] }),
      default: {},
      description: "Port by unit name, where it differs.",
    }),
    vlan: Type.Integer({ minimum: 0, maximum: 4094, default: 0, description: "802.1Q id; 0 is untagged." }),
    gateway: Gateway,
    sites: Type.Record(Type.String({ pattern: SITE }), ZoneAtSite, {
      ...closed,
      ...note({ part: "site", keyRefersTo: ["sites"] }),
      default: {},
      description: "The zone's own addresses, by site.",
    }),
  },
  { ...closed, ...note({ key: ["name"] }), description: "A security zone. Its number is its place in the list, from 1." },
);

const Route = Type.Object(
  {
    prefix: Type.String({ description: "Destination network, such as 0.0.0.0/0 or 2001:db8::/32." }),
    via: Type.String({ description: "Next hop, an address in the zone's network." }),
    zone: name("Zone that the next hop is reached through.", { refersTo: ["zones"] }),
  },
  { ...closed, ...note({ key: ["prefix"] }), description: "A static route." },
);

const members = (description: string, notes: Notes) => Type.Array(Type.String(notes), { minItems: 1, maxItems: OBJECT_MEMBERS, description });
const objects = (description: string, entry: ReturnType<typeof members>) =>
  Type.Record(Type.String({ pattern: OBJECT }), entry, { ...closed, maxProperties: OBJECTS, default: {}, description });

const Objects = Type.Object(
  {
    addresses: objects("Addresses by name.", members("Prefixes and addresses.", {})),
    addressGroups: objects("Several addresses under one name.", members("Names of addresses, or of other groups.", ADDRESS_NAMES)),
    services: objects("Services by name.", members("tcp/443, udp/1024-65535, icmp/8, icmpv6/3/0, protocol/47.", {})),
    serviceGroups: objects("Several services under one name.", members("Names of services, or of other groups.", SERVICE_NAMES)),
  },
  { ...closed, default: {}, description: "Names that rules use instead of addresses and services." },
);

const Rule = Type.Object(
  {
    name: name("The rule's name."),
    from: texts("Zones that the packet comes from; empty is any.", { refersTo: ["zones"] }),
    to: texts("Zones that the packet goes to; empty is any.", { refersTo: ["zones"] }),
    source: texts("Source prefixes, addresses, or names of objects; empty is any.", ADDRESS_NAMES),
    destination: texts("Destination prefixes, addresses, or names of objects; empty is any.", ADDRESS_NAMES),
    service: texts("tcp/443, udp/1024-65535, icmp/8, icmpv6/3/0, protocol/47, or names of objects; empty is any.", SERVICE_NAMES),
    action: Type.Enum(["permit", "deny", "reject"] as const, {
      description: "What happens to a packet that opens something: permit makes a session, deny is silent, reject answers.",
    }),
    log: Type.Boolean({ default: false, description: "Write an event for each packet that the rule decides." }),
    idleSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_000_000,
        description: "Idle time after which a session that the rule permits ends, once TCP is established. Left out: idleMillis decides.",
      }),
    ),
  },
  { ...closed, ...note({ key: ["name"] }), description: "Rules are tried in order; the first that matches decides; a packet that none matches is denied." },
);

const Monitored = Type.Object(
  {
    zone: name("Zone that the address is reached through; one address per zone.", { refersTo: ["zones"] }),
    address: Type.String({ description: "An address that answers while this site is connected: reaching it tells a peer's death from a partition." }),
  },
  { ...closed, ...note({ key: ["zone"] }), description: "An address that is watched." },
);

const Twin = Type.Object(
  {
    enabled: Type.Boolean({ default: true, description: "Off: each unit stands alone, and knows no session but its own." }),
    partition: Type.Enum(["stop", "local"] as const, {
      default: "stop",
      description: "What happens to the other site's flows while it is alive but not reached: dropped, or judged here.",
    }),
    deployment: Type.Enum(["active/active", "active/passive"] as const, {
      default: "active/active",
      description:
        "Both sites answer for the gateways and make sessions, or one does and the other stands by: it answers for no gateway, and hands what reaches it to the active one.",
    }),
    activeSite: Type.Optional(
      Type.String({
        pattern: SITE,
        ...note({ refersTo: ["sites"] }),
        description: "Of active/passive: the site that is active until the first switchover. Left out: the first of sites.",
      }),
    ),
    follow: Type.Enum(["never", "both-directions", "originator"] as const, {
      default: "both-directions",
      description: "Sessions follow a host that moved to the other site: when both directions, or the originator's, come in there; or never.",
    }),
    followPackets: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: FOLLOW_PACKETS,
      description: "Packets in a row at the other site after which a session follows.",
    }),
    firstPacket: Type.Enum(["auto", "query", "hold", "none"] as const, {
      default: "auto",
      description:
        "UDP and ICMP replies can outrun the session: ask the twin about first packets, hold them at the owner until it is replicated, or neither; auto asks while the sites are near, and holds when the round trip exceeds 2 ms.",
    }),
    heartbeatMillis: Type.Integer({ minimum: TICK_MILLIS, maximum: 1_000, default: HEARTBEAT_MILLIS, description: "Time between heartbeats." }),
    heartbeatMisses: Type.Integer({
      minimum: 2,
      maximum: 50,
      default: HEARTBEAT_MISSES,
      description: "Heartbeats missed in a row after which a path is down.",
    }),
    preemptSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400,
        description:
          "How long the unit of a pair with the higher priority must have been ready before the other gives way to it. Left out: whoever is active stays active, unless its health is worse.",
      }),
    ),
    monitored: Type.Array(Monitored, { maxItems: ZONES - 1, default: [], description: "Addresses that tell a death from a partition." }),
  },
  { ...closed, default: {}, description: "How the sites hold together." },
);

const Unit = Type.Object(
  {
    site: Type.String({ pattern: SITE, ...note({ refersTo: ["sites"] }), description: "Site that the unit stands at." }),
    index: Type.Integer({ minimum: 1, maximum: 2, description: "1 or 2 within its site; with the site it makes the unit's name, A1." }),
    priority: Type.Integer({
      minimum: 1,
      maximum: 255,
      default: PRIORITY_DEFAULT,
      description: "Of a site's two units, both as healthy, the one with the higher priority is preferred; with equal ones, index 1.",
    }),
    peers: Type.Optional(
      Type.Array(Type.String({ pattern: UNIT, ...note({ refersTo: ["units"] }) }), { description: "Units that it associates with. Left out: all others." }),
    ),
  },
  { ...closed, ...note({ key: ["site", "index"], part: "unit" }), description: "An appliance, by its name: A1." },
);

const idle = (key: keyof typeof IDLE_MILLIS, description: string) =>
  Type.Integer({ minimum: 1_000, maximum: 2_000_000_000, default: IDLE_MILLIS[key], description });

const Idle = Type.Object(
  {
    tcpOpening: idle("tcpOpening", "TCP, handshake not complete."),
    tcpEstablished: idle("tcpEstablished", "TCP, established (RFC 5382 REQ-5)."),
    tcpClosing: idle("tcpClosing", "TCP, one side has closed."),
    tcpReset: idle("tcpReset", "TCP, reset seen."),
    tcpTimeWait: idle("tcpTimeWait", "TCP, both sides have closed."),
    udpOneWay: idle("udpOneWay", "UDP without an answer (RFC 4787 REQ-5)."),
    udpBothWays: idle("udpBothWays", "UDP with answers."),
    icmpQuery: idle("icmpQuery", "ICMP query (RFC 5508 REQ-1)."),
    other: idle("other", "Any other protocol."),
  },
  { ...closed, default: {}, description: "Idle time in milliseconds after which a session ends, by what it is doing." },
);

export const ConfigurationSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ ...note({ assigned: true }), description: "For editors: configuration.schema.json." })),
    system: Type.Object({ name: name("Name of the logical firewall; every unit carries it.") }, { ...closed, description: "The logical firewall." }),
    revision: Type.Integer({
      ...note({ assigned: true }),
      minimum: 1,
      maximum: 0x7fff_ffff,
      default: 1,
      description: "Number of this configuration; sessions remember which one permitted them. A unit that keeps revisions counts them itself.",
    }),
    sites: Type.Array(Type.String({ pattern: SITE }), {
      minItems: 1,
      maxItems: 2,
      description: "The data centres; the order gives unit numbers and is the same everywhere.",
    }),
    units: Type.Array(Unit, { minItems: 1, maxItems: 4, description: "The appliances." }),
    mode: Type.Enum(["routed", "transparent"] as const, { default: "routed", description: "Ports route between zones, or pairs of ports are wires." }),
    sessions: Type.Integer({
      minimum: 1_024,
      maximum: SESSIONS_MOST,
      default: SESSIONS_DEFAULT,
      description: "Capacity of the session table, a power of two; 256 bytes each, allocated at start.",
    }),
    ports: Type.Record(
      Type.String({ pattern: NAME }),
      Type.Object(
        {
          mtuBytes: Type.Integer({
            minimum: MTU_BYTES_LEAST,
            maximum: MTU_BYTES_MOST,
            default: MTU_BYTES_DEFAULT,
            description: "Largest IP packet on the port.",
          }),
        },
        { ...closed, description: "A port of the board." },
      ),
      { ...closed, default: {}, description: "Settings of the board's ports, by name." },
    ),
    wires: Type.Array(Type.Array(name("Port"), { minItems: 2, maxItems: 2 }), {
      default: [],
      description: "Transparent mode: pairs of ports that are a wire. Left out: the board's two data ports.",
    }),
    zones: Type.Array(Zone, { minItems: 1, maxItems: ZONES - 1, description: "Security zones." }),
    routes: Type.Array(Route, { maxItems: ROUTES, default: [], description: "Static routes; the longest prefix wins." }),
    objects: Objects,
    policy: Type.Array(Rule, { maxItems: RULES, default: [], description: "The rules." }),
    twin: Twin,
    idleMillis: Idle,
    halfOpenPerDestination: Type.Integer({
      minimum: 2,
      maximum: SESSIONS_MOST,
      default: HALF_OPEN_PER_DESTINATION,
      description:
        "TCP sessions to one destination whose handshake is not complete, over both sites; each site makes half of them at the most while both may live. More SYNs are dropped.",
    }),
    reviewSessions: Type.Boolean({
      default: true,
      description: "After a commit, sessions that the new policy forbids are closed; else they live until they end.",
    }),
    checks: Type.Object(
      {
        checksums: Type.Boolean({ default: CHECKS.checksums, description: "Drop packets whose TCP, UDP or ICMP checksum is wrong." }),
        reversePath: Type.Boolean({
          default: CHECKS.reversePath,
          description: "Drop packets whose source is not reached through the zone that they come from.",
        }),
        ownSource: Type.Boolean({ default: CHECKS.ownSource, description: "Drop packets whose source is an address of the firewall." }),
        linkLocal: Type.Boolean({ default: CHECKS.linkLocal, description: "Drop packets from or to link-local addresses beyond the firewall itself." }),
        strictIpv6: Type.Boolean({
          default: CHECKS.strictIpv6,
          description: "Drop IPv6 packets from or to unicast addresses outside 2000::/3; unique local addresses too.",
        }),
        midstream: Type.Enum(["drop", "permit"] as const, {
          default: CHECKS.midstream,
          description: "TCP sessions that began before they were seen here: dropped, or picked up if a rule permits them.",
        }),
        ipv4Options: Type.Array(Type.Enum(IPV4_OPTION_NAMES), {
          default: [...CHECKS.ipv4Options],
          description: "IPv4 options that pass, beside End and No-Operation. Source routes and Record Route never do.",
        }),
      },
      { ...closed, default: {}, description: "What a packet must satisfy whatever the rules say." },
    ),
  },
  closed,
);

export type Configuration = Type.Static<typeof ConfigurationSchema>;
export type ZoneConfiguration = Type.Static<typeof Zone>;
export type UnitConfiguration = Type.Static<typeof Unit>;

/** A unit's name: site and index. */
export function unitName(unit: { readonly site: string; readonly index: number }): string {
  return `${unit.site}${unit.index}`;
}

/** Unit number 1..4: A1 = 1, A2 = 2, B1 = 3, B2 = 4. */
export function unitNumber(configuration: Configuration, unit: { readonly site: string; readonly index: number }): number {
  return configuration.sites.indexOf(unit.site) * 2 + unit.index;
}

/** Port of a zone on a unit; undefined when the zone names none. */
export function portOf(zone: ZoneConfiguration, unit: string): string | undefined {
  return zone.ports[unit] ?? zone.port;
}

/** The units that a unit associates with; none when the twin is off. */
export function peersOf(configuration: Configuration, unit: UnitConfiguration): readonly UnitConfiguration[] {
  if (!configuration.twin.enabled) return [];
  return configuration.units.filter((other) => other !== unit && (unit.peers === undefined || unit.peers.includes(unitName(other))));
}
