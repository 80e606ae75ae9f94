// The emulated board, `qemu-system-aarch64 -machine virt,acpi=off` with a device tree of ours. What it asks of whoever starts QEMU:
//
//   -device virtio-net-pci,addr=1 (port1), addr=2 (port2), addr=3 (twin); everything else on other PCI slots
//   gpio-leds on &pl061: green:status line 0, red:status line 1, green:ha line 2, green:twin line 4
//   line 6 stays free: the ALARM lamp is driven as a GPIO line, so that both ways are in use
//   gpio-keys on line 3 is QEMU's own power key: `system_powerdown` on its monitor presses it
//   modprobe softdog (virt has no watchdog of its own)

import type { BoardDescription } from "./board.ts";

const KEY_POWER = 116;

export const board: BoardDescription = {
  name: "qemu-virt",
  ports: [
    { name: "port1", path: "pci0000:00/0000:00:01.0", kind: "data" },
    { name: "port2", path: "pci0000:00/0000:00:02.0", kind: "data" },
    { name: "twin", path: "pci0000:00/0000:00:03.0", kind: "twin" },
  ],
  lamps: {
    kind: "lights",
    status: { green: { led: "green:status" }, red: { led: "red:status" } },
    ha: { green: { led: "green:ha" } },
    twin: { green: { led: "green:twin" } },
    alarm: { red: { chip: "9030000.pl061", line: 6 } },
  },
  button: { input: "gpio-keys", key: KEY_POWER },
  serial: { device: "/dev/ttyAMA0", baud: 115_200 },
  watchdog: { device: "/dev/watchdog0" },
  dataplane: { nice: -20 },
};
