// A SYN flood at half the rate that forwarding alone sustains (F9), while transfers run. What forwarding sustains is measured first, in
// the same run and with the same generator, so that no figure of a machine stands here; rounds with and without flood alternate,
// so that what else the machine does falls on both. Transfers are paced: the medians of both are judged against what they ask for.
//
//   attacker (zone one) ── unit ── service3        sources 10.9.0.128–254: reached through the router, which throws answers away
//   user ── router ── B1 ── service3               the transfers, paced: they ask for the same rate in every round
//
// The attacker stands at site B, so that one unit sees flood and transfers; or at site A, so that SYNs enter through A1, their answers
// through B1, and the transfers' packets share B1 with those.

import { setTimeout as pause } from "node:timers/promises";
import { startDownload, type Transfer } from "../hosts.ts";
import type { Lab } from "../lab.ts";
import { type Measured, must } from "../measured.ts";
import { ECHO_PORT, HTTP_PORT, LAB_UNITS, SERVICE3, type SiteName, unitOf, ZONE_ONE } from "../picture.ts";
import { number } from "../scenarios.ts";
import { addMachine, inNamespace, moveUserPath } from "../topology.ts";
import type { Unit } from "../unit.ts";
import { type Running, startTool } from "./tools.ts";
import { dropsIn, dropsSince, inWords, mustDropOnly } from "./ways.ts";

const MEBIBYTE = 1 << 20;
const TRANSFERS = 4;
const BYTES_PER_SECOND = 2 * MEBIBYTE;
const ROUNDS = 3;
const ROUND_MILLIS = 1_000;
const WARM_MILLIS = 500;
const MEASUREMENTS = 6;
const MEASURE_MILLIS = 400;
const LEAST_SHARE = 0.8;
/** Without a flood the transfers must get what they ask for, or a comparison says nothing. */
const LEAST_QUIET_SHARE = 0.9;
/**
 * V8 sizes its heap as it sees fit: a unit that had seen 900 SYNs grew by 8 MiB, one with 135,000 by 9. What a flood must not do is
 * leave something behind per SYN: a row's 256 bytes each would be 20 MiB and more.
 */
const MEMORY_MOST_BYTES = 12 * MEBIBYTE;
const SPOOFED = "10.9.0.128/25";

/** What a flood may move: its own SYNs past the limit. Nothing of the transfers, and never `table-full`. */
const ALLOWED = ["half-open-limit"];

function startGenerator(kind: "syn" | "udp", port: number): Running {
  return startTool("attacker", "flood.ts", ["eth0", kind, ZONE_ONE.gatewayMac, "10.9.0", SERVICE3.address4, port]);
}

async function run(generator: Running, rate: number, millis: number): Promise<number> {
  generator.tell(`${rate} ${millis}`);
  return (await generator.next<{ sent: number }>()).sent;
}

/** How often a unit was not run for longer than half the detection time; it then throws its backlog away, and forwards nothing for a while. */
const pausesOf = (unit: Unit): number => unit.number("SELECT count(*) FROM live_events WHERE kind = 'loop-gap'");

/**
 * Packets per second that the unit forwards when more than that is sent, and nothing else happens. A measurement counts if the machine
 * ran the unit all the time.
 */
async function sustainedRate(lab: Lab, site: SiteName): Promise<number> {
  const unit = lab.units[unitOf(site)];
  const generator = startGenerator("udp", ECHO_PORT);
  await generator.next();
  await run(generator, 0, WARM_MILLIS);
  let rate = 0;
  for (let k = 0; k < MEASUREMENTS && rate === 0; k++) {
    const pauses = pausesOf(unit);
    const before = unit.counter("forwarded");
    const startedAt = performance.now();
    await run(generator, 0, MEASURE_MILLIS);
    if (pausesOf(unit) === pauses) rate = ((unit.counter("forwarded") - before) * 1_000) / (performance.now() - startedAt);
  }
  generator.stop();
  lab.say(`forwarding alone: ${number(Math.round(rate))} packets/s`);
  must(rate > 0, `this machine never ran ${unit.name} for ${MEASURE_MILLIS} ms, so that nothing can be measured`);
  return rate;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

const TRANSFER_SESSIONS = `SELECT id FROM sessions WHERE protocol = 'tcp' AND destination_port = ${HTTP_PORT} AND state = 'established' ORDER BY id`;
const sessionsOf = (lab: Lab): string => JSON.stringify(lab.units.B1.query(TRANSFER_SESSIONS));

/** Bytes that the transfers move while `body` runs, per second. */
async function rateDuring(transfers: readonly Transfer[], body: Promise<unknown>): Promise<number> {
  const received = (): number => transfers.reduce((sum, transfer) => sum + transfer.received(), 0);
  const before = received();
  const startedAt = performance.now();
  await body;
  return ((received() - before) * 1_000) / (performance.now() - startedAt);
}

export async function synFlood(lab: Lab, site: SiteName): Promise<Measured> {
  moveUserPath("B");
  addMachine("attacker", site);
  inNamespace("router", `ip route add blackhole ${SPOOFED}`);
  inNamespace(
    "service3",
    `nft 'table netdev sink { chain in { type filter hook ingress device eth0 priority 0; ip saddr ${SPOOFED} udp dport ${ECHO_PORT} drop; }; }'`,
  );
  const rate = Math.round((await sustainedRate(lab, site)) / 2);
  const bytes = TRANSFERS * BYTES_PER_SECOND * 20;
  const transfers = Array.from({ length: TRANSFERS }, () => startDownload("user", SERVICE3.address4, { bytes: bytes / TRANSFERS, rate: BYTES_PER_SECOND }));
  await Promise.all(transfers.map((transfer) => transfer.reached(MEBIBYTE / 2)));
  const attacker = startGenerator("syn", HTTP_PORT);
  await attacker.next();
  const before = dropsIn(lab);
  const sessions = sessionsOf(lab);
  let memory: readonly number[] = [];
  const [quietRates, floodedRates]: [number[], number[]] = [[], []];
  let sent = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const quiet = await rateDuring(transfers, pause(ROUND_MILLIS));
    const flood = run(attacker, rate, ROUND_MILLIS);
    const flooded = await rateDuring(transfers, flood);
    quietRates.push(quiet);
    floodedRates.push(flooded);
    sent += await flood;
    // The first round makes V8 compile and size its heap.
    if (round === 0) memory = LAB_UNITS.map((name) => lab.units[name].ownMemoryBytes());
    lab.say(`transfers move ${number(Math.round(quiet / 1_024))} KiB/s, under flood ${number(Math.round(flooded / 1_024))} KiB/s`);
  }
  const asked = TRANSFERS * BYTES_PER_SECOND;
  const quietShare = median(quietRates) / asked;
  const share = median(floodedRates) / asked;
  lab.say(`${number(sent)} SYNs at ${number(rate)}/s; dropped: ${inWords(dropsSince(lab, before))}`);
  must(sent >= (rate * ROUNDS * ROUND_MILLIS * 0.9) / 1_000, `the generator made only ${number(sent)} SYNs`);
  must(sessionsOf(lab) === sessions, "a session of the transfers is not what it was before the flood");
  const grown = LAB_UNITS.map((name, k) => lab.units[name].ownMemoryBytes() - (memory[k] as number));
  lab.say(`after the first round memory grew by ${LAB_UNITS.map((name, k) => `${Math.round((grown[k] as number) / 1_024)} KiB in ${name}`).join(", ")}`);
  must(
    grown.every((bytesMore) => bytesMore < MEMORY_MOST_BYTES),
    `memory is not flat: it grew by ${grown.map(number).join(" and ")} bytes`,
  );
  const drops = mustDropOnly(lab, before, ALLOWED);
  must((drops.get("half-open-limit") ?? 0) > 0, "the flood did not reach the half-open limit, so it showed nothing");
  must(
    quietShare >= LEAST_QUIET_SHARE,
    `without a flood, too, transfers got only ${Math.round(quietShare * 100)} % of the rate that they ask for: nothing can be compared`,
  );
  must(share >= LEAST_SHARE, `transfers kept only ${Math.round(share * 100)} % of their rate`);
  return { detail: `transfers keep ${Math.round(share * 100)} % of their rate; no row of theirs was evicted; memory is flat` };
}
