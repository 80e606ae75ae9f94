// One unit's dataplane, put together from a machine behind hal/contracts.ts: tables, sessions, twin, engine. The packet
// process (dataplane.ts) and the simulator build the same thing from different machines.
//
//   breathe:  twin in → handed packets → data ports → timers → standing, orders → twin out → ports out

import { Engine } from "./fastpath/engine.ts";
import { EventRing, eventKind } from "./fastpath/events.ts";
import { CommandReader } from "./fastpath/memory/commands.ts";
import { ANSWER_NO_PEERS } from "./fastpath/memory/orders.ts";
import {
  COMMAND_DISK,
  COMMAND_KEYS,
  COMMAND_ORDER,
  COMMAND_PEER_RESTARTING,
  COMMAND_POLICY,
  COMMAND_STOP,
  counterRow,
  headerWord,
  mapTables,
  ROLE_NAMES,
  type Tables,
} from "./fastpath/memory/tables.ts";
import { Monitor } from "./fastpath/monitor.ts";
import { loneUnit } from "./fastpath/partner.ts";
import { PolicyLoader } from "./fastpath/policy-loader.ts";
import { SessionTable } from "./fastpath/sessions.ts";
import type { Clock, Entropy, Memory, PacketMemory, PolicySource, Port, Sealer } from "./hal/contracts.ts";
import { BATCH, INDEX_SLOTS_PER_ROW, TICK_MILLIS, UNITS } from "./limits.ts";
import type { PairKeys } from "./pair-keys.ts";
import type { Plan } from "./plan.ts";
import type { LinkTrial } from "./twin/link.ts";
import { Twin } from "./twin/twin.ts";

export interface Machine {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly packets: PacketMemory;
  readonly memory: Memory;
  /** By the plan's port numbers, data and twin ports alike. */
  readonly ports: readonly Port[];
  readonly sealer: Sealer;
  /** The secrets shared with each paired unit, as they are now. */
  readonly pairKeys: () => readonly PairKeys[];
  /** Where the manager puts another policy, and two areas of POLICY_IMAGE_BYTES for them. Absent: the policy is the plan's. */
  readonly policies?: { readonly source: PolicySource; readonly areas: readonly ArrayBuffer[] };
  /** What only a simulated machine changes: the fields of another version's rows, keys that are replaced soon. */
  readonly trial?: LinkTrial;
  /** Zeroed memory for `indexBytes` of session index; made when absent. */
  readonly indexBuffer?: ArrayBuffer;
}

/** Fills the empty table with rows of an earlier life (a checkpoint). Returns how many it restored. */
export type WarmStart = (sessions: SessionTable, nowMillis: number) => number;

const DRIVERS = ["simulator", "afxdp", "pcap"];
const H = {
  unit: headerWord("unit"),
  incarnation: headerWord("incarnation"),
  starts: headerWord("starts"),
  clean: headerWord("clean"),
  driver: headerWord("driver"),
  mode: headerWord("mode"),
  role: headerWord("role"),
  breathAt: headerWord("breathAt") >> 1,
  startedAt: headerWord("startedAt") >> 1,
  breaths: headerWord("breaths") >> 1,
};

const C_BACKLOG = counterRow("backlog-discarded");

/** Bytes of the session index for `sessions` rows. */
export function indexBytes(sessions: number): number {
  return sessions * INDEX_SLOTS_PER_ROW * 8;
}

export class Dataplane {
  readonly tables: Tables;
  readonly sessions: SessionTable;
  readonly engine: Engine;
  readonly events: EventRing;
  /** Null when the plan has no twin. */
  readonly twin: Twin | null;
  /** The manager asked for a stop. */
  isStopping = false;
  /** After a breath: how long the caller may wait at the most, microseconds. */
  restMicros = 0;
  private readonly commands: CommandReader;
  private readonly pairKeys: () => readonly PairKeys[];
  private readonly clock: Clock;
  private readonly plan: Plan;
  private readonly ports: readonly Port[];
  private readonly monitor: Monitor;
  private readonly policies: PolicyLoader | null;
  private wasForwarding = false;
  private wasPassive = false;
  /** Two that were active at once both said where the gateways are; the one that stays says it again. */
  private rivalsYielded = 0;

  /**
   * `incarnation`: number for tables that start empty; must be above any that this unit's peers have seen. Adopts the rows
   * that it finds (memory.adopted), else starts empty, or warm.
   */
  constructor(machine: Machine, plan: Plan, incarnation: number, warmStart?: WarmStart) {
    if (plan.unit < 1 || plan.unit >= UNITS) throw new Error(`plan: unit ${plan.unit} is not in 1..${UNITS - 1}`);
    this.clock = machine.clock;
    this.plan = plan;
    this.ports = machine.ports;
    const nowMicros = machine.clock.nowMicros();
    const nowMillis = Math.floor(nowMicros / 1_000);
    this.tables = mapTables(machine.memory.buffer, plan.sessions);
    const header = this.tables.header.i;
    if (!machine.memory.adopted) header[H.incarnation] = incarnation;
    header[H.unit] = plan.unit;
    header[H.starts] = (header[H.starts] as number) + 1;
    header[H.clean] = 0;
    header[H.mode] = plan.mode === "transparent" ? 1 : 0;
    header[H.driver] = DRIVERS.indexOf(machine.ports[0]?.driver ?? "simulator");
    this.commands = new CommandReader(this.tables);
    this.commands.skip();
    this.policies = machine.policies === undefined ? null : new PolicyLoader(machine.policies.source, machine.policies.areas);
    this.pairKeys = machine.pairKeys;
    const key = new Int32Array(2);
    machine.entropy.fill(new Uint8Array(key.buffer));
    this.sessions = new SessionTable(this.tables.sessions, header, plan.unit, key[0] as number, key[1] as number, nowMillis, machine.indexBuffer);
    this.events = new EventRing(this.tables);
    const torn = this.fillSessions(machine.memory.adopted, nowMicros, nowMillis, warmStart);
    const parts = { plan, tables: this.tables, sessions: this.sessions, packets: machine.packets, events: this.events, ports: machine.ports };
    this.twin = plan.twin.enabled ? this.pairUp(machine, torn > 0) : null;
    this.engine = new Engine({ ...parts, partner: this.twin ?? loneUnit });
    this.monitor = new Monitor(plan, this.engine.neighbours, this.engine.zones);
    this.twin?.attach(this.engine);
    if (this.twin === null) header[H.role] = ROLE_NAMES.indexOf("active");
    this.tables.header.f[H.startedAt] = machine.clock.nowMicros();
    this.events.note(eventKind("started"), nowMicros, plan.unit, -1, 0);
  }

  private pairUp(machine: Machine, hasLostRows: boolean): Twin {
    const { plan, tables, sessions, events } = this;
    const { packets, sealer, clock, entropy } = machine;
    const ports = plan.ports.map((port) => machine.ports[port.number] ?? null);
    const reaches = plan.twin.monitored.length === 0 ? null : () => this.monitor.reaches();
    const silentMonitored = () => this.monitor.silent();
    return new Twin({
      plan,
      ports,
      packets,
      sealer,
      clock,
      entropy,
      tables,
      sessions,
      events,
      isNewborn: !machine.memory.adopted,
      hasLostRows,
      reaches,
      silentMonitored,
      // Read after the mailbox was opened: news that come from now on are not missed.
      keys: machine.pairKeys(),
      trial: machine.trial ?? {},
    });
  }

  /** Returns how many damaged rows were freed. */
  private fillSessions(adopted: boolean, nowMicros: number, nowMillis: number, warmStart: WarmStart | undefined): number {
    const unit = this.plan.unit;
    if (adopted) {
      const torn = this.sessions.adoptRows(nowMillis);
      this.events.note(eventKind("rows-adopted"), nowMicros, unit, -1, this.sessions.liveCount);
      if (torn > 0) this.events.note(eventKind("rows-damaged"), nowMicros, unit, -1, torn);
      return torn;
    }
    this.sessions.clear();
    const restored = warmStart === undefined ? 0 : warmStart(this.sessions, nowMillis);
    if (restored > 0) this.events.note(eventKind("rows-restored"), nowMicros, unit, -1, restored);
    return 0;
  }

  /** One breath. Returns how many packets moved, or more than 0 when there is other work left: 0 means that the caller may wait. */
  breathe(): number {
    const nowMicros = this.clock.nowMicros();
    const { engine, twin } = this;
    if (this.policies?.isLoading) this.loadPolicy(this.policies);
    engine.begin(nowMicros);
    if (twin !== null) {
      if (twin.begin(nowMicros)) this.discardBacklog(nowMicros);
      twin.receive(nowMicros);
    }
    let moved = engine.breathe();
    engine.tick();
    this.monitor.tick(Math.floor(nowMicros / 1_000));
    if (twin !== null) {
      twin.tick(nowMicros);
    }
    // What was ordered while this unit stood still meets what it is by now, not what it was.
    this.obey(nowMicros);
    if (twin !== null) {
      if (twin.mayForward !== this.wasForwarding || twin.isPassive !== this.wasPassive || twin.rivalsYielded !== this.rivalsYielded) this.standingChanged(twin);
      if (twin.flush(nowMicros, moved >= BATCH)) moved++;
    }
    engine.flush();
    this.restMicros = Math.max(0, Math.min(TICK_MILLIS * 1_000, (twin?.dueMicros ?? Number.POSITIVE_INFINITY) - nowMicros));
    const f = this.tables.header.f;
    f[H.breathAt] = nowMicros;
    f[H.breaths] = (f[H.breaths] as number) + 1;
    return moved;
  }

  /** Takes what the manager asks for. */
  private obey(nowMicros: number): void {
    for (let command = this.commands.take(); command !== 0; command = this.commands.take()) {
      if (command === COMMAND_STOP) this.isStopping = true;
      else if (command === COMMAND_ORDER)
        this.commands.answer(this.twin?.membership.orders.obey(this.commands.argument, this.commands.argument2 === 1, nowMicros) ?? ANSWER_NO_PEERS);
      else if (command === COMMAND_DISK && this.twin !== null) this.twin.membership.health.isDiskAiling = this.commands.argument === 1;
      else if (command === COMMAND_POLICY) this.policies?.begin();
      else if (command === COMMAND_KEYS) this.twin?.membership.link.setKeys(this.pairKeys());
      else if (command === COMMAND_PEER_RESTARTING) this.twin?.membership.restarting(this.commands.argument, nowMicros);
    }
  }

  private loadPolicy(policies: PolicyLoader): void {
    const image = policies.step();
    if (image !== undefined) this.engine.usePolicy(image);
  }

  /** What waited while this unit could not judge is not judged late: peers may have decided meanwhile. */
  private discardBacklog(nowMicros: number): void {
    let discarded = 0;
    for (const port of this.plan.ports) if (port.kind === "data") discarded += this.ports[port.number]?.discardBacklog() ?? 0;
    const counters = this.tables.counters.f;
    counters[C_BACKLOG] = (counters[C_BACKLOG] as number) + discarded;
    if (discarded > 0) this.events.note(eventKind("backlog-discarded"), nowMicros, this.plan.unit, -1, discarded);
  }

  private standingChanged(twin: Twin): void {
    this.wasForwarding = twin.mayForward;
    this.wasPassive = twin.isPassive;
    this.rivalsYielded = twin.rivalsYielded;
    this.engine.neighbours.silent = !twin.mayForward;
    this.engine.neighbours.answersGateway = !twin.isPassive;
    if (twin.mayForward) this.engine.takeOver();
  }

  /** A stop on request: says so in the tables and closes the ports. */
  stop(): void {
    this.tables.header.i[H.clean] = 1;
    this.events.note(eventKind("stopped"), this.clock.nowMicros(), this.plan.unit, -1, 0);
    for (const port of this.ports) port.close();
  }
}
