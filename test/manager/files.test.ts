// What the manager keeps in files, and refuses to read from them.

import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { board as lab } from "../../board/lab.ts";
import { checkBoard, loadBoard } from "../../firmware/manager/board.ts";
import { loadConfiguration } from "../../firmware/manager/config/load.ts";
import { buildPlan } from "../../firmware/manager/config/plan.ts";
import { checkDevices } from "../../firmware/manager/devices.ts";
import { reserveIncarnation } from "../../firmware/manager/incarnation.ts";
import { openUnitDirectory, writeDurably } from "../../firmware/manager/run-dir.ts";

const EXAMPLE = new URL("../../firmware/manager/config/example.json", import.meta.url).pathname;
const HOUR_AFTER_2026 = Date.UTC(2026, 0, 1, 1);

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "twinwall-manager-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

test("each incarnation is used once, also after a restart", async (t) => {
  const data = directory(t);
  t.equal(reserveIncarnation(data, HOUR_AFTER_2026), 60, "nothing is known: minutes since 2026");
  t.equal(reserveIncarnation(data, HOUR_AFTER_2026), 61);
  t.equal(reserveIncarnation(data, 0), 62, "the clock does not matter then");
  t.equal(readFileSync(join(data, "incarnation"), "utf8"), "62\n");
});

test("an incarnation file that was lost or damaged starts above all that was used", async (t) => {
  const data = directory(t);
  reserveIncarnation(data, HOUR_AFTER_2026);
  writeFileSync(join(data, "incarnation"), "6\0\0");
  t.equal(reserveIncarnation(data, HOUR_AFTER_2026 + 120_000), 62);
});

test("the unit's directory and its files are for their owner alone", async (t) => {
  const unit = openUnitDirectory(join(directory(t), "run", "A1"));
  const plan = join(unit.path, "plan.json");
  writeDurably(plan, "one");
  chmodSync(plan, 0o644);
  writeDurably(plan, "two");
  t.equal(readFileSync(plan, "utf8"), "two");
  t.equal(statSync(plan).mode & 0o777, 0o600);
  for (const path of [unit.path, unit.data, unit.compileCache]) t.equal(statSync(path).mode & 0o777, 0o700);
});

test("an absent NIC is named with board, key and device", async (t) => {
  const plan = buildPlan(loadConfiguration(EXAMPLE), lab, "A1");
  t.doesNotThrow(() => checkDevices(plan, lab, ["lo", "port1", "port2", "twin"]));
  t.throws(() => checkDevices(plan, lab, ["lo", "port1"]), {
    message: [
      'board lab: ports[1].device: there is no network device "port2" for port "port2" of unit A1 [absent-device]',
      "  Connect it, or correct the board. Devices here: lo, port1.",
      'board lab: ports[2].device: there is no network device "twin" for port "twin" of unit A1 [absent-device]',
      "  Connect it, or correct the board. Devices here: lo, port1.",
    ].join("\n"),
  });
});

test("a board is found by name or by file", async (t) => {
  t.same(await loadBoard("lab"), lab);
  const file = join(directory(t), "mine.json");
  writeFileSync(file, '{ "name": "mine", "ports": [{ "name": "lan", "device": "eth0", "kind": "data" }] }');
  t.match(await loadBoard(file), { name: "mine", lamps: { kind: "none" }, dataplane: { nice: 0 } });
  await t.rejects(loadBoard("none"), { message: /--board: there is no board "none" \[unknown-board\]/ });
});

test("a wrong board is refused as a wrong configuration is", async (t) => {
  const source = { file: "mine.json", lineOf: () => 4 };
  const port = { name: "lan", device: "eth0", kind: "data" };
  t.throws(() => checkBoard({ name: "mine", ports: [{ ...port, kind: "lan" }] }, source), {
    message: /mine.json:4: ports\[0\].kind: must be one of data, twin \(found "lan"\) \[not-allowed\]/,
  });
  t.throws(() => checkBoard({ name: "mine", ports: [port, { ...port, name: "wan" }] }, source), {
    message: /ports\[1\].device: the device "eth0" is there already, as ports\[0\] \[duplicate-name\]/,
  });
});
