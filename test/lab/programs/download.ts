// One HTTP transfer over one TCP connection, with what can be seen from the outside: bytes, sha256, and the longest time in
// which nothing arrived. Nothing is tried again: what breaks the connection fails the transfer.
//
//   node download.ts URL [LIMIT_MILLIS]            a file, whole
//   node download.ts --stream URL [LIMIT_MILLIS]   what a service sends until it is told to end, over the same connection
//
// A stream is told to end by a line on stdin, "BYTES MILLIS": when so many more bytes are there, and all of it must be there so much later.
// stdout, one JSON object per line: {"received": N} ten times a second, at the end {"bytes", "intact", "gapMs"} or {"error", …}.

import { createHash } from "node:crypto";
import { request } from "node:http";
import { createInterface } from "node:readline";

const isStream = process.argv[2] === "--stream";
const [url = "", limitText = "60000"] = process.argv.slice(isStream ? 3 : 2);
const hash = createHash("sha256");
const started = performance.now();
let received = 0;
let gapMs = 0;
let lastByteAt = 0;
/** A stream is ended when so many bytes are there. */
let enough = Number.POSITIVE_INFINITY;

const say = (object: unknown): void => console.log(JSON.stringify(object));
const noteGap = (): void => {
  if (lastByteAt > 0) gapMs = Math.max(gapMs, performance.now() - lastByteAt);
};
const fail = (error: string): void => {
  noteGap();
  say({ error, bytes: received, intact: false, gapMs: Math.round(gapMs) });
  process.exit(1);
};
const failAfter = (millis: number): unknown => setTimeout(() => fail(`not complete after ${millis} ms`), millis).unref();

setInterval(() => say({ received }), 100).unref();
failAfter(Number(limitText));
const asked = request(url, { agent: false, method: isStream ? "POST" : "GET" }, (response) => {
  response.on("data", (chunk: Buffer) => {
    noteGap();
    lastByteAt = performance.now();
    received += chunk.length;
    hash.update(chunk);
    if (received >= enough && !asked.writableEnded) asked.end();
  });
  response.on("error", (error) => fail(error.message));
  response.on("end", () => {
    const said = isStream ? response.trailers : response.headers;
    const isWhole = received === Number(said[isStream ? "x-bytes" : "content-length"]);
    const intact = response.statusCode === 200 && isWhole && hash.digest("hex") === said["x-sha256"];
    say({ bytes: received, intact, gapMs: Math.round(gapMs), durationMs: Math.round(performance.now() - started) });
    process.exit(intact ? 0 : 1);
  });
});
asked.on("error", (error) => fail(error.message));
if (isStream) {
  asked.flushHeaders();
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [moreBytes = 0, millis = 0] = line.split(" ").map(Number);
    enough = received + moreBytes;
    failAfter(millis);
  });
} else asked.end();
