// Where devices are killed: one or two of them between two networks, a paced flow through them, and a crowd of sessions beside it.
//
//    left (paced flow) ──┐            ┌── A1 ──┐             ┌── right (paced flow)
//                        one ═════════╡   ║    ╞═════════ three
//    crowd (clients) ────┘            └── A2 ──┘             └── crowd (servers)
//
// `one`, `three` and the cable between the two devices are bridges in namespace `switches`, as in the lab, so that a device can lose its
// power: its links go down at the bridges, and the other one's stay up.

import { type LabUnit, PORT_ONE, PORT_THREE, PORT_TWIN } from "../../lab/picture.ts";
import { startTool } from "../../lab/stacks/tools.ts";
import { addNamespace, bridge, buildUnits, cable, HOST_SETTINGS, inNamespace, SWITCHES, setUnitLinks } from "../../lab/topology.ts";

export const PAIR = ["A1", "A2"] as const satisfies readonly LabUnit[];
export const LEFT = { name: "left", address: "10.1.0.10", gateway: "10.1.0.1" } as const;
export const RIGHT = { name: "right", address: "10.3.0.10", gateway: "10.3.0.1" } as const;
const CROWD = "crowd";
const MTU_BYTES = 1_500;

/** Builds it for these units; lab.ts's stopLab removes it. */
export function buildNetwork(units: readonly LabUnit[]): void {
  for (const name of [SWITCHES, ...units, LEFT.name, RIGHT.name, CROWD]) addNamespace(name);
  const cables = units.map(
    (unit) =>
      cable("one", `${unit}-one`, unit, PORT_ONE, MTU_BYTES) +
      cable("three", `${unit}-three`, unit, PORT_THREE, MTU_BYTES) +
      cable("twin", `${unit}-twin`, unit, PORT_TWIN, MTU_BYTES),
  );
  const hosts = [
    cable("one", LEFT.name, LEFT.name, "eth0", MTU_BYTES),
    cable("three", RIGHT.name, RIGHT.name, "eth0", MTU_BYTES),
    cable("one", "crowd-one", CROWD, "eth0", MTU_BYTES),
    cable("three", "crowd-three", CROWD, "eth1", MTU_BYTES),
  ];
  const noIpv6 = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
  inNamespace(SWITCHES, [noIpv6, bridge("one"), bridge("three"), bridge("twin"), ...cables, ...hosts].join("\n"));
  buildUnits(units);
  for (const { name, address, gateway } of [LEFT, RIGHT])
    inNamespace(name, `${HOST_SETTINGS}\nip link set eth0 up\nip address add ${address}/24 dev eth0\nip route add default via ${gateway}`);
  inNamespace(CROWD, `${noIpv6}\nip link set eth0 up; ip link set eth1 up`);
}

/** What its neighbours see of a unit that loses its power. */
export function cutPower(unit: LabUnit): void {
  setUnitLinks(unit, false);
}

export interface Crowd {
  /** Sessions that have come up. */
  open(): Promise<number>;
  /** Sessions whose server reaches its client; no session is made by that. */
  reply(): Promise<number>;
  stop(): void;
}

/** Both ends of so many sessions, half UDP, half TCP. `macs`: of the gateways at first; announcements are followed. */
export async function startCrowd(sessions: number, macs: readonly [string, string]): Promise<Crowd> {
  const tool = startTool(CROWD, "crowd.ts", [sessions, "eth0", macs[0], "eth1", macs[1]]);
  await tool.next();
  return {
    open: async () => {
      tool.tell("open");
      return (await tool.next<{ opened: number }>()).opened;
    },
    reply: async () => {
      tool.tell("replies");
      return (await tool.next<{ arrived: number }>()).arrived;
    },
    stop: tool.stop,
  };
}
