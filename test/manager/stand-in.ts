// Stands in for dataplane.ts and store.ts where the manager is tested with real processes: owns the shared memory, says that
// its ports are open, takes commands, and writes what it was told to a file beside the plan.
//
// A dataplane that finds the file `crash` beside its plan exits at once.

import { appendFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { CommandReader } from "../../firmware/fastpath/memory/commands.ts";
import { COMMAND_STOP, headerWord, mapTables } from "../../firmware/fastpath/memory/tables.ts";
import { openUnitMemory } from "../../firmware/hal/linux/memory.ts";

const TICK_MILLIS = 5;
const SESSIONS = 1_024;

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { plan: text, memory: text, incarnation: text, doorbell: text, driver: text, data: text, "pair-keys": text, policy: text },
});
const note = (line: string): void => appendFileSync(join(dirname(values.plan as string), "told"), `${line}\n`);
process.on("SIGINT", () => undefined);

if (values.incarnation === undefined) {
  note("store started");
  process.on("message", () => undefined);
  process.on("SIGTERM", () => process.exit(0));
} else {
  if (existsSync(join(dirname(values.plan as string), "crash"))) process.exit(1);
  const memory = openUnitMemory(values.memory as string, SESSIONS);
  const tables = mapTables(memory.buffer, SESSIONS);
  const reader = new CommandReader(tables);
  reader.skip();
  if (!memory.adopted) tables.header.i[headerWord("incarnation")] = Number(values.incarnation);
  tables.header.f[headerWord("startedAt") >> 1] = Number(process.hrtime.bigint() / 1_000n);
  note(`dataplane started ${memory.adopted ? "adopting" : "empty"}`);
  setInterval(() => {
    for (let kind = reader.take(); kind !== 0; kind = reader.take()) {
      note(`command ${kind} ${reader.argument}`);
      if (kind === COMMAND_STOP) {
        tables.header.i[headerWord("clean")] = 1;
        process.exit(0);
      }
    }
  }, TICK_MILLIS);
}
