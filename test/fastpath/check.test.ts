// check(): what is a packet, what its row says about it, and the reason for everything that is none.

import fc from "fast-check";
import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import {
  P_DESTINATION,
  P_FAULT,
  P_FLAGS,
  P_FLOW,
  P_FRAGMENT,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_L4_BYTES,
  P_PORTS,
  P_PROTOCOL,
  P_SOURCE,
  P_VLAN,
  PACKET_ICMP_ERROR,
  PACKET_ICMP_SHIFT,
  PACKET_IPV6,
  PACKET_LOCAL,
  PACKET_MULTICAST,
  PACKET_TAGGED,
} from "../../firmware/fastpath/packets.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { checksumOf, sumBytes } from "../../firmware/fastpath/wire/checksum.ts";
import { type Crafted, craft, finishTransport, HOST_MAC, mac, row, words } from "./craft.ts";

/** Checks a frame; the row, and the reason's name. */
function check(frame: Uint8Array<ArrayBuffer>, checksums = true): { readonly packet: Int32Array; readonly reason: string } {
  const packet = row(frame.length).fill(-1, P_SOURCE, P_FAULT + 1);
  const reason = checkPacket(new DataView(frame.buffer, frame.byteOffset, frame.byteLength), packet, 0, checksums);
  if (packet[P_FAULT] !== reason) throw new Error("P_FAULT is not what check() returned");
  return { packet, reason: DROP_NAMES[reason] as string };
}

const reasonOf = (parts: Crafted) => check(craft(parts)).reason;
const ports = (packet: Int32Array) => {
  const view = new DataView(packet.buffer);
  return [view.getUint16(P_PORTS * 4), view.getUint16(P_PORTS * 4 + 2)];
};
const V6 = { source: "2001:db8:1::11", destination: "2001:db8:3::33" };
/** Changes bytes of a sound frame, and mends the IPv4 header's checksum. */
function broken(parts: Crafted, change: (frame: Uint8Array<ArrayBuffer>, view: DataView) => void): Uint8Array<ArrayBuffer> {
  const frame = craft(parts);
  const view = new DataView(frame.buffer);
  change(frame, view);
  if (view.getUint16(12) === 0x0800) {
    view.setUint16(24, 0);
    view.setUint16(24, checksumOf(sumBytes(view, 14, Math.min(((frame[14] as number) & 15) * 4, frame.length - 14), 0)), true);
  }
  return frame;
}

test("F2: a TCP packet's row holds addresses, ports, protocol and lengths, IPv4 and IPv6", async (t) => {
  for (const parts of [{}, V6]) {
    const { packet, reason } = check(craft({ ...parts, payload: [1, 2, 3] }));
    const v6 = "source" in parts;
    t.equal(reason, "none");
    t.same(packet.subarray(P_SOURCE, P_SOURCE + 4), words(v6 ? V6.source : "10.1.0.11"));
    t.same(packet.subarray(P_DESTINATION, P_DESTINATION + 4), words(v6 ? V6.destination : "10.3.0.33"));
    t.same(ports(packet), [40_000, 80]);
    t.equal(packet[P_FLAGS], v6 ? PACKET_IPV6 : 0);
    t.equal(packet[P_FLOW], 6);
    t.equal(packet[P_PROTOCOL], 6);
    t.equal(packet[P_L3], 14);
    t.equal(packet[P_L4], v6 ? 54 : 34);
    t.equal(packet[P_L4_BYTES], 23);
    t.equal(packet[P_IP_BYTES], v6 ? 63 : 43);
    t.equal(packet[P_FRAGMENT], 0);
  }
});

test("a tag is looked through: VLAN id and shifted offsets; a priority tag is no VLAN", async (t) => {
  const tagged = check(craft({ vlan: 0x6000 | 30 })).packet;
  t.equal(tagged[P_VLAN], 30);
  t.equal((tagged[P_FLAGS] as number) & PACKET_TAGGED, PACKET_TAGGED);
  t.equal(tagged[P_L3], 18);
  t.equal(check(craft({ vlan: 0x6000 })).packet[P_VLAN], 0);
});

test("a frame that breaks off anywhere is truncated, never read beyond", async (t) => {
  for (const parts of [{}, V6, { vlan: 5 }, { protocol: 17 }, { protocol: 1 }]) {
    const frame = craft({ ...parts, payload: [1, 2, 3, 4] });
    for (let length = 0; length < frame.length; length++)
      if (check(frame.slice(0, length)).reason !== "truncated") t.fail(`${JSON.stringify(parts)} cut at ${length}`);
    t.equal(check(frame).reason, "none");
  }
});

test("Ethernet padding is no part of the packet", async (t) => {
  const frame = craft({ protocol: 17, payload: [7] });
  const padded = new Uint8Array(60);
  padded.set(frame);
  const { packet, reason } = check(padded);
  t.equal(reason, "none");
  t.equal(packet[P_L4_BYTES], 9);
});

test("what is neither ARP nor IP is unknown, and shows no addresses of an earlier packet", async (t) => {
  const frame = craft();
  frame.set([0x88, 0xcc], 12);
  const { packet, reason } = check(frame);
  t.equal(reason, "unknown-ethertype");
  t.same(packet.subarray(P_SOURCE, P_FLOW + 1), new Int32Array(10));
});

test("a frame from a group address is nobody's", async (t) => {
  t.equal(reasonOf({ sourceMac: "03:00:00:00:00:01" }), "bad-source");
});

test("wrong IP versions, header lengths and total lengths", async (t) => {
  t.equal(check(broken({}, (frame) => frame.set([0x65], 14))).reason, "bad-ip-header");
  t.equal(check(broken({}, (frame) => frame.set([0x44], 14))).reason, "bad-ip-header");
  t.equal(check(broken({}, (_, view) => view.setUint16(16, 19))).reason, "bad-ip-header");
  t.equal(check(broken({}, (_, view) => view.setUint16(16, 41))).reason, "truncated");
  t.equal(check(broken(V6, (frame) => frame.set([0x45], 14))).reason, "bad-ip-header");
});

test("the IPv4 header checksum is verified, whatever the setting", async (t) => {
  const frame = craft();
  frame[24] = (frame[24] as number) ^ 1;
  t.equal(check(frame, false).reason, "bad-ip-checksum");
});

test("T7: wrong TCP, UDP and ICMP checksums are dropped, unless configured otherwise", async (t) => {
  for (const version of [{}, V6]) {
    for (const protocol of [6, 17, "source" in version ? 58 : 1]) {
      const frame = craft({ ...version, protocol, payload: [1, 2, 3, 4, 5] });
      const last = frame.length - 1;
      frame[last] = (frame[last] as number) ^ 0x10;
      t.equal(check(frame).reason, "bad-transport-checksum", `protocol ${protocol}`);
      t.equal(check(frame, false).reason, "none");
    }
  }
});

test("T7: UDP without a checksum passes in IPv4 only", async (t) => {
  for (const [version, reason] of [
    [{}, "none"],
    [V6, "bad-transport-checksum"],
  ] as const) {
    const frame = craft({ ...version, protocol: 17 });
    frame.set([0, 0], frame.length - 2);
    t.equal(check(frame).reason, reason);
  }
});

test("UDP lengths that cannot be", async (t) => {
  for (const length of [0, 7, 13])
    t.equal(check(broken({ protocol: 17, payload: [1, 2, 3, 4] }, (_, view) => view.setUint16(38, length))).reason, "bad-transport-header");
});

test("V3: End, No-Operation and Router Alert pass; source routes, records, timestamps, stream ids and unknown options do not", async (t) => {
  for (const options of [
    [1, 1, 1, 1],
    [0, 0, 0, 0],
    [148, 4, 0, 0],
    [1, 148, 4, 0, 0, 0, 99, 99],
  ])
    t.equal(reasonOf({ ipOptions: options }), "none");
  for (const kind of [131, 137, 7, 68, 136, 130, 30]) t.equal(reasonOf({ ipOptions: [kind, 4, 0, 0] }), "bad-ip-option", `option ${kind}`);
  for (const options of [
    [148, 0, 0, 0],
    [148, 3, 0, 0],
    [1, 1, 1, 148],
    [1, 148, 4, 0],
  ])
    t.equal(reasonOf({ ipOptions: options }), "bad-ip-option", "malformed");
});

test("TCP header lengths and option lengths are checked before anything steps over them", async (t) => {
  t.equal(check(broken({}, (frame) => frame.set([0x40], 46))).reason, "bad-transport-header");
  t.equal(check(broken({}, (frame) => frame.set([0x60], 46))).reason, "bad-transport-header");
  for (const options of [
    [2, 4, 5, 180],
    [1, 1, 1, 0],
    [3, 3, 7, 0],
    [254, 4, 0, 0],
    [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
  ])
    t.equal(reasonOf({ tcpOptions: options }), "none");
  for (const options of [
    [2, 0, 5, 180],
    [2, 1, 5, 180],
    [2, 5, 5, 180],
    [1, 1, 1, 2],
    [1, 1, 8, 11, 0, 0, 0, 1, 0, 0, 0, 2],
  ])
    t.equal(reasonOf({ tcpOptions: options }), "bad-transport-header", String(options));
});

test("F3: impossible TCP flags: SYN or FIN with what excludes it, FIN without ACK, none at all", async (t) => {
  const [fin, syn, rst, psh, ack, urg] = [1, 2, 4, 8, 16, 32] as const;
  for (const flags of [syn, syn | psh, syn | ack, rst, rst | ack, ack, ack | psh, ack | urg, fin | ack, fin | ack | psh, syn | 0xc0, syn | ack | 0x40])
    t.equal(reasonOf({ flags }), "none", `flags ${flags}`);
  for (const flags of [0, psh, fin, urg, syn | fin, syn | rst, syn | fin | ack, fin | rst, fin | rst | ack, 0x3f, fin | psh | urg, syn | rst | ack])
    t.equal(reasonOf({ flags }), "bad-tcp-flags", `flags ${flags}`);
});

test("F3: a question and its answer mirror each other: identifier, then type and code of the question", async (t) => {
  for (const [protocol, request, reply] of [
    [1, 8, 0],
    [1, 13, 14],
    [58, 128, 129],
  ] as const) {
    const version = protocol === 58 ? V6 : {};
    const asked = check(craft({ ...version, protocol, type: request, rest: [0xab, 0xcd, 0, 1] })).packet;
    const answered = check(craft({ ...version, protocol, type: reply, rest: [0xab, 0xcd, 0, 1] })).packet;
    t.same(ports(asked), [0xabcd, request]);
    t.same(ports(answered), [request, 0xabcd]);
    t.equal(((asked[P_FLAGS] as number) >>> PACKET_ICMP_SHIFT) & 0xff, request);
  }
});

test("F2: ICMP messages without an identifier are told apart by type and code", async (t) => {
  t.same(ports(check(craft({ protocol: 1, type: 9, code: 16 })).packet), [0x1009, 0x1009]);
  t.same(ports(check(craft({ protocol: 1, type: 5, code: 1 })).packet), [0x0105, 0x0105]);
  t.same(ports(check(craft({ ...V6, protocol: 58, type: 143 })).packet), [143, 143]);
});

test("other protocols have no ports", async (t) => {
  for (const parts of [
    { protocol: 47, payload: [1, 2, 3, 4] },
    { protocol: 58, type: 128 },
    { ...V6, protocol: 1, type: 8 },
  ]) {
    const { packet, reason } = check(craft(parts));
    t.equal(reason, "none");
    t.equal(packet[P_PORTS], 0);
    t.equal((packet[P_FLAGS] as number) & PACKET_ICMP_ERROR, 0);
  }
});

/** The bytes of a packet without its Ethernet header. */
const quoted = (parts: Crafted): readonly number[] => [...craft(parts).subarray(14)];

test("V1 N5: an ICMP error's tuple is that of its quoted packet, mirrored", async (t) => {
  const flow = { protocol: 17, sourcePort: 5_000, destinationPort: 53 };
  const v4 = check(craft({ source: "192.0.2.9", destination: "10.1.0.11", protocol: 1, type: 3, code: 3, rest: [0, 0, 0, 0], payload: quoted(flow) }));
  t.equal(v4.reason, "none");
  t.equal(v4.packet[P_FLAGS], PACKET_ICMP_ERROR);
  t.equal(v4.packet[P_FLOW], 17);
  t.equal(v4.packet[P_PROTOCOL], 1);
  t.same(v4.packet.subarray(P_SOURCE, P_SOURCE + 4), words("10.3.0.33"));
  t.same(v4.packet.subarray(P_DESTINATION, P_DESTINATION + 4), words("10.1.0.11"));
  t.same(ports(v4.packet), [53, 5_000]);
  for (const type of [1, 2, 3, 4]) {
    const v6 = check(craft({ source: "2001:db8:99::9", destination: V6.source, protocol: 58, type, rest: [0, 0, 5, 0], payload: quoted({ ...V6, ...flow }) }));
    t.equal(v6.reason, "none");
    t.equal(v6.packet[P_FLAGS], PACKET_ICMP_ERROR | PACKET_IPV6);
    t.same(v6.packet.subarray(P_SOURCE, P_SOURCE + 4), words(V6.destination));
    t.same(ports(v6.packet), [53, 5_000]);
  }
});

test("V1: an error about a ping has the ping's identifier, and the type of its answer", async (t) => {
  const { packet, reason } = check(
    craft({
      source: "192.0.2.9",
      destination: "10.1.0.11",
      protocol: 1,
      type: 11,
      rest: [0, 0, 0, 0],
      payload: quoted({ protocol: 1, rest: [0xab, 0xcd, 0, 1] }),
    }),
  );
  t.equal(reason, "none");
  t.same(ports(packet), [8, 0xabcd]);
  t.equal(((packet[P_FLAGS] as number) >>> PACKET_ICMP_SHIFT) & 0xff, 0);
});

test("N5: an error that names no flow, or goes to somebody else than its sender, matches nothing", async (t) => {
  const about = (payload: readonly number[], destination = "10.1.0.11") =>
    reasonOf({ source: "192.0.2.9", destination, protocol: 1, type: 3, rest: [0, 0, 0, 0], payload });
  t.equal(about(quoted({ protocol: 17 }).slice(0, 28)), "none", "eight bytes of transport are enough");
  t.equal(about(quoted({ protocol: 17 }).slice(0, 27)), "icmp-unmatched");
  t.equal(about([]), "icmp-unmatched");
  t.equal(about(quoted({ protocol: 17 }), "10.1.0.12"), "icmp-unmatched");
  t.equal(about(quoted({ protocol: 17, fragment: 5 })), "icmp-unmatched");
  t.equal(about(quoted({ protocol: 1, type: 3, rest: [0, 0, 0, 0], payload: quoted({ protocol: 17 }) })), "icmp-unmatched", "an error about an error");
});

test("ARP is local; other hardware, protocols and operations are malformed", async (t) => {
  const arp = (change: (body: number[]) => void = () => {}) => {
    const body = [0, 1, 8, 0, 6, 4, 0, 1, ...mac(HOST_MAC), 10, 1, 0, 11, 0, 0, 0, 0, 0, 0, 10, 1, 0, 254];
    change(body);
    return check(Uint8Array.from([...mac("ff:ff:ff:ff:ff:ff"), ...mac(HOST_MAC), 8, 6, ...body]));
  };
  const { packet, reason } = arp();
  t.equal(reason, "none");
  t.equal(packet[P_FLAGS], PACKET_LOCAL | PACKET_MULTICAST);
  t.same(packet.subarray(P_SOURCE, P_SOURCE + 4), words("10.1.0.11"));
  t.same(packet.subarray(P_DESTINATION, P_DESTINATION + 4), words("10.1.0.254"));
  for (const [at, value] of [
    [1, 6],
    [2, 9],
    [4, 8],
    [5, 16],
    [7, 3],
    [7, 0],
  ] as const)
    t.equal(arp((body) => body.splice(at, 1, value)).reason, "bad-arp");
  t.equal(arp((body) => body.pop()).reason, "truncated");
});

test("neighbour discovery is local, from the link itself, with options that end", async (t) => {
  const target = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54];
  const nd = (parts: Crafted, payload: readonly number[]) => check(craft({ ...V6, protocol: 58, type: 135, ttl: 255, rest: [0, 0, 0, 0], ...parts, payload }));
  const { packet, reason } = nd({}, [...target, 1, 1, 2, 0, 0, 0, 0, 0x11]);
  t.equal(reason, "none");
  t.equal((packet[P_FLAGS] as number) & PACKET_LOCAL, PACKET_LOCAL);
  t.equal(nd({}, target).reason, "none");
  t.equal(nd({ ttl: 254 }, target).reason, "bad-neighbour-discovery");
  t.equal(nd({ code: 1 }, target).reason, "bad-neighbour-discovery");
  t.equal(nd({}, target.slice(1)).reason, "bad-neighbour-discovery");
  t.equal(nd({}, [...target, 1, 0, 2, 0, 0, 0, 0, 0x11]).reason, "bad-neighbour-discovery");
  t.equal(nd({}, [...target, 1, 2, 2, 0, 0, 0, 0, 0x11]).reason, "bad-neighbour-discovery");
});

test("multicast and broadcast destinations are marked, of frame or packet", async (t) => {
  const isMulticast = (parts: Crafted) => ((check(craft(parts)).packet[P_FLAGS] as number) & PACKET_MULTICAST) !== 0;
  t.ok(isMulticast({ destination: "224.0.0.5" }));
  t.ok(isMulticast({ destination: "255.255.255.255" }));
  t.ok(isMulticast({ source: V6.source, destination: "ff02::1" }));
  t.ok(isMulticast({ destinationMac: "ff:ff:ff:ff:ff:ff" }));
  t.notOk(isMulticast({}));
});

test("F5: fragments that cannot be a part of any datagram", async (t) => {
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];
  const later = (fragment: number, payload: readonly number[], protocol = 17) => reasonOf({ fragment, protocol, transport: payload });
  t.equal(later(0x2000 | 2, eight), "none");
  t.equal(later(2, [1, 2, 3]), "none");
  t.equal(later(0x2000 | 2, [1, 2, 3]), "fragment-invalid", "not a multiple of eight");
  t.equal(later(2, []), "fragment-invalid", "empty");
  t.equal(later(0x1fff, eight), "fragment-invalid", "beyond 65,535");
  t.equal(later(1, eight, 6), "fragment-invalid", "RFC 1858: into the TCP header");
  t.equal(later(0x2000, eight, 6), "fragment-invalid", "RFC 1858: half a TCP header");
});

test("a later fragment has addresses and no ports; a first one has ports, and no checksum that could be verified", async (t) => {
  const first = check(craft({ protocol: 17, fragment: 0x2000, transport: [0x13, 0x88, 0, 53, 0, 100, 0xde, 0xad, 1, 2, 3, 4, 5, 6, 7, 8] }));
  t.equal(first.reason, "none");
  t.same(ports(first.packet), [5_000, 53]);
  t.equal(first.packet[P_FRAGMENT], 1);
  const later = check(craft({ protocol: 17, fragment: 2, transport: [1, 2, 3] }));
  t.equal(later.packet[P_PORTS], 0);
  t.equal(later.packet[P_FRAGMENT], 16);
});

/** An extension header: next header, then `rest` after the length byte. */
const extension = (next: number, rest: readonly number[]): readonly number[] => [next, (rest.length + 2) / 8 - 1, ...rest];
const extended = (first: number, ...bytes: readonly (readonly number[])[]) => check(craft({ ...V6, extensions: { first, bytes: bytes.flat() } }));

test("extension headers are walked to the transport header", async (t) => {
  const pad = [1, 4, 0, 0, 0, 0];
  const { packet, reason } = extended(0, extension(60, [5, 2, 0, 0, 1, 0]), extension(43, pad), extension(6, [2, 0, 0, 0, 0, 0]));
  t.equal(reason, "none");
  t.equal(packet[P_L4], 54 + 24);
  t.equal(packet[P_PROTOCOL], 6);
  t.same(ports(packet), [40_000, 80]);
});

test("V2: routing header type 0 never passes, and other types only when they are done", async (t) => {
  t.equal(extended(43, extension(6, [0, 0, 0, 0, 0, 0])).reason, "bad-extension");
  t.equal(extended(43, extension(6, [0, 1, 0, 0, 0, 0])).reason, "bad-extension");
  t.equal(extended(43, extension(6, [2, 1, 0, 0, 0, 0])).reason, "bad-extension");
  t.equal(extended(43, extension(6, [2, 0, 0, 0, 0, 0])).reason, "none");
});

test("extension headers that are malformed, misplaced or too many", async (t) => {
  const pad = [1, 4, 0, 0, 0, 0];
  t.equal(extended(60, extension(0, pad), extension(6, pad)).reason, "bad-extension", "hop-by-hop not first");
  t.equal(extended(0, extension(6, [5, 5, 0, 0, 0, 0])).reason, "bad-extension", "an option leaves its header");
  t.equal(extended(0, extension(6, [0xc2, 4, 0, 1, 0, 0])).reason, "bad-extension", "a jumbogram");
  t.equal(extended(60, ...Array.from({ length: 8 }, (_, k) => extension(k === 7 ? 6 : 60, pad))).reason, "bad-extension", "too many");
  t.equal(extended(60, [6, 200, ...pad]).reason, "bad-extension", "longer than the packet");
  t.equal(check(craft({ ...V6, protocol: 60, transport: [6] })).reason, "bad-extension", "breaks off");
});

test("V4: an atomic fragment is whole; the first fragment holds the whole header chain", async (t) => {
  const atomic = extended(44, [6, 0, 0, 0, 0, 0, 0, 9]);
  t.equal(atomic.reason, "none");
  t.equal(atomic.packet[P_FRAGMENT], 0);
  t.same(ports(atomic.packet), [40_000, 80]);
  const later = extended(44, [6, 0, 0, 0x10, 0, 0, 0, 9]);
  t.equal(later.reason, "none");
  t.equal(later.packet[P_FRAGMENT], 16);
  t.equal(later.packet[P_PORTS], 0);
  t.equal(check(craft({ ...V6, protocol: 44, transport: [60, 0, 0, 1, 0, 0, 0, 9] })).reason, "fragment-invalid");
  t.equal(check(craft({ ...V6, protocol: 44, transport: [6, 0, 0, 1, 0, 0, 0, 9, 0, 80, 0, 80, 0, 0, 0, 0] })).reason, "fragment-invalid");
  t.equal(extended(44, [44, 0, 0, 0, 0, 0, 0, 9], [6, 0, 0, 0, 0, 0, 0, 9]).reason, "bad-extension", "two fragment headers");
});

test("a transport checksum behind extension headers is verified over the right pseudo header", async (t) => {
  const frame = craft({ ...V6, extensions: { first: 0, bytes: extension(6, [1, 4, 0, 0, 0, 0]) }, payload: [1, 2, 3] });
  t.equal(check(frame).reason, "none");
  finishTransport(new DataView(frame.buffer), 14, 62, 17, frame.length - 62, true);
  t.equal(check(frame).reason, "bad-transport-checksum");
});

test("F3: an IPv6 packet cannot speak as IPv4 and join its sessions", async (t) => {
  t.equal(reasonOf({ source: "::ffff:a01:b", destination: "::ffff:a03:21" }), "bad-source");
  t.equal(reasonOf({ source: V6.source, destination: "::ffff:a03:21" }), "bad-destination");
  t.equal(check(craft({ source: "::ffff:a01:b", destination: "::ffff:a03:21" }), false).reason, "bad-source", "whatever the setting");
});

test("any sound packet is found sound, and any flipped bit of a TCP segment is noticed", async () => {
  fc.assert(
    fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), fc.nat(), (v6, payload, where) => {
      const frame = craft({ ...(v6 ? V6 : {}), payload: [...payload] });
      if (check(frame).reason !== "none") return false;
      const l4 = v6 ? 54 : 34;
      const bit = where % ((frame.length - l4) * 8);
      frame[l4 + (bit >> 3)] = (frame[l4 + (bit >> 3)] as number) ^ (1 << (bit & 7));
      return check(frame).reason !== "none";
    }),
    { seed: 3, numRuns: 500 },
  );
});
