// Where a destination lies: longest prefix match over the networks on our ports and the static routes. Address space is cut
// into intervals once (intervals.ts), so a lookup is one binary search, however the prefixes nest.

import type { Plan, PlannedRoute, PlannedZone, Prefix } from "../plan.ts";
import { AddressIntervals } from "./intervals.ts";
import { addressWords, isLinkLocalPrefix, OWN_NONE, Stations } from "./stations.ts";

interface Candidate {
  readonly prefix: Prefix;
  readonly entry: number;
  readonly nextHop: readonly number[];
}

/** Of a compiled table of routes. */
export const ROUTE_ARRAYS = 6;
const ON_LINK = new Array<number>(16).fill(0);

export class Routes {
  /** By route: index into the plan's zones, zone number, next hop (four words in packet order; all 0 = the destination is on the link). */
  entry: Int32Array;
  zone: Int32Array;
  hop: Int32Array;
  readonly stations: Stations;
  /** False in transparent mode, which has neither routes nor addresses. */
  readonly routed: boolean;
  /** OWN_* of the address that `isOwn` found last. */
  ownKind = OWN_NONE;
  private readonly intervals: AddressIntervals;
  private byInterval: Int32Array;

  /** Link-local networks lie on every port: they are no routes. Throws when a static route's zone is not in the plan. */
  constructor(plan: Plan, stations: Stations = new Stations(plan)) {
    this.stations = stations;
    this.routed = plan.mode === "routed";
    const candidates = [...connected(plan.zones), ...plan.routes.map((route) => staticRoute(route, plan.zones))];
    this.entry = Int32Array.from(candidates, (route) => route.entry);
    this.zone = Int32Array.from(candidates, (route) => plan.zones[route.entry]?.zone ?? 0);
    this.hop = Int32Array.from(candidates.flatMap((route) => addressWords(route.nextHop)));
    this.intervals = new AddressIntervals(candidates.map((route) => route.prefix));
    this.byInterval = new Int32Array(this.intervals.count).fill(-1);
    // Longer prefixes overwrite shorter ones; of equals the first wins, and connected networks come first.
    const order = candidates.map((_, k) => k).sort((a, b) => bitsOf(candidates, a) - bitsOf(candidates, b) || b - a);
    for (const route of order) this.byInterval.fill(route, ...this.intervals.rangeOf((candidates[route] as Candidate).prefix));
  }

  /** What it worked out, ROUTE_ARRAYS of them; the same arrays, not copies. */
  compiled(): readonly Int32Array[] {
    const { entry, zone, hop, byInterval, intervals } = this;
    return [entry, zone, hop, byInterval, intervals.v4Starts, intervals.v6Starts];
  }

  /** Finds other routes from now on, as they were compiled elsewhere for the same zones. The arrays are kept. Paths that were found by the old ones are the caller's to forget. */
  use(arrays: readonly Int32Array[]): void {
    const [entry, zone, hop, byInterval, v4Starts, v6Starts] = arrays as [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array];
    this.entry = entry;
    this.zone = zone;
    this.hop = hop;
    this.byInterval = byInterval;
    this.intervals.use(v4Starts, v6Starts);
  }

  /** True when the route's destinations are neighbours themselves. */
  isOnLink(route: number): boolean {
    const hop = route << 2;
    return ((this.hop[hop] as number) | (this.hop[hop + 1] as number) | (this.hop[hop + 2] as number) | (this.hop[hop + 3] as number)) === 0;
  }

  /** Route of the address at `address[at .. at+3]`, or -1. */
  find(address: Int32Array, at: number): number {
    return this.byInterval[this.intervals.find(address, at)] as number;
  }

  /** Zone entry whose own address this is, or -1; `ownKind` then says which kind. For link-local ones ask `stations.ownAt`. */
  isOwn(address: Int32Array, at: number): number {
    const number = this.stations.find(address, at);
    this.ownKind = number < 0 ? OWN_NONE : this.stations.kindOf(number);
    return number < 0 ? -1 : this.stations.entryOf(number);
  }
}

function bitsOf(candidates: readonly Candidate[], route: number): number {
  return (candidates[route] as Candidate).prefix.prefixBits;
}

function connected(zones: readonly PlannedZone[]): readonly Candidate[] {
  return zones.flatMap((zone, entry) =>
    [...zone.gatewayAddresses, ...zone.siteAddresses].filter((prefix) => !isLinkLocalPrefix(prefix)).map((prefix) => ({ prefix, entry, nextHop: ON_LINK })),
  );
}

/** The route leaves by the entry of its zone in whose network the next hop lies, else by the zone's first. */
function staticRoute(route: PlannedRoute, zones: readonly PlannedZone[]): Candidate {
  const inZone = zones.map((zone, entry) => ({ zone, entry })).filter(({ zone }) => zone.zone === route.zone);
  const first = inZone[0];
  if (first === undefined) throw new Error(`routes: a route leads to zone ${route.zone}, which this unit does not have`);
  const near = inZone.find(({ zone }) => [...zone.gatewayAddresses, ...zone.siteAddresses].some((prefix) => holds(prefix, route.nextHop)));
  return { prefix: route.prefix, entry: (near ?? first).entry, nextHop: route.nextHop };
}

function holds(prefix: Prefix, address: readonly number[]): boolean {
  for (let bit = 0; bit < prefix.prefixBits; bit++) {
    if ((((prefix.bytes[bit >> 3] as number) ^ (address[bit >> 3] as number)) & (0x80 >> (bit & 7))) !== 0) return false;
  }
  return true;
}
