// What the link's tests run in a unit: a link, a standing that stands still, and a receiver that writes down what it hears.

import { headerWord } from "../../firmware/fastpath/memory/tables.ts";
import { UNIT_NAMES } from "../../firmware/limits.ts";
import { CLASS_ROW, RECORD_CAUGHT_UP, RECORD_REJOIN, RECORD_ROW, type RecordReceiver } from "../../firmware/twin/frame.ts";
import { Link, type LinkOptions, type Standing } from "../../firmware/twin/link.ts";
import { Membership, type MembershipOptions } from "../../firmware/twin/membership.ts";
import { pairKeysFor } from "../pair-keys.ts";
import { type Brain, DATA_PORTS, type Start, TWIN_PORT } from "./wire.ts";

/** An active unit in its first incarnation that never changes. */
export function steadyStanding(): Standing {
  return {
    role: 1,
    term: 1,
    incarnation: 7,
    flags: 0,
    successionHash: 0,
    seenIncarnation: () => 0,
    seenIncarnationBefore: () => 0,
    greeted: () => {},
    linked: () => {},
    reached: () => {},
    beat: () => {},
    write: () => {},
    append: () => 0,
    record: () => {},
  };
}

export class LinkBrain implements Brain, RecordReceiver {
  readonly link: Link;
  /** Texts of row records, by arrival. */
  readonly heard: string[] = [];
  /** "associated 3 fresh", "lost 3" … */
  readonly told: string[] = [];
  readonly start: Start;
  onBreath: ((nowMicros: number) => void) | null = null;
  private readonly offsets = new Int32Array(64);
  private readonly lengths = new Int32Array(64);

  constructor(start: Start, options: Partial<LinkOptions> = {}) {
    this.start = start;
    this.link = new Link({
      unit: start.unit,
      peers: start.peers,
      keys: pairKeysFor(start.peers),
      agreementHash: "same",
      heartbeatMillis: 20,
      heartbeatMisses: 5,
      ports: start.ports,
      twinPorts: [TWIN_PORT],
      packets: start.packets,
      sealer: start.sealer,
      entropy: start.entropy,
      tables: start.tables,
      notes: start.notes,
      standing: steadyStanding(),
      ...options,
    });
    this.link.connect(this);
  }

  breathe(nowMicros: number): void {
    this.link.receive(nowMicros);
    for (const number of DATA_PORTS) {
      const count = this.start.ports[number]?.receive(this.offsets, this.lengths, 64) ?? 0;
      for (let k = 0; k < count; k++) this.link.frame(number, this.offsets[k] as number, this.lengths[k] as number);
    }
    this.onBreath?.(nowMicros);
    this.link.tick(nowMicros);
    this.link.flush(nowMicros);
  }

  /** Sends a text as a row record; false when the link refuses. */
  say(unit: number, text: string, txClass = 1): boolean {
    const bytes = new TextEncoder().encode(text);
    const at = this.link.reserve(unit, RECORD_ROW, 0, bytes.length, txClass);
    if (at < 0) return false;
    this.link.bytes.set(bytes, at);
    return true;
  }

  record(_from: number, type: number, _flags: number, body: number, bodyBytes: number): boolean {
    if (type === RECORD_ROW) this.heard.push(new TextDecoder().decode(this.link.bytes.slice(body, body + bodyBytes)));
    return false;
  }

  associated(unit: number, fresh: boolean): void {
    this.told.push(`associated ${unit}${fresh ? " fresh" : ""}`);
  }

  lost(unit: number): void {
    this.told.push(`lost ${unit}`);
  }
}

export interface MemberOptions extends Partial<Pick<MembershipOptions, "reaches" | "isNewborn" | "twinPorts">> {
  readonly partition?: "stop" | "local";
  /** What the manager reserved; the tables' own when they hold one. */
  readonly incarnation?: number;
  /** Answers REJOIN with CAUGHT_UP at once, as replication without rows would. */
  readonly isPrompt?: boolean;
  readonly priority?: number;
  readonly preemptMillis?: number;
  readonly deployment?: "active/active" | "active/passive";
}

const H_INCARNATION = headerWord("incarnation");

/** A unit's membership without replication: whoever asks is caught up at once. */
export class MemberBrain implements Brain, RecordReceiver {
  readonly membership: Membership;
  readonly start: Start;
  /** "superseded 1:5 by 3, next 6", "incarnated 6", "associated 3 fresh" … */
  readonly told: string[] = [];
  /** What the test says of this unit's surroundings and replicas. */
  silentMonitored = 0;
  isBehind = false;
  lagRows = 0;
  lagMicros = 0;
  private readonly isPrompt: boolean;
  private isAsking = false;
  private readonly offsets = new Int32Array(64);
  private readonly lengths = new Int32Array(64);

  constructor(start: Start, options: MemberOptions = {}) {
    this.start = start;
    this.isPrompt = options.isPrompt ?? true;
    const header = start.tables.header.i;
    if (options.incarnation !== undefined) header[H_INCARNATION] = options.incarnation;
    this.membership = new Membership({
      plan: {
        unit: start.unit,
        site: (UNIT_NAMES[start.unit] as string)[0] as string,
        agreementHash: "same",
        twin: {
          enabled: true,
          peers: start.peers,
          heartbeatMillis: 20,
          heartbeatMisses: 5,
          partition: options.partition ?? "stop",
          priority: options.priority ?? 100,
          preemptMillis: options.preemptMillis ?? 0,
          deployment: options.deployment ?? "active/active",
          activeSite: 0,
          follow: "never",
          followPackets: 64,
          firstPacket: "query",
          monitored: [],
        },
      },
      ports: start.ports,
      twinPorts: options.twinPorts ?? [TWIN_PORT],
      packets: start.packets,
      sealer: start.sealer,
      entropy: start.entropy,
      tables: start.tables,
      notes: start.notes,
      keys: pairKeysFor(start.peers),
      isNewborn: options.isNewborn ?? true,
      reaches: options.reaches ?? null,
      silentMonitored: () => this.silentMonitored,
      hooks: {
        superseded: (unit, incarnation, successor, next) => {
          this.told.push(`superseded ${unit}:${incarnation} by ${successor}, next ${next}`);
        },
        incarnated: (next) => {
          this.told.push(`incarnated ${next}`);
        },
        rejoinBegan: () => {
          this.told.push("rejoin began");
          this.isAsking = true;
        },
        rejoinEnded: () => {
          this.told.push("rejoin ended");
        },
        isBehind: () => this.isBehind,
        lagRows: () => this.lagRows,
        lagMicros: () => this.lagMicros,
      },
    });
    this.membership.connect(this);
  }

  get roles() {
    return this.membership.roles;
  }
  get liveness() {
    return this.membership.liveness;
  }

  breathe(nowMicros: number): void {
    const { membership, start } = this;
    if (membership.begin(nowMicros)) for (const number of DATA_PORTS) start.ports[number]?.discardBacklog();
    membership.receive(nowMicros);
    for (const number of DATA_PORTS) {
      const count = start.ports[number]?.receive(this.offsets, this.lengths, 64) ?? 0;
      for (let k = 0; k < count; k++) membership.link.frame(number, this.offsets[k] as number, this.lengths[k] as number);
    }
    if (this.isAsking && this.isPrompt) this.ask();
    membership.tick(nowMicros);
    membership.flush(nowMicros);
  }

  /** Asks every peer to be caught up, again and again while it rejoins. */
  private ask(): void {
    this.isAsking = this.roles.rejoining;
    for (const { unit } of this.start.peers) this.membership.link.reserve(unit, RECORD_REJOIN, 0, 0, CLASS_ROW);
  }

  record(from: number, type: number): boolean {
    if (type === RECORD_REJOIN && this.isPrompt) this.membership.link.reserve(from, RECORD_CAUGHT_UP, 0, 0, CLASS_ROW);
    if (type === RECORD_CAUGHT_UP) this.roles.caughtUp(from);
    return false;
  }

  associated(unit: number, fresh: boolean): void {
    this.told.push(`associated ${unit}${fresh ? " fresh" : ""}`);
  }

  lost(unit: number): void {
    this.told.push(`lost ${unit}`);
  }
}
