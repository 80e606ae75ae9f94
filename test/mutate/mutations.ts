// Each rule that can be switched off, and how: the text in the source that is the rule, what stands there instead, and the ids
// whose tests must notice. `find` must occur exactly once in its file; a list that has grown stale fails.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Mutation {
  /** The rule that is switched off. */
  readonly rule: string;
  readonly ids: readonly string[];
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const F = "firmware/fastpath/";
const CHECK = `${F}check.ts`;
const ENGINE = `${F}engine.ts`;
const DATAGRAMS = `${F}datagrams.ts`;
const FRAGMENTS = `${F}fragments.ts`;
const HALF_OPEN = `${F}half-open.ts`;
const JUDGE = `${F}judge.ts`;
const POLICY = `${F}policy.ts`;
const SANITY = `${F}sanity.ts`;
const TCP = `${F}track/tcp.ts`;

/** Why a mutation does not fit the sources under `root`; empty when it does. */
export function staleness({ rule, file, find }: Mutation, root: string): readonly string[] {
  const times = readFileSync(join(root, file), "utf8").split(find).length - 1;
  return times === 1 ? [] : [`mutations.ts is stale: "${rule}" looks for a text that ${file} has ${times} times: ${find}`];
}

function mutation(rule: string, ids: string, file: string, find: string, replace: string): Mutation {
  return { rule, ids: ids.split(" "), file, find, replace };
}

export const MUTATIONS: readonly Mutation[] = [
  mutation("a unit that is not ready passes nothing", "F1", ENGINE, "if (!this.partner.mayForward && (", "if (this.partner === undefined && ("),
  mutation(
    "a full table opens no session",
    "F1",
    JUDGE,
    "if (session < 0) return this.refused(words, at, EVENT_TABLE_FULL, TABLE_FULL);",
    "if (session < 0) return FORWARD;",
  ),

  mutation("rules look at zones", "F2", POLICY, "this.zonePair(fromZone, toZone),", "this.zonePair(toZone, fromZone),"),
  mutation("rules look at the source", "F2", POLICY, "this.sourceIntervals.find(words, at),", "this.sourceIntervals.find(words, at + T_DESTINATION),"),
  mutation(
    "rules look at the destination",
    "F2",
    POLICY,
    "this.destinationIntervals.find(words, at + T_DESTINATION),",
    "this.destinationIntervals.find(words, at),",
  ),
  mutation(
    "rules look at destination ports, not source ports",
    "F2",
    POLICY,
    "((ports >>> 8) & 0xff00) | (ports >>> 24);",
    "((ports & 0xff) << 8) | ((ports >>> 8) & 0xff);",
  ),
  mutation(
    "rules look at the ICMP type",
    "F2",
    POLICY,
    "isIcmp(protocol) ? ((icmp & 0xff) << 8) | ((icmp >>> 8) & 0xff) : ((ports >>> 8)",
    "isIcmp(protocol) ? (8 << 8) | ((icmp >>> 8) & 0xff) : ((ports >>> 8)",
  ),
  mutation(
    "rules look at the ICMP code",
    "F2",
    POLICY,
    "isIcmp(protocol) ? ((icmp & 0xff) << 8) | ((icmp >>> 8) & 0xff) : ((ports >>> 8)",
    "isIcmp(protocol) ? (icmp & 0xff) << 8 : ((ports >>> 8)",
  ),
  mutation("a logging rule logs what it denies", "F2", JUDGE, "if (rule === 0 || this.policy.logs(rule))", "if (rule === 0)"),
  mutation("a logging rule logs what it permits", "F2", JUDGE, "if (this.policy.logs(rule)) this.events", "if (rule < 0) this.events"),

  mutation("impossible TCP flags", "F3", `${F}wire/tcp.ts`, "if (POSSIBLE[view.getUint8(at + TCP_FLAGS) & 0x37] === 0) return BAD_FLAGS;", ""),
  mutation("what opens nothing meets no permission", "F3", JUDGE, "if (isTcp && !this.opens(", "if (protocol < 0 && !this.opens("),
  mutation(
    "data before the handshake",
    "F3",
    TCP,
    "if ((flags & TCP_ACK) === 0 || ((state >>> ORIGINATOR_SHIFT) & (state >>> RESPONDER_SHIFT) & SAW_SYN) === 0) return BAD_STATE;",
    "",
  ),
  mutation(
    "ICMP questions are told apart by type and code",
    "F3",
    `${F}wire/icmp.ts`,
    "if (kind === KIND_QUERY) return identifier | (((type << 8) | code) << 16);",
    "if (kind === KIND_QUERY) return identifier | (8 << 24);",
  ),
  mutation(
    "a session has ports",
    "F3",
    CHECK,
    "words[at + P_PORTS] = view.getInt32(l4, true);\n    return 0;",
    "words[at + P_PORTS] = view.getInt32(l4, true) & 0;\n    return 0;",
  ),
  mutation("a SYN,ACK must answer the SYN", "F3", TCP, "> ACK_WINDOW_BYTES) return BAD_STATE;", "> ACK_WINDOW_BYTES) return TCP_PASS;"),

  mutation(
    "a reset ends the session",
    "F4 W2 T2",
    TCP,
    "return sequence === ownEnd || sequence === i[row + S_ACKED + direction] ? TCP_ENDED : TCP_PASS;",
    "return sequence === ownEnd ? TCP_PASS : TCP_PASS;",
  ),
  mutation("after the close only its repetition passes", "F4 W2", TCP, "return overtaken ? STRAGGLER : BAD_STATE;", "return TCP_PASS;"),
  mutation(
    "an idle session ends",
    "F4",
    ENGINE,
    "else if (left > 0) this.sessions.wheel.schedule(session, this.nowMillis, left);\n      else this.judge.end(session);",
    "else this.sessions.wheel.schedule(session, this.nowMillis, Math.max(left, LOOK_AGAIN_MILLIS));",
  ),
  mutation("time-wait is short", "F4", JUDGE, "? this.idle.tcpTimeWait", "? this.idle.tcpEstablished"),

  mutation("IPv4 sources that cannot be", "F5", SANITY, "if (source === 0 || source === LOOPBACK_NET || source >= 224) return BAD_SOURCE;", ""),
  mutation("IPv4 multicast as a source", "F5", SANITY, "source === LOOPBACK_NET || source >= 224)", "source === LOOPBACK_NET || source >= 240)"),
  mutation("IPv4 240/4 as a source", "F5", SANITY, "source === LOOPBACK_NET || source >= 224)", "source === LOOPBACK_NET || (source >= 224 && source < 240))"),
  mutation(
    "IPv4 destinations that cannot be",
    "F5",
    SANITY,
    "return destination === 0 || destination === LOOPBACK_NET || destination >= 240 ? BAD_DESTINATION : 0;",
    "return 0;",
  ),
  mutation("IPv6 sources that cannot be", "F5 V2", SANITY, "=== 0xff || isReservedV6(0)) return BAD_SOURCE; // V2", "=== 0x100) return BAD_SOURCE; // V2"),
  mutation("IPv6 destinations that cannot be", "F5", SANITY, "if (isReservedV6(4)) return BAD_DESTINATION;", ""),
  mutation("the strict IPv6 profile", "F5", SANITY, "if (!strict) return 0;", "if (strict || !strict) return 0;"),
  mutation("equal source and destination", "F5", SANITY, "pair[2] === pair[6]) return LAND;", "pair[2] === pair[6]) return 0;"),
  mutation("directed broadcasts", "F5", SANITY, "if (!v6 && routes.stations.isBroadcast(pair, 4)) return BAD_DESTINATION;", ""),
  mutation("IPv4 in disguise", "F5", CHECK, "if (isMapped(words, at + P_SOURCE)) return BAD_SOURCE;", ""),
  mutation("fragments that are not multiples of eight", "F5", CHECK, "if ((fragment & 1) !== 0 && (l4Bytes & 7) !== 0) return FRAGMENT_INVALID;", ""),
  mutation("fragments beyond 65,535 bytes", "F5", CHECK, "if (offsetBytes + l4Bytes > DATAGRAM_BYTES_MOST) return FRAGMENT_INVALID;", ""),
  mutation("a TCP header in pieces", "F5", CHECK, "return offsetBytes === 8 && protocol === PROTOCOL_TCP ? FRAGMENT_INVALID : 0;", "return 0;"),
  mutation("an IP packet shorter than it says", "F5", `${F}wire/ipv4.ts`, "if (totalBytes > end - at) return TRUNCATED;", ""),
  mutation("the IP header checksum", "F5", `${F}wire/ipv4.ts`, "if (fold(sumBytes(view, at, headerBytes, 0)) !== 0xffff) return BAD_CHECKSUM;", ""),

  mutation("our own address as a source", "F6", SANITY, "if (checks.ownSource && routes.isOwn(pair, 0) >= 0) return OWN_SOURCE;", ""),
  mutation("link-local goes no further", "F6", SANITY, "if (!checks.linkLocal || routes.isOwn", "if (checks.linkLocal || routes.isOwn"),
  mutation(
    "the reverse path",
    "F6 V2",
    SANITY,
    "return route < 0 || routes.zone[route] !== words[at + P_ZONE] ? SPOOFED : 0;",
    "return route < -1 ? SPOOFED : 0;",
  ),
  mutation("the reverse path can be left unchecked", "F6", SANITY, "if (!checks.reversePath) return 0;", ""),

  mutation("the first rule that matches wins", "F7", POLICY, "if (place < best) best = place;", "best = place;"),
  mutation("the first rule of a word wins", "F7", POLICY, "(31 - Math.clz32(hits & -hits))] as number;", "(31 - Math.clz32(hits))] as number;"),
  mutation("no match means deny", "F8", POLICY, "return best === NO_PLACE ? ACTION_DENY :", "return best === NO_PLACE ? ACTION_PERMIT :"),

  mutation(
    "the half-open limit",
    "F9 W6",
    HALF_OPEN,
    "return own < limit >> (sites - 1) && own + (this.counts[place * SITES + (1 - site)] as number) < limit;",
    "return own >= 0;",
  ),
  mutation(
    "the half-open limit is one for both sites",
    "W6",
    HALF_OPEN,
    "return own < limit >> (sites - 1) && own + (this.counts[place * SITES + (1 - site)] as number) < limit;",
    "return own < limit;",
  ),
  mutation(
    "a flood takes a part of the table only",
    "F9",
    HALF_OPEN,
    "if (this.total >= this.most || (this.totals[site] as number) >= this.most >> (sites - 1)) return false;",
    "",
  ),
  mutation("an established session gives its place back", "F9", JUDGE, "if (kind >= ESTABLISHED) this.sessions.setHalfOpen(session, false);", ""),

  mutation(
    "forwarded packets are padded with zeroes",
    "F10",
    `${F}forward.ts`,
    "for (let byte = offset + length; byte < offset + FRAME_BYTES_LEAST; byte++) this.bytes[byte] = 0;",
    "",
  ),
  mutation("our own packets are padded with zeroes", "F10", `${F}frames.ts`, "for (let k = end; k < least; k = (k + 1) | 0) bytes[k] = 0;", ""),
  mutation(
    "what lies behind a packet is not sent",
    "F10",
    `${F}forward.ts`,
    "const length = (words[at + P_L3] as number) + (words[at + P_IP_BYTES] as number) - offset;\n    this.outlet.send(port",
    "const length = words[at + P_LENGTH] as number;\n    this.outlet.send(port",
  ),

  mutation("seq ≤ sender.maxend", "T1", TCP, "if (((sequence - ownMaxEnd) | 0) > 0) return OUT_OF_WINDOW;", ""),
  mutation(
    "seq + len ≥ highest ack − receiver.maxwin",
    "T1",
    TCP,
    "if (((end - (i[row + S_ACKED + direction] as number) + otherMaxWindow) | 0) < 0) return OUT_OF_WINDOW;",
    "",
  ),
  mutation("ack ≤ receiver.end", "T1", TCP, "if (((ack - otherEnd) | 0) > 0) return OUT_OF_WINDOW;", ""),
  mutation("ack ≥ highest ack − max(own maxwin, 66,000)", "T1", TCP, "if (((ack - acked + ackWindow) | 0) < 0) return OUT_OF_WINDOW;", ""),
  mutation(
    "windows are scaled",
    "T1",
    TCP,
    "const windowBytes = view.getUint16(l4 + TCP_WINDOW) << scaleOf(state, direction);",
    "const windowBytes = view.getUint16(l4 + TCP_WINDOW);",
  ),
  mutation("scaling needs both offers", "T1", TCP, "next = withScale(withScale(next, 0, SCALE_NONE), 1, SCALE_NONE);", ""),
  mutation(
    "a reset must be exact to close",
    "T2",
    TCP,
    "return sequence === ownEnd || sequence === i[row + S_ACKED + direction] ? TCP_ENDED : TCP_PASS;",
    "return TCP_ENDED;",
  ),
  mutation(
    "a reset in the handshake must acknowledge the SYN",
    "T2",
    TCP,
    "if (exact) return TCP_ENDED;",
    "if (exact || (flags & TCP_RST) !== 0) return TCP_ENDED;",
  ),
  mutation(
    "a SYN in an established session moves nothing",
    "T3",
    TCP,
    "if (kind >= ESTABLISHED) return trackLateSyn(i, row, direction, view, l4, l4Bytes, flags);",
    "",
  ),
  mutation("midstream windows are not enforced", "T4", TCP, "if ((state & (FLAG_TENTATIVE | FLAG_MIDSTREAM)) !== 0)", "if ((state & FLAG_TENTATIVE) !== 0)"),
  mutation("midstream is a setting", "T4 F3", JUDGE, "return this.checks.midstream && (flags", "return (flags"),
  mutation("data in a SYN", "T5", TCP, "const end = (sequence + l4Bytes - headerBytes + 1) | 0;\n  beginTcp", "const end = (sequence + 1) | 0;\n  beginTcp"),
  mutation(
    "simultaneous open",
    "T5",
    TCP,
    "} else if (direction === 1 && ((state >>> ORIGINATOR_SHIFT) & SAW_SYN) === 0) return BAD_STATE;",
    "} else if (direction === 1) return BAD_STATE;",
  ),
  mutation("an established session may rest for two hours", "T6", JUDGE, "? this.idleOf(row, this.idle.tcpEstablished)", "? this.idle.tcpOpening"),
  mutation("TCP, UDP and ICMP checksums", "T7", CHECK, "return BAD_CHECKSUM;\n  return setPorts", "return 0;\n  return setPorts"),
  mutation(
    "UDP without a checksum, IPv6",
    "T7",
    CHECK,
    "if (view.getUint16(l4 + UDP_CHECKSUM) === 0) return !v6;",
    "if (view.getUint16(l4 + UDP_CHECKSUM) === 0) return true;",
  ),
  mutation("checksums are a setting", "T7", CHECK, "if ((checksums || isIcmpError(", "if ((checksums || !isIcmpError("),

  mutation(
    "UDP rests for two minutes, and for five when it was answered",
    "N2",
    JUDGE,
    "if (((i[row + S_STATE] as number) & 0xff) === UDP_BOTH_WAYS) i[row + S_IDLE_LIMIT] = this.idleOf(row, this.idle.udpBothWays);",
    "",
  ),
  mutation("an ICMP query rests a minute", "N3", "firmware/limits.ts", "icmpQuery: 60_000,", "icmpQuery: 6_000,"),
  mutation(
    "an ICMP answer is not taken for a question",
    "F3",
    `${F}track/icmp.ts`,
    "return (icmp & 0xff) === ICMP_COUNTERPARTS[(question & 0xff) | (v6 ? 256 : 0)] ? 0 : UNMATCHED;",
    "return v6 ? 0 : 0;",
  ),
  mutation(
    "an ICMP error ends nothing",
    "N4",
    JUDGE,
    "if (((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) === 0) {",
    "if (((words[at + P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0) this.end(found >>> 1);\n    else {",
  ),
  mutation("an ICMP error needs a live flow", "N5 V1", JUDGE, "!== 0) return ICMP_UNMATCHED;\n    const toZone", "!== 0) return FORWARD;\n    const toZone"),
  mutation(
    "an ICMP error goes to its flow's sender",
    "N5",
    CHECK,
    "if (view.getInt32(ip + IPV4_SOURCE, true) !== words[at + P_DESTINATION + 3]) return ICMP_UNMATCHED;",
    "",
  ),
  mutation(
    "ICMPv6 errors find their flow",
    "V1",
    CHECK,
    "return v6 ? setQuotedV6(view, words, at, l4, end) : setQuotedV4(view, words, at, l4, end);",
    "return v6 ? ICMP_UNMATCHED : setQuotedV4(view, words, at, l4, end);",
  ),
  mutation("ICMPv6 echo passes both ways", "V1", `${F}wire/icmp.ts`, "  [128],\n  [129],", "  [128],\n  [],"),
  mutation(
    "routing header type 0",
    "V2",
    `${F}wire/ipv6.ts`,
    "return view.getUint8(at + 2) === 0 || view.getUint8(at + 3) !== 0 ? BAD_EXTENSION : 0;",
    "return view.getUint8(at + 3) !== 0 ? BAD_EXTENSION : 0;",
  ),
  mutation(
    "routing headers that are not done",
    "V2",
    `${F}wire/ipv6.ts`,
    "return view.getUint8(at + 2) === 0 || view.getUint8(at + 3) !== 0 ? BAD_EXTENSION : 0;",
    "return view.getUint8(at + 2) === 0 ? BAD_EXTENSION : 0;",
  ),
  mutation(
    "IPv4 options that do not pass",
    "V3 F5",
    `${F}wire/ipv4.ts`,
    "const wanted = options[kind] as number;",
    "const wanted = (options[kind] as number) || 1;",
  ),
  mutation(
    "lengths of IPv4 options",
    "V3",
    `${F}wire/ipv4.ts`,
    "if (bytes < OPTION_BYTES_LEAST || bytes > end - k || (wanted !== 1 && bytes !== wanted)) return BAD_OPTION;",
    "if (bytes < OPTION_BYTES_LEAST) return 0;",
  ),
  mutation("Router Alert passes", "V3", `${F}wire/ipv4.ts`, "optionTable([OPTION_ROUTER_ALERT])", "optionTable([])"),

  mutation("fragments that overlap", "V4 V5", FRAGMENTS, "if (start < to && end > from) {", "if (start < to && end > from && total === -2) {"),
  mutation("a repeated fragment must bring the same bytes", "V4 V5", FRAGMENTS, "&& last === lasts && this.repeats(slot) ?", "&& last === lasts ?"),
  mutation(
    "a datagram that has died stays dead",
    "V4 V5",
    FRAGMENTS,
    "if (this.states[datagram] === DEAD) return DROP | ((this.reasons[datagram] as number) << 8);",
    "if (this.states[datagram] === DEAD) this.states[datagram] = GATHERING;",
  ),
  mutation(
    "fragments in any order",
    "N8",
    FRAGMENTS,
    "if (wrong === DUPLICATE) return DROP | (DUPLICATE << 8);",
    "if (wrong === DUPLICATE || this.start !== this.covered[datagram]) return DROP | (DUPLICATE << 8);",
  ),
  mutation(
    "what repeats a fragment does not kill",
    "N8",
    FRAGMENTS,
    "if (wrong === DUPLICATE) return DROP | (DUPLICATE << 8);",
    "if (wrong === DUPLICATE) return this.kill(datagram, OVERLAP);",
  ),
  mutation(
    "two ends, bytes behind the end",
    "F5",
    FRAGMENTS,
    "if (total !== NONE && (last || end > total)) return INVALID;\n    if (last && farthest > end) return INVALID;",
    "",
  ),
  mutation(
    "what waits for too long is given up",
    "V4",
    FRAGMENTS,
    ">= (this.lifetimes[datagram] as number);",
    ">= (this.lifetimes[datagram] as number) * 1_000;",
  ),
  mutation(
    "datagrams per source are bounded",
    "V4",
    FRAGMENTS,
    "if ((this.datagramsOf[source] as number) >= FRAGMENT_DATAGRAMS_PER_SOURCE) this.evict(this.bySource.oldest(source, NONE));",
    "",
  ),
  mutation(
    "frames per source are bounded",
    "V4",
    FRAGMENTS,
    "while ((this.heldOf[source] as number) >= FRAGMENTS_HELD_PER_SOURCE) if (!this.evict(this.bySource.oldest(source, datagram))) return false;",
    "",
  ),
  mutation(
    "an atomic fragment is a datagram",
    "V4",
    CHECK,
    "view.getUint16(l3 + fragmentAt + FRAGMENT_OFFSET) & 0xfff9;",
    "(view.getUint16(l3 + fragmentAt + FRAGMENT_OFFSET) & 0xfff9) || 1;",
  ),
  mutation(
    "the first fragment holds the header chain",
    "V4 F5",
    CHECK,
    "if (wrong !== 0) return fragment !== 0 && wrong === BAD_TRANSPORT ? FRAGMENT_INVALID : wrong;",
    "if (wrong !== 0) return fragment !== 0 && wrong === BAD_TRANSPORT ? 0 : wrong;",
  ),
  mutation(
    "the checksum of a datagram in fragments",
    "T7",
    DATAGRAMS,
    "return fold(sum) === 0xffff ? 0 : BAD_CHECKSUM;",
    "return fold(sum) === 0xffff ? 0 : 0;",
  ),
  mutation("fragments follow their datagram's session", "W3", DATAGRAMS, "else if (isOwnerNamed) this.toOwner(row, found >>> 1, owner);", ""),
  mutation(
    "fragments by both sites are gathered at one",
    "W3",
    DATAGRAMS,
    "else if (away && fragments.isWaiting(datagram, nowMillis, FRAGMENT_GATHER_MILLIS)) this.sendAway(datagram, nowMillis);",
    "",
  ),

  mutation(
    "the owner decides, wherever a packet arrives",
    "W1",
    JUDGE,
    "if (kind === OWNER_HERE) return FORWARD;",
    "if (kind === OWNER_HERE || kind === OWNER_ELSEWHERE) return FORWARD;",
  ),
  mutation("replayed twin frames are not read", "W7", "firmware/twin/replay.ts", "(low & 31)) & 1) === 0;", "(low & 31)) & 1) <= 1;"),
  mutation("a successor adopts", "W4", "firmware/twin/ownership.ts", "this.sessions.adopt(row, nowMillis);", ""),
];
