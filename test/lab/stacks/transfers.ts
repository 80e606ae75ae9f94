// curl, ssh and iperf3: bulk and interactive TCP of programs that everybody has.

import { createHash, randomFillSync } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { RUN_DIRECTORY } from "../../../firmware/manager/places.ts";
import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { HTTP_PORT, SERVICE3, SSH_PORT } from "../picture.ts";
import { mebibytes, number } from "../scenarios.ts";
import { inNamespace } from "../topology.ts";
import { tool } from "./tools.ts";
import { bothWays, dropsIn, mustDropOnly } from "./ways.ts";

const CURL_BYTES = 6 << 20;
const SSH_BYTES = 8 << 20;
const SSHD = "/usr/sbin/sshd";
const IPERF_STREAMS = 8;
const IPERF_SECONDS = 2;
const SETTLE_MILLIS = 300;
const ADDRESSES = [SERVICE3.address4, SERVICE3.address6] as const;

/** How a host's address stands in a URL. */
export const inUrl = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** A file of random bytes in a folder that ends with the lab. */
export function randomFile(bytes: number): { readonly path: string; readonly sha256: string } {
  const content = randomFillSync(Buffer.allocUnsafe(bytes));
  const path = join(RUN_DIRECTORY, "random");
  writeFileSync(path, content);
  return { path, sha256: createHash("sha256").update(content).digest("hex") };
}

export async function curl(lab: Lab): Promise<Measured> {
  const file = randomFile(CURL_BYTES);
  let bytes = 0;
  await bothWays(lab, [], async ({ from }) => {
    for (const address of ADDRESSES) {
      const url = `http://${inUrl(address)}:${HTTP_PORT}/bytes`;
      const down = await tool(from, `curl -sS -g -D /dev/stderr '${url}/${CURL_BYTES}' 2>${RUN_DIRECTORY}/headers | sha256sum; cat ${RUN_DIRECTORY}/headers`);
      const [, received] = /^([0-9a-f]{64}) /.exec(down) ?? [];
      const [, sent] = /x-sha256: ([0-9a-f]{64})/i.exec(down) ?? [];
      must(received !== undefined && received === sent, `the download from ${address} is not what was sent`);
      const up = JSON.parse(await tool(from, `curl -sS -g --data-binary @${file.path} '${url}'`)) as { bytes: number; sha256: string };
      must(up.sha256 === file.sha256, `the upload to ${address} is not what was sent`);
      bytes += 2 * CURL_BYTES;
    }
    return `${mebibytes(CURL_BYTES)} down and up intact, over IPv4 and IPv6`;
  });
  return { bytes, detail: "downloads and uploads are intact; nothing was dropped" };
}

/** Starts sshd on service3, with keys that live as long as the lab. Returns ssh's options. */
function startSshd(): string {
  must(existsSync(SSHD), `${SSHD} is missing: apt-get install openssh-server (npm start does so only where CI=true, because it brings a service)`);
  const folder = join(RUN_DIRECTORY, "ssh");
  mkdirSync(folder, { recursive: true });
  const settings = [
    `Port ${SSH_PORT}`,
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/user.pub`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "UseDNS no",
    `PidFile ${folder}/pid`,
  ];
  writeFileSync(join(folder, "sshd_config"), `${settings.join("\n")}\n`);
  inNamespace(
    "service3",
    `mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f ${folder}/host
ssh-keygen -q -t ed25519 -N '' -f ${folder}/user
${SSHD} -f ${folder}/sshd_config -E ${folder}/log`,
  );
  return `-F none -i ${folder}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5`;
}

export async function ssh(lab: Lab): Promise<Measured> {
  const options = startSshd();
  const file = randomFile(SSH_BYTES);
  let bytes = 0;
  await bothWays(lab, [], async ({ from }) => {
    for (const address of ADDRESSES) {
      const remote = `ssh ${options} root@${address}`;
      const said = await tool(from, `${remote} 'echo here, $SSH_CONNECTION'`);
      must(said.startsWith("here, ") && said.includes(` ${address} `), `the command's answer was ${said}`);
      const up = await tool(from, `${remote} sha256sum < ${file.path}`);
      must(up.startsWith(file.sha256), "the stream up is not what was sent");
      const down = await tool(from, `${remote} cat ${file.path} | sha256sum`);
      must(down.startsWith(file.sha256), "the stream down is not what was sent");
      bytes += 2 * SSH_BYTES;
    }
    return `a command, then ${mebibytes(SSH_BYTES)} up and down intact, over IPv4 and IPv6`;
  });
  return { bytes, detail: "commands and streams are whole; nothing was dropped" };
}

interface IperfReport {
  readonly error?: string;
  readonly end: { readonly sum_received: { readonly bytes: number }; readonly streams: readonly { readonly receiver: { readonly bytes: number } }[] };
}

/**
 * iperf3's server ends a test by resetting its connections, and what is still under way then belongs to no session (F4); at the site
 * that did not see the reset it is asked about, at a limited rate.
 */
const AFTER_RESETS = ["no-session", "query-limited"];
/** Eight streams offer whatever the machine can carry; a full ring is how TCP learns that it was more. */
const RINGS_FULL = ["transmit-full", "handoff-full", "handoff-incomplete"];

export async function iperf(lab: Lab): Promise<Measured> {
  inNamespace("service3", "iperf3 --server --daemon >/dev/null");
  let bytes = 0;
  let overload = 0;
  await bothWays(lab, [...AFTER_RESETS, ...RINGS_FULL], async ({ from }) => {
    const seen: string[] = [];
    for (const [address, direction] of [
      [SERVICE3.address4, ""],
      [SERVICE3.address6, "--reverse"],
    ] as const) {
      // What was under way at the resets of the run before has arrived by then.
      await pause(SETTLE_MILLIS);
      const before = dropsIn(lab);
      const script = `iperf3 --client ${address} ${direction} --parallel ${IPERF_STREAMS} --time ${IPERF_SECONDS} --json`;
      const finished = tool(from, script);
      await Promise.race([finished, pause(IPERF_SECONDS * 500)]);
      for (const [, count] of mustDropOnly(lab, before, RINGS_FULL)) overload += count;
      const report = JSON.parse(await finished) as IperfReport;
      must(report.error === undefined, `iperf3 says: ${report.error}`);
      const starved = report.end.streams.filter(({ receiver }) => receiver.bytes === 0).length;
      must(report.end.streams.length === IPERF_STREAMS && starved === 0, `${starved} of ${IPERF_STREAMS} streams moved nothing`);
      bytes += report.end.sum_received.bytes;
      seen.push(`${mebibytes(report.end.sum_received.bytes)} ${direction === "" ? "up over IPv4" : "down over IPv6"}`);
    }
    return `${IPERF_STREAMS} streams, ${seen.join(", ")} in ${IPERF_SECONDS} s each`;
  });
  return { bytes, detail: `no stream starved or broke; before iperf3's own resets full rings dropped ${number(overload)}, nothing else was dropped` };
}
