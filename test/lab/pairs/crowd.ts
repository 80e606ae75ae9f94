// As many sessions as the product's standard table holds, and the unit that owns them dies: none of them may be lost. All of them are
// tried afterwards, both ways, so that nobody has to believe a counter.
//
//   crowd (both ends, test/lab/programs/crowd.ts) ── zone one ── A1 ╳ A2 ── zone three ── crowd

import type { Lab } from "../lab.ts";
import { IS_FORWARDING, untilInStep } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ALL_UNITS, type LabUnit, ZONE_ONE, ZONE_THREE } from "../picture.ts";
import { number } from "../scenarios.ts";
import { startTool } from "../stacks/tools.ts";
import { addMachine, cable, inNamespace, SWITCHES } from "../topology.ts";
import { pairAt } from "./traffic.ts";

export const CROWD = 262_144;
/** Rows per unit: the crowd, and room for what ends and begins. */
export const CROWD_TABLE = 524_288;
/** A unit that two busy cores do not run for half the detection time rejoins, rightly, and with this many sessions that keeps them busier still. */
export const CROWD_HEARTBEAT_MILLIS = 100;
const TAKEOVER_LIMIT_MILLIS = 5_000;
/** Checkpoints of four units share this machine, too. */
const STEP_LIMIT_MILLIS = 60_000;

/** Live sessions of the crowd as a unit holds them, and a sum over identity and standing: equal sums, equal tables. */
const TABLE = `SELECT count(*) AS sessions, sum(id_serial * (id_serial + 31 * epoch + 7 * version)) AS sum FROM live_sessions WHERE state NOT IN ('free', 'tombstone')`;

interface Arrived {
  readonly arrived: number;
  readonly again: number;
}

/** The unit that owns the crowd's sessions dies; then each session must carry a packet each way. */
export async function crowdActiveKilled(lab: Lab): Promise<Measured> {
  addMachine("crowd", "A");
  inNamespace(SWITCHES, cable("a-three", "crowd-three", "crowd", "eth1", 1_500));
  inNamespace("crowd", "ip link set eth1 up");
  const crowd = startTool("crowd", "crowd.ts", [CROWD, "eth0", ZONE_ONE.gatewayMac, "eth1", ZONE_THREE.gatewayMac]);
  try {
    await crowd.next();
    crowd.tell("open");
    const { opened, again } = await crowd.next<{ opened: number; again: number }>();
    must(opened === CROWD, `only ${number(opened)} of ${number(CROWD)} sessions came up`);
    lab.say(`${number(opened)} sessions are up, half UDP, half TCP (${number(again)} packets sent again)`);
    await untilInStep(lab.units, ALL_UNITS, STEP_LIMIT_MILLIS);
    const before = mustHoldAll(lab, ALL_UNITS);
    const { active, standby } = await pairAt(lab, "A");
    lab.say(`every unit has acknowledged them, and all digests agree: ${before}`);
    const survivors = ALL_UNITS.filter((name) => name !== active);
    const created = survivors.map((name) => lab.units[name].counter("sessions-created"));
    lab.units[active].kill();
    const killedAt = performance.now();
    await lab.units[standby].until("active", IS_FORWARDING, TAKEOVER_LIMIT_MILLIS);
    lab.say(`${active} is killed whole; ${standby} is active ${Math.round(performance.now() - killedAt)} ms later`);
    // Replies first: the policy lets none of them make a session.
    let sentAgain = 0;
    for (const way of ["replies", "requests"]) {
      crowd.tell(way);
      const result = await crowd.next<Arrived>();
      sentAgain += result.again;
      lab.say(`${way}: ${number(result.arrived)} of ${number(CROWD)} came out at the other end (${number(result.again)} packets sent again)`);
      must(result.arrived === CROWD, `${number(CROWD - result.arrived)} of ${number(CROWD)} sessions are lost: their ${way} do not come through`);
    }
    const made = survivors.reduce((sum, name, k) => sum + lab.units[name].counter("sessions-created") - (created[k] as number), 0);
    must(made === 0, `${number(made)} sessions are not those that were there before, but were made anew`);
    await untilInStep(lab.units, survivors, STEP_LIMIT_MILLIS);
    const after = mustHoldAll(lab, survivors);
    lab.say(`the three survivors' digests agree: ${after}`);
    return {
      detail: `0 of ${number(CROWD)} sessions lost; a packet each way in each (${number(sentAgain)} sent again); digests equal`,
    };
  } finally {
    crowd.stop();
  }
}

/** What all of `names` hold alike, in words. Fails when one holds other sessions than another, or not all. */
function mustHoldAll(lab: Lab, names: readonly LabUnit[]): string {
  const tables = names.map((name) => JSON.stringify(lab.units[name].query(TABLE)[0]));
  const { sessions } = JSON.parse(tables[0] as string) as { sessions: number };
  must(
    tables.every((table) => table === tables[0]),
    `tables differ: ${names.map((name, k) => `${name} ${tables[k]}`).join(", ")}`,
  );
  must(sessions >= CROWD, `${names[0]} holds only ${number(sessions)} of ${number(CROWD)} sessions`);
  return `${number(sessions)} sessions in each`;
}
