// News between the units' managers. One so far: "my dataplane exited and is being restarted", so that peers wait for it
// instead of taking over its sessions.
//
//   every second   GREETING  unit, its challenge             multicast on the twin port's link (kernel IPv6, link-local)
//   at an exit     NOTICE    from, to, to's challenge        three times, in case one is lost
//
//   0        4      5       6     7      8            24             56
//   │ "TWM1" │ kind │ from  │ to  │ zero │ challenge  │ HMAC-SHA256  │       over bytes 0..23, key from the pre-shared key
//
// A challenge is random and good for one notice: a recorded notice is worthless. It is not the connection that is trusted
// but each message; so datagrams will do, peers need no addresses, and nothing has to be set up before news can go out.

import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

const MAGIC = Buffer.from("TWM1", "latin1");
const KIND_AT = 4;
const FROM_AT = 5;
const TO_AT = 6;
const CHALLENGE_AT = 8;
export const CHALLENGE_BYTES = 16;
const SIGNED_BYTES = CHALLENGE_AT + CHALLENGE_BYTES;
export const NOTICE_BYTES = SIGNED_BYTES + 32;

const GREETING = 1;
const RESTARTING = 2;

export const GREETING_MILLIS = 1_000;
const NOTICE_COPIES = 3;

export interface NoticesOptions {
  /** This unit's number. */
  readonly unit: number;
  readonly peers: readonly number[];
  /** Pre-shared key, hex. */
  readonly secret: string;
  send(datagram: Buffer): void;
  randomBytes(count: number): Buffer;
  onRestarting(unit: number): void;
  /** A datagram that did not authenticate: the pre-shared keys differ, or someone else is on the link. */
  onRejected(unit: number): void;
}

/** The protocol, without a socket. */
export class Notices {
  private readonly options: NoticesOptions;
  private readonly key: Buffer;
  private challenge: Buffer;
  private readonly challenges = new Map<number, Buffer>();

  constructor(options: NoticesOptions) {
    this.options = options;
    this.key = Buffer.from(hkdfSync("sha256", Buffer.from(options.secret, "hex"), Buffer.alloc(0), "twinwall manager notices", 32));
    this.challenge = options.randomBytes(CHALLENGE_BYTES);
  }

  /** At start and every GREETING_MILLIS. */
  greet(): void {
    this.options.send(this.sign(GREETING, 0, this.challenge));
  }

  /** Tells every peer that has greeted us. */
  announceRestart(): void {
    // Signed before the first is sent: whoever takes one draws a new challenge, and the copies must not answer that.
    const notices = [...this.challenges].map(([peer, challenge]) => this.sign(RESTARTING, peer, challenge));
    for (let copy = 0; copy < NOTICE_COPIES; copy++) for (const notice of notices) this.options.send(notice);
  }

  /** A datagram came in. */
  receive(datagram: Buffer): void {
    if (datagram.length !== NOTICE_BYTES || !datagram.subarray(0, KIND_AT).equals(MAGIC)) return;
    const from = datagram[FROM_AT] as number;
    if (!this.options.peers.includes(from)) return; // Our own datagrams come back too.
    if (!timingSafeEqual(this.mac(datagram.subarray(0, SIGNED_BYTES)), datagram.subarray(SIGNED_BYTES))) {
      this.options.onRejected(from);
      return;
    }
    const challenge = Buffer.from(datagram.subarray(CHALLENGE_AT, SIGNED_BYTES));
    if (datagram[KIND_AT] === GREETING) this.greeted(from, challenge);
    else if (datagram[KIND_AT] === RESTARTING && datagram[TO_AT] === this.options.unit) this.restarting(from, challenge);
  }

  /** A new challenge is answered with a greeting, so that both know each other at once. */
  private greeted(from: number, challenge: Buffer): void {
    const isNew = this.challenges.get(from)?.equals(challenge) !== true;
    this.challenges.set(from, challenge);
    if (isNew) this.greet();
  }

  private restarting(from: number, challenge: Buffer): void {
    if (!challenge.equals(this.challenge)) return; // A copy of one that counted already, or a replay.
    this.challenge = this.options.randomBytes(CHALLENGE_BYTES);
    this.options.onRestarting(from);
    this.greet();
  }

  private sign(kind: number, to: number, challenge: Buffer): Buffer {
    const signed = Buffer.concat([MAGIC, Buffer.from([kind, this.options.unit, to, 0]), challenge]);
    return Buffer.concat([signed, this.mac(signed)]);
  }

  private mac(signed: Buffer): Buffer {
    return createHmac("sha256", this.key).update(signed).digest();
  }
}
