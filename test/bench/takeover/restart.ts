// Restart: the packet process of a unit that stands alone is killed, its manager starts it again, and it goes on with its sessions, which
// lie in shared memory. What a paced flow misses, and how many sessions are left, by what arrives at hosts.

import { setTimeout as pause } from "node:timers/promises";
import { stopLab } from "../../lab/lab.ts";
import { tellProgress } from "../agent.ts";
import { alone, median, mustBeWhole, type Outcome } from "../result.ts";
import { startCrowd } from "./network.ts";
import { type Gaps, Pulse } from "./pulse.ts";
import { Twinwall } from "./twinwall.ts";

const NAME = "restart";
const SESSIONS = 262_144;
const QUICK_SESSIONS = 2_000;
const CRASHES = 5;
/** Three crashes within ten seconds are no accident, and the manager keeps the process down. */
const BETWEEN_MILLIS = 5_000;

export const RESTART_PARAGRAPH = `One unit with ${SESSIONS.toLocaleString("en-US")} sessions, half UDP, half TCP. Its packet process is killed, again and again; the manager starts it anew. The paced flow is a datagram each
millisecond both ways, and its gap the longest silence; TCP sends a request when the last one is answered. After each crash every server sends a packet to its client, which the rules permit in a
session only.`;

/** Runs inside the sandbox. */
export async function measureRestart(isQuick: boolean): Promise<Outcome> {
  const sessions = isQuick ? QUICK_SESSIONS : SESSIONS;
  const crashes = isQuick ? 1 : CRASHES;
  const gaps: Gaps[] = [];
  const kept: number[] = [];
  const unit = new Twinwall(["A1"]);
  try {
    tellProgress(0, `${sessions.toLocaleString("en-US")} sessions come up`);
    await unit.start();
    const pulse = await Pulse.start();
    const crowd = await startCrowd(sessions, unit.gatewayMacs);
    const opened = await crowd.open();
    if (opened < sessions) throw new Error(`bench: ${opened} of ${sessions} sessions came up`);
    for (let crash = 0; crash < crashes; crash++) {
      tellProgress((crash + 1) / (crashes + 1), `crash ${crash + 1} of ${crashes}`);
      if (crash > 0) await pause(BETWEEN_MILLIS);
      pulse.mark();
      unit.crash();
      gaps.push(await pulse.gaps());
      kept.push(await crowd.reply());
    }
    pulse.stop();
    crowd.stop();
  } finally {
    stopLab();
  }
  const paced = gaps.map(({ pacedMillis }) => pacedMillis);
  const exchanges = gaps.map(({ exchangeMillis }) => exchangeMillis);
  const spread = (values: readonly number[]): string => `${Math.min(...values).toFixed(0)} / ${median(values).toFixed(0)} / ${Math.max(...values).toFixed(0)}`;
  return {
    comparisons: [
      alone(NAME, "crash to forwarding, gap of a paced flow: ms", median(paced)),
      alone(NAME, "the same of TCP requests: ms", median(exchanges)),
      mustBeWhole(NAME, `sessions kept, of ${sessions.toLocaleString("en-US")}`, kept, sessions),
    ],
    charts: [],
    notes: [`of ${crashes} crashes, least / median / most: paced flow ${spread(paced)} ms, TCP requests ${spread(exchanges)} ms`],
  };
}
