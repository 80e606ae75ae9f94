// Path-MTU discovery (RFC 1191, RFC 8201): a link behind the user's router that takes less than 1,500 bytes, and a port of the firewall
// that does. The sender must hear of it, whoever's session it is and wherever the error arrives, and the transfer must complete.
//
//   at the owner   user ── 1,400 ── router ── B1 ── service3     service3's packets are too big; the router's error meets B1, the owner
//   elsewhere      … the user's path moves to A, the link takes 1,300: the error meets A1, and the session is B1's
//   our own        user ── router ── B1 ── 1,400 ── service3     the sender's packets are too big for the unit's port: it says so itself

import type { LabOptions } from "../configuration.ts";
import { startDownload } from "../hosts.ts";
import type { Lab } from "../lab.ts";
import { Failure, type Measured, must } from "../measured.ts";
import { HTTP_PORT, SERVICE3, USER } from "../picture.ts";
import { inNamespace, moveUserPath } from "../topology.ts";
import { tool } from "./tools.ts";
import { inUrl, randomFile } from "./transfers.ts";
import { bothWays, dropsIn, mustDropOnly } from "./ways.ts";

const MEBIBYTE = 1 << 20;
const BYTES = 12 * MEBIBYTE;
const BYTES_PER_SECOND = 6 * MEBIBYTE;
const UPLOAD_BYTES = 4 * MEBIBYTE;
const LINK_BYTES = 1_400;
const NARROWER_LINK_BYTES = 1_300;

export const NARROW_PORT_OPTIONS: LabOptions = { wiring: "routed", twin: true, mtuBytesThree: LINK_BYTES };

/** The path MTU towards an address that a host has learnt; 0: none. */
function learntMtu(host: string, address: string): number {
  return Number(/ mtu (\d+)/.exec(inNamespace(host, `ip route get ${address}`))?.[1] ?? 0);
}

/** The router's link to the user takes no larger packets from now on; what comes the other way (acknowledgements) is small. */
function narrowUserLink(mtuBytes: number): void {
  inNamespace("router", `ip link set inner mtu ${mtuBytes}`);
}

export async function pathMtu(lab: Lab, version: 4 | 6): Promise<Measured> {
  const [server, user] = version === 4 ? [SERVICE3.address4, USER.address4] : [SERVICE3.address6, USER.address6];
  const before = dropsIn(lab);
  moveUserPath("B");
  narrowUserLink(LINK_BYTES);
  const transfer = startDownload("user", server, { bytes: BYTES, rate: BYTES_PER_SECOND, limitMillis: 12_000 });
  await transfer.reached(BYTES / 4);
  must(
    learntMtu("service3", user) === LINK_BYTES,
    `service3 sends ${learntMtu("service3", user)} bytes at the most, not ${LINK_BYTES}: it did not hear of the link`,
  );
  lab.say(`service3 has learnt that the path takes ${LINK_BYTES} bytes; the error arrived at B1, which owns the session`);
  const handed = lab.units.A1.counter("handed-off") + lab.units.A1.counter("queried");
  moveUserPath("A");
  narrowUserLink(NARROWER_LINK_BYTES);
  const { intact, gapMs, error, bytes } = await transfer.finished;
  const measured = { bytes, gapMs, handedOff: lab.units.A1.counter("handed-off") + lab.units.A1.counter("queried") - handed };
  if (!intact) throw new Failure(`the download broke: ${error ?? "its sha256 differs"}`, measured);
  const learnt = learntMtu("service3", user);
  must(learnt === NARROWER_LINK_BYTES, `service3 sends ${learnt} bytes at the most, not ${NARROWER_LINK_BYTES}: it did not hear of it through A1`, measured);
  must(measured.handedOff > 0, "A1 handed nothing to B1: the path did not move", measured);
  mustDropOnly(lab, before);
  lab.say(`the user's path moved to A and the link takes ${NARROWER_LINK_BYTES} bytes: service3 has learnt that, too, by an error that arrived at A1`);
  return { ...measured, detail: "errors arrive at the owner and at the other site; nothing was dropped" };
}

export async function narrowPort(lab: Lab): Promise<Measured> {
  const file = randomFile(UPLOAD_BYTES);
  let bytes = 0;
  await bothWays(lab, ["too-big"], async ({ from }) => {
    for (const address of [SERVICE3.address4, SERVICE3.address6]) {
      const up = JSON.parse(await tool(from, `curl -sS -g --data-binary @${file.path} 'http://${inUrl(address)}:${HTTP_PORT}/bytes'`)) as { sha256: string };
      must(up.sha256 === file.sha256, `the upload to ${address} is not what was sent`);
      must(learntMtu(from, address) === LINK_BYTES, `${from} was not told that ${LINK_BYTES} bytes are the most towards ${address}`);
      bytes += UPLOAD_BYTES;
    }
    return `the sender learnt of ${LINK_BYTES} bytes from the unit; uploads intact, over IPv4 and IPv6`;
  });
  return { bytes, detail: "the unit says too big itself; uploads complete" };
}
