// The disk: a GPT with an EFI system partition, two slots for the firmware and one partition for what outlives an update. Made without loop
// mounts: each partition is a file of its own, copied to its place.
//
//   0          16 MiB                 216 MiB      472 MiB      728 MiB     984 MiB
//   │ GPT, gap │ esp (FAT32)          │ slot-a     │ slot-b     │ data      │ GPT
//   │          │ GRUB, kernel and     │ squashfs   │ (empty     │ ext4      │
//   │ a board's│ initial RAM disk of  │            │ until the  │ (empty at │
//   │ loader   │ each slot            │            │ update)    │ first)    │
//
// Everything that tools would make up (identifiers, hash seeds, times) is derived from the partition's name, so that the same inputs make the same bytes.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageBoard } from "./boards.ts";
import { ImageError, run, runShell } from "./steps.ts";

const MIB = 1 << 20;
const SECTOR_BYTES = 512;
/** The second table's 33 sectors, on a whole MiB. */
const TAIL_MIB = 1;

export interface Partition {
  readonly name: string;
  /** GPT type. */
  readonly type: string;
  readonly startMib: number;
  readonly sizeMib: number;
}

const GPT_TYPES = {
  efi: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
  rootArm64: "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
  linux: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
} as const;

const SIZES: readonly { readonly name: string; readonly type: string; readonly sizeMib: number }[] = [
  { name: "esp", type: GPT_TYPES.efi, sizeMib: 200 },
  { name: "slot-a", type: GPT_TYPES.rootArm64, sizeMib: 256 },
  { name: "slot-b", type: GPT_TYPES.rootArm64, sizeMib: 256 },
  { name: "data", type: GPT_TYPES.linux, sizeMib: 256 },
];
/** Boards' own loaders lie in front of the first partition. */
const GAP_MIB = 16;

/** Partitions in their places. */
export function diskLayout(): readonly Partition[] {
  let startMib = GAP_MIB;
  return SIZES.map(({ name, type, sizeMib }) => {
    const partition = { name, type, startMib, sizeMib };
    startMib += sizeMib;
    return partition;
  });
}

/** Size of the whole disk. */
export function diskMib(layout: readonly Partition[]): number {
  const last = layout.at(-1) as Partition;
  return last.startMib + last.sizeMib + TAIL_MIB;
}

/** An identifier made from a name: the same for every image, of the form of RFC 9562 version 8. */
export function identifierOf(name: string): string {
  const digits = createHash("sha256").update(`twinwall ${name}`).digest("hex").slice(0, 32).split("");
  digits[12] = "8";
  digits[16] = "89ab"[Number.parseInt(digits[16] as string, 16) & 3] as string;
  return digits.join("").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What sfdisk reads. */
export function sfdiskScript(board: string, layout: readonly Partition[]): string {
  const sectors = (mib: number): number => (mib * MIB) / SECTOR_BYTES;
  const head = ["label: gpt", `label-id: ${identifierOf(`${board} disk`)}`, `sector-size: ${SECTOR_BYTES}`, "unit: sectors", ""];
  const lines = layout.map(
    ({ name, type, startMib, sizeMib }) =>
      `start=${sectors(startMib)}, size=${sectors(sizeMib)}, type=${type}, uuid=${identifierOf(`${board} ${name}`)}, name="${name}"`,
  );
  return `${[...head, ...lines].join("\n")}\n`;
}

/** GRUB's configuration: starts the slot that grubenv names, a when there is none. */
export function grubConfiguration(board: ImageBoard): string {
  return `set timeout=0
set slot=a
if [ -s $prefix/grubenv ]; then load_env --file $prefix/grubenv slot; fi
linux /$slot/vmlinuz twinwall.slot=$slot ${board.commandLine}
initrd /$slot/initrd
boot
`;
}

export interface DiskInputs {
  readonly board: ImageBoard;
  readonly kernel: string;
  readonly initrd: string;
  /** Squashfs for slot a. */
  readonly slot: string;
  /** GRUB for arm64, with all its modules in one file. */
  readonly loader: string;
  readonly epochSeconds: number;
}

async function buildEsp(file: string, sizeMib: number, inputs: DiskInputs, scratch: string): Promise<void> {
  const { board, kernel, initrd, loader, epochSeconds } = inputs;
  const tree = join(scratch, "esp");
  for (const path of ["EFI/BOOT", "EFI/debian", "a", "b"]) mkdirSync(join(tree, path), { recursive: true });
  copyFileSync(loader, join(tree, "EFI/BOOT/BOOTAA64.EFI"));
  // Debian's GRUB looks for its configuration here.
  writeFileSync(join(tree, "EFI/debian/grub.cfg"), grubConfiguration(board));
  copyFileSync(kernel, join(tree, "a/vmlinuz"));
  copyFileSync(initrd, join(tree, "a/initrd"));
  const volume = identifierOf(`${board.name} esp`).slice(0, 8);
  await runShell(
    `find "$1" -exec touch -d "@$5" {} +
mkfs.vfat --invariant -F 32 -i "$3" -n TWINWALL -C "$2" $(($4 * 1024)) >/dev/null
cd "$1"; mcopy -s -m -i "$2" EFI a b ::`,
    [tree, file, volume, String(sizeMib), String(epochSeconds)],
    { environment: { SOURCE_DATE_EPOCH: String(epochSeconds), TZ: "UTC", MTOOLS_SKIP_CHECK: "1" } },
  );
}

/** An empty ext4 file system, or one with the files of a directory (then its times are those of the machine). */
export async function buildData(file: string, sizeMib: number, board: string, epochSeconds: number, from?: string): Promise<void> {
  rmSync(file, { force: true });
  writeFileSync(file, "");
  truncateSync(file, sizeMib * MIB);
  const identifier = identifierOf(`${board} data`);
  const options = [
    "-q",
    "-F",
    "-t",
    "ext4",
    "-L",
    "data",
    "-U",
    identifier,
    "-E",
    `hash_seed=${identifier},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0`,
  ];
  await run("mke2fs", [...options, ...(from === undefined ? [] : ["-d", from]), file], { environment: { E2FSPROGS_FAKE_TIME: String(epochSeconds) } });
}

/** Writes a partition's content into a disk file. */
export async function placePartition(disk: string, partition: Partition, content: string): Promise<void> {
  const bytes = statSync(content).size;
  if (bytes > partition.sizeMib * MIB) {
    const remedy = `Give ${partition.name} more room in image/disk.ts.`;
    throw new ImageError("image-too-large", `${partition.name} has ${partition.sizeMib} MiB and would hold ${Math.ceil(bytes / MIB)} MiB`, remedy);
  }
  await run("dd", [`if=${content}`, `of=${disk}`, "bs=1M", `seek=${partition.startMib}`, "conv=notrunc,sparse", "status=none"]);
}

/** Makes the disk file; it appears whole or not at all. */
export async function buildDisk(disk: string, inputs: DiskInputs, scratch: string): Promise<void> {
  const layout = diskLayout();
  const partition = (name: string): Partition => layout.find((one) => one.name === name) as Partition;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const partial = `${disk}.partial`;
  writeFileSync(partial, "");
  truncateSync(partial, diskMib(layout) * MIB);
  await run("sfdisk", ["--quiet", "--no-tell-kernel", "--no-reread", partial], { input: sfdiskScript(inputs.board.name, layout) });
  const esp = join(scratch, "esp.img");
  await buildEsp(esp, partition("esp").sizeMib, inputs, scratch);
  await placePartition(partial, partition("esp"), esp);
  await placePartition(partial, partition("slot-a"), inputs.slot);
  const data = join(scratch, "data.img");
  await buildData(data, partition("data").sizeMib, inputs.board.name, inputs.epochSeconds);
  await placePartition(partial, partition("data"), data);
  renameSync(partial, disk);
  rmSync(scratch, { recursive: true, force: true });
}
