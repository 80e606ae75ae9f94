// An appliance in a world: NICs, memory that survives its dataplane, a clock that drifts, and a manager's few duties (start,
// restart after a crash, a durable incarnation). Its dataplane is the production one; it breathes when packets have arrived
// and at least once a tick, and what it does takes virtual time.

import { putCommand } from "../../firmware/fastpath/memory/commands.ts";
import {
  COMMAND_KEYS,
  COMMAND_ORDER,
  COMMAND_PEER_RESTARTING,
  headerWord,
  LAYOUT_HASH,
  MAGIC,
  mapTables,
  planRegions,
  ROLE_NAMES,
  type Tables,
} from "../../firmware/fastpath/memory/tables.ts";
import type { Clock, Entropy, Memory, Port, Sealer } from "../../firmware/hal/contracts.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { SimMemory } from "../../firmware/hal/sim/memory.ts";
import { Nic, SimPort } from "../../firmware/hal/sim/port.ts";
import { DriftingClock, type Timer } from "../../firmware/hal/sim/schedule.ts";
import { SimSealer } from "../../firmware/hal/sim/sealer.ts";
import { FRAME_BYTES, TICK_MILLIS } from "../../firmware/limits.ts";
import { PairSecrets } from "../../firmware/manager/peers/pair-secrets.ts";
import type { PairKeys } from "../../firmware/pair-keys.ts";
import type { Plan } from "../../firmware/plan.ts";
import type { LinkTrial } from "../../firmware/twin/link.ts";
import type { Dataplane } from "../../firmware/unit.ts";
import { pairKeysFor } from "../pair-keys.ts";
import type { Attachment, Segment } from "./segment.ts";
import type { World } from "./world.ts";

/** What a dataplane needs of its machine. */
export interface Machine {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly packets: FrameMemory;
  readonly memory: Memory;
  readonly ports: readonly Port[];
  readonly sealer: Sealer;
  readonly pairKeys: () => readonly PairKeys[];
  readonly trial?: LinkTrial;
}

/** A dataplane as the world sees it; what faults reach into is only there in production's. */
export interface Breather extends Partial<Pick<Dataplane, "sessions" | "twin" | "restMicros">> {
  /** One breath; returns how many packets moved. */
  breathe(): number;
  stop(): void;
}

export type Builder = (machine: Machine, plan: Plan, incarnation: number) => Breather;

const FRAMES = 8_192;
const RING_SLOTS = 1_024;
/** From a packet's arrival to the breath that takes it, and what a breath and a packet take. */
const WAKE_MICROS = 3;
const BREATH_MICROS = 4;
const PACKET_MICROS = 1;
const DRIFT_PPM = 50;

/** From a dataplane's death to its peers' mailboxes. */
const NOTICE_MICROS = 8_000;
const TELL_AGAIN_MICROS = 10_000;

const HEADER = { magic: headerWord("magic"), layout: headerWord("layout"), sessions: headerWord("sessions") };
const ROLE = headerWord("role");
const ACTIVE = ROLE_NAMES.indexOf("active");

export interface UnitOptions {
  readonly plan: Plan;
  /** By port number. */
  readonly segments: readonly Segment[];
  readonly build: Builder;
  /** Its clock is so far ahead of where it would be. */
  readonly aheadMicros?: number;
}

/** One life of a dataplane. */
interface Life {
  readonly dataplane: Breather;
  readonly packets: FrameMemory;
  readonly ports: readonly SimPort[];
  readonly sealer: SimSealer;
  readonly memory: Memory;
}

export class SimUnit {
  readonly name: string;
  plan: Plan;
  /** What its next dataplane is like, besides its plan. */
  trial: LinkTrial = {};
  readonly nics: readonly Nic[];
  readonly attachments: readonly Attachment[];
  readonly storage = new SimMemory();
  /** What its manager shares with peers; and the file that it has written of that. */
  readonly secrets: PairSecrets;
  private pairKeys: readonly PairKeys[];
  /** The running dataplane, or null. */
  life: Life | null = null;
  /** Durable; the last number that was reserved. */
  incarnation = 0;
  starts = 0;
  /** When rows that it had held were last lost to it. */
  rowsLostMicros = 0;
  /** Sees the tables once more before they are gone. */
  onMemoryLost: ((tables: Tables) => void) | null = null;
  breaths = 0;
  /** Its loop stands still from then, until then. */
  stalledFromMicros = 0;
  stalledUntilMicros = 0;
  private readonly world: World;
  private readonly build: Builder;
  private readonly clock: DriftingClock;
  private next: Timer | null = null;
  private nextMicros = 0;
  private mapped: Tables | null = null;
  private readonly segments: readonly Segment[];

  constructor(world: World, options: UnitOptions) {
    this.world = world;
    this.plan = options.plan;
    this.name = options.plan.name;
    this.build = options.build;
    this.segments = options.segments;
    this.pairKeys = pairKeysFor(this.plan.twin.peers);
    const save = (keys: readonly PairKeys[]): void => {
      this.pairKeys = keys;
      this.tellKeys();
    };
    this.secrets = new PairSecrets({ unit: this.plan.unit, keys: this.pairKeys, save });
    const random = world.random.fork(`unit ${this.name}`);
    this.clock = new DriftingClock(world.schedule, random.between(1, 1e9) + (options.aheadMicros ?? 0), random.between(-DRIFT_PPM, DRIFT_PPM));
    this.nics = this.plan.ports.map(
      (port) => new Nic(`${this.name}.${port.device}`, Uint8Array.from([0x02, 0xaa, 0, 0, this.plan.unit, port.number]), port.mtuBytes),
    );
    this.attachments = this.nics.map((nic, number) => (options.segments[number] as Segment).attach(nic));
    world.units.set(this.name, this);
  }

  /** The shared tables, as a reader sees them; null before the first start. */
  get tables(): Tables | null {
    const { buffer } = this.storage;
    if (buffer === null) return null;
    if (this.mapped?.sessions.i.buffer !== buffer) this.mapped = mapTables(buffer, this.plan.sessions);
    return this.mapped;
  }

  get isRunning(): boolean {
    return this.life !== null;
  }

  /** Micros on this unit's own clock. */
  nowMicros(): number {
    return this.clock.nowMicros();
  }

  /** The world's time at which this unit's clock showed `micros`, in milliseconds. */
  worldMillis(micros: number): number {
    return (this.world.schedule.nowMicros - (this.nowMicros() - micros)) / 1_000;
  }

  /** Starts the dataplane; adopts what the memory holds. */
  start(): void {
    if (this.life !== null) throw new Error(`${this.name} runs already`);
    this.starts++;
    // As the manager does: a number is reserved before each start, and skipped when the tables are adopted.
    this.incarnation++;
    const { world, plan } = this;
    const packets = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
    const memory = this.storage.open(planRegions(plan.sessions).totalBytes, (area) => {
      const header = new Int32Array(area, 0, 8);
      return header[HEADER.magic] === (MAGIC | 0) && header[HEADER.layout] === (LAYOUT_HASH | 0) && header[HEADER.sessions] === plan.sessions;
    });
    if (!memory.adopted) {
      this.rowsLostMicros = world.schedule.nowMicros;
      const header = new Int32Array(memory.buffer, 0, 8);
      header[HEADER.layout] = LAYOUT_HASH;
      header[HEADER.sessions] = plan.sessions;
      header[HEADER.magic] = MAGIC;
    }
    world.note(`${this.name} starts, ${memory.adopted ? "adopts its memory" : "with empty tables"}, incarnation ${this.incarnation}`);
    const ports = this.nics.map(
      (nic, number) => new SimPort({ nic, number, packets, schedule: world.schedule, ringSlots: RING_SLOTS, wake: () => this.wake(WAKE_MICROS) }),
    );
    const sealer = new SimSealer(packets.bytes, world.ledger);
    const entropy = world.random.fork(`unit ${this.name} start ${this.starts}`);
    const dataplane = this.build(
      { clock: this.clock, entropy, packets, memory, ports, sealer, pairKeys: () => this.pairKeys, trial: this.trial },
      plan,
      this.incarnation,
    );
    this.life = { dataplane, packets, ports, sealer, memory };
    this.wake(BREATH_MICROS);
  }

  /** The dataplane dies at once: what it had in hand is gone. `losesMemory`: power was cut as well. */
  crash(losesMemory: boolean): void {
    if (this.life === null) return;
    this.world.note(`${this.name} dies${losesMemory ? " and loses its memory" : ""}`);
    for (const port of this.life.ports) port.close();
    this.life = null;
    this.next?.cancel();
    this.next = null;
    if (losesMemory) {
      if (this.tables !== null) this.onMemoryLost?.(this.tables);
      this.storage.lose();
      // Without power its links are down, and the switches forget who was there.
      for (const [number, attachment] of this.attachments.entries()) (this.segments[number] as Segment).linkDown(attachment);
    } else this.world.schedule.after(NOTICE_MICROS, () => this.tellPeers());
  }

  /** The dataplane, if one runs, is to read the file; a full mailbox is tried again, as the manager does. */
  private tellKeys(): void {
    if (this.life === null || this.tables === null || putCommand(this.tables, COMMAND_KEYS, 0, 0) !== 0) return;
    this.world.schedule.after(TELL_AGAIN_MICROS, () => this.tellKeys());
  }

  /** Its manager runs, whether or not its dataplane does. */
  get hasPower(): boolean {
    return this.storage.buffer !== null;
  }

  /** The manager outlived its dataplane and tells its peers, over the twin cable, that it restarts it. */
  private tellPeers(): void {
    for (const peer of this.world.units.values()) {
      if (peer === this || !isWhole(this) || !isWhole(peer) || peer.life === null || peer.tables === null) continue;
      putCommand(peer.tables, COMMAND_PEER_RESTARTING, this.plan.unit, 0);
    }
  }

  /** A stop on request. */
  stop(): void {
    this.life?.dataplane.stop();
    this.world.note(`${this.name} stops`);
    this.life = null;
    this.next?.cancel();
    this.next = null;
  }

  get isActive(): boolean {
    return this.life !== null && this.tables?.header.i[ROLE] === ACTIVE;
  }

  /** An operator's order, ORDER_*, through the mailbox. */
  order(order: number, isForced: boolean): void {
    if (this.life !== null && this.tables !== null) putCommand(this.tables, COMMAND_ORDER, order, isForced ? 1 : 0);
  }

  /** Its clock gains so many microseconds per second from now on. */
  drift(ppm: number): void {
    this.clock.drift(ppm);
  }

  /** The loop stands still; time goes on. */
  stall(millis: number): void {
    this.world.note(`${this.name} stalls for ${millis} ms`);
    const { nowMicros } = this.world.schedule;
    if (nowMicros >= this.stalledUntilMicros) this.stalledFromMicros = nowMicros;
    this.stalledUntilMicros = nowMicros + millis * 1_000;
  }

  /** Breathes not later than in `micros`. */
  wake(micros: number): void {
    const at = Math.max(this.world.schedule.nowMicros + micros, this.stalledUntilMicros);
    if (this.next !== null && this.nextMicros <= at) return;
    this.next?.cancel();
    this.nextMicros = at;
    this.next = this.world.schedule.at(at, () => this.breathe());
  }

  private breathe(): void {
    this.next = null;
    if (this.life === null) return;
    if (this.world.schedule.nowMicros < this.stalledUntilMicros) {
      this.wake(0);
      return;
    }
    this.breaths++;
    const { dataplane } = this.life;
    const moved = dataplane.breathe();
    this.wake(moved > 0 ? BREATH_MICROS + moved * PACKET_MICROS : Math.max(1, dataplane.restMicros ?? TICK_MILLIS * 1_000));
  }

  /** Frames that the walk has in hand: neither free nor a port's. */
  framesInHand(): number {
    if (this.life === null) return 0;
    const { packets, ports } = this.life;
    let owned = 0;
    for (let number = 0; number < ports.length; number++) owned += packets.ownedBy(number);
    return packets.frameCount - packets.freeCount - owned;
  }
}

/** Does the unit's twin cable carry both ways? */
export function isWhole(unit: SimUnit): boolean {
  const cable = unit.attachments.at(-1);
  return cable !== undefined && !cable.enters.faults.cut && !cable.leaves.faults.cut;
}
