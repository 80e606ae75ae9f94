// FriendlyElec NanoPi R5S: RK3568 (4 × Cortex-A55), one 1 Gbit/s port on the chip and two 2.5 Gbit/s ports on PCIe.
// Written from Linux's device trees, arch/arm64/boot/dts/rockchip/{rk3568-nanopi-r5s.dts,rk3568-nanopi-r5s.dtsi,rk3568.dtsi,
// rk356x-base.dtsi}; no such board was at hand.
//
//   socket   what it is                    device path below /sys/devices                                 here
//   LAN1     RTL8125 on pcie2x1            platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0   port1
//   LAN2     RTL8125 on pcie3x1            platform/3c0400000.pcie/pci0001:10/0001:10:00.0/0001:11:00.0   port2
//   WAN      gmac0                         platform/fe2a0000.ethernet                                     twin
//
// That LAN1 is the one on pcie2x1 is what FriendlyWrt's naming script says. Bus numbers on PCIe have changed between kernels, so a
// port is named by its controller, which has nothing else behind it. The chip's own port is the twin port: it shares no PCIe
// lane with the data ports.
//
// Its four LEDs have one colour each, three green and one red (`color` and `function` in gpio-leds make their names). The red one,
// SYS on the case, is ALARM, so it is dark on a healthy unit. The device tree declares no key, so there is no button. The UART is
// the loader's, at the loader's speed.

import type { BoardDescription } from "./board.ts";

export const board: BoardDescription = {
  name: "nanopi-r5s",
  ports: [
    { name: "port1", path: "3c0000000.pcie", kind: "data" },
    { name: "port2", path: "3c0400000.pcie", kind: "data" },
    { name: "twin", path: "fe2a0000.ethernet", kind: "twin" },
  ],
  lamps: {
    kind: "lights",
    status: { green: { led: "green:wan" } },
    ha: { green: { led: "green:lan-1" } },
    twin: { green: { led: "green:lan-2" } },
    alarm: { red: { led: "red:power" } },
  },
  serial: { device: "/dev/ttyS2", baud: 1_500_000 },
  watchdog: { device: "/dev/watchdog0" },
  dataplane: { cpu: 3, nice: -20 },
};
