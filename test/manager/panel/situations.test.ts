// What the lamps say in each situation, on the panel in memory; and that patterns alone tell good from bad.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { LAMP_NAMES, type LampName } from "../../../board/board.ts";
import { MemoryLamp } from "../../../firmware/hal/memory-panel.ts";
import { patternWords } from "../../../firmware/manager/panel/drawing.ts";
import { FrontPanel } from "../../../firmware/manager/panel/front-panel.ts";
import { lookAt } from "../../../firmware/manager/panel/look.ts";
import { COLOURS, SITUATIONS, type Situation, situationsOf } from "../../../firmware/manager/panel/situations.ts";
import { healthyTables, keptLog, NOW_MICROS, SITUATIONS_STAGED, setMember, setPeer } from "./stage.ts";

const README = join(import.meta.dirname, "../../../firmware/manager/panel/README.md");
const keyOf = ({ lamp, name }: Situation): string => `${lamp} ${name}`;

function memoryLamps(): Record<LampName, MemoryLamp> {
  return Object.fromEntries(LAMP_NAMES.map((name) => [name, new MemoryLamp(name === "status")])) as Record<LampName, MemoryLamp>;
}

test("every situation of the table is staged, and nothing else", async (t) => {
  t.same(Object.keys(SITUATIONS_STAGED), SITUATIONS.map(keyOf));
});

for (const situation of SITUATIONS) {
  test(`${situation.lamp.toUpperCase()} says ${situation.name}: ${situation.meaning}`, async (t) => {
    const look = SITUATIONS_STAGED[keyOf(situation)];
    if (look === undefined) return t.fail("it is not staged");
    const lamps = memoryLamps();
    new FrontPanel({ lamps, button: undefined, portLights: [], look: () => look, log: keptLog() }).tick(1_000);
    const { pattern } = situation;
    t.equal(situationsOf(look)[situation.lamp].name, situation.name);
    t.equal(lamps[situation.lamp].seen(1_000), pattern === "off" ? "off" : `${COLOURS[pattern]} ${pattern}`);
  });
}

test("each pattern has one colour, so that nobody needs to see colours", async (t) => {
  t.same(COLOURS, { solid: "green", flash: "green", slow: "amber", fast: "red" });
});

test("each lamp has a situation that always holds, the last of its own", async (t) => {
  for (const lamp of LAMP_NAMES) t.ok(SITUATIONS.findLast((situation) => situation.lamp === lamp)?.holds(lookAt(undefined, NOW_MICROS, true)), lamp);
});

test("what people must act on says what to do", async (t) => {
  t.same(SITUATIONS.filter((situation) => situation.pattern === "fast" && situation.remedy === "").map(keyOf), []);
});

test("the README's table is the one in the code", async (t) => {
  const rows = SITUATIONS.map(
    ({ lamp, name, pattern, meaning, remedy }) => `| ${lamp.toUpperCase()} | ${patternWords(pattern)} | \`${name}\` | ${meaning} | ${remedy} |`,
  );
  const found = readFileSync(README, "utf8")
    .split("\n")
    .filter((line) => LAMP_NAMES.some((lamp) => line.startsWith(`| ${lamp.toUpperCase()} |`)));
  t.same(found, rows);
});

test("TWIN flashes while heartbeats arrive, once a second, and is dark when none do", async (t) => {
  const tables = healthyTables();
  const lamps = memoryLamps();
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(tables, NOW_MICROS, true), log: keptLog() });
  let heartbeats = 500;
  const run = (fromMillis: number, toMillis: number, perTick: number): void => {
    for (let millis = fromMillis; millis < toMillis; millis += 50) {
      heartbeats += perTick;
      setMember(tables, 3, "heartbeatsReceived", heartbeats);
      panel.tick(millis);
    }
  };
  run(0, 5_000, 2);
  t.equal(lamps.twin.flashes, 5);
  run(5_000, 5_200, 0); // The last heartbeats are noticed.
  const before = lamps.twin.flashes;
  run(5_200, 9_000, 0);
  t.equal(lamps.twin.flashes, before, "no heartbeats, no flash");
  run(9_000, 10_000, 2);
  t.equal(lamps.twin.flashes, before + 1);
});

test("STATUS goes dark by itself when nobody ticks it", async (t) => {
  const lamps = memoryLamps();
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log: keptLog() });
  panel.tick(1_000);
  t.equal(lamps.status.seen(2_000), "green solid");
  t.equal(lamps.status.seen(2_001), "off");
});

test("a lamp that fails is told once with what to do, tried again, and told when it works; the others go on", async (t) => {
  const tables = healthyTables();
  const lamps = memoryLamps();
  const log = keptLog();
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(tables, NOW_MICROS, true), log });
  lamps.ha.fault = Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" });
  for (let millis = 0; millis < 25_000; millis += 50) panel.tick(millis);
  t.same(log.lines, [
    "warning panel-failed: The lamp HA cannot be used: EIO: i/o error, write. The hardware does not answer: replace it. Traffic is not affected.",
  ]);
  t.equal(lamps.status.seen(25_000), "green solid");
  setPeer(tables, 3, "partitioned");
  lamps.ha.fault = undefined;
  for (let millis = 25_000; millis < 31_000; millis += 50) panel.tick(millis);
  t.equal(log.lines[1], "notice panel-works: The lamp HA works again.");
  t.equal(lamps.ha.seen(31_000), "green solid");
  t.equal(lamps.twin.seen(31_000), "red fast");
});

test("a lamp that something else wrote to is set right within half a minute", async (t) => {
  const lamps = memoryLamps();
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log: keptLog() });
  panel.tick(0);
  lamps.ha.show("red", "fast");
  panel.tick(29_950);
  t.equal(lamps.ha.seen(29_950), "red fast");
  panel.tick(30_000);
  t.equal(lamps.ha.seen(30_000), "green solid");
});

test("a press of the button lights every lamp in each colour, then they say again what they said", async (t) => {
  const lamps = memoryLamps();
  let held = -1;
  const button = { poll: () => held };
  const panel = new FrontPanel({ lamps, button, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log: keptLog() });
  held = 300;
  panel.tick(0);
  held = -1;
  const seen = [50, 1_050, 2_050, 3_050].map((millis) => {
    panel.tick(millis);
    return lamps.alarm.seen(millis);
  });
  t.same(seen, ["green solid", "amber solid", "red solid", "off"]);
});

test("a planned end puts out every lamp", async (t) => {
  const lamps = memoryLamps();
  const panel = new FrontPanel({ lamps, button: undefined, portLights: [], look: () => lookAt(healthyTables(), NOW_MICROS, true), log: keptLog() });
  panel.tick(0);
  panel.off(50);
  for (const lamp of LAMP_NAMES) t.equal(lamps[lamp].seen(50), "off", lamp);
});
