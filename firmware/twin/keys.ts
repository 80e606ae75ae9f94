// Everything that is derived from the pre-shared secret. It runs at association and rotation only, never per frame: frames
// are sealed in batches by the HAL's sealer, which keeps the keys that are made here in its private memory.
//
//   secret ─ HKDF-SHA256 ─┬─ "hello"                                         HMAC key of greetings
//                         └─ salt: both draws, info: sender, receiver, number  one sealing key per direction and number

import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { HELLO_MAC_BYTES } from "./frame.ts";

export const DRAW_BYTES = 16;
const KEY_BYTES = 32;
const SECRET_BYTES_LEAST = 32;

export class Keyring {
  private readonly secret: Uint8Array;
  private readonly greetingKey: Uint8Array;

  /** `secretHex`: the pre-shared key, at least 32 bytes in hex; throws otherwise. */
  constructor(secretHex: string) {
    if (!/^([0-9a-fA-F]{2})+$/.test(secretHex) || secretHex.length < 2 * SECRET_BYTES_LEAST) {
      throw new Error(`twin: the pre-shared key must be at least ${SECRET_BYTES_LEAST} bytes in hex`);
    }
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
}

/** What both sites must agree on, as it travels in a greeting: 16 bytes. */
export function agreementBytes(agreementHash: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(agreementHash).digest().subarray(0, 16));
}
