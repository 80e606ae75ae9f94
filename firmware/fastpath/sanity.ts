// What no rule may allow (F5, F6, V2, RFC 1812 §5.3.7): addresses that cannot be a packet's, and senders that cannot be where it
// came from. Structure (header lengths, options, routing headers, flags) was check()'s part. Address rules hold everywhere;
// the sender's place is known in routed mode only, and is looked at by the unit that received the packet from the wire.

import type { PlannedChecks } from "../plan.ts";
import { P_FLAGS, P_L3, P_SOURCE, P_ZONE, PACKET_ICMP_ERROR, PACKET_IPV6, PACKET_MULTICAST } from "./packets.ts";
import type { Routes } from "./routes.ts";
import { isLinkLocalV6 } from "./stations.ts";
import { drop } from "./verdicts.ts";
import { IPV4_SOURCE } from "./wire/ipv4.ts";
import { IPV6_SOURCE } from "./wire/ipv6.ts";

const BAD_SOURCE = drop("bad-source");
const BAD_DESTINATION = drop("bad-destination");
const LAND = drop("land");
const SPOOFED = drop("spoofed");
const OWN_SOURCE = drop("own-source");

/** Bytes of an address word as it lies in memory. */
const LOOPBACK_NET = 127;
const LINK_LOCAL_V4 = 0xfea9;

/** The addresses under inspection: source, destination. */
const pair = new Int32Array(8);

/**
 * Judges a packet that check() found sound, on the unit that received it from the wire; not for ARP and ND. `checks`: what
 * the configuration asks for. Returns a drop reason, 0 = none.
 */
export function sanity(words: Int32Array, at: number, view: DataView, routes: Routes, checks: PlannedChecks): number {
  const flags = words[at + P_FLAGS] as number;
  const v6 = (flags & PACKET_IPV6) !== 0;
  for (let k = 0; k < 8; k = (k + 1) | 0) pair[k] = words[at + P_SOURCE + k] as number;
  // The tuple of an ICMP error is its quoted packet's; the sender of the error is in its own header.
  if ((flags & PACKET_ICMP_ERROR) !== 0) loadSource(view, words[at + P_L3] as number, v6);
  const wrong = v6 ? addressesV6(checks.strictIpv6) : addressesV4();
  if (wrong !== 0) return wrong;
  if (pair[3] === pair[7] && pair[0] === pair[4] && pair[1] === pair[5] && pair[2] === pair[6]) return LAND;
  return routes.routed ? place(words, at, routes, checks, v6) : 0;
}

function loadSource(view: DataView, l3: number, v6: boolean): void {
  if (!v6) pair[3] = view.getInt32(l3 + IPV4_SOURCE, true);
  else for (let k = 0; k < 4; k = (k + 1) | 0) pair[k] = view.getInt32(l3 + IPV6_SOURCE + (k << 2), true);
}

/** Routed mode: does the sender belong where the packet came in? */
function place(words: Int32Array, at: number, routes: Routes, checks: PlannedChecks, v6: boolean): number {
  if (checks.ownSource && routes.isOwn(pair, 0) >= 0) return OWN_SOURCE; // F6
  if (!v6 && routes.stations.isBroadcast(pair, 0)) return BAD_SOURCE; // F5
  if (!v6 && routes.stations.isBroadcast(pair, 4)) return BAD_DESTINATION; // RFC 2644 §2
  // RFC 4291 §2.5.6, RFC 3927 §7: link-local addresses end at the router; only the router itself may be spoken to.
  const isSourceLocal = v6 ? isLinkLocalV6(pair, 0) : ((pair[3] as number) & 0xffff) === LINK_LOCAL_V4;
  const isDestinationLocal = v6 ? isLinkLocalV6(pair, 4) : ((pair[7] as number) & 0xffff) === LINK_LOCAL_V4;
  if (isSourceLocal || isDestinationLocal) {
    if (!checks.linkLocal || routes.isOwn(pair, 4) >= 0 || ((words[at + P_FLAGS] as number) & PACKET_MULTICAST) !== 0) return 0;
    return isSourceLocal ? BAD_SOURCE : BAD_DESTINATION;
  }
  if (!checks.reversePath) return 0;
  const route = routes.find(pair, 0);
  return route < 0 || routes.zone[route] !== words[at + P_ZONE] ? SPOOFED : 0; // F6, V2, RFC 3704 §2.2
}

/** F5, RFC 1122 §3.2.1.3, RFC 6890: 0/8 and 224/3 never send, 127/8 is on no wire, 0.0.0.0 and 240/4 are nobody. */
function addressesV4(): number {
  const source = (pair[3] as number) & 0xff;
  if (source === 0 || source === LOOPBACK_NET || source >= 224) return BAD_SOURCE;
  const destination = (pair[7] as number) & 0xff;
  return destination === 0 || destination === LOOPBACK_NET || destination >= 240 ? BAD_DESTINATION : 0;
}

function addressesV6(strict: boolean): number {
  if (((pair[0] as number) & 0xff) === 0xff || isReservedV6(0)) return BAD_SOURCE; // V2
  if (isReservedV6(4)) return BAD_DESTINATION;
  if (!strict) return 0;
  if (!isGlobalV6(0)) return BAD_SOURCE; // F5
  return isGlobalV6(4) || ((pair[4] as number) & 0xff) === 0xff ? 0 : BAD_DESTINATION;
}

/** 2000::/3, all that is assigned for global unicast (RFC 4291 §2.4, IANA). */
function isGlobalV6(at: number): boolean {
  return ((pair[at] as number) & 0xe0) === 0x20;
}

/** ::, ::1 (RFC 4291 §2.5.2, §2.5.3) and the rest of ::/96, which once held IPv4 addresses; check() refused ::ffff:0:0/96. */
function isReservedV6(at: number): boolean {
  return pair[at] === 0 && pair[at + 1] === 0 && pair[at + 2] === 0;
}
