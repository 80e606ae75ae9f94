// Packets of our own: what is said, to whom, from where, how often, and when nothing is.

import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { counterRow } from "../../firmware/fastpath/memory/tables.ts";
import {
  P_DESTINATION,
  P_ENTRY,
  P_FLAGS,
  P_FLOW,
  P_IP_BYTES,
  P_L3,
  P_L4,
  P_OFFSET,
  P_PORTS,
  P_PROTOCOL,
  P_SOURCE,
  P_VLAN,
  P_ZONE,
  PACKET_ICMP_ERROR,
} from "../../firmware/fastpath/packets.ts";
import { Replies } from "../../firmware/fastpath/replies.ts";
import { ICMP_ERROR_BURST, ICMP_ERRORS_PER_SECOND } from "../../firmware/limits.ts";
import { type Crafted, craft, HOST_MAC, plan, row, SITE_MAC, words } from "./craft.ts";
import { Desk, type Sent } from "./desk.ts";

const V6 = { source: "2001:db8:1::11", destination: "2001:db8:3::33" };
const THREE_MAC = "02:54:57:0a:00:03";

function setUp() {
  const desk = new Desk();
  return { desk, replies: new Replies(plan(), desk.tables, desk.memory, desk) };
}

/** Lets `act` answer a packet; what left. The packet's own frame is given back, as the engine does. */
function answerTo(parts: Crafted, act: (replies: Replies, packet: Int32Array) => void, entry = 0): readonly Sent[] {
  const { desk, replies } = setUp();
  const packet = desk.receive(craft(parts), entry, entry, entry === 0 ? 1 : 3);
  act(replies, packet);
  desk.memory.give(packet[P_OFFSET] as number);
  if (desk.freeFrames !== 64) throw new Error("a frame was lost");
  return desk.take();
}

/** A sent frame as check() sees it; throws when it is not sound. */
function read(sent: Sent | undefined) {
  const bytes = sent?.bytes ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer);
  const packet = row(bytes.length);
  const fault = checkPacket(view, packet, 0, true);
  if (fault !== 0) throw new Error(`not sound: ${fault}`);
  const l4 = packet[P_L4] as number;
  return {
    view,
    bytes,
    packet,
    l4,
    source: packet.subarray(P_SOURCE, P_SOURCE + 4),
    destination: packet.subarray(P_DESTINATION, P_DESTINATION + 4),
    type: view.getUint8(l4),
    code: view.getUint8(l4 + 1),
  };
}

const text = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

test("time exceeded goes back to the sender, from the site's address and MAC, and quotes the packet", async (t) => {
  for (const parts of [{ protocol: 17 }, { ...V6, protocol: 17 }]) {
    const sent = answerTo(parts, (replies, packet) => replies.timeExceeded(packet, 0));
    const v6 = "source" in parts;
    const { packet, bytes, view, type, code, l4, destination } = read(sent[0]);
    t.equal(sent.length, 1);
    t.equal(sent[0]?.port, 0);
    t.equal(text(bytes.subarray(0, 12)), `${HOST_MAC}:${SITE_MAC}`);
    t.same([type, code], v6 ? [3, 0] : [11, 0]);
    t.equal((packet[P_FLAGS] as number) & PACKET_ICMP_ERROR, PACKET_ICMP_ERROR, "it names its flow");
    t.equal(packet[P_FLOW], 17);
    t.same(destination, words(v6 ? V6.source : "10.1.0.11"));
    t.same(bytes.subarray(l4 + 8), craft(parts).subarray(14));
    const source = v6 ? [...bytes.subarray(22, 38)] : [...bytes.subarray(26, 30)];
    t.same(source, v6 ? [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x51] : [10, 1, 0, 251]);
    t.equal(v6 ? view.getUint8(21) : view.getUint8(22), 64);
  }
});

test("too big names the MTU (RFC 1191, RFC 4443 §3.2)", async (t) => {
  const v4 = read(answerTo({ protocol: 17 }, (replies, packet) => replies.tooBig(packet, 0, 1_400))[0]);
  t.same([v4.type, v4.code, v4.view.getUint32(v4.l4 + 4)], [3, 4, 1_400]);
  const v6 = read(answerTo({ ...V6, protocol: 17 }, (replies, packet) => replies.tooBig(packet, 0, 1_400))[0]);
  t.same([v6.type, v6.code, v6.view.getUint32(v6.l4 + 4)], [2, 0, 1_400]);
});

test("no route and no neighbour are unreachable, each with its code", async (t) => {
  const codes = (parts: Crafted) =>
    (["unreachable", "hostUnreachable"] as const).map((kind) => {
      const { type, code } = read(answerTo(parts, (replies, packet) => replies[kind](packet, 0))[0]);
      return [type, code];
    });
  t.same(codes({ protocol: 17 }), [
    [3, 0],
    [3, 1],
  ]);
  t.same(codes({ ...V6, protocol: 17 }), [
    [1, 0],
    [1, 3],
  ]);
});

test("an error quotes as much as its version allows: 576 and 1,280 bytes in all", async (t) => {
  const payload = new Array<number>(1_300).fill(7);
  t.equal(read(answerTo({ protocol: 17, payload }, (replies, packet) => replies.timeExceeded(packet, 0))[0]).packet[P_IP_BYTES], 576);
  t.equal(read(answerTo({ ...V6, protocol: 17, payload }, (replies, packet) => replies.timeExceeded(packet, 0))[0]).packet[P_IP_BYTES], 1_280);
});

test("a rejected datagram is administratively prohibited (RFC 1812 §5.2.7.1, RFC 4443 §3.1)", async (t) => {
  const reject = (parts: Crafted) => read(answerTo(parts, (replies, packet) => replies.reject(packet, 0))[0]);
  const v4 = reject({ protocol: 17 });
  t.same([v4.type, v4.code], [3, 13]);
  const v6 = reject({ ...V6, protocol: 58 });
  t.same([v6.type, v6.code], [1, 1]);
});

test("a rejected SYN is reset in the destination's name, and acknowledged (RFC 9293 §3.10.7.1)", async (t) => {
  for (const version of [{}, V6]) {
    const { packet, view, l4, source, bytes } = read(
      answerTo({ ...version, flags: 2, payload: [1, 2, 3] }, (replies, segment) => replies.reject(segment, 0))[0],
    );
    t.equal(packet[P_PROTOCOL], 6);
    t.same(source, words("source" in version ? V6.destination : "10.3.0.33"));
    t.same([view.getUint16(l4), view.getUint16(l4 + 2)], [80, 40_000]);
    t.equal(view.getUint8(l4 + 13), 0x14);
    t.equal(view.getUint32(l4 + 4), 0);
    t.equal(view.getUint32(l4 + 8), 1_000 + 1 + 3, "sequence, SYN and data");
    t.equal(text(bytes.subarray(6, 12)), SITE_MAC);
  }
});

test("a rejected segment with ACK is reset at what it acknowledges, and a reset is never answered", async (t) => {
  const { view, l4 } = read(answerTo({ flags: 0x10 }, (replies, packet) => replies.reject(packet, 0))[0]);
  t.equal(view.getUint8(l4 + 13), 4);
  t.equal(view.getUint32(l4 + 4), 2_000);
  for (const flags of [4, 0x14])
    t.same(
      answerTo({ flags }, (replies, packet) => replies.reject(packet, 0)),
      [],
    );
});

test("F10: a reset is padded with zeroes, whatever lay in its frame before", async (t) => {
  const [sent] = answerTo({ flags: 2 }, (replies, packet) => replies.reject(packet, 0));
  t.equal(sent?.bytes.length, 60);
  t.same(sent?.bytes.subarray(54), new Uint8Array(6));
});

test("an answer through a VLAN carries its tag and its entry's addresses", async (t) => {
  const sent = answerTo({ source: "10.3.0.33", destination: "10.1.0.11", protocol: 17, vlan: 30 }, (replies, packet) => replies.timeExceeded(packet, 0), 1);
  const { packet, bytes } = read(sent[0]);
  t.equal(sent[0]?.port, 1);
  t.equal(packet[P_VLAN], 30);
  t.equal(text(bytes.subarray(6, 12)), THREE_MAC);
  t.same([...bytes.subarray(30, 34)], [10, 3, 0, 251]);
});

test("a ping to the gateway or the site's address is answered from that address, by the site's MAC", async (t) => {
  const pings = [
    { destination: "10.1.0.254", protocol: 1 },
    { destination: "10.1.0.251", protocol: 1 },
    { source: V6.source, destination: "2001:db8:1::254", protocol: 58 },
  ];
  for (const parts of pings) {
    const { desk, replies } = setUp();
    const packet = desk.receive(craft({ ...parts, ttl: 3, rest: [0xab, 0xcd, 0, 9], payload: [1, 2, 3, 4, 5] }));
    t.ok(replies.echo(packet, 0), "the frame is taken");
    t.equal(desk.freeFrames, 64);
    const answer = read(desk.take()[0]);
    t.equal(answer.type, parts.protocol === 1 ? 0 : 129);
    t.same(answer.source, words(parts.destination));
    t.same(answer.destination, words(parts.source ?? "10.1.0.11"));
    t.same(answer.bytes.subarray(answer.l4 + 4, answer.l4 + 13), Uint8Array.of(0xab, 0xcd, 0, 9, 1, 2, 3, 4, 5));
    t.equal(text(answer.bytes.subarray(0, 12)), `${HOST_MAC}:${SITE_MAC}`);
    const ttl = (answer.packet[P_L3] as number) + (parts.protocol === 1 ? 8 : 7);
    t.equal(answer.view.getUint8(ttl), 64);
  }
});

test("F10: an echo reply carries nothing that lay behind the request in its frame", async (t) => {
  const { desk, replies } = setUp();
  const request = craft({ destination: "10.1.0.254", protocol: 1, payload: [1, 2] });
  const padded = new Uint8Array(60).fill(0xee);
  padded.set(request);
  replies.echo(desk.receive(padded), 0);
  t.same(desk.take()[0]?.bytes.subarray(request.length), new Uint8Array(60 - request.length));
});

test("what is no ping is not answered as one, and its frame stays the caller's", async (t) => {
  for (const parts of [{ protocol: 1, type: 0 }, { protocol: 1, type: 13 }, { protocol: 17 }, {}, { ...V6, protocol: 1, type: 8 }])
    t.same(
      answerTo(parts, (replies, packet) => t.notOk(replies.echo(packet, 0))),
      [],
    );
});

test("nothing is said about ICMP errors, redirects, multicasts, broadcasts and later fragments (RFC 1122 §3.2.2, RFC 4443 §2.4 e)", async (t) => {
  const quoted = [...craft({ source: "10.3.0.33", destination: "10.1.0.11", protocol: 17 }).subarray(14)];
  const silent: Crafted[] = [
    { protocol: 1, type: 3, rest: [0, 0, 0, 0], payload: quoted },
    { protocol: 1, type: 5, rest: [0, 0, 0, 0], payload: quoted },
    { protocol: 17, destination: "224.0.0.9" },
    { protocol: 17, destinationMac: "ff:ff:ff:ff:ff:ff" },
    { protocol: 17, fragment: 3, transport: [1, 2, 3] },
    { source: V6.source, destination: "ff0e::9", protocol: 17 },
  ];
  for (const parts of silent) {
    t.same(
      answerTo(parts, (replies, packet) => {
        replies.timeExceeded(packet, 0);
        replies.tooBig(packet, 0, 1_280);
        replies.unreachable(packet, 0);
        replies.reject(packet, 0);
        t.notOk(replies.echo(packet, 0));
      }),
      [],
      JSON.stringify(parts),
    );
  }
});

test("the sender of a packet that was handed here is answered through this unit's port in its zone", async (t) => {
  const sent = answerTo({ source: "10.3.0.33", destination: "10.1.0.11", protocol: 17 }, (replies, packet) => {
    packet[P_ENTRY] = -1;
    packet[P_ZONE] = 3;
    replies.timeExceeded(packet, 0);
  });
  t.equal(sent[0]?.port, 1);
  t.equal(text(read(sent[0]).bytes.subarray(0, 12)), `${HOST_MAC}:${THREE_MAC}`);
});

test("nobody is answered where this unit has no entry, or in transparent mode", async (t) => {
  t.same(
    answerTo({ protocol: 17 }, (replies, packet) => {
      packet[P_ENTRY] = -1;
      packet[P_ZONE] = 9;
      replies.timeExceeded(packet, 0);
    }),
    [],
  );
  const desk = new Desk();
  const replies = new Replies({ ...plan(), mode: "transparent" }, desk.tables, desk.memory, desk);
  replies.reject(desk.receive(craft({ flags: 2 })), 0);
  t.same(desk.take(), []);
});

test("errors are limited: a burst, then so many per second (RFC 4443 §2.4 f)", async (t) => {
  const { desk, replies } = setUp();
  const packet = desk.receive(craft({ protocol: 17 }));
  const flood = (times: number) => {
    for (let k = 0; k < times; k++) replies.timeExceeded(packet, 0);
    return desk.take().length;
  };
  replies.tick(1_000);
  t.equal(flood(500), ICMP_ERROR_BURST);
  let sent = 0;
  for (let now = 1_005; now <= 3_000; now += 5) {
    replies.tick(now);
    sent += flood(10);
  }
  t.ok(Math.abs(sent - 2 * ICMP_ERRORS_PER_SECOND) <= 1, `${sent} in two seconds`);
  t.equal(desk.tables.counters.f[counterRow("icmp-errors-sent")], ICMP_ERROR_BURST + sent);
});

test("an answer has the tuple of its question, mirrored: a reset belongs to the flow that it ends", async (t) => {
  const { packet } = read(answerTo({ flags: 2, sourcePort: 5_000, destinationPort: 443 }, (replies, segment) => replies.reject(segment, 0))[0]);
  const asked = new Desk().receive(craft({ flags: 2, sourcePort: 5_000, destinationPort: 443 }));
  const ports = asked[P_PORTS] as number;
  t.equal(packet[P_PORTS], (ports << 16) | (ports >>> 16));
});
