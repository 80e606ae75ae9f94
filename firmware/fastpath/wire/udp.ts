// UDP (RFC 768).
//
//   0   source port 2 │ destination port 2
//   4   length 2 │ checksum 2 (0 = none, IPv4 only)

import { fault } from "./faults.ts";

export const PROTOCOL_UDP = 17;

export const UDP_SOURCE = 0;
export const UDP_DESTINATION = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;
export const UDP_BYTES = 8;

const BAD_HEADER = fault("bad-transport-header");

/** Checks the header at `at`; `lengthBytes` are there. `whole` is false in a first fragment, which holds only a part of the length. */
export function checkUdp(view: DataView, at: number, lengthBytes: number, whole: boolean): number {
  if (lengthBytes < UDP_BYTES) return BAD_HEADER;
  const claimedBytes = view.getUint16(at + UDP_LENGTH);
  return claimedBytes < UDP_BYTES || (whole && claimedBytes > lengthBytes) ? BAD_HEADER : 0;
}
