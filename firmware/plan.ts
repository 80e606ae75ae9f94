// The plan: what the manager tells a dataplane. It is the configuration and the board resolved for one unit: numbers
// instead of names, nothing left to look up or to default. The manager writes it as JSON beside the shared memory
// (0600) before it spawns the dataplane; the simulator builds it directly.

export type PortMode = "routed" | "transparent";

/** An address with its prefix. `bytes`: 16, IPv4 as v4-mapped. `prefixBits`: 0..128 (IPv4 prefixes have 96 added). */
export interface Prefix {
  readonly bytes: readonly number[];
  readonly prefixBits: number;
}

export interface PlannedPort {
  /** 0..PORTS-1; the index into the unit's port array. */
  readonly number: number;
  /** Kernel device name. */
  readonly device: string;
  readonly kind: "data" | "twin";
  readonly mtuBytes: number;
  /** Transparent mode: the other end of the wire; -1 in routed mode and on the twin port. */
  readonly pairedPort: number;
}

/** One zone on one port (and VLAN): where packets come from and go to. */
export interface PlannedZone {
  /** 1..ZONES-1, equal on all units. */
  readonly zone: number;
  readonly name: string;
  readonly port: number;
  /** 802.1Q id, 0 = untagged. */
  readonly vlan: number;
  /** Answers and announces only; equal at both sites. 6 bytes. */
  readonly gatewayMac: readonly number[];
  readonly gatewayAddresses: readonly Prefix[];
  /** Sends: every routed frame, ARP, ND and packet of our own. 6 bytes. */
  readonly siteMac: readonly number[];
  readonly siteAddresses: readonly Prefix[];
}

export interface PlannedRoute {
  readonly prefix: Prefix;
  /** 16 bytes. */
  readonly nextHop: readonly number[];
  readonly zone: number;
}

export interface PlannedRule {
  /** 1.. in order; first match wins. */
  readonly number: number;
  readonly name: string;
  /** Zone numbers; empty = any. */
  readonly fromZones: readonly number[];
  readonly toZones: readonly number[];
  /** Empty = any. */
  readonly sources: readonly Prefix[];
  readonly destinations: readonly Prefix[];
  /** Empty = any. `protocol` 0..255. Ports inclusive; for ICMP the low port pair is type, and code is `codes`. */
  readonly services: readonly PlannedService[];
  readonly action: "permit" | "deny" | "reject";
  readonly log: boolean;
  /** Idle time of sessions that it permits, once they are established (TCP) or made; 0 = by protocol. */
  readonly idleMillis: number;
}

export interface PlannedService {
  readonly protocol: number;
  /** Destination ports for TCP and UDP, ICMP types for ICMP; inclusive; [0, 65535] = any. */
  readonly ports: readonly [number, number];
  /** ICMP codes, inclusive; [0, 255] = any. */
  readonly codes: readonly [number, number];
}

/** What a packet must satisfy whatever the rules say. */
export interface PlannedChecks {
  /** T7: TCP, UDP and ICMP checksums. */
  readonly checksums: boolean;
  /** F6, V2: the source is reached through the zone that the packet comes from. Routed mode. */
  readonly reversePath: boolean;
  /** F6: the source is none of our own addresses. Routed mode. */
  readonly ownSource: boolean;
  /** F6: link-local addresses go no further than the router. Routed mode. */
  readonly linkLocal: boolean;
  /** F5, profile strict: IPv6 unicast is within 2000::/3. */
  readonly strictIpv6: boolean;
  /** T4: TCP sessions that began before they were seen here may be picked up. */
  readonly midstream: boolean;
  /** V3: numbers of the IPv4 options that pass, End and No-Operation apart. */
  readonly ipv4Options: readonly number[];
}

export interface PlannedPeer {
  /** Unit number 1..4. */
  readonly unit: number;
  readonly name: string;
  readonly site: string;
}

export interface Plan {
  readonly unit: number;
  readonly name: string;
  readonly site: string;
  /** Name of the logical firewall. */
  readonly system: string;
  readonly mode: PortMode;
  /** Hash of everything that both sites must agree on (zones, modes); peers that differ do not associate. */
  readonly agreementHash: string;
  /** Policy revision that rows carry. */
  readonly revision: number;
  readonly sessions: number;
  readonly ports: readonly PlannedPort[];
  readonly zones: readonly PlannedZone[];
  readonly routes: readonly PlannedRoute[];
  readonly rules: readonly PlannedRule[];
  readonly idleMillis: Readonly<Record<keyof typeof import("./limits.ts").IDLE_MILLIS, number>>;
  /** Half-open TCP sessions to one destination, over all sites; at least 2. */
  readonly halfOpenPerDestination: number;
  /** After a change of the policy, sessions that it forbids are closed; else they live until they end. */
  readonly reviewSessions: boolean;
  readonly checks: PlannedChecks;
  readonly twin: {
    readonly enabled: boolean;
    readonly peers: readonly PlannedPeer[];
    readonly heartbeatMillis: number;
    readonly heartbeatMisses: number;
    readonly partition: "stop" | "local";
    /** 1..255: of a pair the unit with the higher one is preferred. */
    readonly priority: number;
    /** Do both sites make sessions, or does one stand by? `activeSite`: 0 or 1, the one that does not, at first. */
    readonly deployment: "active/active" | "active/passive";
    readonly activeSite: number;
    /** When a session is granted to the site where its packets come in: those of both directions, those of the originator, or not at all. */
    readonly follow: "never" | "both-directions" | "originator";
    /** After so many packets in a row; 1..65535. */
    readonly followPackets: number;
    /** How long the preferred unit must have been ready before the other gives way to it; 0 = it does not. */
    readonly preemptMillis: number;
    readonly firstPacket: "auto" | "query" | "hold" | "none";
    /** Monitored addresses, one per zone at the most, 16 bytes: reaching one tells a death from a partition. */
    readonly monitored: readonly { readonly zone: number; readonly address: readonly number[] }[];
  };
}
