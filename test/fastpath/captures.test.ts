// Other people's captures through check() and sanity(): nothing throws or reads beyond a packet, and what must not pass does not.
// What must not pass was written down from the requirements, not from what the source projects alert on.

import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { P_FLAGS, P_FRAGMENT, P_LENGTH, P_OFFSET, PACKET_ICMP_ERROR, PACKET_LOCAL } from "../../firmware/fastpath/packets.ts";
import { Routes } from "../../firmware/fastpath/routes.ts";
import { sanity } from "../../firmware/fastpath/sanity.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { GuardedView } from "../fuzz/guard.ts";
import { captures } from "../vectors/pcap.ts";
import { CHECKED, plan, row } from "./craft.ts";

const all = captures();
const skip = all.length === 0 ? "skipped: no captures" : false;
const LONGEST_BYTES = 65_535 + 14;
const OFFSET = 256;
const view = new GuardedView(new ArrayBuffer(OFFSET + LONGEST_BYTES + OFFSET));
const bytes = new Uint8Array(view.buffer);
const wire = new Routes({ ...plan({ zones: [] }), mode: "transparent" });

interface Result {
  readonly reason: string;
  readonly isError: boolean;
  readonly isFragment: boolean;
}

function results(name: string): readonly Result[] {
  const capture = all.find((candidate) => candidate.name.includes(name));
  if (capture === undefined) throw new Error(`no capture ${name}`);
  return capture.frames.map(result);
}

function result(frame: Uint8Array): Result {
  const packet = row(frame.length, OFFSET);
  packet[P_OFFSET] = OFFSET;
  packet[P_LENGTH] = frame.length;
  bytes.set(frame, OFFSET);
  view.guard(OFFSET, OFFSET + frame.length);
  const fault = checkPacket(view, packet, 0, true);
  const isLocal = ((packet[P_FLAGS] as number) & PACKET_LOCAL) !== 0;
  const reason = DROP_NAMES[fault !== 0 || isLocal ? fault : sanity(packet, 0, view, wire, CHECKED)] as string;
  return { reason, isError: ((packet[P_FLAGS] as number) & PACKET_ICMP_ERROR) !== 0, isFragment: packet[P_FRAGMENT] !== 0 };
}

test("every capture runs through the parsers, and no read leaves its packet", { skip }, async (t) => {
  let frames = 0;
  for (const capture of all) {
    for (const frame of capture.frames) result(frame);
    frames += capture.frames.length;
  }
  t.ok(all.length >= 71, `${all.length} captures`);
  t.ok(frames > 2_500, `${frames} frames`);
});

/** Captures in which nothing must be dropped before a session or a rule is looked at. */
const SOUND = [
  "5-pings",
  "icmp__icmp-ping",
  "icmp6-ping",
  "icmp6-neighbor-solicit",
  "icmp6-neighbor-advert",
  "icmp6-router-advert",
  "icmp6-mldv2",
  "handshake-reorder",
  "option-27",
  "tcp__options",
  "payload-syn",
  "payload-synack",
  "tcp-fast-open",
  "window-scale-range",
  "tcp__timestamp",
  "retransmit-timeout",
  "syn-synack",
  "http-on-irc-port",
  "rst-inject-rae",
];
test("sound captures are found sound: handshakes in any order, options, Fast Open, pings", { skip }, async (t) => {
  for (const name of SOUND)
    t.ok(
      results(name).every(({ reason }) => reason === "none"),
      name,
    );
});

test("T5: Fast Open's data in a SYN is sound", { skip }, async (t) => {
  t.ok(results("payload-syn").every(({ reason }) => reason === "none"));
});

test("V1: ICMP errors that name their flow are matched to it", { skip }, async (t) => {
  for (const name of ["icmp-destunreach-udp", "icmp-timeexceeded", "icmp6-toobig", "icmp6-timeexceeded", "icmp6-paramprob", "icmp6-destunreach-ip6ext-udp"]) {
    t.ok(
      results(name).every(({ reason, isError }) => reason === "none" && isError),
      name,
    );
  }
});

test("N5: ICMP errors that name no flow match none", { skip }, async (t) => {
  for (const name of ["icmp-destunreach-no-context", "icmp-destunreach-ip.", "icmp6-destunreach-no-context", "icmp6-destunreach-ip6ext-trunc"]) {
    t.ok(
      results(name).every(({ reason }) => reason === "icmp-unmatched"),
      name,
    );
  }
});

test("T7: captures with wrong checksums show them", { skip }, async (t) => {
  t.ok(results("syn-bad").some(({ reason }) => reason === "bad-transport-checksum"));
  t.ok(results("retransmit-fast009").every(({ reason }) => reason === "bad-ip-checksum"));
});

test("V3: a malformed IPv4 option does not pass", { skip }, async (t) => {
  t.equal(results("decode-malformed-ipv4").filter(({ reason }) => reason === "bad-ip-option").length, 1);
});

test("F3: a FIN without ACK is no segment", { skip }, async (t) => {
  t.ok(results("fin_retransmission").some(({ reason }) => reason === "bad-tcp-flags"));
  t.ok(results("syn-then-stuff-then-rst").some(({ reason }) => reason === "bad-tcp-flags"));
});

test("F5: a SYN cut into fragments smaller than its header does not pass (RFC 1858)", { skip }, async (t) => {
  for (const name of ["frag-ip-tcp-syn", "frag-eth-vlan-ip-tcp-syn", "frag-ppp-ip-tcp-syn"])
    t.ok(
      results(name).some(({ reason, isFragment }) => reason === "fragment-invalid" && isFragment),
      name,
    );
});

test("neighbour discovery whose options do not end is malformed", { skip }, async (t) => {
  t.ok(results("nd-short-options").some(({ reason }) => reason === "bad-neighbour-discovery"));
  t.notOk(results("nd-options").some(({ reason }) => reason === "bad-neighbour-discovery"));
});
