// Frames on their way out: records are packed into one open frame per peer and class; a flush closes them, draws their
// counters, seals them all in one call and transmits them in class order.
//
//   reserve ─► open frame (peer, class) ─ full, or flush ─► queue of its class ─┐
//   sendInPlace ───────────────────────────────────────────► queue of its class ┤
//                                                                               └─► seal, one batch ─► port
//
// What the port does not take is kept, sealed as it is, for the next flush: a sealed frame is never sealed again. While some
// are left only heartbeats are sealed, and then no more than the port takes: so the queues fill, not the port, and class
// order holds. Full queues refuse and count.

import {
  JOB_BODY_BYTES,
  JOB_OFFSET,
  JOB_SLOT,
  JOB_WORDS,
  type PacketMemory,
  PORT_UP,
  type Port,
  SEAL_HEADER_BYTES,
  SEAL_TAG_BYTES,
  type Sealer,
} from "../hal/contracts.ts";
import { FRAME_BYTES, SEAL_BATCH, TWIN_QUEUE, UNITS } from "../limits.ts";
import type { Association } from "./association.ts";
import {
  CLASS_HEARTBEAT,
  CLASS_SWEEP,
  CLASSES,
  ETHERNET_BYTES,
  ETHERTYPE_TWIN,
  F_BODY_BYTES,
  F_COUNTER_HIGH,
  F_COUNTER_LOW,
  F_FROM,
  F_KEY,
  F_KIND,
  F_PATH,
  F_TO,
  F_VERSION,
  FRAME_VERSION,
  GROUP_MAC,
  KIND_SEALED,
  PATH_TWIN,
  RECORD_HEADER_BYTES,
} from "./frame.ts";
import type { Paths } from "./paths.ts";

export const BROADCAST_MAC = new Uint8Array(6).fill(0xff);

const NONE = -1;
/** The better twin path at the moment of sealing. */
const PATH_BEST = -1;
/** A sealed frame that its port did not take: offset, length, unit, path. */
const LEFT_WORDS = 4;
/** A queued frame: offset, unit, body bytes, path. */
const ENTRY_WORDS = 4;
/** Frames that a flush may seal when the port was full; doubled with each flush that it was not. */
const BUDGET_LEAST = 8;
/** Packet frames that each class leaves to better ones: exhausted memory must neither look like death nor turn the classes round. */
const FRAMES_KEPT = 64;
/** Heartbeats that wait for the port. */
const URGENT = 64;

export interface OutboxOptions {
  readonly unit: number;
  readonly packets: PacketMemory;
  readonly sealer: Sealer;
  readonly paths: Paths;
  /** By unit; null: not a peer. */
  readonly associations: readonly (Association | null)[];
}

export class Outbox {
  private readonly unit: number;
  private readonly packets: PacketMemory;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly sealer: Sealer;
  private readonly ports: readonly (Port | null)[];
  private readonly paths: Paths;
  private readonly associations: readonly (Association | null)[];
  /** Most body bytes of a sealed frame to each unit: MTU of its best twin path less header and tag. */
  readonly bodyMost = new Int32Array(UNITS);
  /** Open frames by unit × CLASSES + class: offset (NONE: none) and body bytes so far. */
  private readonly openOffset = new Int32Array(UNITS * CLASSES).fill(NONE);
  private readonly openBytes = new Int32Array(UNITS * CLASSES);
  private openCount = 0;
  private readonly queue = new Int32Array(CLASSES * TWIN_QUEUE * ENTRY_WORDS);
  private readonly heads = new Int32Array(CLASSES);
  private readonly tails = new Int32Array(CLASSES);
  private readonly jobs = new Int32Array(SEAL_BATCH * JOB_WORDS);
  private readonly jobPaths = new Int32Array(SEAL_BATCH);
  private jobCount = 0;
  /** Sealed frames that a twin port did not take. */
  private readonly left = new Int32Array(SEAL_BATCH * LEFT_WORDS);
  private leftCount = 0;
  /** The same, heartbeats: tried first. */
  private readonly urgent = new Int32Array(URGENT * LEFT_WORDS);
  private urgentCount = 0;
  private budget = SEAL_BATCH;
  private accepted = 0;
  framesSealed = 0;
  /** Records and frames refused or dropped: queue, packet memory or port. */
  refused = 0;

  constructor(options: OutboxOptions) {
    this.unit = options.unit;
    this.packets = options.packets;
    this.bytes = options.packets.bytes;
    this.view = options.packets.view;
    this.sealer = options.sealer;
    this.ports = options.paths.ports;
    this.paths = options.paths;
    this.associations = options.associations;
  }

  /** Room for a record to `unit` on its best twin path: offset of its body, or -1. */
  reserve(unit: number, type: number, flags: number, bodyBytes: number, txClass: number): number {
    const needed = (RECORD_HEADER_BYTES + bodyBytes + 3) & ~3;
    const most = this.bodyMost[unit] as number;
    const cell = (unit * CLASSES + txClass) | 0;
    if (needed > most) return this.refuse();
    if (this.openOffset[cell] !== NONE && (this.openBytes[cell] as number) + needed > most) this.close(unit, txClass);
    if (this.openOffset[cell] === NONE) {
      const isShort = this.packets.freeCount < FRAMES_KEPT * txClass;
      const offset = isShort || this.isFull(txClass) ? NONE : this.packets.take();
      if (offset < 0) return this.refuse();
      this.openOffset[cell] = offset;
      this.openBytes[cell] = 0;
      this.openCount = (this.openCount + 1) | 0;
    }
    const used = this.openBytes[cell] as number;
    const at = (this.openOffset[cell] as number) + ETHERNET_BYTES + SEAL_HEADER_BYTES + used;
    this.writeRecordHeader(at, type, flags, bodyBytes, needed);
    this.openBytes[cell] = used + needed;
    return at + RECORD_HEADER_BYTES;
  }

  /** Queues a frame whose single record's body lies behind `record` already. False: refused, the caller keeps the frame. */
  sendInPlace(unit: number, type: number, flags: number, record: number, bodyBytes: number, txClass: number): boolean {
    const needed = (RECORD_HEADER_BYTES + bodyBytes + 3) & ~3;
    const start = record - ETHERNET_BYTES - SEAL_HEADER_BYTES;
    const room = (record | (FRAME_BYTES - 1)) + 1 - record;
    const isInside = start >= (record & ~(FRAME_BYTES - 1)) && needed + SEAL_TAG_BYTES <= room;
    if (!isInside || needed > (this.bodyMost[unit] as number) || this.isFull(txClass)) {
      this.refused++;
      return false;
    }
    this.writeRecordHeader(record, type, flags, bodyBytes, needed);
    this.push(txClass, start, unit, needed, PATH_BEST);
    return true;
  }

  /** A frame for records that go out on `path`, in class heartbeat: offset of its first record, or -1. Write, then `post`. */
  draft(): number {
    const offset = this.isFull(CLASS_HEARTBEAT) ? NONE : this.packets.take();
    return offset < 0 ? this.refuse() : offset + ETHERNET_BYTES + SEAL_HEADER_BYTES;
  }

  /** Queues what was drafted: `bodyBytes` of whole records. */
  post(unit: number, path: number, body: number, bodyBytes: number): void {
    this.push(CLASS_HEARTBEAT, body - ETHERNET_BYTES - SEAL_HEADER_BYTES, unit, bodyBytes, path);
  }

  /** Writes an Ethernet header for our EtherType. */
  address(frame: number, destination: Uint8Array, port: Port): void {
    const bytes = this.bytes;
    for (let k = 0; k < 6; k = (k + 1) | 0) {
      bytes[frame + k] = destination[k] as number;
      bytes[frame + 6 + k] = port.mac[k] as number;
    }
    this.view.setUint16(frame + 12, ETHERTYPE_TWIN);
  }

  /** Seals and transmits what fits; call once per breath, then flush the ports. */
  flush(): void {
    if (this.openCount > 0) this.closeAll();
    this.accepted = 0;
    if (this.urgentCount > 0) this.urgentCount = this.retry(this.urgent, this.urgentCount);
    if (this.leftCount > 0) this.leftCount = this.retry(this.left, this.leftCount);
    this.jobCount = 0;
    this.takeJobs(CLASS_HEARTBEAT, SEAL_BATCH);
    const heartbeats = this.jobCount;
    if (this.leftCount === 0) this.takeByClass(heartbeats);
    if (this.jobCount > 0) this.sealer.seal(this.jobs, this.jobCount);
    this.framesSealed += this.jobCount;
    for (let job = 0; job < this.jobCount; job = (job + 1) | 0) this.transmit(job, job < heartbeats);
    if (this.leftCount > 0) this.budget = Math.max(BUDGET_LEAST, Math.min(this.budget, this.accepted));
    else if (this.budget < SEAL_BATCH) this.budget = Math.min(SEAL_BATCH, this.budget * 2);
  }

  /** Best class first, but a tenth of the budget is the sweeps' if they can use it. */
  private takeByClass(heartbeats: number): void {
    const limit = Math.min(SEAL_BATCH, heartbeats + this.budget);
    const floor = Math.min(this.queued(CLASS_SWEEP), Math.ceil(this.budget / 10));
    for (let txClass = CLASS_HEARTBEAT + 1; txClass < CLASS_SWEEP; txClass = (txClass + 1) | 0) this.takeJobs(txClass, limit - floor);
    this.takeJobs(CLASS_SWEEP, limit);
  }

  /** The unit started anew: what waits was meant for its earlier start. */
  forget(unit: number): void {
    for (let txClass = 0; txClass < CLASSES; txClass = (txClass + 1) | 0) {
      if (this.openOffset[unit * CLASSES + txClass] !== NONE) this.close(unit, txClass);
      for (let head = this.heads[txClass] as number; head !== this.tails[txClass]; head = (head + 1) | 0) {
        const at = (txClass * TWIN_QUEUE + (head & (TWIN_QUEUE - 1))) * ENTRY_WORDS;
        // Nobody is unit 0: the next flush gives the frame back.
        if (this.queue[at + 1] === unit) this.queue[at + 1] = 0;
      }
    }
  }

  /** Frames that wait in a class. */
  queued(txClass: number): number {
    return ((this.tails[txClass] as number) - (this.heads[txClass] as number)) | 0;
  }

  private isFull(txClass: number): boolean {
    // One place per peer is kept for frames that are open already.
    return this.queued(txClass) >= TWIN_QUEUE - UNITS;
  }

  private refuse(): number {
    this.refused++;
    return NONE;
  }

  private writeRecordHeader(at: number, type: number, flags: number, bodyBytes: number, paddedBytes: number): void {
    // Padding first: it may lie in the body's last word (no byte of an earlier packet leaves, F10).
    this.bytes.fill(0, at + RECORD_HEADER_BYTES + bodyBytes, at + paddedBytes);
    this.bytes[at] = type;
    this.bytes[at + 1] = flags;
    this.view.setUint16(at + 2, bodyBytes);
  }

  private push(txClass: number, offset: number, unit: number, bodyBytes: number, path: number): void {
    const tail = this.tails[txClass] as number;
    const at = (txClass * TWIN_QUEUE + (tail & (TWIN_QUEUE - 1))) * ENTRY_WORDS;
    this.queue[at] = offset;
    this.queue[at + 1] = unit;
    this.queue[at + 2] = bodyBytes;
    this.queue[at + 3] = path;
    this.tails[txClass] = (tail + 1) | 0;
  }

  private close(unit: number, txClass: number): void {
    const cell = (unit * CLASSES + txClass) | 0;
    this.push(txClass, this.openOffset[cell] as number, unit, this.openBytes[cell] as number, PATH_BEST);
    this.openOffset[cell] = NONE;
    this.openCount = (this.openCount - 1) | 0;
  }

  private closeAll(): void {
    for (let unit = 1; unit < UNITS; unit = (unit + 1) | 0) {
      for (let txClass = 0; txClass < CLASSES; txClass = (txClass + 1) | 0) if (this.openOffset[unit * CLASSES + txClass] !== NONE) this.close(unit, txClass);
    }
  }

  /** Moves queued frames of a class into jobs, up to `limit` jobs in all. */
  private takeJobs(txClass: number, limit: number): void {
    while (this.jobCount < limit && this.heads[txClass] !== this.tails[txClass]) {
      const head = this.heads[txClass] as number;
      const at = (txClass * TWIN_QUEUE + (head & (TWIN_QUEUE - 1))) * ENTRY_WORDS;
      this.heads[txClass] = (head + 1) | 0;
      this.prepare(this.queue[at] as number, this.queue[at + 1] as number, this.queue[at + 2] as number, this.queue[at + 3] as number);
    }
  }

  /** Headers, counter and job of a frame; drops it when its peer or port is gone. */
  private prepare(offset: number, unit: number, bodyBytes: number, chosen: number): void {
    const association = this.associations[unit] as Association | null;
    const path = chosen === PATH_BEST ? (this.paths.best[unit] as number) : chosen;
    const port = this.ports[path] as Port | null;
    // Filled for a path that carried more, and the peer has moved to the other one meanwhile.
    const isTooLong = chosen === PATH_BEST && this.paths.twinPaths.length === 2 && bodyBytes > (this.bodyMost[unit] as number);
    if (association === null || !association.agreed || port === null || port.state !== PORT_UP || isTooLong) {
      this.packets.give(offset);
      this.refused++;
      return;
    }
    this.address(offset, path === PATH_TWIN ? association.mac : this.paths.isTwin(path) ? association.secondMac : GROUP_MAC, port);
    const header = (offset + ETHERNET_BYTES) | 0;
    const bytes = this.bytes;
    association.nextCounter(path);
    const counter = association.counters[path] as number;
    bytes[header + F_VERSION] = FRAME_VERSION;
    bytes[header + F_KIND] = KIND_SEALED;
    bytes[header + F_FROM] = this.unit;
    bytes[header + F_TO] = unit;
    bytes[header + F_KEY] = association.sendNumber & 0xff;
    bytes[header + F_PATH] = path;
    this.view.setUint16(header + F_BODY_BYTES, bodyBytes);
    this.view.setInt32(header + F_COUNTER_HIGH, (counter / 4294967296) | 0);
    this.view.setInt32(header + F_COUNTER_LOW, counter | 0);
    const job = Math.imul(this.jobCount, JOB_WORDS);
    this.jobs[job + JOB_SLOT] = association.sendSlot;
    this.jobs[job + JOB_OFFSET] = header;
    this.jobs[job + JOB_BODY_BYTES] = bodyBytes;
    this.jobPaths[this.jobCount] = path;
    this.jobCount = (this.jobCount + 1) | 0;
  }

  private transmit(job: number, isUrgent: boolean): void {
    const at = Math.imul(job, JOB_WORDS);
    const offset = ((this.jobs[at + JOB_OFFSET] as number) - ETHERNET_BYTES) | 0;
    const length = (ETHERNET_BYTES + SEAL_HEADER_BYTES + (this.jobs[at + JOB_BODY_BYTES] as number) + SEAL_TAG_BYTES) | 0;
    const path = this.jobPaths[job] as number;
    if ((this.ports[path] as Port).transmit(offset, length)) this.accepted = (this.accepted + 1) | 0;
    else if (isUrgent && this.urgentCount < URGENT && this.paths.isTwin(path)) {
      this.keep(this.urgent, this.urgentCount, offset, length, path);
      this.urgentCount = (this.urgentCount + 1) | 0;
    } else if (!isUrgent && this.leftCount < SEAL_BATCH) {
      this.keep(this.left, this.leftCount, offset, length, path);
      this.leftCount = (this.leftCount + 1) | 0;
    } else {
      this.packets.give(offset);
      this.refused++;
    }
  }

  private keep(frames: Int32Array, count: number, offset: number, length: number, path: number): void {
    const at = count * LEFT_WORDS;
    frames[at] = offset;
    frames[at + 1] = length;
    frames[at + 2] = this.bytes[offset + ETHERNET_BYTES + F_TO] as number;
    frames[at + 3] = path;
  }

  /**
   * Offers kept frames to their twin ports again, in order; returns how many are still kept. Records whose peer has moved to the other
   * twin path are given up, as on any loss: a port that takes nothing any more must not hold up the one that works.
   */
  private retry(frames: Int32Array, count: number): number {
    let kept = 0;
    let fullPaths = 0;
    for (let k = 0; k < count; k = (k + 1) | 0) {
      const at = k * LEFT_WORDS;
      const offset = frames[at] as number;
      const length = frames[at + 1] as number;
      const path = frames[at + 3] as number;
      const port = this.ports[path] as Port;
      if (port.state !== PORT_UP || (frames === this.left && path !== this.paths.best[frames[at + 2] as number])) {
        this.packets.give(offset);
        this.refused++;
      } else if ((fullPaths & (1 << path)) === 0 && port.transmit(offset, length)) this.accepted = (this.accepted + 1) | 0;
      else {
        fullPaths |= 1 << path;
        frames.copyWithin(kept * LEFT_WORDS, at, at + LEFT_WORDS);
        kept = (kept + 1) | 0;
      }
    }
    return kept;
  }
}
