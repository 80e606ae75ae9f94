// Waiting: one `ppoll`. When nothing is to be done, over the doorbell and every port's socket; while many packets come and should gather
// (pace.ts), for a moment over the doorbell and the twin ports only, so that neither commands nor heartbeats, rows and handed-off packets wait.
// Meanwhile libuv does not run: no signal handler, timer or IPC message. Control therefore comes by shared memory, and the doorbell (an eventfd
// that the manager creates and the dataplane inherits) only wakes the loop.
//
//   descriptors:  │ doorbell │ twin ports │ data ports │
//                 └── urgent: end a gathering ─┘

import type { Idle } from "../contracts.ts";
import { HalError, systemReason } from "./failure.ts";
import { loadNative } from "./native.ts";
import { Pace } from "./pace.ts";

/** What can be waited for: a port of this directory. The descriptor changes when a port reopens; -1: none now. */
export interface Waitable {
  readonly descriptor: number;
}

/** Makes a doorbell; pass the descriptor to the dataplane in `stdio`, where it becomes descriptor 3 or so. */
export function createDoorbell(): number {
  const descriptor = loadNative().doorbellCreate();
  if (descriptor < 0) throw new HalError("MEMORY_SYSTEM", `no eventfd is to be had (${systemReason(descriptor)})`);
  return descriptor;
}

/** Wakes the process that waits on the doorbell. */
export function ringDoorbell(descriptor: number): void {
  loadNative().doorbellRing(descriptor);
}

/** `doorbell`: descriptor, or -1 for none. `twinPorts`: those whose frames end a gathering. `pace`: says when to gather. */
export function createIdle(twinPorts: readonly Waitable[], dataPorts: readonly Waitable[], doorbell: number, pace: Pick<Pace, "breathed"> = new Pace()): Idle {
  const native = loadNative();
  const ports = [...twinPorts, ...dataPorts];
  const urgent = 1 + twinPorts.length;
  const descriptors = new Int32Array(1 + ports.length);
  descriptors[0] = doorbell;
  const now = new Float64Array(1);
  return {
    rest: (moved, timeoutMicros) => {
      native.clockMicros(now);
      const gatherMicros = pace.breathed(moved, now[0] as number);
      if (moved > 0 && gatherMicros === 0) return;
      for (let k = 0; k < ports.length; k++) descriptors[k + 1] = (ports[k] as Waitable).descriptor;
      if (moved > 0) native.waitReadable(descriptors, urgent, gatherMicros);
      else native.waitReadable(descriptors, descriptors.length, timeoutMicros);
    },
  };
}

/** Binds this process's thread to a processor (-1: any) and sets its nice value (-20..19). Returns why it could not, or undefined. */
export function runOn(processor: number, nice: number): string | undefined {
  const result = loadNative().runOn(processor, nice);
  return result < 0 ? `processor ${processor}, nice ${nice}: ${systemReason(result)}` : undefined;
}
