// The plan of one unit: configuration and board resolved, names turned into numbers, nothing left to look up.

import { createHash } from "node:crypto";
import type { Board } from "../../../board/board.ts";
import type { Plan, PlannedPort, PlannedZone, Prefix } from "../../plan.ts";
import { isLinkLocal, isV4, linkLocalOf, parseAddress, parseMac, parsePrefix } from "./addresses.ts";
import { checkFit, wiresOf } from "./fit.ts";
import type { LoadedConfiguration } from "./load.ts";
import { planRules, zoneNumber } from "./plan-rules.ts";
import { ConfigurationError, quote } from "./problems.ts";
import {
  type Configuration,
  IPV4_OPTIONS,
  MTU_BYTES_DEFAULT,
  peersOf,
  portOf,
  type UnitConfiguration as Unit,
  unitName,
  unitNumber,
  type ZoneConfiguration,
} from "./schema.ts";

/**
 * Builds the plan of unit `name`. Throws
 * ConfigurationError when unit, board and configuration do not fit.
 */
export function buildPlan({ configuration, source }: LoadedConfiguration, board: Board, name: string): Plan {
  const unit = configuration.units.find((candidate) => unitName(candidate) === name);
  if (unit === undefined) {
    const remedy = `Name one of units: ${configuration.units.map(unitName).join(", ")}.`;
    throw new ConfigurationError([
      { code: "unknown-unit", file: "", line: 0, path: "--unit", message: `there is no unit ${quote(name)} in ${source.file}`, remedy },
    ]);
  }
  const problems = checkFit(configuration, board, unit, source);
  if (problems.length > 0) throw new ConfigurationError(problems);
  const ports = planPorts(configuration, board, unit);
  return {
    unit: unitNumber(configuration, unit),
    name,
    site: unit.site,
    system: configuration.system.name,
    mode: configuration.mode,
    agreementHash: agreementHash(configuration),
    revision: configuration.revision,
    sessions: configuration.sessions,
    ports,
    zones: configuration.zones.map((zone, k) => planZone(configuration, zone, k + 1, unit, numberOfPort(board, ports, portOf(zone, name)))),
    routes: configuration.routes.map((route) => ({
      prefix: must(parsePrefix(route.prefix)),
      nextHop: must(parseAddress(route.via)),
      zone: zoneNumber(configuration, route.zone),
    })),
    rules: planRules(configuration),
    idleMillis: configuration.idleMillis,
    halfOpenPerDestination: configuration.halfOpenPerDestination,
    reviewSessions: configuration.reviewSessions,
    checks: {
      ...configuration.checks,
      midstream: configuration.checks.midstream === "permit",
      ipv4Options: configuration.checks.ipv4Options.map((option) => IPV4_OPTIONS[option]),
    },
    twin: planTwin(configuration, unit),
  };
}

/**
 * Hash of all that both sites must agree on before they may share sessions: 64 hex digits. Policy is not part of it: rows
 * carry their revision, and commits reach one unit before the other.
 */
export function agreementHash(configuration: Configuration): string {
  const { system, sites, mode, twin } = configuration;
  const zones = configuration.zones.map((zone, k) => [
    zone.name,
    mode === "transparent" ? zone.vlan : 0,
    gatewayMac(configuration, zone, k + 1),
    zone.gateway.addresses.map((text) => must(parsePrefix(text))).map((prefix) => [prefix.bytes, prefix.prefixBits]),
  ]);
  const agreed = [
    system.name,
    sites,
    mode,
    zones,
    twin.partition,
    twin.deployment,
    twin.activeSite ?? sites[0],
    twin.firstPacket,
    twin.heartbeatMillis,
    twin.heartbeatMisses,
  ];
  return createHash("sha256").update(JSON.stringify(agreed)).digest("hex");
}

/** True when one plan can follow the other without another dataplane: what differs is in a policy image. */
export function followsInPlace(one: Plan, other: Plan): boolean {
  const rest = ({
    rules: _rules,
    revision: _revision,
    idleMillis: _idle,
    halfOpenPerDestination: _halfOpen,
    reviewSessions: _reviews,
    routes: _routes,
    ...kept
  }: Plan): string => JSON.stringify(kept);
  return rest(one) === rest(other);
}

/** Ports that this unit opens: those with a zone, both ends of a wire, and the twin port when there are peers. */
function planPorts(configuration: Configuration, board: Board, unit: Unit): readonly PlannedPort[] {
  const name = unitName(unit);
  const wires = configuration.mode === "transparent" ? wiresOf(configuration, board) : [];
  const used = new Set([...configuration.zones.map((zone) => portOf(zone, name)), ...wires.flat()]);
  const twin = peersOf(configuration, unit).length > 0;
  const opened = board.ports.filter((port) => (port.kind === "twin" ? twin : used.has(port.name)));
  return opened.map((port, number) => {
    const other = wires.find((wire) => wire.includes(port.name))?.find((end) => end !== port.name);
    return {
      number,
      device: port.device,
      kind: port.kind,
      mtuBytes: configuration.ports[port.name]?.mtuBytes ?? MTU_BYTES_DEFAULT,
      pairedPort: other === undefined ? -1 : opened.findIndex((candidate) => candidate.name === other),
    };
  });
}

function numberOfPort(board: Board, ports: readonly PlannedPort[], name: string | undefined): number {
  const device = board.ports.find((port) => port.name === name)?.device;
  return ports.findIndex((port) => port.device === device);
}

function planZone(configuration: Configuration, zone: ZoneConfiguration, number: number, unit: Unit, port: number): PlannedZone {
  const here = zone.sites[unit.site];
  const siteMac = here?.mac === undefined ? derivedMac(configuration, number, configuration.sites.indexOf(unit.site) + 1) : must(parseMac(here.mac));
  const gatewayAddresses = zone.gateway.addresses.map((text) => must(parsePrefix(text)));
  const siteAddresses = (here?.addresses ?? []).map((text) => must(parsePrefix(text)));
  return {
    zone: number,
    name: zone.name,
    port,
    vlan: zone.vlan,
    gatewayMac: gatewayMac(configuration, zone, number),
    gatewayAddresses,
    siteMac,
    siteAddresses: withLinkLocal(siteAddresses, siteMac),
  };
}

/** Neighbour discovery needs a link-local source (RFC 4861 §4.3, §4.4). */
function withLinkLocal(addresses: readonly Prefix[], mac: readonly number[]): readonly Prefix[] {
  const six = addresses.filter((address) => !isV4(address.bytes));
  return six.length === 0 || six.some((address) => isLinkLocal(address.bytes)) ? addresses : [...addresses, linkLocalOf(mac)];
}

function gatewayMac(configuration: Configuration, zone: ZoneConfiguration, number: number): readonly number[] {
  return zone.gateway.mac === undefined ? derivedMac(configuration, number, 0) : must(parseMac(zone.gateway.mac));
}

/** 02:54, two bytes of the system name's SHA-256, zone, site (0 for the gateway): locally administered, differs from system to system. */
function derivedMac(configuration: Configuration, zone: number, site: number): readonly number[] {
  const hash = createHash("sha256").update(configuration.system.name).digest();
  return [0x02, 0x54, hash[0] as number, hash[1] as number, zone, site];
}

function planTwin(configuration: Configuration, unit: Unit): Plan["twin"] {
  const { twin } = configuration;
  const others = peersOf(configuration, unit);
  const enabled = others.length > 0;
  return {
    enabled,
    peers: others.map((other) => ({ unit: unitNumber(configuration, other), name: unitName(other), site: other.site })),
    heartbeatMillis: twin.heartbeatMillis,
    heartbeatMisses: twin.heartbeatMisses,
    partition: twin.partition,
    priority: unit.priority,
    deployment: twin.deployment,
    follow: twin.follow,
    followPackets: twin.followPackets,
    activeSite: Math.max(0, configuration.sites.indexOf(twin.activeSite ?? "")),
    preemptMillis: (twin.preemptSeconds ?? 0) * 1_000,
    firstPacket: twin.firstPacket,
    monitored: twin.monitored.map((monitored) => ({ zone: zoneNumber(configuration, monitored.zone), address: must(parseAddress(monitored.address)) })),
  };
}

/** A value that the configuration's check has vouched for. */
function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the configuration was not checked before it was planned");
  return value;
}
