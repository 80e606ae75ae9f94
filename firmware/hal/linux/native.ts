// The typed face of twinwall.node (addon/*.c). Functions return a number: >= 0 is the answer, < 0 a negated errno; a wrong
// argument throws with the code BUG.

import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { HalError } from "./failure.ts";

/** Words of `linkState`. */
export const DEVICE_INDEX = 0;
export const DEVICE_FLAGS = 1;
export const DEVICE_MTU = 2;
export const DEVICE_MASTER = 3;
export const DEVICE_WORDS = 4;
/** IFF_UP and IFF_LOWER_UP: switched on, and a carrier. */
export const FLAG_UP = 0x1;
export const FLAG_LOWER_UP = 0x10000;

/** Words of `steeringAttach`'s answer. */
export const ANSWER_MAP = 0;
export const ANSWER_MODE = 1;
export const ANSWER_ADOPTED = 2;
export const ANSWER_STAGE = 3;
export const ANSWER_DETAIL = 4;
export const ANSWER_WORDS = 5;
export const MODE_NATIVE = 1;
export const MODE_GENERIC = 2;
export const STAGE_LOAD = 1;

/** Words of a steering configuration (steer.h); word 0 is filled in by the addon. */
export const STEERING_WORDS = 7;
export const STEERING_TWIN = 1;
export const STEERING_MANAGEMENT = 2;
export const STEERING_ADDRESS = 3;

/** `which` of `offload` and `offloadOff`. */
export const OFFLOAD_RECEIVE_TAG = 0;
export const OFFLOAD_TRANSMIT_TAG = 1;
export const OFFLOAD_LRO = 2;
export const OFFLOAD_GRO = 3;
export const OFFLOAD_GSO = 4;
export const OFFLOAD_TSO = 5;

/** Negated errno values that the drivers tell apart. */
export const ENODEV = -constants.errno.ENODEV;
export const EBUSY = -constants.errno.EBUSY;
export const EEXIST = -constants.errno.EEXIST;
export const EMSGSIZE = -constants.errno.EMSGSIZE;
export const ENETDOWN = -constants.errno.ENETDOWN;
export const EWOULDBLOCK = -constants.errno.EWOULDBLOCK;

export interface Native {
  xdpWindow(): ArrayBuffer;
  xdpOpen(area: ArrayBuffer, window: ArrayBuffer, slots: number, frameBytes: number, headroom: number, layout: Int32Array): number;
  xdpBind(descriptor: number, ifindex: number, queue: number): number;
  xdpClose(descriptor: number, window: ArrayBuffer): number;
  xdpKick(descriptor: number, window: ArrayBuffer, producerWord: number, consumerWord: number): number;
  xdpMissed(descriptor: number, cell: Float64Array): number;
  socketError(descriptor: number): number;

  steeringAttach(objectPath: string, ifindex: number, steering: Uint32Array, genericOnly: number, answer: Int32Array): number;
  steeringPoint(mapDescriptor: number, queue: number, socketDescriptor: number): number;
  steeringDetach(ifindex: number): number;
  shieldAttach(objectPath: string, ifindex: number, steering: Uint32Array): number;
  shieldDetach(ifindex: number): number;

  packetOpen(ifindex: number, promiscuous: number): number;
  packetSend(descriptor: number, area: ArrayBuffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number;
  packetCapture(ifindex: number): number;
  descriptorClose(descriptor: number): number;

  memoryAllocate(descriptor: number, bytes: number): number;
  memoryLock(descriptor: number, take: number): number;
  memoryMap(descriptor: number, bytes: number, writable: number): ArrayBuffer | number;
  memoryPrivate(bytes: number): ArrayBuffer | number;
  memoryUnmap(buffer: ArrayBuffer): void;
  snapshot(source: ArrayBuffer, offsetBytes: number, strideBytes: number, firstRow: number, rows: number, target: ArrayBuffer): number;

  doorbellCreate(): number;
  doorbellRing(descriptor: number): number;
  waitReadable(descriptors: Int32Array, count: number, timeoutMicros: number): number;
  clockMicros(cell: Float64Array): void;
  runOn(processor: number, nice: number): number;

  sealerInstall(slot: number, key: Uint8Array): void;
  sealerRemove(slot: number): void;
  sealerSeal(area: ArrayBuffer, jobs: Int32Array, count: number): void;
  sealerOpen(area: ArrayBuffer, jobs: Int32Array, count: number): number;

  linkWatch(): number;
  linkChanged(descriptor: number): number;
  linkState(name: string, words: Int32Array, mac: Uint8Array): number;
  linkAddresses(name: string): number;

  deviceMtu(name: string, bytes: number): number;
  deviceUp(name: string): number;
  offload(name: string, which: number): number;
  offloadOff(name: string, which: number): number;
  queues(name: string): number;
  queuesOne(name: string): number;
}

const PRODUCTS = new URL("../../../build/native/", import.meta.url);
/** The compiled steering program. */
export const STEERING_OBJECT = fileURLToPath(new URL("steer.bpf.o", PRODUCTS));

let loaded: Native | undefined;

/** The addon; loaded once. Throws HalError ADDON_NOT_BUILT. */
export function loadNative(): Native {
  if (loaded !== undefined) return loaded;
  const path = fileURLToPath(new URL("twinwall.node", PRODUCTS));
  try {
    loaded = createRequire(import.meta.url)(path) as Native;
  } catch (error) {
    const cause = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new HalError("ADDON_NOT_BUILT", `the addon twinwall.node cannot be loaded (${cause}): run node image/prepare.mjs`);
  }
  return loaded;
}
