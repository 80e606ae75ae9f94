// How soon a new session is a row at the second device: a datagram goes out, and its rows are counted until there is one more.
//
//   row-probe.ts COUNT memory FILE | socket PATH        prints an array of microseconds
//
// FILE: shared memory of the second unit; PATH: control socket of the second conntrackd.

import { createSocket } from "node:dgram";
import { createConnection } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { openLive } from "../../../firmware/store/live/open.ts";
import { SERVICE_PORT } from "../forwarding/stand.ts";

const [count, kind, place] = [Number(process.argv[2]), process.argv[3], process.argv[4] ?? ""];
const SOURCE = "16.0.0.1";
/** conntrackd's code for what `conntrackd -s` asks. */
const STATISTICS = 21;
const LIMIT_MICROS = 1_000_000;
/** So that no two are under way. */
const BETWEEN_MILLIS = 4;

function countInMemory(): () => Promise<number> {
  const live = openLive(place, { units: [], zones: [], ports: [], rules: [] });
  const rows = live.prepare("SELECT sessions_live - sessions_owned FROM live_header").pluck();
  return async () => {
    // Packets go out between two looks.
    await new Promise((resolve) => setImmediate(resolve));
    return rows.get() as number;
  };
}

function countByStatistics(): Promise<number> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(place);
    const question = Buffer.alloc(4);
    question.writeInt32LE(STATISTICS);
    let text = "";
    connection.on("connect", () => connection.write(question));
    connection.on("data", (data) => {
      text += data.toString();
    });
    connection.on("error", reject);
    connection.on("close", () => {
      const found = /cache external:\s+current active connections:\s+(\d+)/.exec(text)?.[1];
      if (found === undefined) reject(new Error(`conntrackd said: ${text}`));
      else resolve(Number(found));
    });
  });
}

const rowsThere = kind === "memory" ? countInMemory() : countByStatistics;
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(0, SOURCE, resolve));
const micros: number[] = [];
for (let k = 0; k < count; k++) {
  const before = await rowsThere();
  const since = performance.now();
  socket.send("x", SERVICE_PORT, `47.255.${k >> 8}.${k & 0xff}`);
  let passed = 0;
  do {
    const rows = await rowsThere();
    passed = (performance.now() - since) * 1_000;
    if (rows > before) break;
  } while (passed < LIMIT_MICROS);
  micros.push(passed);
  await pause(BETWEEN_MILLIS);
}
process.stdout.write(`${JSON.stringify(micros)}\n`);
socket.close();
