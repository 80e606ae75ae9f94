// What an image needs to know of a board beyond board/NAME.ts: kernel modules, and how its kernel speaks to people. Adding a
// board's image is adding an entry; what it leaves out is that the board's own boot loader must start EFI/BOOT/BOOTAA64.EFI.

import { ImageError } from "./steps.ts";

export interface ImageBoard {
  readonly name: string;
  /** Needed to find the slot: loaded before the root file system is there. */
  readonly bootModules: readonly string[];
  /** Loaded afterwards, in this order. */
  readonly modules: readonly string[];
  /** What the kernel's command line says besides the slot. */
  readonly commandLine: string;
  /** Gets a shell on a port that only a hypervisor can add (appliance/maintenance). */
  readonly isEmulated: boolean;
}

const BOARDS: readonly ImageBoard[] = [
  {
    name: "qemu-virt",
    bootModules: ["virtio_blk", "squashfs"],
    modules: [
      "ext4",
      "virtio_net",
      "virtio_rng",
      "leds_gpio",
      "ledtrig_timer",
      "ledtrig_oneshot",
      "ledtrig_netdev",
      "gpio_keys",
      "evdev",
      "softdog",
      "sch_ingress",
      "cls_bpf",
    ],
    commandLine: "console=ttyAMA0,115200 quiet loglevel=3 panic=10",
    isEmulated: true,
  },
];

/** The image's part of a board. Throws ImageError `image-no-board`. */
export function imageBoard(name: string): ImageBoard {
  const found = BOARDS.find((board) => board.name === name);
  if (found !== undefined) return found;
  const names = BOARDS.map((board) => board.name).join(", ");
  throw new ImageError("image-no-board", `there is no image for board "${name}"`, `There is one for: ${names}. image/README.md says how to add one.`);
}
