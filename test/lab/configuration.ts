// The configuration that an operator would write for the picture; the units read it like any other.

import { ECHO_PORT, HTTP_PORT, IPERF_PORT, LAB_ZONES, PORT_THREE, ROUTER, SERVICE3, SITES, SSH_PORT, TRACE_PORTS, USER, ZONE_ONE } from "./picture.ts";
import type { Wiring } from "./topology.ts";

export interface LabOptions {
  readonly wiring: Wiring;
  /** False: each unit stands alone, as two ordinary firewalls would. */
  readonly twin: boolean;
  /** Idle limits in milliseconds, where time is scaled so that a lab sees them. */
  readonly idleMillis?: Readonly<Record<string, number>>;
  /** MTU of zone three's port on both units, in bytes; 1,500 when left out. */
  readonly mtuBytesThree?: number;
}

/** The configuration file's value: one for both units. */
export function labConfiguration({ wiring, twin, idleMillis = {}, mtuBytesThree = 1_500 }: LabOptions): object {
  const routed = wiring === "routed";
  return {
    system: { name: "lab" },
    revision: 1,
    sites: SITES,
    units: SITES.map((site) => ({ site, index: 1 })),
    mode: wiring,
    ports: { [PORT_THREE]: { mtuBytes: mtuBytesThree } },
    idleMillis,
    zones: LAB_ZONES.map((zone) => ({
      name: zone.name,
      port: zone.device,
      ...(routed && {
        gateway: { mac: zone.gatewayMac, addresses: [`${zone.gateway4}/${zone.prefixBits4}`, `${zone.gateway6}/${zone.prefixBits6}`] },
        sites: Object.fromEntries(
          SITES.map((site) => {
            const { mac, address4, address6 } = zone.site[site];
            return [site, { mac, addresses: [`${address4}/${zone.prefixBits4}`, `${address6}/${zone.prefixBits6}`] }];
          }),
        ),
      }),
    })),
    routes: routed
      ? [
          { prefix: USER.prefix4, via: ROUTER.address4, zone: ZONE_ONE.name },
          { prefix: USER.prefix6, via: ROUTER.address6, zone: ZONE_ONE.name },
        ]
      : [],
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
      partition: "stop",
      firstPacket: "query",
      monitored: routed
        ? [
            { zone: "one", address: ROUTER.address4 },
            { zone: "three", address: SERVICE3.address4 },
          ]
        : [],
    },
  };
}
