// How many questions the twin may be asked: a token bucket in all and one per source prefix (/24 or /64), so that nobody
// turns a flood of strange packets into a flood on the twin link. Buckets by virtual scheduling (GCRA): one number each.

import { P_SOURCE, V4_MAPPED } from "../fastpath/packets.ts";
import { QUERIES_PER_PREFIX_SECOND, QUERIES_PER_SECOND, QUERY_BURST, QUERY_PREFIX_BURST, QUERY_PREFIXES } from "../limits.ts";

const INTERVAL_MICROS = 1_000_000 / QUERIES_PER_SECOND;
const PREFIX_INTERVAL_MICROS = 1_000_000 / QUERIES_PER_PREFIX_SECOND;
/** The first three bytes of an IPv4 address, as they lie in a word. */
const SLASH_24 = 0x00ffffff;

export class Questions {
  /** When the bucket in all is full again, microseconds. */
  private readonly due = new Float64Array(1);
  /** The same by hash of the prefix; prefixes that share a slot share its tokens. */
  private readonly prefixDue = new Float64Array(QUERY_PREFIXES);

  /** Takes a token for the packet at `words[at]`; false when there is none. */
  allow(words: Int32Array, at: number, nowMicros: number): boolean {
    const slot = prefixSlot(words, at + P_SOURCE);
    const prefixFrom = Math.max(this.prefixDue[slot] as number, nowMicros);
    const from = Math.max(this.due[0] as number, nowMicros);
    if (prefixFrom - nowMicros > (QUERY_PREFIX_BURST - 1) * PREFIX_INTERVAL_MICROS || from - nowMicros > (QUERY_BURST - 1) * INTERVAL_MICROS) return false;
    this.prefixDue[slot] = prefixFrom + PREFIX_INTERVAL_MICROS;
    this.due[0] = from + INTERVAL_MICROS;
    return true;
  }
}

function prefixSlot(words: Int32Array, source: number): number {
  const v4 = words[source] === 0 && words[source + 1] === 0 && words[source + 2] === V4_MAPPED;
  const mixed = v4
    ? Math.imul((words[source + 3] as number) & SLASH_24, 0x9e3779b1)
    : Math.imul((words[source] as number) ^ Math.imul(words[source + 1] as number, 0x85ebca6b), 0x9e3779b1);
  return (mixed >>> 16) & (QUERY_PREFIXES - 1);
}
