// Linux's own TCP under loss and reordering: 1 % of the frames on the user's line are lost, 1 % are overtaken, in both directions. What
// the hosts do about it (retransmissions, selective acknowledgements, duplicates, gaps) must all lie within what the units expect.
//
//   user ── relay (loses, reorders) ── router ── leg B or A ── units ── service3
//
// Downloads lose behind the units, so that they see repetitions of what they let through; uploads lose before them, so that they
// see gaps and stragglers.

import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { HTTP_PORT, SERVICE3 } from "../picture.ts";
import { mebibytes, number } from "../scenarios.ts";
import { insertIntoUserLine, moveUserPath } from "../topology.ts";
import { startTool, tool } from "./tools.ts";
import { inUrl, randomFile } from "./transfers.ts";
import { dropsIn, inWords, mustDropOnly } from "./ways.ts";

const SEED = 20_261;
const LOST_PER_MILLE = 10;
const OVERTAKEN_PER_MILLE = 10;
const BYTES = 4 << 20;
const AT_A_TIME = 3;
/** What was overtaken by the end of its own connection: all of it has been acknowledged, and F4 lets nothing pass after a close. */
const AFTER_THE_END = ["tcp-straggler"];

interface Faults {
  readonly passed: number;
  readonly lost: number;
  readonly overtaken: number;
}

export async function loss(lab: Lab): Promise<Measured> {
  insertIntoUserLine("relay");
  const relay = startTool("relay", "relay.ts", ["left", "right", SEED, LOST_PER_MILLE, OVERTAKEN_PER_MILLE]);
  await relay.next();
  const file = randomFile(BYTES);
  const before = dropsIn(lab);
  let bytes = 0;
  for (const site of ["B", "A"] as const) {
    moveUserPath(site);
    for (const address of [SERVICE3.address4, SERVICE3.address6]) {
      const url = `http://${inUrl(address)}:${HTTP_PORT}/bytes`;
      const script = [
        ...Array.from({ length: AT_A_TIME }, () => `curl -sS -g -o /dev/null -w '%{http_code} %{size_download}\\n' '${url}/${BYTES}'`),
        ...Array.from({ length: AT_A_TIME }, () => `curl -sS -g --data-binary @${file.path} '${url}'; echo`),
      ];
      const said = await tool("user", `${script.map((line) => `(${line}) &`).join("\n")}\nwait`);
      must(said.split(`200 ${BYTES}\n`).length - 1 === AT_A_TIME, `not every download from ${address} completed: ${said}`);
      must(said.split(file.sha256).length - 1 === AT_A_TIME, `not every upload to ${address} completed: ${said}`);
      bytes += 2 * AT_A_TIME * BYTES;
      mustDropOnly(lab, before, AFTER_THE_END);
    }
    lab.say(
      `${2 * AT_A_TIME} transfers at a time of ${mebibytes(BYTES)} ${site === "B" ? "through B1 alone" : "by A1 and B1"}, over IPv4 and IPv6: nothing was taken for an intruder's`,
    );
  }
  relay.tell("how many?");
  const { passed, lost, overtaken } = await relay.next<Faults>();
  lab.say(`the line lost ${number(lost)} and delayed ${number(overtaken)} of ${number(passed + lost)} frames`);
  must(lost > 100 && overtaken > 100, "the line was too good to show anything");
  const drops = mustDropOnly(lab, before, AFTER_THE_END);
  return { bytes, detail: `${number(lost)} frames lost, ${number(overtaken)} overtaken; dropped: ${inWords(drops)}` };
}
