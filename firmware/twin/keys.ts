// Everything that is derived from the secrets that two units share. It runs at association and rotation only, never per frame:
// frames are sealed in batches by the HAL's sealer, which keeps the keys that are made here in its private memory.
//
//   secret ─ HKDF-SHA256 ─┬─ "hello"                                         HMAC key of greetings
//                         └─ salt: both draws, info: sender, receiver, number  one sealing key per direction and number
//
// The managers agree on a new secret (a *generation*) now and then. At every instant each side knows one that the other uses:
//
//   the lower unit   [previous] newest      greets and offers keys under its newest
//   the higher one   oldest [pending]       greets under what the lower one last used, offers keys under its oldest

import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { PairKeys } from "../pair-keys.ts";
import { HELLO_MAC_BYTES } from "./frame.ts";

export const DRAW_BYTES = 16;
const KEY_BYTES = 32;
const SECRET_BYTES_LEAST = 32;

export class Keyring {
  readonly generation: number;
  private readonly secret: Uint8Array;
  private readonly greetingKey: Uint8Array;

  /** `secretHex`: what the pair shares, at least 32 bytes in hex; throws otherwise. */
  constructor(secretHex: string, generation: number) {
    if (!/^([0-9a-fA-F]{2})+$/.test(secretHex) || secretHex.length < 2 * SECRET_BYTES_LEAST) {
      throw new Error(`twin: a pair's secret must be at least ${SECRET_BYTES_LEAST} bytes in hex`);
    }
    this.generation = generation;
    this.secret = Buffer.from(secretHex, "hex");
    this.greetingKey = new Uint8Array(hkdfSync("sha256", this.secret, new Uint8Array(0), "twinwall hello", KEY_BYTES));
  }

  /** Writes the HMAC of `bytes[from..to)` behind them. */
  signGreeting(bytes: Uint8Array, from: number, to: number): void {
    bytes.set(createHmac("sha256", this.greetingKey).update(bytes.subarray(from, to)).digest(), to);
  }

  /** True when the HELLO_MAC_BYTES behind `bytes[from..to)` are its HMAC. */
  greetingHolds(bytes: Uint8Array, from: number, to: number): boolean {
    const expected = createHmac("sha256", this.greetingKey).update(bytes.subarray(from, to)).digest();
    return timingSafeEqual(expected, bytes.subarray(to, to + HELLO_MAC_BYTES));
  }

  /** The key under which `sender` seals for `receiver`. Draws: DRAW_BYTES each; `number` grows with each rotation. */
  sealingKey(sender: number, receiver: number, senderDraw: Uint8Array, receiverDraw: Uint8Array, number: number): Uint8Array {
    const info = Buffer.from(`twinwall seal ${sender} ${receiver} ${number}`);
    return new Uint8Array(hkdfSync("sha256", this.secret, Buffer.concat([senderDraw, receiverDraw]), info, KEY_BYTES));
  }

  equals(other: Keyring): boolean {
    return this.generation === other.generation && timingSafeEqual(this.greetingKey, other.greetingKey);
  }
}

/** The keyrings that are shared with one peer, as the manager gave them last. */
export class PairKeyrings {
  /** The lower of two units: its newest secret is the one to use. */
  readonly isLeading: boolean;
  private identity = "";
  /** Oldest first; empty: not paired. */
  private list: readonly Keyring[] = [];
  /** The newest that the leading unit greeted with. */
  private heard: Keyring | null = null;

  constructor(unit: number, peer: number) {
    this.isLeading = unit < peer;
  }

  /** Takes the manager's word. True: whatever was agreed with this peer is void, because it is not paired any more, or is somebody else. */
  replace(keys: PairKeys | undefined): boolean {
    const fresh = (keys?.secrets ?? []).map(({ secret, generation }) => new Keyring(secret, generation));
    const isVoid = keys === undefined || keys.identity !== this.identity;
    this.list = fresh.map((keyring) => (isVoid ? undefined : this.list.find((known) => known.equals(keyring))) ?? keyring);
    this.identity = keys?.identity ?? "";
    if (this.heard !== null && !this.list.includes(this.heard)) this.heard = null;
    return isVoid;
  }

  find(generation: number): Keyring | null {
    for (let k = 0; k < this.list.length; k++) if ((this.list[k] as Keyring).generation === generation) return this.list[k] as Keyring;
    return null;
  }

  /** The peer greeted under this one. */
  hear(keyring: Keyring): void {
    if (!this.isLeading && keyring.generation > (this.heard?.generation ?? 0)) this.heard = keyring;
  }

  get isPaired(): boolean {
    return this.list.length > 0;
  }

  /** What greetings are signed with; null: not paired. */
  get greeting(): Keyring | null {
    return this.heard ?? this.rotating;
  }

  /** What new sealing keys are derived from; null: not paired. */
  get rotating(): Keyring | null {
    return this.list[this.isLeading ? this.list.length - 1 : 0] ?? null;
  }
}

/** What both sites must agree on, as it travels in a greeting: 16 bytes. */
export function agreementBytes(agreementHash: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(agreementHash).digest().subarray(0, 16));
}
