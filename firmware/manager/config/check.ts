// What the schema cannot say: names that must exist, addresses that must fit, relations between keys. Each check reports
// and goes on, so that one run shows everything.

import type { Prefix } from "../../plan.ts";
import {
  contains,
  formatPrefix,
  isLinkLocal,
  isNetworkOrBroadcast,
  isUnusable,
  isV4,
  networkOf,
  parseAddress,
  parseMac,
  parsePrefix,
  sameBytes,
} from "./addresses.ts";
import { checkNetwork, checkObjects, checkPolicy, zoneNamed } from "./check-policy.ts";
import { type Problem, pathIn, quote, type Report, readablePath } from "./problems.ts";
import { type Configuration, portOf, unitName, type ZoneConfiguration } from "./schema.ts";
import type { Source } from "./shape.ts";

/** Every problem of a configuration whose shape is right. */
export function checkConfiguration(configuration: Configuration, source: Source): readonly Problem[] {
  const problems: Problem[] = [];
  const report: Report = (code, pointer, message, remedy) => {
    problems.push({ code, file: source.file, line: source.lineOf(pointer), path: pathIn(source, pointer), message, remedy });
  };
  checkUnits(configuration, report);
  checkNames(configuration, report);
  checkCapacity(configuration, report);
  configuration.zones.forEach((zone, k) => {
    checkPorts(configuration, zone, k, report);
    checkZone(configuration, zone, k, report);
  });
  checkSharedPorts(configuration, report);
  checkSharedAddresses(configuration, report);
  checkRoutes(configuration, report);
  checkObjects(configuration, report);
  checkPolicy(configuration, report);
  checkMonitored(configuration, report);
  return problems;
}

function checkUnits(configuration: Configuration, report: Report): void {
  const names = configuration.units.map(unitName);
  configuration.units.forEach((unit, k) => {
    if (!configuration.sites.includes(unit.site)) {
      report("unknown-site", `/units/${k}/site`, `there is no site ${quote(unit.site)}`, `Name one of sites: ${configuration.sites.join(", ")}.`);
    }
    unit.peers?.forEach((peer, p) => {
      const at = `/units/${k}/peers/${p}`;
      if (peer === unitName(unit))
        report("self-peer", at, `${peer} names itself as its peer`, "Remove it, or leave peers out: then all other units are peers.");
      else if (!names.includes(peer)) report("unknown-unit", at, `there is no unit ${quote(peer)}`, `Name one of units: ${names.join(", ")}.`);
    });
  });
}

function checkNames(configuration: Configuration, report: Report): void {
  unique(configuration.sites, "/sites", "", "site", report);
  unique(configuration.units.map(unitName), "/units", "", "unit", report);
  unique(
    configuration.zones.map((zone) => zone.name),
    "/zones",
    "/name",
    "zone",
    report,
  );
  unique(
    configuration.policy.map((rule) => rule.name),
    "/policy",
    "/name",
    "rule",
    report,
  );
  unique(
    configuration.routes.map((route) => route.prefix),
    "/routes",
    "/prefix",
    "route",
    report,
  );
  configuration.units.forEach((unit, k) => {
    unique(unit.peers ?? [], `/units/${k}/peers`, "", "peer", report);
  });
}

function unique(names: readonly string[], at: string, key: string, what: string, report: Report): void {
  const first = new Map<string, number>();
  names.forEach((name, k) => {
    const other = first.get(name);
    if (other === undefined) first.set(name, k);
    else
      report(
        "duplicate-name",
        `${at}/${k}${key}`,
        `the ${what} ${quote(name)} is there already, as ${readablePath(`${at}/${other}`)}`,
        "Give it another name, or remove one of the two.",
      );
  });
}

function checkCapacity(configuration: Configuration, report: Report): void {
  const { sessions } = configuration;
  if ((sessions & (sessions - 1)) !== 0)
    report("out-of-range", "/sessions", `must be a power of two (found ${sessions})`, `Choose ${2 ** Math.round(Math.log2(sessions))}.`);
}

function checkPorts(configuration: Configuration, zone: ZoneConfiguration, k: number, report: Report): void {
  const names = configuration.units.map(unitName);
  for (const unit of Object.keys(zone.ports)) {
    if (!names.includes(unit))
      report("unknown-unit", `/zones/${k}/ports/${unit}`, `there is no unit ${quote(unit)}`, `Name one of units: ${names.join(", ")}.`);
  }
  for (const unit of names) {
    if (portOf(zone, unit) === undefined)
      report("missing-key", `/zones/${k}/port`, `zone ${quote(zone.name)} has no port on unit ${unit}`, "Set port, or ports for each unit.");
  }
}

/** Two zones on one port of one unit need different VLANs. */
function checkSharedPorts(configuration: Configuration, report: Report): void {
  const reported = new Set<number>();
  for (const unit of configuration.units.map(unitName)) {
    const taken = new Map<string, ZoneConfiguration>();
    configuration.zones.forEach((zone, k) => {
      const port = portOf(zone, unit);
      const key = `${port} ${zone.vlan}`;
      const other = taken.get(key);
      if (other === undefined) taken.set(key, zone);
      else if (port !== undefined && !reported.has(k)) {
        reported.add(k);
        const vlan = zone.vlan === 0 ? "untagged" : `VLAN ${zone.vlan}`;
        report(
          "overlapping-ports",
          `/zones/${k}`,
          `${port} (${vlan}) on ${unit} belongs to zone ${quote(other.name)} already (found ${quote(zone.name)})`,
          "Give one of the zones another port or VLAN.",
        );
      }
    });
  }
}

function checkZone(configuration: Configuration, zone: ZoneConfiguration, k: number, report: Report): void {
  const at = `/zones/${k}`;
  checkMac(zone.gateway.mac, `${at}/gateway/mac`, report);
  const gateways = interfaceAddresses(zone.gateway.addresses, `${at}/gateway/addresses`, report);
  if (configuration.mode === "transparent" && zone.gateway.addresses.length > 0) {
    report("gateway-in-transparent", `${at}/gateway/addresses`, "a wire has no gateway", "Remove the addresses, or set mode to routed.");
  }
  for (const site of Object.keys(zone.sites)) {
    if (!configuration.sites.includes(site))
      report("unknown-site", `${at}/sites/${site}`, `there is no site ${quote(site)}`, `Name one of sites: ${configuration.sites.join(", ")}.`);
  }
  for (const site of configuration.sites) {
    const here = zone.sites[site];
    checkMac(here?.mac, `${at}/sites/${site}/mac`, report);
    const addresses = interfaceAddresses(here?.addresses ?? [], `${at}/sites/${site}/addresses`, report);
    if (configuration.mode === "transparent") continue;
    if ((here?.addresses.length ?? 0) === 0) {
      report(
        "no-site-address",
        `${at}/sites/${site}/addresses`,
        `zone ${quote(zone.name)} has no address of its own at site ${site}`,
        "Add one: it is the source of everything that this site sends there. Gateway addresses only answer.",
      );
      continue;
    }
    for (const gateway of gateways) checkGateway(zone, k, site, gateway.prefix, gateway.at, addresses, report);
    if (configuration.checks.strictIpv6) checkProfile(addresses, report);
  }
  if (configuration.checks.strictIpv6) checkProfile(gateways, report);
}

/** Under the strict profile nobody could speak to an own address outside 2000::/3. */
function checkProfile(addresses: readonly { readonly prefix: Prefix; readonly at: string }[], report: Report): void {
  for (const { prefix, at } of addresses) {
    if (isV4(prefix.bytes) || isLinkLocal(prefix.bytes) || ((prefix.bytes[0] as number) & 0xe0) === 0x20) continue;
    report(
      "outside-profile",
      at,
      `${formatPrefix(prefix)} lies outside 2000::/3, and checks.strictIpv6 is on`,
      "Use a global address, or turn strictIpv6 off.",
    );
  }
}

/** A gateway's network is one of the site's, with the same length; else hosts and firewall disagree on what is near. */
function checkGateway(
  zone: ZoneConfiguration,
  k: number,
  site: string,
  gateway: Prefix,
  at: string,
  addresses: readonly { readonly prefix: Prefix }[],
  report: Report,
): void {
  if (isLinkLocal(gateway.bytes)) return; // fe80::/64 is every zone's network.
  const family = addresses.filter((address) => isV4(address.prefix.bytes) === isV4(gateway.bytes) && !isLinkLocal(address.prefix.bytes));
  if (family.length === 0) {
    const version = isV4(gateway.bytes) ? "IPv4" : "IPv6";
    report(
      "no-site-address",
      `/zones/${k}/sites/${site}/addresses`,
      `zone ${quote(zone.name)} has an ${version} gateway, but no ${version} address of its own at site ${site}`,
      `Add one in the network of ${formatPrefix(gateway)}.`,
    );
  } else if (!family.some(({ prefix }) => prefix.prefixBits === gateway.prefixBits && contains(prefix, gateway.bytes))) {
    report(
      "gateway-outside-prefix",
      at,
      `gateway ${formatPrefix(gateway)} lies in no network of site ${site}, which has ${family.map(({ prefix }) => formatPrefix(prefix)).join(", ")}`,
      "Give gateway and site address the same network and prefix length.",
    );
  }
}

/** Addresses with prefix length, host bits kept; wrong ones are reported and left out. */
function interfaceAddresses(addresses: readonly string[], at: string, report: Report): readonly { readonly prefix: Prefix; readonly at: string }[] {
  return addresses.flatMap((text, k) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined) {
      report(
        "wrong-prefix",
        `${at}/${k}`,
        `not an address with prefix length (found ${quote(text)})`,
        "Write it as 10.1.0.2/24 or 2001:db8::2/64; at most /32 and /128.",
      );
      return [];
    }
    if (
      isUnusable(prefix.bytes) ||
      isNetworkOrBroadcast(prefix) ||
      (!isV4(prefix.bytes) && sameBytes(prefix.bytes, networkOf(prefix)) && prefix.prefixBits < 127)
    ) {
      report(
        "wrong-address",
        `${at}/${k}`,
        `a station cannot have this address (found ${quote(text)})`,
        "Use an address inside the network: not its first, not its broadcast address, not multicast or loopback.",
      );
      return [];
    }
    return [{ prefix, at: `${at}/${k}` }];
  });
}

function checkMac(text: string | undefined, at: string, report: Report): void {
  if (text !== undefined && parseMac(text) === undefined)
    report("wrong-address", at, `not a unicast Ethernet address (found ${quote(text)})`, "Write six pairs such as 02:00:00:00:00:01; the first is even.");
}

/** One address has one place, except that link-local ones may repeat from zone to zone. */
function checkSharedAddresses(configuration: Configuration, report: Report): void {
  const taken = new Map<string, string>();
  configuration.zones.forEach((zone, k) => {
    const lists: [string, readonly string[]][] = [[`/zones/${k}/gateway/addresses`, zone.gateway.addresses]];
    for (const [site, here] of Object.entries(zone.sites)) lists.push([`/zones/${k}/sites/${site}/addresses`, here.addresses]);
    for (const [at, addresses] of lists) {
      addresses.forEach((text, n) => {
        const bytes = parsePrefix(text)?.bytes;
        if (bytes === undefined) return;
        const key = isLinkLocal(bytes) ? `${k} ${bytes}` : `${bytes}`;
        const other = taken.get(key);
        if (other === undefined) taken.set(key, `${at}/${n}`);
        else
          report(
            "duplicate-address",
            `${at}/${n}`,
            `${text} is used already, by ${readablePath(other)}`,
            "Use another address: gateway and site addresses all differ.",
          );
      });
    }
  });
}

function checkRoutes(configuration: Configuration, report: Report): void {
  configuration.routes.forEach((route, k) => {
    checkNetwork(route.prefix, parsePrefix(route.prefix), `/routes/${k}/prefix`, report);
    const zone = zoneNamed(configuration, route.zone, `/routes/${k}/zone`, report);
    if (zone !== undefined) checkNextHop(configuration, zone, route.via, `/routes/${k}/via`, report);
    const prefix = parsePrefix(route.prefix);
    const hop = parseAddress(route.via);
    if (prefix !== undefined && hop !== undefined && isV4(prefix.bytes) !== isV4(hop)) {
      report(
        "wrong-address",
        `/routes/${k}/via`,
        `next hop and prefix are of different IP versions (found ${quote(route.via)})`,
        `Give ${route.prefix} a next hop of its own version.`,
      );
    }
  });
}

/** An address that every site reaches directly through the zone, and that is not the firewall's own. */
function checkNextHop(configuration: Configuration, zone: ZoneConfiguration, text: string, at: string, report: Report): void {
  const hop = parseAddress(text);
  if (hop === undefined || isUnusable(hop)) {
    report("wrong-address", at, `not the address of a station (found ${quote(text)})`, "Write it as 10.1.0.254 or 2001:db8::254, without prefix length.");
    return;
  }
  const lists = [zone.gateway.addresses, ...Object.values(zone.sites).map((site) => site.addresses)];
  if (lists.flat().some((own) => sameBytes(parsePrefix(own)?.bytes ?? [], hop))) {
    report("unreachable-next-hop", at, `${text} is the firewall itself`, "Name the router's address.");
    return;
  }
  if (isLinkLocal(hop) || configuration.mode === "transparent") return;
  for (const site of configuration.sites) {
    const near = (zone.sites[site]?.addresses ?? []).some((own) => {
      const prefix = parsePrefix(own);
      return prefix !== undefined && contains(prefix, hop);
    });
    if (!near)
      report(
        "unreachable-next-hop",
        at,
        `${text} lies in no network of zone ${quote(zone.name)} at site ${site}`,
        "Name an address in the zone's network, or correct the zone.",
      );
  }
}

function checkMonitored(configuration: Configuration, report: Report): void {
  const zones = new Set<string>();
  configuration.twin.monitored.forEach((monitored, k) => {
    const at = `/twin/monitored/${k}`;
    const zone = zoneNamed(configuration, monitored.zone, `${at}/zone`, report);
    if (zones.has(monitored.zone))
      report("duplicate-name", `${at}/zone`, `zone ${quote(monitored.zone)} has a monitored address already`, "Keep one per zone.");
    zones.add(monitored.zone);
    if (zone !== undefined) checkNextHop(configuration, zone, monitored.address, `${at}/address`, report);
  });
}
