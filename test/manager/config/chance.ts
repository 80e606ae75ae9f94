// Chance for configurations: whole ones that are valid, and edits that need not be.

import type { Random } from "../../../firmware/hal/sim/random.ts";
import { type Json, namesIn, placeUnder, valueAt } from "../../../firmware/manager/config/document.ts";
import { CONFIGURATION, type Place } from "../../../firmware/manager/config/grammar.ts";

function below(random: Random, most: number): number {
  return random.word() % most;
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

function some<T>(random: Random, list: readonly T[]): T[] {
  return list.filter(() => below(random, 3) === 0);
}

const ACTIONS = ["permit", "deny", "reject"];
const SERVICES = ["tcp/80", "tcp/443", "udp/53", "udp/1024-65535", "icmp/8", "icmpv6/128/0", "protocol/47", "tcp"];

/** A configuration that passes every check. */
export function randomConfiguration(random: Random): Json {
  const sites = ["A", "B"].slice(0, 1 + below(random, 2));
  const units = sites.flatMap((site) =>
    [1, 2].slice(0, 1 + below(random, 2)).map((index) => ({ site, index, ...(below(random, 2) ? { priority: 1 + below(random, 255) } : {}) })),
  );
  const zones = Array.from({ length: 1 + below(random, 6) }, (_, k) => ({
    name: `zone${k}`,
    port: `port${1 + (k % 2)}`,
    ...(k > 1 ? { vlan: 10 + k } : {}),
    gateway: { addresses: [`10.${k}.0.1/24`] },
    sites: Object.fromEntries(sites.map((site, n) => [site, { addresses: [`10.${k}.0.${n + 2}/24`] }])),
  }));
  const addresses = Object.fromEntries(
    Array.from({ length: below(random, 5) }, (_, k) => [`host${k}`, [`10.0.${k}.9`, `10.1.${k}.0/24`].slice(0, 1 + below(random, 2))]),
  );
  const names = Object.keys(addresses);
  const groups = names.length === 0 ? {} : { addressGroups: { some: [pick(random, names)], more: ["some", pick(random, names)] } };
  const sources = ["10.0.0.0/8", "2001:db8::/32", "10.7.7.7", ...names, ...Object.keys(groups.addressGroups ?? {})];
  const policy = Array.from({ length: below(random, 12) }, (_, k) => ({
    name: `rule${k}`,
    ...(below(random, 2) ? { from: some(random, zones).map((zone) => zone.name) } : {}),
    ...(below(random, 2) ? { source: some(random, sources) } : {}),
    ...(below(random, 2) ? { destination: some(random, sources) } : {}),
    ...(below(random, 2) ? { service: some(random, [...SERVICES, ...(below(random, 2) ? ["web"] : [])]) } : {}),
    action: pick(random, ACTIONS),
    ...(below(random, 2) ? { log: true } : {}),
  }));
  return {
    system: { name: `system${below(random, 100)}` },
    sites,
    units,
    ...(below(random, 2) ? { sessions: 2 ** (10 + below(random, 8)) } : {}),
    zones,
    ...(below(random, 2) ? { routes: [{ prefix: `10.${90 + below(random, 9)}.0.0/16`, via: "10.0.0.254", zone: "zone0" }] } : {}),
    objects: { addresses, ...groups, services: { web: ["tcp/80", "tcp/443"] } },
    policy,
    twin: { enabled: below(random, 2) === 0, partition: pick(random, ["stop", "local"]) },
  };
}

/** Words for one edit: mostly of places that there are, with values that mostly fit; some are nonsense. */
export function randomEdit(
  random: Random,
  document: Json,
): { readonly command: "set" | "delete" | "rename" | "copy" | "move"; readonly words: readonly string[] } {
  const command = pick(random, ["set", "set", "set", "set", "delete", "delete", "rename", "copy", "move"] as const);
  let place: Place = CONFIGURATION;
  const words: string[] = [];
  while (place.kind !== "value" && place.kind !== "values" && (words.length === 0 || below(random, 5) > 0)) {
    const name = nameFor(random, place, valueAt(document, words));
    const next = placeUnder(place, name);
    words.push(name);
    if (next === undefined) break;
    place = next;
  }
  if (place.kind === "value" || place.kind === "values") words.push(valueFor(random, place, document));
  if (command === "rename" || command === "copy") words.push(pick(random, ["other", "zone1", "rule3", "C", "B2", "x y", ""]));
  if (command === "move") words.push(...pick(random, [["first"], ["last"], ["before", "rule1"], ["after", "zone0"], ["before"], []]));
  return { command, words };
}

function nameFor(random: Random, place: Place, node: unknown): string {
  if (place.kind === "object") return pick(random, [...place.keys.keys(), ...(below(random, 20) === 0 ? ["nonsense", "__proto__"] : [])]);
  const there = namesIn(place, node);
  if (there.length > 0 && below(random, 4) > 0) return pick(random, there);
  return pick(random, ["zone1", "rule9", "A", "B", "A1", "B2", "port1", "web", "new", "10.66.0.0/16", "constructor", "not a name", "__proto__"]);
}

function valueFor(random: Random, place: Place, document: Json): string {
  if (below(random, 10) === 0) return pick(random, ["", "nonsense", "-1", "99999999999", "[]", "tcp/99999", "10.0.0.0/33"]);
  if (place.choices.length > 0) return pick(random, place.choices);
  if (place.type === "integer") return String((place.least ?? 0) + below(random, Math.min(5_000, (place.most ?? 0) - (place.least ?? 0) + 1)));
  if (place.type === "tuple") return "port1,port2";
  const declared = place.refersTo.flatMap((at) => {
    const words = at.split(".");
    const spot = words.reduce<Place>((under, word) => under.keys.get(word) as Place, CONFIGURATION);
    return namesIn(spot, valueAt(document, words));
  });
  return pick(random, [...declared, "10.0.0.9", "10.1.0.4/24", "10.2.0.0/16", "tcp/22", "zone2", "02:00:00:00:00:07"]);
}
