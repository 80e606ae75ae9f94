// One HTTP transfer over one TCP connection, with what can be seen from the outside: bytes, sha256, and the longest time in
// which nothing arrived. Nothing is tried again: what breaks the connection fails the transfer.
//
//   node download.ts URL [LIMIT_MILLIS]
//
// stdout, one JSON object per line: {"received": N} ten times a second, at the end {"bytes", "intact", "gapMs"} or {"error", …}.

import { createHash } from "node:crypto";
import { get } from "node:http";

const [, , url = "", limitText = "60000"] = process.argv;
const hash = createHash("sha256");
const started = performance.now();
let received = 0;
let gapMs = 0;
let lastByteAt = 0;

const say = (object: unknown): void => console.log(JSON.stringify(object));
const noteGap = (): void => {
  if (lastByteAt > 0) gapMs = Math.max(gapMs, performance.now() - lastByteAt);
};
const fail = (error: string): void => {
  noteGap();
  say({ error, bytes: received, intact: false, gapMs: Math.round(gapMs) });
  process.exit(1);
};

setInterval(() => say({ received }), 100).unref();
setTimeout(() => fail(`not complete after ${limitText} ms`), Number(limitText)).unref();
const request = get(url, { agent: false }, (response) => {
  response.on("data", (chunk: Buffer) => {
    noteGap();
    lastByteAt = performance.now();
    received += chunk.length;
    hash.update(chunk);
  });
  response.on("error", (error) => fail(error.message));
  response.on("end", () => {
    const intact =
      response.statusCode === 200 && hash.digest("hex") === response.headers["x-sha256"] && received === Number(response.headers["content-length"]);
    say({ bytes: received, intact, gapMs: Math.round(gapMs), durationMs: Math.round(performance.now() - started) });
    process.exit(intact ? 0 : 1);
  });
});
request.on("error", (error) => fail(error.message));
