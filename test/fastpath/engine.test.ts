// The loop's body: which frames are for this unit, what it answers itself, and that every packet that is not forwarded is
// counted under its reason.

import { test } from "tap";
import { macText, u16 } from "../sim/packets.ts";
import { type Crafted, craft, HOST_MAC, rule } from "./craft.ts";
import { advertisement, arpRequest, ONE, Rig, type Seen, solicitation, THREE } from "./rig.ts";

const ICMP = 1;
const UDP = 17;
const ICMPV6 = 58;
const PERMIT = { rules: [rule(1)] };

function known(parts: ConstructorParameters<typeof Rig>[0] = PERMIT): Rig {
  const rig = new Rig(parts);
  rig.meetHosts();
  return rig;
}

test("ARP for the gateway and for the site address is answered from the MAC of each", async (t) => {
  const rig = new Rig(PERMIT);
  for (const [target, from] of [
    ["10.1.0.254", ONE.gatewayMac],
    ["10.1.0.251", ONE.siteMac],
  ] as const) {
    rig.put(0, arpRequest(ONE.mac, ONE.v4, target));
    const [answer] = rig.frames(0) as [Uint8Array];
    t.equal(u16(answer, 12), 0x0806);
    t.equal(u16(answer, 20), 2);
    t.equal(macText(answer, 22), from);
    t.equal([...answer.subarray(28, 32)].join("."), target);
    t.equal(macText(answer, 0), ONE.mac);
    t.ok(
      answer.subarray(42).every((byte) => byte === 0),
      "F10",
    );
  }
  rig.put(0, arpRequest(ONE.mac, ONE.v4, "10.1.0.77"));
  t.same(rig.frames(0), [], "others' addresses are not");
  t.equal(rig.counter("arp-answered"), 2);
  t.equal(rig.lost, 0);
});

test("a solicitation of the gateway and of the site address is answered from the MAC of each", async (t) => {
  const rig = new Rig(PERMIT);
  for (const [target, from] of [
    ["2001:db8:1::254", ONE.gatewayMac],
    ["2001:db8:1::251", ONE.siteMac],
    ["fe80::1", ONE.gatewayMac],
  ] as const) {
    rig.put(0, solicitation(ONE.mac, ONE.v6, target));
    const [answer] = rig.seen(0) as [Seen];
    t.equal(answer.fault, "");
    t.equal(answer.ttl, 255);
    t.equal(answer.frame[answer.at], 136);
    t.equal(macText(answer.frame, answer.at + 26), from);
    t.equal(answer.source.text, target);
  }
  t.equal(rig.counter("nd-answered"), 3);
  t.equal(rig.lost, 0);
});

for (const [version, protocol, type, answerType] of [
  ["v4", ICMP, 8, 0],
  ["v6", ICMPV6, 128, 129],
] as const) {
  test(`a ping to the gateway, to the site address and to another zone's gateway is answered (IP${version})`, async (t) => {
    const rig = known({ rules: [] });
    const targets = version === "v4" ? ["10.1.0.254", "10.1.0.251", "10.3.0.254"] : ["2001:db8:1::254", "2001:db8:1::251", "2001:db8:3::254"];
    for (const target of targets) {
      rig.fromOne({ protocol, type, source: ONE[version], destination: target, payload: [1, 2, 3, 4] });
      const [answer] = rig.seen(0) as [Seen];
      t.equal(answer.fault, "");
      t.equal(answer.frame[answer.at], answerType);
      t.equal(answer.source.text, target);
      t.equal(answer.destination.text, ONE[version]);
      t.equal(macText(answer.frame, 0), ONE.mac);
      t.equal(macText(answer.frame, 6), ONE.siteMac);
      t.same([...answer.frame.subarray(answer.at + 4, answer.end)], [0x12, 0x34, 0, 1, 1, 2, 3, 4]);
    }
    t.same(rig.drops(), {});
    t.equal(rig.states().length, 0, "no session is made for it");
    t.equal(rig.lost, 0);
  });
}

test("what is addressed to the firewall and is no ping is dropped: it offers nothing on its data ports", async (t) => {
  const rig = known();
  rig.fromOne({ destination: "10.1.0.254", destinationPort: 22, flags: 2 });
  rig.fromOne({ destination: "10.3.0.251", protocol: UDP });
  t.same(rig.drops(), { "not-local-service": 2 });
  t.equal(rig.counter("local"), 2 + 4, "and the hosts' four questions");
  t.equal(rig.lost, 0);
});

test("a frame for another station is not ours, though a switch flooded it here", async (t) => {
  const rig = known();
  rig.fromOne({ destinationMac: "02:00:00:00:00:77", protocol: UDP });
  rig.fromOne({ destinationMac: THREE.gatewayMac, protocol: UDP });
  t.same(rig.drops(), { "not-for-us": 2 });
  t.same(rig.seen(1), []);
  t.equal(rig.lost, 0);
});

test("frames to the gateway's MAC and to the site's MAC are both taken", async (t) => {
  const rig = known();
  rig.fromOne({ protocol: UDP });
  rig.fromOne({ protocol: UDP, destinationMac: ONE.siteMac });
  t.equal(rig.seen(1).length, 2);
  t.equal(rig.lost, 0);
});

test("a VLAN without a zone is dropped, whatever is in it", async (t) => {
  const rig = known();
  rig.fromOne({ protocol: UDP, vlan: 30 });
  rig.put(1, arpRequest(THREE.mac, THREE.v4, "10.3.0.254"));
  t.same(rig.drops(), { "no-zone": 2 });
  t.same([...rig.frames(0), ...rig.frames(1)], []);
  t.equal(rig.lost, 0);
});

test("F5, F6, T7, V2–V4: packets that cannot be are dropped under their reason, under a policy that permits all", async (t) => {
  const spoil = (frame: Uint8Array, at: number, value: number) => Uint8Array.from(frame.with(at, value));
  const udp: Crafted = { protocol: UDP, payload: [1, 2, 3, 4] };
  const six: Crafted = { ...udp, source: ONE.v6, destination: THREE.v6 };
  const cases: readonly [string, Uint8Array][] = [
    ["truncated", craft(udp).subarray(0, 30)],
    ["truncated", craft(udp).subarray(0, 9)],
    ["unknown-ethertype", spoil(craft(udp), 13, 0x09)],
    ["unknown-ethertype", spoil(spoil(craft(udp), 12, 0x88), 13, 0xb5)],
    ["bad-ip-header", spoil(craft(udp), 14, 0x44)],
    ["bad-ip-checksum", spoil(craft(udp), 24, 0)],
    ["bad-ip-option", craft({ ...udp, ipOptions: [131, 3, 4, 0] })],
    ["bad-extension", craft({ ...six, extensions: { first: 43, bytes: [17, 0, 0, 0, 0, 0, 0, 0] } })],
    ["bad-source", craft({ ...udp, source: "127.0.0.1" })],
    ["bad-source", craft({ ...udp, sourceMac: "03:00:00:00:00:01" })],
    ["bad-destination", craft({ ...udp, destination: "0.0.0.0" })],
    ["land", craft({ ...udp, source: ONE.v4, destination: ONE.v4 })],
    ["spoofed", craft({ ...udp, source: "10.3.0.34" })],
    ["spoofed", craft({ ...six, source: "2001:db8:3::34" })],
    ["own-source", craft({ ...udp, source: "10.1.0.254" })],
    ["own-source", craft({ ...six, source: "2001:db8:1::251" })],
    ["bad-transport-header", spoil(craft(udp), 39, 200)],
    ["bad-transport-checksum", spoil(craft(udp), 41, 1)],
    ["bad-tcp-flags", craft({ flags: 3 })],
    ["fragment-invalid", craft({ ...udp, fragment: 0x3fff })],
    ["bad-arp", spoil(arpRequest(HOST_MAC, ONE.v4, "10.1.0.254"), 21, 9)],
    ["bad-neighbour-discovery", spoil(solicitation(HOST_MAC, ONE.v6, "2001:db8:1::254"), 21, 64)],
    ["mac-filtered", craft({ ...udp, destinationMac: "ff:ff:ff:ff:ff:ff" })],
    ["mac-filtered", craft({ ...udp, destination: "224.0.0.5" })],
    ["mac-filtered", craft({ ...six, destination: "ff05::2" })],
    ["no-session", craft({ flags: 0x10 })],
    ["no-route", craft({ ...udp, destination: "198.51.100.1" })],
  ];
  for (const [reason, frame] of cases) {
    const rig = known();
    rig.put(0, frame);
    t.same(rig.drops(), { [reason]: 1 });
    t.same(rig.frames(1), [], reason);
    t.same(rig.states(), [], reason);
    t.equal(rig.lost, 0, reason);
  }
});

test("V4: an atomic fragment is its own datagram and passes", async (t) => {
  const rig = known();
  rig.fromOne({ protocol: UDP, source: ONE.v6, destination: THREE.v6, extensions: { first: 44, bytes: [17, 0, 0, 0, 0, 0, 0, 1] } });
  t.equal(rig.seen(1).length, 1);
  t.equal(rig.lost, 0);
});

test("F6: without the reverse-path check only our own addresses cannot be a sender's", async (t) => {
  const rig = known({ ...PERMIT, reversePath: false });
  rig.fromOne({ protocol: UDP, source: "192.0.2.1" });
  rig.fromOne({ protocol: UDP, source: "10.3.0.251" });
  t.equal(rig.seen(1).length, 1);
  t.same(rig.drops(), { "own-source": 1 });
  t.equal(rig.lost, 0);
});

test("a neighbour that claims our address, or speaks with our MAC, teaches nothing", async (t) => {
  const rig = known();
  rig.put(0, arpRequest("02:00:00:00:00:66", "10.1.0.254", "10.1.0.251"));
  rig.put(0, arpRequest(ONE.siteMac, "10.1.0.12", "10.1.0.251"));
  rig.put(1, advertisement(THREE.siteMac, "02:00:00:00:00:66", "2001:db8:3::251", "2001:db8:3::251", 30));
  rig.frames(0);
  rig.fromThree({ protocol: UDP, destination: "10.1.0.12" });
  t.equal(rig.held, 1, "10.1.0.12 is not known");
  t.equal(rig.lost, 0);
});

test("when packet memory is exhausted replies are left out and counted", async (t) => {
  const rig = known();
  const taken: number[] = [];
  while (rig.packets.freeCount > 1) taken.push(rig.packets.take());
  rig.fromOne({ protocol: UDP, ttl: 1 });
  t.same(rig.drops(), { "ttl-exceeded": 1, "no-frames": 1 });
  for (const offset of taken) rig.packets.give(offset);
  t.equal(rig.lost, 0);
});

test("the tables tell readers of ports, breaths and what was received", async (t) => {
  const rig = known();
  const before = rig.counter("received");
  for (let k = 0; k < 300; k++) rig.ports[0].waiting.push(craft({ protocol: UDP, sourcePort: 1_000 + k, sourceMac: HOST_MAC }));
  rig.breathe();
  t.equal(rig.counter("received") - before, 256, "a batch per breath");
  rig.breathe();
  t.equal(rig.counter("received") - before, 300);
  rig.pass(10, 10);
  t.equal(rig.tables.ports.f[1], rig.ports[0].counters.receivedPackets);
  t.equal(rig.states().length, 300);
  t.equal(rig.header("sessionsLive"), 300);
  t.equal(rig.lost, 0);
});
