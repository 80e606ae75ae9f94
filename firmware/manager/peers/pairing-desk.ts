// Where a person pairs: opened for one unit at a time, for as long as it takes to walk to the other one; each code that was typed is
// good for one run; after three runs that failed nothing is opened for a while.
//
//   closed ──open(unit, code)──► open ──connection──► running ──► paired
//     ▲                            │ 5 minutes           │ codes differ, or the other side left after it had seen something
//     └────────────────────────────┴─────────────────────┘ three of these: shut for 10 minutes
//
// A connection that comes from elsewhere, or ends before anything was shown, changes nothing: it cannot use up a code.

import { randomInt } from "node:crypto";
import { Conversation, type Message } from "./conversation.ts";
import { PAIRING_OPEN_MILLIS, PAIRING_RUN_MILLIS, PAIRING_SHUT_MILLIS, PAIRING_TRIES } from "./limits.ts";
import { CODE_DIGITS, type PairingEnd, PairingRun } from "./pairing.ts";
import type { Refusal } from "./refusals.ts";
import type { Secured } from "./tls.ts";

export type PairingResult =
  | { readonly kind: "paired"; readonly publicKey: Buffer }
  | { readonly kind: "code"; readonly triesLeft: number }
  | { readonly kind: "shut"; readonly millis: number }
  | { readonly kind: "expired" | "cancelled" | "busy" };

export interface PairingDeskOptions {
  readonly unit: number;
  readonly publicKey: () => Buffer;
  nowMillis(): number;
  /** A run failed: it is worth a line. */
  onFailed(unit: number): void;
}

interface Opening {
  readonly unit: number;
  readonly code: string;
  readonly untilMillis: number;
  /** Tells the person, once. */
  say: ((line: string) => void) | undefined;
  end(result: PairingResult): void;
}

interface Running {
  readonly conversation: Conversation;
  readonly sinceMillis: number;
}

/** A code that nobody could have guessed. */
export function drawCode(): string {
  return String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, "0");
}

export class PairingDesk {
  private readonly options: PairingDeskOptions;
  private opening: Opening | undefined;
  private running: Running | undefined;
  private failures = 0;
  private shutUntilMillis = 0;

  constructor(options: PairingDeskOptions) {
    this.options = options;
  }

  /** The unit that may be dialled now, or dials; 0: none. */
  get wanted(): number {
    return this.opening === undefined || this.running !== undefined ? 0 : this.opening.unit;
  }

  /** Opens pairing with a unit; resolves when it is over, however. `signal`: the person has left. `say`: tells the person. */
  open(unit: number, code: string, signal: AbortSignal, say?: (line: string) => void): Promise<PairingResult> {
    const now = this.options.nowMillis();
    if (now < this.shutUntilMillis) return Promise.resolve({ kind: "shut", millis: this.shutUntilMillis - now });
    if (this.opening !== undefined) return Promise.resolve({ kind: "busy" });
    return new Promise((resolve) => {
      const opening: Opening = { unit, code, say, untilMillis: now + PAIRING_OPEN_MILLIS, end: resolve };
      this.opening = opening;
      const left = (): void => void (this.opening === opening && this.close({ kind: "cancelled" }));
      signal.addEventListener("abort", left, { once: true });
    });
  }

  /** A unit that was un-paired has tried: whoever waits here would wait in vain. */
  mentionRevoked(fingerprint: string): void {
    this.opening?.say?.(`A unit that was un-paired (${fingerprint}) asks to be paired. If it is the one: type there first  unpair self`);
    if (this.opening !== undefined) this.opening.say = undefined;
  }

  /** Now and then. */
  tick(): void {
    const now = this.options.nowMillis();
    if (this.running !== undefined && now - this.running.sinceMillis > PAIRING_RUN_MILLIS) this.running.conversation.close("slow: pairing took too long");
    if (this.opening !== undefined && this.running === undefined && now > this.opening.untilMillis) this.close({ kind: "expired" });
  }

  /** A connection whose other end has shown a key that nobody vouches for. Takes it, or says why not. */
  accept(secured: Secured): Refusal | undefined {
    const { opening } = this;
    const { unit } = this.options;
    if (opening === undefined || this.running !== undefined) return "purpose";
    if (secured.isDialer !== unit < opening.unit) return "direction";
    const own = this.options.publicKey();
    if (secured.publicKey.equals(own)) return "identity";
    const keys = secured.isDialer ? [own, secured.publicKey] : [secured.publicKey, own];
    let end: PairingEnd | undefined;
    const run = new PairingRun({
      isDialer: secured.isDialer,
      code: opening.code,
      binding: Buffer.concat([secured.exporter, ...keys]),
      send: (message) => void conversation.send(message),
      onEnd: (how) => {
        end = how;
        conversation.close(`pairing: ${how}`);
      },
    });
    let isIntroduced = false;
    const conversation: Conversation = new Conversation({
      transport: secured.transport,
      nowMillis: this.options.nowMillis(),
      onMessage: (message) => {
        if (isIntroduced) run.receive(message);
        else if (isIntroduction(message, opening.unit, unit)) {
          isIntroduced = true;
          run.start();
        } else conversation.close("introduction: it is not the unit that is to be paired");
      },
      onClosed: () => this.ended(opening, secured.publicKey, end, run.hasRevealed),
    });
    this.running = { conversation, sinceMillis: this.options.nowMillis() };
    secured.listen(
      (bytes) => conversation.receive(bytes, this.options.nowMillis()),
      (reason) => conversation.close(reason),
    );
    conversation.send({ kind: "pairing", unit, to: opening.unit });
    return undefined;
  }

  private ended(opening: Opening, publicKey: Buffer, end: PairingEnd | undefined, hasRevealed: boolean): void {
    this.running = undefined;
    if (this.opening !== opening) return;
    if (end === "paired") {
      this.failures = 0;
      this.close({ kind: "paired", publicKey });
    } else if (end === "code" || hasRevealed) this.failed(opening.unit);
  }

  private failed(unit: number): void {
    this.failures++;
    this.options.onFailed(unit);
    const triesLeft = PAIRING_TRIES - this.failures;
    if (triesLeft > 0) {
      this.close({ kind: "code", triesLeft });
      return;
    }
    this.failures = 0;
    this.shutUntilMillis = this.options.nowMillis() + PAIRING_SHUT_MILLIS;
    this.close({ kind: "shut", millis: PAIRING_SHUT_MILLIS });
  }

  private close(result: PairingResult): void {
    const { opening, running } = this;
    this.opening = undefined;
    running?.conversation.close("pairing: closed");
    opening?.end(result);
  }
}

function isIntroduction(message: Message, from: number, to: number): boolean {
  return message.kind === "pairing" && message["unit"] === from && message["to"] === to;
}
