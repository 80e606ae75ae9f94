// A desk for what sends packets of our own: packet memory, tables, and an outlet that writes down what leaves.

import { checkPacket } from "../../firmware/fastpath/check.ts";
import { mapTables, planRegions, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import type { Outlet } from "../../firmware/fastpath/outlet.ts";
import { P_PORT } from "../../firmware/fastpath/packets.ts";
import { createPacketMemory, type FrameMemory } from "../../firmware/hal/packets.ts";
import { FRAME_BYTES } from "../../firmware/limits.ts";
import { row } from "./craft.ts";

const FRAMES = 64;
const SESSIONS = 16;

export interface Sent {
  readonly port: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class Desk implements Outlet {
  readonly memory: FrameMemory = createPacketMemory(new ArrayBuffer(FRAMES * FRAME_BYTES));
  readonly tables: Tables = mapTables(new ArrayBuffer(planRegions(SESSIONS).totalBytes), SESSIONS);
  /** What left since the last `take`. */
  private left: Sent[] = [];
  readonly discarded: number[] = [];

  constructor() {
    // Every byte of memory is somebody's secret: none may show.
    this.memory.bytes.fill(0xa5);
  }

  send(port: number, offset: number, lengthBytes: number): void {
    this.left.push({ port, bytes: Uint8Array.from(this.memory.bytes.subarray(offset, offset + lengthBytes)) });
    this.memory.give(offset);
  }

  discard(offset: number, reason: number): void {
    this.discarded.push(reason);
    this.memory.give(offset);
  }

  take(): readonly Sent[] {
    const left = this.left;
    this.left = [];
    return left;
  }

  get freeFrames(): number {
    return this.memory.freeCount;
  }

  /** Puts a frame into memory and checks it as the engine does; the row. Throws when it is not sound. */
  receive(frame: Uint8Array, port = 0, entry = 0, zone = 1): Int32Array {
    const offset = this.memory.take();
    this.memory.bytes.set(frame, offset);
    const packet = row(frame.length, offset, entry, zone);
    packet[P_PORT] = port;
    const fault = checkPacket(this.memory.view, packet, 0, true);
    if (fault !== 0) throw new Error(`not sound: ${fault}`);
    return packet;
  }
}
