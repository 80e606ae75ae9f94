// The link to all peers: association, heartbeats on every path, keys, MTU, and the channel on which the rest of the twin
// sends its records. No timers: the dataplane's loop drives it.
//
//   each breath:   receive ─► (the rest of the twin) ─► tick ─► flush
//
//              ┌ hello, association, keys ┐
//   inbox ─────┤ paths, probe             ├───── outbox
//              └ records of others ─► RecordReceiver, Standing
//
// A peer is *linked* when keys are agreed and the twin path, or one of two, works both ways: only then do records flow. Heartbeats and
// greetings go on every path, so that a cut twin path is not taken for a death, nor a restart behind it for silence.

import type { EventRing } from "../fastpath/events.ts";
import { SESSIONS, type Tables } from "../fastpath/memory/tables.ts";
import { type Entropy, type PacketMemory, PORT_UP, type Port, SEAL_HEADER_BYTES, SEAL_TAG_BYTES, type Sealer } from "../hal/contracts.ts";
import { HELLO_ANSWER_MILLIS, HELLO_MILLIS, HELLOS_PER_BREATH, PACKET_BYTES_MOST, TWIN_MTU_BYTES, UNITS } from "../limits.ts";
import type { PairKeys } from "../pair-keys.ts";
import type { PlannedPeer } from "../plan.ts";
import { Association, type Household, sameBytes, windowsFor } from "./association.ts";
import { FieldList } from "./fields.ts";
import {
  B_FLAGS,
  B_HEARS,
  B_INCARNATION,
  B_REACHES,
  B_ROLE,
  B_SEEN,
  B_SEQUENCE,
  B_SUCCESSIONS,
  B_TERM,
  type Channel,
  CLASS_HEARTBEAT,
  ETHERNET_BYTES,
  GROUP_MAC,
  H_FLAGS,
  H_INCARNATION,
  H_SEEN,
  HEARTBEAT_BYTES,
  HEARTBEAT_BYTES_LEAST,
  HELLO_WANTS_ANSWER,
  KEY_RECORD_BYTES,
  PATH_TWIN,
  PATHS,
  RECORD_HEADER_BYTES,
  RECORD_HEARTBEAT,
  RECORD_KEY_OFFER,
  RECORD_KEY_READY,
  RECORD_PROBE,
  RECORD_PROBE_ANSWER,
  RECORD_SECOND_PORT,
  RECORD_SUCCESSION,
  type RecordReceiver,
  SECOND_PORT_BYTES,
} from "./frame.ts";
import { Greeter, HELLO_ACCEPTED, HELLO_DIFFERS, HELLO_FORGED, HELLO_REKEYED } from "./hello.ts";
import { Inbox, type Opened } from "./inbox.ts";
import { DRAW_BYTES } from "./keys.ts";
import { BROADCAST_MAC, Outbox } from "./outbox.ts";
import { Paths } from "./paths.ts";
import { MtuProbe } from "./probe.ts";
import { ReplayWindows } from "./replay.ts";
import { LinkReport } from "./report.ts";

/** Paths are looked at this often, however fast the loop runs. */
const CHECK_MICROS = 1_000;
const SEALED_OVERHEAD_BYTES = SEAL_HEADER_BYTES + SEAL_TAG_BYTES;

/** This unit's standing among its peers, as heartbeats tell it; roles.ts keeps it. */
export interface Standing {
  readonly role: number;
  readonly term: number;
  readonly incarnation: number;
  /** BEAT_* */
  readonly flags: number;
  /** Equal tables of successions have equal hashes. */
  readonly successionHash: number;
  /** Highest incarnation known of a unit; `before`: known before its present start was accepted. */
  seenIncarnation(unit: number): number;
  seenIncarnationBefore(unit: number): number;
  /** A new start of the peer was accepted. `seen`: highest incarnation of ours that it knows. */
  greeted(unit: number, incarnation: number, seen: number, nowMicros: number): void;
  /** Records flow from now on: the peer lives, whenever the next look at liveness is due. */
  linked(unit: number, nowMicros: number): void;
  /** A data path to the unit works, and did not before. */
  reached(unit: number, nowMicros: number): void;
  /** A heartbeat's body. */
  beat(unit: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void;
  /** Writes the rest of a heartbeat's body, from B_NUMBER on; the room is zeroes. */
  write(view: DataView, body: number): void;
  /** Writes the records that `unit` lacks as whole records at `at`; returns their bytes, at most `roomBytes`. */
  append(unit: number, view: DataView, at: number, roomBytes: number): number;
  /** A record of types 48 and up. */
  record(from: number, type: number, flags: number, view: DataView, body: number, bodyBytes: number, nowMicros: number): void;
}

export interface LinkOptions extends LinkTrial {
  readonly unit: number;
  readonly peers: readonly PlannedPeer[];
  /** What is shared with each peer; one that is missing is not paired. */
  readonly keys: readonly PairKeys[];
  readonly agreementHash: string;
  readonly heartbeatMillis: number;
  readonly heartbeatMisses: number;
  /** Ports by number, null where there is none. */
  readonly ports: readonly (Port | null)[];
  /** Numbers of the twin ports: one, or two. */
  readonly twinPorts: readonly number[];
  readonly packets: PacketMemory;
  readonly sealer: Sealer;
  readonly entropy: Entropy;
  readonly tables: Pick<Tables, "members" | "paths" | "counters">;
  readonly notes: Pick<EventRing, "note">;
  readonly standing: Standing;
}

/** What tests and simulations change. */
export interface LinkTrial {
  /** Replicated fields; this firmware's session rows when absent. */
  readonly fields?: FieldList;
  /** When sealing keys are replaced; limits.ts when absent. */
  readonly keyFrames?: number;
  readonly keyMillis?: number;
}

export class Link implements Channel, Opened {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly paths: Paths;
  private readonly unit: number;
  private readonly peers: Int32Array;
  private readonly packets: PacketMemory;
  private readonly ports: readonly (Port | null)[];
  private readonly standing: Standing;
  private readonly report: LinkReport;
  private readonly greeter: Greeter;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly associations: (Association | null)[];
  /** By unit × PATHS + path; twin paths of peers. */
  private readonly probes: (MtuProbe | null)[];
  private receiver: RecordReceiver | null = null;
  private readonly heartbeatMicros: number;
  private readonly detectMicros: number;
  private nowMicros = 0;
  private checkDueMicros = 0;
  private beatDueMicros = 0;
  private helloBudget = 0;
  /** By unit. */
  private readonly linked = new Uint8Array(UNITS);
  private readonly isFresh = new Uint8Array(UNITS);
  private readonly helloDue = new Float64Array(UNITS);
  /** By unit and path: the path by which a greeting came first may carry nothing back. */
  private readonly answerDue = new Float64Array(UNITS * PATHS);
  private readonly keyReady = new Int32Array(UNITS).fill(-1);
  private readonly keyReadyGeneration = new Float64Array(UNITS);

  /** Throws when a secret is too short or there is no twin port. */
  constructor(options: LinkOptions) {
    const [first = -1, second = -1] = options.twinPorts;
    const twinPort = options.ports[first];
    if (twinPort === undefined || twinPort === null) throw new Error(`twin: there is no port ${first} for the twin`);
    this.unit = options.unit;
    this.peers = Int32Array.from(options.peers, (peer) => peer.unit);
    this.packets = options.packets;
    this.bytes = options.packets.bytes;
    this.view = options.packets.view;
    this.ports = Array.from({ length: PATHS }, (_, path) => (path === PATH_TWIN ? twinPort : path - 1 === first ? null : (options.ports[path - 1] ?? null)));
    this.standing = options.standing;
    this.heartbeatMicros = options.heartbeatMillis * 1000;
    this.detectMicros = this.heartbeatMicros * options.heartbeatMisses;
    this.paths = new Paths(this.ports, this.detectMicros, second + 1);
    const house = openHouse(options);
    const isPeer = (unit: number): boolean => this.peers.includes(unit);
    this.associations = Array.from({ length: UNITS }, (_, unit) => (isPeer(unit) ? new Association(unit, house) : null));
    this.probes = Array.from({ length: UNITS * PATHS }, (_, cell) => (isPeer((cell / PATHS) | 0) && this.paths.isTwin(cell % PATHS) ? new MtuProbe() : null));
    const shared = { unit: options.unit, packets: options.packets, sealer: options.sealer, associations: this.associations, paths: this.paths };
    this.outbox = new Outbox(shared);
    this.inbox = new Inbox({ ...shared, windows: house.windows, opened: this });
    this.report = new LinkReport({
      tables: options.tables,
      notes: options.notes,
      paths: this.paths,
      inbox: this.inbox,
      outbox: this.outbox,
      twinPort: first,
    });
    this.greeter = new Greeter({
      packets: options.packets,
      house,
      fields: options.fields ?? new FieldList(SESSIONS),
      agreementHash: options.agreementHash,
      mac: twinPort.mac,
      mtuBytes: twinPort.mtuBytes,
      second: second + 1,
    });
    this.setKeys(options.keys);
  }

  /** The manager's keys as they are now. Who is not paired any more, or is somebody else, is not heard from this moment on. */
  setKeys(keys: readonly PairKeys[]): void {
    for (let k = 0; k < this.peers.length; k++) {
      const association = this.associations[this.peers[k] as number] as Association;
      const isVoid = association.keys.replace(keys.find(({ unit }) => unit === association.unit));
      if (!isVoid || !association.agreed) continue;
      association.forget();
      this.unlink(association.unit);
      this.outbox.forget(association.unit);
    }
  }

  /** Who receives the records of the rest of the twin; call once, before the first breath. */
  connect(receiver: RecordReceiver): void {
    this.receiver = receiver;
  }

  /** First in each breath: reads the twin ports and the frames held from data ports. */
  receive(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.helloBudget = HELLOS_PER_BREATH;
    this.inbox.receive();
  }

  /** A frame of ETHERTYPE_TWIN that came in on data port `port`; takes it. It is read with the next `receive`. */
  frame(port: number, offset: number, lengthBytes: number): void {
    this.inbox.hold(port + 1, offset, lengthBytes);
  }

  /** Each breath, after `receive`: path states, greetings, heartbeats, keys, probes. Cheap when nothing is due. */
  tick(nowMicros: number): void {
    this.nowMicros = nowMicros;
    if (nowMicros < this.checkDueMicros) return;
    this.checkDueMicros = nowMicros + CHECK_MICROS;
    const isBeatDue = nowMicros >= this.beatDueMicros;
    // Behind by more than a beat: what was missed is not made up for.
    if (isBeatDue) this.beatDueMicros = Math.max(this.beatDueMicros + this.heartbeatMicros, nowMicros + this.heartbeatMicros / 2);
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      const association = this.associations[unit] as Association;
      this.refresh(unit);
      if (this.paths.choose(unit, isBeatDue, nowMicros)) this.tellMtu(unit);
      association.tick(nowMicros);
      if (!association.confirmed && nowMicros >= (this.helloDue[unit] as number)) this.greetEverywhere(association);
      if (!isBeatDue) continue;
      if (association.agreed) this.beatEverywhere(association);
      this.report.tell(unit, nowMicros);
    }
    if (isBeatDue) this.report.count();
  }

  /** Something was decided that peers should hear at once. Call between `tick` and `flush`. */
  beatNow(): void {
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const association = this.associations[this.peers[k] as number] as Association;
      if (association.agreed) for (let path = 0; path < PATHS; path = (path + 1) | 0) this.beatOn(association, path);
    }
  }

  /** Last in each breath: seals and transmits everything, and flushes the twin ports. Data ports are flushed by their user. */
  flush(nowMicros: number): void {
    this.nowMicros = nowMicros;
    this.outbox.flush();
    const { twinPaths } = this.paths;
    for (let k = 0; k < twinPaths.length; k = (k + 1) | 0) (this.ports[twinPaths[k] as number] as Port).flush();
  }

  reserve(unit: number, type: number, flags: number, bodyBytes: number, txClass: number): number {
    return this.linked[unit] === 1 ? this.outbox.reserve(unit, type, flags, bodyBytes, txClass) : -1;
  }

  sendInPlace(unit: number, type: number, flags: number, recordOffset: number, bodyBytes: number, txClass: number): boolean {
    return this.linked[unit] === 1 && this.outbox.sendInPlace(unit, type, flags, recordOffset, bodyBytes, txClass);
  }

  bodyBytesMost(unit: number): number {
    const most = this.outbox.bodyMost[unit] as number;
    return most === 0 ? 0 : most - RECORD_HEADER_BYTES;
  }

  associated(unit: number): boolean {
    return this.linked[unit] === 1;
  }

  /** Word positions in our session rows that `unit` knows too, in the order in which rows travel. Constant from `associated` to `lost`. */
  commonFields(unit: number): Int32Array {
    return (this.associations[unit] as Association | null)?.commonWords ?? new Int32Array(0);
  }

  /** Frames that wait in a transmit class. */
  queued(txClass: number): number {
    return this.outbox.queued(txClass);
  }

  // What the inbox found.

  hello(unit: number, path: number, header: number, bodyBytes: number): void {
    if (this.helloBudget <= 0) return;
    this.helloBudget = (this.helloBudget - 1) | 0;
    const association = this.associations[unit] as Association;
    const result = this.greeter.judge(header, bodyBytes, association, this.nowMicros);
    const body = header + SEAL_HEADER_BYTES;
    if (result === HELLO_FORGED) {
      this.inbox.rejected[unit] = (this.inbox.rejected[unit] as number) + 1;
      this.report.keyRejected(unit, this.nowMicros);
      return;
    }
    if (result === HELLO_DIFFERS) this.report.agreementDiffers(unit, this.nowMicros);
    const wantsAnswer = ((this.bytes[body + H_FLAGS] as number) & HELLO_WANTS_ANSWER) !== 0;
    const isAccepted = result === HELLO_ACCEPTED;
    // Records were sealed under keys that the peer may not have: from the least on, as after its start.
    if (result === HELLO_REKEYED) this.keyReady[unit] = -1;
    // It answered a challenge of this moment: that proves life on this path.
    if (isAccepted) this.paths.heard(unit, path, this.nowMicros);
    if (isAccepted) this.begin(association, this.view.getUint32(body + H_INCARNATION), this.view.getUint32(body + H_SEEN));
    const due = unit * PATHS + path;
    if (isAccepted || (wantsAnswer && this.nowMicros >= (this.answerDue[due] as number))) {
      this.answerDue[due] = this.nowMicros + HELLO_ANSWER_MILLIS * 1000;
      this.greet(association, path, !association.agreed);
    }
    if (isAccepted) this.beatEverywhere(association);
  }

  verified(unit: number, path: number, parity: number): void {
    (this.associations[unit] as Association).verified(parity, this.nowMicros);
    this.paths.heard(unit, path, this.nowMicros);
  }

  record(unit: number, type: number, flags: number, body: number, bodyBytes: number, frame: number, counter: number, path: number, peerPath: number): boolean {
    if (type < 16) {
      this.ownRecord(unit, type, flags, body, bodyBytes, path, peerPath);
      return false;
    }
    if (type >= RECORD_SUCCESSION) {
      this.standing.record(unit, type, flags, this.view, body, bodyBytes, this.nowMicros);
      return false;
    }
    return this.receiver?.record(unit, type, flags, body, bodyBytes, frame, counter) ?? false;
  }

  private ownRecord(unit: number, type: number, flags: number, body: number, bodyBytes: number, path: number, peerPath: number): void {
    const association = this.associations[unit] as Association;
    if (type === RECORD_HEARTBEAT && bodyBytes >= HEARTBEAT_BYTES_LEAST) this.onHeartbeat(association, body, bodyBytes, path, peerPath);
    else if (bodyBytes < 4) return;
    else if (type === RECORD_PROBE) this.answerProbe(unit, bodyBytes, peerPath);
    else if (type === RECORD_PROBE_ANSWER) this.onProbeAnswer(unit, flags, this.view.getUint32(body));
    else if (type === RECORD_SECOND_PORT && bodyBytes >= SECOND_PORT_BYTES) association.learnSecond(this.bytes, this.view, body);
    else if (bodyBytes < KEY_RECORD_BYTES) return;
    else if (type === RECORD_KEY_READY) association.ready(this.view.getUint32(body), this.view.getUint32(body + 4), this.nowMicros);
    else if (type === RECORD_KEY_OFFER) this.onKeyOffer(association, this.view.getUint32(body), this.view.getUint32(body + 4));
  }

  private onKeyOffer(association: Association, number: number, generation: number): void {
    if (!association.offered(number, generation)) return;
    this.keyReady[association.unit] = number;
    this.keyReadyGeneration[association.unit] = generation;
  }

  private onHeartbeat(association: Association, body: number, bodyBytes: number, path: number, peerPath: number): void {
    const unit = association.unit;
    const wasUp = this.paths.isUp(unit, path);
    this.report.heartbeat(unit);
    this.paths.beat(unit, peerPath, path, this.view, body, this.view.getInt32(body + B_SEQUENCE), this.nowMicros);
    this.standing.beat(unit, this.view, body, bodyBytes, this.nowMicros);
    this.refresh(unit);
    // Until the path works the peer waits for our echo: do not let it wait for the next beat.
    if (!wasUp) this.beatOn(association, path);
  }

  /** A new start of the peer was accepted: everything about the earlier one is void. */
  private begin(association: Association, incarnation: number, seen: number): void {
    const unit = association.unit;
    this.unlink(unit);
    this.outbox.forget(unit);
    this.paths.restart(unit);
    this.isFresh[unit] = 1;
    this.keyReady[unit] = -1;
    this.helloDue[unit] = this.nowMicros + HELLO_MILLIS * 1000;
    const { twinPaths } = this.paths;
    for (let k = 0; k < twinPaths.length; k = (k + 1) | 0) this.setMtu(unit, twinPaths[k] as number, this.leastMtu(twinPaths[k] as number));
    this.standing.greeted(unit, incarnation, seen, this.nowMicros);
  }

  /** Brings the states of a peer's paths up to date, and tells of changes. */
  private refresh(unit: number): void {
    const paths = this.paths;
    for (let path = 0; path < PATHS; path = (path + 1) | 0) {
      const change = paths.refresh(unit, path, this.nowMicros);
      if (change === 0) continue;
      this.report.path(unit, path, change > 0, this.twinLinks(unit), this.nowMicros);
      if (change > 0 && !paths.isTwin(path)) this.standing.reached(unit, this.nowMicros);
      if (change > 0 && this.linked[unit] === 1 && paths.isTwin(path)) this.probeAnew(unit, path);
    }
    const works = paths.isTwinUp(unit) && (this.associations[unit] as Association).agreed;
    if (works && this.linked[unit] === 0) this.join(unit);
    else if (!works) this.unlink(unit);
  }

  /** Both units must have a second twin port for a second link. */
  private twinLinks(unit: number): number {
    return this.paths.twinPaths.length === 2 && (this.associations[unit] as Association).peerSecond !== PATH_TWIN ? 2 : 1;
  }

  private join(unit: number): void {
    this.linked[unit] = 1;
    this.report.linked(unit, true, this.nowMicros);
    const { twinPaths } = this.paths;
    for (let k = 0; k < twinPaths.length; k = (k + 1) | 0) this.probeAnew(unit, twinPaths[k] as number);
    const fresh = this.isFresh[unit] === 1;
    this.isFresh[unit] = 0;
    this.standing.linked(unit, this.nowMicros);
    this.receiver?.associated(unit, fresh);
  }

  private unlink(unit: number): void {
    if (this.linked[unit] === 0) return;
    this.linked[unit] = 0;
    this.report.linked(unit, false, this.nowMicros);
    this.receiver?.lost(unit);
  }

  private greetEverywhere(association: Association): void {
    this.helloDue[association.unit] = this.nowMicros + HELLO_MILLIS * 1000;
    for (let path = 0; path < PATHS; path = (path + 1) | 0) this.greet(association, path, true);
  }

  private greet(association: Association, path: number, wantsAnswer: boolean): void {
    const port = this.ports[path] as Port | null;
    const keyring = association.keys.greeting;
    if (keyring === null || port === null || port.state !== PORT_UP) return;
    const offset = this.packets.take();
    if (offset < 0) return;
    this.outbox.address(offset, this.paths.isTwin(path) ? BROADCAST_MAC : GROUP_MAC, port);
    const { standing } = this;
    // A start that asks what is known of its unit must not hear of itself.
    const isKnown = association.agreed && sameBytes(association.heardDraw, association.peerDraw);
    const seen = isKnown ? standing.seenIncarnationBefore(association.unit) : standing.seenIncarnation(association.unit);
    const length = this.greeter.write(offset + ETHERNET_BYTES, association, keyring, standing.incarnation, seen, wantsAnswer);
    if (!port.transmit(offset, ETHERNET_BYTES + length)) this.packets.give(offset);
  }

  private beatEverywhere(association: Association): void {
    for (let path = 0; path < PATHS; path = (path + 1) | 0) this.beatOn(association, path);
    if (this.linked[association.unit] === 0) return;
    const { twinPaths } = this.paths;
    for (let k = 0; k < twinPaths.length; k = (k + 1) | 0) this.probe(association.unit, twinPaths[k] as number);
  }

  /** A heartbeat on one path, and with it what the peer needs to know anyway: keys on offer, keys ready, successions. */
  private beatOn(association: Association, path: number): void {
    const port = this.ports[path] as Port | null;
    if (port === null || port.state !== PORT_UP) return;
    const start = this.outbox.draft();
    if (start < 0) return;
    const unit = association.unit;
    const { view, standing, paths, nowMicros } = this;
    const body = this.writeHeader(start, RECORD_HEARTBEAT, HEARTBEAT_BYTES);
    view.setInt32(body + B_SEQUENCE, paths.nextSequence(unit, path, nowMicros));
    view.setUint8(body + B_ROLE, standing.role);
    view.setUint8(body + B_FLAGS, standing.flags);
    view.setUint8(body + B_HEARS, this.heardUnits());
    view.setUint8(body + B_REACHES, this.reachedUnits());
    view.setUint32(body + B_TERM, standing.term);
    view.setUint32(body + B_INCARNATION, standing.incarnation);
    view.setUint32(body + B_SEEN, standing.seenIncarnation(unit));
    view.setInt32(body + B_SUCCESSIONS, standing.successionHash);
    paths.writeEchoes(view, body, unit, nowMicros);
    this.bytes.fill(0, body + HEARTBEAT_BYTES_LEAST, body + HEARTBEAT_BYTES);
    standing.write(view, body);
    let at = body + HEARTBEAT_BYTES;
    if (path !== PATH_TWIN && paths.isTwin(path)) at = this.writeSecondPort(at, port);
    const offer = association.offer(nowMicros);
    if (offer >= 0) at = this.writeKey(at, RECORD_KEY_OFFER, offer, association.offerGeneration);
    const ready = this.keyReady[unit] as number;
    if (ready >= 0) at = this.writeKey(at, RECORD_KEY_READY, ready, this.keyReadyGeneration[unit] as number);
    this.keyReady[unit] = -1;
    at += standing.append(unit, view, at, start + Math.min(TWIN_MTU_BYTES, port.mtuBytes) - SEALED_OVERHEAD_BYTES - at);
    this.outbox.post(unit, path, start, at - start);
  }

  private writeHeader(at: number, type: number, bodyBytes: number): number {
    this.view.setUint16(at, type << 8);
    this.view.setUint16(at + 2, bodyBytes);
    return at + RECORD_HEADER_BYTES;
  }

  private writeSecondPort(at: number, port: Port): number {
    const body = this.writeHeader(at, RECORD_SECOND_PORT, SECOND_PORT_BYTES);
    this.bytes.set(port.mac, body);
    this.view.setUint16(body + 6, Math.min(port.mtuBytes, 0xffff));
    return body + SECOND_PORT_BYTES;
  }

  private writeKey(at: number, type: number, number: number, generation: number): number {
    const body = this.writeHeader(at, type, KEY_RECORD_BYTES);
    this.view.setUint32(body, number);
    this.view.setUint32(body + 4, generation);
    return body + KEY_RECORD_BYTES;
  }

  /** Bit u: unit u is heard on some path. */
  private heardUnits(): number {
    let units = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) {
      const unit = this.peers[k] as number;
      if (this.paths.lastHeard(unit) >= this.nowMicros - this.detectMicros) units |= 1 << unit;
    }
    return units;
  }

  /** Bit u: the twin path to unit u works both ways. */
  private reachedUnits(): number {
    let units = 0;
    for (let k = 0; k < this.peers.length; k = (k + 1) | 0) if (this.linked[this.peers[k] as number] === 1) units |= 1 << (this.peers[k] as number);
    return units;
  }

  /** The path came up, or the peer began anew: what it carries beyond the least is to be found out. */
  private probeAnew(unit: number, path: number): void {
    const port = this.ports[path] as Port;
    const association = this.associations[unit] as Association;
    const theirs = path === PATH_TWIN ? association.peerMtuBytes : association.secondMtuBytes;
    const probe = this.probes[unit * PATHS + path] as MtuProbe;
    probe.reset(Math.min(port.mtuBytes, theirs, PACKET_BYTES_MOST - ETHERNET_BYTES) & ~3, this.nowMicros);
    this.setMtu(unit, path, probe.mtuBytes);
  }

  private probe(unit: number, path: number): void {
    const probe = this.probes[unit * PATHS + path] as MtuProbe;
    const sizeBytes = probe.next(this.nowMicros);
    this.setMtu(unit, path, probe.mtuBytes);
    if (sizeBytes > 0) this.sendProbe(unit, path, sizeBytes);
  }

  private sendProbe(unit: number, path: number, sizeBytes: number): void {
    const start = this.outbox.draft();
    if (start < 0) return;
    const bodyBytes = (sizeBytes - SEALED_OVERHEAD_BYTES) & ~3;
    this.bytes.fill(0, start, start + bodyBytes);
    this.writeHeader(start, RECORD_PROBE, bodyBytes - RECORD_HEADER_BYTES);
    this.outbox.post(unit, path, start, bodyBytes);
  }

  /** `peerPath`: the path that the peer asked about. */
  private answerProbe(unit: number, bodyBytes: number, peerPath: number): void {
    const at = this.reserve(unit, RECORD_PROBE_ANSWER, peerPath, 4, CLASS_HEARTBEAT);
    if (at >= 0) this.view.setUint32(at, bodyBytes + RECORD_HEADER_BYTES + SEALED_OVERHEAD_BYTES);
  }

  private onProbeAnswer(unit: number, path: number, sizeBytes: number): void {
    if (path >= PATHS || !this.paths.isTwin(path)) return;
    const probe = this.probes[unit * PATHS + path] as MtuProbe;
    if (probe.answered(sizeBytes, this.nowMicros)) this.setMtu(unit, path, probe.mtuBytes);
  }

  /** What every twin segment carries, if the port does. */
  private leastMtu(path: number): number {
    return Math.min(TWIN_MTU_BYTES, (this.ports[path] as Port).mtuBytes);
  }

  private setMtu(unit: number, path: number, mtuBytes: number): void {
    this.paths.mtuBytes[unit * PATHS + path] = mtuBytes;
    if (path === this.paths.best[unit]) this.tellMtu(unit);
  }

  /** Frames to the unit are as long as its best twin path carries. */
  private tellMtu(unit: number): void {
    const mtuBytes = this.paths.mtuBytes[unit * PATHS + (this.paths.best[unit] as number)] as number;
    this.outbox.bodyMost[unit] = (mtuBytes - SEALED_OVERHEAD_BYTES) & ~3;
    this.report.mtu(unit, mtuBytes);
  }
}

function openHouse(options: LinkOptions): Household {
  const draw = new Uint8Array(DRAW_BYTES);
  options.entropy.fill(draw);
  return {
    unit: options.unit,
    sealer: options.sealer,
    entropy: options.entropy,
    windows: new ReplayWindows(windowsFor(UNITS)),
    draw,
    ...(options.keyFrames === undefined ? {} : { keyFrames: options.keyFrames }),
    ...(options.keyMillis === undefined ? {} : { keyMillis: options.keyMillis }),
  };
}
