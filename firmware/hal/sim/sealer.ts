// The sealer in simulation: a keyed stream and a keyed hash of our own in place of AES-256-GCM, which takes 4 µs a frame here, a
// fifth of a simulation. It is as honest as the contract: what is sealed is unreadable, and a frame that was damaged, cut, sealed
// with another key or under another header fails. Nobody who knows it would find it hard to forge; no fault here does.
//
//   key, header ─► state ─┬─► stream: body ^= next word
//                         └─► hash over the body in clear ─► tag
//
// A ledger, one per world, remembers every counter that was ever used with a key, across restarts and crashes: using one twice
// would give the key away, so it throws at once.

import { createHash } from "node:crypto";
import { JOB_BODY_BYTES, JOB_OFFSET, JOB_SLOT, JOB_WORDS, SEAL_HEADER_BYTES, SEAL_TAG_BYTES, SEALER_SLOTS, type Sealer } from "../contracts.ts";

const PATH_AT = 5;
const COUNTER_AT = 8;
const KEY_WORDS = 8;
const HEADER_WORDS = SEAL_HEADER_BYTES / 4;
const TAG_WORDS = SEAL_TAG_BYTES / 4;

/** What has been sealed, by key and path. The body's length is part of the nonce, yet counters may not repeat even with another length. */
export class NonceLedger {
  private readonly used = new Map<string, Set<number>>();
  sealed = 0;

  /** Throws when the counter was used with this key and path before. */
  note(fingerprint: string, header: DataView): void {
    const name = `${fingerprint}/${header.getUint8(PATH_AT)}`;
    const counter = header.getUint32(COUNTER_AT) * 2 ** 32 + header.getUint32(COUNTER_AT + 4);
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
  private readonly view: DataView;
  private readonly state = new Int32Array(4);
  private readonly tag = new Int32Array(TAG_WORDS);
  private readonly ledger: NonceLedger;
  private readonly keys: (Int32Array | null)[] = new Array(SEALER_SLOTS).fill(null);
  private readonly fingerprints: string[] = new Array(SEALER_SLOTS).fill("");
  opened = 0;
  /** Keys other than an association's first: slots hold them by parity of their number. */
  rotations = 0;
  refused = 0;

  /** Works on frames in `bytes`, a unit's packet memory. */
  constructor(bytes: Uint8Array, ledger: NonceLedger) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.ledger = ledger;
  }

  install(slot: number, key: Uint8Array): void {
    if (slot < 0 || slot >= SEALER_SLOTS) throw new Error(`sealer: there is no slot ${slot}`);
    if (key.length !== 32) throw new Error(`sealer: a key has 32 bytes, not ${key.length}`);
    this.rotations += slot & 1;
    this.keys[slot] = new Int32Array(key.slice().buffer);
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
      this.begin(key, header);
      this.pass(body, end, true);
      for (let k = 0; k < TAG_WORDS; k++) this.view.setInt32(end + 4 * k, this.tag[k] as number);
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
    this.begin(key, header);
    // As on the appliance, the bytes of a frame that fails are worthless.
    this.pass(body, end, false);
    for (let k = 0; k < TAG_WORDS; k++) if (this.view.getInt32(end + 4 * k) !== this.tag[k]) return false;
    return true;
  }

  /** State from the key and the whole header, which holds the nonce and the body's length. */
  private begin(key: Int32Array, header: number): void {
    const { state, view } = this;
    for (let k = 0; k < 4; k++) state[k] = (key[k] as number) ^ Math.imul(k + 1, 0x9e3779b1);
    for (let k = 0; k < HEADER_WORDS + KEY_WORDS / 2; k++) {
      const word = k < HEADER_WORDS ? view.getInt32(header + 4 * k) : (key[KEY_WORDS / 2 + k - HEADER_WORDS] as number);
      for (let lane = 0; lane < 4; lane++) state[lane] = mixed((state[lane] as number) ^ word, (state[(lane + 1) & 3] as number) + k);
    }
  }

  /** One pass over the body: turns it, and hashes what it is in clear. */
  private pass(body: number, end: number, seals: boolean): void {
    const { bytes, view, state } = this;
    let stream = state[0] as number;
    let one = state[1] as number;
    let other = state[2] as number;
    let at = body;
    for (; at + 4 <= end; at += 4) {
      stream = mixed(stream, 0x2545f491);
      const word = view.getInt32(at);
      const turned = word ^ stream;
      view.setInt32(at, turned);
      const clear = seals ? word : turned;
      one = mixed(one ^ clear, 0x27d4eb2f);
      other = (Math.imul(other, 31) + clear) | 0;
    }
    for (; at < end; at++) {
      stream = mixed(stream, 0x2545f491);
      const byte = bytes[at] as number;
      const turned = byte ^ (stream & 0xff);
      bytes[at] = turned;
      one = mixed(one ^ (seals ? byte : turned), 0x27d4eb2f);
    }
    for (let k = 0; k < TAG_WORDS; k++) this.tag[k] = mixed(one ^ Math.imul(other, k + 1), (state[3] as number) + k);
  }
}

function mixed(a: number, b: number): number {
  let word = Math.imul(a ^ (a >>> 15), 0x85ebca6b) + b;
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
