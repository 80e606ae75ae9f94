// A unit's ports and the outside of their cables, in one process and one namespace: what every test of the drivers needs.

import { createClock } from "../../../firmware/hal/linux/clock.ts";
import { createIdle } from "../../../firmware/hal/linux/idle.ts";
import { privateArea } from "../../../firmware/hal/linux/memory.ts";
import type { LinuxPort, OpenedPorts, PortOptions } from "../../../firmware/hal/linux/ports.ts";
import { openPorts } from "../../../firmware/hal/linux/ports.ts";
import { createPacketMemory, type FrameMemory } from "../../../firmware/hal/packets.ts";
import { FRAME_BYTES, FRAMES } from "../../../firmware/limits.ts";
import type { PlannedPort } from "../../../firmware/plan.ts";

export const clock = createClock();

export function plan(number: number, device: string, rest: Partial<PlannedPort> = {}): PlannedPort {
  return { number, device, kind: "data", mtuBytes: 1500, pairedPort: -1, ...rest };
}

/** Some ports over a packet memory of their own. */
export class Side {
  readonly memory: FrameMemory = createPacketMemory(privateArea(FRAMES * FRAME_BYTES));
  readonly opened: OpenedPorts;
  readonly offsets: Int32Array = new Int32Array(256);
  readonly lengths: Int32Array = new Int32Array(256);

  constructor(planned: readonly PlannedPort[], options: PortOptions = {}) {
    this.opened = openPorts(planned, this.memory, options);
    this.service();
  }

  port(k: number): LinuxPort {
    return this.opened.ports[k] as LinuxPort;
  }

  service(): void {
    for (const port of this.opened.ports) port.service(clock.nowMicros());
  }

  /** Serves the ports until `done`, or for `millis` at the most; returns whether it is done. */
  until(done: () => boolean, millis = 5000): boolean {
    const idle = createIdle([], this.opened.ports, -1);
    const end = clock.nowMicros() + millis * 1000;
    while (!done()) {
      if (clock.nowMicros() > end) return false;
      idle.rest(0, 2_000);
      this.service();
    }
    return true;
  }

  send(k: number, frame: Uint8Array): boolean {
    const offset = this.memory.take();
    this.memory.bytes.set(frame, offset);
    const queued = this.port(k).transmit(offset, frame.length);
    if (!queued) this.memory.give(offset);
    this.port(k).flush();
    return queued;
  }

  /** Everything that has arrived at the port, as copies. */
  drain(k: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (;;) {
      const count = this.port(k).receive(this.offsets, this.lengths, 256);
      if (count === 0) return frames;
      for (let n = 0; n < count; n++) {
        const offset = this.offsets[n] as number;
        frames.push(this.memory.bytes.slice(offset, offset + (this.lengths[n] as number)));
        this.memory.give(offset);
      }
      this.port(k).flush();
    }
  }

  /** Frames that arrive at the port and fulfil the condition, until there are `count` or `millis` have passed. */
  collect(k: number, count: number, wanted: (frame: Uint8Array) => boolean, millis = 2000): Uint8Array[] {
    const found: Uint8Array[] = [];
    this.until(() => {
      found.push(...this.drain(k).filter(wanted));
      return found.length >= count;
    }, millis);
    return found;
  }

  /** Frames that nobody accounts for. */
  get lostFrames(): number {
    const owned = this.opened.ports.reduce((sum, _, k) => sum + this.memory.ownedBy(k), 0);
    return this.memory.frameCount - this.memory.freeCount - owned;
  }

  close(): void {
    this.opened.close();
  }
}

/** EtherType of the tests' own frames. */
export const TEST_TYPE = 0x88b6;

/** A broadcast frame of `bytes` bytes with a number in it. */
export function numbered(number: number, bytes = 60, type = TEST_TYPE): Uint8Array {
  const frame = new Uint8Array(bytes).fill(0xff, 0, 6).fill(0x02, 6, 12);
  const view = new DataView(frame.buffer);
  view.setUint16(12, type);
  view.setUint32(14, number);
  return frame;
}

export function typeOf(frame: Uint8Array): number {
  return ((frame[12] as number) << 8) | (frame[13] as number);
}

export const isTest = (frame: Uint8Array): boolean => typeOf(frame) === TEST_TYPE;

/** Who has `target`? From 10.9.9.1, IPv4. */
export function arpRequest(target: readonly number[]): Uint8Array {
  const frame = new Uint8Array(60).fill(0xff, 0, 6).fill(0x02, 6, 12);
  frame.set([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 2, 2, 2, 2, 2, 10, 9, 9, 1, 0, 0, 0, 0, 0, 0, ...target], 12);
  return frame;
}

export const isArpReply = (frame: Uint8Array): boolean => typeOf(frame) === 0x0806 && frame[21] === 2;
