// The serial console as a person meets it: over `serialport` on a pseudo-terminal, with the real commands on a unit's memory made by hand.

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "tap";
import { startSerialConsole } from "../../firmware/manager/console/serial.ts";
import { placesOf } from "../../firmware/manager/places.ts";
import { makeArea, putSession, temporaryDirectory, writeArea } from "../store/area.ts";
import { buildLiveModule } from "../store/native.ts";
import { Cable } from "./cable.ts";

buildLiveModule();

const PROGRAM = join(import.meta.dirname, "..", "..", "firmware", "manager", "console", "cli.ts");
const PLAN = {
  unit: 1,
  name: "A1",
  site: "A",
  system: "lab",
  ports: [],
  zones: [],
  rules: [],
  twin: { peers: [{ unit: 3, name: "B1" }], secret: "very-secret" },
};
const GREETED = "Type help, or press ? at any place.\r\nA1> ";

type Holder = { teardown(done: () => unknown): void };

/** A unit with some sessions and a serial console; `codes` are the log's lines. */
function setUp(t: Holder, sessions = 2_000) {
  const directory = temporaryDirectory(t, "serial");
  const places = placesOf("A1", join(directory, "A1"), {});
  mkdirSync(places.directory, { recursive: true });
  writeFileSync(places.planFile, JSON.stringify(PLAN));
  const area = makeArea(4_096);
  for (let row = 0; row < sessions; row++) putSession(area, row, { packets: row });
  writeArea(area, places.memoryFile);
  t.teardown(() => rmSync(places.memoryFile, { force: true }));
  const device = join(directory, "line");
  const codes: string[] = [];
  const console = startSerialConsole({
    device,
    baud: 115_200,
    unit: "A1",
    places,
    program: PROGRAM,
    compileCache: join(directory, "cache"),
    log: { note: (_severity, code) => void codes.push(code) },
    configure: () => Promise.reject(new Error("nobody configures here")),
  });
  t.teardown(() => console.close());
  const plug = async (): Promise<Cable> => {
    const cable = await Cable.plug(device);
    t.teardown(() => cable.pull());
    return cable;
  };
  return { plug, codes };
}

test("whoever puts in the cable is greeted and can ask", async (t) => {
  const { plug, codes } = setUp(t);
  const cable = await plug();
  await cable.shows(GREETED);
  t.match(cable.seen, /Twinwall \d+\.\d+\.\d+: unit A1, site A of lab\r\nA1 passes nothing: its dataplane does not breathe/);
  cable.type("sessions --limit 1 --order row\r");
  await cable.shows("--where fewer.\r\nA1> ");
  t.match(cable.seen, /10\.1\.0\.10:40000 > 10\.3\.0\.10:443/, "in ASCII, because this terminal has not said that it can do more");
  t.notMatch(cable.seen, /very-secret/);
  t.same(codes, ["serial-down", "serial-up"], "the line was not there at first");
});

test("a cable pulled in the middle of an answer and put back is harmless", async (t) => {
  const { plug, codes } = setUp(t);
  const first = await plug();
  await first.shows(GREETED);
  first.type("sessions --limit 2000\r");
  await first.shows("tcp");
  await first.pull();
  const second = await plug();
  await second.shows(GREETED);
  t.notMatch(second.seen, /tcp/, "nothing of the old answer comes over the new line");
  second.type("\u001b[A");
  await second.shows("sessions --limit 2000");
  second.type("\u0003rules\r");
  await second.shows(/everything is denied\.\r\nA1> $/);
  t.same(codes.slice(-3), ["serial-up", "serial-down", "serial-up"]);
});

test("half a line typed before the cable was pulled is forgotten", async (t) => {
  const { plug } = setUp(t);
  const first = await plug();
  await first.shows(GREETED);
  first.type("sessions --wh");
  await first.shows("A1> sessions --wh");
  await first.pull();
  const second = await plug();
  await second.shows(GREETED);
  second.type("rules\r");
  await second.shows("There are no rules: everything is denied.");
});

test("a cable pulled while bytes pour in leaves an idle process", async (t) => {
  const { plug } = setUp(t);
  const cable = await plug();
  await cable.shows(GREETED);
  cable.type(randomBytes(200_000));
  await pause(20);
  await cable.pull();
  const again = await plug();
  await again.shows(GREETED);
  const before = process.cpuUsage();
  await pause(1_000);
  const { user, system } = process.cpuUsage(before);
  t.ok(user + system < 300_000, "a line that spins would take most of the second");
});

test("a megabyte of random bytes executes nothing, and afterwards the console answers", async (t) => {
  const { plug, codes } = setUp(t);
  const cable = await plug();
  await cable.shows(GREETED);
  cable.type(randomBytes(1_000_000));
  cable.type("\r");
  await cable.shows("noise: 20 wrong lines in a row");
  cable.forget();
  for (let tries = 0; tries < 50 && !cable.seen.includes("A1> "); tries++) {
    await pause(1_200);
    cable.type("\r");
    await pause(100);
  }
  cable.forget();
  cable.type("rules\r");
  await cable.shows("There are no rules: everything is denied.");
  t.same(codes, ["serial-down", "serial-up", "serial-noise"]);
});

test("Ctrl-C stops a long answer, and a command that never ends", async (t) => {
  const { plug } = setUp(t);
  const cable = await plug();
  await cable.shows(GREETED);
  cable.type("sessions --limit 2000\r");
  await cable.shows("tcp");
  cable.type("\u0003");
  await cable.shows("^C\r\nA1> ");
  cable.forget();
  cable.type('sessions --where "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n) > 0"\r');
  await pause(500);
  cable.type("\u0003rules\r");
  await cable.shows("everything is denied.\r\nA1> ");
  t.pass("the console answered while the question was still open");
});

test("Ctrl-C is heard although nobody takes what the line says", async (t) => {
  const { plug } = setUp(t);
  const cable = await plug();
  await cable.shows(GREETED);
  cable.lookAway();
  cable.type("sessions --limit 2000 --json\r");
  await pause(1_500);
  cable.type("\u0003rules\r");
  await pause(500);
  cable.lookBack();
  await cable.shows("everything is denied.\r\nA1> ");
  t.ok(cable.bytes < 400_000, "the answer of a megabyte was not sent to its end");
});
