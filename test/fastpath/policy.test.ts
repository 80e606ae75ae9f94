// The compiled policy says what a reader of the rules, going down the list, would say.

import fc from "fast-check";
import { test } from "tap";
import { P_DESTINATION, P_FLAGS, P_FLOW, P_PORTS, P_SOURCE, P_ZONE, PACKET_ICMP_SHIFT, PACKET_WORDS } from "../../firmware/fastpath/packets.ts";
import { ACTION_DENY, ACTION_PERMIT, ACTION_REJECT, Policy } from "../../firmware/fastpath/policy.ts";
import { addressWords } from "../../firmware/fastpath/stations.ts";
import type { PlannedRule, Prefix } from "../../firmware/plan.ts";
import { address, prefix, rule } from "./craft.ts";

interface Flow {
  readonly from: number;
  readonly to: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** Ports, or ICMP type and code. */
  readonly sourcePort: number;
  readonly port: number;
}

function packet(flow: Flow): Int32Array {
  const words = new Int32Array(PACKET_WORDS);
  words.set(addressWords(address(flow.source)), P_SOURCE);
  words.set(addressWords(address(flow.destination)), P_DESTINATION);
  words[P_FLOW] = flow.protocol | (flow.from << 8);
  words[P_ZONE] = flow.from;
  if (isIcmp(flow)) words[P_FLAGS] = ((flow.port >> 8) | ((flow.port & 0xff) << 8)) << PACKET_ICMP_SHIFT;
  else words[P_PORTS] = new DataView(Uint8Array.of(flow.sourcePort >> 8, flow.sourcePort, flow.port >> 8, flow.port).buffer).getInt32(0, true);
  return words;
}

const isIcmp = (flow: Flow) => flow.protocol === 1 || flow.protocol === 58;

/** The rule list as a person reads it. */
function naive(rules: readonly PlannedRule[], flow: Flow): number {
  for (const candidate of rules) {
    if (candidate.fromZones.length > 0 && !candidate.fromZones.includes(flow.from)) continue;
    if (candidate.toZones.length > 0 && !candidate.toZones.includes(flow.to)) continue;
    if (candidate.sources.length > 0 && !candidate.sources.some((one) => holds(one, flow.source))) continue;
    if (candidate.destinations.length > 0 && !candidate.destinations.some((one) => holds(one, flow.destination))) continue;
    const fits = candidate.services.some((service) => {
      if (service.protocol !== flow.protocol) return false;
      if (isIcmp(flow)) return between(flow.port >> 8, service.ports) && between(flow.port & 0xff, service.codes);
      return (flow.protocol !== 6 && flow.protocol !== 17) || between(flow.port, service.ports);
    });
    if (candidate.services.length > 0 && !fits) continue;
    return (candidate.number << 2) | (candidate.action === "permit" ? ACTION_PERMIT : candidate.action === "reject" ? ACTION_REJECT : ACTION_DENY);
  }
  return ACTION_DENY;
}

const between = (value: number, [low, high]: readonly [number, number]) => value >= low && value <= high;
const v4Text = (text: string) => !text.includes(":");
function holds(one: Prefix, text: string): boolean {
  if (one.prefixBits < 96 && v4Text(text)) return false;
  const bytes = address(text);
  for (let bit = 0; bit < one.prefixBits; bit++) if ((((one.bytes[bit >> 3] as number) ^ (bytes[bit >> 3] as number)) >> (7 - (bit & 7))) & 1) return false;
  return true;
}

// Few distinct values, so that rules and flows meet.
const addresses = [
  "10.0.0.0",
  "10.0.0.1",
  "10.0.0.2",
  "10.0.1.255",
  "10.255.255.255",
  "192.168.7.9",
  "0.0.0.0",
  "255.255.255.255",
  "2001:db8::",
  "2001:db8::1",
  "2001:db8:0:1::",
  "::",
  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  "fe80::1",
];
const anyAddress = fc.constantFrom(...addresses);
const anyPrefix = anyAddress.chain((text) =>
  fc.constantFrom(0, 1, 8, 23, 24, 31, 32, ...(v4Text(text) ? [] : [63, 64, 127, 128])).map((bits) => prefix(`${text}/${bits}`)),
);
const anyZone = fc.integer({ min: 1, max: 4 });
const anyProtocol = fc.constantFrom(1, 6, 17, 47, 58);
const edges = (most: number) =>
  fc
    .tuple(fc.constantFrom(0, 1, 3, 8, 79, 80, 81, 128, 255, most), fc.constantFrom(0, 1, 3, 8, 79, 80, 81, 128, 255, most))
    .map(([a, b]): readonly [number, number] => [Math.min(a, b), Math.max(a, b)]);
const anyService = fc.record({ protocol: anyProtocol, ports: edges(65_535), codes: edges(255) });
const someOf = <T>(one: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 1, arbitrary: fc.constant<T[]>([]) }, { weight: 2, arbitrary: fc.array(one, { minLength: 1, maxLength: 3 }) });
const rulesOf = (minLength: number, maxLength: number) =>
  fc
    .array(
      fc.record({
        fromZones: someOf(anyZone),
        toZones: someOf(anyZone),
        sources: someOf(anyPrefix),
        destinations: someOf(anyPrefix),
        services: someOf(anyService),
        action: fc.constantFrom("permit", "deny", "reject"),
        log: fc.boolean(),
      }),
      { minLength, maxLength, ...(minLength > 0 && { size: "max" }) },
    )
    .map((parts) => parts.map((part, k) => rule(k + 1, part)));
const anyRules = rulesOf(0, 80);
const anyPort = fc.constantFrom(0, 1, 79, 80, 81, 768, 2_048, 2_049, 32_768, 65_535);
const anyFlow = fc.record({
  from: anyZone,
  to: anyZone,
  source: anyAddress,
  destination: anyAddress,
  protocol: anyProtocol,
  sourcePort: anyPort,
  port: anyPort,
});

test("F7 F8: the compiled policy decides as the list read from the top does", async () => {
  fc.assert(
    fc.property(anyRules, fc.array(anyFlow, { minLength: 1, maxLength: 30 }), (rules, flows) => {
      const policy = new Policy(rules, 1);
      for (const flow of flows)
        if (policy.decide(packet(flow), 0, flow.to) !== naive(rules, flow))
          throw new Error(`${JSON.stringify(flow)}: ${policy.decide(packet(flow), 0, flow.to)} is not ${naive(rules, flow)}`);
    }),
    { seed: 7, numRuns: 400 },
  );
});

test("F7 F8: so it does with lists of several words and several blocks of bits", async () => {
  for (const [least, most, numRuns] of [
    [100, 300, 40],
    [1_500, 2_500, 2],
  ] as const) {
    fc.assert(
      fc.property(rulesOf(least, most), fc.array(anyFlow, { minLength: 30, maxLength: 60, size: "max" }), (rules, flows) => {
        const policy = new Policy(rules, 1);
        for (const flow of flows) if (policy.decide(packet(flow), 0, flow.to) !== naive(rules, flow)) throw new Error(JSON.stringify(flow));
      }),
      { seed: 9, numRuns, endOnFailure: true },
    );
  }
});

test("a packet could be permitted when it or the packet that it answers is", async () => {
  fc.assert(
    fc.property(anyRules, anyFlow, (rules, flow) => {
      fc.pre(!isIcmp(flow));
      const mirror: Flow = {
        ...flow,
        from: flow.to,
        to: flow.from,
        source: flow.destination,
        destination: flow.source,
        port: flow.sourcePort,
        sourcePort: flow.port,
      };
      const permits = (one: Flow) => (naive(rules, one) & 3) === ACTION_PERMIT;
      return new Policy(rules, 1).couldPermit(packet(flow), 0, flow.to) === (permits(flow) || permits(mirror));
    }),
    { seed: 8, numRuns: 400 },
  );
});

const flow: Flow = { from: 1, to: 3, source: "10.0.0.1", destination: "10.0.1.255", protocol: 6, sourcePort: 40_000, port: 80 };

test("F7: of two equal rules, and of a subset and its superset, the first wins, in both orders", async (t) => {
  const wide = { sources: [prefix("10.0.0.0/8")] };
  const narrow = { sources: [prefix("10.0.0.1")] };
  for (const [first, second] of [
    [narrow, narrow],
    [narrow, wide],
    [wide, narrow],
  ] as const) {
    t.equal(
      new Policy([rule(1, { ...first, action: "permit" }), rule(2, { ...second, action: "deny" })], 1).decide(packet(flow), 0, 3),
      (1 << 2) | ACTION_PERMIT,
    );
    t.equal(
      new Policy([rule(1, { ...first, action: "deny" }), rule(2, { ...second, action: "permit" })], 1).decide(packet(flow), 0, 3),
      (1 << 2) | ACTION_DENY,
    );
  }
});

test("F8: no rules, and rules that do not match, deny", async (t) => {
  t.equal(new Policy([], 1).decide(packet(flow), 0, 3), ACTION_DENY);
  t.equal(new Policy([rule(1, { fromZones: [2] })], 1).decide(packet(flow), 0, 3), ACTION_DENY);
});

test("an echo reply could be permitted where the echo is", async (t) => {
  const policy = new Policy([rule(1, { fromZones: [1], toZones: [3], services: [{ protocol: 1, ports: [8, 8], codes: [0, 255] }] })], 1);
  const reply: Flow = { from: 3, to: 1, source: "10.0.0.2", destination: "10.0.0.1", protocol: 1, sourcePort: 0, port: 0 };
  t.equal(policy.decide(packet(reply), 0, 1), ACTION_DENY);
  t.ok(policy.couldPermit(packet(reply), 0, 1));
});

test("::/0 is all of IPv6 and no IPv4, 0.0.0.0/0 the other way round", async (t) => {
  const v6 = new Policy([rule(1, { sources: [prefix("::/0")] })], 1);
  const v4 = new Policy([rule(1, { sources: [prefix("0.0.0.0/0")] })], 1);
  t.equal(v6.decide(packet(flow), 0, 3), ACTION_DENY);
  t.equal(v4.decide(packet(flow), 0, 3), (1 << 2) | ACTION_PERMIT);
});

test("rules keep their own numbers, log flags and the revision", async (t) => {
  const policy = new Policy([rule(10, { log: true }), rule(20)], 42);
  t.equal(policy.decide(packet(flow), 0, 3) >> 2, 10);
  t.ok(policy.logs(10));
  t.notOk(policy.logs(20));
  t.notOk(policy.logs(0));
  t.equal(policy.revision, 42);
});

test("10,000 rules in ten blocks decide as the list does", async (t) => {
  const rules = Array.from({ length: 10_000 }, (_, k) =>
    rule(k + 1, {
      sources: [prefix(`10.${(k >> 8) & 0xff}.${k & 0xff}.0/24`)],
      destinations: [prefix(`172.16.${k % 100}.0/24`)],
      services: [{ protocol: 6, ports: [k % 1_000, (k % 1_000) + 50], codes: [0, 255] }],
      action: k % 3 === 0 ? "deny" : "permit",
    }),
  );
  const policy = new Policy(rules, 1);
  for (let k = 0; k < 10_000; k += 997) {
    const one: Flow = {
      from: 1,
      to: 3,
      source: `10.${(k >> 8) & 0xff}.${k & 0xff}.9`,
      destination: `172.16.${k % 100}.1`,
      protocol: 6,
      sourcePort: 1,
      port: (k % 1_000) + 25,
    };
    t.equal(policy.decide(packet(one), 0, 3), naive(rules, one));
  }
});
