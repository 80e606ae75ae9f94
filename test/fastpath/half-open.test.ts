// The half-open limit (F9): counted per destination, given back in every way in which a session stops being half-open, and
// rebuilt after a crash. A flood of SYNs fills neither the table nor the memory.

import { test } from "tap";
import { HalfOpen } from "../../firmware/fastpath/half-open.ts";
import { Random } from "../../firmware/hal/sim/random.ts";
import type { PlannedZone } from "../../firmware/plan.ts";
import { type Crafted, craft, HOST_MAC, mac, rule } from "./craft.ts";
import { ONE, Rig, THREE } from "./rig.ts";

const UDP = 17;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

function known(parts: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig({ rules: [rule(1, { fromZones: [1] })], ...parts });
  rig.meetHosts();
  rig.eventNames();
  return rig;
}

for (const version of ["v4", "v6"] as const) {
  const there = { source: ONE[version], destination: THREE[version] };
  const other = version === "v4" ? "10.3.0.34" : "2001:db8:3::34";
  const syn = (rig: Rig, sourcePort: number, destination: string = THREE[version]) =>
    rig.fromOne({ ...there, destination, sourcePort, flags: SYN, sequence: 100, acknowledgement: 0 });
  const answer = (rig: Rig, port: number, flags: number, parts: Crafted = {}) =>
    rig.fromThree({
      source: THREE[version],
      destination: ONE[version],
      sourcePort: 80,
      destinationPort: port,
      flags,
      sequence: 900,
      acknowledgement: 101,
      ...parts,
    });

  test(`F9: past the limit a SYN is dropped before a row is made, counted and logged; other destinations are served (IP${version})`, async (t) => {
    const rig = known({ halfOpenPerDestination: 5 });
    for (let port = 1; port <= 8; port++) syn(rig, port);
    t.equal(rig.seen(1).length, 5);
    t.same(rig.drops(), { "half-open-limit": 3 });
    t.same(rig.eventNames(), ["half-open-limit", "half-open-limit", "half-open-limit"]);
    t.equal(rig.header("halfOpen"), 5);
    t.equal(rig.states().length, 5);
    syn(rig, 1);
    t.equal(rig.seen(1).length, 1, "a repeated SYN of a session that has a row passes");
    syn(rig, 1, other);
    rig.fromOne({ ...there, protocol: UDP });
    t.same(rig.drops(), { "half-open-limit": 3 });
    t.equal(rig.header("halfOpen"), 6);
  });

  test(`F9: what is established, refused or expired gives its place back (IP${version})`, async (t) => {
    const rig = known({ halfOpenPerDestination: 2 });
    syn(rig, 1);
    syn(rig, 2);
    syn(rig, 3);
    t.same(rig.drops(), { "half-open-limit": 1 });
    answer(rig, 1, SYN | ACK);
    syn(rig, 3);
    t.same(rig.drops(), { "half-open-limit": 2 }, "the handshake is not complete yet");
    rig.fromOne({ ...there, sourcePort: 1, flags: ACK, sequence: 101, acknowledgement: 901 });
    t.equal(rig.header("halfOpen"), 1);
    syn(rig, 3);
    answer(rig, 2, RST | ACK);
    t.equal(rig.header("halfOpen"), 1, "refused");
    syn(rig, 4);
    t.same(rig.drops(), { "half-open-limit": 2 });
    rig.pass(250_000, 1_000);
    t.equal(rig.header("halfOpen"), 0, "expired");
    t.same(rig.states(), ["established"]);
    syn(rig, 5);
    syn(rig, 6);
    t.same(rig.drops(), { "half-open-limit": 2 });
    t.equal(rig.lost, 0);
  });

  test(`F9: after a crash the counts are those of the rows (IP${version})`, async (t) => {
    const parts = { halfOpenPerDestination: 4 };
    const first = known(parts);
    for (let port = 1; port <= 4; port++) syn(first, port);
    answer(first, 1, SYN | ACK);
    first.fromOne({ ...there, sourcePort: 1, flags: ACK, sequence: 101, acknowledgement: 901 });
    const second = new Rig({ rules: [rule(1, { fromZones: [1] })], ...parts }, first);
    second.meetHosts();
    t.equal(second.header("halfOpen"), 3);
    syn(second, 5);
    syn(second, 6);
    t.same(second.drops(), { "half-open-limit": 1 });
    answer(second, 2, RST | ACK);
    syn(second, 6);
    t.same(second.drops(), { "half-open-limit": 1 });
  });
}

test("F9: a flood of SYNs to many destinations takes a part of the table and no more; nothing is evicted, others get rows", async (t) => {
  const rig = known({ sessions: 1_024 });
  rig.fromOne({ protocol: UDP, sourcePort: 9 });
  rig.fromOne({ sourcePort: 9, flags: SYN, sequence: 100, acknowledgement: 0 });
  rig.fromThree({ sourcePort: 80, destinationPort: 9, flags: SYN | ACK, sequence: 900, acknowledgement: 101 });
  rig.fromOne({ sourcePort: 9, flags: ACK, sequence: 101, acknowledgement: 901 });
  for (let k = 0; k < 2_000; k++) rig.fromOne({ destination: `10.3.0.${1 + (k % 200)}`, sourcePort: 10_000 + k, flags: SYN, sequence: k, acknowledgement: 0 });
  t.equal(rig.header("halfOpen"), 256);
  t.equal(rig.header("sessionsLive"), 258);
  rig.frames(1);
  rig.fromOne({ sourcePort: 9, flags: ACK, sequence: 101, acknowledgement: 901, payload: [1, 2, 3] });
  rig.fromOne({ protocol: UDP, sourcePort: 10 });
  t.equal(rig.seen(1).length, 2, "established traffic and what is not TCP go on");
  t.equal(rig.drops()["table-full"], undefined);
});

test("F9: SYNs that are refused at once leave tombstones, and those are bounded too", async (t) => {
  const rig = known({ sessions: 1_024 });
  for (let port = 1; port <= 900; port++) {
    rig.fromOne({ sourcePort: port, flags: SYN, sequence: 100, acknowledgement: 0 });
    rig.fromThree({ sourcePort: 80, destinationPort: port, flags: RST | ACK, sequence: 0, acknowledgement: 101 });
  }
  t.equal(rig.header("tombstones"), 512);
  t.equal(rig.drops()["half-open-limit"], 900 - 512);
  rig.pass(3_000, 10);
  t.equal(rig.header("tombstones"), 0);
  rig.fromOne({ sourcePort: 1, flags: SYN, sequence: 100, acknowledgement: 0 });
  t.equal(rig.header("halfOpen"), 1);
});

test("F9: in transparent mode each VLAN's destination has a limit of its own", async (t) => {
  const none = { gatewayMac: mac("00:00:00:00:00:00"), gatewayAddresses: [], siteMac: mac("00:00:00:00:00:00"), siteAddresses: [] };
  const zone = (number: number, port: number, vlan: number): PlannedZone => ({ zone: number, name: `zone ${number}`, port, vlan, ...none });
  const port = (number: number) => ({ number, device: `port${number}`, kind: "data", mtuBytes: 1_500, pairedPort: 1 - number }) as const;
  const zones = [zone(1, 0, 0), zone(3, 1, 0), zone(1, 0, 7), zone(3, 1, 7)];
  const rig = new Rig({ mode: "transparent", ports: [port(0), port(1)], zones, rules: [rule(1, { fromZones: [1] })], halfOpenPerDestination: 3 });
  for (const version of ["v4", "v6"] as const) {
    for (const tag of [{}, { vlan: 7 }]) {
      for (let sourcePort = 1; sourcePort <= 5; sourcePort++) {
        const parts = {
          source: ONE[version],
          destination: THREE[version],
          destinationMac: THREE.mac,
          sourceMac: HOST_MAC,
          sourcePort,
          flags: SYN,
          acknowledgement: 0,
        };
        rig.put(0, craft({ ...parts, ...tag }));
      }
      t.equal(rig.frames(1).length, 3);
    }
  }
  t.same(rig.drops(), { "half-open-limit": 8 });
});

test("F9: the table of destinations agrees with a plain one through random counting", async (t) => {
  const table = new HalfOpen(1_024, 11, 22);
  const plain = new Map<number, [number, number]>();
  const random = new Random(7, "half-open");
  const words = new Int32Array(10);
  let total = 0;
  for (let step = 0; step < 50_000; step++) {
    const destination = random.below(60);
    const site = random.below(2);
    words[7] = destination >> 1;
    words[9] = 6 | ((destination & 1) << 16);
    const counts = plain.get(destination) ?? [0, 0];
    if (random.below(2) === 0) {
      const allowed = total < 256 && counts[0] + counts[1] < 8;
      if (table.allows(words, 0, site, 8, 1) !== allowed) return t.fail(`step ${step}: allowed ${allowed}`);
      if (!allowed) continue;
      table.add(words, 0, site);
      counts[site as 0 | 1]++;
      total++;
      plain.set(destination, counts);
    } else if (counts[site as 0 | 1] > 0) {
      table.remove(words, 0, site);
      counts[site as 0 | 1]--;
      total--;
    }
    if (table.total !== total || table.countOf(words, 0) !== counts[0] + counts[1]) return t.fail(`step ${step}: counts differ`);
  }
  t.pass();
});

test("F9: as many destinations fit as there can be half-open sessions", async (t) => {
  const table = new HalfOpen(4_096, 5, 6);
  const words = new Int32Array(10);
  let added = 0;
  for (let k = 0; k < 1_024; k++) {
    words[7] = k * 2_654_435;
    if (table.add(words, 0, 0)) added++;
  }
  t.equal(added, 1_024);
  words[7] = -1;
  t.equal(table.allows(words, 0, 0, 10, 1), false);
  t.equal(table.add(words, 0, 0), false, "a replica beyond that is not counted");
  t.equal(table.total, 1_024);
});
