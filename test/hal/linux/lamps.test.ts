// Lamps on a fake /sys tree: what is written where for each pattern, and what comes of a tree that is absent, read-only or does not
// answer.

import { mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { LAMP_NAMES, type LampName } from "../../../board/board.ts";
import { GpioButton, GpioLight, type Line, lineNumber, type OpenLine } from "../../../firmware/hal/linux/gpio.ts";
import { LedLight, LitLamp } from "../../../firmware/hal/linux/lamps.ts";
import { FrontPanel } from "../../../firmware/manager/panel/front-panel.ts";
import { createLamps, createPortLights } from "../../../firmware/manager/panel/lamps.ts";
import { lookAt } from "../../../firmware/manager/panel/look.ts";
import { SITUATIONS } from "../../../firmware/manager/panel/situations.ts";
import { healthyTables, keptLog, NOW_MICROS, SITUATIONS_STAGED } from "../../manager/panel/stage.ts";

const ATTRIBUTES = ["trigger", "brightness", "max_brightness", "delay_on", "delay_off", "shot"];
const NO_LINES: OpenLine = () => {
  throw new Error("there are no lines here");
};

function makeLed(sysfs: string, name: string): string {
  const directory = join(sysfs, "class/leds", name);
  mkdirSync(directory, { recursive: true });
  for (const attribute of ATTRIBUTES) writeFileSync(join(directory, attribute), attribute === "max_brightness" ? "255\n" : "");
  return directory;
}

/** What was written to each attribute last; a longer text that was written before still shows behind a shorter one, as in any file. */
function written(directory: string): Record<string, string> {
  const texts = Object.fromEntries(ATTRIBUTES.filter((name) => name !== "max_brightness").map((name) => [name, readFileSync(join(directory, name), "utf8")]));
  for (const name of Object.keys(texts)) writeFileSync(join(directory, name), "");
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ""));
}

test("a latched LED: patterns are the kernel's, and go on without us", async (t) => {
  const sysfs = t.testdir();
  const led = makeLed(sysfs, "green:ha");
  const light = new LedLight(sysfs, "green:ha", false);
  const set = (pattern: Parameters<LedLight["set"]>[0]) => {
    light.set(pattern);
    light.tick(0, true);
    return written(led);
  };
  t.same(set("solid"), { trigger: "none", brightness: "255" });
  t.same(set("off"), { trigger: "none", brightness: "0" });
  t.same(set("slow"), { trigger: "timer", brightness: "0", delay_on: "500", delay_off: "500" });
  t.same(set("fast"), { trigger: "timer", brightness: "0", delay_on: "100", delay_off: "100" });
  t.same(set("flash"), { trigger: "oneshot", brightness: "0", delay_on: "100", delay_off: "900", shot: "1" });
  light.tick(50, false);
  t.same(written(led), {}, "no pulse, no shot");
});

test("an armed LED: what says good or degraded is shot at each tick, what says act goes on without us", async (t) => {
  const sysfs = t.testdir();
  const led = makeLed(sysfs, "green:status");
  const light = new LedLight(sysfs, "green:status", true);
  light.set("solid");
  t.same(written(led), { trigger: "oneshot", brightness: "0", delay_on: "950", delay_off: "50" });
  light.tick(0, false);
  t.same(written(led), { shot: "1" });
  light.set("slow");
  light.tick(0, false);
  t.same(written(led), { trigger: "oneshot", brightness: "0", delay_on: "500", delay_off: "500", shot: "1" });
  light.set("fast");
  light.tick(0, false);
  t.same(written(led), { trigger: "timer", brightness: "0", delay_on: "100", delay_off: "100" });
});

test("a lamp of two lights: green and red together are amber", async (t) => {
  const sysfs = t.testdir();
  const green = makeLed(sysfs, "green:status");
  const red = makeLed(sysfs, "red:status");
  const lamp = new LitLamp({ green: new LedLight(sysfs, "green:status", false), red: new LedLight(sysfs, "red:status", false) });
  const triggers = () => [written(green).trigger, written(red).trigger];
  lamp.show("amber", "slow");
  t.same(triggers(), ["timer", "timer"]);
  lamp.show("red", "fast");
  t.same(triggers(), ["none", "timer"]);
  lamp.show("green", "flash");
  t.same(triggers(), ["oneshot", "none"]);
});

/** What the lamps of a fake tree show: trigger and delays make the pattern. */
function seenOn(directory: string): string {
  const { trigger, brightness, delay_on, delay_off } = written(directory);
  if (trigger === "none") return brightness === "0" ? "off" : "solid";
  const patterns: Readonly<Record<string, string>> = { "950/50": "solid", "500/500": "slow", "100/100": "fast", "100/900": "flash" };
  return patterns[`${delay_on}/${delay_off}`] ?? "unknown";
}

const LEDS: Readonly<Record<LampName, string>> = { status: "green:wan", ha: "green:lan-1", twin: "green:lan-2", alarm: "red:power" };
const LAMPS = {
  kind: "lights",
  status: { green: { led: LEDS.status } },
  ha: { green: { led: LEDS.ha } },
  twin: { green: { led: LEDS.twin } },
  alarm: { red: { led: LEDS.alarm } },
} as const;

test("every situation shows its pattern on LEDs of one colour each", async (t) => {
  for (const { lamp, name, pattern } of SITUATIONS) {
    const look = SITUATIONS_STAGED[`${lamp} ${name}`];
    if (look === undefined) return t.fail(`${lamp} ${name} is not staged`);
    const sysfs = t.testdir();
    const leds = Object.fromEntries(LAMP_NAMES.map((each) => [each, makeLed(sysfs, LEDS[each])]));
    const log = keptLog();
    new FrontPanel({ lamps: createLamps({ lamps: LAMPS }, { sysfs, openLine: NO_LINES }), button: undefined, portLights: [], look: () => look, log }).tick(0);
    t.equal(seenOn(leds[lamp] ?? ""), pattern, `${lamp} ${name}`);
    t.same(log.lines, []);
  }
});

/** A panel on four LEDs of which `break` spoils ALARM's; returns the log after 25 s, and after `mend` and 15 s more. */
function withBroken(
  sysfs: string,
  spoil: (directory: string) => void,
  mend: (directory: string) => void,
): { broken: string[]; mended: string[]; others: string[] } {
  const leds = Object.fromEntries(LAMP_NAMES.map((each) => [each, makeLed(sysfs, LEDS[each])]));
  const alarm = leds.alarm ?? "";
  spoil(alarm);
  const log = keptLog();
  const lamps = createLamps({ lamps: LAMPS }, { sysfs, openLine: NO_LINES });
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log });
  for (let millis = 0; millis < 25_000; millis += 50) panel.tick(millis);
  const broken = log.lines.splice(0);
  mend(alarm);
  for (let millis = 25_000; millis < 40_000; millis += 50) panel.tick(millis);
  return { broken, mended: log.lines, others: [seenOn(leds.status ?? ""), seenOn(leds.twin ?? "")] };
}

test("a LED that is absent is told once, and used when it comes", async (t) => {
  const sysfs = t.testdir();
  const { broken, mended, others } = withBroken(
    sysfs,
    (directory) => rmSync(directory, { recursive: true }),
    () => void makeLed(sysfs, LEDS.alarm),
  );
  t.equal(broken.length, 1);
  t.match(broken[0], /^warning panel-failed: The lamp ALARM cannot be used: ENOENT.* Load its driver, or correct the board: the name is not there\.$/);
  t.same(mended, ["notice panel-works: The lamp ALARM works again."]);
  t.same(others, ["solid", "flash"]);
});

/** Files of the kernel's own that root cannot write either. */
const BAD_FILES = [
  ["that is read-only", "/proc/sys/kernel/ostype", /EACCES.* Run the manager as root, with \/sys mounted for writing\.$/],
  ["that does not answer", "/proc/version", /EIO.* The hardware does not answer: replace it\. Traffic is not affected\.$/],
] as const;

for (const [what, bad, told] of BAD_FILES) {
  test(`a LED ${what} is told once, and used when it can be`, async (t) => {
    const replace = (directory: string, put: (file: string) => void): void => {
      unlinkSync(join(directory, "brightness"));
      put(join(directory, "brightness"));
    };
    const { broken, mended, others } = withBroken(
      t.testdir(),
      (directory) => replace(directory, (file) => symlinkSync(bad, file)),
      (directory) => replace(directory, (file) => writeFileSync(file, "")),
    );
    t.equal(broken.length, 1);
    t.match(broken[0], told);
    t.same(mended, ["notice panel-works: The lamp ALARM works again."]);
    t.same(others, ["solid", "flash"]);
  });
}

test("a port's LED is handed to the kernel with the port's device", async (t) => {
  const sysfs = t.testdir();
  const led = makeLed(sysfs, "green:port");
  for (const attribute of ["device_name", "link", "rx", "tx"]) writeFileSync(join(led, attribute), "");
  const log = keptLog();
  const portLights = createPortLights({ ports: [{ name: "port1", device: "eth7", kind: "data", led: "green:port" }] }, { sysfs });
  const lamps = createLamps({ lamps: { kind: "none" } }, { sysfs, openLine: NO_LINES });
  const panel = new FrontPanel({ lamps, button: undefined, portLights, look: () => lookAt(healthyTables(), NOW_MICROS, true), log });
  panel.tick(0);
  t.same(
    ["trigger", "device_name", "link", "rx", "tx"].map((name) => readFileSync(join(led, name), "utf8")),
    ["netdev", "eth7", "1", "1", "1"],
  );
  rmSync(led, { recursive: true });
  for (let millis = 50; millis < 60_000; millis += 50) panel.tick(millis);
  t.equal(log.lines.length, 1);
  t.match(log.lines[0], /^warning panel-failed: The LED of port eth7 cannot be used: ENOENT/);
});

test("a tree that is absent altogether stops nothing", async (t) => {
  const log = keptLog();
  const lamps = createLamps({ lamps: LAMPS }, { sysfs: join(t.testdir(), "nothing"), openLine: NO_LINES });
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log });
  for (let millis = 0; millis < 60_000; millis += 50) panel.tick(millis);
  t.equal(log.lines.length, 4, "one line for each lamp");
});

/** A chip of eight lines from `base`, and a line that remembers. */
function makeChip(sysfs: string, name: string, label: string, base: number): void {
  const directory = join(sysfs, "class/gpio", name);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "label"), `${label}\n`);
  writeFileSync(join(directory, "base"), `${base}\n`);
}

interface FakeLines {
  readonly opened: string[];
  readonly values: number[];
  level: 0 | 1;
  fault: NodeJS.ErrnoException | undefined;
  readonly open: OpenLine;
}

function fakeLines(): FakeLines {
  const fake: FakeLines = {
    opened: [],
    values: [],
    level: 0,
    fault: undefined,
    open(number, direction, activeLow): Line {
      if (fake.fault !== undefined) throw fake.fault;
      fake.opened.push(`${number} ${direction}${activeLow ? " active low" : ""}`);
      return {
        readSync: () => fake.level,
        writeSync(value) {
          if (fake.fault !== undefined) throw fake.fault;
          fake.values.push(value);
        },
        unexport: () => void fake.opened.push(`${number} given back`),
      };
    },
  };
  return fake;
}

test("a GPIO line is counted from its chip's base, whatever that is on this kernel", async (t) => {
  const sysfs = t.testdir();
  makeChip(sysfs, "gpiochip0", "gpio-other", 0);
  makeChip(sysfs, "gpiochip512", "9030000.pl061", 512);
  t.equal(lineNumber(sysfs, { chip: "9030000.pl061", line: 6, activeLow: false }), 518);
  t.throws(() => lineNumber(sysfs, { chip: "gpio9", line: 0, activeLow: false }), {
    message: "there is no GPIO chip gpio9 (found: gpio-other, 9030000.pl061)",
    code: "ENOENT",
  });
});

test("a light on a GPIO line is blinked by the tick, and written only when it changes", async (t) => {
  const sysfs = t.testdir();
  makeChip(sysfs, "gpiochip512", "9030000.pl061", 512);
  const lines = fakeLines();
  const light = new GpioLight(sysfs, { chip: "9030000.pl061", line: 6, activeLow: true }, lines.open);
  const run = (millis: number, pulse: boolean): number[] => {
    for (let now = 0; now < millis; now += 50) light.tick(now, pulse);
    return lines.values.splice(0);
  };
  light.set("solid");
  t.same(run(1_000, true), [1]);
  light.set("slow");
  t.same(run(2_000, true), [1, 0, 1, 0]);
  light.set("fast");
  t.same(run(400, true), [1, 0, 1, 0]);
  light.set("flash");
  t.same(run(1_050, true), [0, 1, 0, 1]);
  light.set("off");
  t.same(run(1_000, true), [0]);
  t.same(lines.opened, ["518 low active low"]);
});

test("a GPIO line that fails is given back and opened again", async (t) => {
  const sysfs = t.testdir();
  makeChip(sysfs, "gpiochip0", "gpio3", 96);
  const lines = fakeLines();
  const light = new GpioLight(sysfs, { chip: "gpio3", line: 1, activeLow: false }, lines.open);
  light.set("solid");
  lines.fault = Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" });
  t.throws(() => light.set("off"), { code: "EIO" });
  t.throws(() => light.set("off"), { code: "EIO" });
  lines.fault = undefined;
  light.set("solid");
  t.same(lines.opened, ["97 low", "97 given back", "97 low"]);
  t.same(lines.values, [1, 1]);
});

test("a button on a GPIO line tells for how long it was held", async (t) => {
  const sysfs = t.testdir();
  makeChip(sysfs, "gpiochip0", "gpio0", 0);
  const lines = fakeLines();
  const button = new GpioButton(sysfs, { chip: "gpio0", line: 7, activeLow: true }, lines.open);
  const polls = ([0, 0, 1, 1, 0, 0] as const).map((level, k) => {
    lines.level = level;
    return button.poll(k * 50);
  });
  t.same(polls, [-1, -1, -1, -1, 100, -1]);
});
