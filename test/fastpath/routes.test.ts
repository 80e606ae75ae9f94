// Routes: the longest prefix wins, connected networks before static routes, and own addresses are known apart.

import fc from "fast-check";
import { test } from "tap";
import { Routes } from "../../firmware/fastpath/routes.ts";
import { addressWords, OWN_GATEWAY, OWN_SITE } from "../../firmware/fastpath/stations.ts";
import { address, plan, prefix, words } from "./craft.ts";

const via = (text: string, nextHop: string, zone: number) => ({ prefix: prefix(text), nextHop: address(nextHop), zone });

test("a destination on a connected network is on the link", async (t) => {
  const routes = new Routes(plan());
  for (const [text, entry, zone] of [
    ["10.1.0.77", 0, 1],
    ["10.3.0.1", 1, 3],
    ["2001:db8:3::9", 1, 3],
  ] as const) {
    const found = routes.find(words(text), 0);
    t.equal(routes.entry[found], entry);
    t.equal(routes.zone[found], zone);
    t.same(routes.hop.subarray(found * 4, found * 4 + 4), new Int32Array(4));
  }
});

test("without a route there is none, and link-local networks are no routes", async (t) => {
  const routes = new Routes(plan());
  t.equal(routes.find(words("192.0.2.1"), 0), -1);
  t.equal(routes.find(words("2001:db8:9::1"), 0), -1);
  t.equal(routes.find(words("fe80::9"), 0), -1);
});

test("static routes leave by the entry in whose network the next hop lies", async (t) => {
  const routes = new Routes(plan({ routes: [via("0.0.0.0/0", "10.1.0.1", 1), via("::/0", "2001:db8:3::1", 3)] }));
  const v4 = routes.find(words("192.0.2.1"), 0);
  t.equal(routes.entry[v4], 0);
  t.same(routes.hop.subarray(v4 * 4, v4 * 4 + 4), words("10.1.0.1"));
  const v6 = routes.find(words("2001:db8:9::1"), 0);
  t.equal(routes.entry[v6], 1);
  t.same(routes.hop.subarray(v6 * 4, v6 * 4 + 4), words("2001:db8:3::1"));
});

test("a connected network wins over a static route for the same prefix", async (t) => {
  const routes = new Routes(plan({ routes: [via("10.3.0.0/24", "10.1.0.1", 1)] }));
  t.equal(routes.zone[routes.find(words("10.3.0.9"), 0)], 3);
});

test("a route into a zone that the unit does not have is refused", async (t) => {
  t.throws(() => new Routes(plan({ routes: [via("10.9.0.0/16", "10.1.0.1", 9)] })), /zone 9/);
});

test("find is the longest prefix that holds the address", async () => {
  const anyV4 = fc
    .tuple(fc.constantFrom(10, 192), fc.constantFrom(1, 9, 128), fc.constantFrom(0, 255), fc.constantFrom(0, 1, 255))
    .map((bytes) => bytes.join("."));
  const anyV6 = fc
    .tuple(fc.constantFrom("2001", "fd00"), fc.constantFrom("0", "db8", "ffff"), fc.constantFrom("0", "1", "ffff"))
    .map(([a, b, c]) => `${a}:${b}:0:0:${c}:0:0:${c}`);
  const anyPrefix = fc
    .oneof(fc.tuple(anyV4, fc.integer({ min: 0, max: 32 })), fc.tuple(anyV6, fc.integer({ min: 0, max: 128 })))
    .map(([text, bits]) => `${text}/${bits}`);
  fc.assert(
    fc.property(fc.uniqueArray(anyPrefix, { maxLength: 40 }), fc.array(fc.oneof(anyV4, anyV6), { minLength: 1, maxLength: 20 }), (texts, destinations) => {
      const thePlan = plan({
        zones: plan().zones.map((zone) => ({ ...zone, gatewayAddresses: [], siteAddresses: [] })),
        routes: texts.map((text) => via(text, "10.1.0.1", 1)),
      });
      const routes = new Routes(thePlan);
      for (const text of destinations) {
        const holding = thePlan.routes
          .map((route, k) => ({ route, k }))
          .filter(
            ({ route }) =>
              text.includes(":") === (route.prefix.prefixBits < 96 || !isV4(route.prefix.bytes)) &&
              holds(route.prefix.bytes, route.prefix.prefixBits, address(text)),
          );
        const longest = Math.max(-1, ...holding.map(({ route }) => route.prefix.prefixBits));
        const expected = holding.find(({ route }) => route.prefix.prefixBits === longest)?.k ?? -1;
        const found = routes.find(Int32Array.from(addressWords(address(text))), 0);
        if (found !== expected) throw new Error(`${text}: ${found}, not ${expected}`);
      }
    }),
    { seed: 9, numRuns: 300 },
  );
});

const isV4 = (bytes: readonly number[]) => bytes[10] === 0xff && bytes[11] === 0xff;
function holds(bytes: readonly number[], bits: number, other: readonly number[]): boolean {
  for (let bit = 0; bit < bits; bit++) if ((((bytes[bit >> 3] as number) ^ (other[bit >> 3] as number)) >> (7 - (bit & 7))) & 1) return false;
  return true;
}

test("own addresses are found, gateway and site told apart", async (t) => {
  const routes = new Routes(plan());
  t.equal(routes.isOwn(words("10.1.0.254"), 0), 0);
  t.equal(routes.ownKind, OWN_GATEWAY);
  t.equal(routes.isOwn(words("2001:db8:3::251"), 0), 1);
  t.equal(routes.ownKind, OWN_SITE);
  t.equal(routes.isOwn(words("10.1.0.253"), 0), -1);
});

test("a link-local address that every port has is own on each of them", async (t) => {
  const { stations } = new Routes(plan());
  t.equal(stations.ownAt(0, words("fe80::1"), 0), OWN_GATEWAY);
  t.equal(stations.ownAt(1, words("fe80::1"), 0), OWN_GATEWAY);
  t.equal(stations.ownAt(1, words("fe80::253"), 0), OWN_SITE);
  t.equal(stations.ownAt(0, words("fe80::253"), 0), 0);
});

test("the site address of the destination's network speaks; far and link-local destinations get one of their version", async (t) => {
  const { stations } = new Routes(plan());
  const speaker = (entry: number, text: string) => {
    const number = stations.speaker(entry, words(text), 0);
    return Int32Array.from([0, 1, 2, 3].map((k) => stations.addressWord(number, k)));
  };
  t.same(speaker(0, "10.1.0.9"), words("10.1.0.251"));
  t.same(speaker(0, "192.0.2.1"), words("10.1.0.251"));
  t.same(speaker(1, "2001:db8:99::1"), words("2001:db8:3::251"));
  t.same(speaker(1, "fe80::99"), words("fe80::253"));
});

test("first and last addresses of a connected network are broadcasts", async (t) => {
  const { stations } = new Routes(plan());
  t.ok(stations.isBroadcast(words("10.1.0.255"), 0));
  t.ok(stations.isBroadcast(words("10.1.0.0"), 0));
  t.notOk(stations.isBroadcast(words("10.1.0.1"), 0));
  t.notOk(stations.isBroadcast(words("10.9.0.255"), 0));
  t.notOk(stations.isBroadcast(words("2001:db8:1::ff"), 0));
});
