// ARP for IPv4 over Ethernet (RFC 826).
//
//   0   hardware type 2 │ protocol type 2
//   4   hardware bytes 1 │ protocol bytes 1 │ operation 2
//   8   sender hardware address 6 │ sender protocol address 4
//   18  target hardware address 6 │ target protocol address 4

import { fault } from "./faults.ts";

export const ARP_HARDWARE = 0;
export const ARP_PROTOCOL = 2;
export const ARP_SIZES = 4;
export const ARP_OPERATION = 6;
export const ARP_SENDER_MAC = 8;
export const ARP_SENDER_ADDRESS = 14;
export const ARP_TARGET_MAC = 18;
export const ARP_TARGET_ADDRESS = 24;
export const ARP_BYTES = 28;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
export const ARP_HARDWARE_ETHERNET = 1;
/** Six bytes of hardware address, four of protocol address. */
export const ARP_SIZES_ETHERNET_IPV4 = 0x0604;

const TRUNCATED = fault("truncated");
const BAD_ARP = fault("bad-arp");

/** Checks the ARP packet in `[at, end)`: Ethernet, IPv4, request or reply. */
export function checkArp(view: DataView, at: number, end: number): number {
  if (end - at < ARP_BYTES) return TRUNCATED;
  if (view.getUint16(at + ARP_HARDWARE) !== ARP_HARDWARE_ETHERNET || view.getUint16(at + ARP_PROTOCOL) !== 0x0800) return BAD_ARP;
  if (view.getUint16(at + ARP_SIZES) !== ARP_SIZES_ETHERNET_IPV4) return BAD_ARP;
  const operation = view.getUint16(at + ARP_OPERATION);
  return operation === ARP_REQUEST || operation === ARP_REPLY ? 0 : BAD_ARP;
}
