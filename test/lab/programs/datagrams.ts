// Large UDP datagrams, which leave and arrive as fragments.
//
//   node datagrams.ts ADDRESS PORT BYTES COUNT
//
// Sends COUNT datagrams one after the other to an echo service, nothing twice. stdout: {"intact", "lost"}.

import { createHash, randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

const [, , address = "", portText = "0", bytesText = "0", countText = "0"] = process.argv;
const LIMIT_MILLIS = 500;
const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
let intact = 0;
let lost = 0;
for (let k = 0; k < Number(countText); k++) {
  const bytes = randomFillSync(Buffer.allocUnsafe(Number(bytesText)));
  const isEchoed = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), LIMIT_MILLIS);
    socket.once("message", (echo) => {
      clearTimeout(timer);
      resolve(hashOf(echo) === hashOf(bytes));
    });
    socket.send(bytes, Number(portText), address);
  });
  if (isEchoed) intact++;
  else lost++;
}
console.log(JSON.stringify({ intact, lost }));
process.exit(0);
