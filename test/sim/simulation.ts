// Tells a story (story.ts): a picture, hosts at work, faults, healing, and then the account.
//
//   start ── work and faults ── endAll ── work ends ── quiet ── invariants.afterHealing

import { COUNTER_NAMES, STATE_NAMES } from "../../firmware/fastpath/memory/tables.ts";
import { STATE_TOMBSTONE } from "../../firmware/fastpath/sessions.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { Coverage, eventsOf } from "./coverage.ts";
import type { Fault, FaultKind } from "./faults.ts";
import { FaultInjector } from "./injector.ts";
import { describeRow, Invariants, memberState, notOlder, rowsOf, wordOf } from "./invariants.ts";
import { Picture } from "./picture.ts";
import { PolicyOracle } from "./policy-oracle.ts";
import type { Transfer } from "./services.ts";
import { type Story, WORK_MILLIS } from "./story.ts";
import type { Builder, SimUnit } from "./unit.ts";
import { Workload } from "./workload.ts";
import { Violation } from "./world.ts";

export interface TellOptions {
  readonly build: Builder;
  readonly workMillis?: number;
  readonly onNote?: (line: string) => void;
}

export interface SimulationResult {
  /** "" when everything held. */
  readonly failure: string;
  /** Last lines of the trace, when it failed. */
  readonly trace: readonly string[];
  readonly hash: string;
  readonly virtualMillis: number;
  readonly transfers: number;
  readonly exchanges: number;
  readonly answered: number;
  readonly excused: number;
  readonly packets: number;
  /** How often each kind of fault struck, and how often units counted or noted each thing. */
  readonly injected: ReadonlyMap<FaultKind, number>;
  readonly covered: ReadonlyMap<string, number>;
}

const DRAIN_MILLIS = 120_000;
const QUIET_MILLIS = 6_000;
/** Ends of sessions are kept for so long at the most by who started last (TOMBSTONE_GUARD_MILLIS), and looked at every two seconds. */
const FULL_MILLIS = 14_000;
const NEARLY_FULL = 0.95;
const SETTLE_MILLIS = 500;
const WATCH_MILLIS = 100;
const ROWS_SHOWN = 40;
const EVENTS_SHOWN = 80;
const TOLD_EVENTS: ReadonlySet<string> = new Set([
  "started",
  "peer-associated",
  "peer-lost",
  "peer-dead",
  "peer-partitioned",
  "peer-alive",
  "role-changed",
  "succession",
  "adopted",
  "rejoin-begin",
  "rejoin-end",
  "loop-gap",
  "gives-way",
  "sweep-begin",
  "sweep-end",
]);
const TRACE_LINES = 120;

/** Tells a story and says how it went. */
export function simulate(story: Story, { build, workMillis = WORK_MILLIS, onNote }: TellOptions): SimulationResult {
  const picture = new Picture(story.seed, { ...story.settings, build });
  const { world } = picture;
  world.trace.onNote = onNote ?? null;
  const workload = new Workload(picture, story.work);
  const injector = new FaultInjector(picture);
  const oracle = new PolicyOracle(world);
  const losses = new Losses(picture, workload);
  const coverage = new Coverage(picture);
  injector.onLoss = (unit) => losses.before(unit);
  let failure = "";
  try {
    tell(picture, workload, injector, story.faults, losses, workMillis);
    if (oracle.forbidden === 0 && workload.forbidden.length > 5) world.violate("the oracle saw no forbidden packet: it does not look");
  } catch (error) {
    failure = error instanceof Violation ? error.message : String((error as Error).stack);
  }
  return {
    failure,
    trace: failure === "" ? [] : [...world.trace.tail(TRACE_LINES), ...picture.units.flatMap(accountOf)],
    hash: world.trace.hash,
    virtualMillis: world.schedule.nowMicros / 1_000,
    transfers: workload.transfers.length,
    exchanges: workload.exchanges.length,
    answered: workload.exchanges.filter(({ answers }) => answers > 0).length,
    excused: losses.excused.size,
    packets: world.tracker.arrived,
    injected: injector.injected,
    covered: new Map([...coverage.sum(), ["secrets changed", injector.secretsChanged]]),
  };
}

function tell(picture: Picture, workload: Workload, injector: FaultInjector, faults: readonly Fault[], losses: Losses, workMillis: number): void {
  const { world } = picture;
  const invariants = new Invariants(picture);
  let nextWatch = 0;
  world.observe = () => {
    if (world.schedule.nowMicros < nextWatch) return;
    nextWatch = world.schedule.nowMicros + WATCH_MILLIS * 1_000;
    invariants.watch();
    // Held for dead although it runs (all links were cut at once): what only it had may be lost.
    for (const unit of picture.units) for (const peer of picture.units) if (peer.isRunning && memberState(unit, peer) === "dead") losses.before(peer);
  };
  picture.start();
  if (picture.options.twin === false) picture.moveUser("B");
  workload.start();
  injector.play(faults);
  world.run(workMillis);
  injector.endAll();
  world.note("all faults are over");
  // Work goes on a while on the healed system: what starts now must succeed.
  const before = workload.transfers.length;
  world.run(2_000);
  workload.stop();
  const mayStillLive = (transfer: Transfer): boolean => transfer.end === null && !losses.excused.has(transfer);
  world.runUntil(() => !workload.transfers.some(mayStillLive), DRAIN_MILLIS, 100);
  for (const [k, transfer] of workload.transfers.entries()) {
    if (!transfer.complete && !losses.excused.has(transfer))
      world.violate(`a transfer was lost: ${describeTransfer(transfer)}${k >= before ? ", although all faults were over when it began" : ""}`);
  }
  for (const { end, connection } of workload.transfers) if (end === null) connection.abort();
  for (const transfer of workload.forbidden) if (transfer.established) world.violate(`a forbidden connection was established: ${describeTransfer(transfer)}`);
  world.run(QUIET_MILLIS);
  // A small table can be full of ends that no delayed record may undo: it takes what it lacks when they are forgotten (seed 940212).
  if (picture.units.some((unit) => unit.tables !== null && rowsOf(unit).length > unit.tables.sessions.rows * NEARLY_FULL)) world.run(FULL_MILLIS);
  // What is being sealed or sent just now is in nobody's hands a moment later; what is lost stays so.
  world.runUntil(() => picture.units.every((unit) => unit.framesInHand() === 0), SETTLE_MILLIS, 1);
  invariants.afterHealing();
}

/** A unit's events, counters and rows, for the end of a failed story. */
function accountOf(unit: SimUnit): string[] {
  const { tables } = unit;
  if (tables === null) return [`${unit.name} has no tables`];
  const names = [...DROP_NAMES, ...COUNTER_NAMES];
  const counted = names.flatMap((name, row) => ((tables.counters.f[row] ?? 0) === 0 ? [] : [`${name} ${tables.counters.f[row]}`]));
  const events = eventsOf(tables).filter(({ name }) => TOLD_EVENTS.has(name));
  const told = events.map(({ name, atMicros, other, value }) => `${unit.name} ${unit.worldMillis(atMicros).toFixed(0)} ms: ${name} ${other} ${value}`);
  return [...told.slice(-EVENTS_SHOWN), `${unit.name}: ${counted.join(", ")}`, ...rowsOf(unit).slice(0, ROWS_SHOWN).map(describeRow)];
}

function describeTransfer(transfer: Transfer): string {
  const { client, connection, end, receivedBytes, wantedBytes, startedMicros, established } = transfer;
  const ports = `${connection.settings.localPort} to ${connection.settings.remotePort}`;
  return `${client.name} ${ports}, begun at ${Math.round(startedMicros / 1_000)} ms, ${established ? "established" : "never established"}, ${end ?? "still open"}, ${receivedBytes}/${wantedBytes} bytes`;
}

/**
 * Which transfers may fail when a unit is lost: those that were under way in a session of its own of which no other running unit had a
 * copy, only one from before it was established, or one whose holder owns it in an earlier epoch: the unit took it over while cut off and
 * judged alone since, so its holder knows nothing of that and has no reason to be tentative (W4: nobody had acknowledged it); and those in a session of somebody else's, of which nobody else has a copy in any
 * memory: its owner has lost it before. A unit that has no session of a transfer takes nothing along.
 */
class Losses {
  readonly excused = new Set<Transfer>();
  private readonly picture: Picture;
  private readonly workload: Workload;

  constructor(picture: Picture, workload: Workload) {
    this.picture = picture;
    this.workload = workload;
  }

  before(unit: SimUnit): void {
    const others = this.picture.units.filter((other) => other !== unit);
    const copies = Map.groupBy(others.filter(({ isRunning }) => isRunning).flatMap(rowsOf), ({ id }) => id);
    const anywhere = new Set(others.flatMap(rowsOf).flatMap(({ id, state }) => (state === STATE_TOMBSTONE ? [] : [id])));
    const lost = new Set<number>();
    for (const row of rowsOf(unit)) {
      if (row.state === STATE_TOMBSTONE) continue;
      if (row.owner !== wordOf(unit)) {
        if (!anywhere.has(row.id)) lost.add(row.originatorPort);
        continue;
      }
      const survives = copies
        .get(row.id)
        ?.some((copy) => copy.state !== STATE_TOMBSTONE && (notOlder(copy, row) || (isEstablished(copy.state) && copy.owner !== wordOf(copy.unit))));
      if (survives !== true) lost.add(row.originatorPort);
    }
    if (lost.size === 0) return;
    // The originator's port names a transfer well enough.
    for (const transfer of this.workload.transfers) {
      if (transfer.end === null && lost.has(transfer.connection.settings.localPort)) this.excused.add(transfer);
    }
  }
}

function isEstablished(state: number): boolean {
  return STATE_NAMES[state] === "established";
}
