// A network namespace for a test file: the file runs itself again under `unshare --net`, so that whatever it does to
// devices happens in a namespace that ends with the process. Nothing to clean up, nothing to collide with.

import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const MARK = "TWINWALL_TEST_NAMESPACE";

/**
 * True: this process is inside; go on. A sentence: namespaces are not to be had, skip for this reason. False: the tests
 * ran in a child, whose TAP went to our standard output and whose status is ours.
 */
export function enterNamespace(file: string): boolean | string {
  if (process.env[MARK] === "1") {
    // The kernel's own neighbour and multicast chatter is no part of any test.
    writeFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    return true;
  }
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (spawnSync("unshare", ["--net", "true"]).status !== 0) return "this system has no network namespaces (unshare --net fails)";
  const child = spawnSync("unshare", ["--net", process.execPath, file], { stdio: "inherit", env: { ...process.env, [MARK]: "1" } });
  process.exitCode = child.status ?? 1;
  return false;
}

/** Runs `ip` with these words; throws with what it said. */
export function ip(words: string): void {
  execFileSync("ip", words.split(" "), { stdio: ["ignore", "ignore", "pipe"] });
}

/** A cable: port end `name` (ours) and peer end `peer` (the outside), both up; the outside leaves nothing to hardware. */
export function cable(name: string, peer: string): void {
  ip(`link add ${name} type veth peer name ${peer}`);
  execFileSync("ethtool", ["-K", peer, "tx", "off", "txvlan", "off", "gso", "off", "tso", "off"], { stdio: "ignore" });
  ip(`link set ${peer} up`);
}
