// The Internet checksum: the ones' complement of the ones' complement sum of 16-bit words (RFC 1071).
//
// Sums are formed in the order in which the bytes lie (little-endian words of network bytes): the sum does not care about
// byte order as long as the result is stored the way it was read (RFC 1071 §2 B). So 32 bits are read at a time and
// nothing is swapped. A partial sum is an int32 that has not been folded; packets are at most 2 KiB, so it cannot overflow.

/** Adds the bytes `[at, at + lengthBytes)` to the partial sum `initial`; at most 16 KiB per checksum. Unfolded. */
export function sumBytes(view: DataView, at: number, lengthBytes: number, initial: number): number {
  const end = (at + lengthBytes) | 0;
  let low = initial | 0;
  let high = 0;
  let k = at | 0;
  // Four words a turn: a quarter of the loop's own cost, and two chains of additions instead of one.
  for (const blocks = (end - 16) | 0; k <= blocks; k = (k + 16) | 0) {
    const a = view.getInt32(k, true);
    const b = view.getInt32(k + 4, true);
    const c = view.getInt32(k + 8, true);
    const d = view.getInt32(k + 12, true);
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
  }
  for (const pairs = (end - 2) | 0; k <= pairs; k = (k + 2) | 0) low = (low + view.getUint16(k, true)) | 0;
  if (k < end) low = (low + view.getUint8(k)) | 0;
  return (low + high) | 0;
}

/** Folds a partial sum into 16 bits. A message with its checksum in place folds to 0xffff. */
export function fold(sum: number): number {
  const once = ((sum & 0xffff) + (sum >>> 16)) | 0;
  return ((once & 0xffff) + (once >>> 16)) & 0xffff;
}

/** The checksum field for a partial sum over a message whose field is zero; store it with `setUint16(at, …, true)`. */
export function checksumOf(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Partial sum of the IPv4 pseudo header (RFC 9293 §3.1, RFC 768). `ip`: the IPv4 header. */
export function pseudoSumIpv4(view: DataView, ip: number, protocol: number, lengthBytes: number): number {
  return (sumBytes(view, ip + 12, 8, 0) + tailSum(protocol, lengthBytes)) | 0;
}

/** Partial sum of the IPv6 pseudo header (RFC 8200 §8.1). `ip`: the IPv6 header. */
export function pseudoSumIpv6(view: DataView, ip: number, protocol: number, lengthBytes: number): number {
  return (sumBytes(view, ip + 8, 32, 0) + tailSum(protocol, lengthBytes)) | 0;
}

/** Protocol and length of a pseudo header as they would lie in memory; a length is at most 65,535. */
function tailSum(protocol: number, lengthBytes: number): number {
  return ((protocol << 8) + (((lengthBytes & 0xff) << 8) | (lengthBytes >>> 8))) | 0;
}

/**
 * The checksum field after one 16-bit word of the message changed (RFC 1624 §3, equation 3). All three in the order in
 * which they lie in memory (`getUint16(at, true)`).
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~fold(((~checksum & 0xffff) + (~before & 0xffff) + after) | 0) & 0xffff;
}

/** As `updateChecksum` for a 32-bit word (an address, as `getInt32(at, true)`). */
export function updateChecksum32(checksum: number, before: number, after: number): number {
  return ~fold(((~checksum & 0xffff) + (~before & 0xffff) + (~before >>> 16) + (after & 0xffff) + (after >>> 16)) | 0) & 0xffff;
}
