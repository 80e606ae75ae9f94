// The store: the process that keeps what shared memory cannot. It reads the unit's tables, read-only, and writes SQLite; nothing
// waits for it, and when it dies, nothing but history stops.
//
//   node firmware/store.ts --memory twinwall-A1 --data /run/twinwall/A1/data [--plan FILE]
//
// Messages of the manager, `{ happening }`, go into the event log; `{ wrote: true }` tells it every few seconds that the database takes
// writes, which its watchdog wants to know. It ends when its parent ends, and on SIGTERM, after a last complete checkpoint.

import { mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { mapTables, planRegions, SESSIONS } from "./fastpath/memory/tables.ts";
import { createClock } from "./hal/linux/clock.ts";
import { HalError } from "./hal/linux/failure.ts";
import { openReadOnly, snapshot } from "./hal/linux/memory.ts";
import { assertLimits } from "./limits.ts";
import { MEMORY_DIRECTORY } from "./manager/places.ts";
import { namesOfPlanFile } from "./store/live/names.ts";
import { type Attachment, type Happening, StoreLoop } from "./store/loop.ts";
import { openStore, proveWriting, STORE_FILE } from "./store/schema.ts";

const STEP_MILLIS = 20;
const FINISH_MILLIS = 2_000;
/** Steps between two proofs that the database takes writes: 5 s. */
const PROOF_EVERY = 250;
/** Steps between two tries to find a unit's memory. */
const ATTACH_EVERY = 10;
const ROW_BYTES = SESSIONS.strideWords * 4;

/** Identity of the file that has the memory's name now; 0 when there is none. */
function fileNumber(name: string): number {
  return statSync(join(MEMORY_DIRECTORY, name), { throwIfNoEntry: false })?.ino ?? 0;
}

function attach(name: string): Attachment | undefined {
  const number = fileNumber(name);
  if (number === 0) return undefined;
  try {
    const memory = openReadOnly(name);
    const offset = planRegions(memory.sessions).regions.get("sessions")?.offsetBytes as number;
    const source = {
      tables: mapTables(memory.buffer, memory.sessions),
      clock: createClock(),
      wallMillis: () => Date.now(),
      snapshot: (row: number, target: ArrayBuffer) => snapshot(memory.buffer, offset, ROW_BYTES, row, 1, target) === 0,
    };
    return { source, isCurrent: () => fileNumber(name) === number, detach: () => memory.close() };
  } catch (error) {
    // It is being created, or belongs to another version: the manager says so; here it is tried again.
    if (error instanceof HalError && error.code.startsWith("MEMORY_")) return undefined;
    throw error;
  }
}

function options(): { memory: string; data: string; plan: string } {
  const text = { type: "string" } as const;
  const { memory, data, plan } = parseArgs({ options: { memory: text, data: text, plan: text } }).values;
  if (memory === undefined || data === undefined) throw new Error("usage: store.ts --memory NAME --data DIR [--plan FILE]");
  return { memory, data, plan: plan ?? resolve(data, "..", "plan.json") };
}

function run(): void {
  const parent = process.ppid;
  assertLimits();
  const { memory, data, plan } = options();
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const { database, putAside } = openStore(join(data, STORE_FILE));
  if (putAside !== undefined)
    console.error(`store-put-aside: ${join(data, STORE_FILE)} could not be used (${putAside}) and was put aside; a new one was begun.`);
  let tries = 0;
  const loop = new StoreLoop({
    database,
    names: () => namesOfPlanFile(plan),
    attach: () => (tries++ % ATTACH_EVERY === 0 ? attach(memory) : undefined),
  });
  let stopping = false;
  const stop = (): void => {
    stopping = true;
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("disconnect", stop);
  process.on("message", (message: { readonly happening?: Happening }) => {
    if (message.happening !== undefined) loop.remember(message.happening);
  });
  let steps = 0;
  const step = (): void => {
    if (stopping || process.ppid !== parent) {
      loop.finish(FINISH_MILLIS);
      database.close();
      process.exit(0);
    }
    loop.step();
    if (steps++ % PROOF_EVERY === 0) {
      proveWriting(database);
      process.send?.({ wrote: true });
    }
    setTimeout(step, STEP_MILLIS);
  };
  step();
}

if (import.meta.main) run();
