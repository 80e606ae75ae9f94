// Whose rules are changed while packets flow: an appliance at whose configuration mode a commit is typed, and the kernel's forwarding, whose
// administrator loads the whole chain anew with `nft -f`, in one transaction.

import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { HAS_A_ROLE } from "../../lab/lab.ts";
import { ECHO_PORT, LAB_ZONES, PORT_ONE, PORT_THREE } from "../../lab/picture.ts";
import { inNamespace } from "../../lab/topology.ts";
import { createUnits, layConfiguration } from "../../lab/unit.ts";
import { buildNetwork, LEFT, RIGHT } from "../takeover/network.ts";
import { chainOf, policyOf } from "./rules.ts";

const CONSOLE = join(import.meta.dirname, "..", "..", "..", "firmware", "manager", "console", "cli.ts");
const START_LIMIT_MILLIS = 20_000;
const NAME = "A1";

export interface Changed {
  /** Begins with a last rule that denies; resolves when packets are forwarded. */
  start(): Promise<void>;
  /** Prepares the change, which is not in force before `change`. */
  prepare(action: "permit" | "deny"): Promise<void>;
  /** Orders it; resolves when the order is answered. */
  change(): Promise<void>;
  stop(): void;
}

export class Appliance implements Changed {
  private readonly rules: number;
  private readonly unit = createUnits("afxdp")[NAME];
  private desk: ChildProcess | undefined;
  private lines: AsyncIterator<string> | undefined;
  /** Of each commit: from its decision to the first packet judged by it, as the manager's log says, in milliseconds. */
  readonly switchMillis: number[] = [];

  constructor(rules: number) {
    this.rules = rules;
  }

  async start(): Promise<void> {
    buildNetwork([NAME]);
    layConfiguration({
      system: { name: "bench" },
      sites: ["A"],
      units: [{ site: "A", index: 1 }],
      zones: LAB_ZONES.map(({ name, device, gatewayMac, gateway4, site: { A } }) => ({
        name,
        port: device,
        gateway: { mac: gatewayMac, addresses: [`${gateway4}/24`] },
        sites: { A: { mac: A.mac, addresses: [`${A.address4}/24`] } },
      })),
      policy: [
        { name: "paced", from: ["one"], to: ["three"], service: [`tcp/${ECHO_PORT}`, `udp/${ECHO_PORT}`], action: "permit" },
        ...policyOf(this.rules - 1, "deny"),
      ],
      twin: { enabled: false },
    });
    this.unit.start();
    try {
      await this.unit.until("active", HAS_A_ROLE, START_LIMIT_MILLIS);
    } catch (error) {
      throw new Error(`${(error as Error).message}; it said last: ${this.unit.lastWords()}`, { cause: error });
    }
    this.desk = spawn(process.execPath, [CONSOLE, "--unit", NAME, "configure"], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.desk.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async prepare(action: "permit" | "deny"): Promise<void> {
    this.type(`set policy probe action ${action}`);
    this.type("compare");
    await this.untilSaid("probe");
  }

  async change(): Promise<void> {
    this.type("commit bench");
    await this.untilSaid("is in force");
  }

  /** To be called when the new rules decide. */
  noteSwitch(): void {
    const millis = /policy-switched: [^\n]*after (\d+) ms/.exec(this.unit.lastWords(3))?.[1];
    if (millis !== undefined) this.switchMillis.push(Number(millis));
  }

  stop(): void {
    this.desk?.kill("SIGKILL");
  }

  private type(line: string): void {
    this.desk?.stdin?.write(`${line}\n`);
  }

  private async untilSaid(words: string): Promise<void> {
    for (;;) {
      const { value, done } = await (this.lines as AsyncIterator<string>).next();
      if (done === true) throw new Error(`bench: the configuration mode ended before it said "${words}"`);
      if (value.includes(words)) return;
    }
  }
}

export class Kernel implements Changed {
  private readonly rules: number;
  private file = "";

  constructor(rules: number) {
    this.rules = rules;
  }

  async start(): Promise<void> {
    buildNetwork([NAME]);
    inNamespace(
      NAME,
      `ip address add ${LEFT.gateway}/24 dev ${PORT_ONE}
ip address add ${RIGHT.gateway}/24 dev ${PORT_THREE}
ip link set ${PORT_ONE} up; ip link set ${PORT_THREE} up
sysctl -qw net.ipv4.ip_forward=1`,
    );
    await this.prepare("deny");
    await this.change();
  }

  async prepare(action: "permit" | "deny"): Promise<void> {
    this.file = `/run/${NAME}-${action}.nft`;
    const paced = `iifname ${PORT_ONE} oifname ${PORT_THREE} meta l4proto { tcp, udp } th dport ${ECHO_PORT} accept`;
    const rules = [paced, ...chainOf(this.rules - 1, action)];
    const chain = `  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ${rules.join("\n    ")}
  }`;
    // The first two lines make an empty table of whatever there is, in the same transaction.
    writeFileSync(this.file, `table ip filter\nflush table ip filter\ntable ip filter {\n${chain}\n}\n`);
  }

  change(): Promise<void> {
    const child = spawn("ip", ["netns", "exec", NAME, "nft", "-f", this.file], { stdio: "inherit" });
    return new Promise((resolve, reject) => child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`bench: nft -f ended with ${code}`)))));
  }

  stop(): void {}
}
