// The peers' packages: what is missing, and `--install`.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Debian packages, each with a file that it brings and the benchmarks that want it. */
const PACKAGES = [
  { name: "nftables", proof: "/usr/sbin/nft", benchmarks: ["forwarding", "capacity"] },
  { name: "ethtool", proof: "/usr/sbin/ethtool", other: "/sbin/ethtool", benchmarks: ["forwarding", "capacity"] },
  { name: "libbpf-dev", proof: "/usr/include/bpf/libbpf.h", benchmarks: ["forwarding", "capacity"] },
  { name: "clang", proof: "/usr/bin/clang", benchmarks: ["forwarding"] },
  { name: "conntrack", proof: "/usr/sbin/conntrack", benchmarks: [] },
  { name: "conntrackd", proof: "/usr/sbin/conntrackd", benchmarks: [] },
  { name: "keepalived", proof: "/usr/sbin/keepalived", benchmarks: [] },
] as const;

function missing(): readonly (typeof PACKAGES)[number][] {
  return PACKAGES.filter((each) => !existsSync(each.proof) && !("other" in each && existsSync(each.other)));
}

/** Packages that a benchmark lacks. */
export function missingFor(benchmark: string): readonly string[] {
  return missing()
    .filter(({ benchmarks }) => (benchmarks as readonly string[]).includes(benchmark))
    .map(({ name }) => name);
}

/** Debian asks this file whether a package may start its service. */
const SERVICE_POLICY = "/usr/sbin/policy-rc.d";
const FORBIDDEN = 101;

/** Installs what is missing from Debian; no service starts: the benchmarks start their own, in namespaces. False when that fails. */
export function installPeers(): boolean {
  const names = missing().map(({ name }) => name);
  if (names.length === 0) return true;
  process.stderr.write(`bench: installing ${names.join(" ")}\n`);
  const isOurs = !existsSync(SERVICE_POLICY);
  if (isOurs) writeFileSync(SERVICE_POLICY, `#!/bin/sh\nexit ${FORBIDDEN}\n`, { mode: 0o755 });
  try {
    const install = (): boolean => apt("install", "-y", "--no-install-recommends", ...names);
    return install() || (apt("update") && install());
  } finally {
    if (isOurs) rmSync(SERVICE_POLICY);
  }
}

function apt(...args: string[]): boolean {
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"], env: environment }).status === 0;
}
