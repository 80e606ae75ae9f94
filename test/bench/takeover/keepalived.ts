// The kernel's forwarding with nftables and conntrack at two nodes, whose sessions conntrackd replicates (FT-FW mode) and whose addresses
// keepalived moves (VRRP), as conntrack-tools documents it: its example of a configuration, its script primary-backup.sh at each change.
//
//   keepalived ── notify ──► primary-backup.sh ──► conntrackd: commit the external cache, flush, resync, send everything
//
// Beyond the example: UDP is replicated too, caches have room for all sessions, and the filter runs in the kernel, as it recommends.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { stopLab } from "../../lab/lab.ts";
import { ECHO_PORT, HTTP_PORT, PORT_ONE, PORT_THREE, PORT_TWIN } from "../../lab/picture.ts";
import { inNamespace } from "../../lab/topology.ts";
import { buildNetwork, cutPower, PAIR } from "./network.ts";
import type { Device } from "./takeover.ts";

type Node = (typeof PAIR)[number];

/** The first node has the higher priority, so it is the master. */
const NODES: Readonly<Record<Node, { readonly last: number; readonly sync: string; readonly priority: number }>> = {
  A1: { last: 2, sync: "192.168.100.100", priority: 150 },
  A2: { last: 3, sync: "192.168.100.200", priority: 100 },
};
const GATEWAY_LAST = 1;
const SCRIPT = "/usr/share/doc/conntrackd/examples/sync/primary-backup.sh";
const READY_LIMIT_MILLIS = 20_000;
const REPLICATED_LIMIT_MILLIS = 30_000;
/** Longer than a round. */
const IDLE_SECONDS = 7_200;

export interface KeepalivedOptions {
  /** Seconds between two advertisements; three missed ones, and a little more, are a death. */
  readonly advertSeconds: number;
}

const fileOf = (node: Node, what: string): string => `/run/${node}-${what}`;

export class Keepalived implements Device {
  gatewayMacs: readonly [string, string] = ["", ""];
  private readonly options: KeepalivedOptions;

  constructor(options: KeepalivedOptions) {
    this.options = options;
  }

  async start(): Promise<void> {
    buildNetwork(PAIR);
    for (const node of PAIR) prepareNode(node, this.options);
    for (const node of PAIR) daemon(node, ["conntrackd", "-C", fileOf(node, "conntrackd.conf")]);
    await until("conntrackd answers", READY_LIMIT_MILLIS, () => PAIR.every((node) => ask(node, "-s") !== undefined));
    for (const node of PAIR)
      daemon(node, ["keepalived", "-n", "-l", "-f", fileOf(node, "keepalived.conf"), "-p", fileOf(node, "keepalived.pid"), "-r", fileOf(node, "vrrp.pid")]);
    await until("A1 is the master", READY_LIMIT_MILLIS, () => isMaster("A1") && !isMaster("A2"));
    this.gatewayMacs = [macOf("A1", PORT_ONE), macOf("A1", PORT_THREE)];
  }

  async untilReplicated(sessions: number): Promise<void> {
    const known = (): number => Number(/cache external:\s+current active connections:\s+(\d+)/.exec(ask("A2", "-s") ?? "")?.[1] ?? 0);
    await until("all sessions are replicated", REPLICATED_LIMIT_MILLIS, () => known() >= sessions);
    if (!isMaster("A1") || isMaster("A2")) throw new Error(`bench: keepalived at ${this.options.advertSeconds} s: the roles changed under load`);
  }

  killActive(): void {
    cutPower("A1");
    const { stdout } = spawnSync("ip", ["netns", "pids", "A1"], { encoding: "utf8" });
    for (const pid of stdout.split("\n").filter(Boolean)) endAtOnce(Number(pid));
  }

  stop(): void {
    stopLab();
  }
}

function daemon(node: Node, command: readonly string[]): void {
  const log = openSync(fileOf(node, `${command[0]}.log`), "a");
  spawn("ip", ["netns", "exec", node, ...command], { stdio: ["ignore", log, log] });
}

/** A process that has ended meanwhile, such as a script of keepalived's, is as dead as it should be. */
function endAtOnce(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function until(what: string, limitMillis: number, isSo: () => boolean): Promise<void> {
  const limit = performance.now() + limitMillis;
  while (!isSo()) {
    if (performance.now() > limit) throw new Error(`bench: after ${limitMillis} ms it is still not so that ${what}`);
    await pause(50);
  }
}

function ask(node: Node, option: string): string | undefined {
  const { status, stdout } = spawnSync("conntrackd", ["-C", fileOf(node, "conntrackd.conf"), option], { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

const isMaster = (node: Node): boolean =>
  [PORT_ONE, PORT_THREE].every((port) => inNamespace(node, `ip -o address show dev ${port}`).includes(`.0.${GATEWAY_LAST}/24`));

const macOf = (node: Node, port: string): string => inNamespace(node, `cat /sys/class/net/${port}/address`).trim();

function prepareNode(node: Node, options: KeepalivedOptions): void {
  const { last, sync } = NODES[node];
  // Who died with kill -9 left them, and conntrackd does not start where its lock lies.
  for (const left of ["conntrackd.lock", "conntrackd.ctl", "keepalived.pid", "vrrp.pid"]) rmSync(fileOf(node, left), { force: true });
  const ruleset = `table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname ${PORT_ONE} oifname ${PORT_THREE} udp dport ${ECHO_PORT} accept
    iifname ${PORT_ONE} oifname ${PORT_THREE} tcp dport { ${ECHO_PORT}, ${HTTP_PORT} } accept
  }
}`;
  inNamespace(
    node,
    `ip address add 10.1.0.${last}/24 dev ${PORT_ONE}
ip address add 10.3.0.${last}/24 dev ${PORT_THREE}
ip address add ${sync}/24 dev ${PORT_TWIN}
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
nft -f - <<'RULES'
${ruleset}
RULES
sysctl -qw net.netfilter.nf_conntrack_udp_timeout=${IDLE_SECONDS} net.netfilter.nf_conntrack_udp_timeout_stream=${IDLE_SECONDS}`,
  );
  writeFileSync(fileOf(node, "conntrackd.conf"), conntrackdConfiguration(node));
  writeFileSync(fileOf(node, "keepalived.conf"), keepalivedConfiguration(node, options));
  const script = readFileSync(SCRIPT, "utf8")
    .replace(/^CONNTRACKD_CONFIG=.*$/m, `CONNTRACKD_CONFIG=${fileOf(node, "conntrackd.conf")}`)
    .replace(/^CONNTRACKD_LOCK=.*$/m, `CONNTRACKD_LOCK=${fileOf(node, "conntrackd.lock")}`);
  writeFileSync(fileOf(node, "primary-backup.sh"), script);
  chmodSync(fileOf(node, "primary-backup.sh"), 0o755);
}

function conntrackdConfiguration(node: Node): string {
  const ignored = [
    ...PAIR.flatMap((each) => [`10.1.0.${NODES[each].last}`, `10.3.0.${NODES[each].last}`, NODES[each].sync]),
    "10.1.0.1",
    "10.3.0.1",
    "127.0.0.1",
  ];
  return `Sync {
  Mode FTFW { }
  Multicast {
    IPv4_address 225.0.0.50
    Group 3780
    IPv4_interface ${NODES[node].sync}
    Interface ${PORT_TWIN}
    SndSocketBuffer 1249280
    RcvSocketBuffer 1249280
    Checksum on
  }
}
General {
  HashSize 262144
  HashLimit 1048576
  LogFile off
  Syslog off
  LockFile ${fileOf(node, "conntrackd.lock")}
  UNIX { Path ${fileOf(node, "conntrackd.ctl")} }
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Kernelspace {
    Protocol Accept { TCP SCTP DCCP UDP }
    Address Ignore { ${ignored.map((address) => `IPv4_address ${address}`).join(" ")} }
  }
}
`;
}

/** Below a second, advertisements need VRRP's version 3, and keepalived the rank that the packet process of an appliance has. */
function keepalivedConfiguration(node: Node, { advertSeconds }: KeepalivedOptions): string {
  const isFast = advertSeconds < 1;
  const instance = (name: string, port: string, router: number, third: number): string => `
vrrp_instance ${name} {
  interface ${port}
  state BACKUP
  virtual_router_id ${router}
  priority ${NODES[node].priority}
  advert_int ${advertSeconds}
  virtual_ipaddress { 10.${third}.0.${GATEWAY_LAST}/24 }
}`;
  return `global_defs {
  router_id ${node}
  script_user root
  enable_script_security
  ${isFast ? "vrrp_version 3\n  vrrp_priority -20" : ""}
}
vrrp_sync_group G1 {
  group { VI_1 VI_2 }
  notify_master "${fileOf(node, "primary-backup.sh")} primary"
  notify_backup "${fileOf(node, "primary-backup.sh")} backup"
  notify_fault "${fileOf(node, "primary-backup.sh")} fault"
}
${instance("VI_1", PORT_ONE, 61, 1)}
${instance("VI_2", PORT_THREE, 62, 3)}
`;
}
