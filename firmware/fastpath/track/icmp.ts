// ICMP queries: the originator asks, the responder answers (N3). A query from the responder's side is not an answer.
// ICMP errors never touch a session's state (N4).

import { STATE_NAMES } from "../memory/tables.ts";
import { drop } from "../verdicts.ts";

export const ICMP_QUERY = STATE_NAMES.indexOf("icmp-query");

const UNMATCHED = drop("icmp-unmatched");

/** RFC 792: echo 8/0, timestamp 13/14; RFC 4443: echo 128/129. */
function isAnswer(type: number): boolean {
  return type === 0 || type === 14 || type === 129;
}

/** 0, or the drop reason: an answer from the originator, a question from the responder. `l4`: the ICMP header's offset. */
export function trackQuery(direction: number, view: DataView, l4: number): number {
  return isAnswer(view.getUint8(l4)) === (direction === 1) ? 0 : UNMATCHED;
}
