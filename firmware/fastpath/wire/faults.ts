// What can be wrong with the structure of a packet. A check() returns one of these numbers, 0 = sound; the walk gives them
// the numbers of its drop reasons, which have the same names.

export const FAULT_NAMES = [
  "none",
  "truncated",
  "unknown-ethertype",
  "bad-arp",
  "bad-source",
  "bad-destination",
  "bad-ip-header",
  "bad-ip-checksum",
  "bad-ip-option",
  "bad-extension",
  "fragment-invalid",
  "bad-transport-header",
  "bad-transport-checksum",
  "bad-tcp-flags",
  "icmp-unmatched",
  "bad-neighbour-discovery",
] as const;

/** Number of a fault; for module-level constants. */
export function fault(name: (typeof FAULT_NAMES)[number]): number {
  return FAULT_NAMES.indexOf(name);
}
