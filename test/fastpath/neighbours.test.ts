// ARP and neighbour discovery: who is asked, who answers, from which MAC, and what becomes of packets that wait.

import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { Neighbours } from "../../firmware/fastpath/neighbours.ts";
import { P_OFFSET } from "../../firmware/fastpath/packets.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { NEIGHBOUR_REACHABLE_MILLIS, NEIGHBOURS, NEIGHBOURS_RESOLVING, RESOLVE_QUEUE_PER_HOP } from "../../firmware/limits.ts";
import { address, craft, GATEWAY_MAC, HOST_MAC, mac, plan, row, SITE_MAC, words } from "./craft.ts";
import { Desk, type Sent } from "./desk.ts";

const PATH_EPOCH = headerWord("pathEpoch");
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const ZERO_MAC = "00:00:00:00:00:00";
const OTHER_MAC = "02:00:00:00:00:77";

function setUp() {
  const desk = new Desk();
  const neighbours = new Neighbours(plan(), desk.tables, desk.memory, desk);
  const resolved: { offset: number; cookie: number; row: number }[] = [];
  const failed: number[] = [];
  neighbours.listener = {
    resolved: (offset, _, cookie, row) => {
      resolved.push({ offset, cookie, row });
      desk.memory.give(offset);
    },
    failed: (offset, _, cookie) => {
      failed.push(cookie);
      desk.memory.give(offset);
    },
  };
  /** Runs the timers from one moment to another, as the engine does every 5 ms. */
  const run = (from: number, to: number) => {
    for (let now = from; now <= to; now += 5) neighbours.tick(now);
  };
  const input = (frame: Uint8Array, now = 0, entry = 0) => {
    const packet = desk.receive(frame, entry, entry, entry === 0 ? 1 : 3);
    neighbours.input(packet, 0, now);
    desk.memory.give(packet[P_OFFSET] as number);
  };
  return { desk, neighbours, resolved, failed, run, input };
}

const text = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
const v4 = (dotted: string) => dotted.split(".").map(Number);

function arp(operation: number, senderMac: string, sender: string, targetMac: string, target: string, destination = BROADCAST): Uint8Array {
  return Uint8Array.from([
    ...mac(destination),
    ...mac(senderMac),
    8,
    6,
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    operation,
    ...mac(senderMac),
    ...v4(sender),
    ...mac(targetMac),
    ...v4(target),
  ]);
}

/** An ARP frame as words that people use. */
function readArp({ port, bytes }: Sent) {
  const at = bytes[12] === 0x81 ? 18 : 14;
  return {
    port,
    to: text(bytes.subarray(0, 6)),
    from: text(bytes.subarray(6, 12)),
    operation: bytes[at + 7],
    senderMac: text(bytes.subarray(at + 8, at + 14)),
    sender: [...bytes.subarray(at + 14, at + 18)].join("."),
    targetMac: text(bytes.subarray(at + 18, at + 24)),
    target: [...bytes.subarray(at + 24, at + 28)].join("."),
  };
}

function nd(type: number, source: string, destination: string, target: string, link: string | undefined, flags = 0, parts: object = {}): Uint8Array {
  const option = link === undefined ? [] : [type === 135 ? 1 : 2, 1, ...mac(link)];
  return craft({
    source,
    destination,
    protocol: 58,
    type,
    ttl: 255,
    rest: [flags, 0, 0, 0],
    payload: [...address(target), ...option],
    sourceMac: link ?? HOST_MAC,
    ...parts,
  });
}

test("a request for the gateway's address is answered from the gateway's MAC, one for the site's from the site's", async (t) => {
  for (const [asked, own] of [
    ["10.1.0.254", GATEWAY_MAC],
    ["10.1.0.251", SITE_MAC],
  ] as const) {
    const { desk, input } = setUp();
    input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, asked));
    const sent = desk.take();
    t.same(sent.map(readArp), [{ port: 0, to: HOST_MAC, from: own, operation: 2, senderMac: own, sender: asked, targetMac: HOST_MAC, target: "10.1.0.11" }]);
    t.equal(sent[0]?.bytes.length, 60);
  }
});

test("F10: an answer is padded with zeroes, whatever lay in its frame before", async (t) => {
  const { desk, input } = setUp();
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  t.same(desk.take()[0]?.bytes.subarray(42), new Uint8Array(18));
});

test("requests for others, and between others, are not answered; who asks for us is learnt", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.12"));
  t.same(desk.take(), []);
  t.equal(neighbours.find(0, words("10.1.0.11"), 0), -1, "not ours, not created (RFC 826)");
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  const found = neighbours.find(0, words("10.1.0.11"), 0);
  t.ok(found >= 0);
  t.equal(neighbours.macWord(found), new DataView(Uint8Array.from(mac(HOST_MAC)).buffer).getInt32(0, true));
  t.equal(neighbours.macRest(found), new DataView(Uint8Array.from(mac(HOST_MAC)).buffer).getUint16(4, true));
  t.equal(neighbours.find(1, words("10.1.0.11"), 0), -1, "on its own port only");
});

test("a packet waits for its next hop, which is asked from the site's address and MAC, and leaves with the answer", async (t) => {
  const { desk, neighbours, resolved, input } = setUp();
  const waiting = desk.memory.take();
  t.ok(neighbours.wait(1, words("10.3.0.33"), 0, waiting, 100, 7));
  const asked = desk.take().map(readArp);
  const site = "02:54:57:0a:00:03";
  t.same(asked, [{ port: 1, to: BROADCAST, from: site, operation: 1, senderMac: site, sender: "10.3.0.251", targetMac: ZERO_MAC, target: "10.3.0.33" }]);
  t.equal(neighbours.find(1, words("10.3.0.33"), 0), -1);
  input(arp(2, HOST_MAC, "10.3.0.33", site, "10.3.0.251", site), 1, 1);
  t.same(resolved, [{ offset: waiting, cookie: 7, row: neighbours.find(1, words("10.3.0.33"), 0) }]);
  t.equal(desk.freeFrames, 64);
});

test("the tag of a VLAN entry is on what is asked through it", async (t) => {
  const { desk, neighbours } = setUp();
  neighbours.solicit(1, words("10.3.0.33"), 0);
  t.same(desk.take()[0]?.bytes.subarray(12, 18), Uint8Array.of(0x81, 0, 0, 30, 8, 6));
});

test("one next hop keeps a bounded number of packets, and is asked once for all of them", async (t) => {
  const { desk, neighbours, failed, run } = setUp();
  for (let k = 0; k < RESOLVE_QUEUE_PER_HOP; k++) t.ok(neighbours.wait(0, words("10.1.0.9"), 0, desk.memory.take(), 60, k));
  const refused = desk.memory.take();
  t.notOk(neighbours.wait(0, words("10.1.0.9"), 0, refused, 60, 99));
  t.equal(DROP_NAMES[neighbours.refusal], "resolve-queue-full");
  desk.memory.give(refused);
  t.equal(desk.take().length, 1);
  run(0, 10_000);
  t.same(
    failed,
    Array.from({ length: RESOLVE_QUEUE_PER_HOP }, (_, k) => k),
    "oldest first",
  );
  t.equal(desk.freeFrames, 64);
});

test("a next hop that does not answer is asked four times, further and further apart, and then fails", async (t) => {
  const { desk, neighbours, failed, run } = setUp();
  neighbours.tick(0);
  neighbours.wait(0, words("10.1.0.9"), 0, desk.memory.take(), 60, 1);
  run(5, 3_000);
  t.equal(desk.take().length, 4);
  t.same(failed, []);
  run(3_005, 4_000);
  t.same(failed, [1]);
  const frame = desk.memory.take();
  t.notOk(neighbours.wait(0, words("10.1.0.9"), 0, frame, 60, 2), "a moment later nobody asks again");
  t.equal(DROP_NAMES[neighbours.refusal], "no-neighbour");
  run(4_005, 6_000);
  t.ok(neighbours.wait(0, words("10.1.0.9"), 0, frame, 60, 2));
});

test("a next hop beyond the network of its entry is asked too, from any site address", async (t) => {
  const { desk, neighbours, input } = setUp();
  neighbours.solicit(0, words("192.0.2.1"), 0);
  t.equal(desk.take().map(readArp)[0]?.sender, "10.1.0.251");
  input(arp(2, HOST_MAC, "192.0.2.1", SITE_MAC, "10.1.0.251", SITE_MAC));
  t.ok(neighbours.find(0, words("192.0.2.1"), 0) >= 0);
});

test("a used neighbour does not flap: it is asked again by unicast, and stays in use until it has failed to answer", async (t) => {
  const { desk, neighbours, run, input } = setUp();
  neighbours.tick(0);
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  desk.take();
  const epoch = desk.tables.header.i[PATH_EPOCH];
  run(5, NEIGHBOUR_REACHABLE_MILLIS + 200);
  const asked = desk.take().map(readArp);
  t.equal(asked.length, 1);
  t.equal(asked[0]?.to, HOST_MAC);
  t.ok(neighbours.find(0, words("10.1.0.11"), 0) >= 0);
  input(arp(2, HOST_MAC, "10.1.0.11", SITE_MAC, "10.1.0.251", SITE_MAC), NEIGHBOUR_REACHABLE_MILLIS + 200);
  t.equal(desk.tables.header.i[PATH_EPOCH], epoch, "nothing changed for anybody");
  run(NEIGHBOUR_REACHABLE_MILLIS + 205, 2 * NEIGHBOUR_REACHABLE_MILLIS + 2_000);
  t.ok(neighbours.find(0, words("10.1.0.11"), 0) >= 0, "still used while it is asked");
  run(2 * NEIGHBOUR_REACHABLE_MILLIS + 2_005, 2 * NEIGHBOUR_REACHABLE_MILLIS + 12_000);
  t.equal(neighbours.find(0, words("10.1.0.11"), 0), -1);
  t.ok(desk.take().map(readArp).slice(-1)[0]?.to === BROADCAST, "at last everybody is asked");
  t.not(desk.tables.header.i[PATH_EPOCH], epoch);
});

test("a new MAC (a moved VM's announcement) takes effect at once, and moves the path epoch", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  const epoch = desk.tables.header.i[PATH_EPOCH];
  input(arp(1, OTHER_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.11"));
  t.equal(neighbours.macRest(neighbours.find(0, words("10.1.0.11"), 0)), 0x7700);
  t.not(desk.tables.header.i[PATH_EPOCH], epoch);
});

test("nobody can claim our addresses, nor speak with our MACs or a group's", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(arp(1, OTHER_MAC, "10.1.0.254", ZERO_MAC, "10.1.0.254"));
  t.equal(neighbours.find(0, words("10.1.0.254"), 0), -1);
  desk.take();
  for (const station of [GATEWAY_MAC, SITE_MAC, "01:00:5e:00:00:01", ZERO_MAC]) {
    const frame = arp(1, station, "10.1.0.11", ZERO_MAC, "10.1.0.254");
    frame.set(mac(HOST_MAC), 6);
    input(frame);
    t.equal(neighbours.find(0, words("10.1.0.11"), 0), -1, station);
  }
  t.same(desk.take(), []);
});

test("an address probe for our address is answered, and nothing is learnt from it (RFC 5227)", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(arp(1, HOST_MAC, "0.0.0.0", ZERO_MAC, "10.1.0.254"));
  t.equal(desk.take().length, 1);
  t.equal(neighbours.find(0, words("0.0.0.0"), 0), -1);
});

test("senders beyond the network, and broadcasts, are not learnt", async (t) => {
  const { neighbours, input } = setUp();
  for (const sender of ["192.0.2.1", "10.1.0.255"]) {
    input(arp(1, HOST_MAC, sender, ZERO_MAC, "10.1.0.254"));
    t.equal(neighbours.find(0, words(sender), 0), -1, sender);
  }
});

test("a passive site does not answer for the gateway, a silent unit for nobody", async (t) => {
  const { desk, neighbours, input, run } = setUp();
  neighbours.answersGateway = false;
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  t.same(desk.take(), []);
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.251"));
  t.equal(desk.take().length, 1);
  neighbours.silent = true;
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.251"));
  neighbours.solicit(0, words("10.1.0.77"), 0);
  neighbours.announce(0);
  run(0, 40_000);
  t.same(desk.take(), []);
});

test("announcements name every own address from its own MAC: ARP by broadcast, ND to all nodes", async (t) => {
  const { desk, neighbours } = setUp();
  neighbours.announce(0);
  const sent = desk.take();
  const arps = sent.filter(({ bytes }) => bytes[12] === 8).map(readArp);
  t.same(
    arps.map(({ to, from, senderMac, sender, target, operation }) => [to, from, senderMac, sender, target, operation]),
    [
      [BROADCAST, GATEWAY_MAC, GATEWAY_MAC, "10.1.0.254", "10.1.0.254", 1],
      [BROADCAST, SITE_MAC, SITE_MAC, "10.1.0.251", "10.1.0.251", 1],
    ],
  );
  const advertised = sent.filter(({ bytes }) => bytes[12] === 0x86);
  t.equal(advertised.length, 4);
  for (const { bytes } of advertised) {
    t.equal(checkPacket(new DataView(bytes.buffer), row(bytes.length), 0, true), 0, "sound, checksum too");
    t.equal(text(bytes.subarray(0, 6)), "33:33:00:00:00:01");
    t.equal(bytes[54], 136);
    t.equal((bytes[58] as number) & 0x60, 0x20, "override, not solicited");
    t.same(bytes.subarray(62, 78), bytes.subarray(22, 38), "target and source are the same");
    t.same(bytes.subarray(80, 86), bytes.subarray(6, 12), "the option holds the frame's own MAC");
  }
});

const HOST6 = "2001:db8:1::11";

test("an IPv6 next hop is solicited at its solicited-node group, from the site's address of its network (RFC 4861 §7.2.2)", async (t) => {
  const { desk, neighbours } = setUp();
  neighbours.solicit(0, words("2001:db8:1::ab:cdef"), 0);
  neighbours.solicit(0, words("fe80::99"), 0);
  const [global, local] = desk.take();
  const bytes = global?.bytes ?? new Uint8Array(0);
  t.equal(checkPacket(new DataView(bytes.buffer), row(bytes.length), 0, true), 0);
  t.equal(text(bytes.subarray(0, 6)), "33:33:ff:ab:cd:ef");
  t.equal(text(bytes.subarray(6, 12)), SITE_MAC);
  t.same([...bytes.subarray(22, 38)], address("2001:db8:1::251"));
  t.same([...bytes.subarray(38, 54)], address("ff02::1:ffab:cdef"));
  t.equal(bytes[54], 135);
  t.same([...bytes.subarray(62, 78)], address("2001:db8:1::ab:cdef"));
  t.same([...bytes.subarray(78, 86)], [1, 1, ...mac(SITE_MAC)]);
  t.same([...(local?.bytes.subarray(22, 38) ?? [])], address("fe80::251"));
});

test("a solicitation of our address is answered, solicited, from the MAC that belongs to it; the asker is learnt", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(nd(135, HOST6, "ff02::1:ff00:254", "2001:db8:1::254", HOST_MAC, 0, { destinationMac: "33:33:ff:00:02:54" }));
  const bytes = desk.take()[0]?.bytes ?? new Uint8Array(0);
  t.equal(checkPacket(new DataView(bytes.buffer), row(bytes.length), 0, true), 0);
  t.equal(text(bytes.subarray(0, 12)), `${HOST_MAC}:${GATEWAY_MAC}`);
  t.same([...bytes.subarray(22, 38)], address("2001:db8:1::254"));
  t.same([...bytes.subarray(38, 54)], address(HOST6));
  t.equal(bytes[58], 0xe0, "router, solicited, override");
  t.same([...bytes.subarray(78, 86)], [2, 1, ...mac(GATEWAY_MAC)]);
  t.ok(neighbours.find(0, words(HOST6), 0) >= 0);
});

test("duplicate address detection against our address is answered to all nodes; others' is none of ours", async (t) => {
  const { desk, input } = setUp();
  input(nd(135, "::", "ff02::1:ff00:254", "2001:db8:1::254", undefined));
  t.equal(text(desk.take()[0]?.bytes.subarray(0, 6) ?? new Uint8Array(0)), "33:33:00:00:00:01");
  input(nd(135, "::", "ff02::1:ff00:99", "2001:db8:1::99", undefined));
  t.same(desk.take(), []);
});

test("advertisements resolve those that were asked for, and create nobody (RFC 4861 §7.2.5)", async (t) => {
  const { desk, neighbours, resolved, input } = setUp();
  input(nd(136, HOST6, "fe80::251", HOST6, HOST_MAC, 0x60));
  t.equal(neighbours.find(0, words(HOST6), 0), -1);
  neighbours.wait(0, words(HOST6), 0, desk.memory.take(), 80, 3);
  input(nd(136, HOST6, "fe80::251", HOST6, HOST_MAC, 0x40));
  t.equal(resolved[0]?.cookie, 3);
});

test("without the override flag a known MAC stays, with it it changes", async (t) => {
  const { neighbours, input } = setUp();
  neighbours.solicit(0, words(HOST6), 0);
  input(nd(136, HOST6, "fe80::251", HOST6, HOST_MAC, 0x40));
  input(nd(136, HOST6, "ff02::1", HOST6, OTHER_MAC, 0));
  t.equal(neighbours.macRest(neighbours.find(0, words(HOST6), 0)), 0x1100);
  input(nd(136, HOST6, "ff02::1", HOST6, OTHER_MAC, 0x20));
  t.equal(neighbours.macRest(neighbours.find(0, words(HOST6), 0)), 0x7700);
});

test("router solicitations and advertisements are answered by nothing", async (t) => {
  const { desk, input } = setUp();
  input(craft({ source: "fe80::11", destination: "ff02::2", protocol: 58, type: 133, ttl: 255, rest: [0, 0, 0, 0] }));
  input(craft({ source: "fe80::11", destination: "ff02::1", protocol: 58, type: 134, ttl: 255, rest: [64, 0, 0, 0], payload: [0, 0, 0, 0, 0, 0, 0, 0] }));
  t.same(desk.take(), []);
});

test("a scan of a large network keeps its bounds and does not push out neighbours that answered", async (t) => {
  const { desk, neighbours, input } = setUp();
  input(nd(135, HOST6, "ff02::1:ff00:254", "2001:db8:1::254", HOST_MAC));
  const scanned = words("2001:db8:1::1:0");
  for (let k = 0; k < 3 * NEIGHBOURS; k++) {
    scanned[3] = k;
    neighbours.solicit(0, scanned, 0);
  }
  const states = Array.from({ length: NEIGHBOURS }, (_, row) => (desk.tables.neighbours.i[row * desk.tables.neighbours.strideWords] as number) & 0xff);
  t.equal(states.filter((state) => state === 1).length, NEIGHBOURS_RESOLVING);
  t.ok(neighbours.find(0, words(HOST6), 0) >= 0);
  t.equal(desk.freeFrames, 64);
});

test("a restarted dataplane adopts its neighbours, uses them at once, and asks them again", async (t) => {
  const { desk, input, neighbours } = setUp();
  input(arp(1, HOST_MAC, "10.1.0.11", ZERO_MAC, "10.1.0.254"));
  neighbours.solicit(0, words("10.1.0.99"), 0);
  desk.take();
  const again = new Neighbours(plan(), desk.tables, desk.memory, desk);
  t.ok(again.find(0, words("10.1.0.11"), 0) >= 0);
  for (let now = 0; now < 100; now += 5) again.tick(now);
  t.same(
    desk
      .take()
      .map(readArp)
      .map(({ to, target }) => [to, target]),
    [[HOST_MAC, "10.1.0.11"]],
    "and only what had answered",
  );
});

test("without a free frame nothing is sent, counted, and nothing breaks", async (t) => {
  const { desk, neighbours } = setUp();
  while (desk.memory.take() >= 0);
  neighbours.solicit(0, words("10.1.0.9"), 0);
  t.same(desk.take(), []);
  t.equal(desk.tables.counters.f[DROP_NAMES.indexOf("no-frames")], 1);
});
