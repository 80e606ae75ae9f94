// The lab's own machinery, without Twinwall in it: does the picture behave like the picture, and does nothing stay behind?

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "tap";
import { startSandbox, whyNoSandbox } from "./sandbox.ts";

const why = whyNoSandbox();
const options = why === undefined ? {} : { skip: why };

interface Seen {
  routed: {
    intact: boolean[];
    repliesOnWire: number;
    repliesAtA: number;
    repliesAtB: number;
    userPacketsAtA: number;
    userPacketsAtB: number;
    tcp: number;
    udp: number;
  };
  twin: { before: boolean; during: boolean; after: boolean; carrier: string };
  transparent: { intact: boolean[]; repliesAtA: number; repliesAtB: number };
}

async function seenWithKernelRouters(): Promise<Seen> {
  const sandbox = startSandbox("test/lab/kernel-routers.ts", [], { stdio: "pipe" });
  let out = "";
  sandbox.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  sandbox.process.stderr?.pipe(process.stderr);
  const code = await sandbox.exited;
  if (code !== 0) throw new Error(`the sandbox ended with ${code}`);
  return JSON.parse(out) as Seen;
}

test("the picture with plain routers in place of the units", options, async (t) => {
  const { routed, twin, transparent } = await seenWithKernelRouters();
  t.same(routed.intact, [true, true, true, true], "downloads arrive: IPv4, IPv6, the user by site A and by site B");
  t.ok(routed.repliesOnWire > 20, "replies are counted on service3's wire");
  t.ok(routed.repliesAtB >= routed.repliesOnWire, "every reply comes to site B's unit, its gateway");
  t.ok(routed.repliesAtA < 10, "site A's unit sees none of them");
  t.ok(routed.userPacketsAtA > 20, "the user's requests come to site A's unit");
  t.ok(routed.userPacketsAtB > 20, "after the move they come to site B's unit");
  t.equal(routed.tcp, 50, "short TCP exchanges succeed");
  t.equal(routed.udp, 50, "UDP exchanges succeed");
  t.same(twin, { before: true, during: false, after: true, carrier: "1" }, "a cut twin link carries nothing, tells nobody, and heals");
  t.same(transparent.intact, [true, true], "over two wires downloads arrive");
  t.ok(transparent.repliesAtB > 20 && transparent.repliesAtA < 10, "replies take B's wire alone");
});

/** Processes whose command line holds `mark`. */
function processesWith(mark: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && pid !== String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
    } catch {
      return false;
    }
  });
}

test("a lab that is killed leaves no process, device, namespace or file behind", options, async (t) => {
  const mark = `sandbox-mark-${process.pid}`;
  const script = `ip netns add left; ip link add left0 type veth peer name left1; touch /dev/shm/${mark}; ip netns exec left sleep 1000 & echo up; wait`;
  const outer = `
    import { startCommandInSandbox } from ${JSON.stringify(join(import.meta.dirname, "sandbox.ts"))};
    startCommandInSandbox(["sh", "-c", ${JSON.stringify(script)}], "inherit");`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", outer], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => owner.stdout.once("data", resolve));
  t.ok(processesWith(mark).length >= 2, "the lab runs");
  owner.kill("SIGKILL");
  for (let tries = 0; tries < 100 && processesWith(mark).length > 0; tries++) await pause(20);
  t.same(processesWith(mark), [], "its processes are gone");
  t.notOk(existsSync(`/dev/shm/${mark}`), "no file in shared memory");
  t.notMatch(spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout, /left/, "no namespace");
  t.notMatch(spawnSync("ip", ["link"], { encoding: "utf8" }).stdout, /left0/, "no device");
});
