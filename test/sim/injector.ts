// Makes faults happen in a picture: at their time, for as long as they last, counted by kind. `endAll` heals whatever is left.

import { word } from "../../firmware/fastpath/memory/layout.ts";
import {
  ORDER_DRAIN_SITE,
  ORDER_DRAIN_UNIT,
  ORDER_RESUME_SITE,
  ORDER_RESUME_UNIT,
  ORDER_SWITCHOVER_SITE,
  ORDER_SWITCHOVER_UNIT,
} from "../../firmware/fastpath/memory/orders.ts";
import { counterRow, headerWord, MEMBERS } from "../../firmware/fastpath/memory/tables.ts";
import { KEY_WORDS, ROW_WORDS, S_GENERATION, S_KEY, S_VERSION, STATE_TOMBSTONE } from "../../firmware/fastpath/sessions.ts";
import { PORT_DOWN, PORT_GONE, PORT_UP } from "../../firmware/hal/contracts.ts";
import type { LaneFaults } from "../../firmware/hal/sim/lane.ts";
import type { Nic } from "../../firmware/hal/sim/port.ts";
import type { Random } from "../../firmware/hal/sim/random.ts";
import { describeFault, type Fault, type FaultKind } from "./faults.ts";
import { rowsOf, wordOf } from "./invariants.ts";
import { ETHERNET_BYTES, ETHERTYPE_TWIN, put16, u16 } from "./packets.ts";
import { MIRRORED_PORTS, type Picture } from "./picture.ts";
import { SecretExchanges } from "./secrets.ts";
import type { Attachment } from "./segment.ts";
import { download, exchange, sendStraySegment } from "./services.ts";
import { isWhole, type SimUnit } from "./unit.ts";

/** Frames of the twin that an attacker remembers. */
const REMEMBERED = 128;
/** So many that one is left when another dies at that very moment. */
const WITNESSES_LEAST = 2;
const MINUTES_AWAY = 1_000;
/** How often, and for how long, it is looked whether what a crash waits for has begun; and how long that lasts at the most. */
const LOOK_MICROS = 150;
const WAIT_MICROS = 1_500_000;
const SWEEP_MICROS = 10_000;
const REJOIN_MICROS = 30_000;
const GRANT_MICROS = 3_000;

export class FaultInjector {
  readonly picture: Picture;
  /** Called just before a unit loses its memory. */
  onLoss: ((unit: SimUnit) => void) | null = null;
  forged = 0;
  /** How often each kind has struck. */
  readonly injected = new Map<FaultKind, number>();
  private readonly random: Random;
  private readonly secrets: SecretExchanges;
  private readonly remembered: Uint8Array[] = [];
  private readonly ends: (() => void)[] = [];
  private over = false;

  constructor(picture: Picture) {
    this.picture = picture;
    this.random = picture.world.random.fork("faults");
    this.secrets = new SecretExchanges(picture.world);
    picture.world.onFrameSeen = (_segment, _from, frame) => {
      if (u16(frame, 12) !== ETHERTYPE_TWIN || !this.random.chance(0.05)) return;
      if (this.remembered.length < REMEMBERED) this.remembered.push(frame.slice());
      else this.remembered[this.random.below(REMEMBERED)] = frame.slice();
    };
  }

  /** Puts a list of faults on the schedule. */
  play(faults: readonly Fault[]): void {
    const { schedule } = this.picture.world;
    for (const fault of faults) {
      schedule.after(fault.atMillis * 1_000, () => {
        if (!this.over) this.begin(fault);
      });
    }
  }

  /** Heals everything that still lasts, for good. */
  endAll(): void {
    this.over = true;
    for (const end of this.ends.splice(0)) end();
  }

  private begin(fault: Fault): void {
    this.picture.world.note(`fault: ${describeFault(fault).trim()}`);
    const unit = this.picture.unit(fault.unit);
    BEGIN[fault.kind](this, fault, unit);
    this.injected.set(fault.kind, (this.injected.get(fault.kind) ?? 0) + 1);
  }

  /** Both ends of every stretched LAN, or the unit's own data cables where sites share none. */
  between(unit: SimUnit): readonly Attachment[] {
    const sites = this.picture.interconnects.flatMap(({ there, back }) => [there, back]);
    return sites.length > 0 ? sites : unit.attachments.slice(0, -1);
  }

  /** Does `undo` when the fault is over, or at `endAll`. */
  private until(fault: Fault, undo: () => void): void {
    let done = false;
    const end = () => {
      if (done) return;
      done = true;
      this.picture.world.note(`over: ${fault.kind} ${fault.unit}`);
      undo();
    };
    this.ends.push(end);
    this.picture.world.schedule.after(fault.lastsMillis * 1_000, end);
  }

  noise(fault: Fault, places: readonly Attachment[], corruptRate: number): void {
    const draw = this.random.fork(`noise ${fault.detail}`);
    const set: Partial<LaneFaults> = {
      lossRate: draw.chance(0.7) ? draw.fraction() * 0.3 : 0,
      duplicateRate: draw.chance(0.5) ? draw.fraction() * 0.2 : 0,
      corruptRate: draw.chance(0.5) ? corruptRate : 0,
      reorderRate: draw.chance(0.5) ? draw.fraction() * 0.3 : 0,
      reorderMicros: 2_000,
      jitterMicros: draw.chance(0.5) ? draw.below(500) : 0,
    };
    const lanes = places.flatMap(({ enters, leaves }) => [enters, leaves]);
    for (const lane of lanes) Object.assign(lane.faults, set);
    const calm: Partial<LaneFaults> = { lossRate: 0, duplicateRate: 0, corruptRate: 0, reorderRate: 0, reorderMicros: 0, jitterMicros: 0 };
    this.until(fault, () => {
      for (const lane of lanes) Object.assign(lane.faults, calm);
    });
  }

  /** `ways`: 1 into the switch, 2 out of it, 3 both. Overlapping cuts of one cable end with the first; that is fine. */
  cut(fault: Fault, places: readonly Attachment[], ways: number): void {
    const set = (cut: boolean) => {
      for (const { enters, leaves } of places) {
        if ((ways & 1) !== 0) enters.faults.cut = cut;
        if ((ways & 2) !== 0) leaves.faults.cut = cut;
      }
    };
    set(true);
    this.until(fault, () => set(false));
  }

  crash(fault: Fault, unit: SimUnit, losesMemory: boolean): void {
    if (!unit.isRunning) return;
    if (losesMemory) this.onLoss?.(unit);
    unit.crash(losesMemory);
    this.until(fault, () => {
      if (!unit.isRunning) unit.start();
    });
  }

  /**
   * Its durable number is lost with its memory. The manager then counts from the minutes since 2026, which is above all that were
   * used (manager/incarnation.ts). If its clock is wrong as well it counts from one, and only what peers have seen helps: a
   * number that nobody is left to remember would name other sessions by the same ids.
   */
  loseIncarnation(fault: Fault, unit: SimUnit): void {
    if (!unit.isRunning) return;
    this.until(fault, () => {
      const witnesses = this.picture.units.filter((peer) => peer !== unit && peer.isRunning && isWhole(peer));
      const isClockWrong = isWhole(unit) && witnesses.length >= WITNESSES_LEAST;
      unit.incarnation = isClockWrong ? 0 : unit.incarnation + MINUTES_AWAY;
    });
    this.crash(fault, unit, true);
  }

  /** Dies in the middle of changing rows: their generation stays odd, their identity half written. */
  tear(fault: Fault, unit: SimUnit): void {
    const tables = unit.tables;
    if (!unit.isRunning || tables === null) return;
    this.onLoss?.(unit);
    unit.crash(false);
    const draw = this.random.fork(`tear ${fault.detail}`);
    const { i } = tables.sessions;
    for (let k = 0; k < 3; k++) {
      const row = draw.pick(
        rowsOf(unit)
          .map((seen) => seen.row)
          .concat(0),
      );
      i[row * ROW_WORDS + S_GENERATION] = (i[row * ROW_WORDS + S_GENERATION] as number) | 1;
      i[row * ROW_WORDS + S_KEY + draw.below(KEY_WORDS)] = draw.word() | 0;
    }
    this.until(fault, () => {
      if (!unit.isRunning) unit.start();
      unit.rowsLostMicros = this.picture.world.schedule.nowMicros;
    });
  }

  port(fault: Fault, unit: SimUnit, state: number): void {
    const nic = unit.nics[fault.detail % unit.nics.length] as Nic;
    nic.state = state;
    this.until(fault, () => {
      nic.state = PORT_UP;
    });
  }

  /** An attacker on the twin segment: old frames again, old frames changed, and pure invention. */
  attack(fault: Fault, unit: SimUnit): void {
    const draw = this.random.fork(`attack ${fault.detail}`);
    const { schedule } = this.picture.world;
    const shots = draw.between(1, 60);
    for (let k = 0; k < shots; k++) {
      schedule.after(draw.below(fault.lastsMillis * 1_000), () => {
        const frame = this.ammunition(fault.kind === "forge", draw);
        if (frame === null || this.over) return;
        this.forged++;
        const nic = unit.nics[draw.chance(0.8) ? unit.nics.length - 1 : 0] as Nic;
        nic.deliver(frame);
      });
    }
  }

  private ammunition(forged: boolean, draw: Random): Uint8Array | null {
    if (this.remembered.length === 0) return null;
    const frame = draw.pick(this.remembered).slice();
    if (!forged) return frame;
    const kind = draw.below(4);
    if (kind === 0) draw.fill(frame.subarray(ETHERNET_BYTES));
    else if (kind === 1) return frame.slice(0, draw.between(ETHERNET_BYTES, frame.length));
    else if (kind === 2) {
      // A counter from the future: must not move the replay window.
      put16(frame, ETHERNET_BYTES + 8, draw.below(0x8000));
    } else {
      const at = draw.between(ETHERNET_BYTES, frame.length - 1);
      frame[at] = (frame[at] as number) ^ (1 << draw.below(8));
    }
    return frame;
  }

  /** More datagram flows than a small table holds, from one site or from both. */
  flood(fault: Fault): void {
    const draw = this.random.fork(`flood ${fault.detail}`);
    const { service1, user, world } = this.picture;
    const clients = user === null || draw.chance(0.3) ? [service1] : draw.chance(0.4) ? [user] : [service1, user];
    const count = draw.between(100, 2_500);
    for (let k = 0; k < count; k++) {
      const client = clients[k % clients.length] as typeof service1;
      world.schedule.after((k * fault.lastsMillis * 1_000) / count, () => {
        if (!this.over) exchange(client, this.picture.addresses(true).service3, { localPort: 1_024 + ((fault.detail + k) % 30_000), bytes: 8 });
      });
    }
  }

  /** Frames take longer, in one direction or both. */
  delay(fault: Fault, places: readonly Attachment[]): void {
    const draw = this.random.fork(`delay ${fault.detail}`);
    const ways = draw.between(1, 3);
    const micros = draw.between(1_000, 40_000);
    const add = (more: number) => {
      for (const { enters, leaves } of places) {
        if ((ways & 1) !== 0) enters.faults.delayMicros += more;
        if ((ways & 2) !== 0) leaves.faults.delayMicros += more;
      }
    };
    add(micros);
    this.until(fault, () => add(-micros));
  }

  /** What carries the twin between the sites: the long cable, or with a unit per site, both cables. */
  get twinBetweenSites(): readonly Attachment[] {
    const link = this.picture.twinLink;
    return link === null ? this.picture.twin.attachments : [link.there, link.back];
  }

  /** The active unit of the struck unit's site, or that unit itself. */
  private activeAt(unit: SimUnit): SimUnit {
    return this.picture.units.find((other) => other.plan.site === unit.plan.site && other.isActive) ?? unit;
  }

  /** An operator's order, taken back when the fault is over. Forced now and then. */
  order(fault: Fault, unit: SimUnit, order: number, undo: number): void {
    const active = this.activeAt(unit);
    const struck = order === ORDER_DRAIN_UNIT ? unit : active;
    struck.order(order, fault.detail % 4 === 0);
    if (undo === 0) return;
    this.until(fault, () => {
      for (const other of this.picture.units) if (other.plan.site === unit.plan.site) other.order(undo, true);
    });
  }

  /** The active unit stands still, and an order waits for it. */
  lateOrder(fault: Fault, unit: SimUnit): void {
    const active = this.activeAt(unit);
    active.stall(fault.lastsMillis);
    if (this.picture.options.mode !== "transparent" && fault.detail % 2 === 0) this.order(fault, unit, ORDER_DRAIN_SITE, ORDER_RESUME_SITE);
    else this.order(fault, unit, ORDER_SWITCHOVER_UNIT, 0);
  }

  /** A sweep of this unit's to some peer is begun; it dies at once, or somewhere in the middle; its memory goes too in one case of two. */
  crashInSweep(fault: Fault, unit: SimUnit): void {
    const draw = this.random.fork(`sweep ${fault.detail}`);
    const waitMicros = draw.chance(0.5) ? 0 : draw.below(SWEEP_MICROS);
    // Something to sweep: the twin cable is out for longer than detection, and in again.
    this.cut({ ...fault, lastsMillis: 150 }, [twinCable(unit)], 3);
    this.whenever(
      () => isSweeping(unit),
      () => {
        this.picture.world.schedule.after(waitMicros, () => {
          if (!this.over) this.crash(fault, unit, fault.detail % 2 === 0);
        });
      },
    );
  }

  /** A switchover is ordered, and one of the two dies while it is under way. */
  crashInHandover(fault: Fault, unit: SimUnit): void {
    const active = this.activeAt(unit);
    const draw = this.random.fork(`handover ${fault.detail}`);
    const mate = this.picture.units.find((other) => other !== active && other.plan.site === active.plan.site) ?? active;
    active.order(ORDER_SWITCHOVER_UNIT, draw.chance(0.5));
    this.picture.world.schedule.after(draw.below(60_000), () => {
      if (!this.over) this.crash(fault, draw.chance(0.5) ? active : mate, draw.chance(0.5));
    });
  }

  /** Its dataplane starts again, and it, or a peer that tells it what it missed, dies while it rejoins. */
  crashInRejoin(fault: Fault, unit: SimUnit): void {
    if (!unit.isRunning) return;
    const draw = this.random.fork(`rejoin ${fault.detail}`);
    const peer = draw.pick(this.picture.units.filter((other) => other !== unit));
    const losesMemory = draw.chance(0.5);
    const waitMicros = draw.below(REJOIN_MICROS);
    this.crash({ ...fault, lastsMillis: draw.between(5, 300) }, unit, losesMemory);
    this.whenever(
      () => unit.isRunning,
      () => {
        if (this.over) return;
        this.picture.world.schedule.after(waitMicros, () => {
          if (!this.over) this.crash(fault, draw.chance(0.5) ? unit : peer, draw.chance(0.5));
        });
      },
    );
  }

  /** A host moves, its sessions follow it, and the one that grants them or the one that is granted them dies at that moment. */
  crashInGrant(fault: Fault): void {
    const { picture } = this;
    const draw = this.random.fork(`grant ${fault.detail}`);
    const before = picture.units.map(grantsGiven);
    const isLate = draw.chance(0.5);
    const waitMicros = draw.below(GRANT_MICROS);
    // Something that follows.
    for (let k = 0; k < 3; k++) download(picture.service1, picture.addresses(true).service3, { bytes: 300_000 });
    if (draw.chance(0.7)) picture.moveService1();
    else picture.moveUser(draw.chance(0.5) ? "A" : "B");
    this.whenever(
      () => picture.units.some((unit, k) => grantsGiven(unit) > (before[k] as number)),
      () => {
        const giver = picture.units.find((unit, k) => grantsGiven(unit) > (before[k] as number)) as SimUnit;
        const takers = picture.units.filter(({ plan, isActive }) => plan.site !== giver.plan.site && isActive);
        const struck = draw.chance(0.5) || takers.length === 0 ? giver : (takers[0] as SimUnit);
        picture.world.schedule.after(isLate ? waitMicros : 0, () => {
          if (!this.over) this.crash(fault, struck, draw.chance(0.5));
        });
      },
    );
  }

  /** Calls `then` once `holds` does; gives up after a while. */
  private whenever(holds: () => boolean, then: () => void): void {
    const { schedule } = this.picture.world;
    const until = schedule.nowMicros + WAIT_MICROS;
    const look = () => {
      if (this.over) return;
      if (holds()) then();
      else if (schedule.nowMicros < until) schedule.after(LOOK_MICROS, look);
    };
    look();
  }

  /** Restarts into another firmware: the version before, or the present one again. The layout of its tables is another one too. */
  upgrade(fault: Fault, unit: SimUnit): void {
    if (!unit.isRunning) return;
    const { picture } = this;
    const isPrevious = unit.trial.fields !== undefined;
    this.crash(fault, unit, true);
    const { fields: _, ...rest } = unit.trial;
    unit.trial = isPrevious ? rest : { ...rest, ...picture.previousTrial() };
  }

  /** A new policy revision at this unit alone, with the same rules. */
  commit(fault: Fault, unit: SimUnit): void {
    if (!unit.isRunning) return;
    unit.plan = { ...unit.plan, revision: unit.plan.revision + 1 };
    this.crash(fault, unit, false);
  }

  /** Its manager and a peer's, or each of its peers', agree on a new secret for the data channel: once, or several times in a row. */
  newSecret(fault: Fault, unit: SimUnit): void {
    const draw = this.random.fork(`secret ${fault.detail}`);
    const others = this.picture.units.filter((other) => other !== unit);
    const peers = draw.chance(0.5) ? others : [draw.pick(others)];
    for (const peer of peers) this.secrets.begin(unit, peer, draw.between(1, 3), draw.fork(peer.name));
  }

  /** Secrets that both sides of a pair came to use. */
  get secretsChanged(): number {
    return this.secrets.completed;
  }

  /** Counters that start near their end: versions, epochs, serials and stamps wrap soon. */
  wrap(unit: SimUnit): void {
    const dataplane = unit.life?.dataplane;
    const tables = unit.tables;
    if (dataplane?.sessions === undefined || !dataplane.twin || tables === null) return;
    const { sessions, twin } = dataplane;
    const { journal } = twin.exchange;
    journal.drain(unit.nowMicros());
    for (const { row, state, owner, version, epoch } of rowsOf(unit)) {
      if (owner !== wordOf(unit) || state === STATE_TOMBSTONE || version < 0 || epoch < 0) continue;
      sessions.i[row * ROW_WORDS + S_VERSION] = 0x7ffffffe;
      if (row % 2 === 0) sessions.setOwner(row, owner, 0x7fffffff);
      sessions.changed(row);
    }
    if (journal.last >= 0) journal.last = 0x7ffffff0;
    const header = tables.header.i;
    if ((header[SERIAL_LOW] as number) >= 0) header[SERIAL_LOW] = 0xfffffff0 | 0;
  }

  /** Segments that belong to nothing, so many that the twin is asked about hundreds in a moment. */
  missFlood(fault: Fault): void {
    const draw = this.random.fork(`misses ${fault.detail}`);
    const { service1, service3, world } = this.picture;
    const count = draw.between(200, 2_000);
    const lastsMicros = Math.min(fault.lastsMillis, 300) * 1_000;
    for (let k = 0; k < count; k++) {
      world.schedule.after((k * lastsMicros) / count, () => {
        if (this.over) return;
        const isForth = draw.chance(0.5);
        const to = this.picture.addresses(true)[isForth ? "service3" : "service1"];
        sendStraySegment(isForth ? service1 : service3, to, 1_024 + draw.below(60_000), 1_024 + draw.below(60_000), 16, draw.word(), draw.word());
      });
    }
  }

  /** One client opens and aborts connections from one port, as fast as it can, while rows overtake each other. */
  reopen(fault: Fault): void {
    const draw = this.random.fork(`reopen ${fault.detail}`);
    const { service1, world } = this.picture;
    this.noise({ ...fault, detail: fault.detail ^ 1 }, this.picture.twin.attachments, 0);
    const server = this.picture.addresses(draw.chance(0.5)).service3;
    const localPort = draw.between(61_000, 64_000);
    const again = (left: number) => {
      if (this.over || left === 0) return;
      const transfer = download(service1, server, { bytes: draw.below(20_000), localPort });
      world.schedule.after(draw.between(500, 60_000), () => {
        if (transfer.end === null) transfer.connection.abort();
        again(left - 1);
      });
    };
    again(draw.between(3, 20));
  }

  /** Both services send the first datagram of one flow at nearly the same time, each at its own site. */
  mirrored(fault: Fault): void {
    const draw = this.random.fork(`mirrored ${fault.detail}`);
    const { service1, service3, world } = this.picture;
    const { service1: one, service3: three } = this.picture.addresses(draw.chance(0.5));
    const [first, last] = MIRRORED_PORTS;
    for (let port = first; port <= last; port++) {
      const at = draw.below(Math.min(fault.lastsMillis, 500) * 1_000);
      world.schedule.after(at, () => service1.sendUdp(three, port, port, new Uint8Array(20)));
      world.schedule.after(at + draw.below(2_000), () => service3.sendUdp(one, port, port, new Uint8Array(20)));
    }
  }
}

const SERIAL_LOW = headerWord("serialLow");
const GRANTS_GIVEN = counterRow("grants-given");
const SWEEPING = word(MEMBERS, "sweeping");

/** A sweep to some peer is under way. */
function isSweeping({ tables }: SimUnit): boolean {
  if (tables === null) return false;
  const { i, strideWords } = tables.members;
  for (let at = SWEEPING; at < i.length; at += strideWords) if (i[at] === 1) return true;
  return false;
}

function grantsGiven({ tables }: SimUnit): number {
  return tables?.counters.f[GRANTS_GIVEN] ?? 0;
}

const twinCable = (unit: SimUnit): Attachment => unit.attachments.at(-1) as Attachment;
const oneOf = (places: readonly Attachment[], detail: number): Attachment => places[detail % places.length] as Attachment;

const BEGIN: Readonly<Record<FaultKind, (injector: FaultInjector, fault: Fault, unit: SimUnit) => void>> = {
  "twin-noise": (injector, fault) => injector.noise(fault, [...injector.picture.twin.attachments, ...injector.twinBetweenSites], 0.02),
  "data-noise": (injector, fault, unit) => injector.noise(fault, fault.detail % 2 === 0 ? injector.between(unit) : unit.attachments.slice(0, -1), 0.005),
  "twin-cut": (injector, fault, unit) => injector.cut(fault, [twinCable(unit)], 3),
  "twin-one-way": (injector, fault, unit) => injector.cut(fault, [twinCable(unit)], 1 + (fault.detail % 2)),
  "data-cut": (injector, fault, unit) => injector.cut(fault, injector.between(unit), 3),
  "data-one-way": (injector, fault, unit) => injector.cut(fault, [oneOf(injector.between(unit), fault.detail)], 1 + (fault.detail % 2)),
  "all-cut": (injector, fault, unit) => injector.cut(fault, [twinCable(unit), ...injector.between(unit)], 3),
  "crash-keep": (injector, fault, unit) => injector.crash(fault, unit, false),
  "crash-lose": (injector, fault, unit) => injector.crash(fault, unit, true),
  "crash-torn": (injector, fault, unit) => injector.tear(fault, unit),
  stall: (_injector, fault, unit) => unit.stall(fault.lastsMillis),
  forge: (injector, fault, unit) => injector.attack(fault, unit),
  replay: (injector, fault, unit) => injector.attack(fault, unit),
  "port-down": (injector, fault, unit) => injector.port(fault, unit, PORT_DOWN),
  "port-gone": (injector, fault, unit) => injector.port(fault, unit, PORT_GONE),
  "move-user": ({ picture }, fault) => {
    if (picture.user !== null) picture.moveUser(fault.detail % 2 === 0 ? "A" : "B");
  },
  flood: (injector, fault) => injector.flood(fault),
  "twin-delay": (injector, fault) => injector.delay(fault, injector.twinBetweenSites),
  "data-delay": (injector, fault, unit) => injector.delay(fault, injector.between(unit)),
  "site-twin-cut": (injector, fault) => injector.cut(fault, injector.twinBetweenSites, fault.detail % 3 === 0 ? 1 : 3),
  "site-cut": (injector, fault, unit) => injector.cut(fault, [...injector.twinBetweenSites, ...injector.between(unit)], 3),
  drift: (_injector, fault, unit) => unit.drift((fault.detail % 40_000) - 20_000),
  switchover: (injector, fault, unit) => injector.order(fault, unit, ORDER_SWITCHOVER_UNIT, 0),
  drain: (injector, fault, unit) => injector.order(fault, unit, ORDER_DRAIN_UNIT, ORDER_RESUME_UNIT),
  "switch-site": (injector, fault, unit) => injector.order(fault, unit, ORDER_SWITCHOVER_SITE, 0),
  "drain-site": (injector, fault, unit) => injector.order(fault, unit, ORDER_DRAIN_SITE, ORDER_RESUME_SITE),
  "crash-sweep": (injector, fault, unit) => injector.crashInSweep(fault, unit),
  "crash-rejoin": (injector, fault, unit) => injector.crashInRejoin(fault, unit),
  "crash-grant": (injector, fault) => injector.crashInGrant(fault),
  "crash-handover": (injector, fault, unit) => injector.crashInHandover(fault, unit),
  "incarnation-lost": (injector, fault, unit) => injector.loseIncarnation(fault, unit),
  wrap: (injector, _fault, unit) => injector.wrap(unit),
  upgrade: (injector, fault, unit) => injector.upgrade(fault, unit),
  commit: (injector, fault, unit) => injector.commit(fault, unit),
  "miss-flood": (injector, fault) => injector.missFlood(fault),
  reopen: (injector, fault) => injector.reopen(fault),
  mirrored: (injector, fault) => injector.mirrored(fault),
  "new-secret": (injector, fault, unit) => injector.newSecret(fault, unit),
  "late-order": (injector, fault, unit) => injector.lateOrder(fault, unit),
  "move-host": ({ picture }) => picture.moveService1(),
};
