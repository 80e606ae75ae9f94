// The sealer in simulation: the real cipher, AES-256-GCM, so that a forged, damaged or replayed frame fails as it would on
// the appliance. A ledger, one per world, remembers every counter that was ever used with a key, across restarts and
// crashes: using one twice would give the key away, so it throws at once.

import { createCipheriv, createDecipheriv, createHash, createSecretKey, type KeyObject } from "node:crypto";
import { JOB_BODY_BYTES, JOB_OFFSET, JOB_SLOT, JOB_WORDS, SEAL_HEADER_BYTES, SEAL_TAG_BYTES, SEALER_SLOTS, type Sealer } from "../contracts.ts";

const NONCE_AT = 4;
const PATH_AT = 5;
const COUNTER_AT = 8;
const CIPHER = "aes-256-gcm";

/** What has been sealed, by key and path. The body's length is part of the nonce, yet counters may not repeat even with another length. */
export class NonceLedger {
  private readonly used = new Map<string, Set<bigint>>();
  sealed = 0;

  /** Throws when the counter was used with this key and path before. */
  note(fingerprint: string, header: DataView): void {
    const name = `${fingerprint}/${header.getUint8(PATH_AT)}`;
    const counter = header.getBigUint64(COUNTER_AT);
    let counters = this.used.get(name);
    if (counters === undefined) {
      counters = new Set();
      this.used.set(name, counters);
    }
    if (counters.has(counter)) throw new Error(`invariant: counter ${counter} was sealed twice under key ${name}`);
    counters.add(counter);
    this.sealed++;
  }
}

export class SimSealer implements Sealer {
  private readonly bytes: Uint8Array;
  private readonly ledger: NonceLedger;
  /** A KeyObject: a cipher made from bare bytes takes 15 µs, from one of these 4. */
  private readonly keys: (KeyObject | null)[] = new Array(SEALER_SLOTS).fill(null);
  private readonly fingerprints: string[] = new Array(SEALER_SLOTS).fill("");
  opened = 0;
  /** Keys other than an association's first: slots hold them by parity of their number. */
  rotations = 0;
  refused = 0;

  /** Works on frames in `bytes`, a unit's packet memory. */
  constructor(bytes: Uint8Array, ledger: NonceLedger) {
    this.bytes = bytes;
    this.ledger = ledger;
  }

  install(slot: number, key: Uint8Array): void {
    if (slot < 0 || slot >= SEALER_SLOTS) throw new Error(`sealer: there is no slot ${slot}`);
    if (key.length !== 32) throw new Error(`sealer: a key has 32 bytes, not ${key.length}`);
    this.rotations += slot & 1;
    this.keys[slot] = createSecretKey(key);
    this.fingerprints[slot] = createHash("sha256").update(key).digest("hex").slice(0, 16);
  }

  remove(slot: number): void {
    this.keys[slot] = null;
  }

  seal(jobs: Int32Array, count: number): void {
    for (let job = 0; job < count; job++) {
      const slot = jobs[job * JOB_WORDS + JOB_SLOT] as number;
      const key = this.keys[slot];
      if (key === null || key === undefined) throw new Error(`sealer: slot ${slot} holds no key to seal with`);
      const header = jobs[job * JOB_WORDS + JOB_OFFSET] as number;
      const body = header + SEAL_HEADER_BYTES;
      const end = body + (jobs[job * JOB_WORDS + JOB_BODY_BYTES] as number);
      this.ledger.note(this.fingerprints[slot] as string, new DataView(this.bytes.buffer, this.bytes.byteOffset + header, SEAL_HEADER_BYTES));
      const cipher = createCipheriv(CIPHER, key, this.bytes.subarray(header + NONCE_AT, body));
      cipher.setAAD(this.bytes.subarray(header, body));
      this.bytes.set(cipher.update(this.bytes.subarray(body, end)), body);
      cipher.final();
      this.bytes.set(cipher.getAuthTag(), end);
    }
  }

  open(jobs: Int32Array, count: number): number {
    let opened = 0;
    for (let job = 0; job < count; job++) {
      const at = job * JOB_WORDS;
      if (this.openOne(jobs[at + JOB_SLOT] as number, jobs[at + JOB_OFFSET] as number, jobs[at + JOB_BODY_BYTES] as number)) opened++;
      else jobs[at + JOB_SLOT] = -1;
    }
    this.opened += opened;
    this.refused += count - opened;
    return opened;
  }

  private openOne(slot: number, header: number, bodyBytes: number): boolean {
    const key = this.keys[slot];
    if (key === null || key === undefined) return false;
    const body = header + SEAL_HEADER_BYTES;
    const end = body + bodyBytes;
    const decipher = createDecipheriv(CIPHER, key, this.bytes.subarray(header + NONCE_AT, body));
    decipher.setAAD(this.bytes.subarray(header, body));
    decipher.setAuthTag(this.bytes.subarray(end, end + SEAL_TAG_BYTES));
    // As on the appliance, the bytes of a frame that fails are worthless.
    this.bytes.set(decipher.update(this.bytes.subarray(body, end)), body);
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  }
}
