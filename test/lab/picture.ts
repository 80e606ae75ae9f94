// DESIGN.md's picture as data: who stands where, with which addresses. Topology, units' configuration and scenarios all read
// this, so that they cannot disagree.
//
//     site A                            DCI (filters the gateways)                      site B
//   service1 ──┬─ zone one 10.1.0.0/24 ═══════════════════════════ zone one ─┬── (router's leg B)
//   router A ──┤                                                             │
//             A1 ═══════════════════ twin segment ══════════════════════════ B1
//              └─ zone three 10.3.0.0/24 ═════════════════════════ zone three ┴── service3
//
//   user ── 10.9.0.0/24 ── router ── 10.1.0.254, on its leg A or its leg B, never on both

export type SiteName = "A" | "B";
export type LabUnit = "A1" | "B1";
export type LabHost = "service1" | "service3" | "user" | "router";

export const SITES: readonly SiteName[] = ["A", "B"];
export const LAB_UNITS: readonly LabUnit[] = ["A1", "B1"];
export const LAB_HOSTS: readonly LabHost[] = ["service1", "service3", "user", "router"];

export const unitOf = (site: SiteName): LabUnit => (site === "A" ? "A1" : "B1");
export const otherSite = (site: SiteName): SiteName => (site === "A" ? "B" : "A");

/** Devices inside a unit's namespace. */
export const PORT_ONE = "port1";
export const PORT_THREE = "port2";
export const PORT_TWIN = "twin";

export interface LabZone {
  readonly name: "one" | "three";
  readonly device: string;
  readonly prefixBits4: number;
  readonly prefixBits6: number;
  readonly gatewayMac: string;
  readonly gateway4: string;
  readonly gateway6: string;
  readonly site: Readonly<Record<SiteName, { readonly mac: string; readonly address4: string; readonly address6: string }>>;
}

export const ZONE_ONE: LabZone = {
  name: "one",
  device: PORT_ONE,
  prefixBits4: 24,
  prefixBits6: 64,
  gatewayMac: "02:54:57:00:01:01",
  gateway4: "10.1.0.1",
  gateway6: "fd00:1::1",
  site: {
    A: { mac: "02:54:57:0a:01:02", address4: "10.1.0.2", address6: "fd00:1::2" },
    B: { mac: "02:54:57:0b:01:03", address4: "10.1.0.3", address6: "fd00:1::3" },
  },
};

export const ZONE_THREE: LabZone = {
  name: "three",
  device: PORT_THREE,
  prefixBits4: 24,
  prefixBits6: 64,
  gatewayMac: "02:54:57:00:03:01",
  gateway4: "10.3.0.1",
  gateway6: "fd00:3::1",
  site: {
    A: { mac: "02:54:57:0a:03:02", address4: "10.3.0.2", address6: "fd00:3::2" },
    B: { mac: "02:54:57:0b:03:03", address4: "10.3.0.3", address6: "fd00:3::3" },
  },
};

export const LAB_ZONES: readonly LabZone[] = [ZONE_ONE, ZONE_THREE];

export const SERVICE1 = { address4: "10.1.0.10", address6: "fd00:1::10" } as const;
export const SERVICE3 = { address4: "10.3.0.10", address6: "fd00:3::10" } as const;
export const USER = { address4: "10.9.0.10", address6: "fd00:9::10", prefix4: "10.9.0.0/24", prefix6: "fd00:9::/64" } as const;
/** `mac` is the same on both legs, as a router's that moves. */
export const ROUTER = { address4: "10.1.0.254", address6: "fd00:1::fe", mac: "02:54:57:99:01:fe", inner4: "10.9.0.1", inner6: "fd00:9::1" } as const;

/**
 * Transparent wiring: each wire is a subnet of its own between the two services. Requests cross A's wire, replies B's, because
 * of one host route on either side.
 */
export const WIRE = {
  A: { service1v4: "10.100.0.1", service3v4: "10.100.0.3", service1v6: "fd00:100::1", service3v6: "fd00:100::3" },
  B: { service1v4: "10.200.0.1", service3v4: "10.200.0.3", service1v6: "fd00:200::1", service3v6: "fd00:200::3" },
} as const;

export const HTTP_PORT = 8080;
export const ECHO_PORT = 7007;
export const SSH_PORT = 22;
export const IPERF_PORT = 5201;
/** Where traceroute's datagrams go: one port per probe, from 33434. */
export const TRACE_PORTS = "33434-33534";
