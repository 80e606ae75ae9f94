// Every verdict and every drop reason, once: a number, a name and a sentence. Numbers are stable: they are counter rows
// in shared memory and travel between units. New reasons go to the end.

export const FORWARD = 0;
export const HANDOFF = 1;
export const LOCAL = 2;
/** The packet waits (for a next hop or a first fragment); its frame is kept. */
export const HELD = 3;
export const DROP = 4;

const REASONS = [
  ["none", "Not dropped."],
  ["truncated", "The packet is shorter than its headers say."],
  ["not-for-us", "The frame is addressed to another station."],
  ["unknown-ethertype", "Neither ARP, IPv4 nor IPv6."],
  ["no-zone", "No zone is configured for this port and VLAN."],
  ["bad-ip-header", "The IP version, header length or total length is wrong."],
  ["bad-ip-checksum", "The IPv4 header checksum is wrong."],
  ["bad-ip-option", "An IP option is malformed or not allowed."],
  ["bad-extension", "An IPv6 extension header is malformed, out of order or too long."],
  ["bad-source", "The source is a broadcast, multicast, loopback, unspecified or reserved address."],
  ["bad-destination", "The destination is an unspecified, loopback or reserved address."],
  ["land", "Source and destination are equal."],
  ["spoofed", "The source does not belong to the networks reached through this zone."],
  ["own-source", "The source is an address of the firewall itself."],
  ["bad-transport-header", "The TCP, UDP or ICMP header is malformed."],
  ["bad-transport-checksum", "The TCP, UDP or ICMP checksum is wrong."],
  ["bad-tcp-flags", "The combination of TCP flags is impossible."],
  ["fragment-duplicate", "The same fragment has come already."],
  ["fragment-invalid", "A fragment with an impossible offset or length."],
  ["fragment-overlap", "Fragments of one datagram overlap."],
  ["fragment-limit", "Too many fragments wait."],
  ["fragment-timeout", "The datagram's other fragments did not come."],
  ["no-session", "A packet that opens nothing and belongs to no session."],
  ["policy-deny", "A rule denies it, or no rule permits it."],
  ["policy-reject", "A rule rejects it."],
  ["table-full", "The session table is full."],
  ["half-open-limit", "Too many half-open sessions to this destination."],
  ["tcp-out-of-window", "The segment lies outside the session's windows."],
  ["tcp-bad-state", "The segment is impossible in the session's state."],
  ["tcp-inexact-reset", "A reset inside the window, but not at the expected sequence number."],
  ["icmp-unmatched", "An ICMP error that belongs to no live session."],
  ["ttl-exceeded", "The TTL or hop limit ran out."],
  ["too-big", "Larger than the next link allows."],
  ["no-route", "No route to the destination."],
  ["no-neighbour", "The next hop did not answer."],
  ["resolve-queue-full", "Too many packets wait for a next hop."],
  ["same-zone", "Source and destination lie behind the same zone."],
  ["egress-down", "The egress port is down."],
  ["transmit-full", "The egress ring is full."],
  ["no-frames", "Packet memory is exhausted."],
  ["standby", "This unit is not active."],
  ["rejoining", "This unit is not yet synchronised."],
  ["owner-unreachable", "The session's owner cannot be reached, and the partition setting says stop."],
  ["owner-unknown", "The session's owner is not known yet."],
  ["handoff-full", "The twin port's ring is full."],
  ["handoff-too-many", "The packet was handed off too often."],
  ["handoff-incomplete", "Half of a handed-off packet did not arrive."],
  ["query-limited", "Too many questions to the twin."],
  ["held-too-long", "The packet waited for the twin too long."],
  ["mac-filtered", "A control frame that is not forwarded."],
  ["not-local-service", "Addressed to the firewall, which offers no such service."],
  ["replica-closed", "The session has ended."],
  ["bad-arp", "The ARP packet is malformed."],
  ["bad-neighbour-discovery", "The neighbour discovery message is malformed or came from another link."],
  ["tcp-straggler", "The connection is closed; the segment was overtaken on its way and repeats what its receiver has."],
  ["site-passive", "This site stands by, and the active one cannot be asked."],
] as const;

export type DropName = (typeof REASONS)[number][0];
export const DROP_NAMES: readonly DropName[] = REASONS.map(([name]) => name);
export const DROP_SENTENCES: readonly string[] = REASONS.map(([, sentence]) => sentence);

/** Number of a drop reason; for module-level constants. */
export function drop(name: DropName): number {
  return DROP_NAMES.indexOf(name);
}
