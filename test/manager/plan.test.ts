// Names become numbers: the plan of the example for each unit, and what both units must have in common.

import { readFileSync } from "node:fs";
import { test } from "tap";
import { board as lab } from "../../board/lab.ts";
import { formatAddress, formatPrefix } from "../../firmware/manager/config/addresses.ts";
import { loadConfiguration, parseConfiguration } from "../../firmware/manager/config/load.ts";
import { buildPlan, followsInPlace } from "../../firmware/manager/config/plan.ts";
import type { Plan } from "../../firmware/plan.ts";

const EXAMPLE = new URL("../../firmware/manager/config/example.json", import.meta.url).pathname;

// biome-ignore lint/suspicious/noExplicitAny: tests change the example in every way
type Loose = any;

function planOf(unit: string, change: (configuration: Loose) => void = () => undefined): Plan {
  const configuration = JSON.parse(readFileSync(EXAMPLE, "utf8"));
  change(configuration);
  return buildPlan(parseConfiguration(JSON.stringify(configuration), "test.json"), lab, unit);
}

test("the example's plan for A1", async (t) => {
  const plan = buildPlan(loadConfiguration(EXAMPLE), lab, "A1");
  t.match(plan, { unit: 1, name: "A1", site: "A", mode: "routed", revision: 1, sessions: 262_144 });
  t.same(plan.ports, [
    { number: 0, device: "port1", kind: "data", mtuBytes: 1_500, pairedPort: -1 },
    { number: 1, device: "port2", kind: "data", mtuBytes: 1_500, pairedPort: -1 },
    { number: 2, device: "twin", kind: "twin", mtuBytes: 1_500, pairedPort: -1 },
  ]);
  t.same(
    plan.zones.map((zone) => [zone.zone, zone.name, zone.port, zone.vlan, zone.gatewayAddresses.map(formatPrefix), zone.siteAddresses.map(formatPrefix)]),
    [
      [1, "one", 0, 0, ["10.1.0.1/24", "fd00:1::1/64"], ["10.1.0.2/24", "fd00:1::2/64", "fe80::54:50ff:fed8:101/64"]],
      [2, "three", 1, 0, ["10.3.0.1/24", "fd00:3::1/64"], ["10.3.0.2/24", "fd00:3::2/64", "fe80::54:50ff:fed8:201/64"]],
    ],
  );
  t.same(
    plan.routes.map((route) => [formatPrefix(route.prefix), formatAddress(route.nextHop), route.zone]),
    [["10.9.0.0/24", "10.1.0.254", 1]],
  );
  t.same(plan.rules[0], {
    number: 1,
    name: "web",
    fromZones: [1],
    toZones: [2],
    sources: [],
    destinations: [],
    services: [
      { protocol: 6, ports: [80, 80], codes: [0, 255] },
      { protocol: 6, ports: [443, 443], codes: [0, 255] },
    ],
    action: "permit",
    log: false,
    idleMillis: 0,
  });
  t.same(plan.rules[3]?.destinations.map(formatPrefix), ["10.3.0.13/32"], "an address alone is a prefix of full length");
  t.match(plan.twin, { enabled: true, peers: [{ unit: 3, name: "B1", site: "B" }], heartbeatMillis: 20, partition: "stop" });
  t.same(
    plan.twin.monitored.map((monitored) => [monitored.zone, formatAddress(monitored.address)]),
    [[1, "10.1.0.254"]],
  );
});

test("both sites have the gateway's MAC in common, and each its own site MAC", async (t) => {
  const [a, b] = [planOf("A1"), planOf("B1")];
  t.same(a.zones[0]?.gatewayMac, b.zones[0]?.gatewayMac);
  t.same(a.zones[0]?.gatewayMac, [0x02, 0x54, 0x50, 0xd8, 1, 0], "02:54, the system name's hash, zone, 0");
  t.same(a.zones[0]?.siteMac, [0x02, 0x54, 0x50, 0xd8, 1, 1]);
  t.same(b.zones[0]?.siteMac, [0x02, 0x54, 0x50, 0xd8, 1, 2]);
});

test("both sites agree while what they share is equal, and policy may differ", async (t) => {
  const a = planOf("A1").agreementHash;
  t.equal(planOf("B1").agreementHash, a);
  t.equal(planOf("B1", (c) => c.policy.pop()).agreementHash, a, "a rule less");
  t.not(planOf("B1", (c) => c.zones.reverse()).agreementHash, a, "other zone numbers");
  t.not(planOf("B1", (c) => (c.zones[0].gateway.mac = "02:00:00:00:00:01")).agreementHash, a, "another gateway");
  t.not(planOf("B1", (c) => (c.twin.partition = "local")).agreementHash, a, "another partition setting");
});

test("a link-local address that is given replaces the derived one", async (t) => {
  const plan = planOf("A1", (c) => c.zones[0].sites.A.addresses.push("fe80::a/64"));
  t.same(plan.zones[0]?.siteAddresses.map(formatPrefix), ["10.1.0.2/24", "fd00:1::2/64", "fe80::a/64"]);
});

test("a zone without IPv6 gets no link-local address", async (t) => {
  const plan = planOf("A1", (c) => {
    for (const addresses of [c.zones[0].gateway.addresses, c.zones[0].sites.A.addresses, c.zones[0].sites.B.addresses]) addresses.pop();
  });
  t.same(plan.zones[0]?.siteAddresses.map(formatPrefix), ["10.1.0.2/24"]);
});

test("transparent mode pairs the two data ports", async (t) => {
  const plan = planOf("A1", (c) => {
    c.mode = "transparent";
    for (const zone of c.zones) zone.gateway = {};
  });
  t.same(
    plan.ports.map((port) => port.pairedPort),
    [1, 0, -1],
  );
});

test("with the twin off there is no twin port, and no peer", async (t) => {
  const plan = planOf("A1", (c) => (c.twin.enabled = false));
  t.same(
    plan.ports.map((port) => port.device),
    ["port1", "port2"],
  );
  t.match(plan.twin, { enabled: false, peers: [] });
});

test("a unit that the configuration does not have is refused", async (t) => {
  t.throws(() => planOf("C1"), { message: /--unit: there is no unit "C1" in test.json \[unknown-unit\]\n {2}Name one of units: A1, B1\./ });
});

test("addresses are read and written", async (t) => {
  for (const text of ["::1/128", "2001:db8::/32", "fd00:1::c0a8:1/64", "1:2:3:4:5:6:7:8/127", "10.0.0.0/8", "64:ff9b::a00:1/96", "1:0:0:2::3/64"]) {
    const plan = planOf("A1", (c) => (c.policy[3].destination = [text.replace(/\/.*/, "")]));
    t.equal(formatAddress(plan.rules[3]?.destinations[0]?.bytes ?? []), text.replace(/\/.*/, ""), text);
  }
});

test("F5, F6, F9, T4, T6, T7, V3: what is configurable has safe defaults, and reaches the plan", async (t) => {
  const safe = planOf("A1");
  t.equal(safe.halfOpenPerDestination, 4_096);
  t.same(safe.checks, { checksums: true, reversePath: true, ownSource: true, linkLocal: true, strictIpv6: false, midstream: false, ipv4Options: [148] });
  const changed = planOf("A1", (c) => {
    c.halfOpenPerDestination = 100;
    c.policy[0].idleSeconds = 90;
    c.idleMillis = { udpOneWay: 130_000 };
    c.checks = { checksums: false, reversePath: false, ownSource: false, linkLocal: false, midstream: "permit", ipv4Options: ["timestamp", "stream-id"] };
  });
  t.equal(changed.halfOpenPerDestination, 100);
  t.same([changed.rules[0]?.idleMillis, changed.rules[1]?.idleMillis], [90_000, 0]);
  t.equal(changed.idleMillis.udpOneWay, 130_000);
  t.same(changed.checks, {
    checksums: false,
    reversePath: false,
    ownSource: false,
    linkLocal: false,
    strictIpv6: false,
    midstream: true,
    ipv4Options: [68, 136],
  });
});

test("F5: the strict IPv6 profile does not go with own addresses outside 2000::/3", async (t) => {
  const strict = (c: Loose) => {
    c.checks = { strictIpv6: true };
  };
  t.throws(() => planOf("A1", strict), { message: /fd00:1::1\/64 lies outside 2000::\/3.*\[outside-profile\]/ });
});

test("objects become what they stand for, with the groups in groups, each once", async (t) => {
  const plan = planOf("A1", (c) => {
    c.objects = {
      addresses: { web: ["10.3.0.11", "10.3.0.12"], database: ["10.3.0.64/28"] },
      addressGroups: { servers: ["web", "more"], more: ["database", "web"] },
      services: { mail: ["tcp/25", "tcp/465"] },
    };
    c.policy[0].destination = ["servers", "10.3.0.99"];
    c.policy[0].service = ["mail"];
  });
  t.same(plan.rules[0]?.destinations.map(formatPrefix), ["10.3.0.11/32", "10.3.0.12/32", "10.3.0.64/28", "10.3.0.99/32"]);
  t.same(
    plan.rules[0]?.services.map((service) => service.ports[0]),
    [25, 465],
  );
});

test("rules, timeouts and routes are followed in place; zones, addresses and ports need another dataplane", async (t) => {
  const before = planOf("A1");
  const inPlace: ((configuration: Loose) => void)[] = [(configuration) => configuration.policy.pop(), (configuration) => configuration.routes.pop()];
  for (const change of inPlace) t.ok(followsInPlace(planOf("A1", change), before));
  t.notOk(
    followsInPlace(
      planOf("A1", (configuration) => {
        configuration.zones[0].sites.A.addresses[0] = "10.1.0.9/24";
      }),
      before,
    ),
  );
});
