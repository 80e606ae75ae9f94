// Pairing: two units that have never met prove to each other that the same code was typed at both, and so whose keys they hold. The
// code goes over the wire in no form that could be tried out later.
//
// It is Bluetooth's passkey entry (Core 5.4, Vol 3 Part H, 2.3.5.6.3), inside a TLS connection whose keys nobody vouches for yet:
// for each bit of the code both commit themselves to it, and only then show what they committed to.
//
//   dialer                                             other one
//   commit  H(role, k, bit k, nonce, binding) ───────►
//           ◄───────────────────────────────────────── commit
//   reveal  nonce ───────────────────────────────────► right for my bit k?
//           ◄───────────────────────────────────────── reveal        … 27 rounds, then done, done
//
// Whoever does not know the code has to commit to a guess of the first bit before seeing anything; a wrong one ends the run. To
// get through is to guess the whole code: one guess per run, 1 : 100,000,000, however much is computed, now or later. The binding
// (the exporter of this TLS connection, and both keys) makes a commitment worthless on another connection: somebody in
// the middle has two of them.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Message } from "./conversation.ts";

export const CODE_DIGITS = 8;
/** 2^27 > 10^8. */
export const CODE_BITS = 27;
const NONCE_BYTES = 32;

export type PairingEnd =
  | "paired"
  | "code" // the codes differ
  | "protocol"; // what the other side said is no part of pairing

export interface PairingRunOptions {
  readonly isDialer: boolean;
  /** CODE_DIGITS digits. */
  readonly code: string;
  /** Of this connection, and nothing else. */
  readonly binding: Buffer;
  send(message: Message): void;
  /** Once. */
  onEnd(end: PairingEnd): void;
}

/** A code as people type it: digits, with spaces and hyphens where they like; undefined when it is none. */
export function parseCode(text: string): string | undefined {
  const digits = text.replace(/[ -]/g, "");
  return new RegExp(`^\\d{${CODE_DIGITS}}$`).test(digits) ? digits : undefined;
}

/** "41730296" → "4173-0296". */
export function showCode(code: string): string {
  return `${code.slice(0, CODE_DIGITS / 2)}-${code.slice(CODE_DIGITS / 2)}`;
}

export class PairingRun {
  /** One of our nonces has left: the other side may know a bit of the code. */
  hasRevealed = false;
  private readonly options: PairingRunOptions;
  private readonly code: number;
  private round = 0;
  private nonce = Buffer.alloc(0);
  private theirs: Buffer | undefined;
  private isOver = false;

  constructor(options: PairingRunOptions) {
    this.options = options;
    this.code = Number(options.code);
  }

  /** The dialer begins. */
  start(): void {
    if (this.options.isDialer) this.commit();
  }

  receive({ kind, round, value }: Message): void {
    if (this.isOver) return;
    const bytes = typeof value === "string" ? Buffer.from(value, "base64") : Buffer.alloc(0);
    if (kind === "pairing-done" && this.round === CODE_BITS) this.done();
    else if (round !== this.round || this.round === CODE_BITS || bytes.length !== NONCE_BYTES) this.end("protocol");
    else if (kind === "pairing-commit" && this.theirs === undefined) this.committed(bytes);
    else if (kind === "pairing-reveal" && this.theirs !== undefined) this.revealed(bytes, this.theirs);
    else this.end("protocol");
  }

  private committed(commitment: Buffer): void {
    this.theirs = commitment;
    if (this.options.isDialer) this.reveal();
    else this.commit();
  }

  private revealed(nonce: Buffer, commitment: Buffer): void {
    const { isDialer } = this.options;
    if (!timingSafeEqual(this.hash(!isDialer, nonce), commitment)) {
      this.end("code");
      return;
    }
    if (!isDialer) this.reveal();
    this.theirs = undefined;
    this.round++;
    if (!isDialer) return;
    if (this.round < CODE_BITS) this.commit();
    else this.options.send({ kind: "pairing-done" });
  }

  private commit(): void {
    this.nonce = randomBytes(NONCE_BYTES);
    this.options.send({ kind: "pairing-commit", round: this.round, value: this.hash(this.options.isDialer, this.nonce).toString("base64") });
  }

  private reveal(): void {
    this.hasRevealed = true;
    this.options.send({ kind: "pairing-reveal", round: this.round, value: this.nonce.toString("base64") });
  }

  private done(): void {
    if (!this.options.isDialer) this.options.send({ kind: "pairing-done" });
    this.end("paired");
  }

  private end(end: PairingEnd): void {
    this.isOver = true;
    this.options.onEnd(end);
  }

  /** Every part has a fixed length. */
  private hash(isDialer: boolean, nonce: Buffer): Buffer {
    const head = Buffer.from([isDialer ? 1 : 2, this.round, (this.code >>> this.round) & 1]);
    return createHash("sha256").update("twinwall pairing").update(head).update(nonce).update(this.options.binding).digest();
  }
}
