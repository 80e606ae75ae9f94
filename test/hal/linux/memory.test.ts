// Shared memory: what is created, adopted, replaced and refused, and what it says.

import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { test } from "tap";
import { headerWord, MAGIC, mapTables, SESSIONS } from "../../../firmware/fastpath/memory/tables.ts";
import { attachUnitMemory, openReadOnly, openUnitMemory, privateArea, removeUnitMemory, snapshot } from "../../../firmware/hal/linux/memory.ts";
import { runProgram } from "./program.ts";

const NAME = `hal-test-${process.pid}`;
const ROWS = 1024;
const PATH = `/dev/shm/${NAME}`;

function overwriteHeader(field: string, value: number): void {
  const descriptor = openSync(PATH, "r+");
  writeSync(descriptor, new Int32Array([value]), 0, 4, headerWord(field) * 4);
  closeSync(descriptor);
}

test("shared memory", async (t) => {
  t.teardown(() => removeUnitMemory(NAME));

  await t.test("reading a unit that was never started says so", async (t) => {
    t.throws(() => openReadOnly(NAME), { code: "MEMORY_ABSENT", message: /has not been started/ });
  });

  await t.test("a new area is zero, private to its user, and has its whole size at once", async (t) => {
    const memory = openUnitMemory(NAME, ROWS);
    t.equal(memory.adopted, false);
    t.equal(statSync(PATH).mode & 0o777, 0o600);
    t.equal(statSync(PATH).size, memory.buffer.byteLength);
    t.ok(statSync(PATH).blocks * 512 >= memory.buffer.byteLength, "allocated, so that no store can fault");
    const { header, sessions } = mapTables(memory.buffer, ROWS);
    t.equal((header.i[headerWord("magic")] as number) >>> 0, MAGIC);
    t.equal(sessions.i[5 * SESSIONS.strideWords], 0);
    sessions.i[5 * SESSIONS.strideWords + 1] = 77;
    memory.close();
  });

  await t.test("the next dataplane adopts it, rows and all", async (t) => {
    const memory = openUnitMemory(NAME, ROWS);
    t.equal(memory.adopted, true);
    t.equal(memory.replaced, undefined);
    t.equal(mapTables(memory.buffer, ROWS).sessions.i[5 * SESSIONS.strideWords + 1], 77);
    memory.close();
  });

  await t.test("readers and the owner see the same rows", async (t) => {
    const memory = openUnitMemory(NAME, ROWS);
    const reader = openReadOnly(NAME);
    const manager = attachUnitMemory(NAME, "write");
    t.equal(reader.sessions, ROWS);
    mapTables(memory.buffer, ROWS).sessions.i[3] = 1234;
    t.equal(mapTables(reader.buffer, ROWS).sessions.i[3], 1234);
    mapTables(manager.buffer, ROWS).commands.i[1] = 5;
    t.equal(mapTables(memory.buffer, ROWS).commands.i[1], 5);
    for (const each of [manager, reader, memory]) each.close();
    t.equal(memory.buffer.byteLength, 0, "a closed area is detached");
  });

  await t.test("a second dataplane is refused", async (t) => {
    const memory = openUnitMemory(NAME, ROWS);
    t.throws(() => openUnitMemory(NAME, ROWS), { code: "MEMORY_IN_USE", message: /belongs to a running dataplane/ });
    memory.close();
  });

  await t.test("the owner's death by kill -9 frees the area for adoption", async (t) => {
    const program = `
      import { openUnitMemory } from "../../../firmware/hal/linux/memory.ts";
      new Int32Array(openUnitMemory("${NAME}", ${ROWS}).buffer)[1024 * 3] = 99;
      console.log("ready");
      setInterval(() => {}, 1000);`;
    const child = runProgram(program);
    await child.line("ready");
    t.throws(() => openUnitMemory(NAME, ROWS), { code: "MEMORY_IN_USE" });
    await child.kill();
    const memory = openUnitMemory(NAME, ROWS);
    t.equal(memory.adopted, true);
    t.equal(new Int32Array(memory.buffer)[1024 * 3], 99);
    memory.close();
  });

  await t.test("another capacity replaces the area, and says why", async (t) => {
    t.throws(() => openUnitMemory(`no/${NAME}`, ROWS), { code: "MEMORY_SYSTEM", message: /is no name/ });
    const memory = openUnitMemory(NAME, ROWS * 2);
    t.equal(memory.adopted, false);
    t.match(memory.replaced, /it holds 1024 sessions, and 2048 are configured/);
    memory.close();
  });

  await t.test("another layout replaces the area; a reader of the old version is told", async (t) => {
    overwriteHeader("layout", 0x1234);
    t.throws(() => openReadOnly(NAME), { code: "MEMORY_MISMATCH", message: /table layout 0x00001234, and this version has/ });
    const memory = openUnitMemory(NAME, ROWS);
    t.match(memory.replaced, /table layout 0x00001234/);
    memory.close();
  });

  await t.test("an area whose creator died before the end is replaced", async (t) => {
    overwriteHeader("magic", 0);
    const memory = openUnitMemory(NAME, ROWS);
    t.match(memory.replaced, /creation was not finished/);
    memory.close();
  });

  await t.test("more than the machine has is refused, and nothing stays behind", async (t) => {
    removeUnitMemory(NAME);
    t.throws(() => openUnitMemory(NAME, 2 ** 30), { code: "MEMORY_NO_SPACE", message: /configure fewer/ });
    t.throws(() => statSync(PATH), { code: "ENOENT" });
  });
});

test("a snapshot copies rows that hold still and leaves out a row whose writer died in mid-change", async (t) => {
  const source = new ArrayBuffer(4096 + 4 * 256);
  const words = new Int32Array(source, 4096);
  for (let row = 0; row < 4; row++) words.fill(row + 10, row * 64 + 1, row * 64 + 64).fill(row === 2 ? 3 : 4, row * 64, row * 64 + 1);
  const target = new ArrayBuffer(3 * 256);
  t.equal(snapshot(source, 4096, 256, 1, 3, target), 1);
  const copied = new Int32Array(target);
  t.same([copied[0], copied[1], copied[63]], [4, 11, 11]);
  t.same([copied[64], copied[65]], [0, 0], "the torn row reads as never used");
  t.same([copied[128], copied[129]], [4, 13]);
  t.throws(() => snapshot(source, 4096, 256, 2, 3, target), /outside the area/);
});

test("private memory is zero", async (t) => {
  const area = privateArea(4 * 1024 * 1024);
  t.equal(area.byteLength, 4 * 1024 * 1024);
  t.ok(new BigInt64Array(area).every((value) => value === 0n));
});
