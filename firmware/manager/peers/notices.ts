// News between the units' managers that cannot wait for a connection: "my dataplane exited and is being restarted", so that peers
// wait for it instead of taking over its sessions; and "I am here", so that whoever wants to connect finds the address.
//
//   every second   BEACON    from                            multicast on the twin port's link (kernel IPv6, link-local), in clear
//                  GREETING  from, to, from's challenge      one for each unit that a secret is shared with
//   at an exit     NOTICE    from, to, to's challenge        three times, in case one is lost
//
//   0        4      5       6     7            8            24             56
//   │ "TWM2" │ kind │ from  │ to  │ generation │ challenge  │ HMAC-SHA256  │       over bytes 0..23, key from the pair's secret
//
// A challenge is random and good for one notice: a recorded notice is worthless. It is not the connection that is trusted
// but each message: that is why a restart is told by datagram and not over the control channel. A datagram leaves in the same
// instant, while a TLS connection may be waiting for a lost segment; and it works while the connection is being made anew.
// A beacon is believed by nobody: it says where to dial, and TLS says who answers.

import { timingSafeEqual } from "node:crypto";
import type { PairSecrets } from "./pair-secrets.ts";

const MAGIC = Buffer.from("TWM2", "latin1");
const KIND_AT = 4;
const FROM_AT = 5;
const TO_AT = 6;
const GENERATION_AT = 7;
const CHALLENGE_AT = 8;
export const CHALLENGE_BYTES = 16;
const SIGNED_BYTES = CHALLENGE_AT + CHALLENGE_BYTES;
export const NOTICE_BYTES = SIGNED_BYTES + 32;

const GREETING = 1;
const RESTARTING = 2;
const BEACON = 3;

export const GREETING_MILLIS = 1_000;
const NOTICE_COPIES = 3;

export interface NoticesOptions {
  /** This unit's number. */
  readonly unit: number;
  readonly peers: readonly number[];
  readonly secrets: Pick<PairSecrets, "signingKey" | "keyOf">;
  send(datagram: Buffer): void;
  randomBytes(count: number): Buffer;
  onRestarting(unit: number): void;
  /** Somebody at this address says to be the unit. */
  onSeen(unit: number, address: string): void;
  /** A datagram that did not authenticate: that unit shares another secret, or someone else is on the link. */
  onRejected(unit: number): void;
}

/** The protocol, without a socket. */
export class Notices {
  private readonly options: NoticesOptions;
  private challenge: Buffer;
  private readonly challenges = new Map<number, Buffer>();

  constructor(options: NoticesOptions) {
    this.options = options;
    this.challenge = options.randomBytes(CHALLENGE_BYTES);
  }

  /** At start and every GREETING_MILLIS. */
  greet(): void {
    this.options.send(Buffer.concat([this.head(BEACON, 0, 0), Buffer.alloc(NOTICE_BYTES - CHALLENGE_AT)]));
    for (const peer of this.options.peers) this.greetOne(peer);
  }

  /** Tells every peer that has greeted us. */
  announceRestart(): void {
    // Signed before the first is sent: whoever takes one draws a new challenge, and the copies must not answer that.
    const notices = [...this.challenges].map(([peer, challenge]) => this.sign(RESTARTING, peer, challenge));
    for (let copy = 0; copy < NOTICE_COPIES; copy++) for (const notice of notices) if (notice !== undefined) this.options.send(notice);
  }

  /** A datagram came in. */
  receive(datagram: Buffer, address: string): void {
    if (datagram.length !== NOTICE_BYTES || !datagram.subarray(0, KIND_AT).equals(MAGIC)) return;
    const from = datagram[FROM_AT] as number;
    if (!this.options.peers.includes(from)) return; // Our own datagrams come back too.
    if (datagram[KIND_AT] === BEACON) this.options.onSeen(from, address);
    if (datagram[TO_AT] !== this.options.unit) return;
    const key = this.options.secrets.keyOf(from, datagram[GENERATION_AT] as number);
    if (key === undefined || !timingSafeEqual(key.mac(datagram.subarray(0, SIGNED_BYTES)), datagram.subarray(SIGNED_BYTES))) {
      this.options.onRejected(from);
      return;
    }
    const challenge = Buffer.from(datagram.subarray(CHALLENGE_AT, SIGNED_BYTES));
    if (datagram[KIND_AT] === GREETING) this.greeted(from, challenge);
    else if (datagram[KIND_AT] === RESTARTING) this.restarting(from, challenge);
  }

  /** A new challenge is answered with a greeting, so that both know each other at once. */
  private greeted(from: number, challenge: Buffer): void {
    const isNew = this.challenges.get(from)?.equals(challenge) !== true;
    this.challenges.set(from, challenge);
    if (isNew) this.greetOne(from);
  }

  private restarting(from: number, challenge: Buffer): void {
    if (!challenge.equals(this.challenge)) return; // A copy of one that counted already, or a replay.
    this.challenge = this.options.randomBytes(CHALLENGE_BYTES);
    this.options.onRestarting(from);
    this.greet();
  }

  private greetOne(peer: number): void {
    const greeting = this.sign(GREETING, peer, this.challenge);
    if (greeting !== undefined) this.options.send(greeting);
  }

  private head(kind: number, to: number, generation: number): Buffer {
    return Buffer.concat([MAGIC, Buffer.from([kind, this.options.unit, to, generation & 0xff])]);
  }

  /** Undefined when nothing is shared with the peer (any more). */
  private sign(kind: number, to: number, challenge: Buffer): Buffer | undefined {
    const key = this.options.secrets.signingKey(to);
    if (key === undefined) return undefined;
    const signed = Buffer.concat([this.head(kind, to, key.generation), challenge]);
    return Buffer.concat([signed, key.mac(signed)]);
  }
}
