// Packet memory: one area of frames for all ports of a unit, and who owns each frame. OS-free: hal/linux lays it over
// the area that AF_XDP sockets register, hal/sim over a plain ArrayBuffer.
//
//   frame:  │ 256 kernel headroom │ 2 │ packet …                       │        FRAME_BYTES, a power of two
//                                     └ offset (what everybody passes)
//
//   owner:        take            claim(port)
//            free ────► in hand ────────────► port n
//                 ◄────         ◄────────────
//                 give            hand(port)
//            free ◄──────────────────────────► port n    recycle(port), takeFor(port): a driver's short cuts
//
// Every move names the owner that it expects. A frame that somebody else owns is a bug (a double give, a use after
// transmit), never a packet's fault: it throws, and the dataplane dies fail-closed. The check is one byte load.

import { FRAME_BYTES, FRAME_HEADROOM_BYTES, PORTS } from "../limits.ts";
import type { PacketMemory } from "./contracts.ts";

const FREE = 0;
const IN_HAND = 1;
/** Owner byte of port n is FIRST_PORT + n. */
const FIRST_PORT = 2;
const FRAME_SHIFT = 31 - Math.clz32(FRAME_BYTES);

/** Packet memory as drivers see it. `port` is a port's number, 0..PORTS-1. All methods throw when the frame has another owner. */
export interface FrameMemory extends PacketMemory {
  /** The area itself, as a driver registers it. */
  readonly buffer: ArrayBuffer;
  /** In hand → port: the packet is queued for transmission, or the frame for reception. */
  claim(offset: number, port: number): void;
  /** Port → in hand: a packet was received. */
  hand(offset: number, port: number): void;
  /** Free → port, for the receive ring: the frame's first byte (no headroom), or -1 when none is free. */
  takeFor(port: number): number;
  /** Port → free: a packet was sent. */
  recycle(offset: number, port: number): void;
  /** Frees every frame of a port that is closed; returns how many. O(frames). */
  sweep(port: number): number;
  /** Frames that a port owns. O(frames), for tests and diagnostics. */
  ownedBy(port: number): number;
}

/**
 * Packet memory over `buffer`; all frames are free. The buffer's length must be a multiple of FRAME_BYTES and below 2 GiB,
 * or it throws.
 */
export function createPacketMemory(buffer: ArrayBuffer): FrameMemory {
  return new FrameArea(buffer);
}

class FrameArea implements FrameMemory {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly frameCount: number;
  /** Frame numbers; the first `freeCount` are free. Last in, first out: the warmest frame is used next. */
  private readonly free: Int32Array;
  private readonly owners: Uint8Array;
  private freeFrames: number;

  constructor(buffer: ArrayBuffer) {
    const frames = buffer.byteLength / FRAME_BYTES;
    if (!Number.isInteger(frames) || frames === 0 || buffer.byteLength >= 2 ** 31) {
      throw new Error(`packet memory: ${buffer.byteLength} bytes are not a number of ${FRAME_BYTES}-byte frames below 2 GiB`);
    }
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.frameCount = frames;
    this.owners = new Uint8Array(frames);
    this.free = new Int32Array(frames);
    for (let frame = 0; frame < frames; frame++) this.free[frame] = frames - 1 - frame;
    this.freeFrames = frames;
  }

  get freeCount(): number {
    return this.freeFrames;
  }

  take(): number {
    const frame = this.pop(IN_HAND);
    return frame < 0 ? -1 : ((frame << FRAME_SHIFT) + FRAME_HEADROOM_BYTES) | 0;
  }

  give(offset: number): void {
    const frame = offset >> FRAME_SHIFT;
    this.move(frame, IN_HAND, FREE);
    this.push(frame);
  }

  claim(offset: number, port: number): void {
    this.move(offset >> FRAME_SHIFT, IN_HAND, FIRST_PORT + port);
  }

  hand(offset: number, port: number): void {
    this.move(offset >> FRAME_SHIFT, FIRST_PORT + port, IN_HAND);
  }

  takeFor(port: number): number {
    const frame = this.pop(FIRST_PORT + port);
    return frame < 0 ? -1 : frame << FRAME_SHIFT;
  }

  recycle(offset: number, port: number): void {
    const frame = offset >> FRAME_SHIFT;
    this.move(frame, FIRST_PORT + port, FREE);
    this.push(frame);
  }

  sweep(port: number): number {
    let swept = 0;
    for (let frame = 0; frame < this.frameCount; frame++) {
      if (this.owners[frame] !== FIRST_PORT + port) continue;
      this.owners[frame] = FREE;
      this.push(frame);
      swept++;
    }
    return swept;
  }

  ownedBy(port: number): number {
    let owned = 0;
    for (let frame = 0; frame < this.frameCount; frame++) if (this.owners[frame] === FIRST_PORT + port) owned++;
    return owned;
  }

  private pop(owner: number): number {
    if (this.freeFrames === 0) return -1;
    this.freeFrames = (this.freeFrames - 1) | 0;
    const frame = this.free[this.freeFrames] as number;
    this.owners[frame] = owner;
    return frame;
  }

  private push(frame: number): void {
    this.free[this.freeFrames] = frame;
    this.freeFrames = (this.freeFrames + 1) | 0;
  }

  private move(frame: number, from: number, to: number): void {
    if (this.owners[frame] !== from) throw wrongOwner(frame, this.owners[frame], from);
    this.owners[frame] = to;
  }
}

function wrongOwner(frame: number, owner: number | undefined, expected: number): Error {
  return new Error(`packet memory: frame ${frame} belongs to ${ownerName(owner)}, not to ${ownerName(expected)}: given or used twice`);
}

function ownerName(owner: number | undefined): string {
  if (owner === undefined) return "nobody (outside the area)";
  if (owner === FREE) return "the free list";
  if (owner === IN_HAND) return "the walk";
  return owner - FIRST_PORT < PORTS ? `port ${owner - FIRST_PORT}` : `owner byte ${owner}`;
}
