// The configuration that an operator would write for the picture; the units read it like any other.

import {
  ECHO_PORT,
  HTTP_PORT,
  IPERF_PORT,
  indexOf,
  LAB_UNITS,
  LAB_ZONES,
  type LabUnit,
  PORT_THREE,
  ROUTER,
  SERVICE3,
  SITES,
  SSH_PORT,
  siteOf,
  TRACE_PORTS,
  UPSTREAM,
  USER,
} from "./picture.ts";
import type { Wiring } from "./topology.ts";

export interface LabOptions {
  readonly wiring: Wiring;
  /** False: each unit stands alone, as two ordinary firewalls would. */
  readonly twin: boolean;
  /** Left out: one per site. */
  readonly units?: readonly LabUnit[];
  /** True: site B stands by until A fails, and the DCI lets the gateways across. */
  readonly isPassive?: boolean;
  /** What a site does with the other's flows while it cannot be reached; "stop" when left out. */
  readonly partition?: "stop" | "local";
  /** Time between heartbeats, where this machine cannot run so many units as often as an appliance runs; 5 missed ones are a death. */
  readonly heartbeatMillis?: number;
  /** Idle limits in milliseconds, where time is scaled so that a lab sees them. */
  readonly idleMillis?: Readonly<Record<string, number>>;
  /** Rows of each unit's session table; the product's default when left out. */
  readonly sessions?: number;
  /** MTU of zone three's port on both units, in bytes; 1,500 when left out. */
  readonly mtuBytesThree?: number;
}

/** The configuration file's value: one for all units. */
export function labConfiguration(options: LabOptions): object {
  const { wiring, twin, units = LAB_UNITS, idleMillis = {}, mtuBytesThree = 1_500 } = options;
  const isTransparent = wiring === "transparent";
  return {
    system: { name: "lab" },
    revision: 1,
    sites: SITES,
    units: units.map((unit) => ({ site: siteOf(unit), index: indexOf(unit) })),
    mode: isTransparent ? "transparent" : "routed",
    ...(options.sessions !== undefined && { sessions: options.sessions }),
    ports: { [PORT_THREE]: { mtuBytes: mtuBytesThree } },
    idleMillis,
    zones: LAB_ZONES.map((zone) => ({
      name: zone.name,
      port: zone.device,
      // Upstream routers know each site's own address; there is no gateway that both sites would have.
      ...(wiring === "routed" && {
        gateway: { mac: zone.gatewayMac, addresses: [`${zone.gateway4}/${zone.prefixBits4}`, `${zone.gateway6}/${zone.prefixBits6}`] },
      }),
      ...(!isTransparent && {
        sites: Object.fromEntries(
          SITES.map((site) => {
            const { mac, address4, address6 } = zone.site[site];
            return [site, { mac, addresses: [`${address4}/${zone.prefixBits4}`, `${address6}/${zone.prefixBits6}`] }];
          }),
        ),
      }),
    })),
    routes: routes(wiring),
    // Only from one to three, but for ping and traceroute: what comes back needs a session.
    policy: [
      { name: "web", from: ["one"], to: ["three"], service: [`tcp/${HTTP_PORT}`], action: "permit" },
      { name: "echo", from: ["one"], to: ["three"], service: [`tcp/${ECHO_PORT}`, `udp/${ECHO_PORT}`], action: "permit" },
      { name: "shell", from: ["one"], to: ["three"], service: [`tcp/${SSH_PORT}`], action: "permit" },
      { name: "measure", from: ["one"], to: ["three"], service: [`tcp/${IPERF_PORT}`], action: "permit" },
      { name: "trace", service: [`udp/${TRACE_PORTS}`], action: "permit" },
      { name: "ping", service: ["icmp/8", "icmpv6/128"], action: "permit" },
    ],
    twin: {
      enabled: twin,
      partition: options.partition ?? "stop",
      firstPacket: "query",
      ...(options.isPassive === true && { deployment: "active/passive" }),
      ...(options.heartbeatMillis !== undefined && { heartbeatMillis: options.heartbeatMillis }),
      monitored: monitored(wiring),
    },
  };
}

function routes(wiring: Wiring): object[] {
  if (wiring === "transparent") return [];
  // The user's router and the routers of the north have the same address.
  const north = [
    { prefix: USER.prefix4, via: ROUTER.address4, zone: "one" },
    { prefix: USER.prefix6, via: ROUTER.address6, zone: "one" },
  ];
  if (wiring === "routed") return north;
  const south = [
    { prefix: UPSTREAM.service3.prefix4, via: UPSTREAM.south4, zone: "three" },
    { prefix: UPSTREAM.service3.prefix6, via: UPSTREAM.south6, zone: "three" },
  ];
  return [...north, ...south];
}

/** Addresses that tell a death from a partition. */
function monitored(wiring: Wiring): object[] {
  if (wiring === "transparent") return [];
  return [
    { zone: "one", address: ROUTER.address4 },
    { zone: "three", address: wiring === "routed" ? SERVICE3.address4 : UPSTREAM.south4 },
  ];
}
