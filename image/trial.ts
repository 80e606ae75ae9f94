// `npm run image -- --board qemu-virt --test`: shows that the image works. It is not part of the tests, because an emulated processor
// needs minutes for what those do in seconds; its transcript stands in README.md.
//
//   one guest    banner on its serial line in time, STATUS through /sys/class/leds, a GPIO line through onoff
//   two guests   pair.ts, in the lab's sandbox: heartbeats over the twin port, an asymmetric transfer

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSandbox, whyNoSandbox } from "../test/lab/sandbox.ts";
import { Guest } from "./guest.ts";
import { ImageError } from "./steps.ts";

const BANNER_LIMIT_SECONDS = 60;
const READY_LIMIT_SECONDS = 120;
/** A line of the PL061 that is nobody's (emulator.ts and board/qemu-virt.ts name the others). */
const FREE_LINE = 5;
/** Lines of the PL061 behind STATUS. */
const STATUS_GREEN = 0;
const STATUS_RED = 1;

const say = (text: string): void => console.log(text);

function expect(isSo: boolean, what: string, found: string): void {
  if (!isSo) throw new ImageError("image-trial", `${what} is not so`, found);
  say(`ok    ${what}`);
}

/** What the kernel's GPIO core says of a line of the PL061, which is not what was written but what the chip has. */
const LINE_STATE = (line: number): string => `sed -n 's/^ gpio-${512 + line} .*) *\\(in\\|out\\) *\\(hi\\|lo\\).*/\\1 \\2/p' /sys/kernel/debug/gpio`;

/** STATUS as the firmware drives it, then dark without it, then written by hand through the kernel's LED class. */
async function checkStatusLamp(guest: Guest): Promise<void> {
  await guest.untilDone("driving STATUS", "grep -q '\\[oneshot\\]' /sys/class/leds/green:status/trigger", READY_LIMIT_SECONDS);
  say(await guest.run("twinwall panel"));
  await guest.run("[ -e /sys/kernel/debug/gpio ] || mount -t debugfs debugfs /sys/kernel/debug");
  const states = async (): Promise<string> => (await guest.run(`${LINE_STATE(STATUS_GREEN)}; ${LINE_STATE(STATUS_RED)}`)).replace(/\s+/g, " ");
  await guest.run("kill -STOP $(cat /run/twinwall/A1/manager.pid) && sleep 3");
  const dark = await states();
  expect(dark === "out lo out lo", "the manager drives STATUS by the one-shot trigger; 3 s after it was stopped (kill -STOP) STATUS is dark", dark);
  const output = await guest.run(`cd /sys/class/leds/green:status && echo none >trigger
for value in 1 0; do echo $value >brightness; echo "$value $(cat brightness) $(${LINE_STATE(STATUS_GREEN)})"; done`);
  expect(output === "1 1 out hi\n0 0 out lo", "green:status written, read back in /sys/class/leds and on line 0 of the PL061", output);
  await guest.run("kill -CONT $(cat /run/twinwall/A1/manager.pid)");
}

/** A GPIO line through onoff, with the image's own Node and addon. */
async function checkGpio(guest: Guest): Promise<void> {
  const output = await guest.run(`cat >/tmp/line.cjs <<'END'
const { readdirSync, readFileSync } = require("node:fs");
const { Gpio } = require("/usr/lib/twinwall/node_modules/onoff");
const chip = readdirSync("/sys/class/gpio").find((name) => name.startsWith("gpiochip"));
const base = Number(readFileSync("/sys/class/gpio/" + chip + "/base", "utf8"));
const line = new Gpio(base + ${FREE_LINE}, "out");
const kernel = () => /gpio-${512 + FREE_LINE} .*(out|in) *(hi|lo)/.exec(readFileSync("/sys/kernel/debug/gpio", "utf8")).slice(1).join(" ");
const seen = [];
for (const value of [1, 0]) { line.writeSync(value); seen.push(value + " " + line.readSync() + " " + kernel()); }
line.unexport();
console.log("base " + base + ": " + seen.join(", "));
END
node /tmp/line.cjs`);
  expect(output === "base 512: 1 1 out hi, 0 0 out lo", `line ${FREE_LINE} of the PL061 written and read back through onoff (sysfs base 512)`, output);
}

async function checkOneGuest(disk: string, directory: string): Promise<void> {
  say("One guest:");
  const cable = "user,restrict=on";
  const guest = await Guest.start("A1", { disk, cables: [cable, cable, cable], maintenance: join(directory, "shell"), keepsNothing: true });
  try {
    const seconds = await guest.untilSaid(/Twinwall \S+ unit A1, site A/, READY_LIMIT_SECONDS);
    await guest.untilSaid(/A1> $/, READY_LIMIT_SECONDS);
    say(guest.serialText.trim().replace(/^/gm, "  | "));
    expect(seconds <= BANNER_LIMIT_SECONDS, `the banner was on the serial line ${seconds.toFixed(1)} s after power-on (at most ${BANNER_LIMIT_SECONDS} s)`, "");
    await checkStatusLamp(guest);
    await checkGpio(guest);
  } finally {
    guest.stop();
  }
}

/** Runs the whole trial; returns the exit code. Throws ImageError where something is not as it should be. */
export async function testImage(disk: string): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "image-trial-"));
  try {
    await checkOneGuest(disk, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const why = whyNoSandbox();
  if (why !== undefined) throw new ImageError("image-sandbox", `two guests need network namespaces: ${why}`, "Run it as root on a machine that allows them.");
  say("Two guests:");
  const code = await startSandbox("image/pair.ts", [disk]).exited;
  say(code === 0 ? "passed" : "FAILED");
  return code;
}
