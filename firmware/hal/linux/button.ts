// A button that the kernel knows as a key of an input device (gpio-keys). The device is found by its name, as event numbers are luck.
// Read without blocking, at each poll: a waiting read would hold a thread, and the process, for ever.

import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Button } from "../contracts.ts";
import { attribute, entries } from "./sysfs.ts";

/** struct input_event on 64-bit machines: seconds 8, microseconds 8, type 2, code 2, value 4; the machine's byte order. */
const EVENT_BYTES = 24;
const EVENTS_MOST = 64;
const EV_KEY = 1;
const RELEASED = 0;
const PRESSED = 1;

export class InputButton implements Button {
  private readonly sysfs: string;
  private readonly devices: string;
  private readonly name: string;
  private readonly key: number;
  private readonly bytes = Buffer.alloc(EVENT_BYTES * EVENTS_MOST);
  private descriptor = -1;
  private pressedAt = -1;

  /** `devices`: directory of the event files, /dev/input. `name`: the device's. `key`: its code. */
  constructor(sysfs: string, devices: string, name: string, key: number) {
    this.sysfs = sysfs;
    this.devices = devices;
    this.name = name;
    this.key = key;
  }

  poll(nowMillis: number): number {
    if (this.descriptor < 0) this.descriptor = openSync(this.find(), constants.O_RDONLY | constants.O_NONBLOCK);
    let held = -1;
    const length = this.read();
    for (let at = 0; at + EVENT_BYTES <= length; at += EVENT_BYTES) {
      if (this.bytes.readUInt16LE(at + 16) !== EV_KEY || this.bytes.readUInt16LE(at + 18) !== this.key) continue;
      const value = this.bytes.readInt32LE(at + 20);
      if (value === PRESSED) this.pressedAt = nowMillis;
      if (value !== RELEASED || this.pressedAt < 0) continue;
      held = nowMillis - this.pressedAt;
      this.pressedAt = -1;
    }
    return held;
  }

  private read(): number {
    try {
      return readSync(this.descriptor, this.bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      closeSync(this.descriptor);
      this.descriptor = -1;
      throw error;
    }
  }

  private find(): string {
    const directory = join(this.sysfs, "class/input");
    const found = entries(directory).find((name) => name.startsWith("event") && attribute(join(directory, name, "device/name")) === this.name);
    if (found === undefined) throw Object.assign(new Error(`there is no input device ${this.name}`), { code: "ENOENT" });
    return join(this.devices, found);
  }
}
