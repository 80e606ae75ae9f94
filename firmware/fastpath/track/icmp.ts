// ICMP queries: the originator asks, the responder answers (N3). Tuples tell questions apart (wire/icmp.ts, icmpPorts()), unless an
// identifier happens to equal a type and code; so the row keeps its question, and only that one and its answer are this session's
// (F2, F3). ICMP errors never touch a session's state (N4).
//
//   state   … │ code 8 │ type 8 │ flags 8 │ icmp-query 8

import { STATE_NAMES } from "../memory/tables.ts";
import { S_STATE } from "../sessions.ts";
import { drop } from "../verdicts.ts";
import { ICMP_COUNTERPARTS } from "../wire/icmp.ts";

export const ICMP_QUERY = STATE_NAMES.indexOf("icmp-query");

const QUESTION_SHIFT = 16;
const UNMATCHED = drop("icmp-unmatched");

/** Fills the state of a new row. `icmp`: type | code << 8, as in a packet's flags. */
export function openQuery(i: Int32Array, row: number, icmp: number): void {
  i[row + S_STATE] = ICMP_QUERY | (icmp << QUESTION_SHIFT);
}

/**
 * 0, or the drop reason: the originator repeats its question, the responder gives the type that answers it. `state`: of the row;
 * `icmp`: type | code << 8; `v6`: ICMPv6.
 */
export function trackQuery(state: number, direction: number, icmp: number, v6: boolean): number {
  const question = state >>> QUESTION_SHIFT;
  if (direction === 0) return icmp === question ? 0 : UNMATCHED;
  return (icmp & 0xff) === ICMP_COUNTERPARTS[(question & 0xff) | (v6 ? 256 : 0)] ? 0 : UNMATCHED;
}
