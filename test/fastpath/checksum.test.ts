// The Internet checksum, against the definition and RFC 1071's own example; incremental updates against a fresh sum.

import fc from "fast-check";
import { test } from "tap";
import { checksumOf, fold, sumBytes, updateChecksum, updateChecksum32 } from "../../firmware/fastpath/wire/checksum.ts";

/** RFC 1071 §1, word by word, in network order. */
function plain(bytes: Uint8Array): number {
  let sum = 0;
  for (let k = 0; k < bytes.length; k += 2) {
    sum += ((bytes[k] as number) << 8) | (bytes[k + 1] ?? 0);
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

const swap = (value: number) => ((value & 0xff) << 8) | (value >>> 8);
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

test("RFC 1071 §3: the example sums to ddf2", async (t) => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  t.equal(swap(fold(sumBytes(viewOf(bytes), 0, 8, 0))), 0xddf2);
});

test("T7: the fast sum is the plain sum, at any offset and length", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_048 }), fc.nat(7), (bytes, skip) => {
      const part = bytes.subarray(Math.min(skip, bytes.length));
      return swap(checksumOf(sumBytes(viewOf(bytes), Math.min(skip, bytes.length), part.length, 0))) === plain(part);
    }),
    { seed: 1 },
  );
});

test("a full frame of ones does not overflow", async (t) => {
  t.equal(fold(sumBytes(viewOf(new Uint8Array(16_384).fill(0xff)), 0, 16_384, 0)), 0xffff);
});

test("RFC 1624: an incremental update is the checksum over the changed message", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), fc.nat(4), fc.nat(0xffff), fc.integer(), (bytes, word, after16, after32) => {
      const view = viewOf(bytes);
      bytes.set([1, 2], 20); // never all zeroes: 0 and ffff are the same number there
      const before = checksumOf(sumBytes(view, 0, 24, 0));
      const old16 = view.getUint16(word * 4, true);
      view.setUint16(word * 4, after16, true);
      const middle = checksumOf(sumBytes(view, 0, 24, 0));
      if (updateChecksum(before, old16, after16) !== middle) return false;
      const old32 = view.getInt32(word * 4, true);
      view.setInt32(word * 4, after32, true);
      return updateChecksum32(middle, old32, after32) === checksumOf(sumBytes(view, 0, 24, 0));
    }),
    { seed: 2, numRuns: 1_000 },
  );
});
