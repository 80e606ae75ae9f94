// Two units with two cables between them, of which one is pulled, then the other; at last one of them gives its identity up. Runs inside the lab's sandbox; prints what happened, in order.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { pairAtFactory } from "../../../firmware/manager/peers/factory.ts";
import { pairKeysFile } from "../../../firmware/manager/peers/pair-secrets.ts";
import { type TrustState, trustFile } from "../../../firmware/manager/peers/trust.ts";
import { parsePairKeys } from "../../../firmware/pair-keys.ts";
import { addNamespace, inNamespace } from "../../lab/topology.ts";

const UNITS = [
  { unit: 1, name: "A1", data: "/run/two-ports-a" },
  { unit: 3, name: "B1", data: "/run/two-ports-b" },
] as const;
const UNIT = join(import.meta.dirname, "two-ports-unit.ts");

/** What a unit said, and who waits for it. */
class Process {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly said: string[] = [];
  private waiting: (() => void)[] = [];

  constructor(own: (typeof UNITS)[number], peer: (typeof UNITS)[number]) {
    const args = [UNIT, own.unit, own.name, own.data, peer.unit, peer.name].map(String);
    this.child = spawn("ip", ["netns", "exec", own.name, process.execPath, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      this.said.push(line);
      for (const wake of this.waiting.splice(0)) wake();
    });
  }

  tell(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  count(value: object): number {
    const wanted = JSON.stringify(value);
    return this.said.filter((line) => line === wanted).length;
  }

  /** Waits until it has said that more often than `times`. */
  async until(value: object, times = 0): Promise<void> {
    while (this.count(value) <= times)
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
      });
  }
}

for (const { name, data } of UNITS) {
  addNamespace(name);
  mkdirSync(data);
}
pairAtFactory(UNITS);
for (const device of ["first", "second"]) {
  inNamespace("A1", `sysctl -qw net.ipv6.conf.default.accept_dad=0; ip link add ${device} type veth peer name ${device} netns B1; ip link set ${device} up`);
  inNamespace("B1", `sysctl -qw net.ipv6.conf.default.accept_dad=0; ip link set ${device} up`);
}
const [one, other] = UNITS;
const [a, b] = [new Process(one, other), new Process(other, one)];
const passed: string[] = [];

async function bothWays(what: string): Promise<void> {
  a.tell(`${what} from A1`);
  b.tell(`${what} from B1`);
  await Promise.all([b.until({ heard: `${what} from A1` }), a.until({ heard: `${what} from B1` })]);
  passed.push(what);
}

const isUp = { up: 3, is: true };
const restarting = { restarting: 3 };
await Promise.all([a.until(isUp), ...[a, b].flatMap((unit) => [unit.until({ link: "first" }), unit.until({ link: "second" })])]);
await bothWays("both ports");
// A1 dials and B1 is dialled: each loses a port of its own once, and sees no more than silence on the other's.
for (const [unit, namespace, device] of [
  [b, "B1", "first"],
  [a, "A1", "second"],
] as const) {
  const [ups, told] = [a.count(isUp), a.count(restarting)];
  const isUsed = inNamespace("A1", "ss -Htn state established").includes(`%${device}`);
  inNamespace(namespace, `ip link set ${device} down`);
  b.tell("announce");
  await a.until(restarting, told);
  passed.push(`a restart is told without ${device}`);
  if (isUsed) await a.until(isUp, ups);
  await bothWays(`without ${device}`);
  const links = unit.count({ link: device });
  inNamespace(namespace, `ip link set ${device} up`);
  await unit.until({ link: device }, links);
}
// B1 begins anew: A1 hears of it before B1's identity is gone.
const downs = a.count({ up: 3, is: false });
const console_ = createConnection(join(other.data, "peers"));
console_.write(`${JSON.stringify({ ask: "renew" })}\n`);
await a.until({ up: 3, is: false }, downs);
const { members, revoked } = JSON.parse(readFileSync(trustFile(one.data), "utf8")) as TrustState;
const shared = parsePairKeys(readFileSync(pairKeysFile(one.data), "utf8"));
if (members.length === 0 && revoked.length === 1 && shared.length === 0) passed.push("unpair self is heard at once");
console.log(JSON.stringify(passed));
process.exit(0);
