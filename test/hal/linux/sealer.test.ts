// The sealer: what it seals opens, is what node:crypto would have made, and does not open after any change.

import { createCipheriv, randomBytes } from "node:crypto";
import fc from "fast-check";
import { test } from "tap";
import { JOB_BODY_BYTES, JOB_OFFSET, JOB_SLOT, JOB_WORDS, SEAL_HEADER_BYTES, SEAL_TAG_BYTES } from "../../../firmware/hal/contracts.ts";
import { privateArea } from "../../../firmware/hal/linux/memory.ts";
import { createSealer } from "../../../firmware/hal/linux/sealer.ts";

const area = privateArea(2 * 1024 * 1024);
const bytes = new Uint8Array(area);
const sealer = createSealer(area);
const key = new Uint8Array(randomBytes(32));
const jobs = new Int32Array(64 * JOB_WORDS);

function job(k: number, slot: number, offset: number, bodyBytes: number): void {
  jobs[k * JOB_WORDS + JOB_SLOT] = slot;
  jobs[k * JOB_WORDS + JOB_OFFSET] = offset;
  jobs[k * JOB_WORDS + JOB_BODY_BYTES] = bodyBytes;
}

/** What node:crypto makes of the frame at `offset`. */
function expected(offset: number, bodyBytes: number): Uint8Array {
  const header = bytes.slice(offset, offset + SEAL_HEADER_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, header.subarray(4)).setAAD(header);
  const body = cipher.update(bytes.slice(offset + SEAL_HEADER_BYTES, offset + SEAL_HEADER_BYTES + bodyBytes));
  cipher.final();
  return new Uint8Array(Buffer.concat([header, body, cipher.getAuthTag()]));
}

test("a batch of frames is sealed as node:crypto would, and opens again", async (t) => {
  sealer.install(5, key);
  sealer.install(6, key);
  const lengths = [0, 1, 15, 16, 17, 64, 1400, 1449];
  bytes.set(randomBytes(lengths.length * 2048));
  const before = bytes.slice(0, lengths.length * 2048);
  const wanted = lengths.map((length, k) => expected(k * 2048 + 258, length));
  lengths.forEach((length, k) => {
    job(k, 5, k * 2048 + 258, length);
  });
  sealer.seal(jobs, lengths.length);
  lengths.forEach((length, k) => {
    const sealed = bytes.slice(k * 2048 + 258, k * 2048 + 258 + SEAL_HEADER_BYTES + length + SEAL_TAG_BYTES);
    t.same(sealed, wanted[k], `${length} bytes`);
    job(k, 6, k * 2048 + 258, length);
  });
  t.equal(sealer.open(jobs, lengths.length), lengths.length);
  lengths.forEach((length, k) => {
    const from = k * 2048 + 258;
    t.same(bytes.slice(from, from + SEAL_HEADER_BYTES + length), before.slice(from, from + SEAL_HEADER_BYTES + length));
  });
});

test("a frame with any changed bit does not open, and its neighbours do", async (t) => {
  sealer.install(5, key);
  const length = 48;
  const whole = SEAL_HEADER_BYTES + length + SEAL_TAG_BYTES;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: whole * 8 - 1 }), (bit) => {
      for (let k = 0; k < 3; k++) job(k, 5, k * 2048, length);
      sealer.seal(jobs, 3);
      bytes[2048 + (bit >> 3)] = (bytes[2048 + (bit >> 3)] as number) ^ (1 << (bit & 7));
      const opened = sealer.open(jobs, 3);
      return opened === 2 && jobs[JOB_WORDS + JOB_SLOT] === -1 && jobs[JOB_SLOT] === 5 && jobs[2 * JOB_WORDS + JOB_SLOT] === 5;
    }),
    { seed: 2, numRuns: 400 },
  );
  t.pass("every change was noticed");
});

test("a removed key neither opens nor seals", async (t) => {
  sealer.install(7, key);
  job(0, 7, 0, 32);
  sealer.seal(jobs, 1);
  sealer.remove(7);
  t.equal(sealer.open(jobs, 1), 0);
  job(0, 7, 0, 32);
  t.throws(() => sealer.seal(jobs, 1), /a job without key/);
});

test("a job outside the area is a bug when sealing and a failure when opening", async (t) => {
  sealer.install(7, key);
  job(0, 7, area.byteLength - 40, 32);
  t.equal(sealer.open(jobs, 1), 0);
  job(0, 7, area.byteLength - 40, 32);
  t.throws(() => sealer.seal(jobs, 1), /outside the area/);
  t.throws(() => sealer.install(64, key), /a slot is 0..63/);
  t.throws(() => sealer.install(0, key.subarray(1)), /a key has 32 bytes/);
});
