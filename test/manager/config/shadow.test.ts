// Rules that never decide, beside a search that compares each rule with each one before it.

import fc from "fast-check";
import { test } from "tap";
import { contains } from "../../../firmware/manager/config/addresses.ts";
import { findShadowed } from "../../../firmware/manager/config/shadow.ts";
import type { PlannedRule, PlannedService, Prefix } from "../../../firmware/plan.ts";
import { prefix, rule } from "../../fastpath/craft.ts";

// Few values, so that rules meet.
const prefixes = fc.constantFrom("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "10.1.2.3", "fd00::/8", "fd00::1").map(prefix);
const services = fc
  .record({ protocol: fc.constantFrom(6, 17), low: fc.integer({ min: 0, max: 3 }), more: fc.integer({ min: 0, max: 3 }) })
  .map(({ protocol, low, more }): PlannedService => ({ protocol, ports: [low, low + more], codes: [0, 255] }));
const few = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(values, { maxLength: 2 });
const zones = few(fc.integer({ min: 1, max: 3 }));
const parts = fc.record({
  fromZones: zones,
  toZones: zones,
  sources: few(prefixes),
  destinations: few(prefixes),
  services: few(services),
  action: fc.constantFrom("permit" as const, "deny" as const),
});
// More than a word of them.
const policies = fc.array(parts, { minLength: 1, maxLength: 80 }).map((list) => list.map((each, k) => rule(k + 1, each)));

function holdsAll<T>(outer: readonly T[], inner: readonly T[], holds: (a: T, b: T) => boolean): boolean {
  return outer.length === 0 || (inner.length > 0 && inner.every((value) => outer.some((each) => holds(each, value))));
}

const within = (a: readonly [number, number], b: readonly [number, number]): boolean => a[0] <= b[0] && b[1] <= a[1];
const sameZone = (a: number, b: number): boolean => a === b;
const holdsPrefix = (a: Prefix, b: Prefix): boolean => a.prefixBits <= b.prefixBits && contains(a, b.bytes);
const holdsService = (a: PlannedService, b: PlannedService): boolean => a.protocol === b.protocol && within(a.ports, b.ports) && within(a.codes, b.codes);

function matchesAllOf(earlier: PlannedRule, later: PlannedRule): boolean {
  return (
    holdsAll(earlier.fromZones, later.fromZones, sameZone) &&
    holdsAll(earlier.toZones, later.toZones, sameZone) &&
    holdsAll(earlier.sources, later.sources, holdsPrefix) &&
    holdsAll(earlier.destinations, later.destinations, holdsPrefix) &&
    holdsAll(earlier.services, later.services, holdsService)
  );
}

test("the first rule that matches everything a later one does is found, and no other", async (t) => {
  fc.assert(
    fc.property(policies, (rules) => {
      const expected = rules.flatMap((later, place) => {
        const by = rules.findIndex((earlier, k) => k < place && matchesAllOf(earlier, later));
        return by < 0 ? [] : [{ rule: place, by, isSame: rules[by]?.action === later.action }];
      });
      t.same(findShadowed(rules), expected);
    }),
    { numRuns: 300 },
  );
});
