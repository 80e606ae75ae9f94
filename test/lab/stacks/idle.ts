// A long idle session with keep-alive. Time is scaled: the appliance's established limit of 7,440 s becomes 2.5 s, the hosts' usual
// keep-alive of 7,200 s becomes 1 s, and "long" is 5 s. Beside each session with keep-alive stands one without, which must have ended:
// it shows that the limit was at work.

import { setTimeout as pause } from "node:timers/promises";
import type { LabOptions } from "../configuration.ts";
import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ECHO_PORT, SERVICE3 } from "../picture.ts";
import { moveUserPath } from "../topology.ts";
import { type Running, startTool } from "./tools.ts";
import { dropsIn, mustDropOnly, WAYS } from "./ways.ts";

const LIMIT_MILLIS = 2_500;
const KEEP_ALIVE_MILLIS = 1_000;
const IDLE_MILLIS = 5_000;

export const IDLE_OPTIONS: LabOptions = { wiring: "routed", twin: true, idleMillis: { tcpEstablished: LIMIT_MILLIS } };

interface Quiet {
  readonly words: string;
  readonly keepsAlive: boolean;
  readonly connection: Running;
}

async function isEchoed({ connection }: Quiet): Promise<boolean> {
  connection.tell("again");
  return (await connection.next<{ echoed: boolean }>()).echoed;
}

export async function idle(lab: Lab): Promise<Measured> {
  moveUserPath("B");
  const before = dropsIn(lab);
  const quiet: Quiet[] = [];
  for (const way of WAYS) {
    for (const address of [SERVICE3.address4, SERVICE3.address6]) {
      for (const keepsAlive of [true, false]) {
        const connection = startTool(way.from, "idle.ts", [address, ECHO_PORT, keepsAlive ? KEEP_ALIVE_MILLIS : 0]);
        quiet.push({ words: `${way.words}, to ${address}`, keepsAlive, connection });
      }
    }
  }
  for (const each of quiet) {
    await each.connection.next();
    must(await isEchoed(each), `not even the first bytes came back ${each.words}`);
  }
  lab.say(
    `${quiet.length} sessions are silent for ${IDLE_MILLIS / 1_000} s; established ones end after ${LIMIT_MILLIS / 1_000} s; half of them send keep-alives each second`,
  );
  await pause(IDLE_MILLIS);
  for (const each of quiet) if (each.keepsAlive) must(await isEchoed(each), `the session with keep-alive did not live ${each.words}`);
  mustDropOnly(lab, before);
  lab.say("those with keep-alive go on; nothing was dropped");
  const outlived = await Promise.all(quiet.map(async (each) => !each.keepsAlive && (await isEchoed(each)) && each.words));
  must(!outlived.some(Boolean), `sessions without keep-alive outlived their limit: ${outlived.filter(Boolean).join("; ")}`);
  const drops = mustDropOnly(lab, before, ["no-session"]);
  must((drops.get("no-session") ?? 0) > 0, "what belongs to an ended session was not counted as no-session");
  return { detail: "with keep-alive they live, without it they end after the (scaled) idle limit" };
}
