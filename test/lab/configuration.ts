// The configuration that an operator would write for the picture; the units read it like any other.

import { ECHO_PORT, HTTP_PORT, LAB_ZONES, ROUTER, SERVICE3, SITES, USER, ZONE_ONE } from "./picture.ts";
import type { Wiring } from "./topology.ts";

export interface LabOptions {
  readonly wiring: Wiring;
  /** False: each unit stands alone, as two ordinary firewalls would. */
  readonly twin: boolean;
}

/** The configuration file's value: one for both units. */
export function labConfiguration({ wiring, twin }: LabOptions): object {
  const routed = wiring === "routed";
  return {
    system: { name: "lab" },
    revision: 1,
    sites: SITES,
    units: SITES.map((site) => ({ site, index: 1 })),
    mode: wiring,
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
    // Only from one to three: what comes back needs a session.
    policy: [
      { name: "web", from: ["one"], to: ["three"], service: [`tcp/${HTTP_PORT}`], action: "permit" },
      { name: "echo", from: ["one"], to: ["three"], service: [`tcp/${ECHO_PORT}`, `udp/${ECHO_PORT}`], action: "permit" },
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
