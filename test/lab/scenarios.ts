// What the lab shows, once: this list serves `npm start`, the tests and the README. A scenario gets a fresh lab, tells what
// happens as it happens, and returns what it measured; it fails by throwing a Failure, with what was measured until then.

import { setTimeout as pause } from "node:timers/promises";
import type { LabOptions } from "./configuration.ts";
import { type ExchangeOptions, type ExchangeResult, exchangeWith, startDownload, type Transfer, type TransferResult } from "./hosts.ts";
import { IS_FORWARDING, inStepWith, type Lab } from "./lab.ts";
import { Failure, type Measured, must } from "./measured.ts";
import { type LabHost, SERVICE3 } from "./picture.ts";
import type { AnyName } from "./result.ts";
import { inWords, judgeTakeover, startTakeoverPulse } from "./takeover.ts";
import { inNamespace, lostOnCables, moveUserPath, packetsOnWire, setTwinLink } from "./topology.ts";
import type { Unit } from "./unit.ts";

export interface Scenario {
  readonly name: AnyName;
  /** What it shows, in a sentence for README and progress. */
  readonly sentence: string;
  readonly options: LabOptions;
  readonly run: (lab: Lab) => Promise<Measured>;
  /** Puts everything right again after a run that passed, so that the same lab can have the next one; without it each run gets a fresh lab. */
  readonly restore?: (lab: Lab) => Promise<void>;
}

const MEBIBYTE = 1 << 20;
const SHORT_CONVERSATIONS = 2_000;
const CONVERSATIONS_AT_A_TIME = 16;
/** Slow enough that a transfer of 64 MiB lasts while things break. */
const PACED_BYTES_PER_SECOND = 16 * MEBIBYTE;
const SLOWLY_PACED_BYTES_PER_SECOND = 8 * MEBIBYTE;

export const number = (value: number): string => value.toLocaleString("en-US");
export const mebibytes = (bytes: number): string => `${Math.round(bytes / MEBIBYTE)} MiB`;

/** Counters of both units that tell how replies went; differences are what a scenario checks. */
interface Replies {
  readonly onWire: number;
  readonly handedOff: number;
  readonly queried: number;
  readonly handedHere: number;
  readonly handedBack: number;
  /** Frames that found a receive ring full, on the cable or in the port. */
  readonly missedByA1: number;
  readonly missedByB1: number;
  /** Packets that a unit threw away because it had stood still and rejoined. */
  readonly discardedByA1: number;
  readonly discardedByB1: number;
  /** Packets that B1 judged and sent on by itself. */
  readonly judgedByB1: number;
}

/** Frames that found a port's receive ring full. */
export const MISSED = "SELECT sum(receive_missed) FROM live_ports";

const DISCARDED = "SELECT sum(value) FROM counters WHERE name IN ('backlog-discarded', 'rejoining')";

function countReplies({ units }: Lab, protocol: "tcp" | "udp"): Replies {
  const { A1, B1 } = units;
  return {
    onWire: packetsOnWire("service3", protocol),
    handedOff: B1.counter("handed-off"),
    queried: B1.counter("queried"),
    handedHere: A1.counter("handed-here"),
    handedBack: A1.counter("handed-back-none") + A1.counter("handed-back-owner"),
    missedByA1: A1.number(MISSED) + lostOnCables("A1"),
    missedByB1: B1.number(MISSED) + lostOnCables("B1"),
    discardedByA1: A1.number(DISCARDED),
    discardedByB1: B1.number(DISCARDED),
    // A wire emits what it let in, also what A1 judged for it and gave back.
    judgedByB1: B1.counter("forwarded") - A1.counter("handed-back-judged"),
  };
}

function difference(after: Replies, before: Replies): Replies {
  const names = Object.keys(after) as (keyof Replies)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as Replies;
}

/**
 * Every reply that B1 saw went to A1 exactly once, A1 took every one, and B1 judged none by itself. What a full ring lost, or a unit
 * that the machine did not run threw away, is allowed for: the sender repeats it.
 */
function mustHandOffOnce(replies: Replies, measured: Partial<Measured>): void {
  const { onWire, handedOff, queried, handedHere, handedBack, judgedByB1 } = replies;
  const lostAtB1 = replies.missedByB1 + replies.discardedByB1;
  const lostAtA1 = replies.missedByA1 + replies.discardedByA1;
  must(onWire > 0, "no reply was seen on the wire", measured);
  const moved = handedOff + queried;
  const sum = `${number(onWire)} replies on the wire, ${number(lostAtB1)} lost before B1 judged them, ${number(handedOff)} handed off, ${number(queried)} asked about`;
  must(moved <= onWire && onWire - moved <= lostAtB1, `not every reply was handed off once: ${sum}`, measured);
  const taken = `A1 took ${number(handedHere)} of ${number(moved)} packets that B1 handed to it, ${number(lostAtA1)} were lost before`;
  must(handedHere <= moved && moved - handedHere <= lostAtA1, taken, measured);
  must(judgedByB1 <= 0, `B1 forwarded ${number(judgedByB1)} packets by itself`, measured);
  must(handedBack === 0, `A1 gave ${number(handedBack)} packets back`, measured);
}

function figuresOf({ bytes, gapMs, intact }: TransferResult): { bytes: number; gapMs: number; transfers: number; lost: number } {
  return { bytes, gapMs, transfers: 1, lost: intact ? 0 : 1 };
}

function mustBeIntact(result: TransferResult, extra: Partial<Measured> = {}): void {
  must(result.intact, `the download broke after ${mebibytes(result.bytes)}: ${result.error ?? "its sha256 differs"}`, { ...figuresOf(result), ...extra });
}

/** The drop reasons of a unit with their counts, most frequent first. */
export function dropsOf(unit: Unit): readonly { readonly name: string; readonly value: number; readonly sentence: string }[] {
  const rows = unit.query("SELECT name, value, sentence FROM counters WHERE kind = 'drop' AND value > 0 ORDER BY value DESC");
  return rows.map((row) => ({ name: String(row["name"]), value: Number(row["value"]), sentence: String(row["sentence"]) }));
}

/** What a firewall says about a reply whose request it never saw: no rule permits it, or none could. */
const LOST_REPLY = ["no-session", "policy-deny"];

async function twinOff(lab: Lab): Promise<Measured> {
  const result = await startDownload("service1", SERVICE3.address4, { limitMillis: 2_500 }).finished;
  const figures = { bytes: result.bytes };
  must(!result.intact && result.bytes === 0, `the asymmetric transaction should have died, but ${mebibytes(result.bytes)} arrived`, figures);
  const drops = dropsOf(lab.units.B1);
  for (const drop of drops) lab.say(`B1 dropped ${drop.value}: ${drop.name}. ${drop.sentence}`);
  must(lab.units.A1.counter("forwarded") > 0, "A1 did not forward the SYN", figures);
  const reason = drops.find(({ name }) => LOST_REPLY.includes(name));
  if (reason === undefined) throw new Failure(`B1 dropped no reply (${result.error ?? "?"})`, figures);
  return { ...figures, dropReason: reason.name, detail: `it dies: B1 drops the reply, ${reason.name}` };
}

/** One big download whose replies all arrive at the site that does not own the session. */
async function replies(lab: Lab, address: string): Promise<Measured> {
  // A receive window that a veth's ring of 256 frames holds twice over: a full ring would lose packets, and blur the count.
  inNamespace("service1", "sysctl -qw net.ipv4.tcp_rmem='4096 65536 131072'");
  const before = countReplies(lab, "tcp");
  const result = await startDownload("service1", address).finished;
  const moved = difference(countReplies(lab, "tcp"), before);
  const measured = { ...figuresOf(result), handedOff: moved.handedOff + moved.queried };
  mustBeIntact(result, measured);
  lab.say(`${mebibytes(result.bytes)} intact; ${number(moved.onWire)} replies on service3's wire, B1 handed ${number(measured.handedOff)} to A1`);
  mustHandOffOnce(moved, measured);
  return { ...measured, detail: "it completes; every reply was handed off once" };
}

/**
 * One exchange that does not count: afterwards everybody knows everybody's MAC. A next hop that is not resolved yet holds only so
 * many packets, which is another thing than the first packet of a session.
 */
async function resolveNeighbours(lab: Lab, from: LabHost): Promise<void> {
  const result = await exchange(lab, from, "tcp", { count: 1 });
  must(result.failed === 0, `not even one connection from ${from} to service3 succeeds: ${result.error ?? "?"}`);
}

/** Says how far an exchange has come, each quarter. */
function sayQuarters(lab: Lab, count: number): (done: number) => void {
  let said = 0;
  return (done) => {
    const quarter = Math.floor((done * 4) / count);
    if (quarter <= said || quarter === 4 || count < SHORT_CONVERSATIONS) return;
    said = quarter;
    lab.say(`${number(done)} of ${number(count)} done`);
  };
}

function exchange(lab: Lab, from: LabHost, protocol: "tcp" | "udp", options: Partial<ExchangeOptions> = {}): Promise<ExchangeResult> {
  const count = options.count ?? SHORT_CONVERSATIONS;
  return exchangeWith(from, protocol, SERVICE3.address4, { count, concurrency: CONVERSATIONS_AT_A_TIME, onProgress: sayQuarters(lab, count), ...options });
}

async function firstPackets(lab: Lab, protocol: "tcp" | "udp"): Promise<Measured> {
  await resolveNeighbours(lab, "service1");
  const before = countReplies(lab, protocol);
  const result = await exchange(lab, "service1", protocol);
  const moved = difference(countReplies(lab, protocol), before);
  const measured = { exchanges: result.succeeded, failures: result.failed, handedOff: moved.handedOff + moved.queried };
  lab.say(`${number(result.succeeded)} succeeded, ${result.failed} failed, slowest ${result.slowestMs} ms; B1 asked A1 about ${number(moved.queried)} packets`);
  must(result.failed === 0, `${result.failed} of ${number(SHORT_CONVERSATIONS)} failed: ${result.error ?? "?"}`, measured);
  must(measured.handedOff >= SHORT_CONVERSATIONS, "the exchanges were not asymmetric: B1 moved too few replies to A1", measured);
  return { ...measured, detail: `no first packet was lost, slowest ${result.slowestMs} ms` };
}

/** Waits until a transfer is in full flow, and fails when it ends before. */
async function untilFlowing(lab: Lab, transfer: Transfer, bytes: number): Promise<void> {
  await transfer.reached(bytes);
  if (transfer.received() < bytes) mustBeIntact(await transfer.finished);
  lab.say(`${mebibytes(transfer.received())} have arrived`);
}

async function dataplaneKilled(lab: Lab): Promise<Measured> {
  const { A1 } = lab.units;
  const startedAt = A1.number("SELECT started_at FROM live_header");
  const transfer = startDownload("service1", SERVICE3.address4, { rate: PACED_BYTES_PER_SECOND });
  await untilFlowing(lab, transfer, 12 * MEBIBYTE);
  lab.say(`kill -9 of A1's dataplane (process ${A1.killDataplane()})`);
  const restartedSql = `SELECT started_at > ${startedAt} AND role = 'active' FROM live_header`;
  const killedAt = performance.now();
  await A1.until("forwarding again", restartedSql, 5_000);
  lab.say(
    `A1 forwards again ${Math.round(performance.now() - killedAt)} ms later, with ${A1.number("SELECT sessions_live FROM live_header")} sessions adopted`,
  );
  const result = await transfer.finished;
  const measured = { ...figuresOf(result), handedOff: A1.counter("handed-here") };
  mustBeIntact(result, measured);
  const adopted = A1.number("SELECT coalesce(max(value), 0) FROM live_events WHERE kind = 'rows-adopted'");
  must(adopted > 0, "A1 adopted none of its rows", measured);
  const keeper = String(A1.query("SELECT owner FROM sessions WHERE protocol = 'tcp' AND destination_port = 8080 LIMIT 1")[0]?.["owner"] ?? "nobody");
  lab.say(`it adopted ${adopted} rows; the download's owner is ${keeper} now`);
  return { ...measured, detail: `A1 adopts its rows, it completes; ${result.gapMs} ms without a byte` };
}

/** The session of the running download, as a unit sees it. */
const DOWNLOAD = "FROM sessions WHERE protocol = 'tcp' AND destination_port = 8080 AND state = 'established'";

async function unitKilled(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  const transfer = startDownload("user", SERVICE3.address4, { rate: PACED_BYTES_PER_SECOND });
  await untilFlowing(lab, transfer, 12 * MEBIBYTE);
  const epoch = B1.number(`SELECT epoch ${DOWNLOAD}`);
  const pulse = await startTakeoverPulse(lab);
  A1.kill();
  lab.say("A1 is killed whole; nothing announces it");
  await pause(200);
  moveUserPath("B");
  lab.say("the user's router moves its path to site B");
  await B1.until("owner of the download's session", `SELECT count(*) ${DOWNLOAD} AND owner = 'B1' AND epoch > ${epoch}`, 5_000);
  const state = String(B1.query("SELECT state FROM members WHERE unit = 'A1'")[0]?.["state"]);
  lab.say(`B1 holds A1 for ${state} and has adopted its sessions: the download's epoch went from ${epoch} to ${B1.number(`SELECT epoch ${DOWNLOAD}`)}`);
  const result = await transfer.finished;
  const measured = { ...figuresOf(result), handedOff: B1.counter("handed-off") };
  mustBeIntact(result, measured);
  const takeover = await judgeTakeover(lab, "B1", "A1", pulse);
  return { ...measured, ...takeover, detail: `B1 adopts: ${inWords(takeover)}; it completes; ${result.gapMs} ms without a byte` };
}

const QUIET_SESSIONS = 300;
/** Two rounds of the store. */
const CHECKPOINT_LIMIT_MILLIS = 6_000;
/** Identity and standing of every session that nothing moves at the moment. */
const STANDING = "SELECT id, owner, epoch, version, state FROM sessions WHERE protocol = 'udp' AND state <> 'tombstone' ORDER BY id";
const standingOf = (unit: Unit): string => JSON.stringify(unit.query(STANDING));

/** Resolves when all units hold the same quiet sessions, with the same owner, epoch and version; to their number. */
export async function untilTablesEqual(lab: Lab, limitMillis: number): Promise<number> {
  const deadline = performance.now() + limitMillis;
  for (;;) {
    const tables = lab.names.map((name) => standingOf(lab.units[name]));
    const other = tables.findIndex((table) => table !== tables[0]);
    if (other < 0) return (JSON.parse(tables[0] as string) as unknown[]).length;
    if (performance.now() > deadline) {
      const [left, right] = [tables[0], tables[other]].map((table) => JSON.parse(table as string) as unknown[]) as [unknown[], unknown[]];
      const differing = left.find((row) => !right.some((same) => JSON.stringify(same) === JSON.stringify(row)));
      const counts = `${lab.names[0]} holds ${left.length} quiet sessions, ${lab.names[other]} ${right.length}`;
      throw new Failure(`the tables differ: ${counts}; first difference ${JSON.stringify(differing)}`);
    }
    await pause(50);
  }
}

/** Resolves to the number of rows on A1's disk when there are at least so many. */
async function untilCheckpointed(unit: Unit, least: number): Promise<number> {
  const deadline = performance.now() + CHECKPOINT_LIMIT_MILLIS;
  for (;;) {
    const rows = unit.checkpointedRows();
    if (rows >= least) return rows;
    if (performance.now() > deadline) throw new Failure(`after ${CHECKPOINT_LIMIT_MILLIS} ms the checkpoint of ${unit.name} holds ${rows} of ${least} rows`);
    await pause(50);
  }
}

async function unitRebooted(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  const transfer = startDownload("user", SERVICE3.address4, { rate: SLOWLY_PACED_BYTES_PER_SECOND });
  await resolveNeighbours(lab, "service1");
  const quiet = await exchange(lab, "service1", "udp", { count: QUIET_SESSIONS, tries: 4 });
  must(quiet.failed === 0, `${quiet.failed} of ${QUIET_SESSIONS} exchanges failed before the accident`);
  const rows = await untilCheckpointed(A1, QUIET_SESSIONS + 1);
  lab.say(`A1's store has checkpointed ${rows} sessions: quiet ones and a running download`);
  const pulse = await startTakeoverPulse(lab);
  A1.powerOff();
  lab.say("A1 loses its power, and with it its shared memory");
  moveUserPath("B");
  await B1.until("owner of the download's session", `SELECT count(*) ${DOWNLOAD} AND owner = 'B1'`, 5_000);
  lab.say("B1 has adopted; the user's path leads to site B");
  const takeover = await judgeTakeover(lab, "B1", "A1", pulse);
  A1.start();
  await A1.until("forwarding", IS_FORWARDING, 10_000);
  await A1.until("in step with B1", inStepWith("B1"), 5_000);
  const restored = A1.number("SELECT coalesce(sum(value), 0) FROM live_events WHERE kind = 'rows-restored'");
  lab.say(`A1 is back and in step, ${restored} rows from its checkpoint`);
  const equal = await untilTablesEqual(lab, 4_000);
  moveUserPath("A");
  lab.say(`both tables hold the same ${equal} quiet sessions; the user's path leads to site A again`);
  const result = await transfer.finished;
  const measured = { ...figuresOf(result), ...takeover, handedOff: A1.counter("handed-off") + B1.counter("handed-off") };
  mustBeIntact(result, measured);
  must(restored > 0, "A1 started cold: nothing came from its checkpoint", measured);
  must(equal >= QUIET_SESSIONS, `only ${equal} of ${QUIET_SESSIONS} quiet sessions are left`, measured);
  return { ...measured, detail: `${inWords(takeover)}; A1 returns warm with ${restored} rows; nothing lost; ${result.gapMs} ms without a byte` };
}

async function linkCut(lab: Lab): Promise<Measured> {
  const { A1, B1 } = lab.units;
  moveUserPath("B");
  const transfer = startDownload("service1", SERVICE3.address4, { rate: PACED_BYTES_PER_SECOND });
  await untilFlowing(lab, transfer, 8 * MEBIBYTE);
  setTwinLink("A1", false);
  lab.say("the twin link is cut; its ports notice nothing");
  for (const [unit, peer] of [
    [A1, "B1"],
    [B1, "A1"],
  ] as const) {
    await unit.until(`sure that ${peer} is partitioned`, `SELECT state = 'partitioned' FROM members WHERE unit = '${peer}'`, 3_000);
  }
  lab.say("A1 and B1 hold each other for partitioned, not dead: heartbeats still arrive on the data ports");
  await resolveNeighbours(lab, "user");
  const meanwhile = await exchange(lab, "user", "udp", { count: QUIET_SESSIONS, tries: 4 });
  must(meanwhile.failed === 0, `${meanwhile.failed} exchanges of the user with service3, all at site B, failed during the cut: ${meanwhile.error ?? "?"}`);
  const taken = A1.counter("sessions-adopted") + B1.counter("sessions-adopted");
  must(taken === 0, `${taken} sessions changed their owner although nobody died`);
  lab.say(`${QUIET_SESSIONS} new sessions were made at B meanwhile; the download across the sites waits at ${mebibytes(transfer.received())}`);
  setTwinLink("A1", true);
  lab.say("the twin link is healed");
  await A1.until("in step with B1", inStepWith("B1"), 8_000);
  const equal = await untilTablesEqual(lab, 4_000);
  lab.say(`both tables hold the same ${equal} quiet sessions`);
  const result = await transfer.finished;
  const measured = { ...figuresOf(result), handedOff: B1.counter("handed-off") };
  mustBeIntact(result, measured);
  must(equal >= QUIET_SESSIONS, `only ${equal} of the ${QUIET_SESSIONS} sessions made during the cut were replicated`, measured);
  return { ...measured, detail: `partitioned, not dead; ${equal} sessions replicated afterwards; it completes` };
}

const ROUTED: LabOptions = { wiring: "routed", twin: true };
const TRANSPARENT: LabOptions = { wiring: "transparent", twin: true };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "twin-off",
    sentence: "Two ordinary firewalls: the reply meets one that never saw the request, and the transaction dies.",
    options: { wiring: "routed", twin: false },
    run: twinOff,
  },
  {
    name: "reply-routed-ipv4",
    sentence: "Twin on: 64 MiB over IPv4, requests through A, replies through B.",
    options: ROUTED,
    run: (lab) => replies(lab, SERVICE3.address4),
  },
  { name: "reply-routed-ipv6", sentence: "The same over IPv6.", options: ROUTED, run: (lab) => replies(lab, SERVICE3.address6) },
  {
    name: "reply-transparent-ipv4",
    sentence: "The units are wires: 64 MiB over IPv4, requests through A's wire, replies through B's.",
    options: TRANSPARENT,
    run: (lab) => replies(lab, SERVICE3.address4),
  },
  { name: "reply-transparent-ipv6", sentence: "The same over IPv6.", options: TRANSPARENT, run: (lab) => replies(lab, SERVICE3.address6) },
  {
    name: "first-packets-tcp",
    sentence: "2,000 short TCP connections, whose first reply may outrun the session's replica.",
    options: ROUTED,
    run: (lab) => firstPackets(lab, "tcp"),
  },
  {
    name: "first-packets-udp",
    sentence: "2,000 UDP exchanges, each of a new tuple, nothing sent twice.",
    options: ROUTED,
    run: (lab) => firstPackets(lab, "udp"),
  },
  {
    name: "dataplane-killed",
    sentence: "A's dataplane is killed in mid-transfer; it restarts and adopts its sessions.",
    options: ROUTED,
    run: dataplaneKilled,
  },
  { name: "unit-killed", sentence: "A1 is killed whole in mid-transfer; the user's path moves to B, which adopts.", options: ROUTED, run: unitKilled },
  {
    name: "unit-rebooted",
    sentence: "A1 comes back without its shared memory, starts warm and rejoins; no old row wins over a newer one.",
    options: ROUTED,
    run: unitRebooted,
  },
  {
    name: "link-cut",
    sentence: "The twin link is cut and healed under traffic: partitioned, not dead; afterwards the tables are equal.",
    options: ROUTED,
    run: linkCut,
  },
];
