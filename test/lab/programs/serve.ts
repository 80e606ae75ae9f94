// The services of service1 and service3, on the kernel's own TCP and UDP:
//
//   http  GET /bytes/SIZE?rate=BYTES_PER_SECOND    SIZE random bytes, their sha256 in the header x-sha256
//         POST /bytes                              answers {"bytes", "sha256"} of what was sent
//   echo  TCP and UDP: what comes in goes back
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

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://lab");
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
  await sendPaced(response, content.bytes, Number(url.searchParams.get("rate") ?? 0));
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
  socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(ECHO_PORT);
  return socket;
});
await Promise.all([once(http, "listening"), once(tcp, "listening"), ...udp.map((socket) => once(socket, "listening"))]);
// The lab's big file is ready before the first one asks for it.
contentOf(64 << 20);
console.log("ready");
