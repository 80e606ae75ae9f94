// The kernel's watchdog, against a device that is a file of the test's own.

import { mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { LinuxWatchdog } from "../../../firmware/hal/linux/watchdog.ts";

/** A watchdog whose device is a file, with these attributes in /sys. */
function bench(root: string, attributes: Readonly<Record<string, string>> = {}): { device: string; watchdog: LinuxWatchdog } {
  const device = join(root, "watchdog0");
  const directory = join(root, "class/watchdog/watchdog0");
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(attributes)) writeFileSync(join(directory, name), `${text}\n`);
  writeFileSync(device, "");
  return { device, watchdog: new LinuxWatchdog(root, device) };
}

test("it is not opened, and so not started, before it is fed", async (t) => {
  const { device, watchdog } = bench(t.testdir());
  watchdog.release();
  t.equal(readFileSync(device, "latin1"), "", "no magic letter for what was never opened");
});

test("each feeding is a write, and only a planned end writes the magic letter", async (t) => {
  const { device, watchdog } = bench(t.testdir(), { timeout: "30" });
  watchdog.feed();
  watchdog.feed();
  t.equal(readFileSync(device, "latin1"), "\0\0");
  watchdog.release();
  t.equal(readFileSync(device, "latin1"), "\0\0V");
});

test("what it remembers of the last reset is read from its status", async (t) => {
  t.same(bench(t.testdir({}), { bootstatus: "0" }).watchdog.resetCauses(), []);
  t.same(bench(t.testdir({}), { bootstatus: "32" }).watchdog.resetCauses(), ["watchdog"]);
  t.same(bench(t.testdir({}), { bootstatus: "17" }).watchdog.resetCauses(), ["overheated", "power-low"]);
  t.same(bench(t.testdir({})).watchdog.resetCauses(), [], "a kernel without /sys/class/watchdog");
});

test("a timeout too short for us is refused: the appliance would be reset without need", async (t) => {
  const { watchdog } = bench(t.testdir(), { timeout: "5" });
  t.throws(() => watchdog.feed(), { code: "ERANGE", message: /watchdog0 resets after 5 s already, and at least 10 s are needed/ });
});

test("an absent device is an error each time, and is used when it comes", async (t) => {
  const { device, watchdog } = bench(t.testdir());
  rmSync(device);
  t.throws(() => watchdog.feed(), { code: "ENOENT" });
  writeFileSync(device, "");
  watchdog.feed();
  t.equal(readFileSync(device, "latin1"), "\0");
});

test("a device that does not answer is opened anew at the next feeding", async (t) => {
  const { device, watchdog } = bench(t.testdir());
  unlinkSync(device);
  symlinkSync("/proc/version", device);
  t.throws(() => watchdog.feed(), { code: "EIO" });
  unlinkSync(device);
  writeFileSync(device, "");
  watchdog.feed();
  t.equal(readFileSync(device, "latin1"), "\0");
});
