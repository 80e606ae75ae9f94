// The services of service1 and service3, on the kernel's own TCP and UDP:
//
//   http  GET /bytes/SIZE?rate=BYTES_PER_SECOND    SIZE random bytes, their sha256 in the header x-sha256
//         POST /bytes                              answers {"bytes", "sha256"} of what was sent
//         POST /stream?rate=BYTES_PER_SECOND       random bytes until the request ends, then their sha256 in the trailer x-sha256
//   echo  TCP and UDP: what comes in goes back; a datagram "pulse MILLIS" is answered by one each 5 ms, for so long
//
// Says "ready" on stdout when all of them listen, and runs until it is killed.

import { createHash, randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { ECHO_PORT, HTTP_PORT } from "../picture.ts";

/** Paced transfers hand over a slice this often. */
const SLICE_MILLIS = 5;
const PULSE_MILLIS = 5;

/** The lab's big file, and what streams are made of. */
const BIG_BYTES = 64 << 20;
const contents = new Map<number, { readonly bytes: Buffer; readonly sha256: string }>();

/** The same random bytes for the same size, as long as this process lives. */
function contentOf(size: number): { readonly bytes: Buffer; readonly sha256: string } {
  const known = contents.get(size);
  if (known !== undefined) return known;
  const bytes = randomFillSync(Buffer.allocUnsafe(size));
  const made = { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
  contents.set(size, made);
  return made;
}

/** Writes at `rate` bytes per second, so that a transfer lasts long enough to be broken in the middle; 0 is full speed. */
async function sendPaced(response: ServerResponse, bytes: Buffer, rate: number): Promise<void> {
  if (rate === 0) {
    response.end(bytes);
    return;
  }
  const started = performance.now();
  let sent = 0;
  while (sent < bytes.length && !response.destroyed) {
    const due = Math.min(bytes.length, Math.ceil(((performance.now() - started + SLICE_MILLIS) * rate) / 1_000));
    if (due > sent && !response.writableNeedDrain) {
      response.write(bytes.subarray(sent, due));
      sent = due;
    }
    await new Promise((resolve) => setTimeout(resolve, SLICE_MILLIS));
  }
  response.end();
}

/** Writes at `rate` bytes per second until the client has ended its request: a transfer that lasts as long as what it is to survive. */
async function stream(request: IncomingMessage, response: ServerResponse, rate: number): Promise<void> {
  const { bytes } = contentOf(BIG_BYTES);
  const hash = createHash("sha256");
  let isEnding = false;
  request.resume().on("end", () => {
    isEnding = true;
  });
  response.writeHead(200, { trailer: "x-sha256, x-bytes" });
  const started = performance.now();
  let sent = 0;
  while (!isEnding && !response.destroyed) {
    const due = Math.ceil(((performance.now() - started + SLICE_MILLIS) * rate) / 1_000);
    if (due > sent && !response.writableNeedDrain) {
      const at = sent % bytes.length;
      const slice = bytes.subarray(at, Math.min(at + due - sent, bytes.length));
      hash.update(slice);
      response.write(slice);
      sent += slice.length;
    }
    await new Promise((resolve) => setTimeout(resolve, SLICE_MILLIS));
  }
  response.addTrailers({ "x-sha256": hash.digest("hex"), "x-bytes": String(sent) });
  response.end();
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://lab");
  const rate = Number(url.searchParams.get("rate") ?? 0);
  if (request.method === "POST" && url.pathname === "/stream") return stream(request, response, rate);
  if (request.method === "POST") {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") }));
    return;
  }
  const size = Number(/^\/bytes\/(\d+)$/.exec(url.pathname)?.[1] ?? Number.NaN);
  if (!Number.isInteger(size) || size > 1 << 30) {
    response.writeHead(404).end("GET /bytes/SIZE\n");
    return;
  }
  const content = contentOf(size);
  response.writeHead(200, { "content-length": size, "x-sha256": content.sha256 });
  await sendPaced(response, content.bytes, rate);
}

function pulse(send: () => void, millis: number): void {
  const timer = setInterval(send, PULSE_MILLIS);
  setTimeout(() => clearInterval(timer), millis);
}

const http = createServer((request, response) => {
  answer(request, response).catch((error: Error) => response.destroy(error));
});
const tcp = createTcpServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
});
http.listen(HTTP_PORT, "::");
tcp.listen({ port: ECHO_PORT, host: "::", backlog: 4_096 });
const udp = (["udp4", "udp6"] as const).map((type) => {
  const socket = createSocket({ type, ipv6Only: type === "udp6", recvBufferSize: 4 << 20 });
  socket.on("message", (bytes, from) => {
    const millis = Number(/^pulse (\d+)$/.exec(bytes.toString("latin1"))?.[1] ?? 0);
    if (millis === 0) socket.send(bytes, from.port, from.address);
    else pulse(() => socket.send(bytes, from.port, from.address), millis);
  });
  socket.bind(ECHO_PORT);
  return socket;
});
await Promise.all([once(http, "listening"), once(tcp, "listening"), ...udp.map((socket) => once(socket, "listening"))]);
// It is ready before the first one asks for it.
contentOf(BIG_BYTES);
console.log("ready");
