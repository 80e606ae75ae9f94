// Emission: what a packet looks like when it leaves, and what becomes of those that cannot.

import { test } from "tap";
import { RESOLVE_QUEUE_PER_HOP } from "../../firmware/limits.ts";
import { macText } from "../sim/packets.ts";
import { address, prefix, rule } from "./craft.ts";
import { advertisement, arp, arpRequest, ONE, Rig, type Seen, solicitation, THREE } from "./rig.ts";

const UDP = 17;
const PERMIT = { rules: [rule(1)] };

for (const version of ["v4", "v6"] as const) {
  const there = { protocol: UDP, source: ONE[version], destination: THREE[version] };
  const back = { protocol: UDP, source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };

  test(`a session's packets are forwarded both ways: gateway in, site address out, TTL one less, checksums right (IP${version})`, async (t) => {
    const rig = new Rig(PERMIT);
    rig.meetHosts();
    for (const payload of [
      [1, 2, 3],
      [4, 5, 6],
    ]) {
      rig.fromOne({ ...there, payload });
      const [packet] = rig.seen(1) as [Seen];
      t.equal(packet.fault, "");
      t.equal(packet.ttl, 63);
      t.equal(packet.vlan, 30, "untagged in, tagged out");
      t.equal(macText(packet.frame, 0), THREE.mac);
      t.equal(macText(packet.frame, 6), THREE.siteMac);
      t.same([packet.source.text, packet.destination.text], [ONE[version], THREE[version]]);
      t.same([...packet.frame.subarray(packet.at + 8, packet.end)], payload);
      rig.fromThree({ ...back, payload });
      const [answer] = rig.seen(0) as [Seen];
      t.equal(answer.fault, "");
      t.equal(answer.ttl, 63);
      t.equal(answer.vlan, 0, "tagged in, untagged out");
      t.equal(macText(answer.frame, 0), ONE.mac);
      t.equal(macText(answer.frame, 6), ONE.siteMac);
      t.same([...answer.frame.subarray(answer.at + 8, answer.end)], payload);
    }
    t.same(rig.drops(), {});
    t.equal(rig.counter("forwarded"), 4);
    t.equal(rig.lost, 0);
  });

  test(`F10: a short packet leaves in a frame whose padding is zero, whatever it came with (IP${version})`, async (t) => {
    const rig = new Rig(PERMIT);
    rig.meetHosts();
    rig.fromThree({ ...back, payload: [] });
    const [answer] = rig.seen(0) as [Seen];
    t.ok(answer.frame.length >= 60);
    t.ok(answer.frame.subarray(answer.end).every((byte) => byte === 0));
    t.equal(rig.lost, 0);
  });

  test(`a packet whose TTL ran out is answered from the site address and dropped (IP${version})`, async (t) => {
    const rig = new Rig(PERMIT);
    rig.meetHosts();
    rig.fromOne({ ...there, ttl: 1, payload: [7, 7] });
    t.same(rig.seen(1), []);
    const [error] = rig.seen(0) as [Seen];
    t.equal(error.fault, "");
    t.equal(error.source.text, version === "v4" ? "10.1.0.251" : "2001:db8:1::251");
    t.equal(error.destination.text, ONE[version]);
    t.equal(macText(error.frame, 0), ONE.mac);
    t.equal(macText(error.frame, 6), ONE.siteMac);
    t.same([error.frame[error.at], error.frame[error.at + 1]], version === "v4" ? [11, 0] : [3, 0]);
    t.same(rig.drops(), { "ttl-exceeded": 1 });
    t.equal(rig.lost, 0);
  });

  test(`a packet that the next link cannot carry is answered with its MTU and dropped (IP${version})`, async (t) => {
    const plan = {
      ...PERMIT,
      ports: [0, 1].map((number) => ({ number, device: "", kind: "data", mtuBytes: number === 0 ? 1_500 : 1_400, pairedPort: -1 }) as const),
    };
    const rig = new Rig(plan);
    rig.meetHosts();
    rig.fromOne({ ...there, payload: new Array(1_400).fill(1) });
    const [error] = rig.seen(0) as [Seen];
    t.equal(error.fault, "");
    t.same([error.frame[error.at], error.frame[error.at + 1]], version === "v4" ? [3, 4] : [2, 0]);
    t.same([...error.frame.subarray(error.at + 4, error.at + 8)], [0, 0, 1_400 >> 8, 1_400 & 255]);
    t.equal(error.frame[error.at + 8 + (version === "v4" ? 8 : 7)], 64, "the quoted packet is as it was received");
    t.same(rig.drops(), { "too-big": 1 });
    t.equal(rig.lost, 0);
  });

  test(`packets wait for their next hop and leave in order when it answers (IP${version})`, async (t) => {
    const rig = new Rig(PERMIT);
    for (const byte of [1, 2, 3]) rig.fromOne({ ...there, payload: [byte] });
    const asked = rig.frames(1);
    t.equal(asked.length, 1, "one question for three packets");
    t.equal(macText(asked[0] as Uint8Array, 6), THREE.siteMac, "asked from the site's MAC");
    t.equal(rig.held, 3);
    const answer =
      version === "v4"
        ? arp(THREE.siteMac, 2, THREE.mac, THREE.v4, THREE.siteMac, "10.3.0.251", 30)
        : advertisement(THREE.siteMac, THREE.mac, THREE.v6, "2001:db8:3::251", 30);
    rig.put(1, answer);
    const packets = rig.seen(1);
    t.same(
      packets.map((packet) => packet.frame[packet.at + 8]),
      [1, 2, 3],
    );
    t.ok(packets.every((packet) => macText(packet.frame, 0) === THREE.mac && packet.fault === "" && packet.ttl === 63));
    t.equal(rig.held, 0);
    t.same(rig.drops(), {});
    t.equal(rig.lost, 0);
  });

  test(`a next hop that does not answer costs the packets that waited (IP${version})`, async (t) => {
    const rig = new Rig(PERMIT);
    for (let k = 0; k < RESOLVE_QUEUE_PER_HOP + 2; k++) rig.fromOne({ ...there, payload: [k] });
    t.same(rig.drops(), { "resolve-queue-full": 2 }, "the rest waits");
    rig.put(0, version === "v4" ? arpRequest(ONE.mac, ONE.v4, "10.1.0.254") : solicitation(ONE.mac, ONE.v6, "2001:db8:1::254"));
    rig.pass(6_000);
    t.same(rig.drops(), { "resolve-queue-full": 2, "no-neighbour": RESOLVE_QUEUE_PER_HOP });
    t.equal(rig.held, 0);
    t.equal(rig.frames(1).length, 4, "four questions");
    rig.frames(0);
    t.equal(rig.lost, 0);
  });
}

test("while a next hop counts as failed its packets are dropped as such, and their sender is told", async (t) => {
  const rig = new Rig(PERMIT);
  rig.fromOne({ protocol: UDP });
  for (let k = 0; k < 200 && rig.drops()["no-neighbour"] === undefined; k++) rig.pass(50);
  t.equal(rig.drops()["no-neighbour"], 1);
  rig.frames(0);
  rig.fromOne({ protocol: UDP });
  t.same(rig.drops(), { "no-neighbour": 2 });
  const [error] = rig.seen(0) as [Seen];
  t.equal(error.fault, "");
  t.same([error.frame[error.at], error.frame[error.at + 1]], [3, 1], "host unreachable");
  t.equal(error.frame[error.at + 8 + 8], 64, "the quoted packet is as it was received");
  t.equal(macText(error.frame, 0), ONE.mac);
  t.equal(rig.lost, 0);
});

test("a static route leads to its next hop, and nowhere means unreachable", async (t) => {
  const rig = new Rig({ ...PERMIT, routes: [{ prefix: prefix("192.0.2.0/24"), nextHop: address(THREE.v4), zone: 3 }] });
  rig.meetHosts();
  rig.fromOne({ protocol: UDP, destination: "192.0.2.9" });
  const [packet] = rig.seen(1) as [Seen];
  t.equal(packet.destination.text, "192.0.2.9");
  t.equal(macText(packet.frame, 0), THREE.mac);
  rig.fromOne({ protocol: UDP, destination: "198.51.100.9" });
  const [error] = rig.seen(0) as [Seen];
  t.same([error.frame[error.at], error.frame[error.at + 1]], [3, 0], "net unreachable");
  t.same(rig.drops(), { "no-route": 1 });
  t.equal(rig.lost, 0);
});

test("when a next hop moves to another MAC, every session's path is looked up again", async (t) => {
  const rig = new Rig(PERMIT);
  rig.meetHosts();
  rig.fromOne({ protocol: UDP });
  rig.fromOne({ protocol: UDP });
  const epoch = rig.header("pathEpoch");
  rig.seen(1);
  rig.put(1, arpRequest("02:00:00:00:00:99", THREE.v4, "10.3.0.254", 30));
  t.equal(rig.header("pathEpoch"), epoch + 1);
  rig.frames(1);
  rig.fromOne({ protocol: UDP });
  t.equal(macText((rig.seen(1) as [Seen])[0].frame, 0), "02:00:00:00:00:99");
  t.equal(rig.lost, 0);
});

test("a port that goes down drops what would leave by it; when it is up again the gateways are announced", async (t) => {
  const rig = new Rig(PERMIT);
  rig.meetHosts();
  rig.ports[1].state = 0;
  rig.pass(10, 10);
  rig.fromOne({ protocol: UDP });
  t.same(rig.drops(), { "egress-down": 1 });
  t.match(rig.eventNames(), ["port-down"]);
  const epoch = rig.header("pathEpoch");
  rig.ports[1].state = 1;
  rig.pass(10, 10);
  t.equal(rig.header("pathEpoch"), epoch + 1);
  t.match(rig.eventNames(), ["port-up"]);
  t.ok(rig.frames(1).length >= 2, "gateway and site address");
  rig.fromOne({ protocol: UDP });
  t.equal(rig.seen(1).length, 1);
  t.equal(rig.lost, 0);
});

test("gateways are said again each minute, before bridges forget where they are", async (t) => {
  const rig = new Rig(PERMIT);
  rig.dataplane.engine.takeOver();
  rig.pass(2_000, 10);
  rig.frames(1);
  rig.pass(55_000, 100);
  t.same(rig.frames(1), []);
  rig.pass(10_000, 100);
  t.ok(rig.frames(1).length >= 2, "gateway and site address");
});

test("a full transmit ring costs the packet and is counted", async (t) => {
  const rig = new Rig(PERMIT);
  rig.meetHosts();
  rig.ports[1].full = true;
  rig.fromOne({ protocol: UDP });
  t.same(rig.drops(), { "transmit-full": 1 });
  t.equal(rig.lost, 0);
});
