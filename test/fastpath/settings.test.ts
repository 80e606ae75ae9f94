// What is configurable, each setting both ways: which packets it lets through a unit, and how long sessions live.

import { test } from "tap";
import { type Crafted, prefix, rule } from "./craft.ts";
import { ONE, Rig, THREE } from "./rig.ts";

const UDP = 17;
const SYN = 0x02;
const ACK = 0x10;

function known(parts: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig({ rules: [rule(1)], ...parts });
  rig.meetHosts();
  return rig;
}

/** What becomes of one datagram from zone one, under these checks. */
function fate(parts: Crafted, checks: NonNullable<ConstructorParameters<typeof Rig>[0]>["checks"] = {}): string {
  const rig = known({ checks });
  rig.fromOne({ protocol: UDP, ...parts });
  const drops = Object.keys(rig.drops());
  return rig.seen(1).length === 1 && drops.length === 0 ? "passes" : drops.join(" ");
}

const V6 = { source: ONE.v6, destination: THREE.v6 };

test("F6: a source that lies behind another zone is dropped, unless the reverse-path check is off", async (t) => {
  for (const parts of [
    { source: "10.3.0.44", destination: THREE.v4 },
    { ...V6, source: "2001:db8:3::44" },
  ]) {
    t.equal(fate(parts), "spoofed");
    t.equal(fate(parts, { reversePath: false }), "passes");
  }
});

test("F6: a source that is our own is dropped, unless that check is off", async (t) => {
  for (const parts of [{ source: "10.1.0.254" }, { ...V6, source: "2001:db8:1::251" }]) {
    t.equal(fate(parts), "own-source");
    t.equal(fate(parts, { ownSource: false }), "passes");
  }
});

test("F6: link-local sources and destinations go no further than the router, unless that check is off", async (t) => {
  for (const [parts, reason, otherwise] of [
    [{ source: "169.254.1.1" }, "bad-source", "passes"],
    [{ ...V6, source: "fe80::77" }, "bad-source", "passes"],
    [{ destination: "169.254.1.1" }, "bad-destination", "no-route"],
    [{ ...V6, destination: "fe80::77" }, "bad-destination", "no-route"],
  ] as const) {
    t.equal(fate(parts), reason);
    t.equal(fate(parts, { linkLocal: false }), otherwise);
  }
});

test("F5: under the strict profile IPv6 unicast outside 2000::/3 is dropped; otherwise a unique local address passes", async (t) => {
  const routes = [
    { prefix: prefix("fd00:1::/64"), nextHop: [...new Array<number>(15).fill(0), 1], zone: 1 },
    { prefix: prefix("4000::/8"), nextHop: [...new Array<number>(15).fill(0), 1], zone: 1 },
  ];
  for (const [parts, reason] of [
    [{ ...V6, source: "fd00:1::5" }, "bad-source"],
    [{ ...V6, source: "4000::5" }, "bad-source"],
    [{ ...V6, destination: "fd00:1::5" }, "bad-destination"],
  ] as const) {
    for (const strictIpv6 of [true, false]) {
      const rig = known({ routes, checks: { strictIpv6 } });
      rig.fromOne({ protocol: UDP, ...parts });
      t.equal(rig.drops()[reason] ?? 0, strictIpv6 ? 1 : 0, `${parts.source} to ${parts.destination}`);
    }
  }
  t.equal(fate(V6, { strictIpv6: true }), "passes", "2001:db8::/32 lies within");
});

test("T7: a wrong TCP, UDP or ICMP checksum is dropped, unless that check is off", async (t) => {
  for (const parts of [{}, V6]) {
    const transport = [0x9c, 0x40, 0, 80, 0, 12, 0x12, 0x34, 1, 2, 3, 4];
    t.equal(fate({ ...parts, transport }), "bad-transport-checksum");
    t.equal(fate({ ...parts, transport }, { checksums: false }), "passes");
  }
});

test("V3: Router Alert, End and No-Operation pass, other options do not; each can be let through, source routes and Record Route never", async (t) => {
  const alert = [148, 4, 0, 0];
  const timestamp = [68, 8, 5, 0, 0, 0, 0, 0];
  const stream = [136, 4, 0, 7];
  t.equal(fate({ ipOptions: alert }), "passes");
  t.equal(fate({ ipOptions: [1, 1, 1, 0] }), "passes");
  t.equal(fate({ ipOptions: alert }, { ipv4Options: [] }), "bad-ip-option");
  for (const [ipOptions, number] of [
    [timestamp, 68],
    [stream, 136],
    [[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 130],
    [[25, 8, 0, 0, 0, 0, 0, 0], 25],
  ] as const) {
    t.equal(fate({ ipOptions }), "bad-ip-option");
    t.equal(fate({ ipOptions }, { ipv4Options: [number] }), "passes", `option ${number}`);
  }
  for (const [number, bytes] of [
    [7, 7],
    [131, 7],
    [137, 7],
  ] as const) {
    t.equal(fate({ ipOptions: [number, bytes, 4, 0, 0, 0, 0, 0] }, { ipv4Options: [number] }), "bad-ip-option", `option ${number}, F5`);
  }
});

test("V3: a malformed length is rejected before anything steps over it, whatever is let through", async (t) => {
  const ipv4Options = [68, 130, 136, 148];
  for (const ipOptions of [
    [68, 0, 0, 0],
    [68, 1, 0, 0],
    [68, 2, 68, 2],
    [68, 5, 0, 0],
    [1, 1, 1, 68],
    [1, 1, 68, 2],
    [136, 3, 0, 0],
    [148, 8, 0, 0, 0, 0, 0, 0],
    [130, 255, 0, 0],
  ])
    t.equal(fate({ ipOptions }, { ipv4Options }), "bad-ip-option", `${ipOptions}`);
});

for (const version of ["v4", "v6"] as const) {
  const there = { source: ONE[version], destination: THREE[version] };
  const back = { source: THREE[version], destination: ONE[version], sourcePort: 80, destinationPort: 40_000 };

  test(`T6: a rule's own idle time holds for established TCP and for datagrams, not for handshakes (IP${version})`, async (t) => {
    const rig = known({ rules: [rule(1, { idleMillis: 20_000 })] });
    rig.fromOne({ ...there, flags: SYN, sequence: 100, acknowledgement: 0 });
    rig.pass(21_000, 500);
    t.same(rig.states(), ["syn-sent"]);
    rig.fromThree({ ...back, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
    rig.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 });
    rig.fromOne({ ...there, protocol: UDP });
    rig.fromThree({ ...back, protocol: UDP });
    rig.pass(19_000, 500);
    t.same(rig.states().sort(), ["established", "udp-both-ways"]);
    rig.fromOne({ ...there, flags: ACK, sequence: 101, acknowledgement: 901 });
    rig.pass(2_000, 500);
    t.same(rig.states(), ["established"], "its packet began the time anew");
    rig.pass(19_000, 500);
    t.same(rig.states(), []);
  });

  test(`T6: an established session lives for 2 hours and 4 minutes without a packet, a closing one for 4 minutes (IP${version})`, async (t) => {
    const rig = known({});
    for (const sourcePort of [1_000, 1_001]) {
      rig.fromOne({ ...there, sourcePort, flags: SYN, sequence: 100, acknowledgement: 0 });
      rig.fromThree({ ...back, destinationPort: sourcePort, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
      rig.fromOne({ ...there, sourcePort, flags: ACK, sequence: 101, acknowledgement: 901 });
    }
    rig.fromOne({ ...there, sourcePort: 1_001, flags: ACK | 0x01, sequence: 101, acknowledgement: 901 });
    rig.pass(239_000, 1_000);
    t.same(rig.states().sort(), ["established", "fin-wait"]);
    rig.pass(3_000, 1_000);
    t.same(rig.states(), ["established"]);
    rig.pass(7_440_000 - 250_000, 10_000);
    t.same(rig.states(), ["established"]);
    rig.pass(20_000, 1_000);
    t.same(rig.states(), []);
  });
}

test("T6: idle times are configurable by protocol and state", async (t) => {
  const base = known({}).plan.idleMillis;
  const rig = known({ idleMillis: { ...base, tcpOpening: 2_000, udpOneWay: 4_000, icmpQuery: 6_000, other: 8_000 } });
  rig.fromOne({ flags: SYN, sequence: 100, acknowledgement: 0 });
  rig.fromOne({ protocol: UDP });
  rig.fromOne({ protocol: 1, type: 8 });
  rig.fromOne({ protocol: 47, payload: [1] });
  for (const left of [4, 3, 2, 1, 0]) {
    t.equal(rig.states().length, left);
    rig.pass(2_100, 100);
  }
});
