// DESIGN.md's picture in a world: two sites with a unit or a pair each, service1 at A, service3 at B, and a user behind a router
// that has a path to either site. Addresses come from the lab's picture, so that both show the same; the units' plans come from a
// real configuration.
//
//   routed:       a-one ═DCI═ b-one     a-three ═DCI═ b-three     twin
//   transparent:  service1 and service3 have a leg on each site's wire; requests take A's, replies B's
//   upstream:     user, service1 ─ wan ─ north router ─ site's zone one ─ unit ─ zone three ─ south router ─ lan ─ service3; routers and
//                 zones are each site's own, nothing is stretched, and a host's route says which site its packets take

import { board } from "../../board/lab.ts";
import { SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import { parseMac } from "../../firmware/manager/config/addresses.ts";
import { parseConfiguration } from "../../firmware/manager/config/load.ts";
import { buildPlan } from "../../firmware/manager/config/plan.ts";
import type { Plan } from "../../firmware/plan.ts";
import { FieldList } from "../../firmware/twin/fields.ts";
import type { LinkTrial } from "../../firmware/twin/link.ts";
import { LAB_ZONES, otherSite, ROUTER, SERVICE1, SERVICE3, SITES, type SiteName, UPSTREAM, USER, WIRE, ZONE_ONE, ZONE_THREE } from "../lab/picture.ts";
import type { Host } from "./host.ts";
import { type Address, address, macNumber } from "./packets.ts";
import { type Attachment, gatewayFilter, type Interconnect, interconnect, type Segment } from "./segment.ts";
import { serveDownloads, serveEcho } from "./services.ts";
import { type Builder, SimUnit } from "./unit.ts";
import { World } from "./world.ts";

export interface PictureOptions {
  readonly build: Builder;
  /** Two units at each site, A1 A2 B1 B2, instead of A1 and B1. */
  readonly pairs?: boolean;
  readonly mode?: "routed" | "transparent";
  /** Routed, between upstream routers: nothing is stretched. */
  readonly upstream?: boolean;
  readonly twin?: boolean;
  /** Active/passive: A is active first, and the DCI lets the gateways' addresses pass. */
  readonly deployment?: "active/active" | "active/passive";
  /** Sealing keys are replaced after so long. */
  readonly keyMillis?: number;
  /** And after so many frames. */
  readonly keyFrames?: number;
  /** Units whose firmware is the version before: they do not know all fields of a row. */
  readonly previous?: readonly string[];
  readonly partition?: "stop" | "local";
  readonly firstPacket?: "query" | "hold" | "none";
  /** When sessions move with their packets to the other site, and after how many. */
  readonly follow?: "never" | "both-directions" | "originator";
  readonly followPackets?: number;
  /** Rows of each unit's session table; a power of two from 1,024. */
  readonly sessions?: number;
  /** One way between the sites. */
  readonly distanceMicros?: number;
  readonly twinMtuBytes?: number;
  /** How much each unit's clock is ahead of that of the unit before it. */
  readonly clocksApartMicros?: number;
  /** Each unit has a second twin port, joined to the others' by a cable of its own. Without pairs. */
  readonly secondTwin?: boolean;
  /** By device. */
  readonly dataMtuBytes?: Readonly<Record<string, number>>;
  readonly heartbeatMillis?: number;
  readonly heartbeatMisses?: number;
  readonly idleMillis?: Partial<Plan["idleMillis"]>;
  readonly halfOpenPerDestination?: number;
}

/** Ports that the policy denies, whoever asks. */
export const DENIED_PORT = 23;
/** Datagrams between these ports may be sent first from either side. */
export const MIRRORED_PORTS = [7_100, 7_163] as const;
export const BYTES_PER_MICRO = 125;
/** The version before had no highest acknowledgements in a row. */
const PREVIOUS_FIELDS = new FieldList({ ...SESSIONS, fields: SESSIONS.fields.filter(({ name }) => name !== "originatorAcked" && name !== "responderAcked") });
const SECOND_TWIN = { name: "twin2", device: "twin2", kind: "twin" } as const;
/** Between upstream routers service1 is the user's neighbour. */
const UPSTREAM_SERVICE1 = { address4: "10.9.0.20", address6: "fd00:9::20" };
const HOST_MACS = { service1: "02:aa:01:00:00:10", service3: "02:aa:03:00:00:10", user: "02:aa:09:00:00:10", inner: "02:aa:09:00:00:01" };

export class Picture {
  readonly world: World;
  readonly options: PictureOptions;
  readonly units: readonly SimUnit[];
  readonly service1: Host;
  readonly service3: Host;
  /** In routed mode only. */
  readonly user: Host | null = null;
  readonly interconnects: Interconnect[] = [];
  readonly twin: Segment;
  /** The other site's half of the twin's Ethernet, and what joins them; with pairs only. */
  readonly twinB: Segment;
  readonly twinLink: Interconnect | null = null;
  private userSite: SiteName = "A";
  private service1Site: SiteName = "A";
  private readonly routerLegs: Interconnect[] = [];

  constructor(seed: number, options: PictureOptions) {
    this.options = options;
    this.world = new World(seed);
    const { world } = this;
    const transparent = options.mode === "transparent";
    world.ttlSteps = transparent ? 0 : 1;
    this.twin = world.addSegment("twin");
    this.twinB = this.twin;
    if (options.pairs === true) {
      this.twinB = world.addSegment("twin-b");
      this.twinLink = interconnect("twin-link", this.twin, this.twinB, options.distanceMicros ?? 100, () => true);
    }
    for (const site of SITES) for (const zone of LAB_ZONES) world.addSegment(segmentName(site, zone.name));
    if (!transparent && options.upstream !== true) this.joinSites();
    this.units = unitsOf(options).map((name) => this.addUnit(name));
    this.service1 = world.addHost("service1");
    this.service3 = world.addHost("service3");
    if (transparent) this.plugWires();
    else if (options.upstream === true) this.user = this.plugUpstream();
    else {
      this.plugRouted();
      this.user = this.addUser();
    }
    for (const host of [this.service1, this.service3]) {
      serveDownloads(host);
      serveDownloads(host, DENIED_PORT);
      serveEcho(host);
      serveEcho(host, DENIED_PORT);
    }
    for (const segment of world.segments.values()) this.finishSegment(segment);
  }

  unit(name: string): SimUnit {
    return this.world.unit(name);
  }

  /** Starts all units and lets them find each other. */
  start(settleMillis = 1_000): void {
    for (const unit of this.units) unit.start();
    for (const host of this.world.hosts.values()) host.announce();
    this.world.run(settleMillis);
  }

  /** Moves the user's path to a site, as a routing protocol would. */
  moveUser(site: SiteName): void {
    this.world.note(`the user's path moves to site ${site}`);
    this.userSite = site;
    if (this.options.upstream === true) {
      this.lead(this.user as Host, UPSTREAM.wan[site]);
      return;
    }
    for (const [k, name] of SITES.entries()) this.setCut(this.routerLegs[k] as Interconnect, name !== site);
    this.world.segment("router-leg").forget();
    this.world.host("router").announce();
  }

  /** Cuts or heals the twin port of a unit: neither end's link goes down. */
  cutTwin(unit: string, cut: boolean): void {
    const attachment = this.unit(unit).attachments.at(-1) as Attachment;
    this.world.note(`${unit}'s twin cable is ${cut ? "cut" : "healed"}`);
    attachment.enters.faults.cut = cut;
    attachment.leaves.faults.cut = cut;
  }

  /** Cuts or heals the stretched LANs. */
  cutInterconnects(cut: boolean): void {
    this.world.note(`the DCI is ${cut ? "cut" : "healed"}`);
    for (const joint of this.interconnects) this.setCut(joint, cut);
  }

  private setCut(joint: Interconnect, cut: boolean): void {
    for (const { enters, leaves } of [joint.there, joint.back]) {
      enters.faults.cut = cut;
      leaves.faults.cut = cut;
    }
  }

  private joinSites(): void {
    for (const zone of LAB_ZONES) {
      const filter = gatewayFilter(new Set([macNumber(mac(zone.gatewayMac), 0)]), new Set([address(zone.gateway4), address(zone.gateway6)]));
      const [one, other] = SITES.map((site) => this.world.segment(segmentName(site, zone.name))) as [Segment, Segment];
      const passes = this.options.deployment === "active/passive" ? () => true : filter;
      this.interconnects.push(interconnect("dci", one, other, this.options.distanceMicros ?? 100, passes));
    }
  }

  /** Both units of a site hang on the same switches; the standby passes nothing. */
  private addUnit(name: string): SimUnit {
    const { world, options } = this;
    const plan = planOf(name, options);
    const segments = plan.ports.map((port) =>
      port.device === SECOND_TWIN.device
        ? (world.segments.get(SECOND_TWIN.name) ?? world.addSegment(SECOND_TWIN.name))
        : port.kind === "twin"
          ? plan.site === "A"
            ? this.twin
            : this.twinB
          : world.segment(segmentName(plan.site as SiteName, port.device === ZONE_ONE.device ? ZONE_ONE.name : ZONE_THREE.name)),
    );
    const unit = new SimUnit(world, { plan, segments, build: options.build, aheadMicros: plan.unit * (options.clocksApartMicros ?? 0) });
    unit.trial = this.trialOf(name);
    return unit;
  }

  /** The firmware before this one. */
  previousTrial(): LinkTrial {
    return { fields: PREVIOUS_FIELDS };
  }

  /**
   * service1 moves to the other site, as a virtual machine does: same addresses, another switch, an announcement. Between upstream
   * routers its packets take the other site's.
   */
  moveService1(): void {
    const nic = this.service1.interfaces[0]?.nic as Nic;
    const [from, to] = this.service1Site === "A" ? (["A", "B"] as const) : (["B", "A"] as const);
    this.world.note(`service1 moves to site ${to}`);
    this.service1Site = to;
    if (this.options.upstream === true) {
      this.lead(this.service1, UPSTREAM.wan[to]);
      return;
    }
    const old = this.world.segment(segmentName(from, "one"));
    old.detach(old.attachment(nic.name));
    const attachment = this.world.segment(segmentName(to, "one")).attach(nic);
    this.world.watch(attachment);
    attachment.enters.bytesPerMicro = BYTES_PER_MICRO;
    attachment.leaves.bytesPerMicro = BYTES_PER_MICRO;
    this.service1.announce();
  }

  /** What is special about a unit's dataplane. */
  trialOf(name: string): LinkTrial {
    const { keyMillis, keyFrames, previous } = this.options;
    return {
      ...(keyMillis !== undefined && { keyMillis }),
      ...(keyFrames !== undefined && { keyFrames }),
      ...(previous?.includes(name) === true && { fields: PREVIOUS_FIELDS }),
    };
  }

  private plugRouted(): void {
    const { world } = this;
    this.service1.addInterface(world.segment("a-one"), mac(HOST_MACS.service1), [`${SERVICE1.address4}/24`, `${SERVICE1.address6}/64`]);
    this.service3.addInterface(world.segment("b-three"), mac(HOST_MACS.service3), [`${SERVICE3.address4}/24`, `${SERVICE3.address6}/64`]);
    for (const [host, zone] of [
      [this.service1, ZONE_ONE],
      [this.service3, ZONE_THREE],
    ] as const) {
      host.route("0.0.0.0/0", zone.gateway4);
      host.route("::/0", zone.gateway6);
    }
  }

  /** The router's one leg hangs on a switch of its own with a cable to either site, of which one is whole. */
  private addUser(): Host {
    const { world } = this;
    const legs = world.addSegment("router-leg");
    const inner = world.addSegment("inner");
    const router = world.addHost("router");
    router.forwards = true;
    router.addInterface(legs, mac(ROUTER.mac), [`${ROUTER.address4}/24`, `${ROUTER.address6}/64`]);
    router.addInterface(inner, mac(HOST_MACS.inner), [`${ROUTER.inner4}/24`, `${ROUTER.inner6}/64`]);
    router.route("0.0.0.0/0", ZONE_ONE.gateway4);
    router.route("::/0", ZONE_ONE.gateway6);
    for (const site of SITES) this.routerLegs.push(interconnect(`leg-${site.toLowerCase()}`, legs, world.segment(segmentName(site, "one")), 10, () => true));
    this.setCut(this.routerLegs[SITES.indexOf(otherSite(this.userSite))] as Interconnect, true);
    const user = world.addHost("user");
    user.addInterface(inner, mac(HOST_MACS.user), [`${USER.address4}/24`, `${USER.address6}/64`]);
    user.route("0.0.0.0/0", ROUTER.inner4);
    user.route("::/0", ROUTER.inner6);
    return user;
  }

  /** Routers north and south of each site, and the networks behind them. Returns the user. */
  private plugUpstream(): Host {
    const { world } = this;
    const [wan, lan] = [world.addSegment("wan"), world.addSegment("lan")];
    for (const [k, site] of SITES.entries()) {
      const letter = site.toLowerCase();
      const leg = (side: number, place: number) => Uint8Array.of(0x02, 0xaa, 0x0a, side, place, k + 1);
      const north = world.addHost(`north-${letter}`);
      north.addInterface(world.segment(segmentName(site, "one")), leg(1, 0), [`${UPSTREAM.north4}/24`, `${UPSTREAM.north6}/64`]);
      north.addInterface(wan, leg(1, 1), [`${UPSTREAM.wan[site].address4}/24`, `${UPSTREAM.wan[site].address6}/64`]);
      north.route(UPSTREAM.service3.prefix4, ZONE_ONE.site[site].address4);
      north.route(UPSTREAM.service3.prefix6, ZONE_ONE.site[site].address6);
      const south = world.addHost(`south-${letter}`);
      south.addInterface(world.segment(segmentName(site, "three")), leg(3, 0), [`${UPSTREAM.south4}/24`, `${UPSTREAM.south6}/64`]);
      south.addInterface(lan, leg(3, 1), [`${UPSTREAM.lan[site].address4}/24`, `${UPSTREAM.lan[site].address6}/64`]);
      south.route(USER.prefix4, ZONE_THREE.site[site].address4);
      south.route(USER.prefix6, ZONE_THREE.site[site].address6);
      north.forwards = true;
      south.forwards = true;
    }
    const user = world.addHost("user");
    user.addInterface(wan, mac(HOST_MACS.user), [`${USER.address4}/24`, `${USER.address6}/64`]);
    this.service1.addInterface(wan, mac(HOST_MACS.service1), [`${UPSTREAM_SERVICE1.address4}/24`, `${UPSTREAM_SERVICE1.address6}/64`]);
    this.service3.addInterface(lan, mac(HOST_MACS.service3), [`${UPSTREAM.service3.address4}/24`, `${UPSTREAM.service3.address6}/64`]);
    this.lead(user, UPSTREAM.wan.A);
    this.lead(this.service1, UPSTREAM.wan.A);
    this.lead(this.service3, UPSTREAM.lan.B);
    return user;
  }

  /** What the host sends takes this router from now on, as when a routing protocol has converged. */
  private lead(host: Host, router: { readonly address4: string; readonly address6: string }): void {
    host.route("0.0.0.0/0", router.address4);
    host.route("::/0", router.address6);
  }

  /** service1's, service3's and the user's addresses of a family. */
  addresses(v4: boolean): ReturnType<typeof addressesOf> {
    if (this.options.upstream !== true) return addressesOf(v4);
    const pick = (who: { address4: string; address6: string }) => address(v4 ? who.address4 : who.address6);
    return { service1: pick(UPSTREAM_SERVICE1), service3: pick(UPSTREAM.service3), user: pick(USER) };
  }

  private plugWires(): void {
    const { world } = this;
    for (const [index, site] of SITES.entries()) {
      const letter = site.toLowerCase();
      const wire = WIRE[site];
      // The service's own address belongs to its first leg, as a host route.
      const own = (who: { address4: string; address6: string }) => (index === 0 ? [`${who.address4}/32`, `${who.address6}/128`] : []);
      const leg = (text: string) => mac(text).map((byte, k) => (k === 3 ? index + 1 : byte));
      this.service1.addInterface(world.segment(`${letter}-one`), leg(HOST_MACS.service1), [...own(SERVICE1), `${wire.service1v4}/24`, `${wire.service1v6}/64`]);
      this.service3.addInterface(world.segment(`${letter}-three`), leg(HOST_MACS.service3), [
        ...own(SERVICE3),
        `${wire.service3v4}/24`,
        `${wire.service3v6}/64`,
      ]);
    }
    this.service1.route(`${SERVICE3.address4}/32`, WIRE.A.service3v4);
    this.service1.route(`${SERVICE3.address6}/128`, WIRE.A.service3v6);
    this.service3.route(`${SERVICE1.address4}/32`, WIRE.B.service1v4);
    this.service3.route(`${SERVICE1.address6}/128`, WIRE.B.service1v6);
  }

  private finishSegment(segment: Segment): void {
    for (const attachment of segment.attachments) {
      this.world.watch(attachment);
      attachment.enters.bytesPerMicro = BYTES_PER_MICRO;
      attachment.leaves.bytesPerMicro = BYTES_PER_MICRO;
      if (segment !== this.twin || this.twinLink !== null) continue;
      const half = (this.options.distanceMicros ?? 100) / 2;
      attachment.enters.faults.delayMicros = half;
      attachment.leaves.faults.delayMicros = half;
    }
  }
}

export function segmentName(site: SiteName, zone: "one" | "three"): string {
  return `${site.toLowerCase()}-${zone}`;
}

/** Names of the units that a picture has. */
export function unitsOf({ pairs }: Pick<PictureOptions, "pairs">): readonly string[] {
  return pairs === true ? ["A1", "A2", "B1", "B2"] : ["A1", "B1"];
}

/** service1's and service3's addresses of a family. */
export function addressesOf(v4: boolean): { readonly service1: Address; readonly service3: Address; readonly user: Address } {
  const pick = (who: { address4: string; address6: string }) => address(v4 ? who.address4 : who.address6);
  return { service1: pick(SERVICE1), service3: pick(SERVICE3), user: pick(USER) };
}

function mac(text: string): Uint8Array {
  return Uint8Array.from(parseMac(text) as readonly number[]);
}

/** The plan of a unit, from a configuration as an operator would write it. */
export function planOf(name: string, options: PictureOptions): Plan {
  const routed = options.mode !== "transparent";
  const upstream = options.upstream === true;
  const zones = LAB_ZONES.map((zone) => ({
    name: zone.name,
    port: zone.device,
    ...(routed &&
      !upstream && {
        gateway: { mac: zone.gatewayMac, addresses: [`${zone.gateway4}/24`, `${zone.gateway6}/64`] },
      }),
    ...(routed && {
      sites: Object.fromEntries(
        SITES.map((site) => [site, { mac: zone.site[site].mac, addresses: [`${zone.site[site].address4}/24`, `${zone.site[site].address6}/64`] }]),
      ),
    }),
  }));
  const routes = [
    { prefix: USER.prefix4, via: ROUTER.address4, zone: "one" },
    { prefix: USER.prefix6, via: ROUTER.address6, zone: "one" },
    ...(upstream
      ? [
          { prefix: UPSTREAM.service3.prefix4, via: UPSTREAM.south4, zone: "three" },
          { prefix: UPSTREAM.service3.prefix6, via: UPSTREAM.south6, zone: "three" },
        ]
      : []),
  ];
  const configuration = {
    system: { name: "simulator" },
    sites: SITES,
    units: unitsOf(options).map((unit) => ({ site: unit.slice(0, 1), index: Number(unit.slice(1)) })),
    mode: options.mode ?? "routed",
    sessions: options.sessions ?? 2_048,
    ports: Object.fromEntries(Object.entries({ ...options.dataMtuBytes, twin: options.twinMtuBytes ?? 1_500 }).map(([port, mtuBytes]) => [port, { mtuBytes }])),
    zones,
    routes: routed ? routes : [],
    policy: [
      { name: "never", service: [`tcp/${DENIED_PORT}`, `udp/${DENIED_PORT}`], action: "deny" },
      { name: "mirrored", from: ["three"], to: ["one"], service: [`udp/${MIRRORED_PORTS.join("-")}`], action: "permit" },
      { name: "requests", from: ["one"], to: ["three"], service: ["tcp/1-65535", "udp/1-65535", "icmp/8", "icmpv6/128"], action: "permit" },
    ],
    twin: {
      enabled: options.twin ?? true,
      partition: options.partition ?? "stop",
      deployment: options.deployment ?? "active/active",
      firstPacket: options.firstPacket ?? "query",
      ...(options.follow !== undefined && { follow: options.follow }),
      ...(options.followPackets !== undefined && { followPackets: options.followPackets }),
      monitored: routed
        ? [
            { zone: "one", address: ROUTER.address4 },
            { zone: "three", address: upstream ? UPSTREAM.south4 : SERVICE3.address4 },
          ]
        : [],
      ...(options.heartbeatMillis !== undefined && { heartbeatMillis: options.heartbeatMillis }),
      ...(options.heartbeatMisses !== undefined && { heartbeatMisses: options.heartbeatMisses }),
    },
    idleMillis: options.idleMillis ?? {},
    ...(options.halfOpenPerDestination !== undefined && { halfOpenPerDestination: options.halfOpenPerDestination }),
  };
  const loaded = parseConfiguration(JSON.stringify(configuration, null, 2), "simulator.json");
  return buildPlan(loaded, options.secondTwin === true ? { ...board, ports: [...board.ports, SECOND_TWIN] } : board, name);
}
