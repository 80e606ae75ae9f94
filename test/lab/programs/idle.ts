// A connection that says something, is silent, and says something again, each time when it is told to.
//
//   node idle.ts ADDRESS PORT KEEP_ALIVE_MILLIS      0: no keep-alive
//
// A line on stdin: sends 32 bytes to an echo service. stdout: {"connected": true}, then {"echoed": true} or {"echoed": false} per line
// of stdin, at the latest after 2 s.

import { connect } from "node:net";
import { createInterface } from "node:readline";

const [, , address = "", portText = "0", keepAliveText = "0"] = process.argv;
const LIMIT_MILLIS = 2_000;
const PAYLOAD = Buffer.from("twinwall: thirty-two bytes here.");
const say = (object: unknown): void => console.log(JSON.stringify(object));

const socket = connect({ host: address, port: Number(portText), noDelay: true });
let awaited = 0;
let timer: NodeJS.Timeout | undefined;
const answer = (echoed: boolean): void => {
  clearTimeout(timer);
  say({ echoed });
};
socket.on("connect", () => {
  if (Number(keepAliveText) > 0) socket.setKeepAlive(true, Number(keepAliveText));
  say({ connected: true });
});
socket.on("data", (bytes) => {
  awaited -= bytes.length;
  if (awaited === 0) answer(true);
});
socket.on("error", () => undefined);
createInterface({ input: process.stdin }).on("line", () => {
  awaited = PAYLOAD.length;
  timer = setTimeout(() => answer(false), LIMIT_MILLIS);
  socket.write(PAYLOAD);
});
