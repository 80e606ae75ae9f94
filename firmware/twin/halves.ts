// Packets that came in two frames, because they did not fit one: the first part waits in its frame, the rest in a slot here,
// whichever is first. A half whose other half does not come in time is dropped and counted.
//
//   HANDOFF (first part, its frame kept) ─┐
//                                         ├─ same sender, same number ─► one packet, in the first part's frame
//   HANDOFF_REST (copied into the slot) ──┘

import type { PacketMemory } from "../hal/contracts.ts";
import { FRAME_BYTES, HANDOFF_HALF_MILLIS, HANDOFF_HALVES } from "../limits.ts";

const FREE = 0;
const HEAD = 1;
const REST = 2;

export class Halves {
  private readonly memory: PacketMemory;
  private readonly states = new Uint8Array(HANDOFF_HALVES);
  private readonly units = new Uint8Array(HANDOFF_HALVES);
  private readonly numbers = new Int32Array(HANDOFF_HALVES);
  private readonly since = new Float64Array(HANDOFF_HALVES);
  /** The first part: its record's body and its bytes of packet. The rest: its bytes. */
  private readonly bodies = new Int32Array(HANDOFF_HALVES);
  private readonly lengths = new Int32Array(HANDOFF_HALVES);
  private readonly rests = new Uint8Array(HANDOFF_HALVES * FRAME_BYTES);
  /** Where to look for a free slot next. */
  private next = 0;
  /** Halves that wait. */
  count = 0;
  /** After `rest` completed a packet: the body of its first record, and the packet's length in bytes. */
  completedBody = 0;

  constructor(memory: PacketMemory) {
    this.memory = memory;
  }

  /**
   * The first part came: `body` is its record's, the packet's bytes start `headerBytes` further. Returns the packet's length when the
   * rest was here already; 0 when the frame is kept; -1 when there is no room (the caller keeps the frame).
   */
  head(unit: number, number: number, body: number, headerBytes: number, headBytes: number, nowMicros: number): number {
    const slot = this.find(unit, number, REST);
    if (slot >= 0) {
      const restBytes = this.lengths[slot] as number;
      const joined = this.join(body, headerBytes, headBytes, this.rests, slot * FRAME_BYTES, restBytes);
      this.free(slot);
      return joined;
    }
    const free = this.take(unit, number, HEAD, nowMicros);
    if (free < 0) return -1;
    this.bodies[free] = body;
    this.lengths[free] = headBytes;
    return 0;
  }

  /**
   * The rest came: `length` bytes at `offset` of packet memory. Returns the packet's length when its first part was here (its record's body
   * is then `completedBody`, its frame in the caller's hand); 0 when it waits; -1 when there is no room.
   */
  rest(unit: number, number: number, offset: number, length: number, headerBytes: number, nowMicros: number): number {
    const slot = this.find(unit, number, HEAD);
    if (slot >= 0) {
      this.completedBody = this.bodies[slot] as number;
      const joined = this.join(this.completedBody, headerBytes, this.lengths[slot] as number, this.memory.bytes, offset, length);
      this.free(slot);
      if (joined < 0) this.memory.give(this.completedBody);
      return joined;
    }
    const free = this.take(unit, number, REST, nowMicros);
    if (free < 0) return -1;
    this.lengths[free] = length;
    const bytes = this.memory.bytes;
    const to = free * FRAME_BYTES;
    for (let k = 0; k < length; k = (k + 1) | 0) this.rests[to + k] = bytes[offset + k] as number;
    return 0;
  }

  /** Gives up halves that waited for too long; returns how many. */
  expire(nowMicros: number): number {
    if (this.count === 0) return 0;
    let expired = 0;
    for (let slot = 0; slot < HANDOFF_HALVES; slot = (slot + 1) | 0) {
      if (this.states[slot] === FREE || nowMicros - (this.since[slot] as number) < HANDOFF_HALF_MILLIS * 1_000) continue;
      if (this.states[slot] === HEAD) this.memory.give(this.bodies[slot] as number);
      this.free(slot);
      expired = (expired + 1) | 0;
    }
    return expired;
  }

  /** Appends the rest; -1 when the frame does not hold both. */
  private join(body: number, headerBytes: number, headBytes: number, from: Uint8Array, at: number, restBytes: number): number {
    const start = body + headerBytes;
    const frameEnd = (start & -FRAME_BYTES) + FRAME_BYTES;
    if (start + headBytes + restBytes > frameEnd) return -1;
    const bytes = this.memory.bytes;
    const to = start + headBytes;
    for (let k = 0; k < restBytes; k = (k + 1) | 0) bytes[to + k] = from[at + k] as number;
    return headBytes + restBytes;
  }

  private find(unit: number, number: number, state: number): number {
    if (this.count === 0) return -1;
    for (let slot = 0; slot < HANDOFF_HALVES; slot = (slot + 1) | 0) {
      if (this.states[slot] === state && this.numbers[slot] === number && this.units[slot] === unit) return slot;
    }
    return -1;
  }

  private take(unit: number, number: number, state: number, nowMicros: number): number {
    for (let tries = 0; tries < HANDOFF_HALVES; tries = (tries + 1) | 0) {
      const slot = this.next;
      this.next = (this.next + 1) % HANDOFF_HALVES;
      if (this.states[slot] !== FREE) continue;
      this.states[slot] = state;
      this.units[slot] = unit;
      this.numbers[slot] = number;
      this.since[slot] = nowMicros;
      this.count = (this.count + 1) | 0;
      return slot;
    }
    return -1;
  }

  private free(slot: number): void {
    this.states[slot] = FREE;
    this.count = (this.count - 1) | 0;
  }
}
