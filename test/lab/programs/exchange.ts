// Many short conversations, each of a tuple of its own: the first packets of a session are what is being tried here.
//
//   node exchange.ts tcp|udp ADDRESS PORT COUNT CONCURRENCY [PAUSE_MILLIS [TRIES]]
//
// A TCP exchange connects, sends 32 bytes, reads them back and closes; a UDP exchange sends one datagram from a fresh port and
// waits for its echo. With one try, the default, nothing is sent twice; with more, each waits its share of the limit. stdout: {"done": N} ten times a second, at the end
// {"succeeded", "failed", "slowestMs", "error"?}.

import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

const [, , protocol = "tcp", address = "", portText = "0", countText = "0", concurrencyText = "1", pauseText = "0", triesText = "1"] = process.argv;
const port = Number(portText);
const count = Number(countText);
const LIMIT_MILLIS = 4_000;
/** UDP exchanges count their ports up from here: one that the kernel draws can come twice. */
const FIRST_PORT = 20_000;
const PAYLOAD = Buffer.from("twinwall: thirty-two bytes here.");

type Exchange = (done: (error?: Error) => void) => void;

const exchangeTcp: Exchange = (done) => {
  const socket = connect({ host: address, port });
  const echoed: Buffer[] = [];
  let length = 0;
  socket.setTimeout(LIMIT_MILLIS, () => socket.destroy(new Error("no answer")));
  socket.on("connect", () => socket.write(PAYLOAD));
  socket.on("data", (chunk) => {
    echoed.push(chunk);
    length += chunk.length;
    if (length >= PAYLOAD.length) socket.end();
  });
  socket.on("error", (error) => done(error));
  socket.on("close", (hadError) => {
    if (!hadError) done(Buffer.concat(echoed).equals(PAYLOAD) ? undefined : new Error("not echoed"));
  });
};

const exchangeUdp: Exchange = (done) => {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  const finish = (error?: Error): void => {
    clearTimeout(timer);
    socket.close();
    done(error);
  };
  let triesLeft = Number(triesText);
  let timer: NodeJS.Timeout | undefined;
  const send = (): void => {
    if (triesLeft-- === 0) {
      finish(new Error("no answer"));
      return;
    }
    timer = setTimeout(send, LIMIT_MILLIS / Number(triesText));
    socket.send(PAYLOAD, port, address);
  };
  socket.on("message", (bytes) => finish(bytes.equals(PAYLOAD) ? undefined : new Error("not echoed")));
  socket.on("error", finish);
  socket.bind(FIRST_PORT + (started % (60_000 - FIRST_PORT)), send);
};

const exchange = protocol === "udp" ? exchangeUdp : exchangeTcp;
let started = 0;
let succeeded = 0;
let failed = 0;
let slowestMs = 0;
let firstError: string | undefined;

function finish(): void {
  console.log(JSON.stringify({ succeeded, failed, slowestMs: Math.round(slowestMs), ...(firstError === undefined ? {} : { error: firstError }) }));
  process.exit(failed === 0 ? 0 : 1);
}

function startNext(): void {
  if (started === count) {
    if (succeeded + failed === count) finish();
    return;
  }
  started++;
  const startedAt = performance.now();
  exchange((error) => {
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    if (error === undefined) succeeded++;
    else {
      failed++;
      firstError ??= error.message;
    }
    setTimeout(startNext, Number(pauseText));
  });
}

setInterval(() => console.log(JSON.stringify({ done: succeeded + failed })), 100).unref();
for (let k = 0; k < Math.min(count, Number(concurrencyText)); k++) startNext();
