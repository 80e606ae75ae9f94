// One unit's dataplane, put together from a machine behind hal/contracts.ts: tables, sessions, twin, engine. The packet
// process (dataplane.ts) and the simulator build the same thing from different machines.
//
//   breathe:  twin in → handed packets → data ports → timers → twin out → ports out

import type { Clock, Entropy, Memory, PacketMemory, Port, Sealer } from "./hal/contracts.ts";
import { eventKind, EventRing } from "./fastpath/events.ts";
import { Engine } from "./fastpath/engine.ts";
import { CommandReader } from "./fastpath/memory/commands.ts";
import { headerWord, mapTables, ROLE_NAMES, type Tables } from "./fastpath/memory/tables.ts";
import { loneUnit } from "./fastpath/partner.ts";
import { SessionTable } from "./fastpath/sessions.ts";
import { INDEX_SLOTS_PER_ROW, UNITS } from "./limits.ts";
import type { Plan } from "./plan.ts";

export interface Machine {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly packets: PacketMemory;
  readonly memory: Memory;
  /** By the plan's port numbers, data and twin ports alike. */
  readonly ports: readonly Port[];
  readonly sealer: Sealer;
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

/** Bytes of the session index for `sessions` rows. */
export function indexBytes(sessions: number): number {
  return sessions * INDEX_SLOTS_PER_ROW * 8;
}

export class Dataplane {
  readonly tables: Tables;
  readonly sessions: SessionTable;
  readonly engine: Engine;
  readonly events: EventRing;
  readonly commands: CommandReader;
  private readonly clock: Clock;
  private readonly plan: Plan;
  private readonly ports: readonly Port[];

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
    const key = new Int32Array(2);
    machine.entropy.fill(new Uint8Array(key.buffer));
    this.sessions = new SessionTable(this.tables.sessions, header, plan.unit, key[0] as number, key[1] as number, nowMillis, machine.indexBuffer);
    this.events = new EventRing(this.tables);
    this.fillSessions(machine.memory.adopted, nowMicros, nowMillis, warmStart);
    const dataPorts = plan.ports.map((port) => (port.kind === "data" ? machine.ports[port.number] : undefined));
    const parts = { plan, tables: this.tables, sessions: this.sessions, packets: machine.packets, events: this.events };
    this.engine = new Engine({ ...parts, ports: dataPorts, partner: loneUnit });
    header[H.role] = ROLE_NAMES.indexOf("active");
    this.tables.header.f[H.startedAt] = machine.clock.nowMicros();
    this.events.note(eventKind("started"), nowMicros, plan.unit, -1, 0);
  }

  private fillSessions(adopted: boolean, nowMicros: number, nowMillis: number, warmStart: WarmStart | undefined): void {
    const unit = this.plan.unit;
    if (adopted) {
      const torn = this.sessions.adoptRows(nowMillis);
      this.events.note(eventKind("rows-adopted"), nowMicros, unit, -1, this.sessions.liveCount);
      if (torn > 0) this.events.note(eventKind("rows-damaged"), nowMicros, unit, -1, torn);
      return;
    }
    this.sessions.clear();
    const restored = warmStart === undefined ? 0 : warmStart(this.sessions, nowMillis);
    if (restored > 0) this.events.note(eventKind("rows-restored"), nowMicros, unit, -1, restored);
  }

  /** One breath. Returns how many packets moved: 0 means that the caller may wait. */
  breathe(): number {
    const nowMicros = this.clock.nowMicros();
    const { engine } = this;
    engine.begin(nowMicros);
    const moved = engine.breathe();
    engine.tick();
    engine.flush();
    const f = this.tables.header.f;
    f[H.breathAt] = nowMicros;
    f[H.breaths] = (f[H.breaths] as number) + 1;
    return moved;
  }

  /** A stop on request: says so in the tables and closes the ports. */
  stop(): void {
    this.tables.header.i[H.clean] = 1;
    this.events.note(eventKind("stopped"), this.clock.nowMicros(), this.plan.unit, -1, 0);
    for (const port of this.ports) port.close();
  }
}
