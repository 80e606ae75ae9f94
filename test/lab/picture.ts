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
//
// With pairs, A2 and B2 hang on the same bridges as A1 and B1. Between upstream routers (`upstream`) nothing is stretched: the zones
// are transit networks, each site's own, with the same numbers at both.
//
//               ┌─ north-a ── zone one at A ── A1 A2 ── zone three at A ── south-a ─┐
//   user ── wan ┤                                ║ twin segment                      ├ lan ── service3
//               └─ north-b ── zone one at B ── B1 B2 ── zone three at B ── south-b ─┘

export type SiteName = "A" | "B";
/** The first unit of a site: its only one, where there are no pairs. */
export type FirstUnit = "A1" | "B1";
export type LabUnit = FirstUnit | "A2" | "B2";
export type LabHost = "service1" | "service3" | "user" | "router" | "north-a" | "north-b" | "south-a" | "south-b";

export const SITES: readonly SiteName[] = ["A", "B"];
/** The units of most scenarios: one per site. */
export const LAB_UNITS: readonly FirstUnit[] = ["A1", "B1"];
/** Two pairs. */
export const ALL_UNITS: readonly LabUnit[] = ["A1", "A2", "B1", "B2"];
export const LAB_HOSTS: readonly LabHost[] = ["service1", "service3", "user", "router"];
export const UPSTREAM_HOSTS: readonly LabHost[] = ["user", "service3", "north-a", "north-b", "south-a", "south-b"];

export const unitOf = (site: SiteName): FirstUnit => (site === "A" ? "A1" : "B1");
export const siteOf = (unit: LabUnit): SiteName => (unit.startsWith("A") ? "A" : "B");
export const unitsAt = (site: SiteName): readonly LabUnit[] => ALL_UNITS.filter((unit) => siteOf(unit) === site);
export const indexOf = (unit: LabUnit): number => Number(unit.slice(1));
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

/**
 * Upstream wiring. `north` and `south` are the routers that the units see as their next hop, with the same address at both sites; the
 * networks behind them reach both routers, and a route says which one is taken.
 */
export const UPSTREAM = {
  north4: "10.1.0.254",
  north6: "fd00:1::fe",
  south4: "10.3.0.254",
  south6: "fd00:3::fe",
  /** The routers' legs into the user's network. */
  wan: { A: { address4: "10.9.0.1", address6: "fd00:9::1" }, B: { address4: "10.9.0.2", address6: "fd00:9::2" } },
  /** The routers' legs into service3's network. */
  lan: { A: { address4: "10.30.0.1", address6: "fd00:30::1" }, B: { address4: "10.30.0.2", address6: "fd00:30::2" } },
  service3: { address4: "10.30.0.10", address6: "fd00:30::10", prefix4: "10.30.0.0/24", prefix6: "fd00:30::/64" },
} as const;

export const HTTP_PORT = 8080;
export const ECHO_PORT = 7007;
export const SSH_PORT = 22;
export const IPERF_PORT = 5201;
/** Where traceroute's datagrams go: one port per probe, from 33434. */
export const TRACE_PORTS = "33434-33534";
