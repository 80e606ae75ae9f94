// The devices under test. Each runs on the device's core, at the same priority, and is told the same addresses and rules.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Board } from "../../../board/board.ts";
import { parseConfiguration } from "../../../firmware/manager/config/load.ts";
import { buildPlan } from "../../../firmware/manager/config/plan.ts";
import { DATAPLANE_NODE_FLAGS } from "../../../firmware/node-flags.ts";
import { inNamespace } from "../../lab/topology.ts";
import { DEVICE_CORE } from "../agent.ts";
import { program } from "../programs.ts";
import { IN_MAC, OUT_MAC, PEER_MACS, SERVICE_PORT, type Stand } from "./stand.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const READY_MILLIS = 10_000;
/** Longer than any run, so that no session ends while it is measured. */
const IDLE_MILLIS = 7_200_000;

export type DeviceName = "twinwall" | "kernel" | "reflector" | "gathering" | "pcap";

export interface Device {
  readonly name: DeviceName;
  readonly stand: Stand;
  /** It has a table that sessions must be set up in. */
  readonly hasSessions: boolean;
  /** Its ports carry an XDP program. */
  readonly hasProgram: boolean;
  stop(): void;
}

/** What calls the devices in tables. */
export const DEVICE_TITLES: Readonly<Record<DeviceName, string>> = {
  twinwall: "Twinwall",
  kernel: "nftables + conntrack",
  reflector: "AF_XDP reflector in C",
  gathering: "the same, gathering",
  pcap: "node-pcap forwarder",
};

/** Rule k of those that match nothing: one source network and one service each. */
function otherRule(k: number): { readonly source: string; readonly port: number } {
  return { source: `172.${16 + (k >> 12)}.${(k >> 4) & 0xff}.${(k & 15) << 4}/28`, port: 6_000 + (k % 1_000) };
}

/** Starts a device on its stand and waits until it forwards. `rules`: how many there are; the last one permits. */
export async function startDevice(name: DeviceName, stand: Stand, rules: number): Promise<Device> {
  if (name === "kernel") return startKernel(stand, rules);
  const [process_, hasProgram] = name === "twinwall" ? [startTwinwall(stand, rules), true] : [startForwarder(name, stand), name !== "pcap"];
  stand.process = process_.pid ?? 0;
  await untilReady(name, stand, process_);
  return { name, stand, hasSessions: name === "twinwall", hasProgram, stop: () => void process_.kill("SIGKILL") };
}

/** Starts a process in the namespace of the device, on its core, at its priority. */
export function startOn(stand: Stand, command: readonly string[]): ChildProcess {
  const log = openSync(`/run/${stand.name}.log`, "w");
  const strong = ["-n", "-20", "taskset", "-c", String(DEVICE_CORE), "ip", "netns", "exec", stand.inside];
  return spawn("nice", [...strong, ...command], { cwd: ROOT, stdio: ["ignore", log, log] });
}

/** The packet process as the manager starts it (manager/machine.ts), on a plan made from a configuration; manager and store would use another core. */
function startTwinwall(stand: Stand, rules: number): ChildProcess {
  const zone = (name: string, port: string, third: number, mac: string): object => ({
    name,
    port,
    gateway: { mac, addresses: [`10.${third}.0.1/24`] },
    sites: { A: { mac: mac.replace(/01$/, "02"), addresses: [`10.${third}.0.2/24`] } },
  });
  const others = Array.from({ length: rules - 1 }, (_, k) => {
    const { source, port } = otherRule(k);
    return { name: `rule-${k}`, from: ["one"], to: ["three"], source: [source], destination: ["32.0.0.0/4"], service: [`udp/${port}`], action: "permit" };
  });
  const last = { name: "last", from: ["one"], to: ["three"], source: ["16.0.0.0/4"], destination: ["32.0.0.0/4"], service: [`udp/${SERVICE_PORT}`] };
  const configuration = {
    system: { name: "bench" },
    sites: ["A"],
    units: [{ site: "A", index: 1 }],
    sessions: 1_048_576,
    zones: [zone("one", "port1", 1, IN_MAC), zone("three", "port2", 3, OUT_MAC)],
    routes: [
      { prefix: "16.0.0.0/4", via: "10.1.0.254", zone: "one" },
      { prefix: "32.0.0.0/4", via: "10.3.0.254", zone: "three" },
    ],
    policy: [...others, { ...last, action: "permit" }],
    idleMillis: { udpOneWay: IDLE_MILLIS, udpBothWays: IDLE_MILLIS },
    twin: { enabled: false },
  };
  const board: Board = {
    name: "bench",
    ports: [
      { name: "port1", device: stand.deviceIn, kind: "data" },
      { name: "port2", device: stand.deviceOut, kind: "data" },
    ],
    lamps: { kind: "memory" },
    dataplane: { nice: -20 },
  };
  const directory = `/run/twinwall/${stand.name}`;
  mkdirSync(directory, { recursive: true });
  const plan = join(directory, "plan.json");
  writeFileSync(plan, JSON.stringify(buildPlan(parseConfiguration(JSON.stringify(configuration), "bench"), board, "A1")));
  const unit = ["--plan", plan, "--memory", `twinwall-${stand.name}`, "--incarnation", "1", "--driver", "afxdp"];
  return startOn(stand, [process.execPath, ...DATAPLANE_NODE_FLAGS, "firmware/dataplane.ts", ...unit]);
}

function startForwarder(name: "reflector" | "gathering" | "pcap", stand: Stand): ChildProcess {
  const ends = [stand.deviceIn, stand.deviceOut, OUT_MAC, PEER_MACS.right];
  if (name !== "pcap") return startOn(stand, [program("reflector"), ...ends, ...(name === "gathering" ? ["gather"] : [])]);
  return startOn(stand, [process.execPath, join(import.meta.dirname, "..", "programs", "pcap-forwarder.ts"), ...ends]);
}

/** True when node-pcap can be loaded. */
export function hasPcap(): boolean {
  try {
    createRequire(import.meta.url)("pcap");
    return true;
  } catch {
    return false;
  }
}

async function untilReady(name: DeviceName, stand: Stand, child: ChildProcess): Promise<void> {
  const until = performance.now() + READY_MILLIS;
  const said = (): string => readFileSync(`/run/${stand.name}.log`, "utf8");
  const forwards = (): boolean => {
    if (name !== "twinwall") return said().includes("ready");
    return stand.send({ order: "each", sessions: 8, bytes: 64, rate: 100 }).arrived >= 7;
  };
  while (!forwards()) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`bench: ${name} does not forward: ${said().trim()}`);
    await pause(20);
  }
}

function startKernel(stand: Stand, rules: number): Device {
  const others = Array.from({ length: rules - 1 }, (_, k) => {
    const { source, port } = otherRule(k);
    return `ip saddr ${source} ip daddr 32.0.0.0/4 udp dport ${port} accept`;
  });
  forwardInKernel(stand, [...others, `ip saddr 16.0.0.0/4 ip daddr 32.0.0.0/4 udp dport ${SERVICE_PORT} accept`]);
  return { name: "kernel", stand, hasSessions: true, hasProgram: false, stop: () => {} };
}

/** Routing, and one forward chain as an administrator writes it: what is established passes first, then `rules` in order. */
export function forwardInKernel({ name, inside, deviceIn, deviceOut }: Stand, rules: readonly string[]): void {
  const ruleset = `table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ${rules.join("\n    ")}
  }
}`;
  const file = `/run/${name}.nft`;
  writeFileSync(file, ruleset);
  inNamespace(
    inside,
    `ip address add 10.1.0.1/24 dev ${deviceIn}
ip address add 10.3.0.1/24 dev ${deviceOut}
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${deviceIn}.rp_filter=0 net.ipv4.conf.${deviceOut}.rp_filter=0
sysctl -qw net.ipv4.conf.all.send_redirects=0
ip neighbour replace 10.1.0.254 lladdr ${PEER_MACS.left} dev ${deviceIn} nud permanent
ip neighbour replace 10.3.0.254 lladdr ${PEER_MACS.right} dev ${deviceOut} nud permanent
ip route add 16.0.0.0/4 via 10.1.0.254
ip route add 32.0.0.0/4 via 10.3.0.254
nft -f ${file}
sysctl -qw net.netfilter.nf_conntrack_udp_timeout=${IDLE_MILLIS / 1_000} net.netfilter.nf_conntrack_udp_timeout_stream=${IDLE_MILLIS / 1_000}`,
  );
}
