// Starts an image in qemu-system-aarch64, as board/qemu-virt.ts describes the machine: `-machine virt,acpi=off`, three virtio NICs on PCI
// slots 1 to 3, LEDs on the PL061. It starts like a real board: firmware (UEFI) → GRUB on the disk → kernel.
//
// QEMU's own device tree has no LEDs, so it is dumped, gets them, and is given back.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { join } from "node:path";
import { hashOf, ImageError, run, unlessDone, WORK } from "./steps.ts";

const MACHINE = ["-machine", "virt,acpi=off", "-cpu", "cortex-a57", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi"];
const FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
const TREE = join(WORK, "qemu-virt/leds.dtb");
/** name → PL061 line; the lines are free on this machine (3 is its power key). */
const LEDS: Readonly<Record<string, number>> = { "green:status": 0, "red:status": 1, "green:ha": 2, "green:twin": 4 };
/** The guest takes checksums and segments as a wire would bring them. */
const NIC_OPTIONS = "romfile=,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off";

/** The nodes that QEMU's device tree lacks. `gpio`: phandle of the PL061. */
export function ledNodes(gpio: number): string {
  const nodes = Object.entries(LEDS).map(([name, line]) => `    led-${line} { label = "${name}"; gpios = <${gpio} ${line} 0>; };`);
  return `\n/ {\n  leds {\n    compatible = "gpio-leds";\n${nodes.join("\n")}\n  };\n};\n`;
}

/** Makes the device tree, once per version of QEMU; returns its file. */
async function deviceTree(): Promise<string> {
  const version = await run("qemu-system-aarch64", ["--version"]);
  await unlessDone(TREE, hashOf([version, ...MACHINE, ledNodes(0)]), "adding LEDs to the emulator's device tree", async () => {
    const plain = `${TREE}.plain`;
    const dump = MACHINE.map((word) => (word.startsWith("virt,") ? `${word},dumpdtb=${plain}` : word));
    await run("qemu-system-aarch64", [...dump, "-nic", "none", "-display", "none"]);
    const text = await run("dtc", ["-q", "-I", "dtb", "-O", "dts", plain]);
    const gpio = /pl061@[0-9a-f]+ \{[^}]*phandle = <(0x[0-9a-f]+)>/.exec(text)?.[1];
    if (gpio === undefined) throw new ImageError("image-no-gpio", "the emulator's device tree has no PL061", "Use QEMU 7 or newer.");
    await run("dtc", ["-q", "-I", "dts", "-O", "dtb", "-o", TREE], { input: text + ledNodes(Number(gpio)) });
    return Object.keys(LEDS).join(", ");
  });
  return TREE;
}

export interface Emulation {
  readonly disk: string;
  /** QEMU's `-netdev` values for port1, port2 and twin, without their id. */
  readonly cables: readonly [string, string, string];
  /** QEMU's `-serial` value for the board's serial line. */
  readonly serial: string;
  /** File of a socket on which the guest's maintenance shell answers; left out: there is none. */
  readonly maintenance?: string;
  /** Changes to the disk are lost at the end. */
  readonly keepsNothing: boolean;
  /** Put before the command: another namespace, say. */
  readonly prefix?: readonly string[];
}

/** The command that starts a guest. */
export async function emulatorCommand(given: Emulation): Promise<readonly string[]> {
  const tree = await deviceTree();
  const nics = given.cables.flatMap((cable, k) => [
    "-netdev",
    cable.replace(/^[a-z]+/, (kind) => `${kind},id=port${k}`),
    "-device",
    `virtio-net-pci,netdev=port${k},addr=${k + 1},mac=02:54:57:00:0${k + 1}:00,${NIC_OPTIONS}`,
  ]);
  const maintenance =
    given.maintenance === undefined
      ? []
      : [
          ...["-chardev", `socket,id=maintenance,path=${given.maintenance},server=on,wait=off`],
          ...["-device", "virtio-serial-pci,addr=10", "-device", "virtserialport,chardev=maintenance,name=twinwall.maintenance"],
        ];
  return [
    ...(given.prefix ?? []),
    "qemu-system-aarch64",
    ...MACHINE,
    ...["-bios", FIRMWARE, "-dtb", tree, "-nic", "none", "-display", "none", "-no-reboot"],
    ...["-drive", `file=${given.disk},format=raw,if=none,id=disk,snapshot=${given.keepsNothing ? "on" : "off"}`, "-device", "virtio-blk-pci,drive=disk,addr=8"],
    ...["-device", "virtio-rng-pci,addr=9"],
    ...nics,
    ...maintenance,
    ...["-serial", given.serial],
  ];
}

/** Starts a guest; it ends with this process at the latest. */
export async function startEmulator(given: Emulation, stdio: StdioOptions): Promise<ChildProcess> {
  const [command, ...args] = ["setpriv", "--pdeathsig", "KILL", ...(await emulatorCommand(given))];
  return spawn(command as string, args, { stdio });
}
