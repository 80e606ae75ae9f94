// Lamps, watchdog and journal put together as in the manager, on a fake /sys tree, with real timers.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "tap";
import { LAMP_NAMES } from "../../board/board.ts";
import { board as lab } from "../../board/lab.ts";
import { headerWord, mapTables, planRegions } from "../../firmware/fastpath/memory/tables.ts";
import { startFront } from "../../firmware/manager/front.ts";
import { lastResetOf } from "../../firmware/manager/last-reset.ts";
import { UnitTables } from "../../firmware/manager/tables.ts";
import { keptLog } from "./panel/stage.ts";

const SESSIONS = 64;
const PATIENCE_MILLIS = 60_000;

async function until(holds: () => boolean): Promise<boolean> {
  const end = Date.now() + PATIENCE_MILLIS;
  while (!holds()) {
    if (Date.now() > end) return false;
    await pause(20);
  }
  return true;
}

test("while the unit works STATUS is armed and the watchdog fed; a planned stop puts out the one and releases the other", async (t) => {
  const root = t.testdir();
  const led = (lamp: string): string => join(root, "class/leds", lamp);
  for (const lamp of LAMP_NAMES) {
    mkdirSync(led(lamp), { recursive: true });
    for (const name of ["trigger", "brightness", "delay_on", "delay_off", "shot"]) writeFileSync(join(led(lamp), name), "");
    writeFileSync(join(led(lamp), "max_brightness"), "1\n");
  }
  const device = join(root, "watchdog0");
  writeFileSync(device, "");
  const lights = Object.fromEntries(LAMP_NAMES.map((lamp) => [lamp, { green: { led: lamp } }]));
  const buffer = new ArrayBuffer(planRegions(SESSIONS).totalBytes);
  const { header } = mapTables(buffer, SESSIONS);
  const log = keptLog();
  const micros = () => Math.floor(performance.now() * 1_000) + 1;
  header.i[headerWord("unit")] = 1;
  header.i[headerWord("role")] = 1;
  header.f[headerWord("startedAt") >> 1] = micros();
  const breathe = setInterval(() => {
    header.f[headerWord("breathAt") >> 1] = micros();
    header.f[headerWord("breaths") >> 1] = micros();
  }, 5);
  t.teardown(() => clearInterval(breathe));
  const front = startFront({
    board: { ...lab, lamps: { kind: "lights", ...lights }, watchdog: { device } },
    tables: new UnitTables(() => ({ buffer, sessions: SESSIONS, close: () => undefined }), SESSIONS),
    log,
    data: root,
    sysfs: root,
    machine: { nowMillis: () => Math.floor(performance.now()), monotonicMicros: micros },
  });
  const stored = setInterval(() => front.storeWrote(), 100);
  t.teardown(() => clearInterval(stored));
  const shot = join(led("status"), "shot");
  t.ok(await until(() => readFileSync(shot, "utf8") === "1"), "STATUS is armed");
  writeFileSync(shot, "");
  t.ok(await until(() => readFileSync(shot, "utf8") === "1"), "and armed again");
  t.ok(await until(() => readFileSync(device, "latin1").startsWith("\0\0")), "the watchdog is fed");
  t.equal(lastResetOf(root)?.cause, "first-start");
  front.stopFeeding();
  front.stop();
  t.match(readFileSync(device, "latin1"), /^\0+V$/);
  for (const lamp of LAMP_NAMES) t.equal(readFileSync(join(led(lamp), "trigger"), "utf8").slice(0, 4), "none", lamp);
  t.match(readFileSync(join(root, "last-reset.json"), "utf8"), /"isStopped":true/);
  t.same(
    log.lines.filter((line) => !line.startsWith("notice ")),
    [],
  );
});
