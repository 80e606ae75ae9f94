// Asks an echo service for a datagram each 5 ms, and measures the longest time in which none came: what a takeover costs, without a
// sender that waits ever longer before it tries again, as TCP does.
//
//   node pulse.ts ADDRESS PORT MILLIS
//
// stdout: {"beating": true} with the first datagram, at the end {"received", "gapMs"}.

import { createSocket } from "node:dgram";

const [, , address = "", portText = "0", millisText = "0"] = process.argv;
/** Whoever has asked without an answer asks again. */
const ASK_AGAIN_MILLIS = 100;
const LIMIT_MILLIS = 3_000;

const say = (object: unknown): void => console.log(JSON.stringify(object));
const socket = createSocket("udp4");
let received = 0;
let gapMs = 0;
let lastAt = 0;

const ask = (): void => socket.send(`pulse ${millisText}`, Number(portText), address);
const asking = setInterval(ask, ASK_AGAIN_MILLIS);
const noteGap = (): void => {
  if (received > 0) gapMs = Math.max(gapMs, performance.now() - lastAt);
};
const end = (): void => {
  noteGap();
  say({ received, gapMs: Math.round(gapMs) });
  process.exit(received > 0 ? 0 : 1);
};
setTimeout(end, LIMIT_MILLIS + Number(millisText));
socket.on("message", () => {
  noteGap();
  lastAt = performance.now();
  if (received++ > 0) return;
  clearInterval(asking);
  say({ beating: true });
  setTimeout(end, Number(millisText));
});
ask();
