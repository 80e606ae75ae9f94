// The twin of a unit, put together: who is there and in which role (membership.ts), and what units tell each other about
// sessions (exchange.ts). To the fastpath it is the `Partner`. The order of a breath:
//
//   begin ─► receive ─► (the engine: handed packets, data ports, timers) ─► tick ─► flush
//     └ true: this unit starts, or stood still for too long: discard what waits on the data ports

import type { EventRing } from "../fastpath/events.ts";
import { ORDER_RESUME_SITE } from "../fastpath/memory/orders.ts";
import type { Tables } from "../fastpath/memory/tables.ts";
import { type Admission, OWNER_ADOPT, OWNER_ELSEWHERE, type Partner } from "../fastpath/partner.ts";
import type { SessionTable } from "../fastpath/sessions.ts";
import { drop } from "../fastpath/verdicts.ts";
import type { Clock, Entropy, PacketMemory, Port, Sealer } from "../hal/contracts.ts";
import { TICK_MILLIS } from "../limits.ts";
import type { PairKeys } from "../pair-keys.ts";
import type { Plan } from "../plan.ts";
import { Exchange } from "./exchange.ts";
import { Exposure } from "./exposure.ts";
import { FirstPacketSetting } from "./first-packets.ts";
import { BEAT_HOLDS } from "./frame.ts";
import type { GrantRoles } from "./grants.ts";
import type { HandoffRoles } from "./handoff.ts";
import type { LinkTrial } from "./link.ts";
import { DEAD } from "./liveness.ts";
import { Membership } from "./membership.ts";
import type { RejoinListener } from "./rejoin.ts";
import type { RoleHooks } from "./roles.ts";
import { Takeovers } from "./takeovers.ts";

export interface TwinParts {
  readonly plan: Plan;
  /** By the plan's port numbers, null where there is none. */
  readonly ports: readonly (Port | null)[];
  readonly packets: PacketMemory;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly tables: Tables;
  /** Filled: adopted, restored or empty. */
  readonly sessions: SessionTable;
  readonly events: EventRing;
  /** The tables were empty, or filled from a checkpoint. */
  readonly isNewborn: boolean;
  /** Rows were damaged and freed when the table was adopted: peers are asked for them. */
  readonly hasLostRows: boolean;
  /** True when a monitored address answered within the detection time; null when none is configured. */
  readonly reaches: (() => boolean) | null;
  /** Monitored addresses that have been silent for long. */
  readonly silentMonitored: () => number;
  /** What is shared with each paired unit. */
  readonly keys: readonly PairKeys[];
  readonly trial: LinkTrial;
}

const DROP_SITE_PASSIVE = drop("site-passive");

export class Twin implements Partner, RoleHooks {
  readonly membership: Membership;
  readonly exchange: Exchange;
  /** Sites that may be making sessions now: both, unless the other is dead and its rows have been taken over. */
  sites: number;
  private readonly firstPackets: FirstPacketSetting;
  private readonly exposure: Exposure;
  private readonly takeovers: Takeovers;
  private readonly clock: Clock;
  private nowMicros = 0;
  private readonly unit: number;
  private readonly isWire: boolean;
  private readonly elsewhere: readonly number[];
  private mayHaveLost: boolean;
  private tickAtMicros = 0;

  /** Throws when a secret is too short or the plan has no twin port. */
  constructor(parts: TwinParts) {
    const { plan, tables, events, packets } = parts;
    const draw = new Int32Array(1);
    parts.entropy.fill(new Uint8Array(draw.buffer));
    this.firstPackets = new FirstPacketSetting(plan.twin.firstPacket, tables.header.i);
    this.takeovers = new Takeovers(events, tables);
    this.clock = parts.clock;
    this.unit = plan.unit;
    this.isWire = plan.mode === "transparent";
    this.elsewhere = plan.twin.peers.filter((peer) => peer.site !== plan.site).map((peer) => peer.unit);
    this.sites = this.elsewhere.length === 0 ? 1 : 2;
    this.mayHaveLost = parts.hasLostRows || parts.isNewborn;
    this.membership = new Membership({
      plan,
      tables,
      packets,
      ports: parts.ports,
      twinPorts: plan.ports.filter((port) => port.kind === "twin").map((port) => port.number),
      sealer: parts.sealer,
      entropy: parts.entropy,
      notes: events,
      isNewborn: parts.isNewborn,
      reaches: parts.reaches,
      silentMonitored: parts.silentMonitored,
      hooks: this,
      keys: parts.keys,
      ...parts.trial,
    });
    const roles: HandoffRoles & GrantRoles & RejoinListener = this.membership.roles;
    this.exchange = new Exchange({
      peers: plan.twin.peers.map((peer) => peer.unit),
      mates: plan.twin.peers.filter((peer) => peer.site === plan.site).map((peer) => peer.unit),
      sessions: parts.sessions,
      tables,
      events,
      packets,
      channel: this.membership.link,
      roles,
      draw: draw[0] as number,
    });
    this.exposure = new Exposure(parts.sessions, this.exchange.journal.digests, tables.header.i, plan.twin.partition === "stop");
    this.membership.connect(this.exchange);
  }

  /** Who judges packets that peers hand here; call once, before the first breath. */
  attach(admission: Admission): void {
    this.exchange.attach(admission);
  }

  /** First in each breath. True: discard what waits on the data ports. */
  begin(nowMicros: number): boolean {
    this.exchange.at(nowMicros);
    return this.membership.begin(nowMicros);
  }

  /** Takes in what peers sent; packets that they hand here go to the admission. */
  receive(nowMicros: number): void {
    this.membership.receive(nowMicros);
  }

  /** After the engine's batch: paths, liveness, roles; now and then lag and digests. */
  tick(nowMicros: number): void {
    this.membership.tick(nowMicros);
    this.tickFirstPackets(nowMicros);
    this.takeovers.tick(nowMicros);
    this.nowMicros = nowMicros;
    this.sites = this.isOtherSiteLeft() ? 1 : 2;
    // The active site is dead, to the last unit, and what it owned is ours.
    if (this.sites === 1 && this.isPassive) this.membership.orders.obey(ORDER_RESUME_SITE, true, nowMicros);
    if (nowMicros < this.tickAtMicros) return;
    this.tickAtMicros = nowMicros + TICK_MILLIS * 1_000;
    this.exchange.tick(nowMicros);
    this.exposure.tick();
  }

  /** Last: what changed goes out. `isPressed`: more packets wait on the data ports. True: there is more than one breath allowed, do not wait. */
  flush(nowMicros: number, isPressed: boolean): boolean {
    const { exchange, membership } = this;
    // A site whose only unit rejoins passes nothing until it is caught up: that outage is worse than a moment of less forwarding here.
    const isMeasured = exchange.pace.begin(nowMicros, isPressed && !exchange.isAwaited(nowMicros)) && exchange.busy;
    const from = isMeasured ? this.clock.nowMicros() : 0;
    exchange.flush(nowMicros);
    membership.flush(nowMicros);
    if (isMeasured) exchange.pace.spent(this.clock.nowMicros() - from);
    return exchange.busy;
  }

  /** When the next breath is due at the latest, for what waits for company; Infinity: nothing waits. */
  get dueMicros(): number {
    return this.exchange.dueMicros;
  }

  /** Every unit of the other site is dead and succeeded here. One that is out of reach, or was never heard of, may live. */
  private isOtherSiteLeft(): boolean {
    const { liveness, roles } = this.membership;
    for (let k = 0; k < this.elsewhere.length; k = (k + 1) | 0) {
      const unit = this.elsewhere[k] as number;
      if (liveness.state(unit) !== DEAD) return false;
      const disposition = roles.disposition(roles.wordOf(unit));
      const kind = disposition & 0xff;
      if (kind !== OWNER_ADOPT && (kind !== OWNER_ELSEWHERE || this.elsewhere.includes(disposition >> 8))) return false;
    }
    return true;
  }

  // What the fastpath asks.

  get mayForward(): boolean {
    const { roles } = this.membership;
    return roles.mayForward && !(this.isWire && this.isPassive) && !roles.isSettling;
  }

  get silentReason(): number {
    return this.membership.roles.mayForward ? DROP_SITE_PASSIVE : this.membership.roles.silentReason;
  }

  get asksFirst(): boolean {
    return this.firstPackets.asks;
  }

  get holdsFirst(): boolean {
    return this.firstPackets.holds && this.heldFor !== 0;
  }

  get heldFor(): number {
    const { roles, link } = this.membership;
    const unit = roles.twinActive;
    return unit !== 0 && link.associated(unit) ? unit : 0;
  }

  private tickFirstPackets(nowMicros: number): void {
    const { roles, link } = this.membership;
    const unit = roles.twinActive;
    const twinHolds = unit !== 0 && (roles.census.flagsOf(unit) & BEAT_HOLDS) !== 0;
    this.firstPackets.tick(link.paths.roundTripMicros[unit] as number, twinHolds, nowMicros);
    roles.holds = this.firstPackets.saysHolds;
  }

  get rivalsYielded(): number {
    return this.membership.roles.rivalsYielded;
  }

  get isPassive(): boolean {
    return this.membership.roles.sites.isPassive;
  }

  disposition(owner: number): number {
    return this.membership.roles.disposition(owner);
  }

  handoff(words: Int32Array, at: number, row: number, unit: number): boolean {
    return this.exchange.handoff.handoff(words, at, row, unit);
  }

  query(words: Int32Array, at: number): number {
    return this.exchange.handoff.query(words, at);
  }

  answer(words: Int32Array, at: number, kind: number, row: number): boolean {
    return this.exchange.handoff.answer(words, at, kind, row);
  }

  follow(row: number, unit: number): void {
    this.exchange.follow(row, unit);
  }

  controlFrame(port: number, offset: number, lengthBytes: number): void {
    this.membership.link.frame(port, offset, lengthBytes);
  }

  mayRelease(row: number): boolean {
    return this.exchange.mayRelease(row);
  }

  get gathers(): boolean {
    const { link, roles } = this.membership;
    return roles.twinActive === 0 || roles.twinActive > this.unit || !link.associated(roles.twinActive);
  }

  // What roles.ts tells.

  superseded(unit: number, _incarnation: number, successor: number, next: number): void {
    this.exchange.superseded(unit, successor, next);
    const { liveness, link } = this.membership;
    const isDead = liveness.state(unit) === DEAD;
    if (successor === this.unit && unit !== this.unit) this.takeovers.decided(unit, isDead ? this.nowMicros - link.paths.lastHeard(unit) : 0, this.nowMicros);
  }

  incarnated(next: number): void {
    this.exchange.incarnated(next);
  }

  rejoinBegan(): void {
    this.exchange.beginRejoin(this.mayHaveLost);
    this.mayHaveLost = false;
  }

  rejoinEnded(): void {
    this.exchange.endRejoin();
  }

  isBehind(unit: number): boolean {
    return this.exchange.isBehind(unit);
  }

  lagRows(unit: number): number {
    return this.exchange.lagRows(unit);
  }

  lagMicros(unit: number): number {
    return this.exchange.lagMicros(unit);
  }
}
