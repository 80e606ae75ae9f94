// Debian packages that the machine that builds (or boots) an image needs. Missing ones are installed, and it says so.

import { existsSync } from "node:fs";
import { ImageError, run, step } from "./steps.ts";

interface HostTool {
  readonly package: string;
  /** A file that the package brings. */
  readonly proof: string;
}

const BUILD_TOOLS: readonly HostTool[] = [
  { package: "debian-archive-keyring", proof: "/usr/share/keyrings/debian-archive-keyring.gpg" },
  { package: "gcc-aarch64-linux-gnu", proof: "/usr/bin/aarch64-linux-gnu-gcc" },
  { package: "g++-aarch64-linux-gnu", proof: "/usr/bin/aarch64-linux-gnu-g++" },
  { package: "clang", proof: "/usr/bin/clang" },
  { package: "squashfs-tools", proof: "/usr/bin/mksquashfs" },
  { package: "cpio", proof: "/usr/bin/cpio" },
  { package: "kmod", proof: "/sbin/modprobe" },
  { package: "xz-utils", proof: "/usr/bin/xz" },
  { package: "zstd", proof: "/usr/bin/zstd" },
  { package: "dosfstools", proof: "/sbin/mkfs.vfat" },
  { package: "mtools", proof: "/usr/bin/mcopy" },
  { package: "e2fsprogs", proof: "/sbin/mke2fs" },
  { package: "fdisk", proof: "/sbin/sfdisk" },
];

const EMULATOR_TOOLS: readonly HostTool[] = [
  { package: "qemu-system-arm", proof: "/usr/bin/qemu-system-aarch64" },
  { package: "qemu-efi-aarch64", proof: "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd" },
  { package: "device-tree-compiler", proof: "/usr/bin/dtc" },
];

/** Installs what is missing; `withEmulator`: QEMU too. Throws ImageError `image-host-tools` when it may not or cannot. */
export async function installHostTools(withEmulator: boolean): Promise<void> {
  const wanted = withEmulator ? [...BUILD_TOOLS, ...EMULATOR_TOOLS] : BUILD_TOOLS;
  const names = wanted.filter((tool) => !existsSync(tool.proof)).map((tool) => tool.package);
  if (names.length === 0) return;
  const command = `apt-get install --no-install-recommends ${names.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    throw new ImageError("image-host-tools", `this machine lacks ${names.join(", ")}`, `As root on Debian: ${command}`);
  }
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  await step(`installing on this machine, from Debian: ${names.join(" ")}`, async () => {
    await run("apt-get", ["update"], { environment });
    await run("apt-get", ["install", "-y", "--no-install-recommends", ...names], { environment });
    return "installed";
  });
}
