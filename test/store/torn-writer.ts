// Child process of torn.test.ts: rewrites rows of a shared file as fast as it can under the sequence lock, so that each whole
// row has one number everywhere. It writes through `pwrite`, in three pieces, with the lock word odd meanwhile.

import { openSync, writeSync } from "node:fs";
import { planRegions, SESSIONS } from "../../firmware/fastpath/memory/tables.ts";

const [file, sessions, millis] = process.argv.slice(2) as [string, string, string];
const descriptor = openSync(file, "r+");
const offset = planRegions(Number(sessions)).regions.get("sessions")?.offsetBytes as number;
const row = new Int32Array(SESSIONS.strideWords);
const bytes = new Uint8Array(row.buffer);
const end = performance.now() + Number(millis);
let generation = 2;
for (let round = 1; performance.now() < end; round++) {
  const at = offset + (round % Number(sessions)) * bytes.length;
  row.fill(0x01010101 * (1 + (round % 100)));
  row[0] = ++generation | 1;
  generation = row[0] as number;
  writeSync(descriptor, bytes, 0, 4, at);
  writeSync(descriptor, bytes, 4, 120, at + 4);
  writeSync(descriptor, bytes, 124, 132, at + 124);
  row[0] = ++generation;
  writeSync(descriptor, bytes, 0, 4, at);
}
