// Boards as data: every board in board/ is in order, mistakes are named, and ports are found by their place.

import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "tap";
import { networkDevicePaths } from "../../firmware/hal/linux/sysfs.ts";
import { checkBoard, loadBoard } from "../../firmware/manager/board.ts";
import { ConfigurationError } from "../../firmware/manager/config/problems.ts";
import { findPorts } from "../../firmware/manager/devices.ts";

const BOARDS = join(import.meta.dirname, "../../board");
const NAMES = readdirSync(BOARDS)
  .filter((file) => file.endsWith(".ts") && file !== "board.ts")
  .map((file) => file.slice(0, -".ts".length));
const PORT = { name: "port1", device: "eth0", kind: "data" };

/** Messages about a board, without the remedies. */
function complaints(value: object): string[] {
  try {
    checkBoard(value, { file: "board/mine.ts", lineOf: () => 0 });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split("\n").filter((line) => !line.startsWith("  "));
  }
}

test("every board in board/ is in order and has the name of its file", async (t) => {
  t.same(NAMES.toSorted(), ["lab", "nanopi-r5s", "qemu-virt"]);
  for (const name of NAMES) t.equal((await loadBoard(name)).name, name);
});

test("every board has two data ports and a twin port", async (t) => {
  for (const name of NAMES)
    t.same(
      (await loadBoard(name)).ports.map((port) => port.kind),
      ["data", "data", "twin"],
      name,
    );
});

test("a port needs a path or a device, and not both", async (t) => {
  t.same(complaints({ name: "mine", ports: [{ name: "port1", kind: "data" }] }), [
    'board/mine.ts: ports[0]: does not say where it is (found {"name":"port1","kind":"data"}) [missing-key]',
  ]);
  t.match(complaints({ name: "mine", ports: [{ ...PORT, path: "a" }] })[0], /^board\/mine\.ts: ports\[0\]: has keys of both kinds/);
});

test("two ports in one place, and a third twin port, are refused", async (t) => {
  const twice = [
    { name: "a", path: "a.ethernet", kind: "twin" },
    { name: "b", path: "a.ethernet", kind: "twin" },
    { name: "c", path: "c.ethernet", kind: "twin" },
  ];
  t.same(complaints({ name: "mine", ports: twice }), [
    'board/mine.ts: ports[1].path: the path "a.ethernet" is there already, as ports[0] [duplicate-name]',
    "board/mine.ts: ports: there are more than 2 twin ports [wrong-count]",
  ]);
});

test("lamps with lights need all four, each light its own, and a STATUS that is no GPIO line", async (t) => {
  const green = { green: { led: "green:status" } };
  t.same(complaints({ name: "mine", ports: [PORT], lamps: { kind: "lights", status: green, ha: green, twin: {} } }), [
    'board/mine.ts: lamps.ha.green: "green:status" is there already, as lamps.status.green [duplicate-name]',
    "board/mine.ts: lamps.twin: the lamp has no light [missing-key]",
    "board/mine.ts: lamps.alarm: the lamp is missing [missing-key]",
  ]);
  const line = { red: { chip: "gpio0", line: 3 } };
  const other = (line: number) => ({ red: { chip: "gpio0", line } });
  t.same(complaints({ name: "mine", ports: [PORT], lamps: { kind: "lights", status: line, ha: other(4), twin: other(5), alarm: other(6) } }), [
    'board/mine.ts: lamps.status.red: STATUS cannot be a GPIO line, which would keep its level when the software dies (found {"chip":"gpio0","line":3,"activeLow":false}) [not-allowed]',
  ]);
});

test("a light, a button, a watchdog and a core that cannot be are named with key and value", async (t) => {
  t.match(
    complaints({ name: "mine", ports: [PORT], lamps: { kind: "bright" } })[0],
    /lamps\.kind: must be one of none, memory, lights \(found "bright"\) \[not-allowed\]/,
  );
  t.match(complaints({ name: "mine", ports: [PORT], button: { input: "gpio-keys" } })[0], /button: does not say where it is/);
  t.match(complaints({ name: "mine", ports: [PORT], watchdog: { device: "watchdog0" } })[0], /watchdog\.device: .*\(found "watchdog0"\) \[wrong-form\]/);
  t.match(complaints({ name: "mine", ports: [PORT], serial: { device: "/dev/ttyS0", baud: 115_201 } })[0], /serial\.baud: .*found 115201/);
  t.match(complaints({ name: "mine", ports: [PORT], dataplane: { cpu: -1 } })[0], /dataplane\.cpu: must be >= 0 \(found -1\) \[out-of-range\]/);
});

/** A /sys with these devices, `name: path below devices`. */
function fakeSys(root: string, devices: Readonly<Record<string, string>>): string {
  for (const [name, path] of Object.entries(devices)) {
    const link = join(root, "class/net", name, "device");
    mkdirSync(dirname(link), { recursive: true });
    if (path === "") continue;
    mkdirSync(join(root, "devices", path), { recursive: true });
    symlinkSync(join(root, "devices", path), link);
  }
  return root;
}

test("a port is found by its place, whatever the kernel calls it today", async (t) => {
  const sysfs = fakeSys(t.testdir(), {
    lo: "",
    eth0: "platform/3c0400000.pcie/pci0001:10/0001:10:00.0/0001:11:00.0",
    eth1: "platform/fe2a0000.ethernet",
    eth7: "platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0",
  });
  const board = findPorts(await loadBoard("nanopi-r5s"), networkDevicePaths(sysfs));
  t.same(
    board.ports.map((port) => `${port.name} ${port.device}`),
    ["port1 eth7", "port2 eth0", "twin eth1"],
  );
});

test("a place with no network device, or with several, is named with board, key and what is there", async (t) => {
  const sysfs = fakeSys(t.testdir(), {
    eth0: "platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0",
    eth1: "platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.1",
    eth2: "platform/3c0400000.pcie/pci0001:10/0001:10:00.0/0001:11:00.0",
  });
  const board = await loadBoard("nanopi-r5s");
  t.throws(() => findPorts(board, networkDevicePaths(sysfs)), {
    message: [
      'board nanopi-r5s: ports[0].path: 2 network devices are at "3c0000000.pcie": eth0 (platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0), eth1 (platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.1) [ambiguous-device]',
      "  Give a longer part of the path, so that one is left.",
      'board nanopi-r5s: ports[2].path: there is no network device at "fe2a0000.ethernet" for port "twin" [absent-device]',
      "  Connect it, load its driver, or correct the board. Network devices here: eth0 (platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0), eth1 (platform/3c0000000.pcie/pci0000:00/0000:00:00.0/0000:01:00.1), eth2 (platform/3c0400000.pcie/pci0001:10/0001:10:00.0/0001:11:00.0).",
    ].join("\n"),
  });
});
