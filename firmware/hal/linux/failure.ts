// Errors of the HAL, for people: a stable code, what was wrong, where, and what to do.

import { getSystemErrorMessage, getSystemErrorName } from "node:util";

export type HalErrorCode =
  /** build/native/twinwall.node is missing or does not fit this Node. */
  | "ADDON_NOT_BUILT"
  /** No network device of that name. */
  | "PORT_NO_DEVICE"
  /** The device belongs to a bridge or bond: the kernel would forward beside the firewall. */
  | "PORT_ENSLAVED"
  /** The kernel has an address on a data port and would answer there. */
  | "PORT_HAS_ADDRESS"
  /** The kernel forwards packets itself and could not be told to stop. */
  | "PORT_KERNEL_FORWARDS"
  /** The NIC takes VLAN tags out of frames and could not be told to stop. */
  | "PORT_STRIPS_TAGS"
  /** The device's MTU is larger than packet memory can hold. */
  | "PORT_MTU"
  /** Another XDP program holds the device. */
  | "PORT_XDP_FOREIGN"
  /** The XDP program could not be loaded or attached. */
  | "PORT_XDP"
  /** The AF_XDP socket could not be opened. */
  | "PORT_AFXDP"
  /** Frames arrive at more than one receive queue. */
  | "PORT_QUEUES"
  /** node-pcap is missing or could not open the device. */
  | "PORT_PCAP"
  /** No shared memory of that name. */
  | "MEMORY_ABSENT"
  /** Another process owns the shared memory. */
  | "MEMORY_IN_USE"
  /** The shared memory was written by another layout or for another capacity. */
  | "MEMORY_MISMATCH"
  /** The system cannot give that much memory. */
  | "MEMORY_NO_SPACE"
  /** Any other system call on shared memory. */
  | "MEMORY_SYSTEM";

export class HalError extends Error {
  readonly code: HalErrorCode;

  constructor(code: HalErrorCode, message: string) {
    super(message);
    this.name = "HalError";
    this.code = code;
  }
}

/** "ENODEV, no such device" for a negated errno, as the addon returns it. */
export function systemReason(result: number): string {
  return `${getSystemErrorName(result)}, ${getSystemErrorMessage(result)}`;
}
