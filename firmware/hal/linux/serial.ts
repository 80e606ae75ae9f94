// A serial line, over the `serialport` package: it opens, locks and sets the device (8N1, raw, no flow control). A line comes and
// goes: an adapter is pulled, a device hangs up, udev brings it back. So this is a loop for life:
//
//   open ─► up ─► read, read, read … ─► lost ─► close ─► wait (100 ms, doubling to 2 s) ─► open
//
// The package's own stream is not used. When a device hangs up while data flows, read() answers 0 bytes, which the package takes for
// "try again": it then spins for ever at 80 % of a core and never tells. And while it waits to write, it does not hear what
// comes in, so that no Ctrl-C could stop a long answer. Reading and writing here are calls on the descriptor that it opened.

import { read, write } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { SerialPort } from "serialport";
import type { SerialLine, SerialListener } from "../contracts.ts";

const readFrom = promisify(read);
const writeTo = promisify(write);

/** What is read at once: 22 ms of a line at 115,200 baud. The listener never gets more in one call. */
const READ_BYTES = 256;
/** The kernel holds some kilobytes of output; looking this often keeps a line of 115,200 baud busy with a tenth of that. */
const WRITE_RETRY_MILLIS = 20;
const REOPEN_MILLIS = 100;
const REOPEN_MILLIS_MOST = 2_000;

type OpenPort = Awaited<ReturnType<typeof SerialPort.binding.open>>;
/** The part of the Linux binding that this needs; the package's types leave the platform open. */
interface Descriptor {
  readonly fd: number | null;
  readonly poller: { once(event: "readable", listener: (error: Error | null) => void): unknown };
}

class HungUp extends Error {}

function isNotYet(error: unknown): boolean {
  return ["EAGAIN", "EWOULDBLOCK", "EINTR"].includes((error as NodeJS.ErrnoException).code ?? "");
}

function readable({ poller }: Descriptor): Promise<void> {
  return new Promise((resolve, reject) => {
    poller.once("readable", (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Reads at least one byte. Throws when the line is lost or closed. */
async function readSome(port: Descriptor, into: Uint8Array): Promise<number> {
  for (;;) {
    if (port.fd === null) throw new HungUp("closed");
    try {
      const { bytesRead } = await readFrom(port.fd, into, 0, into.length, null);
      if (bytesRead === 0) throw new HungUp("it hung up");
      return bytesRead;
    } catch (error) {
      if (!isNotYet(error)) throw error;
    }
    await readable(port);
  }
}

class LinuxSerialLine implements SerialLine {
  private readonly device: string;
  private readonly baud: number;
  private readonly listener: SerialListener;
  private readonly ending = new AbortController();
  private readonly life: Promise<void>;
  private port: OpenPort | undefined;
  private toldDown = false;

  constructor(device: string, baud: number, listener: SerialListener) {
    this.device = device;
    this.baud = baud;
    this.listener = listener;
    this.life = this.live();
  }

  async write(bytes: Uint8Array): Promise<boolean> {
    const port = this.port;
    for (let sent = 0; sent < bytes.length; ) {
      const descriptor = (port as unknown as Descriptor | undefined)?.fd ?? null;
      if (descriptor === null || port !== this.port) return false;
      try {
        const { bytesWritten } = await writeTo(descriptor, bytes, sent, bytes.length - sent, null);
        sent += bytesWritten;
      } catch (error) {
        if (!isNotYet(error)) return false; // The reader meets the same fault, or the end of the line, and tells.
        await pause(WRITE_RETRY_MILLIS);
      }
    }
    return port !== undefined;
  }

  async close(): Promise<void> {
    this.ending.abort();
    await this.shut();
    await this.life;
  }

  private async live(): Promise<void> {
    let waitMillis = REOPEN_MILLIS;
    while (!this.ending.signal.aborted) {
      const openedAt = performance.now();
      await this.use();
      if (performance.now() - openedAt > REOPEN_MILLIS_MOST) waitMillis = REOPEN_MILLIS;
      await pause(waitMillis, undefined, { signal: this.ending.signal }).catch(() => undefined);
      waitMillis = Math.min(waitMillis * 2, REOPEN_MILLIS_MOST);
    }
  }

  /** Opens the line and reads until it is lost. Never throws: a fault of the listener costs it the line, and not the process its life. */
  private async use(): Promise<void> {
    try {
      this.port = await SerialPort.binding.open({ path: this.device, baudRate: this.baud, dataBits: 8, parity: "none", stopBits: 1 });
      if (this.ending.signal.aborted) return;
      this.toldDown = false;
      this.listener.onUp();
      const bytes = new Uint8Array(READ_BYTES);
      while (!this.ending.signal.aborted) {
        const length = await readSome(this.port as unknown as Descriptor, bytes);
        if (!this.ending.signal.aborted) this.listener.onData(bytes.subarray(0, length));
      }
    } catch (error) {
      this.tellDown((error as Error).message);
    } finally {
      await this.shut();
    }
  }

  private tellDown(reason: string): void {
    if (this.toldDown || this.ending.signal.aborted) return;
    this.toldDown = true;
    this.listener.onDown(reason);
  }

  private async shut(): Promise<void> {
    const port = this.port;
    this.port = undefined;
    if (port?.isOpen) await port.close().catch(() => undefined);
  }
}

/**
 * Keeps a serial line open: `device` a path, `baud` in bits per second. Opens in the background; what does not open is told by
 * `onDown` and tried again, at most 2 s later.
 */
export function openSerialLine(device: string, baud: number, listener: SerialListener): SerialLine {
  return new LinuxSerialLine(device, baud, listener);
}
