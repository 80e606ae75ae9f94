// 802.1Q tag, between the source address and the type of an Ethernet frame.
//
//   │ 0x8100 │ priority 3 · drop eligible 1 · id 12 │ type 2 │

import { ETHERNET_BYTES } from "./ethernet.ts";
import { fault } from "./faults.ts";

export const VLAN_BYTES = 4;
/** From the frame's first byte. */
export const VLAN_CONTROL = 14;
export const VLAN_TYPE = 16;
export const VLAN_ID_MASK = 0x0fff;

const TRUNCATED = fault("truncated");

/** Checks a frame whose type is 0x8100: room for the tag. */
export function checkVlan(at: number, end: number): number {
  return end - at < ETHERNET_BYTES + VLAN_BYTES ? TRUNCATED : 0;
}
