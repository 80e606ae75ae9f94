// The policy of a plan: names turned into numbers, objects into what they stand for. Whoever looks for shadowed rules needs no more of a plan.

import type { PlannedRule } from "../../plan.ts";
import { ObjectBook } from "./objects.ts";
import type { Configuration } from "./schema.ts";

/** The rules, with what objects stand for in place of their names. */
export function planRules(configuration: Configuration): readonly PlannedRule[] {
  const book = new ObjectBook(configuration);
  return configuration.policy.map((rule, k) => ({
    number: k + 1,
    name: rule.name,
    fromZones: rule.from.map((zone) => zoneNumber(configuration, zone)),
    toZones: rule.to.map((zone) => zoneNumber(configuration, zone)),
    sources: book.addresses(rule.source),
    destinations: book.addresses(rule.destination),
    services: book.services(rule.service),
    action: rule.action,
    log: rule.log,
    idleMillis: (rule.idleSeconds ?? 0) * 1_000,
  }));
}

/** Zones count from 1, as they stand in the configuration, whose check has vouched for the name. */
export function zoneNumber(configuration: Configuration, name: string): number {
  return configuration.zones.findIndex((zone) => zone.name === name) + 1;
}
