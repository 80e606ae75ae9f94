// Datagrams to an address, one each millisecond, and when the first of them arrives after its receiver was told to look out.
//
//   probe.ts beat ADDRESS PORT
//   probe.ts await PORT            a line on stdin: forgets; then prints {"atMicros": N} of the machine's monotonic clock, once

import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

const [role = "", ...rest] = process.argv.slice(2);
const socket = createSocket("udp4");
if (role === "beat") {
  const [address = "", port = ""] = rest;
  setInterval(() => socket.send("?", Number(port), address, () => undefined), 1);
} else {
  let isLookingOut = false;
  createInterface({ input: process.stdin }).on("line", () => {
    isLookingOut = true;
  });
  socket.on("message", () => {
    if (!isLookingOut) return;
    isLookingOut = false;
    process.stdout.write(`${JSON.stringify({ atMicros: Number(process.hrtime.bigint() / 1_000n) })}\n`);
  });
  socket.bind(Number(rest[0]), () => process.stdout.write("{}\n"));
}
