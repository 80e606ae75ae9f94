// Large UDP datagrams: the hosts' kernels cut them into fragments, the units judge the datagram and forward the fragments as they came.

import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ECHO_PORT, SERVICE3 } from "../picture.ts";
import { startTool } from "./tools.ts";
import { bothWays, dropsIn, dropsSince, inWords } from "./ways.ts";

const SIZES = [2_000, 8_000, 30_000];
const COUNT = 5;

export async function datagrams(lab: Lab): Promise<Measured> {
  let bytes = 0;
  let repetitions = 0;
  await bothWays(lab, [], async ({ from }) => {
    for (const address of [SERVICE3.address4, SERVICE3.address6]) {
      for (const size of SIZES) {
        const before = dropsIn(lab);
        const echo = startTool(from, "datagrams.ts", [address, ECHO_PORT, size, COUNT]);
        const { intact, lost, repeated } = await echo.next<{ intact: number; lost: number; repeated: number }>();
        must(lost === 0, `of ${COUNT} datagrams of ${size} bytes to ${address} only ${intact} came back; dropped: ${inWords(dropsSince(lab, before))}`);
        repetitions += repeated;
        bytes += 2 * size * COUNT;
      }
    }
    return `datagrams of ${SIZES.join(", ")} bytes come back whole, over IPv4 and IPv6`;
  });
  return { bytes, detail: `every large datagram came back, ${repetitions} of them sent again; nothing was dropped` };
}
