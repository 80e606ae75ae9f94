// Large UDP datagrams, which leave and arrive as fragments.
//
//   node datagrams.ts ADDRESS PORT BYTES COUNT
//
// Sends COUNT datagrams one after the other to an echo service, each up to three times: UDP repeats nothing, and a machine that
// stands still loses frames. stdout: {"intact", "lost", "repeated"}.

import { createHash, randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

const [, , address = "", portText = "0", bytesText = "0", countText = "0"] = process.argv;
const LIMIT_MILLIS = 600;
const TRIES = 3;
const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
let intact = 0;
let lost = 0;
let repeated = 0;

/** True when the datagram's own echo arrives in time; one of an earlier try or another datagram is not it. */
function isEchoed(bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (echoed: boolean): void => {
      clearTimeout(timer);
      socket.removeAllListeners("message");
      resolve(echoed);
    };
    const timer = setTimeout(() => finish(false), LIMIT_MILLIS);
    socket.on("message", (echo) => {
      if (hashOf(echo) === hashOf(bytes)) finish(true);
    });
    socket.send(bytes, Number(portText), address);
  });
}

for (let k = 0; k < Number(countText); k++) {
  const bytes = randomFillSync(Buffer.allocUnsafe(Number(bytesText)));
  let tries = 1;
  while (!(await isEchoed(bytes)) && tries <= TRIES) tries++;
  if (tries > TRIES) lost++;
  else intact++;
  repeated += Math.min(tries, TRIES) - 1;
}
console.log(JSON.stringify({ intact, lost, repeated }));
process.exit(0);
