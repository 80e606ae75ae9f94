// Who was not let in, by reason: each refusal is counted, and told once in a while, so that a flood of them fills no log.

import type { Log } from "../log.ts";
import { REFUSED_QUIET_MILLIS } from "./limits.ts";

/** Reasons, with what they mean; the codes are stable. */
export const REFUSALS = {
  handshake: "what connected does not speak TLS 1.3 as units do",
  "handshake-slow": "a connection did not finish its TLS handshake in time",
  "handshakes-many": "there are too many connections that have not finished their TLS handshake",
  certificate: "the certificate is none that a unit makes",
  resumed: "a connection resumed an earlier one instead of showing its key",
  purpose: "somebody wants to pair, or something else that is not done here now",
  identity: "the key is not that of a paired unit",
  revoked: "the key is that of a unit that has been un-paired",
  direction: "the key is that of a unit that this one dials, or of another one than was dialled",
  notice: "a datagram between managers is not authentic",
  "pairing-code": "the codes that were typed differ, or somebody on the link tried to pair",
} as const;
export type Refusal = keyof typeof REFUSALS;

export class Refusals {
  private readonly counts = new Map<Refusal, number>();
  private readonly quietUntil = new Map<string, number>();
  private readonly log: Log;
  private readonly nowMillis: () => number;

  constructor(log: Log, nowMillis: () => number) {
    this.log = log;
    this.nowMillis = nowMillis;
  }

  /** `from`: who or what address, for people. */
  count(refusal: Refusal, from: string): void {
    const times = (this.counts.get(refusal) ?? 0) + 1;
    this.counts.set(refusal, times);
    const now = this.nowMillis();
    if (now < (this.quietUntil.get(refusal) ?? 0)) return;
    this.quietUntil.set(refusal, now + REFUSED_QUIET_MILLIS);
    this.log.note("error", `peer-refused-${refusal}`, `Refused ${from} on the twin link: ${REFUSALS[refusal]} (${times} in all).`, { from, times });
  }

  /** How often each was counted, those apart that never were. */
  get all(): Readonly<Partial<Record<Refusal, number>>> {
    return Object.fromEntries(this.counts);
  }
}
