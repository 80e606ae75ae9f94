// The manager with real processes (stand-ins) and real shared memory: what a kill, a stop and a manager's own death do.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { board as lab } from "../../board/lab.ts";
import { headerWord, mapTables } from "../../firmware/fastpath/memory/tables.ts";
import { attachUnitMemory, openUnitMemory, removeUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { createLog } from "../../firmware/manager/log.ts";
import { createMachine } from "../../firmware/manager/machine.ts";
import { placesOf } from "../../firmware/manager/places.ts";
import { openUnitDirectory, readIfThere } from "../../firmware/manager/run-dir.ts";
import { UnitTables } from "../../firmware/manager/tables.ts";
import { UnitManager } from "../../firmware/manager/unit.ts";

const STAND_IN = join(import.meta.dirname, "stand-in.ts");
const SESSIONS = 1_024;
const LOOK_MILLIS = 10;

/** A unit's directory and memory, removed after the test. */
function place(t: Test) {
  const path = mkdtempSync(join(tmpdir(), "twinwall-manager-"));
  const places = placesOf("A1", path, {});
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
    removeUnitMemory(places.memoryName);
  });
  return { places, directory: openUnitDirectory(path), told: (): string[] => (readIfThere(join(path, "told")) ?? "").split("\n").filter(Boolean) };
}

/** One manager's life at a place. */
function manage({ places, directory }: ReturnType<typeof place>, samePlan = true) {
  const codes: string[] = [];
  const texts: string[] = [];
  const waiting: { readonly code: string; readonly count: number; readonly done: () => void }[] = [];
  const heard = (code: string): number => codes.filter((other) => other === code).length;
  const log = createLog("A1", () => new Date(0), [
    (happening) => {
      codes.push(happening.code);
      texts.push(happening.text);
      for (const wait of waiting) if (heard(wait.code) >= wait.count) wait.done();
    },
  ]);
  const machine = createMachine({
    places,
    directory,
    board: { ...lab, dataplane: { nice: 0 } },
    onStoreWrote: () => undefined,
    programs: { dataplane: STAND_IN, store: STAND_IN, compiler: STAND_IN },
    driver: "",
    samePlan,
  });
  const manager = new UnitManager({
    log,
    machine,
    tables: new UnitTables(() => attachUnitMemory(places.memoryName, "write"), SESSIONS),
    revision: 1,
    sessions: SESSIONS,
    announceRestart: () => undefined,
  });
  const until = (code: string, count = 1): Promise<void> => new Promise((done) => (heard(code) >= count ? done() : waiting.push({ code, count, done })));
  return { manager, machine, codes, texts, until };
}

function headerOf(memoryName: string, field: string): number {
  const memory = attachUnitMemory(memoryName, "read");
  const value = mapTables(memory.buffer, memory.sessions).header.i[headerWord(field)] as number;
  memory.close();
  return value;
}

async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, LOOK_MILLIS));
}

test("a killed dataplane is restarted, adopts its tables and keeps its incarnation", async (t) => {
  const here = place(t);
  const { manager, machine, until } = manage(here);
  await manager.start();
  await until("dataplane-ready");
  const incarnation = headerOf(here.places.memoryName, "incarnation");
  process.kill(manager.dataplane.child?.pid as number, "SIGKILL");
  await until("dataplane-ready", 2);
  t.same(
    here.told().filter((line) => line.startsWith("dataplane")),
    ["dataplane started empty", "dataplane started adopting"],
  );
  t.equal(headerOf(here.places.memoryName, "incarnation"), incarnation);
  t.equal(Number(readFileSync(join(here.directory.data, "incarnation"), "utf8")), incarnation + 1, "the number reserved for the second start is skipped");
  await manager.stop();
  machine.close();
});

test("a stop detaches cleanly, and nothing is left running", async (t) => {
  const here = place(t);
  const { manager, machine, until, codes } = manage(here);
  await manager.start();
  await until("dataplane-ready");
  const pid = manager.dataplane.child?.pid as number;
  await manager.stop();
  t.equal(headerOf(here.places.memoryName, "clean"), 1);
  t.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  t.notOk(codes.includes("dataplane-killed"));
  machine.close();
});

test("a dataplane that crashes at each start stays down", async (t) => {
  const here = place(t);
  writeFileSync(join(here.places.directory, "crash"), "");
  const { manager, machine, until } = manage(here);
  await manager.start();
  await until("fail-closed");
  t.equal(manager.dataplane.state, "failed");
  await manager.stop();
  machine.close();
});

test("tables of another layout are replaced by empty ones, and that is said with both layouts", async (t) => {
  const here = place(t);
  const memory = openUnitMemory(here.places.memoryName, SESSIONS);
  mapTables(memory.buffer, SESSIONS).header.i[headerWord("layout")] = 1;
  memory.close();
  const { manager, machine, until, texts } = manage(here);
  await manager.start();
  await until("dataplane-ready");
  t.match(texts[0], /it has the table layout 0x00000001, and this version has 0x[0-9a-f]{8}.*replaced by empty ones/);
  t.ok(here.told().includes("dataplane started empty"));
  await manager.stop();
  machine.close();
});

test("a manager that comes back keeps the dataplane that runs", async (t) => {
  const here = place(t);
  const first = manage(here);
  await first.manager.start();
  await first.until("dataplane-ready");
  const stores = (): number => here.told().filter((line) => line === "store started").length;
  await eventually(() => stores() === 1);
  const pid = first.manager.dataplane.child?.pid;
  // The first manager is as good as dead from here on: it does nothing until the dataplane's exit, which it takes for a stop.
  first.manager.dataplane.state = "stopping";
  first.manager.store.state = "stopping";
  const second = manage(here);
  await second.manager.start();
  t.equal(second.manager.dataplane.child?.pid, pid);
  await eventually(() => stores() === 2);
  await second.manager.stop();
  t.ok(here.told().includes("command 1 0"), "and can stop it");
  first.machine.close();
  second.machine.close();
});
