// What a takeover takes, from the unit's own account of it: cause, decision, first packet. TCP alone would not show it: its sender waits
// 200 ms and more before it tries again. So datagrams come all the time, by the site whose unit takes over.

import { takeoverMillis } from "../../firmware/fastpath/event-kinds.ts";
import { HEARTBEAT_MILLIS, HEARTBEAT_MISSES } from "../../firmware/limits.ts";
import { type Pulse, startPulse } from "./hosts.ts";
import type { Lab } from "./lab.ts";
import { type Measured, must } from "./measured.ts";
import { type LabUnit, SERVICE3 } from "./picture.ts";

/** Long enough for a death to be noticed and for a path to move. */
const PULSE_MILLIS = 1_000;
/** DESIGN.md §9: from the detection to the first packet through the new owner. */
const FIRST_PACKET_LIMIT_MILLIS = 50;
const DETECTION_MILLIS = HEARTBEAT_MILLIS * HEARTBEAT_MISSES;
/** A loop that is later than that with noticing is one that the machine does not run, which is an event of its own. */
const DECISION_LIMIT_MILLIS = DETECTION_MILLIS * 1.5;

/** Resolves when datagrams from service3 arrive at the user, one each 5 ms. */
export async function startTakeoverPulse(lab: Lab): Promise<Pulse> {
  const pulse = startPulse("user", SERVICE3.address4, PULSE_MILLIS);
  await pulse.beating;
  lab.say("service3 sends the user a datagram each 5 ms, too");
  return pulse;
}

/** What the takeover from `dead` took, as `heir` tells it; fails when that is too long. */
export async function judgeTakeover(lab: Lab, heir: LabUnit, dead: LabUnit, pulse: Pulse): Promise<Pick<Measured, "decidedMs" | "firstPacketMs">> {
  const { gapMs } = await pulse.finished;
  const value = lab.units[heir].number(`SELECT value FROM live_events WHERE kind = 'takeover' AND unit = '${dead}' ORDER BY at DESC LIMIT 1`);
  const [decidedMs, firstPacketMs] = takeoverMillis(value);
  const measured = { decidedMs, firstPacketMs };
  const told = `${heir} decided ${decidedMs} ms after the last sign of life of ${dead}, the first packet left ${firstPacketMs} ms later`;
  lab.say(`${told}; the user was without a datagram for ${gapMs} ms`);
  must(value > 0, `${heir} told of no takeover from ${dead}`);
  must(decidedMs <= DECISION_LIMIT_MILLIS, `${told}; a decision may take ${DECISION_LIMIT_MILLIS} ms`, measured);
  must(firstPacketMs <= FIRST_PACKET_LIMIT_MILLIS, `${told}; ${FIRST_PACKET_LIMIT_MILLIS} ms are allowed`, measured);
  return measured;
}

/** The same in a result's detail. */
export function inWords({ decidedMs = 0, firstPacketMs = 0 }: Pick<Measured, "decidedMs" | "firstPacketMs">): string {
  return `silent ${decidedMs} ms → decided → first packet ${firstPacketMs} ms later`;
}
