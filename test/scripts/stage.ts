// Where scripted packets play: one unit, or a unit at each of two sites, on ports made of arrays.
//
//   zone one ── port 0 ─┤ A1 ├─ port 1 ── zone three      hosts one, one2        hosts three, three2, router
//        ║                │ twin               ║
//   zone one ── port 0 ─┤ B1 ├─ port 1 ── zone three      routed: both sites share the LANs, so what either unit
//                                                           sends into a zone has arrived there
//
// The fabric carries the twin's frames between the units and gives everything else that leaves a port to the script. Time
// moves only when the script says so, or by the tenth of a millisecond that each breath takes.

import { EventReader } from "../../firmware/fastpath/events.ts";
import { COUNTER_NAMES, mapTables, planRegions, STATE_NAMES, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { ROW_WORDS, S_OWNER, S_STATE } from "../../firmware/fastpath/sessions.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { TYPE_RARP } from "../../firmware/fastpath/wire/ethernet.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { NonceLedger, SimSealer } from "../../firmware/hal/sim/sealer.ts";
import { FRAME_BYTES } from "../../firmware/limits.ts";
import type { Plan, PlannedPort, PlannedRule, PlannedZone } from "../../firmware/plan.ts";
import { Dataplane } from "../../firmware/unit.ts";
import { mac, plan, prefix, zones } from "../fastpath/craft.ts";
import { ArrayPort, advertisement, arp, arpRequest, solicitation } from "../fastpath/rig.ts";
import { pairKeysFor } from "../pair-keys.ts";
import { addressAt, ETHERTYPE_ARP, ETHERTYPE_IPV6, ETHERTYPE_TWIN, macText, address as textAddress, u16 } from "../sim/packets.ts";

export type Site = "A" | "B";
export type ZoneName = "one" | "three";

export interface StageOptions {
  readonly mode: "routed" | "transparent";
  /** Two units, at A and B; else A1 alone. */
  readonly twin: boolean;
  readonly rules: readonly PlannedRule[];
  /** True: the units have just been switched on, and know neither each other nor any host. `boot` lets them get there. */
  readonly isBooting?: boolean;
  /** Changes a unit's plan before it starts. */
  readonly adjust?: (plan: Plan) => Plan;
}

export interface StageHost {
  readonly zone: ZoneName;
  readonly v4: string;
  readonly v6: string;
  readonly mac: string;
}

export const HOSTS: Readonly<Record<string, StageHost>> = {
  one: { zone: "one", v4: "10.1.0.11", v6: "2001:db8:1::11", mac: "02:00:00:00:00:11" },
  one2: { zone: "one", v4: "10.1.0.12", v6: "2001:db8:1::12", mac: "02:00:00:00:00:12" },
  three: { zone: "three", v4: "10.3.0.33", v6: "2001:db8:3::33", mac: "02:00:00:00:00:33" },
  three2: { zone: "three", v4: "10.3.0.34", v6: "2001:db8:3::34", mac: "02:00:00:00:00:34" },
  /** Somebody on the way who reports errors. */
  router: { zone: "three", v4: "10.3.0.77", v6: "2001:db8:3::77", mac: "02:00:00:00:00:77" },
};

export const ZONE_PORT: Readonly<Record<ZoneName, number>> = { one: 0, three: 1 };
const ZONE_VLAN: Readonly<Record<ZoneName, number>> = { one: 0, three: 30 };
const GATEWAYS = {
  one: { mac: "02:54:57:00:00:01", v4: "10.1.0.254", v6: "2001:db8:1::254" },
  three: { mac: "02:54:57:00:00:03", v4: "10.3.0.254", v6: "2001:db8:3::254" },
};
const TWIN_PORT = 2;
const UNIT_OF = { A: { number: 1, name: "A1" }, B: { number: 3, name: "B1" } } as const;
const FRAMES = 1_024;
/** Counters by row: drop reasons come first. */
const COUNTERS: readonly string[] = [...DROP_NAMES, ...COUNTER_NAMES];
const BREATH_MICROS = 100;
/** Breaths until everything that a packet sets off between two units is over. */
const BREATHS_ALONE = 2;
const BREATHS_TWIN = 16;
const ASSOCIATION_MILLIS = 1_000;

interface Unit {
  readonly site: Site;
  readonly ports: readonly ArrayPort[];
  readonly packets: FrameMemory;
  readonly tables: Tables;
  readonly plan: Plan;
  readonly dataplane: Dataplane;
  readonly events: EventReader;
}

export class Stage {
  readonly mode: "routed" | "transparent";
  readonly units: readonly Unit[];
  nowMicros = 5_000_000;
  private readonly out: Record<ZoneName, Uint8Array[]> = { one: [], three: [] };

  constructor(options: StageOptions) {
    this.mode = options.mode;
    const ledger = new NonceLedger();
    const sites: readonly Site[] = options.twin ? ["A", "B"] : ["A"];
    this.units = sites.map((site) => this.start(site, options, ledger));
    if (options.isBooting !== true) this.boot();
  }

  /** Lets the units find each other and get to know the hosts. */
  boot(): void {
    if (this.units.length > 1) this.pass(ASSOCIATION_MILLIS);
    if (this.mode === "routed") this.meetHosts();
    this.taken("one");
    this.taken("three");
    for (const { events } of this.units) while (events.next());
  }

  private start(site: Site, options: StageOptions, ledger: NonceLedger): Unit {
    const base = planOf(site, options);
    const adjusted = options.adjust?.(base) ?? base;
    const packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
    const ports = adjusted.ports.map((port) => new ArrayPort(port.device, packets));
    const buffer = new ArrayBuffer(planRegions(adjusted.sessions).totalBytes);
    const tables = mapTables(buffer, adjusted.sessions);
    let drawn = adjusted.unit;
    const entropy = {
      fill: (bytes: Uint8Array) => {
        for (let k = 0; k < bytes.length; k++) {
          drawn = (Math.imul(drawn, 1_103_515_245) + 12_345) | 0;
          bytes[k] = drawn >>> 16;
        }
      },
    };
    const clock = { nowMicros: () => this.nowMicros };
    const memory = { buffer, adopted: false, close: () => {} };
    const pairKeys = () => pairKeysFor(adjusted.twin.peers);
    const dataplane = new Dataplane({ clock, entropy, packets, memory, ports, sealer: new SimSealer(packets.bytes, ledger), pairKeys }, adjusted, 1);
    return { site, ports, packets, tables, plan: adjusted, dataplane, events: new EventReader(tables) };
  }

  /** All hosts make themselves known to all units, as hosts do: they ask for the gateway. */
  private meetHosts(): void {
    for (const { site } of this.units) {
      for (const host of Object.values(HOSTS)) {
        const gateway = GATEWAYS[host.zone];
        this.enter(site, host.zone, arpRequest(host.mac, host.v4, gateway.v4, ZONE_VLAN[host.zone]));
        this.enter(site, host.zone, solicitation(host.mac, host.v6, gateway.v6, ZONE_VLAN[host.zone]));
      }
    }
    this.settle();
  }

  /** MAC that a host of `from` sends to when it talks to `to`. */
  nextMac(from: StageHost, to: StageHost): string {
    return this.mode === "transparent" ? to.mac : GATEWAYS[from.zone].mac;
  }

  /** 802.1Q id of a zone; 0 = untagged. */
  vlan(zone: ZoneName): number {
    return this.mode === "transparent" ? 0 : ZONE_VLAN[zone];
  }

  /** Puts a frame in at a site's port of a zone, and lets everything happen that follows from it. */
  put(site: Site, zone: ZoneName, frame: Uint8Array): void {
    this.enter(site, zone, frame);
    this.settle();
  }

  private enter(site: Site, zone: ZoneName, frame: Uint8Array): void {
    const unit = this.units.find((candidate) => candidate.site === site) ?? (this.units[0] as Unit);
    (unit.ports[ZONE_PORT[zone]] as ArrayPort).waiting.push(frame);
  }

  settle(): void {
    for (let k = this.units.length === 1 ? BREATHS_ALONE : BREATHS_TWIN; k > 0; k--) this.breathe(BREATH_MICROS);
  }

  /** Lets time pass. */
  pass(millis: number): void {
    const step = millis > 60_000 ? Math.ceil(millis / 1_000) : Math.min(5, millis);
    // Twins that do not breathe for longer than their detection time would take each other for dead.
    const stepMillis = this.units.length === 1 ? step : Math.min(step, 20);
    for (let passed = 0; passed < millis; passed += stepMillis) this.breathe(Math.min(stepMillis, millis - passed) * 1_000);
  }

  private breathe(micros: number): void {
    this.nowMicros += micros;
    for (const unit of this.units) unit.dataplane.breathe();
    for (const unit of this.units) this.carry(unit);
  }

  /** What left a unit's ports: twin frames to the other unit, the rest into the zone. */
  private carry(unit: Unit): void {
    for (const [number, port] of unit.ports.entries()) {
      for (const frame of port.sent.splice(0)) {
        if (number === TWIN_PORT || typeOf(frame) === ETHERTYPE_TWIN) {
          for (const other of this.units) if (other !== unit) (other.ports[number] as ArrayPort).waiting.push(frame);
        } else if (this.mode === "routed" && isNeighbourhood(frame)) {
          const answer = answerOf(frame);
          if (answer !== null) (unit.ports[number] as ArrayPort).waiting.push(answer);
        } else if (typeOf(untagged(frame)) === TYPE_RARP) {
          // A wire that tells bridges where its stations are.
        } else this.out[number === ZONE_PORT.one ? "one" : "three"].push(frame);
      }
    }
  }

  /** What came out in a zone since the last call, untagged; in routed mode without ARP and neighbour discovery. */
  taken(zone: ZoneName): Uint8Array[] {
    return this.framesTaken(zone).map(untagged);
  }

  /** The same, with their tags. */
  framesTaken(zone: ZoneName): Uint8Array[] {
    return this.out[zone].splice(0);
  }

  /** A counter or drop reason, over all units. */
  counter(name: string): number {
    const row = COUNTERS.indexOf(name);
    if (row < 0) throw new Error(`there is no counter ${name}`);
    return this.units.reduce((sum, { tables }) => sum + (tables.counters.f[row] as number), 0);
  }

  /** States of all sessions, each at its owner. */
  states(): string[] {
    return this.units.flatMap(({ tables, dataplane, plan: { sessions } }) =>
      Array.from({ length: sessions }, (_, row) => row * ROW_WORDS)
        .filter((row) => tables.sessions.i[row + S_OWNER] === dataplane.sessions.me)
        .map((row) => STATE_NAMES[(tables.sessions.i[row + S_STATE] as number) & 0xff] as string)
        .filter((state) => state !== "free" && state !== "tombstone"),
    );
  }

  /** Frames that nobody has; 0 unless some are lost, or wait. */
  get framesAway(): number {
    return this.units.reduce((sum, { packets, ports }) => sum + packets.frameCount - packets.freeCount - ports.reduce((held, port) => held + port.held, 0), 0);
  }
}

function untagged(frame: Uint8Array): Uint8Array {
  return u16(frame, 12) === 0x8100 ? Uint8Array.from([...frame.subarray(0, 12), ...frame.subarray(16)]) : frame;
}

function typeOf(frame: Uint8Array): number {
  const type = u16(frame, 12);
  return type === 0x8100 ? u16(frame, 16) : type;
}

/** ARP and neighbour discovery of a unit. */
function isNeighbourhood(tagged: Uint8Array): boolean {
  const frame = untagged(tagged);
  const type = u16(frame, 12);
  const message = frame[54] as number;
  return type === ETHERTYPE_ARP || (type === ETHERTYPE_IPV6 && frame[20] === 58 && message >= 133 && message <= 137);
}

/** What a host says when it is asked for its MAC; null when nobody is asked. */
function answerOf(tagged: Uint8Array): Uint8Array | null {
  const vlan = u16(tagged, 12) === 0x8100 ? u16(tagged, 14) & 0xfff : 0;
  const frame = untagged(tagged);
  const asker = macText(frame, 6);
  const isArp = u16(frame, 12) === ETHERTYPE_ARP;
  if (isArp ? u16(frame, 20) !== 1 : frame[54] !== 135) return null;
  const target = addressAt(frame, isArp ? 38 : 62, isArp);
  const host = Object.values(HOSTS).find(({ v4, v6 }) => textAddress(isArp ? v4 : v6) === target);
  if (host === undefined) return null;
  if (isArp) return arp(asker, 2, host.mac, host.v4, asker, addressAt(frame, 28, true).text, vlan);
  return advertisement(asker, host.mac, host.v6, addressAt(frame, 22, false).text, vlan);
}

function planOf(site: Site, { mode, twin, rules }: StageOptions): Plan {
  const base = plan({ rules });
  const { number, name } = UNIT_OF[site];
  const other = UNIT_OF[site === "A" ? "B" : "A"];
  const data = (port: number): PlannedPort => ({
    number: port,
    device: `port${port}`,
    kind: "data",
    mtuBytes: 1_500,
    pairedPort: mode === "transparent" ? 1 - port : -1,
  });
  const twinPort: PlannedPort = { number: TWIN_PORT, device: "twin", kind: "twin", mtuBytes: 1_500, pairedPort: -1 };
  const peers = [{ unit: other.number, name: other.name, site: other.name.slice(0, 1) }];
  return {
    ...base,
    unit: number,
    name,
    site,
    mode,
    ports: [data(0), data(1), ...(twin ? [twinPort] : [])],
    zones: mode === "transparent" ? [wireEnd("one", 1, 0), wireEnd("three", 3, 1)] : zones().map((zone) => (site === "A" ? zone : atB(zone))),
    twin: twin ? { ...base.twin, enabled: true, peers } : base.twin,
  };
}

/** Site B's own addresses of a zone; the gateway's are the same at both. */
function atB(zone: PlannedZone): PlannedZone {
  const net = zone.zone;
  const addresses = [prefix(`10.${net}.0.252/24`), prefix(`2001:db8:${net}::252/64`), prefix(`fe80::b${net}/64`)];
  return { ...zone, siteMac: mac(`02:54:57:0b:00:0${net}`), siteAddresses: addresses };
}

function wireEnd(name: ZoneName, zone: number, port: number): PlannedZone {
  const none = { gatewayMac: mac("00:00:00:00:00:00"), gatewayAddresses: [], siteMac: mac("00:00:00:00:00:00"), siteAddresses: [] };
  return { zone, name, port, vlan: 0, ...none };
}
