import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { openLive } from "../../firmware/store/live/open.ts";
import { makeArea, putSession, temporaryDirectory, writeArea } from "./area.ts";
import { buildLiveModule } from "./native.ts";

buildLiveModule();

const SESSIONS = 8;
const MILLIS = 1_500;

test("no row is ever read half changed while another process rewrites them", async (t) => {
  const file = join(temporaryDirectory(t, "torn"), "memory");
  const area = makeArea(SESSIONS);
  for (let row = 0; row < SESSIONS; row++) putSession(area, row);
  area.tables.sessions.i.fill(0x01010101);
  for (let row = 0; row < SESSIONS; row++) area.tables.sessions.i[row * 64] = 2;
  writeArea(area, file);
  const writer = spawn(process.execPath, [fileURLToPath(new URL("torn-writer.ts", import.meta.url)), file, String(SESSIONS), String(MILLIS)], {
    stdio: "inherit",
  });
  const ended = once(writer, "exit");
  const database = openLive(file);
  t.teardown(() => database.close());
  // Words 1, 31 and 63: the writer's pieces end between them.
  const query = database.prepare("SELECT originator_hash AS first, responder_rewrite AS middle, adopted AS last FROM live_sessions");
  let torn = 0;
  let changes = 0;
  let before = 0;
  while (writer.exitCode === null) {
    for (let k = 0; k < 500; k++) {
      for (const row of query.all() as { first: number; middle: number; last: number }[]) {
        if (row.first !== row.middle || row.middle !== row.last) torn++;
        if (row.first !== before) changes++;
        before = row.first;
      }
    }
    await new Promise((resume) => setImmediate(resume));
  }
  await ended;
  t.equal(torn, 0);
  t.ok(changes > 100, "the writer was seen at work");
});
