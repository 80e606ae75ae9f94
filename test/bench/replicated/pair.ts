// Two devices of one kind, one of which replicates its sessions to the other over a cable of their own. Only the first one gets packets.
//
//    opener ── left ══════ first device ══════ right ── opener      namespaces NAMEa-out, NAMEa-dut (forwarding/stand.ts)
//                               ║ sync
//                          second device                            namespaces NAMEb-dut, NAMEb-out (its data cables are plugged in)
//
// Twinwall: two packet processes as the manager starts them, one per site, both active. conntrackd: the kernel's forwarding with
// nftables and conntrack at the first, and the daemon at both, as its documentation configures FT-FW mode.

import { type ChildProcess, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type Database from "better-sqlite3";
import type { Board } from "../../../board/board.ts";
import { parseConfiguration } from "../../../firmware/manager/config/load.ts";
import { buildPlan } from "../../../firmware/manager/config/plan.ts";
import { MEMORY_DIRECTORY } from "../../../firmware/manager/places.ts";
import { DATAPLANE_NODE_FLAGS } from "../../../firmware/node-flags.ts";
import { formatPairKeys, PAIR_SECRET_BYTES } from "../../../firmware/pair-keys.ts";
import { openLive } from "../../../firmware/store/live/open.ts";
import { inNamespace, OFFLOADS } from "../../lab/topology.ts";
import { forwardInKernel, startOn } from "../forwarding/devices.ts";
import { IN_MAC, OUT_MAC, SERVICE_PORT, Stand } from "../forwarding/stand.ts";

export type PairName = "twinwall" | "conntrackd";

export const PAIR_TITLES: Readonly<Record<PairName, string>> = { twinwall: "Twinwall", conntrackd: "nftables + conntrackd" };

const READY_MILLIS = 20_000;
/** Rows that are over stay as long as conntrack keeps them, so that nothing ends while it is measured; and no session is idle for so long. */
const TIME_WAIT_MILLIS = 120_000;
const IDLE_MILLIS = 7_200_000;
const SYNC = "sync";
const SYNC_ADDRESSES = ["192.168.100.100", "192.168.100.200"] as const;
const UNITS = ["A1", "B1"] as const;
const SECRET = "5a".repeat(PAIR_SECRET_BYTES);

export abstract class Pair {
  abstract readonly name: PairName;
  abstract readonly hasProgram: boolean;
  readonly first: Stand;
  readonly second: Stand;
  protected readonly children: ChildProcess[] = [];

  constructor(mark: string) {
    this.first = new Stand(`pair${mark}a`, `${mark}a`);
    this.second = new Stand(`pair${mark}b`, `${mark}b`);
  }

  /** Builds the namespaces, starts both devices, and waits until they are in step. */
  async start(): Promise<void> {
    for (const stand of [this.first, this.second]) {
      stand.build();
      for (const device of ["left", "right"]) inNamespace(stand.outside, `nft add rule netdev sink ${device} ip protocol tcp drop`);
      // A socket of the kernel's can open sessions, too (programs/row-probe.ts).
      inNamespace(stand.outside, "ip address add 16.0.0.1/32 dev left; ip route add 32.0.0.0/4 via 10.1.0.1 src 16.0.0.1");
    }
    const { inside } = this.second;
    inNamespace(
      this.first.inside,
      `ip link add ${SYNC} type veth peer name ${SYNC} netns ${inside}
ethtool -K ${SYNC} ${OFFLOADS} >/dev/null; ip link set ${SYNC} up
ip netns exec ${inside} ethtool -K ${SYNC} ${OFFLOADS} >/dev/null; ip -n ${inside} link set ${SYNC} up`,
    );
    await this.startDevices();
  }

  protected abstract startDevices(): Promise<void>;

  get processes(): readonly number[] {
    return this.children.map((child) => child.pid as number);
  }

  /** Rows that the second device has of the first. */
  abstract rowsThere(): number;
  /** Where row-probe.ts finds the same: its arguments. */
  abstract get rowsFrom(): readonly string[];

  /** Bytes that both have put on their cable, Ethernet headers included. */
  syncBytes(): number {
    const sent = (stand: Stand): number => Number(inNamespace(stand.inside, `cat /sys/class/net/${SYNC}/statistics/tx_bytes`));
    return sent(this.first) + sent(this.second);
  }

  /** CPU time of its processes and their threads, in nanoseconds. */
  processNanos(): number {
    return this.processes.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]), 0);
  }

  stop(): void {
    for (const child of this.children) child.kill("SIGKILL");
    for (const stand of [this.first, this.second]) stand.remove();
  }
}

/** Starts a pair of one kind. `mark`: a few characters that no other pair of this run has. */
export async function startPair(name: PairName, mark: string): Promise<Pair> {
  const pair = name === "twinwall" ? new TwinwallPair(mark) : new ConntrackdPair(mark);
  await pair.start();
  return pair;
}

/** The same, of ours. */
export async function startTwinwallPair(mark: string): Promise<TwinwallPair> {
  const pair = new TwinwallPair(mark);
  await pair.start();
  return pair;
}

export class TwinwallPair extends Pair {
  readonly name = "twinwall";
  readonly hasProgram = true;
  private readonly live: Database.Database[] = [];

  protected async startDevices(): Promise<void> {
    for (const [k, unit] of UNITS.entries()) this.startUnit(k === 0 ? this.first : this.second, unit);
    await this.untilInStep();
    // Both sides' routers are known, and what they ask for is answered.
    const greet = (): number => this.first.send({ order: "each", first: 0xffffff, sessions: 8, bytes: 64, rate: 100 }).arrived;
    for (let tries = 0; greet() < 7; tries++) if (tries === 20) throw new Error(`bench: ${this.first.name} does not forward`);
  }

  private startUnit(stand: Stand, unit: (typeof UNITS)[number]): void {
    const board: Board = {
      name: "bench",
      ports: [
        { name: "port1", device: stand.deviceIn, kind: "data" },
        { name: "port2", device: stand.deviceOut, kind: "data" },
        { name: "twin", device: SYNC, kind: "twin" },
      ],
      lamps: { kind: "memory" },
      dataplane: { nice: -20 },
    };
    const directory = `/run/twinwall/${stand.name}`;
    mkdirSync(directory, { recursive: true });
    const plan = join(directory, "plan.json");
    const pairKeys = join(directory, "pair-keys.json");
    const given = buildPlan(parseConfiguration(JSON.stringify(this.configuration()), "bench"), board, unit);
    // As if they had been paired: managers, which would agree on a secret, do not run here.
    const secrets = [{ generation: 1, secret: SECRET }];
    writeFileSync(pairKeys, formatPairKeys(given.twin.peers.map((peer) => ({ unit: peer.unit, identity: "bench", secrets }))));
    writeFileSync(plan, JSON.stringify(given));
    const start = ["--plan", plan, "--memory", `twinwall-${stand.name}`, "--incarnation", "1", "--driver", "afxdp", "--pair-keys", pairKeys];
    const child = startOn(stand, [process.execPath, ...DATAPLANE_NODE_FLAGS, "firmware/dataplane.ts", ...start]);
    stand.process = child.pid ?? 0;
    this.children.push(child);
  }

  private configuration(): object {
    const site = (mac: string, third: number, last: number): object => ({ mac: mac.replace(/01$/, `0${last}`), addresses: [`10.${third}.0.${last}/24`] });
    const zone = (name: string, port: string, third: number, mac: string): object => ({
      name,
      port,
      gateway: { mac, addresses: [`10.${third}.0.1/24`] },
      sites: { A: site(mac, third, 2), B: site(mac, third, 3) },
    });
    return {
      system: { name: "bench" },
      sites: ["A", "B"],
      units: [
        { site: "A", index: 1 },
        { site: "B", index: 1 },
      ],
      sessions: 1_048_576,
      zones: [zone("one", "port1", 1, IN_MAC), zone("three", "port2", 3, OUT_MAC)],
      routes: [
        { prefix: "16.0.0.0/4", via: "10.1.0.254", zone: "one" },
        { prefix: "32.0.0.0/4", via: "10.3.0.254", zone: "three" },
      ],
      policy: [
        { name: "all", from: ["one"], to: ["three"], source: ["16.0.0.0/4"], destination: ["32.0.0.0/4"], service: services("/"), action: "permit" },
        { name: "probe", from: ["one"], to: ["three"], source: ["10.1.0.0/24"], destination: ["10.3.0.0/24"], service: services("/"), action: "permit" },
      ],
      idleMillis: { udpOneWay: IDLE_MILLIS, udpBothWays: IDLE_MILLIS, tcpTimeWait: TIME_WAIT_MILLIS },
      // conntrackd's node never asks the other one about a first packet.
      twin: { enabled: true, firstPacket: "none", follow: "never" },
    };
  }

  private async untilInStep(): Promise<void> {
    const inStep = "SELECT state = 'alive' AND associated = 1 AND lag_rows = 0 AND sweeping = 0 AND digests_equal = 1 FROM members WHERE unit = ?";
    const alone = "SELECT started_at > 0 AND role = 'active' FROM live_header";
    const until = performance.now() + READY_MILLIS;
    for (const [k, stand] of [this.first, this.second].entries()) {
      for (;;) {
        try {
          this.live[k] ??= openLive(memoryOf(stand), { units: [], zones: [], ports: [], rules: [] });
          const peer = UNITS[1 - k];
          if (this.number(k, alone) === 1 && this.number(k, inStep, peer) === 1) break;
        } catch (error) {
          if (performance.now() > until) throw error;
        }
        if (performance.now() > until) throw new Error(`bench: ${stand.name} is not in step: ${readFileSync(`/run/${stand.name}.log`, "utf8").trim()}`);
        await pause(20);
      }
    }
  }

  /** Packets that the second device has handed to the first. */
  handedOff(): number {
    return this.number(1, "SELECT value FROM counters WHERE name = 'handed-off'");
  }

  /** One number of a unit's tables: 0 the first, 1 the second. */
  private number(unit: number, sql: string, ...values: readonly unknown[]): number {
    return Number(
      (this.live[unit] as Database.Database)
        .prepare(sql)
        .pluck()
        .get(...values),
    );
  }

  rowsThere(): number {
    return this.number(1, "SELECT sessions_live - sessions_owned FROM live_header");
  }

  get rowsFrom(): readonly string[] {
    return ["memory", memoryOf(this.second)];
  }

  override stop(): void {
    for (const live of this.live) live.close();
    super.stop();
  }
}

const memoryOf = (stand: Stand): string => join(MEMORY_DIRECTORY, `twinwall-${stand.name}`);

const services = (slash: string): readonly string[] => ["tcp", "udp"].map((protocol) => `${protocol}${slash}${SERVICE_PORT}`);

class ConntrackdPair extends Pair {
  readonly name = "conntrackd";
  readonly hasProgram = false;

  protected async startDevices(): Promise<void> {
    forwardInKernel(this.first, [`ip saddr 16.0.0.0/4 ip daddr 32.0.0.0/4 meta l4proto { tcp, udp } th dport ${SERVICE_PORT} accept`]);
    inNamespace(this.first.inside, `sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=${TIME_WAIT_MILLIS / 1_000}`);
    for (const [k, stand] of [this.first, this.second].entries()) {
      const address = SYNC_ADDRESSES[k] as string;
      inNamespace(stand.inside, `ip address add ${address}/24 dev ${SYNC}; ip link set lo up`);
      writeFileSync(configurationOf(stand), conntrackdConfiguration(stand.name, address));
      this.children.push(startOn(stand, ["conntrackd", "-C", configurationOf(stand)]));
    }
    const until = performance.now() + READY_MILLIS;
    for (const stand of [this.first, this.second]) {
      while (ask(stand, "-s").status !== 0) {
        if (performance.now() > until)
          throw new Error(`bench: ${stand.name}: conntrackd does not answer: ${readFileSync(`/run/${stand.name}.log`, "utf8").trim()}`);
        await pause(20);
      }
    }
    const greet = (): number => this.first.send({ order: "each", first: 0xffffff, sessions: 8, bytes: 64, rate: 100 }).arrived;
    for (let tries = 0; greet() < 7; tries++) if (tries === 20) throw new Error(`bench: ${this.first.name} does not forward`);
  }

  rowsThere(): number {
    return Number(/cache external:\s+current active connections:\s+(\d+)/.exec(ask(this.second, "-s").stdout)?.[1]);
  }

  get rowsFrom(): readonly string[] {
    return ["socket", `/run/${this.second.name}.ctl`];
  }
}

const configurationOf = (stand: Stand): string => `/run/${stand.name}.conf`;

function ask(stand: Stand, option: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync("conntrackd", ["-C", configurationOf(stand), option], { encoding: "utf8", maxBuffer: 1 << 30 });
}

/** Its example for FT-FW, with UDP in the filter, which runs in the kernel as that example recommends, and caches as large as the tables. */
function conntrackdConfiguration(name: string, address: string): string {
  return `Sync {
  Mode FTFW { }
  Multicast {
    IPv4_address 225.0.0.50
    Group 3780
    IPv4_interface ${address}
    Interface ${SYNC}
    SndSocketBuffer 1249280
    RcvSocketBuffer 1249280
    Checksum on
  }
}
General {
  HashSize 1048576
  HashLimit 4194304
  LogFile off
  Syslog off
  LockFile /run/${name}.lock
  UNIX { Path /run/${name}.ctl }
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Kernelspace {
    Protocol Accept { TCP SCTP DCCP UDP }
    Address Ignore { IPv4_address 127.0.0.1 IPv4_address ${SYNC_ADDRESSES[0]} IPv4_address ${SYNC_ADDRESSES[1]} }
  }
}
`;
}
