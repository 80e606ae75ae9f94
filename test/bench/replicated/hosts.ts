// Two hosts beside a pair, with the kernel's own TCP: a client at the first device, and a server with a leg at each of the two, which chooses by a
// route where its replies come in.
//
//    client ── left ══ first device ══ straight ─┐
//                          ║ twin cable          server        namespaces: the first stand's outside, the second stand's outside
//                      second device ══ right ───┘

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { inNamespace } from "../../lab/topology.ts";
import { GENERATOR_CORE } from "../agent.ts";
import { OUT_MAC, PEER_MACS, SERVICE_PORT } from "../forwarding/stand.ts";
import { program } from "../programs.ts";
import type { Pair } from "./pair.ts";

const CLIENT = "16.0.0.1";
const SERVER = "32.0.0.1";
const GATEWAY = "10.3.0.1";
const OWN = "10.3.0.254/24";
const LEGS = { straight: "straight", handed: "right" } as const;
const LIMIT_MILLIS = 10_000;

export interface Hosts {
  /** A transfer from the server to the client, its replies by this way; Gbit/s. */
  fetch(way: keyof typeof LEGS, millis: number): number;
  stop(): void;
}

/** Makes hosts of the ends of a pair. Nothing else can be sent through it afterwards. */
export async function startHosts({ first, second }: Pair): Promise<Hosts> {
  const [client, server] = [first.outside, second.outside];
  inNamespace(client, `nft delete table netdev sink; ip link set right down; ip link set right netns ${server} name ${LEGS.straight}`);
  inNamespace(
    server,
    `nft delete table netdev sink; ip link set left down; ip address flush dev left
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${LEGS.handed}.rp_filter=0 net.ipv4.conf.${LEGS.straight}.rp_filter=0
ip link set lo up; ip address add ${SERVER}/32 dev lo
ip link set ${LEGS.straight} address ${PEER_MACS.right} up; ip address add ${OWN} dev ${LEGS.straight}
for leg in ${Object.values(LEGS).join(" ")}; do ip neighbour replace ${GATEWAY} lladdr ${OUT_MAC} dev $leg nud permanent; done`,
  );
  const service = spawnStream(server, ["serve", String(SERVICE_PORT)]);
  for await (const line of createInterface({ input: service.stdout as NodeJS.ReadableStream })) if (line.includes("ready")) break;
  return {
    fetch: (way, millis) => {
      inNamespace(server, `ip route replace ${CLIENT}/32 via ${GATEWAY} dev ${LEGS[way]} src ${SERVER}`);
      const [command, args] = streamCommand(client, ["fetch", SERVER, String(SERVICE_PORT), String(millis)]);
      const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: millis + LIMIT_MILLIS });
      if (status !== 0) throw new Error(`bench: a transfer, ${way}: ${stderr.trim()} (exit ${status})`);
      const { bytes, nanos } = JSON.parse(stdout) as { readonly bytes: number; readonly nanos: number };
      return (bytes * 8) / nanos;
    },
    stop: () => void service.kill("SIGKILL"),
  };
}

function streamCommand(namespace: string, args: readonly string[]): [string, string[]] {
  return ["nice", ["-n", "-20", "taskset", "-c", String(GENERATOR_CORE), "ip", "netns", "exec", namespace, program("stream"), ...args]];
}

function spawnStream(namespace: string, args: readonly string[]): ChildProcess {
  const [command, all] = streamCommand(namespace, args);
  return spawn(command, all, { stdio: ["pipe", "pipe", "inherit"] });
}
