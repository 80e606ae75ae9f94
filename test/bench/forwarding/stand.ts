// One device under test with its cables: the same for each, so that only what stands in the middle differs.
//
//    namespace NAME-out                    namespace NAME-dut                     namespace NAME-out
//    generator (core 0) ── left ══════ bNAMEi ── device under test (core 1) ── bNAMEo ══════ right ── sink
//
// `right` belongs to the generator's namespace again, where an ingress rule drops every datagram as soon as it has been counted.

import { spawnSync } from "node:child_process";
import { inNamespace, OFFLOADS } from "../../lab/topology.ts";
import { askOutside, GENERATOR_CORE } from "../agent.ts";
import { program } from "../programs.ts";

export const SERVICE_PORT = 5_000;

const LEFT_MAC = "02:09:09:09:09:01";
const RIGHT_MAC = "02:09:09:09:09:03";
/** What the generator sends to: the gateway in its network. */
export const IN_MAC = "02:54:00:00:01:01";
export const OUT_MAC = "02:54:00:00:03:01";
export const PEER_MACS = { left: LEFT_MAC, right: RIGHT_MAC } as const;

/** Where the kernel's part of receiving runs: in a thread on the device's core, or where the sender is. */
export type Placement = "threaded" | "sender";

export interface Run {
  readonly sent: number;
  readonly arrived: number;
  readonly nanos: number;
  readonly windowNanos: number;
  readonly spinNanos: number;
  readonly idleNanos: number;
  readonly ownNanos: number;
  readonly processNanos: number;
}

export interface Load {
  readonly order: "random" | "each";
  readonly first?: number;
  readonly sessions: number;
  readonly bytes: number;
  /** Packets per second; 0: as many as it can. */
  readonly rate: number;
  readonly millis?: number;
  readonly way?: "forth" | "back";
}

export class Stand {
  readonly name: string;
  readonly inside: string;
  readonly outside: string;
  readonly deviceIn: string;
  readonly deviceOut: string;
  /** The device's process; 0: it has none. */
  process = 0;

  constructor(name: string, mark: string) {
    this.name = name;
    this.inside = `${name}-dut`;
    this.outside = `${name}-out`;
    // Kernel threads are found by these names from outside, so they are this run's own.
    this.deviceIn = `b${mark}i`;
    this.deviceOut = `b${mark}o`;
  }

  build(): void {
    for (const name of [this.inside, this.outside]) run("ip", ["netns", "add", name]);
    const { inside, deviceIn, deviceOut } = this;
    inNamespace(
      this.outside,
      `sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=0
ip link add left address ${LEFT_MAC} type veth peer name ${deviceIn} address ${IN_MAC} netns ${inside}
ip link add right address ${RIGHT_MAC} type veth peer name ${deviceOut} address ${OUT_MAC} netns ${inside}
for device in left right; do ethtool -K $device ${OFFLOADS} >/dev/null; ip link set $device up; done
ip link add unplugged type veth peer name nowhere
ip link set unplugged up
ip address add 10.1.0.254/24 dev left
ip address add 10.3.0.254/24 dev right
nft -f - <<'RULES'
table netdev sink {
  chain left { type filter hook ingress device left priority 0; ip protocol udp drop; }
  chain right { type filter hook ingress device right priority 0; ip protocol udp drop; }
}
RULES`,
    );
    inNamespace(
      inside,
      `sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
for device in ${deviceIn} ${deviceOut}; do ethtool -K $device ${OFFLOADS} >/dev/null; ip link set $device up; done`,
    );
  }

  remove(): void {
    for (const name of [this.inside, this.outside]) spawnSync("ip", ["netns", "delete", name]);
  }

  /** Chooses where receiving runs. On veth there are threads only with the device's own polling, which an XDP program or receive merging switches on. */
  async place(placement: Placement, hasProgram: boolean): Promise<void> {
    const on = placement === "threaded";
    const merging = hasProgram ? "" : `ethtool -K $device gro ${on ? "on" : "off"} >/dev/null`;
    const thread = `{ echo ${on ? 1 : 0} > /sys/class/net/$device/threaded; } 2>/dev/null || true`;
    const steps = on ? [merging, thread] : [thread, merging];
    inNamespace(this.inside, `for device in ${this.deviceIn} ${this.deviceOut}; do ${steps.filter(Boolean).join("; ")}; done`);
    if (!on) return;
    const pinned = await askOutside("pin", this.deviceIn);
    if (pinned === 0) throw new Error(`bench: ${this.name}: the kernel made no thread for ${this.deviceIn}`);
    await askOutside("pin", this.deviceOut);
  }

  /** CPU time that the kernel's threads of this stand have used, in nanoseconds. */
  async threadNanos(): Promise<number> {
    return (await askOutside("threadNanos", this.deviceIn)) + (await askOutside("threadNanos", this.deviceOut));
  }

  /** Sends and counts. */
  send(load: Load): Run {
    const back = load.way === "back";
    return this.generate(load, back ? ["right", "left", RIGHT_MAC, OUT_MAC] : ["left", "right", LEFT_MAC, IN_MAC]);
  }

  /** What the generator does at this load when nobody is there: its packets end at a cable that is not plugged in. */
  sendIntoVoid(load: Load): Run {
    return this.generate(load, ["unplugged", "right", LEFT_MAC, IN_MAC]);
  }

  private generate({ order, first = 0, sessions, bytes, rate, millis = 1_000, way = "forth" }: Load, ends: readonly string[]): Run {
    const [device, sink, mac, gateway] = ends as readonly [string, string, string, string];
    const load = [order, first, sessions, bytes, rate, millis].map(String);
    const command = [program("generator"), device, sink, ...load, mac, gateway, way, String(SERVICE_PORT), String(this.process)];
    return JSON.parse(run("nice", ["-n", "-20", "taskset", "-c", String(GENERATOR_CORE), "ip", "netns", "exec", this.outside, ...command])) as Run;
  }
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`bench: ${command} ${args.join(" ")}: ${stderr?.trim() ?? ""} (exit ${status})`);
  return stdout;
}
