import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { board } from "../../board/qemu-virt.ts";
import { ledNodes } from "../../image/emulator.ts";
import { Guest } from "../../image/guest.ts";

const SCRIPTS = join(import.meta.dirname, "../../image/appliance");

test("the emulator's device tree has every LED that the board names, each on a line of its own", async (t) => {
  const nodes = ledNodes(7);
  const lines = [...nodes.matchAll(/label = "([^"]+)"; gpios = <7 (\d+) 0>/g)].map((match) => ({ name: match[1], line: Number(match[2]) }));
  const lamps = [board.lamps.status, board.lamps.ha, board.lamps.twin, board.lamps.alarm].flatMap((lamp) => Object.values(lamp ?? {}));
  const named = lamps.flatMap((light) => light?.led ?? []);
  t.same(lines.map(({ name }) => name).sort(), [...named].sort());
  const bare = lamps.flatMap((light) => light?.line ?? []);
  const used = [...lines.map(({ line }) => line), ...bare, 3];
  t.equal(new Set(used).size, used.length, "no line is used twice, the power key's neither");
});

test("the appliance's scripts are scripts that a shell can read", async (t) => {
  for (const name of readdirSync(SCRIPTS)) {
    if (!readFileSync(join(SCRIPTS, name), "utf8").startsWith("#!/bin/sh")) continue;
    t.doesNotThrow(() => execFileSync("sh", ["-n", join(SCRIPTS, name)], { stdio: "pipe" }), name);
  }
});

test("a guest's serial line is read without what terminals hide", async (t) => {
  t.equal(Guest.readable("\x1b[2J\x1b[01;01Htwin\x1b7wall\x1b8\r\n"), "twinwall\n");
});
