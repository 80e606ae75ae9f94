// Debian's kernel for arm64, the modules that a board needs (with those that these need), and the initial RAM disk that finds the slot.
// Modules are stored unpacked: the file system around them is compressed, and busybox loads them.

import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { ImageBoard } from "./boards.ts";
import { fetchPackages, packageBehind, unpack } from "./debian.ts";
import { CACHE, hashOf, ImageError, ROOT, run, runShell, unlessDone } from "./steps.ts";

const BUSYBOX_COMMANDS = ["sh", "mount", "cat", "modprobe", "sed", "grep", "sleep", "echo", "reboot", "switch_root"];

export interface Kernel {
  /** The .deb file. */
  readonly package: string;
  readonly version: string;
  /** The bootable file. */
  readonly image: string;
  /** Directory that holds lib/modules/VERSION. */
  readonly root: string;
}

/** Fetches and unpacks the kernel. */
export async function openKernel(): Promise<Kernel> {
  const name = await packageBehind("linux-image-arm64");
  const [file] = await fetchPackages({ name: "kernel", packages: [name], withDependencies: false });
  if (file === undefined) throw new ImageError("image-no-package", `the package ${name} did not arrive`, `Remove ${relative(ROOT, CACHE)} and build again.`);
  const root = join(CACHE, "kernel");
  await unlessDone(root, hashOf([basename(file)]), `unpacking ${name}`, async () => {
    await unpack([file], root);
    const version = readdirSync(join(root, "lib/modules"))[0] ?? "";
    await run("depmod", ["-b", root, version]);
    return version;
  });
  const version = readdirSync(join(root, "lib/modules"))[0] ?? "";
  return { package: file, version, image: join(root, "boot", `vmlinuz-${version}`), root };
}

/** Puts modules and what they need into `target`/lib/modules, ready for modprobe. */
export async function installKernelModules(kernel: Kernel, names: readonly string[], target: string): Promise<void> {
  const shown = await run("modprobe", ["-d", kernel.root, "-S", kernel.version, "--show-depends", "-a", ...names]);
  const files = new Set([...shown.matchAll(/^insmod (\S+)/gm)].map((match) => match[1] as string));
  const folder = join(target, "usr/lib/modules", kernel.version);
  for (const file of [...files].sort()) {
    const place = join(folder, file.slice(file.indexOf("/kernel/") + 1));
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(file, place);
    await run("xz", ["-d", "-f", place]);
  }
  for (const name of ["modules.order", "modules.builtin", "modules.builtin.modinfo"])
    copyFileSync(join(kernel.root, "lib/modules", kernel.version, name), join(folder, name));
  if (!existsSync(join(target, "lib"))) await run("ln", ["-s", "usr/lib", join(target, "lib")]);
  await run("depmod", ["-b", target, kernel.version]);
}

/** Builds the initial RAM disk `file` in `scratch`; every time in it is `epochSeconds`. `busybox`: a static one for arm64. */
export async function buildInitrd(board: ImageBoard, kernel: Kernel, busybox: string, scratch: string, file: string, epochSeconds: number): Promise<void> {
  await run("rm", ["-rf", scratch]);
  for (const name of ["bin", "dev", "proc", "sys", "root", "usr/lib"]) mkdirSync(join(scratch, name), { recursive: true });
  copyFileSync(busybox, join(scratch, "bin/busybox"));
  for (const name of BUSYBOX_COMMANDS) await run("ln", ["-s", "busybox", join(scratch, "bin", name)]);
  copyFileSync(join(ROOT, "image/appliance/initrd-init"), join(scratch, "init"));
  chmodSync(join(scratch, "init"), 0o755);
  writeFileSync(join(scratch, "modules.boot"), `${board.bootModules.join("\n")}\n`);
  await installKernelModules(kernel, board.bootModules, scratch);
  await runShell(
    `cd "$1"
chmod -R u=rwX,go=rX .
find . -exec touch -h -d "@$3" {} +
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R +0:+0 | zstd -q -19 -T1 >"$2"`,
    [scratch, file, String(epochSeconds)],
  );
}
