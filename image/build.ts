// From nothing to a disk, step by step; each is skipped when its inputs are as they were.
//
//   Debian ─► packages ──┐
//   Debian ─► kernel ────┼─► root file system ─► squashfs ──┐
//   npm ────► modules ───┘   (root.ts)                      ├─► disk (disk.ts)
//   Debian ─► kernel, busybox ─► initial RAM disk ──────────┤
//   Debian ─► GRUB ─────────────────────────────────────────┘
//
// Times in the image are the commit's, identifiers are derived from names: one commit and the same packages make the same bytes.

import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type ImageBoard, imageBoard } from "./boards.ts";
import { fetchPackages, manifestOf, unpack } from "./debian.ts";
import { buildDisk } from "./disk.ts";
import { buildInitrd, openKernel } from "./kernel.ts";
import { prepareModules } from "./modules.ts";
import { buildRoot, packRoot, TARGET_PACKAGES } from "./root.ts";
import { CACHE, filesUnder, hashOf, ROOT, run, say, unlessDone, WORK } from "./steps.ts";

export interface BuiltImage {
  readonly board: ImageBoard;
  /** The flashable disk. */
  readonly disk: string;
  readonly version: string;
}

/** Where the version and the times of an image come from. */
async function readCommit(): Promise<{ readonly version: string; readonly epochSeconds: number }> {
  const [commit, seconds] = (await run("git", ["log", "-1", "--format=%h %ct"])).trim().split(" ");
  const changed = (await run("git", ["status", "--porcelain", "--untracked-files=no"])).trim() !== "";
  return { version: `${commit}${changed ? "+changes" : ""}`, epochSeconds: Number(seconds) };
}

async function openLoader(): Promise<{ readonly packages: readonly string[]; readonly file: string }> {
  const packages = await fetchPackages({ name: "loader", packages: ["grub-efi-arm64-unsigned"], withDependencies: false });
  const root = join(CACHE, "loader");
  await unlessDone(root, hashOf(packages), "unpacking GRUB", async () => {
    await unpack(packages, root);
    return "unpacked";
  });
  return { packages, file: join(root, "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi") };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Builds the image of a board. Throws ImageError. */
export async function buildImage(name: string): Promise<BuiltImage> {
  const board = imageBoard(name);
  mkdirSync(WORK, { recursive: true });
  const { version, epochSeconds } = await readCommit();
  const modules = await prepareModules();
  const packages = await fetchPackages({ name: "root", packages: TARGET_PACKAGES, withDependencies: true });
  const kernel = await openKernel();
  const loader = await openLoader();
  const manifest = `twinwall ${version}\n${await manifestOf([...packages, kernel.package, ...loader.packages])}`;
  const sources = [...filesUnder(...["firmware", "board", "image"].map((folder) => join(ROOT, folder))), join(ROOT, "package-lock.json")];
  const inputs = hashOf([name, version, String(epochSeconds), manifest], [...sources, ...filesUnder(modules.native)]);

  const scratch = join(WORK, name);
  const root = join(scratch, "root");
  const slot = join(scratch, "slot.squashfs");
  await unlessDone(slot, inputs, "making the root file system", async () => {
    await buildRoot(root, { board, version, packages, modules, kernel });
    await packRoot(root, slot, epochSeconds);
    return "packed";
  });
  const initrd = join(scratch, "initrd");
  await unlessDone(initrd, inputs, "making the initial RAM disk", async () => {
    await buildInitrd(board, kernel, join(root, "usr/bin/busybox"), join(scratch, "initrd-root"), initrd, epochSeconds);
    return "packed";
  });
  const disk = join(WORK, `${name}.img`);
  await unlessDone(disk, inputs, "making the disk", async () => {
    await buildDisk(disk, { board, kernel: kernel.image, initrd, slot, loader: loader.file, epochSeconds }, join(scratch, "disk"));
    writeFileSync(join(WORK, `${name}.manifest`), manifest);
    const sum = await sha256Of(disk);
    writeFileSync(`${disk}.sha256`, `${sum}  ${name}.img\n`);
    return `SHA-256 ${sum}`;
  });
  say(`build/image/${name}.img is firmware ${version} for ${name}; to flash: dd if=build/image/${name}.img of=/dev/DISK bs=4M conv=fsync`);
  return { board, disk, version };
}
