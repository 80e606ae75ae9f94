// Selective acknowledgements (RFC 2018): a receiver names blocks that it holds beyond its acknowledgement, or once more below
// it (D-SACK, RFC 2883). Nothing that was never sent can have been received: a block that ends beyond the other side's highest
// byte, that is empty, or that lies further back than anything can be in flight is as much outside the windows as an
// acknowledgement would be (T1).
//
//        oldest          acknowledged                end
//   ───────┼───────────────────┼──────────────────────┼─────►  sequence numbers
//          └─ D-SACK ──────────┴──── SACK ────────────┘

import { TCP_BYTES, TCP_OPTION_END, TCP_OPTION_NOTHING, TCP_OPTION_SACK } from "../wire/tcp.ts";

const BLOCK_BYTES = 8;

/**
 * True when every block of a checked segment lies within [oldest, end]. `end`: the other side's highest sequence number + length;
 * `oldest`: below it nothing is in flight any more. A segment without the option fits.
 */
export function sackFits(view: DataView, l4: number, headerBytes: number, oldest: number, end: number): boolean {
  let at = l4 + TCP_BYTES;
  const optionsEnd = l4 + headerBytes;
  while (at < optionsEnd) {
    const kind = view.getUint8(at);
    if (kind === TCP_OPTION_END) return true;
    if (kind === TCP_OPTION_NOTHING) {
      at = (at + 1) | 0;
      continue;
    }
    // checkTcp() verified every length.
    const bytes = view.getUint8(at + 1);
    if (kind === TCP_OPTION_SACK && !blocksFit(view, at + 2, bytes - 2, oldest, end)) return false;
    at = (at + bytes) | 0;
  }
  return true;
}

/** RFC 2018 §3: pairs of the block's first number and the one behind its last. */
function blocksFit(view: DataView, from: number, bytes: number, oldest: number, end: number): boolean {
  if (bytes % BLOCK_BYTES !== 0) return false;
  for (let at = from; at < from + bytes; at = (at + BLOCK_BYTES) | 0) {
    const left = view.getInt32(at);
    const right = view.getInt32(at + 4);
    if (((right - left) | 0) <= 0 || ((right - end) | 0) > 0 || ((left - oldest) | 0) < 0) return false;
  }
  return true;
}
