// UDP and every protocol without states of its own: one direction seen, or both (N2, RFC 4787 §4.3).

import { STATE_NAMES } from "../memory/tables.ts";
import { S_STATE } from "../sessions.ts";

export const UDP_ONE_WAY = STATE_NAMES.indexOf("udp-one-way");
export const UDP_BOTH_WAYS = STATE_NAMES.indexOf("udp-both-ways");
export const OTHER_ONE_WAY = STATE_NAMES.indexOf("other-one-way");
export const OTHER_BOTH_WAYS = STATE_NAMES.indexOf("other-both-ways");

/** Notes a packet; true when the responder answered for the first time. `row` is the row's first word. */
export function trackDatagram(i: Int32Array, row: number, direction: number): boolean {
  if (direction === 0) return false;
  const state = i[row + S_STATE] as number;
  const kind = state & 0xff;
  if (kind !== UDP_ONE_WAY && kind !== OTHER_ONE_WAY) return false;
  // Each both-ways state follows its one-way state in the list of states.
  i[row + S_STATE] = state + 1;
  return true;
}
