// Which zone a packet comes from or goes to: the plan's zones by port and VLAN, and the addresses that frames are taken
// at. A "zone entry" (an index into the plan's zones) is one zone on one port and VLAN.

import { PORTS } from "../limits.ts";
import type { Plan } from "../plan.ts";

const VLANS = 4_096;

export class Zones {
  readonly count: number;
  /** By entry. */
  readonly zone: Int32Array;
  readonly port: Int32Array;
  readonly vlan: Int32Array;
  readonly mtuBytes: Int32Array;
  /** Own MACs by entry: first four bytes and last two, as they lie in a packet (little-endian reads). */
  readonly gatewayMac: Int32Array;
  readonly gatewayMacRest: Int32Array;
  readonly siteMac: Int32Array;
  readonly siteMacRest: Int32Array;
  /** Port and VLAN → entry, -1 = none. */
  private readonly entries = new Int16Array(PORTS * VLANS).fill(-1);
  /** Transparent mode: the other end of each port's wire, -1 = none. */
  readonly pairedPort = new Int32Array(PORTS).fill(-1);

  constructor(plan: Plan) {
    this.count = plan.zones.length;
    const words = (pick: (index: number) => number) => Int32Array.from({ length: this.count }, (_, index) => pick(index));
    const planned = (index: number) => plan.zones[index] as Plan["zones"][number];
    this.zone = words((index) => planned(index).zone);
    this.port = words((index) => planned(index).port);
    this.vlan = words((index) => planned(index).vlan);
    this.mtuBytes = words((index) => plan.ports.find((port) => port.number === planned(index).port)?.mtuBytes ?? 0);
    this.gatewayMac = words((index) => macWord(planned(index).gatewayMac));
    this.gatewayMacRest = words((index) => macRest(planned(index).gatewayMac));
    this.siteMac = words((index) => macWord(planned(index).siteMac));
    this.siteMacRest = words((index) => macRest(planned(index).siteMac));
    for (let index = 0; index < this.count; index++) this.entries[(this.port[index] as number) * VLANS + (this.vlan[index] as number)] = index;
    for (const port of plan.ports) this.pairedPort[port.number] = port.pairedPort;
  }

  /** What it worked out of the plan, but for the way back from port and VLAN. */
  get words(): readonly Int32Array[] {
    const { zone, port, vlan, mtuBytes, gatewayMac, gatewayMacRest, siteMac, siteMacRest, pairedPort } = this;
    return [zone, port, vlan, mtuBytes, gatewayMac, gatewayMacRest, siteMac, siteMacRest, pairedPort];
  }

  /** Entry of a port and VLAN (0 = untagged), or -1. */
  at(port: number, vlan: number): number {
    return this.entries[port * VLANS + vlan] as number;
  }

  /** Zone of a port and VLAN, or 0. */
  zoneAt(port: number, vlan: number): number {
    const entry = this.at(port, vlan);
    return entry < 0 ? 0 : (this.zone[entry] as number);
  }

  /** Any entry of this unit that belongs to `zone`, or -1. */
  ofZone(zone: number): number {
    for (let entry = 0; entry < this.count; entry++) if (this.zone[entry] === zone) return entry;
    return -1;
  }

  /** Whether a frame to this unicast destination is for this unit (its gateway or its site MAC on that entry). */
  takes(entry: number, mac: number, rest: number): boolean {
    return (mac === this.siteMac[entry] && rest === this.siteMacRest[entry]) || (mac === this.gatewayMac[entry] && rest === this.gatewayMacRest[entry]);
  }
}

function macWord(mac: readonly number[]): number {
  return (mac[0] ?? 0) | ((mac[1] ?? 0) << 8) | ((mac[2] ?? 0) << 16) | ((mac[3] ?? 0) << 24) | 0;
}

function macRest(mac: readonly number[]): number {
  return (mac[4] ?? 0) | ((mac[5] ?? 0) << 8);
}
