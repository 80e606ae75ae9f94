// One direction of a link, with everything that can go wrong on it. A lane keeps the order of frames unless `reorderRate`
// says otherwise; what it does to a frame is drawn from its own stream.
//
//   carry ─► cut? ─► lost? ─► too long? ─► rate ─► delay + jitter ─► corrupted? ─► deliver
//                                             └─► duplicated: the same once more

import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

export interface LaneFaults {
  cut: boolean;
  lossRate: number;
  duplicateRate: number;
  /** One bit of the frame is turned, behind the Ethernet header. */
  corruptRate: number;
  /** The frame is held back by up to `reorderMicros`, later ones overtake it. */
  reorderRate: number;
  reorderMicros: number;
  delayMicros: number;
  /** Up to this much is added to the delay. */
  jitterMicros: number;
}

export function faultless(delayMicros: number): LaneFaults {
  return { cut: false, lossRate: 0, duplicateRate: 0, corruptRate: 0, reorderRate: 0, reorderMicros: 0, delayMicros, jitterMicros: 0 };
}

const ETHERNET_BYTES = 14;

export class Lane {
  readonly name: string;
  readonly faults: LaneFaults;
  /** Bytes per microsecond; 0 = unlimited. 125 is one Gbit/s. */
  bytesPerMicro = 0;
  /** Frames longer than this are lost; 0 = no limit. Ethernet header included. */
  frameBytesMost = 0;
  carried = 0;
  lost = 0;
  duplicated = 0;
  corrupted = 0;
  tooLong = 0;
  /** First byte of a frame that may be damaged; -1 = none. */
  corruptFrom: (frame: Uint8Array) => number = () => ETHERNET_BYTES;
  /** Sees each frame that is delivered a second time, and each that is about to be damaged. */
  onDuplicate: ((frame: Uint8Array) => void) | null = null;
  onCorrupt: ((frame: Uint8Array) => void) | null = null;
  private readonly schedule: Schedule;
  private readonly random: Random;
  private readonly deliver: (frame: Uint8Array) => void;
  private lastMicros = 0;
  private busyMicros = 0;

  constructor(name: string, schedule: Schedule, random: Random, delayMicros: number, deliver: (frame: Uint8Array) => void) {
    this.name = name;
    this.schedule = schedule;
    this.random = random;
    this.faults = faultless(delayMicros);
    this.deliver = deliver;
  }

  /** Takes a frame, whose bytes nobody changes from now on. Returns when its last bit has left the sender. */
  carry(frame: Uint8Array): number {
    const now = this.schedule.nowMicros;
    let leaves = now;
    if (this.bytesPerMicro > 0) {
      leaves = Math.max(now, this.busyMicros) + frame.length / this.bytesPerMicro;
      this.busyMicros = leaves;
    }
    if (this.frameBytesMost > 0 && frame.length > this.frameBytesMost) {
      this.tooLong++;
      return leaves;
    }
    if (this.faults.cut || this.random.chance(this.faults.lossRate)) {
      this.lost++;
      return leaves;
    }
    this.send(frame, leaves);
    if (this.random.chance(this.faults.duplicateRate)) {
      this.duplicated++;
      this.onDuplicate?.(frame);
      this.send(frame, leaves);
    }
    return leaves;
  }

  private send(frame: Uint8Array, leavesMicros: number): void {
    const { faults, random } = this;
    const carried = random.chance(faults.corruptRate) ? this.damage(frame) : frame;
    let arrives = leavesMicros + faults.delayMicros + (faults.jitterMicros > 0 ? random.below(faults.jitterMicros) : 0);
    if (random.chance(faults.reorderRate)) arrives += random.below(faults.reorderMicros);
    else {
      arrives = Math.max(arrives, this.lastMicros);
      this.lastMicros = arrives;
    }
    this.carried++;
    this.schedule.at(arrives, () => {
      // A cable that is cut loses what is on it.
      if (this.faults.cut) this.lost++;
      else this.deliver(carried);
    });
  }

  private damage(frame: Uint8Array): Uint8Array {
    const from = this.corruptFrom(frame);
    if (from < 0 || from >= frame.length) return frame;
    this.corrupted++;
    this.onCorrupt?.(frame);
    const damaged = frame.slice();
    const at = this.random.between(from, frame.length - 1);
    damaged[at] = (frame[at] as number) ^ (1 << this.random.below(8));
    return damaged;
  }
}
