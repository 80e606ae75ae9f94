// What no rule may allow: each address that cannot be a sender or a destination, and each sender in the wrong place.

import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { Routes } from "../../firmware/fastpath/routes.ts";
import { sanity } from "../../firmware/fastpath/sanity.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import type { PlannedChecks } from "../../firmware/plan.ts";
import { address, CHECKED, type Crafted, craft, plan, prefix, row } from "./craft.ts";

const routed = new Routes(
  plan({
    routes: [
      { prefix: prefix("0.0.0.0/0"), nextHop: address("10.1.0.1"), zone: 1 },
      { prefix: prefix("::/0"), nextHop: address("2001:db8:1::1"), zone: 1 },
    ],
  }),
);
const transparent = new Routes({ ...plan({ zones: [] }), mode: "transparent" });

function reasonOf(parts: Crafted, routes = routed, reversePath = true, zone = 1, checks: Partial<PlannedChecks> = {}): string {
  const frame = craft(parts);
  const view = new DataView(frame.buffer);
  const packet = row(frame.length, 0, 0, zone);
  const fault = checkPacket(view, packet, 0, true);
  return DROP_NAMES[fault !== 0 ? fault : sanity(packet, 0, view, routes, { ...CHECKED, reversePath, ...checks })] as string;
}

const V6 = { source: "2001:db8:1::11", destination: "2001:db8:3::33" };

test("an ordinary packet is sane, in either mode and version", async (t) => {
  for (const routes of [routed, transparent]) {
    t.equal(reasonOf({}, routes), "none");
    t.equal(reasonOf(V6, routes), "none");
  }
});

test("F5: IPv4 sources that are broadcast, multicast, loopback, unspecified or reserved", async (t) => {
  for (const source of ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"]) {
    for (const routes of [routed, transparent]) t.equal(reasonOf({ source }, routes), "bad-source", source);
  }
  t.equal(reasonOf({ source: "10.1.0.255" }), "bad-source", "a network's broadcast");
});

test("F5: IPv4 destinations that are loopback, unspecified or reserved; directed broadcasts (RFC 2644)", async (t) => {
  for (const destination of ["0.0.0.0", "127.0.0.1", "240.0.0.1", "255.255.255.255", "10.3.0.255", "10.3.0.0"])
    t.equal(reasonOf({ destination }), "bad-destination", destination);
});

test("F5 V2: IPv6 sources and destinations that are unspecified, loopback, multicast, or IPv4 in disguise", async (t) => {
  for (const source of ["::", "::1", "ff02::1", "ff0e::1", "::ffff:a01:b", "::a01:b"]) t.equal(reasonOf({ ...V6, source }), "bad-source", source);
  for (const destination of ["::", "::1", "::ffff:a03:21", "::a03:21"]) t.equal(reasonOf({ ...V6, destination }), "bad-destination", destination);
});

test("source and destination that are equal are a land attack", async (t) => {
  t.equal(reasonOf({ source: "10.1.0.11", destination: "10.1.0.11" }), "land");
  t.equal(reasonOf({ source: V6.source, destination: V6.source }), "land");
});

test("F6: a source that is our own", async (t) => {
  for (const source of ["10.1.0.254", "10.1.0.251", "10.3.0.254"]) t.equal(reasonOf({ source }), "own-source");
  t.equal(reasonOf({ ...V6, source: "2001:db8:1::251" }), "own-source");
});

test("F6 V2: a source that lies behind another zone, by the longest prefix; configurable", async (t) => {
  t.equal(reasonOf({ source: "10.3.0.44", destination: "10.1.0.11" }), "spoofed");
  t.equal(reasonOf({ source: "10.3.0.44", destination: "10.1.0.11" }, routed, true, 3), "none");
  t.equal(reasonOf({ source: "192.0.2.1" }), "none", "by the default route");
  t.equal(reasonOf({ source: "192.0.2.1", destination: "10.1.0.11" }, routed, true, 3), "spoofed");
  t.equal(reasonOf({ source: "10.3.0.44", destination: "10.1.0.11" }, routed, false), "none");
  t.equal(reasonOf({ ...V6, source: "2001:db8:3::44" }), "spoofed");
});

test("F6: link-local addresses reach the router itself and nothing beyond", async (t) => {
  t.equal(reasonOf({ source: "fe80::11", destination: "fe80::1" }), "none");
  t.equal(reasonOf({ source: "fe80::11", destination: V6.destination }), "bad-source");
  t.equal(reasonOf({ source: V6.source, destination: "fe80::99" }), "bad-destination");
  t.equal(reasonOf({ source: "169.254.0.9" }), "bad-source");
  t.equal(reasonOf({ destination: "169.254.0.9" }), "bad-destination");
  t.equal(reasonOf({ source: "fe80::11", destination: "fe80::99" }, transparent), "none", "a wire passes them");
});

test("the sender of an ICMP error is judged, not that of the packet that it quotes", async (t) => {
  const payload = [...craft({ protocol: 17 }).subarray(14)];
  const error = { destination: "10.1.0.11", protocol: 1, type: 3, rest: [0, 0, 0, 0], payload };
  t.equal(reasonOf({ ...error, source: "127.0.0.1" }), "bad-source");
  t.equal(reasonOf({ ...error, source: "10.1.0.99" }), "none");
  t.equal(reasonOf({ ...error, source: "10.3.0.99" }, routed, true, 3), "none");
  t.equal(reasonOf({ ...error, source: "10.1.0.11" }), "land");
});
