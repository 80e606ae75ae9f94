// A paced flow between two hosts, seen from both ends (programs/pulse.c): the longest time in which one of them heard nothing.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { ECHO_PORT } from "../../lab/picture.ts";
import { program } from "../programs.ts";
import { LEFT, RIGHT } from "./network.ts";

/** What an end has heard since it was told to begin anew. */
interface Look {
  readonly received: number;
  readonly silenceMillis: number;
  /** The silence that lasts. */
  readonly silentMillis: number;
  readonly exchanges: number;
  readonly exchangeSilenceMillis: number;
  readonly exchangeSilentMillis: number;
  readonly isBroken: boolean;
}

export interface Gaps {
  /** Longest silence of datagrams, each millisecond one, at the end that it was longer at. */
  readonly pacedMillis: number;
  /** Longest time from one TCP response to the next, or until now. */
  readonly exchangeMillis: number;
  /** The TCP connection goes on. */
  readonly isExchanging: boolean;
}

const BEATING_LIMIT_MILLIS = 10_000;
/** Shorter than a takeover, longer than what this machine keeps a process from running. */
const HEARD_MILLIS = 50;
/** A takeover has begun by then. */
const LOOK_AGAIN_MILLIS = 1_000;
/** TCP doubles its time: what was silent for a quarter of this is tried again within it. */
const SILENCE_LIMIT_MILLIS = 40_000;

class End {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(namespace: string, args: readonly string[]) {
    this.child = spawn("nice", ["-n", "-20", "ip", "netns", "exec", namespace, program("pulse"), ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async next<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done === true) throw new Error("bench: the paced flow ended");
    return JSON.parse(value) as T;
  }

  tell(command: "m" | "l"): void {
    this.child.stdin?.write(command);
  }

  look(): Promise<Look> {
    this.tell("l");
    return this.next<Look>();
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}

export class Pulse {
  private readonly ends: readonly [End, End];

  private constructor(ends: readonly [End, End]) {
    this.ends = ends;
  }

  /** Resolves when both ends hear each other. */
  static async start(): Promise<Pulse> {
    const right = new End(RIGHT.name, ["serve", String(ECHO_PORT)]);
    await right.next();
    const left = new End(LEFT.name, ["beat", RIGHT.address, String(ECHO_PORT)]);
    await left.next();
    const pulse = new Pulse([left, right]);
    await pulse.untilHeard(BEATING_LIMIT_MILLIS);
    return pulse;
  }

  /** What was until now does not count. */
  mark(): void {
    for (const end of this.ends) end.tell("m");
  }

  /** Waits until both ends hear each other again and stay so for a second; what they missed since the mark. */
  async gaps(): Promise<Gaps> {
    await pause(LOOK_AGAIN_MILLIS);
    await this.untilHeard(SILENCE_LIMIT_MILLIS);
    await pause(LOOK_AGAIN_MILLIS);
    const [left, right] = await this.looks();
    return {
      pacedMillis: Math.max(left.silenceMillis, right.silenceMillis),
      exchangeMillis: left.exchangeSilenceMillis,
      isExchanging: left.exchangeSilentMillis < LOOK_AGAIN_MILLIS && !left.isBroken,
    };
  }

  private async looks(): Promise<readonly [Look, Look]> {
    return [await this.ends[0].look(), await this.ends[1].look()];
  }

  private async untilHeard(limitMillis: number): Promise<void> {
    const until = performance.now() + limitMillis;
    for (;;) {
      const [left, right] = await this.looks();
      const isHeard = [left, right].every(({ received, silentMillis }) => received > 0 && silentMillis < HEARD_MILLIS);
      const isExchanging = left.isBroken || (left.exchanges > 0 && left.exchangeSilentMillis < HEARD_MILLIS);
      if (isHeard && isExchanging) return;
      if (performance.now() > until) {
        if (isHeard) return;
        throw new Error(`bench: the paced flow is silent for ${Math.round(Math.max(left.silentMillis, right.silentMillis))} ms`);
      }
      await pause(HEARD_MILLIS);
    }
  }

  stop(): void {
    for (const end of this.ends) end.stop();
  }
}
