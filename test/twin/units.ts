// Units in memory for tests of what twins tell each other about sessions: real tables, real exchange, a channel that can lose,
// duplicate, delay and reorder, and a clock that the test moves. No keys, no ports: those are link.ts' and the simulator's.

import { EventRing } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import {
  type CounterName,
  counterRow,
  headerWord,
  MEMBERS,
  mapTables,
  planRegions,
  STATE_NAMES,
  type Tables,
  type TableView,
  viewTable,
} from "../../firmware/fastpath/memory/tables.ts";
import { type Admission, OWNER_ADOPT, OWNER_ELSEWHERE, OWNER_HERE } from "../../firmware/fastpath/partner.ts";
import {
  KEY_STRIDE,
  NOT_FOUND,
  ownerUnit,
  ROW_WORDS,
  S_CREATED,
  S_EPOCH,
  S_FLOW,
  S_IDLE_LIMIT,
  S_KEY,
  S_LAST_SEEN,
  S_OWNER,
  S_PACKETS_F64,
  S_PORTS,
  S_STATE,
  SessionTable,
  STATE_FREE,
  STATE_TOMBSTONE,
} from "../../firmware/fastpath/sessions.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { Random } from "../../firmware/hal/sim/random.ts";
import { FRAME_BYTES, FRAME_HEADROOM_BYTES, UNITS } from "../../firmware/limits.ts";
import { Exchange, type SessionChannel } from "../../firmware/twin/exchange.ts";
import { ETHERNET_BYTES, FRAME_OVERHEAD_BYTES, RECORD_HEADER_BYTES } from "../../firmware/twin/frame.ts";
import type { GrantRoles } from "../../firmware/twin/grants.ts";
import type { HandoffRoles } from "../../firmware/twin/handoff.ts";
import { replicatedWords } from "../../firmware/twin/record.ts";
import type { RejoinListener } from "../../firmware/twin/rejoin.ts";

export const ESTABLISHED = STATE_NAMES.indexOf("established");
export const SYN_SENT = STATE_NAMES.indexOf("syn-sent");
export const UDP_ONE_WAY = STATE_NAMES.indexOf("udp-one-way");
export const TCP = 6;
export const UDP = 17;

/** Bytes from a frame's first byte to its first record. */
const RECORDS_AT = ETHERNET_BYTES + 16;

interface Message {
  readonly from: number;
  readonly to: number;
  readonly type: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly counter: number;
  readonly dueMicros: number;
  readonly order: number;
}

export interface Faults {
  lose: number;
  duplicate: number;
  /** Most microseconds of delay; each record draws its own, so that they overtake each other. */
  delayMicros: number;
}

/** The network between the units. */
export class Wire {
  readonly random: Random;
  readonly faults: Faults = { lose: 0, duplicate: 0, delayMicros: 0 };
  nowMicros = 1_000_000_000;
  readonly units: Unit[] = [];
  /** Sees each record on its way; true: it is lost (or held by the test). */
  intercept: ((message: Message) => boolean) | null = null;
  private queue: Message[] = [];
  private order = 0;

  constructor(seed: number) {
    this.random = new Random(seed, "wire");
  }

  send(from: number, to: number, type: number, flags: number, bytes: Uint8Array, counter: number): void {
    const copies = this.random.chance(this.faults.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = this.faults.delayMicros === 0 ? 0 : this.random.below(this.faults.delayMicros);
      const message = { from, to, type, flags, bytes, counter, dueMicros: this.nowMicros + delay, order: this.order++ };
      if (this.intercept?.(message) === true || this.random.chance(this.faults.lose)) continue;
      this.queue.push(message);
    }
  }

  /** Puts a message that a test held back on its way. */
  deliverNow(message: Message): void {
    this.unit(message.to).receive(message);
  }

  unit(number: number): Unit {
    return this.units.find((unit) => unit.number === number) as Unit;
  }

  /** Lets `millis` pass, a breath of every unit each millisecond. */
  run(millis: number): void {
    for (let k = 0; k < millis; k++) {
      this.nowMicros += 1_000;
      for (const unit of this.units) unit.exchange.at(this.nowMicros);
      const due = this.queue.filter((message) => message.dueMicros <= this.nowMicros).sort((a, b) => a.dueMicros - b.dueMicros || a.order - b.order);
      this.queue = this.queue.filter((message) => message.dueMicros > this.nowMicros);
      for (const message of due) if (this.unit(message.to).peers.has(message.from)) this.unit(message.to).receive(message);
      for (const unit of this.units) unit.breathe(this.nowMicros);
    }
  }

  /** Runs until `holds`, at the most `millis`; says whether it came to hold. */
  until(millis: number, holds: () => boolean): boolean {
    for (let k = 0; k < millis; k++) {
      if (holds()) return true;
      this.run(1);
    }
    return holds();
  }

  /** Associates two units. */
  connect(a: Unit, b: Unit, fresh = true): void {
    a.peers.add(b.number);
    b.peers.add(a.number);
    for (const unit of [a, b]) unit.exchange.at(this.nowMicros);
    a.exchange.associated(b.number, fresh);
    b.exchange.associated(a.number, fresh);
  }

  cut(a: Unit, b: Unit): void {
    a.peers.delete(b.number);
    b.peers.delete(a.number);
    a.exchange.lost(b.number);
    b.exchange.lost(a.number);
    this.queue = this.queue.filter(
      (message) => !(message.from === a.number && message.to === b.number) && !(message.from === b.number && message.to === a.number),
    );
  }
}

/** What a unit did with packets that were handed to it. */
export interface Admitted {
  readonly what: "admit" | "emit" | "judge";
  readonly packet: Uint8Array;
  readonly ingressUnit: number;
  readonly port: number;
  readonly zone: number;
  readonly vlan: number;
  readonly handed: number;
  readonly offset: number;
  readonly id: readonly number[];
}

export class Unit implements SessionChannel, HandoffRoles, GrantRoles, RejoinListener, Admission {
  readonly number: number;
  readonly wire: Wire;
  readonly buffer: ArrayBuffer;
  readonly tables: Tables;
  readonly sessions: SessionTable;
  readonly memory: FrameMemory;
  readonly exchange: Exchange;
  readonly peers = new Set<number>();
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Owner words that another unit has taken over: word → unit. */
  readonly successors = new Map<number, number>();
  readonly caughtUpBy: number[] = [];
  readonly admitted: Admitted[] = [];
  twinActive = 0;
  isActive = true;
  isOtherPassive = false;
  readonly stations = null;
  rejoining = false;
  mtuBytes = 1_500;
  /** Transmit refuses everything while set. */
  congested = false;
  private reserved: { offset: number; to: number; type: number; flags: number; bodyBytes: number }[] = [];
  private counters = new Int32Array(UNITS);

  /** `buffer`: the tables of an earlier life, whose rows are adopted. */
  constructor(wire: Wire, number: number, peers: readonly number[], rows = 1_024, incarnation = 1, buffer?: ArrayBuffer) {
    this.wire = wire;
    this.number = number;
    this.buffer = buffer ?? new ArrayBuffer(planRegions(rows).totalBytes);
    this.tables = mapTables(this.buffer, rows);
    if (buffer === undefined) this.tables.header.i[headerWord("incarnation")] = incarnation;
    this.sessions = new SessionTable(this.tables.sessions, this.tables.header.i, number, number * 7, number * 13, wire.nowMicros / 1_000);
    if (buffer === undefined) this.sessions.clear();
    else this.sessions.adoptRows(wire.nowMicros / 1_000);
    this.memory = createPacketMemory(new ArrayBuffer(1_024 * FRAME_BYTES));
    this.bytes = this.memory.bytes;
    this.view = this.memory.view;
    this.exchange = new Exchange({
      peers,
      mates: [],
      sessions: this.sessions,
      tables: this.tables,
      events: new EventRing(this.tables),
      packets: this.memory,
      channel: this,
      roles: this,
      draw: wire.random.word() | 0,
    });
    this.exchange.attach(this);
    wire.units.push(this);
  }

  breathe(nowMicros: number): void {
    this.expire(nowMicros / 1_000);
    this.exchange.tick(nowMicros);
    this.exchange.flush(nowMicros);
    this.flushChannel();
  }

  /** What the engine does with due rows. */
  private expire(nowMillis: number): void {
    for (let row = this.sessions.wheel.due(nowMillis); row >= 0; row = this.sessions.wheel.due(nowMillis)) {
      if (this.kind(row) !== STATE_TOMBSTONE) continue;
      if (this.exchange.mayRelease(row)) this.sessions.release(row);
      else this.sessions.wheel.schedule(row, nowMillis, 100);
    }
  }

  // The channel.

  reserve(unit: number, type: number, flags: number, bodyBytes: number, _txClass: number): number {
    if (!this.associated(unit) || this.congested || bodyBytes > this.bodyBytesMost(unit)) return -1;
    const offset = this.memory.take();
    if (offset < 0) return -1;
    this.reserved.push({ offset: offset + RECORDS_AT + RECORD_HEADER_BYTES, to: unit, type, flags, bodyBytes });
    return offset + RECORDS_AT + RECORD_HEADER_BYTES;
  }

  sendInPlace(unit: number, type: number, flags: number, recordOffset: number, bodyBytes: number, _txClass: number): boolean {
    if (!this.associated(unit) || this.congested) return false;
    if ((recordOffset & (FRAME_BYTES - 1)) < RECORDS_AT) throw new Error("no room for the headers before a record in place");
    this.reserved.push({ offset: recordOffset + RECORD_HEADER_BYTES, to: unit, type, flags, bodyBytes });
    return true;
  }

  bodyBytesMost(_unit: number): number {
    return this.mtuBytes + ETHERNET_BYTES - FRAME_OVERHEAD_BYTES - RECORD_HEADER_BYTES;
  }

  associated(unit: number): boolean {
    return this.peers.has(unit);
  }

  commonFields(_unit: number): Int32Array {
    return replicatedWords();
  }

  flushChannel(): void {
    for (const { offset, to, type, flags, bodyBytes } of this.reserved) {
      const counter = ((this.counters[to] as number) + 1) | 0;
      this.counters[to] = counter;
      this.wire.send(this.number, to, type, flags, this.bytes.slice(offset, offset + bodyBytes), counter);
      this.memory.give(offset);
    }
    this.reserved = [];
  }

  receive(message: Message): void {
    const frame = this.memory.take();
    const body = frame + RECORDS_AT + RECORD_HEADER_BYTES;
    this.view.setUint8(body - RECORD_HEADER_BYTES, message.type);
    this.bytes.set(message.bytes, body);
    if (!this.exchange.record(message.from, message.type, message.flags, body, message.bytes.length, frame, message.counter)) this.memory.give(frame);
  }

  // The roles.

  disposition(owner: number): number {
    if (owner === this.sessions.me) return OWNER_HERE;
    const successor = this.successors.get(owner) ?? ownerUnit(owner);
    return successor === this.number ? OWNER_ADOPT : OWNER_ELSEWHERE | (successor << 8);
  }

  /** Whatever heartbeats would have told. */
  wordOf(unit: number): number {
    return this.wire.units.find(({ number }) => number === unit)?.sessions.me ?? 0;
  }

  /** As roles.ts does it: everyone learns that `successor` owns what `owner` owned. */
  succession(owner: number, successor: number): void {
    this.successors.set(owner, successor);
    this.exchange.superseded(ownerUnit(owner), successor, owner === this.sessions.me ? (owner & 0xffffff) + 1 : 0);
  }

  caughtUp(unit: number): void {
    this.caughtUpBy.push(unit);
  }

  // The fastpath.

  admit(
    offset: number,
    lengthBytes: number,
    ingressUnit: number,
    port: number,
    zone: number,
    vlan: number,
    handed: number,
    idSerial: number,
    idCreator: number,
    idIncarnation: number,
    epoch: number,
  ): void {
    this.admitted.push({
      what: "admit",
      packet: this.bytes.slice(offset, offset + lengthBytes),
      ingressUnit,
      port,
      zone,
      vlan,
      handed,
      offset,
      id: [idSerial, idCreator, idIncarnation, epoch],
    });
    this.memory.give(offset);
  }

  emitJudged(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void {
    this.admitted.push({ what: "emit", packet: this.bytes.slice(offset, offset + lengthBytes), ingressUnit: 0, port, zone, vlan, handed: 0, offset, id: [] });
    this.memory.give(offset);
  }

  judgeHere(offset: number, lengthBytes: number, port: number, zone: number, vlan: number): void {
    this.admitted.push({ what: "judge", packet: this.bytes.slice(offset, offset + lengthBytes), ingressUnit: 0, port, zone, vlan, handed: 0, offset, id: [] });
    this.memory.give(offset);
  }

  // Sessions, as a test speaks of them.

  /** Opens a session: host 10.0.0.`source` to 10.0.1.`destination`. Returns its row. */
  open(source: number, destination: number, port = 80, state = ESTABLISHED, protocol = TCP): number {
    const row = this.sessions.take();
    if (row < 0) throw new Error("the table is full");
    const at = row * ROW_WORDS;
    const i = this.sessions.i;
    writeKey(i, at + S_KEY, source, destination, port, protocol);
    writeKey(i, at + S_KEY + KEY_STRIDE, destination, source, ((port & 0xffff) << 16) | (port >>> 16), protocol);
    i[at + S_PORTS + KEY_STRIDE] = ((i[at + S_PORTS] as number) >>> 16) | ((i[at + S_PORTS] as number) << 16);
    i[at + S_STATE] = state;
    i[at + S_EPOCH] = 1;
    i[at + S_OWNER] = this.sessions.me;
    i[at + S_IDLE_LIMIT] = 7_440_000;
    i[at + S_LAST_SEEN] = (this.wire.nowMicros / 1_000) | 0;
    i[at + S_CREATED] = (this.wire.nowMicros / 1_000) | 0;
    this.sessions.drawId(row);
    this.sessions.commit(row);
    const linked = this.sessions.link(row);
    if (linked !== -1) throw new Error(`row ${row} could not be linked: ${linked}`);
    this.sessions.f[(at >> 1) + S_PACKETS_F64] = 1;
    this.sessions.changed(row);
    return row;
  }

  /** Ends a session of this unit, as the judge does. */
  end(row: number): void {
    this.sessions.end(row);
    this.sessions.changed(row);
    this.sessions.wheel.schedule(row, this.wire.nowMicros / 1_000, 1_000);
  }

  kind(row: number): number {
    return (this.sessions.i[row * ROW_WORDS + S_STATE] as number) & 0xff;
  }

  word(row: number, position: number): number {
    return this.sessions.i[row * ROW_WORDS + position] as number;
  }

  /** This unit's row of the session that `other` has in `row`, live or ended; -1 if it has none. */
  counterpart(other: Unit, row: number): number {
    const at = row * ROW_WORDS;
    const found = this.sessions.findById(other.sessions.i[at + 48] as number, other.sessions.i[at + 49] as number, other.sessions.i[at + 50] as number);
    return found === NOT_FOUND ? -1 : found;
  }

  counter(name: CounterName): number {
    return this.tables.counters.f[counterRow(name)] as number;
  }

  member(unit: number, name: string): number {
    return this.tables.members.i[unit * MEMBERS.strideWords + word(MEMBERS, name)] as number;
  }

  /** Every live row as "id epoch version owner", in order. */
  live(): string[] {
    const rows: string[] = [];
    for (let row = 0; row < this.sessions.capacity; row++) {
      const kind = this.kind(row);
      if (kind !== STATE_FREE && kind !== STATE_TOMBSTONE) rows.push([48, 49, 50, 51, 52, 53].map((position) => this.word(row, position)).join(" "));
    }
    return rows.sort();
  }
}

function writeKey(i: Int32Array, at: number, source: number, destination: number, ports: number, protocol: number): void {
  i[at + 2] = 0xffff0000 | 0;
  i[at + 3] = source;
  i[at + 6] = 0xffff0000 | 0;
  i[at + 7] = destination;
  i[at + 8] = ports;
  i[at + (S_FLOW - S_KEY)] = protocol;
}

/** A frame in a unit's hand with `length` bytes of a pattern, and its offset. */
export function packetOf(unit: Unit, length: number, seed = 1): number {
  const offset = unit.memory.take();
  if ((offset & (FRAME_BYTES - 1)) !== FRAME_HEADROOM_BYTES) throw new Error("packets start behind the headroom");
  for (let k = 0; k < length; k++) unit.bytes[offset + k] = (k * 7 + seed) & 0xff;
  return offset;
}

export function patternOf(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, k) => (k * 7 + seed) & 0xff);
}

/** A session table view over a copy of a unit's memory, for a later life. */
export function copyOf(unit: Unit): ArrayBuffer {
  return unit.buffer.slice(0);
}

export type { Message, TableView };
export { viewTable };
