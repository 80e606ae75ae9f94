// A key of an input device, on a fake /sys tree and a pipe for its events.

import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { InputButton } from "../../../firmware/hal/linux/button.ts";

const KEY_RESTART = 408;
const KEY_POWER = 116;
const EV_SYN = 0;
const EV_KEY = 1;

/** struct input_event of a 64-bit machine. */
function event(type: number, code: number, value: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt16LE(type, 16);
  bytes.writeUInt16LE(code, 18);
  bytes.writeInt32LE(value, 20);
  return bytes;
}

/** event0 is another device, event1 is gpio-keys. */
function makeKeys(root: string): { readonly button: InputButton; press(value: number, code?: number): void; close(): void } {
  for (const [number, name] of ["HDMI", "gpio-keys"].entries()) {
    mkdirSync(join(root, `class/input/event${number}/device`), { recursive: true });
    writeFileSync(join(root, `class/input/event${number}/device/name`), `${name}\n`);
  }
  execFileSync("mkfifo", [join(root, "event1")]);
  const writer = openSync(join(root, "event1"), "r+");
  return {
    button: new InputButton(root, root, "gpio-keys", KEY_RESTART),
    press: (value, code = KEY_RESTART) => void writeSync(writer, Buffer.concat([event(EV_KEY, code, value), event(EV_SYN, 0, 0)])),
    close: () => closeSync(writer),
  };
}

test("a press is told when it ends, with how long it was held; nothing waits for one", async (t) => {
  const { button, press, close } = makeKeys(t.testdir());
  t.teardown(close);
  t.equal(button.poll(0), -1);
  press(1);
  t.equal(button.poll(50), -1);
  press(2); // The kernel repeats a held key.
  t.equal(button.poll(1_000), -1);
  press(0);
  t.equal(button.poll(3_050), 3_000);
  t.equal(button.poll(3_100), -1);
});

test("other keys, and an end without a beginning, are no press", async (t) => {
  const { button, press, close } = makeKeys(t.testdir());
  t.teardown(close);
  t.equal(button.poll(0), -1);
  press(0);
  press(1, KEY_POWER);
  press(0, KEY_POWER);
  t.equal(button.poll(50), -1);
});

test("a device that is absent is an error at each look, and is found when it comes", async (t) => {
  const root = t.testdir();
  const button = new InputButton(root, root, "gpio-keys", KEY_RESTART);
  t.throws(() => button.poll(0), { code: "ENOENT", message: "there is no input device gpio-keys" });
  const { close } = makeKeys(root);
  t.teardown(close);
  t.equal(button.poll(50), -1);
});
