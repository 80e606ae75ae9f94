// Ethernet II (IEEE 802.3 clause 3).
//
//   │ destination 6 │ source 6 │ type 2 │ payload …

import { fault } from "./faults.ts";

export const ETHERNET_DESTINATION = 0;
export const ETHERNET_SOURCE = 6;
export const ETHERNET_TYPE = 12;
export const ETHERNET_BYTES = 14;
/** Shortest frame, without its check sequence; shorter ones are padded with zeroes (F10). */
export const ETHERNET_BYTES_LEAST = 60;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_RARP = 0x8035;
export const TYPE_VLAN = 0x8100;
export const TYPE_IPV6 = 0x86dd;
/** Local experimental EtherType 1: the twin's own frames. */
export const TYPE_TWIN = 0x88b5;

/** In the first byte of an address: multicast or broadcast. */
export const GROUP_BIT = 1;

const TRUNCATED = fault("truncated");
const BAD_SOURCE = fault("bad-source");

/** Checks the frame in `[at, end)`: room for a header, and a sender that is one station. */
export function checkEthernet(view: DataView, at: number, end: number): number {
  if (end - at < ETHERNET_BYTES) return TRUNCATED;
  if ((view.getUint8(at + ETHERNET_SOURCE) & GROUP_BIT) !== 0) return BAD_SOURCE; // IEEE 802.3 §3.2.3
  return 0;
}
