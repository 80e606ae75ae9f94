// Twinwall between the two networks: the whole appliance (manager, packet process, store), alone or as a pair of one site. Everything
// that has a default has it; heartbeats go every 20 ms, and five missed ones are a death.

import { HAS_A_ROLE, stopLab, untilInStep } from "../../lab/lab.ts";
import { ECHO_PORT, HTTP_PORT, indexOf, LAB_ZONES, type LabUnit, siteOf, ZONE_ONE, ZONE_THREE } from "../../lab/picture.ts";
import { createUnits, layConfiguration, type Unit } from "../../lab/unit.ts";
import { buildNetwork, cutPower, PAIR } from "./network.ts";
import type { Device } from "./takeover.ts";

const START_LIMIT_MILLIS = 15_000;
const MEET_LIMIT_MILLIS = 10_000;
const STEP_LIMIT_MILLIS = 60_000;
/** Longer than a round. */
const IDLE_MILLIS = 7_200_000;
/** More than what is measured, so that the paced flow finds room. */
const TABLE_SESSIONS = 524_288;

function configurationFor(units: readonly LabUnit[]): object {
  return {
    system: { name: "bench" },
    sites: ["A"],
    units: units.map((unit) => ({ site: siteOf(unit), index: indexOf(unit) })),
    sessions: TABLE_SESSIONS,
    zones: LAB_ZONES.map(({ name, device, gatewayMac, gateway4, site: { A } }) => ({
      name,
      port: device,
      gateway: { mac: gatewayMac, addresses: [`${gateway4}/24`] },
      sites: { A: { mac: A.mac, addresses: [`${A.address4}/24`] } },
    })),
    policy: [
      { name: "paced", from: ["one"], to: ["three"], service: [`tcp/${ECHO_PORT}`, `udp/${ECHO_PORT}`], action: "permit" },
      { name: "web", from: ["one"], to: ["three"], service: [`tcp/${HTTP_PORT}`], action: "permit" },
    ],
    idleMillis: { udpOneWay: IDLE_MILLIS, udpBothWays: IDLE_MILLIS },
    twin: { enabled: units.length > 1 },
  };
}

export class Twinwall implements Device {
  readonly gatewayMacs = [ZONE_ONE.gatewayMac, ZONE_THREE.gatewayMac] as const;
  private readonly names: readonly LabUnit[];
  private readonly units = createUnits("afxdp");

  /** `names`: one unit, or a pair. */
  constructor(names: readonly LabUnit[] = PAIR) {
    this.names = names;
  }

  async start(): Promise<void> {
    buildNetwork(this.names);
    layConfiguration(configurationFor(this.names));
    for (const name of this.names) this.units[name].start();
    for (const name of this.names) await this.units[name].until("active or standby", HAS_A_ROLE, START_LIMIT_MILLIS);
    if (this.names.length > 1) await untilInStep(this.units, this.names, MEET_LIMIT_MILLIS);
  }

  async untilReplicated(): Promise<void> {
    await untilInStep(this.units, this.names, STEP_LIMIT_MILLIS);
  }

  private get active(): Unit {
    const isActive = (name: LabUnit): boolean => this.units[name].number("SELECT role = 'active' FROM live_header") === 1;
    const name = this.names.find(isActive);
    if (name === undefined) throw new Error("bench: no unit of the pair is active");
    return this.units[name];
  }

  killActive(): void {
    const { active } = this;
    cutPower(active.name);
    active.powerOff();
  }

  /** The packet process alone; its manager starts it again. */
  crash(): void {
    this.active.killDataplane();
  }

  stop(): void {
    stopLab();
  }
}
