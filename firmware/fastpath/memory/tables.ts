// The tables of a unit, each declared once, and where they lie in the shared area:
//
//   header │ members │ paths │ ports │ counters │ rules │ neighbours │ commands │ events │ sessions
//
// Every table starts on a page. The dataplane writes; the others read (the command ring is the exception).

import { COMMANDS, EVENTS, NEIGHBOURS, PORTS, RULES, UNIT_NAMES, UNITS, WIRE_STATIONS } from "../../limits.ts";
import { EVENT_NAMES } from "../event-kinds.ts";
import { DROP_NAMES } from "../verdicts.ts";
import { HEALTH_PARTS } from "./health.ts";
import { defineTable, layoutHash, type Part, type Table, word } from "./layout.ts";

export const STATE_NAMES = [
  "free",
  "syn-sent",
  "syn-received",
  "established",
  "fin-wait",
  "close-wait",
  "last-ack",
  "time-wait",
  "reset",
  "udp-one-way",
  "udp-both-ways",
  "icmp-query",
  "other-one-way",
  "other-both-ways",
  "tombstone",
] as const;

const flowParts: readonly Part[] = [
  { name: "Protocol", shift: 0, bits: 8, doc: "IP protocol number" },
  { name: "Zone", shift: 8, bits: 8, doc: "zone that packets of this direction come from" },
  { name: "Domain", shift: 16, bits: 16, doc: "wire in transparent mode (VLAN id and port pair), 0 in routed mode" },
];

/**
 * A session: 256 bytes in four lines. Lines 0 and 1 are the keys, one per direction, with all that forwarding needs;
 * line 2 is what a hit writes; line 3 is the rest: a hit reads its owner, and writes what TCP acknowledged when that moved.
 */
export const SESSIONS: Table = defineTable({
  name: "sessions",
  doc: "tracked flows",
  strideWords: 64,
  fields: [
    { name: "generation", type: "i32", at: 0, doc: "sequence lock: odd while the identity (tuples, owner, rewrite) changes; 0 = never used" },
    { name: "originatorHash", type: "i32", at: 1, doc: "keyed hash of the tuple; this boot's key" },
    { name: "originatorSource", type: "address", at: 2, replicated: true, doc: "source as the originator sends it" },
    { name: "originatorDestination", type: "address", at: 6, replicated: true, doc: "destination as the originator sends it" },
    { name: "originatorPorts", type: "ports", at: 10, replicated: true, doc: "source and destination port; ICMP: the identifier in both" },
    { name: "originatorFlow", type: "parts", at: 11, replicated: true, parts: flowParts, doc: "protocol, ingress zone, domain" },
    { name: "originatorPath", type: "i32", at: 12, doc: "egress: zone entry (low 8 bits) | path epoch << 8; stale epoch = resolve again" },
    { name: "originatorHopMac", type: "u32", at: 13, doc: "next hop's MAC, first four bytes in network order" },
    { name: "originatorHopMacRest", type: "u32", at: 14, doc: "next hop's MAC, last two bytes in network order" },
    { name: "originatorRewrite", type: "i32", at: 15, replicated: true, doc: "translation, 0 = none (NAT comes later)" },

    { name: "check", type: "i32", at: 16, doc: "xor over the identity words; a row whose check fails is not adopted" },
    { name: "responderHash", type: "i32", at: 17, doc: "keyed hash of the tuple; this boot's key" },
    { name: "responderSource", type: "address", at: 18, replicated: true, doc: "source as the responder sends it" },
    { name: "responderDestination", type: "address", at: 22, replicated: true, doc: "destination as the responder sends it" },
    { name: "responderPorts", type: "ports", at: 26, replicated: true, doc: "source and destination port" },
    { name: "responderFlow", type: "parts", at: 27, replicated: true, parts: flowParts, doc: "protocol, ingress zone, domain" },
    { name: "responderPath", type: "i32", at: 28, doc: "as originatorPath" },
    { name: "responderHopMac", type: "u32", at: 29, doc: "as originatorHopMac" },
    { name: "responderHopMacRest", type: "u32", at: 30, doc: "as originatorHopMacRest" },
    { name: "responderRewrite", type: "i32", at: 31, replicated: true, doc: "translation, 0 = none" },

    {
      name: "state",
      type: "parts",
      at: 32,
      replicated: true,
      doc: "tracking state, flags, window scales",
      parts: [
        { name: "State", shift: 0, bits: 8, names: STATE_NAMES, doc: "what the session is doing" },
        { name: "Flags", shift: 8, bits: 8, doc: "FLAG_* of sessions.ts" },
        { name: "OriginatorScale", shift: 16, bits: 4, doc: "window scale" },
        { name: "ResponderScale", shift: 20, bits: 4, doc: "window scale" },
        { name: "OriginatorTcp", shift: 24, bits: 4, doc: "TCP_* flags seen from the originator" },
        { name: "ResponderTcp", shift: 28, bits: 4, doc: "TCP_* flags seen from the responder" },
      ],
    },
    { name: "lastSeen", type: "i32", at: 33, unit: "ms", doc: "this boot's clock; records carry idle time instead" },
    { name: "originatorEnd", type: "u32", at: 34, replicated: true, doc: "highest sequence number + length sent" },
    { name: "originatorMaxEnd", type: "u32", at: 35, replicated: true, doc: "highest acknowledgement + window granted to it" },
    { name: "originatorMaxWindow", type: "u32", at: 36, replicated: true, unit: "bytes", doc: "largest window it advertised" },
    { name: "responderEnd", type: "u32", at: 37, replicated: true, doc: "as originatorEnd" },
    { name: "responderMaxEnd", type: "u32", at: 38, replicated: true, doc: "as originatorMaxEnd" },
    { name: "responderMaxWindow", type: "u32", at: 39, replicated: true, unit: "bytes", doc: "as originatorMaxWindow" },
    { name: "originatorPackets", type: "f64", at: 40, replicated: true, doc: "packets from the originator" },
    { name: "originatorBytes", type: "f64", at: 42, replicated: true, unit: "bytes", doc: "IP bytes from the originator" },
    { name: "responderPackets", type: "f64", at: 44, replicated: true, doc: "packets from the responder" },
    { name: "responderBytes", type: "f64", at: 46, replicated: true, unit: "bytes", doc: "IP bytes from the responder" },

    { name: "idSerial", type: "u32", at: 48, replicated: true, doc: "session id: serial, low 32 bits" },
    {
      name: "idCreator",
      type: "parts",
      at: 49,
      replicated: true,
      doc: "session id: creator unit and the serial's high bits",
      parts: [
        { name: "CreatorSerialHigh", shift: 0, bits: 8, doc: "serial, bits 32 to 39" },
        { name: "Creator", shift: 8, bits: 8, names: UNIT_NAMES, doc: "unit that created the session" },
      ],
    },
    { name: "idIncarnation", type: "u32", at: 50, replicated: true, doc: "session id: the creator's incarnation" },
    { name: "epoch", type: "u32", at: 51, replicated: true, doc: "grows at each change of owner" },
    { name: "version", type: "u32", at: 52, replicated: true, doc: "grows at each change within an epoch" },
    {
      name: "owner",
      type: "parts",
      at: 53,
      replicated: true,
      doc: "who decides; compared as one word",
      parts: [
        { name: "OwnerIncarnation", shift: 0, bits: 24, doc: "the owner's incarnation, low 24 bits" },
        { name: "Owner", shift: 24, bits: 7, names: UNIT_NAMES, doc: "unit" },
      ],
    },
    { name: "revision", type: "u32", at: 54, replicated: true, doc: "policy revision that permitted it" },
    { name: "rule", type: "i32", at: 55, replicated: true, doc: "rule that permitted it; 0 = none (midstream)" },
    { name: "created", type: "i32", at: 56, unit: "ms", doc: "this boot's clock; records carry age instead" },
    { name: "idleLimit", type: "i32", at: 57, replicated: true, unit: "ms", doc: "idle time after which the owner ends it" },
    { name: "originatorAcked", type: "u32", at: 58, replicated: true, doc: "TCP: what the responder acknowledged last, the byte that it expects next" },
    { name: "responderAcked", type: "u32", at: 59, replicated: true, doc: "as originatorAcked" },
    {
      name: "units",
      type: "parts",
      at: 60,
      replicated: true,
      doc: "where its packets come in",
      parts: [
        { name: "EntryUnit", shift: 0, bits: 8, names: UNIT_NAMES, doc: "unit that received the originator's last packet" },
        { name: "ExitUnit", shift: 8, bits: 8, names: UNIT_NAMES, doc: "unit that received the responder's last packet" },
        { name: "Strays", shift: 16, bits: 16, doc: "packets in a row that came in at the other site" },
      ],
    },
    {
      name: "replica",
      type: "parts",
      at: 61,
      doc: "how far the copies are",
      parts: [
        { name: "Acknowledged", shift: 0, bits: 8, doc: "bit u: unit u holds this epoch and version" },
        { name: "Refused", shift: 8, bits: 8, doc: "bit u: unit u's table was full" },
      ],
    },
    { name: "sweep", type: "u32", at: 62, doc: "replica: the owner's sweep that last confirmed it" },
    { name: "adopted", type: "i32", at: 63, unit: "ms", doc: "when ownership was taken over, while windows are tentative; 0 = never" },
  ],
});

export const MEMBER_STATE_NAMES = ["absent", "alive", "dead", "partitioned", "rejoining"] as const;
export const ROLE_NAMES = ["none", "active", "standby", "rejoining", "fail-closed"] as const;

/** One row per unit, as this unit sees it; row 0 is unused. */
/** Values of members.twinPath. */
export const TWIN_PATH_DOWN = 0;
export const TWIN_PATH_UP = 1;
export const TWIN_PATH_ONE_OF_TWO = 2;

export const MEMBERS: Table = defineTable({
  name: "members",
  doc: "the units of the logical firewall, as this one sees them",
  strideWords: 32,
  fields: [
    { name: "unit", type: "i32", at: 0, names: UNIT_NAMES, doc: "unit number; 0 = row unused" },
    {
      name: "state",
      type: "parts",
      at: 1,
      parts: [
        { name: "State", shift: 0, bits: 8, names: MEMBER_STATE_NAMES, doc: "as seen from here" },
        { name: "Role", shift: 8, bits: 8, names: ROLE_NAMES, doc: "its own word for itself" },
      ],
      doc: "state and role",
    },
    { name: "incarnation", type: "u32", at: 2, doc: "its current incarnation" },
    { name: "term", type: "u32", at: 3, doc: "its role's term" },
    { name: "successor", type: "i32", at: 4, names: UNIT_NAMES, doc: "unit that took over, 0 = none" },
    { name: "lastHeard", type: "i32", at: 5, unit: "ms", doc: "this boot's clock" },
    { name: "twinPath", type: "i32", at: 6, doc: "1: heartbeats work both ways on the twin port, or on both; 2: on one of two" },
    { name: "dataPath", type: "i32", at: 7, doc: "1: heartbeats work both ways on a data port" },
    { name: "roundTrip", type: "i32", at: 8, unit: "us", doc: "smoothed, twin port; 0 = unknown" },
    { name: "lagRows", type: "i32", at: 9, doc: "own rows that it has not acknowledged" },
    { name: "lagMicros", type: "i32", at: 10, unit: "us", doc: "age of the oldest of them" },
    { name: "sweeping", type: "i32", at: 11, doc: "1: a bulk sweep to it is under way" },
    { name: "digestsEqual", type: "i32", at: 12, doc: "1: all digests equal at the last comparison" },
    { name: "health", type: "parts", at: 13, parts: HEALTH_PARTS, doc: "what ails it, by its own word; 0 = nothing" },
    { name: "heartbeatsReceived", type: "f64", at: 14, doc: "since start" },
    { name: "framesRejected", type: "f64", at: 16, doc: "replayed, forged or corrupted frames" },
    { name: "associated", type: "i32", at: 18, doc: "1: keys are agreed" },
    { name: "priority", type: "i32", at: 19, doc: "configured; the higher one is preferred" },
    { name: "rowsSent", type: "f64", at: 20, doc: "session records sent" },
    { name: "rowsReceived", type: "f64", at: 22, doc: "session records applied" },
    { name: "handedOff", type: "f64", at: 24, doc: "packets handed to it" },
    { name: "handedHere", type: "f64", at: 26, doc: "packets it handed to us" },
    { name: "mtu", type: "i32", at: 28, unit: "bytes", doc: "twin path MTU in use" },
    { name: "exposedUnit", type: "i32", at: 29, doc: "its sessions that no other unit holds, by its own word" },
    { name: "exposedSite", type: "i32", at: 30, doc: "its sessions that no unit of the other site holds, by its own word" },
    { name: "exposedLink", type: "i32", at: 31, doc: "its sessions that need the link between the sites, by its own word" },
  ],
});

/** One row per unit and path, by unit × PATHS_PER_UNIT + path; path 0 is the twin port, path 1 + n data port n. */
export const PATHS_PER_UNIT = PORTS + 1;
export const PATH_TABLE: Table = defineTable({
  name: "paths",
  doc: "the paths to each unit",
  strideWords: 8,
  fields: [
    { name: "unit", type: "i32", at: 0, names: UNIT_NAMES, doc: "unit at the other end; 0 = row unused" },
    { name: "path", type: "i32", at: 1, doc: "0 = the first twin port, 1 + n = port n" },
    { name: "up", type: "i32", at: 2, doc: "1: both ways work" },
    { name: "roundTrip", type: "i32", at: 3, unit: "us", doc: "smoothed; 0 = unknown" },
    { name: "loss", type: "i32", at: 4, unit: "per mille", doc: "of its heartbeats, lately" },
    { name: "mtu", type: "i32", at: 5, unit: "bytes", doc: "what frames on it may have; 0 = unknown" },
  ],
});

export const PORT_STATE_NAMES = ["down", "up", "gone"] as const;

export const PORT_TABLE: Table = defineTable({
  name: "ports",
  doc: "NICs and their counters",
  strideWords: 32,
  fields: [
    { name: "number", type: "i32", at: 0, doc: "index, 0..; -1 = row unused" },
    { name: "state", type: "parts", at: 1, parts: [{ name: "State", shift: 0, bits: 8, names: PORT_STATE_NAMES, doc: "link" }], doc: "link state" },
    { name: "receivedPackets", type: "f64", at: 2, doc: "received" },
    { name: "receivedBytes", type: "f64", at: 4, unit: "bytes", doc: "received" },
    { name: "transmittedPackets", type: "f64", at: 6, doc: "sent" },
    { name: "transmittedBytes", type: "f64", at: 8, unit: "bytes", doc: "sent" },
    { name: "transmitFull", type: "f64", at: 10, doc: "packets that found the ring full" },
    { name: "receiveMissed", type: "f64", at: 12, doc: "dropped before we saw them" },
    { name: "receiveErrors", type: "f64", at: 14, doc: "not deliverable" },
  ],
});

/** One row per counter: first the drop reasons by number, then COUNTER_NAMES. */
export const COUNTER_NAMES = [
  "received",
  "forwarded",
  "local",
  "handed-off",
  "handed-here",
  "handed-back-judged",
  "handed-back-none",
  "handed-back-owner",
  "queried",
  "emitted-for-peer",
  "sessions-created",
  "sessions-ended",
  "sessions-adopted",
  "sessions-lost",
  "replicas-applied",
  "replicas-refused",
  "conflicts-won",
  "conflicts-yielded",
  "arp-answered",
  "nd-answered",
  "icmp-errors-sent",
  "resets-sent",
  "frames-sealed",
  "frames-opened",
  "frames-rejected",
  "backlog-discarded",
  "loop-gap-worst-us",
  "takeovers",
  "grants-given",
  "grants-taken",
  "grants-reclaimed",
  "first-packets-held",
  "first-packets-unheld",
  "strays-admitted",
  "twin-refused",
] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];
export const COUNTERS: Table = defineTable({
  name: "counters",
  doc: "drops by reason and what else is counted",
  strideWords: 2,
  fields: [{ name: "value", type: "f64", at: 0, doc: "since the tables were created" }],
});
export const COUNTER_ROWS = DROP_NAMES.length + COUNTER_NAMES.length;
/** Row of a counter; a drop reason's row is its number. */
export function counterRow(name: CounterName): number {
  return DROP_NAMES.length + COUNTER_NAMES.indexOf(name);
}

export const RULE_TABLE: Table = defineTable({
  name: "rules",
  doc: "hits per rule, by rule number",
  strideWords: 4,
  fields: [
    { name: "hits", type: "f64", at: 0, doc: "packets that the rule decided" },
    { name: "lastHit", type: "i32", at: 2, unit: "ms", doc: "this boot's clock" },
  ],
});

export const NEIGHBOUR_STATE_NAMES = ["free", "resolving", "reachable", "stale", "failed"] as const;
export const NEIGHBOUR_TABLE: Table = defineTable({
  name: "neighbours",
  doc: "ARP and ND",
  strideWords: 16,
  fields: [
    {
      name: "state",
      type: "parts",
      at: 0,
      parts: [
        { name: "State", shift: 0, bits: 8, names: NEIGHBOUR_STATE_NAMES, doc: "RFC 4861 §7.3.2, simplified" },
        { name: "Entry", shift: 8, bits: 8, doc: "zone entry it lies in" },
        { name: "Tries", shift: 16, bits: 8, doc: "requests sent" },
      ],
      doc: "state",
    },
    { name: "address", type: "address", at: 1, doc: "IPv4 as v4-mapped" },
    { name: "mac", type: "u32", at: 5, doc: "first four bytes, network order" },
    { name: "macRest", type: "u32", at: 6, doc: "last two bytes, network order" },
    { name: "confirmed", type: "i32", at: 7, unit: "ms", doc: "last proof; this boot's clock" },
    { name: "next", type: "i32", at: 8, unit: "ms", doc: "when the next request is due" },
    { name: "queued", type: "i32", at: 9, doc: "packets waiting" },
  ],
});

export const STATION_TABLE: Table = defineTable({
  name: "stations",
  doc: "transparent mode: who is heard on which end of a wire",
  strideWords: 4,
  fields: [
    { name: "mac", type: "u32", at: 0, doc: "first four bytes, as they lie in a packet" },
    { name: "macRest", type: "u32", at: 1, doc: "last two bytes, as they lie in a packet" },
    {
      name: "place",
      type: "parts",
      at: 2,
      parts: [
        { name: "Zone", shift: 0, bits: 8, doc: "0 = this row is free" },
        { name: "Vlan", shift: 16, bits: 16, doc: "0 = untagged" },
      ],
      doc: "where it is heard",
    },
  ],
});

export const COMMAND_TABLE: Table = defineTable({
  name: "commands",
  doc: "manager to dataplane, a ring",
  strideWords: 16,
  fields: [
    { name: "sequence", type: "i32", at: 0, doc: "written last; the slot is valid when it equals its position + 1" },
    { name: "kind", type: "i32", at: 1, doc: "COMMAND_*" },
    { name: "argument", type: "i32", at: 2, doc: "by kind" },
    { name: "argument2", type: "i32", at: 3, doc: "by kind" },
    { name: "answer", type: "i32", at: 4, doc: "by the dataplane: ORDER_ANSWERS" },
    { name: "answered", type: "i32", at: 5, doc: "written last, by the dataplane: the answer is valid when it equals the sequence" },
  ],
});
export const COMMAND_STOP = 1;
/** argument: unit whose dataplane exited and is being restarted (told by its manager). */
export const COMMAND_PEER_RESTARTING = 2;
/** Another policy was put where the dataplane finds it (fastpath/policy-loader.ts): read and use it. */
export const COMMAND_POLICY = 3;

/** argument: 1 = the store cannot write, 0 = it can again. */
export const COMMAND_DISK = 4;
/** argument: ORDERS; argument2: 1 = forced. Answered: ORDER_ANSWERS. */
export const COMMAND_ORDER = 5;
/** The file of pair keys (pair-keys.ts) was replaced: read it. */
export const COMMAND_KEYS = 6;

/** The event ring (events.ts). Kinds and their sentences: event-kinds.ts. */
export const EVENT_TABLE: Table = defineTable({
  name: "events",
  doc: "what happened, a ring that the store drains",
  strideWords: 32,
  fields: [
    { name: "sequence", type: "i32", at: 0, doc: "written last; the slot is valid when it equals its position + 1" },
    { name: "kind", type: "i32", at: 1, names: EVENT_NAMES, doc: "see event-kinds.ts" },
    { name: "at", type: "f64", at: 2, unit: "us", doc: "this boot's clock" },
    { name: "source", type: "address", at: 4, doc: "of the packet, if any" },
    { name: "destination", type: "address", at: 8, doc: "of the packet, if any" },
    { name: "ports", type: "ports", at: 12, doc: "of the packet, if any" },
    { name: "flow", type: "parts", at: 13, parts: flowParts, doc: "protocol and zone" },
    { name: "rule", type: "i32", at: 14, doc: "rule that logged, if any" },
    { name: "port", type: "i32", at: 15, doc: "port, if any" },
    { name: "unit", type: "i32", at: 16, names: UNIT_NAMES, doc: "unit that it is about, if any" },
    { name: "value", type: "f64", at: 18, doc: "by kind: a count, a duration in us" },
    { name: "suppressed", type: "i32", at: 20, doc: "events of this kind left out before this one" },
  ],
});

export const DRIVER_NAMES = ["simulator", "afxdp", "pcap"] as const;
export const MODE_NAMES = ["routed", "transparent"] as const;
export const FIRST_PACKET_NAMES = ["none", "query", "hold"] as const;

/** Page 0. */
export const HEADER: Table = defineTable({
  name: "header",
  doc: "what this area is, and who is alive",
  strideWords: 1024,
  fields: [
    { name: "magic", type: "u32", at: 0, doc: "0x54574e57; written last at creation" },
    { name: "layout", type: "u32", at: 1, doc: "layoutHash of all tables" },
    { name: "sessions", type: "i32", at: 2, doc: "capacity, rows" },
    { name: "unit", type: "i32", at: 3, names: UNIT_NAMES, doc: "unit number" },
    { name: "incarnation", type: "u32", at: 4, doc: "of these tables" },
    { name: "serialLow", type: "u32", at: 5, doc: "next session serial, low 32 bits, reserved in blocks" },
    { name: "serialHigh", type: "u32", at: 6, doc: "next session serial, high 8 bits" },
    { name: "eventHead", type: "i32", at: 7, doc: "events written" },
    { name: "commandHead", type: "i32", at: 8, doc: "commands written, by the manager" },
    { name: "commandTail", type: "i32", at: 9, doc: "commands taken, by the dataplane" },
    { name: "role", type: "parts", at: 10, parts: [{ name: "Role", shift: 0, bits: 8, names: ROLE_NAMES, doc: "own role" }], doc: "own role" },
    { name: "term", type: "u32", at: 11, doc: "own term" },
    { name: "sessionsLive", type: "i32", at: 12, doc: "rows in use, replicas included" },
    { name: "sessionsOwned", type: "i32", at: 13, doc: "rows owned by this unit" },
    { name: "tombstones", type: "i32", at: 14, doc: "ended rows still kept" },
    { name: "halfOpen", type: "i32", at: 15, doc: "TCP sessions that have not seen both SYNs" },
    { name: "breathAt", type: "f64", at: 16, unit: "us", doc: "clock at the last breath" },
    { name: "startedAt", type: "f64", at: 18, unit: "us", doc: "clock when this dataplane opened its ports" },
    { name: "breaths", type: "f64", at: 20, doc: "breaths since start" },
    { name: "starts", type: "i32", at: 22, doc: "dataplane starts on these tables" },
    { name: "health", type: "parts", at: 23, parts: HEALTH_PARTS, doc: "what ails this unit; 0 = nothing" },
    { name: "priority", type: "i32", at: 24, doc: "configured; the higher one of a pair is preferred" },
    { name: "passiveSites", type: "i32", at: 25, doc: "bit 0: the first site stands by, bit 1: the second" },
    { name: "revision", type: "u32", at: 26, doc: "policy revision in force" },
    { name: "driver", type: "i32", at: 27, names: DRIVER_NAMES, doc: "what moves its packets" },
    { name: "mode", type: "i32", at: 28, names: MODE_NAMES, doc: "port mode" },
    { name: "pathEpoch", type: "i32", at: 29, doc: "grows when a route, neighbour or port changes" },
    { name: "clean", type: "i32", at: 30, doc: "1: the last dataplane stopped on request" },
    { name: "siteTerm", type: "u32", at: 31, doc: "grows with each change of passiveSites" },
    { name: "exposedUnit", type: "i32", at: 32, doc: "own sessions that no other unit holds: lost if this unit failed now" },
    { name: "exposedSite", type: "i32", at: 33, doc: "own sessions that no unit of the other site holds: lost if this site failed now" },
    { name: "exposedLink", type: "i32", at: 34, doc: "own sessions whose packets come in at the other site: they stop if the link failed now" },
    { name: "firstPacket", type: "i32", at: 35, names: FIRST_PACKET_NAMES, doc: "what happens to first packets now" },
    { name: "site", type: "i32", at: 36, doc: "own site: 0 the first, 1 the second" },
  ],
});

export const MAGIC = 0x54574e57;
const PAGE_BYTES = 4096;

/** All tables in their order in the area; `rows(sessions)` each. */
export const TABLES: readonly { readonly table: Table; readonly rows: (sessions: number) => number }[] = [
  { table: HEADER, rows: () => 1 },
  { table: MEMBERS, rows: () => UNITS },
  { table: PATH_TABLE, rows: () => UNITS * PATHS_PER_UNIT },
  { table: PORT_TABLE, rows: () => PORTS },
  { table: COUNTERS, rows: () => COUNTER_ROWS },
  { table: RULE_TABLE, rows: () => RULES + 1 },
  { table: NEIGHBOUR_TABLE, rows: () => NEIGHBOURS },
  { table: STATION_TABLE, rows: () => WIRE_STATIONS },
  { table: COMMAND_TABLE, rows: () => COMMANDS },
  { table: EVENT_TABLE, rows: () => EVENTS },
  { table: SESSIONS, rows: (sessions) => sessions },
];

/** Of a whole area: a drop reason more moves every counter behind it, and a longer table whatever lies behind that. */
export const LAYOUT_HASH = layoutHash(
  TABLES.map((entry) => entry.table),
  [DROP_NAMES, COUNTER_NAMES, TABLES.map((entry) => entry.rows(1))],
);
/** Of session rows alone, as checkpoints keep them: they outlive a version that changes another table. */
export const SESSIONS_HASH = layoutHash([SESSIONS]);

/** Where a table lies: first byte in the area, and rows. */
export interface Region {
  readonly table: Table;
  readonly offsetBytes: number;
  readonly rows: number;
}

/** Regions of an area for `sessions` rows, by table name, and the area's size in bytes. */
export function planRegions(sessions: number): { readonly regions: ReadonlyMap<string, Region>; readonly totalBytes: number } {
  const regions = new Map<string, Region>();
  let offsetBytes = 0;
  for (const { table, rows } of TABLES) {
    const count = rows(sessions);
    regions.set(table.name, { table, offsetBytes, rows: count });
    offsetBytes += Math.ceil((count * table.strideWords * 4) / PAGE_BYTES) * PAGE_BYTES;
  }
  return { regions, totalBytes: offsetBytes };
}

/** One table of the area as typed arrays; word w of row r is `i[r * strideWords + w]`, its f64 `f[(r * strideWords + w) >> 1]`. */
export interface TableView {
  readonly i: Int32Array;
  readonly f: Float64Array;
  readonly rows: number;
  readonly strideWords: number;
}

export function viewTable(buffer: ArrayBuffer, region: Region): TableView {
  const words = region.rows * region.table.strideWords;
  return {
    i: new Int32Array(buffer, region.offsetBytes, words),
    f: new Float64Array(buffer, region.offsetBytes, words >> 1),
    rows: region.rows,
    strideWords: region.table.strideWords,
  };
}

/** Every table of a unit's area. */
export interface Tables {
  readonly header: TableView;
  readonly members: TableView;
  readonly paths: TableView;
  readonly ports: TableView;
  readonly counters: TableView;
  readonly rules: TableView;
  readonly neighbours: TableView;
  readonly stations: TableView;
  readonly commands: TableView;
  readonly events: TableView;
  readonly sessions: TableView;
}

/** Views over an area made by `planRegions(sessions)`. Does not check the header: the HAL that opened the area did. */
export function mapTables(buffer: ArrayBuffer, sessions: number): Tables {
  const { regions } = planRegions(sessions);
  const view = (name: string): TableView => viewTable(buffer, regions.get(name) as Region);
  return {
    header: view("header"),
    members: view("members"),
    paths: view("paths"),
    ports: view("ports"),
    counters: view("counters"),
    rules: view("rules"),
    neighbours: view("neighbours"),
    stations: view("stations"),
    commands: view("commands"),
    events: view("events"),
    sessions: view("sessions"),
  };
}

/** Word of a header field. */
export function headerWord(name: string): number {
  return word(HEADER, name);
}
