// What the hosts do: services that listen, transfers, short exchanges, each a process in a host's namespace on the kernel's
// own TCP and UDP.

import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { RUN_DIRECTORY } from "../../firmware/manager/places.ts";
import { ECHO_PORT, HTTP_PORT, type LabHost, type LabUnit } from "./picture.ts";

const PROGRAMS = join(import.meta.dirname, "programs");
export const FILE_BYTES = 64 << 20;

/** Starts one of our programs in a namespace; `onLine` gets each JSON line that it prints. */
function startProgram(host: string, program: string, args: readonly string[], onLine: (line: string) => void): ChildProcessByStdio<Writable, Readable, null> {
  const child = spawn("ip", ["netns", "exec", host, process.execPath, join(PROGRAMS, program), ...args], { stdio: ["pipe", "pipe", "inherit"] });
  // Who has ended reads no more.
  child.stdin.on("error", () => undefined);
  createInterface({ input: child.stdout }).on("line", onLine);
  return child;
}

/** Starts HTTP and echo services on a host; resolves when they listen. They run until `stop`. */
export async function startServices(host: LabHost | LabUnit): Promise<{ stop(): void }> {
  let child: ChildProcess | undefined;
  await new Promise<void>((resolve, reject) => {
    child = startProgram(host, "serve.ts", [], (line) => {
      if (line === "ready") resolve();
    });
    child.on("exit", (code) => reject(new Error(`lab: the services of ${host} ended with ${code}`)));
  });
  return { stop: () => child?.kill("SIGKILL") };
}

export interface TransferResult {
  readonly bytes: number;
  readonly intact: boolean;
  readonly gapMs: number;
  readonly error?: string;
}

export interface Transfer {
  readonly finished: Promise<TransferResult>;
  /** Bytes received so far, at most 0.1 s old. */
  received(): number;
  /** Resolves when so many bytes are there, or the transfer has ended. */
  reached(bytes: number): Promise<void>;
}

const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** Downloads FILE_BYTES (or `bytes`) from a service over one connection. `rate`: bytes per second, 0 = full speed. */
export function startDownload(from: LabHost, address: string, options: { bytes?: number; rate?: number; limitMillis?: number } = {}): Transfer {
  const url = `http://${bracketed(address)}:${HTTP_PORT}/bytes/${options.bytes ?? FILE_BYTES}?rate=${options.rate ?? 0}`;
  return startTransfer(from, [url, String(options.limitMillis ?? 40_000)]);
}

/** A transfer that lasts until it is ended. */
export interface Stream extends Transfer {
  /** Ends it when `moreBytes` more have come; what is not complete `limitMillis` from now is lost. */
  end(moreBytes: number, limitMillis: number): void;
}

/** Downloads from a service over one connection, `rate` bytes per second, until it is ended; it is lost after `limitMillis` in any case. */
export function startStream(from: LabHost, address: string, rate: number, limitMillis: number): Stream {
  return startTransfer(from, ["--stream", `http://${bracketed(address)}:${HTTP_PORT}/stream?rate=${rate}`, String(limitMillis)]);
}

function startTransfer(from: LabHost, args: readonly string[]): Stream {
  let received = 0;
  let result: TransferResult | undefined;
  const waiting: { bytes: number; resolve: () => void }[] = [];
  const release = (): void => {
    for (let k = waiting.length - 1; k >= 0; k--) if (result !== undefined || received >= (waiting[k]?.bytes ?? 0)) waiting.splice(k, 1)[0]?.resolve();
  };
  const child = startProgram(from, "download.ts", args, (line) => {
    const said = JSON.parse(line) as { received?: number } & TransferResult;
    if (said.received === undefined) result = said;
    else received = said.received;
    release();
  });
  const finished = new Promise<TransferResult>((resolve) => {
    child.on("close", () => {
      result ??= { bytes: received, intact: false, gapMs: 0, error: "the download was killed" };
      release();
      resolve(result);
    });
  });
  const reached = (bytes: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ bytes, resolve });
      release();
    });
  const end = (moreBytes: number, limitMillis: number): void => {
    child.stdin.write(`${moreBytes} ${limitMillis}\n`);
  };
  return { finished, received: () => received, reached, end };
}

export interface Pulse {
  /** Resolves with the first datagram, or when none has come. */
  readonly beating: Promise<void>;
  readonly finished: Promise<{ readonly received: number; readonly gapMs: number }>;
}

/** Has a service send a datagram each 5 ms, for so long. */
export function startPulse(from: LabHost, address: string, millis: number): Pulse {
  let result = { received: 0, gapMs: 0 };
  let isBeating: () => void = () => undefined;
  const beating = new Promise<void>((resolve) => {
    isBeating = resolve;
  });
  const child = startProgram(from, "pulse.ts", [address, String(ECHO_PORT), String(millis)], (line) => {
    const said = JSON.parse(line) as { beating?: boolean } & typeof result;
    if (said.beating === true) isBeating();
    else result = said;
  });
  const finished = new Promise<typeof result>((resolve) => {
    child.on("close", () => {
      isBeating();
      resolve(result);
    });
  });
  return { beating, finished };
}

export interface ExchangeResult {
  readonly succeeded: number;
  readonly failed: number;
  readonly slowestMs: number;
  readonly error?: string;
}

export interface ExchangeOptions {
  readonly count: number;
  /** Conversations at a time. */
  readonly concurrency: number;
  /** Pause after each, per conversation, in milliseconds. */
  readonly pauseMillis?: number;
  /** UDP: datagrams sent at the most for one exchange; 1 when left out. */
  readonly tries?: number;
  readonly onProgress?: (done: number) => void;
}

/** Holds `count` short conversations with a service's echo port, each from a port of its own. */
export function exchangeWith(from: LabHost | LabUnit, protocol: "tcp" | "udp", address: string, options: ExchangeOptions): Promise<ExchangeResult> {
  return new Promise((resolve) => {
    let result: ExchangeResult | undefined;
    const args = [protocol, address, ECHO_PORT, options.count, options.concurrency, options.pauseMillis ?? 0, options.tries ?? 1].map(String);
    const child = startProgram(from, "exchange.ts", args, (line) => {
      const said = JSON.parse(line) as { done?: number } & ExchangeResult;
      if (said.done === undefined) result = said;
      else options.onProgress?.(said.done);
    });
    child.on("close", () => resolve(result ?? { succeeded: 0, failed: options.count, slowestMs: 0, error: "the program was killed" }));
  });
}

export interface Listener {
  /** Ends it: the whole capture, and how many frames the kernel could not keep for it. */
  stop(): Promise<{ readonly bytes: Buffer; readonly lost: number }>;
}

/** Captures what crosses a device of a namespace, from when it resolves on. */
export async function startListening(namespace: string, device: string): Promise<Listener> {
  const file = join(mkdtempSync(join(RUN_DIRECTORY, "listen-")), `${device}.pcap`);
  let lost = 0;
  let isReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const child = startProgram(namespace, "listen.ts", [device, file], (line) => {
    if (line === "ready") isReady();
    else lost = (JSON.parse(line) as { readonly lost: number }).lost;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`lab: the listener on ${device} ended with ${code}`))));
  });
  await Promise.race([ready, ended]);
  return {
    async stop() {
      child.stdin.end();
      await ended;
      return { bytes: readFileSync(file), lost };
    },
  };
}
