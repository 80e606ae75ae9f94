// The peers' packages: what is missing, and `--install`. A peer that is missing costs its own rows and no others.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Debian packages, each with files of which it brings one. What runs here without peers comes from image/prepare.mjs. */
const PACKAGES = [
  { name: "nftables", proofs: ["/usr/sbin/nft"] },
  { name: "ethtool", proofs: ["/usr/sbin/ethtool", "/sbin/ethtool"] },
  { name: "libbpf-dev", proofs: ["/usr/include/bpf/libbpf.h"] },
  { name: "clang", proofs: ["/usr/bin/clang"] },
  { name: "conntrack", proofs: ["/usr/sbin/conntrack"] },
  { name: "conntrackd", proofs: ["/usr/sbin/conntrackd"] },
  { name: "keepalived", proofs: ["/usr/sbin/keepalived"] },
] as const;

export type PeerPackage = (typeof PACKAGES)[number]["name"];

/** Which of `names` are not installed. */
export function missingOf(names: readonly PeerPackage[]): readonly PeerPackage[] {
  return PACKAGES.filter(({ name, proofs }) => names.includes(name) && !proofs.some((proof) => existsSync(proof))).map(({ name }) => name);
}

/** Debian asks this file whether a package may start its service. */
const SERVICE_POLICY = "/usr/sbin/policy-rc.d";
const FORBIDDEN = 101;

/** Installs what is missing from Debian; no service starts: the benchmarks start their own, in namespaces. False when that fails. */
export function installPeers(): boolean {
  const names = missingOf(PACKAGES.map(({ name }) => name));
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
