// Waiting: one `poll` over every port's socket and the doorbell. While the dataplane sits in it, libuv does not run: no
// signal handler, timer or IPC message. Control therefore comes by shared memory, and the doorbell (an eventfd that
// the manager creates and the dataplane inherits) only wakes the loop.

import type { Idle } from "../contracts.ts";
import { HalError, systemReason } from "./failure.ts";
import { loadNative } from "./native.ts";

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

/** `doorbell`: descriptor, or -1 for none. */
export function createIdle(ports: readonly Waitable[], doorbell: number): Idle {
  const native = loadNative();
  const descriptors = new Int32Array(ports.length + 1);
  descriptors[0] = doorbell;
  return {
    wait: (timeoutMillis) => {
      for (let k = 0; k < ports.length; k++) descriptors[k + 1] = (ports[k] as Waitable).descriptor;
      native.waitReadable(descriptors, descriptors.length, timeoutMillis);
    },
  };
}

/** Binds this process's thread to a processor (-1: any) and sets its nice value (-20..19). Returns why it could not, or undefined. */
export function runOn(processor: number, nice: number): string | undefined {
  const result = loadNative().runOn(processor, nice);
  return result < 0 ? `processor ${processor}, nice ${nice}: ${systemReason(result)}` : undefined;
}
