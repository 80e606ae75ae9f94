// Frames on their way in: structure, replay, then all of a batch are opened in one call, then replay again (two copies may lie in
// one batch), then their records are read one by one. Whatever is forged, replayed, cut short or of another version
// ends here: it changes nothing and is counted (W7).
//
//   twin ports ───────┐
//   data ports ─ hold ┴─ admit ─┬─ HELLO ─► greeter
//                               └─ sealed ─► jobs ─ open, one batch ─► accept ─► records

import {
  JOB_BODY_BYTES,
  JOB_OFFSET,
  JOB_SLOT,
  JOB_WORDS,
  type PacketMemory,
  type Port,
  SEAL_HEADER_BYTES,
  SEAL_TAG_BYTES,
  type Sealer,
} from "../hal/contracts.ts";
import { BATCH, UNITS } from "../limits.ts";
import type { Association } from "./association.ts";
import {
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
  KIND_HELLO,
  KIND_SEALED,
  PATHS,
  RECORD_HEADER_BYTES,
} from "./frame.ts";
import type { Paths } from "./paths.ts";
import type { ReplayWindows } from "./replay.ts";

/** Batches of each twin port per breath; what is left waits for the next. */
const ROUNDS = 2;
/** Frames of data ports held until the next batch. */
const HELD = 64;
const JOBS = BATCH + HELD;

/** Who is told of what came in. */
export interface Opened {
  /** A frame with the structure of a greeting from a peer; the inbox gives the frame back afterwards. */
  hello(unit: number, path: number, header: number, bodyBytes: number): void;
  /** A frame of a peer was authenticated; its records follow. `parity`: receiving key. */
  verified(unit: number, path: number, parity: number): void;
  /** A record of it. `peerPath`: the path it was sent on. True: the frame is kept. */
  record(unit: number, type: number, flags: number, body: number, bodyBytes: number, frame: number, counter: number, path: number, peerPath: number): boolean;
}

export interface InboxOptions {
  readonly unit: number;
  readonly packets: PacketMemory;
  readonly sealer: Sealer;
  readonly paths: Paths;
  readonly associations: readonly (Association | null)[];
  readonly windows: ReplayWindows;
  readonly opened: Opened;
}

export class Inbox {
  private readonly unit: number;
  private readonly packets: PacketMemory;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly sealer: Sealer;
  private readonly paths: Paths;
  private readonly associations: readonly (Association | null)[];
  private readonly windows: ReplayWindows;
  private readonly opened: Opened;
  private readonly offsets = new Int32Array(BATCH);
  private readonly lengths = new Int32Array(BATCH);
  private readonly heldOffsets = new Int32Array(HELD);
  private readonly heldLengths = new Int32Array(HELD);
  private readonly heldPaths = new Int32Array(HELD);
  private heldCount = 0;
  private readonly jobs = new Int32Array(JOBS * JOB_WORDS);
  /** Per job: unit, path it came in on, parity of its key. */
  private readonly jobUnits = new Int32Array(JOBS);
  private readonly jobPaths = new Int32Array(JOBS);
  private readonly jobParities = new Int32Array(JOBS);
  private jobCount = 0;
  framesOpened = 0;
  /** Frames that were rejected, by the unit that they name (0: nobody that we know). */
  readonly rejected = new Float64Array(UNITS);

  constructor(options: InboxOptions) {
    this.unit = options.unit;
    this.packets = options.packets;
    this.bytes = options.packets.bytes;
    this.view = options.packets.view;
    this.sealer = options.sealer;
    this.paths = options.paths;
    this.associations = options.associations;
    this.windows = options.windows;
    this.opened = options.opened;
  }

  /** A frame of our EtherType that came in on a data port; takes it. Read with the next `receive`. */
  hold(path: number, offset: number, lengthBytes: number): void {
    if (this.heldCount === HELD) {
      this.reject(0, offset);
      return;
    }
    this.heldOffsets[this.heldCount] = offset;
    this.heldLengths[this.heldCount] = lengthBytes;
    this.heldPaths[this.heldCount] = path;
    this.heldCount = (this.heldCount + 1) | 0;
  }

  /** Reads everything that waits, in bounded batches. */
  receive(): void {
    for (let k = 0; k < this.heldCount; k = (k + 1) | 0) this.admit(this.heldPaths[k] as number, this.heldOffsets[k] as number, this.heldLengths[k] as number);
    this.heldCount = 0;
    for (let round = 0; round < ROUNDS; round = (round + 1) | 0) {
      let isMore = false;
      for (let k = 0; k < this.paths.twinPaths.length; k = (k + 1) | 0) if (this.receiveFrom(this.paths.twinPaths[k] as number) === BATCH) isMore = true;
      if (!isMore) return;
    }
  }

  private receiveFrom(path: number): number {
    const count = (this.paths.ports[path] as Port).receive(this.offsets, this.lengths, BATCH);
    for (let k = 0; k < count; k = (k + 1) | 0) this.admit(path, this.offsets[k] as number, this.lengths[k] as number);
    if (this.jobCount > 0) this.openAll();
    return count;
  }

  /** Structure and replay; the frame becomes a job or is given back. */
  private admit(path: number, offset: number, lengthBytes: number): void {
    const bytes = this.bytes;
    const header = (offset + ETHERNET_BYTES) | 0;
    const from = bytes[header + F_FROM] as number;
    if (lengthBytes < ETHERNET_BYTES + SEAL_HEADER_BYTES || this.view.getUint16(offset + 12) !== ETHERTYPE_TWIN) {
      this.packets.give(offset);
      return;
    }
    // On a shared segment frames between other units, and our own, come by: they are nobody's fault.
    if (bytes[header + F_TO] !== this.unit) {
      this.packets.give(offset);
      return;
    }
    const association = from < UNITS ? (this.associations[from] as Association | null) : null;
    const bodyBytes = this.view.getUint16(header + F_BODY_BYTES);
    const room = (lengthBytes - ETHERNET_BYTES - SEAL_HEADER_BYTES) | 0;
    if (association === null || bytes[header + F_VERSION] !== FRAME_VERSION) {
      this.reject(association === null ? 0 : from, offset);
      return;
    }
    if (bytes[header + F_KIND] === KIND_HELLO && bodyBytes <= room) {
      this.opened.hello(from, path, header, bodyBytes);
      this.packets.give(offset);
      return;
    }
    if (bytes[header + F_KIND] !== KIND_SEALED || bodyBytes + SEAL_TAG_BYTES > room) {
      this.reject(from, offset);
      return;
    }
    // Sealed for an association that we do not have yet: ordinary while a unit starts; from one that is not paired it is not.
    if (association.agreed) this.addJob(association, path, header, bodyBytes);
    else if (association.keys.isPaired) this.packets.give(offset);
    else this.reject(from, offset);
  }

  private addJob(association: Association, path: number, header: number, bodyBytes: number): void {
    const bytes = this.bytes;
    const unit = association.unit;
    const peerPath = bytes[header + F_PATH] as number;
    const parity = association.parityOf(bytes[header + F_KEY] as number);
    const isRightPath = peerPath < PATHS && this.paths.isTwin(path) === association.isPeerTwin(peerPath);
    if (
      parity < 0 ||
      !isRightPath ||
      !this.windows.isNew(association.window(parity, peerPath), this.view.getInt32(header + F_COUNTER_HIGH), this.view.getInt32(header + F_COUNTER_LOW))
    ) {
      this.reject(unit, header - ETHERNET_BYTES);
      return;
    }
    const job = this.jobCount;
    this.jobs[job * JOB_WORDS + JOB_SLOT] = association.receiveSlot(parity);
    this.jobs[job * JOB_WORDS + JOB_OFFSET] = header;
    this.jobs[job * JOB_WORDS + JOB_BODY_BYTES] = bodyBytes;
    this.jobUnits[job] = unit;
    this.jobPaths[job] = path;
    this.jobParities[job] = parity;
    this.jobCount = (job + 1) | 0;
  }

  private openAll(): void {
    const count = this.jobCount;
    this.jobCount = 0;
    this.sealer.open(this.jobs, count);
    for (let job = 0; job < count; job = (job + 1) | 0) {
      const header = this.jobs[job * JOB_WORDS + JOB_OFFSET] as number;
      const unit = this.jobUnits[job] as number;
      if (this.jobs[job * JOB_WORDS + JOB_SLOT] === -1) {
        this.reject(unit, header - ETHERNET_BYTES);
        continue;
      }
      const association = this.associations[unit] as Association;
      const parity = this.jobParities[job] as number;
      const window = association.window(parity, this.bytes[header + F_PATH] as number);
      if (!this.windows.accept(window, this.view.getInt32(header + F_COUNTER_HIGH), this.view.getInt32(header + F_COUNTER_LOW))) {
        this.reject(unit, header - ETHERNET_BYTES);
        continue;
      }
      this.framesOpened++;
      this.opened.verified(unit, this.jobPaths[job] as number, parity);
      this.readRecords(unit, this.jobPaths[job] as number, header, this.jobs[job * JOB_WORDS + JOB_BODY_BYTES] as number);
    }
  }

  private readRecords(unit: number, path: number, header: number, bodyBytes: number): void {
    const bytes = this.bytes;
    const frame = (header - ETHERNET_BYTES) | 0;
    const counter = this.view.getInt32(header + F_COUNTER_LOW);
    const peerPath = bytes[header + F_PATH] as number;
    let at = (header + SEAL_HEADER_BYTES) | 0;
    const end = (at + bodyBytes) | 0;
    while (end - at >= RECORD_HEADER_BYTES) {
      const recordBytes = this.view.getUint16(at + 2);
      const body = (at + RECORD_HEADER_BYTES) | 0;
      const next = (body + ((recordBytes + 3) & ~3)) | 0;
      // The peer is who it says it is, yet its version may be newer or broken: never read beyond the frame.
      if (next > end) {
        this.rejected[unit] = (this.rejected[unit] as number) + 1;
        break;
      }
      if (this.opened.record(unit, bytes[at] as number, bytes[at + 1] as number, body, recordBytes, frame, counter, path, peerPath)) return;
      at = next;
    }
    this.packets.give(frame);
  }

  private reject(unit: number, offset: number): void {
    this.rejected[unit] = (this.rejected[unit] as number) + 1;
    this.packets.give(offset);
  }
}
