// A NIC in memory, and the driver that a dataplane opens it with. The NIC is the device: it lives on when a dataplane dies,
// and with nobody attached it passes nothing. The port follows AF_XDP's habits: a fill ring of frames that must be refilled, a
// transmit ring whose frames come back only when they were sent.
//
//   lane ─► Nic.deliver ─► fill ring's frame ─► receive ring ─► receive()
//   transmit() ─► transmit ring ─► flush() ─► Nic.send ─► lane          frames return when the last bit has left

import { FRAME_HEADROOM_BYTES, PACKET_BYTES_MOST, RING_SLOTS } from "../../limits.ts";
import { PORT_DOWN, PORT_GONE, PORT_UP, type Port, type PortCounters } from "../contracts.ts";
import type { FrameMemory } from "../packets.ts";
import type { Lane } from "./lane.ts";
import type { Schedule } from "./schedule.ts";

/** Ethernet header and one VLAN tag: what may come on top of the MTU. */
const LINK_HEADER_BYTES = 18;

export class Nic {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  /** PORT_DOWN, PORT_UP or PORT_GONE, as the hardware is. */
  state: number = PORT_UP;
  /** Where frames leave; null = no cable. */
  lane: Lane | null = null;
  /** Called for each frame that arrives while the NIC is up; the bytes belong to the callee. */
  receiver: ((frame: Uint8Array) => void) | null = null;
  /** Frames that nobody took. */
  unclaimed = 0;

  constructor(name: string, mac: Uint8Array, mtuBytes: number) {
    this.name = name;
    this.mac = mac;
    this.mtuBytes = mtuBytes;
  }

  deliver(frame: Uint8Array): void {
    if (this.state !== PORT_UP || this.receiver === null) this.unclaimed++;
    else this.receiver(frame);
  }

  /** Sends a frame; returns when its last bit has left. */
  send(frame: Uint8Array, nowMicros: number): number {
    if (this.state !== PORT_UP || this.lane === null || frame.length > this.mtuBytes + LINK_HEADER_BYTES) return nowMicros;
    return this.lane.carry(frame);
  }
}

export interface SimPortOptions {
  readonly nic: Nic;
  /** Number within its unit: the owner of its frames. */
  readonly number: number;
  readonly packets: FrameMemory;
  readonly schedule: Schedule;
  /** Slots of each ring, a power of two. */
  readonly ringSlots?: number;
  /** Called when a frame has arrived: it is time to breathe. */
  readonly wake?: () => void;
}

export class SimPort implements Port {
  readonly name: string;
  readonly driver = "simulator";
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  state: number = PORT_DOWN;
  readonly counters: PortCounters = {
    receivedPackets: 0,
    receivedBytes: 0,
    transmittedPackets: 0,
    transmittedBytes: 0,
    transmitFull: 0,
    receiveMissed: 0,
    receiveErrors: 0,
  };
  private readonly nic: Nic;
  private readonly number: number;
  private readonly packets: FrameMemory;
  private readonly schedule: Schedule;
  private readonly ringSlots: number;
  private readonly wake: (() => void) | undefined;
  /** First bytes of frames that wait for packets. */
  private fill: number[] = [];
  /** Packets received and not yet fetched: offset, length, alternating. */
  private received: number[] = [];
  /** Packets queued: offset, length, alternating. */
  private queued: number[] = [];
  /** Packets on the wire: offset, time of completion, alternating. */
  private sending: number[] = [];

  /** Opens the NIC, which must not be open. */
  constructor(options: SimPortOptions) {
    this.nic = options.nic;
    this.number = options.number;
    this.packets = options.packets;
    this.schedule = options.schedule;
    this.ringSlots = options.ringSlots ?? RING_SLOTS;
    this.wake = options.wake;
    this.name = options.nic.name;
    this.mac = options.nic.mac;
    this.mtuBytes = options.nic.mtuBytes;
    if (this.nic.receiver !== null) throw new Error(`simulator: ${this.name} is open already`);
    this.nic.receiver = (frame) => this.arrive(frame);
    this.state = this.nic.state;
    this.refill();
  }

  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number {
    const count = Math.min(limit, this.received.length / 2);
    for (let k = 0; k < count; k++) {
      const offset = this.received[2 * k] as number;
      this.packets.hand(offset, this.number);
      offsets[k] = offset;
      lengths[k] = this.received[2 * k + 1] as number;
    }
    this.received.splice(0, 2 * count);
    return count;
  }

  transmit(offset: number, lengthBytes: number): boolean {
    this.complete();
    if (this.state !== PORT_UP || this.queued.length / 2 + this.sending.length / 2 >= this.ringSlots) {
      this.counters.transmitFull++;
      return false;
    }
    this.packets.claim(offset, this.number);
    this.queued.push(offset, lengthBytes);
    return true;
  }

  flush(): void {
    this.complete();
    const now = this.schedule.nowMicros;
    for (let k = 0; k < this.queued.length; k += 2) {
      const offset = this.queued[k] as number;
      const length = this.queued[k + 1] as number;
      this.counters.transmittedPackets++;
      this.counters.transmittedBytes += length;
      this.sending.push(offset, this.nic.send(this.packets.bytes.slice(offset, offset + length), now));
    }
    this.queued.length = 0;
    this.refill();
  }

  service(_nowMicros: number): void {
    const was = this.state;
    this.state = this.nic.state;
    if (this.state !== PORT_GONE || was === PORT_GONE) {
      this.refill();
      return;
    }
    // The device was pulled: its rings went with it.
    this.forget();
  }

  discardBacklog(): number {
    const count = this.received.length / 2;
    for (let k = 0; k < this.received.length; k += 2) this.packets.recycle(this.received[k] as number, this.number);
    this.received.length = 0;
    this.refill();
    return count;
  }

  close(): void {
    this.nic.receiver = null;
    this.state = PORT_DOWN;
    this.forget();
  }

  /** Packets that wait to be fetched. */
  get backlog(): number {
    return this.received.length / 2;
  }

  private arrive(frame: Uint8Array): void {
    if (frame.length > PACKET_BYTES_MOST || frame.length > this.mtuBytes + LINK_HEADER_BYTES) {
      this.counters.receiveErrors++;
      return;
    }
    const first = this.fill.pop();
    if (first === undefined || this.state === PORT_GONE) {
      if (first !== undefined) this.fill.push(first);
      this.counters.receiveMissed++;
      return;
    }
    const offset = first + FRAME_HEADROOM_BYTES;
    this.packets.bytes.set(frame, offset);
    this.received.push(offset, frame.length);
    this.counters.receivedPackets++;
    this.counters.receivedBytes += frame.length;
    this.wake?.();
  }

  /** Takes back frames whose last bit has left. */
  private complete(): void {
    const now = this.schedule.nowMicros;
    let done = 0;
    while (done < this.sending.length && (this.sending[done + 1] as number) <= now) {
      this.packets.recycle(this.sending[done] as number, this.number);
      done += 2;
    }
    if (done > 0) this.sending.splice(0, done);
  }

  /** Waiting frames and fetched packets share the receive ring's slots. */
  private refill(): void {
    if (this.state === PORT_GONE) return;
    while (this.fill.length + this.received.length / 2 < this.ringSlots) {
      const first = this.packets.takeFor(this.number);
      if (first < 0) return;
      this.fill.push(first);
    }
  }

  private forget(): void {
    this.fill.length = 0;
    this.received.length = 0;
    this.queued.length = 0;
    this.sending.length = 0;
    this.packets.sweep(this.number);
  }
}
