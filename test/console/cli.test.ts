import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "tap";
import { EventRing, eventKind } from "../../firmware/fastpath/events.ts";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { counterRow, headerWord, MEMBERS, NEIGHBOUR_TABLE, PORT_TABLE, RULE_TABLE, SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { runCommandLine } from "../../firmware/manager/console/cli.ts";
import { type Places, placesOf } from "../../firmware/manager/places.ts";
import type { Change } from "../../firmware/manager/revisions/journal.ts";
import { makeRevision } from "../../firmware/manager/revisions/revision.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../firmware/manager/revisions/store.ts";
import { NO_NAMES } from "../../firmware/store/live/views.ts";
import { StoreLoop } from "../../firmware/store/loop.ts";
import { openStore, STORE_FILE } from "../../firmware/store/schema.ts";
import { type Area, makeArea, mapped, NOW_MICROS, putSession, temporaryDirectory, writeArea } from "../store/area.ts";
import { buildLiveModule } from "../store/native.ts";

buildLiveModule();

const PLAN = {
  unit: 1,
  name: "A1",
  site: "A",
  system: "lab",
  ports: [
    { number: 0, device: "inside", kind: "data" },
    { number: 1, device: "outside", kind: "data" },
    { number: 2, device: "twin", kind: "twin" },
  ],
  zones: [
    { zone: 1, name: "one" },
    { zone: 3, name: "three" },
  ],
  rules: [
    { number: 1, name: "no-telnet", action: "deny" },
    { number: 2, name: "web", action: "permit" },
  ],
  twin: { peers: [{ unit: 3, name: "B1" }], secret: "very-secret" },
};

function busyArea(): Area {
  const area = makeArea(256);
  const { tables } = area;
  for (let row = 0; row < 60; row++) putSession(area, row, { packets: row, bytes: row * 1_000_000, acknowledged: 1 << 3 });
  putSession(area, 70, { owner: 3, source: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], destination: mapped(10, 3, 0, 99) });
  putSession(area, 71, { state: "tombstone" });
  const header = tables.header.i;
  header[headerWord("sessionsLive")] = 61;
  header[headerWord("sessionsOwned")] = 60;
  header[headerWord("tombstones")] = 1;
  const member = MEMBERS.strideWords * 3;
  const put = (name: string, value: number) => {
    tables.members.i[member + word(MEMBERS, name)] = value;
  };
  put("unit", 3);
  put("state", 1 | (1 << 8));
  put("lagRows", 4);
  put("lagMicros", 3_200);
  put("associated", 1);
  put("roundTrip", 200);
  put("twinPath", 1);
  put("lastHeard", NOW_MICROS / 1000 - 8);
  tables.counters.f[drop("no-session")] = 12;
  tables.counters.f[drop("policy-deny")] = 1_300;
  tables.counters.f[counterRow("forwarded")] = 5_000_000;
  tables.rules.f[(RULE_TABLE.strideWords * 2) >> 1] = 60;
  tables.ports.i[PORT_TABLE.strideWords + word(PORT_TABLE, "number")] = 1;
  tables.ports.i[PORT_TABLE.strideWords + word(PORT_TABLE, "state")] = 1;
  tables.ports.f[(PORT_TABLE.strideWords + word(PORT_TABLE, "receivedPackets")) >> 1] = 1_234_567;
  tables.ports.i[PORT_TABLE.strideWords * 2 + word(PORT_TABLE, "number")] = 2;
  tables.ports.i[PORT_TABLE.strideWords * 3 + word(PORT_TABLE, "number")] = 3;
  tables.neighbours.i[word(NEIGHBOUR_TABLE, "state")] = 2;
  new Uint8Array(area.buffer, tables.neighbours.i.byteOffset, 64).set([...mapped(10, 3, 0, 10), 2, 0x54, 0, 0, 0xbe, 0xef], 4);
  const ring = new EventRing(tables);
  ring.note(eventKind("port-up"), NOW_MICROS - 2_000_000, 0, 1, 0);
  ring.noteFlow(eventKind("rule-deny"), NOW_MICROS - 1_000_000, tables.sessions.i, word(SESSIONS, "originatorSource"), 1, 0, 0);
  ring.note(eventKind("peer-dead"), NOW_MICROS - 500_000, 3, -1, 100);
  return area;
}

interface Ran {
  readonly status: number;
  readonly out: string[];
  readonly complaints: string[];
}

type Holder = { teardown(done: () => void): void };

/** Runs commands on a unit whose memory is `area`; `furnish` puts more into its places. */
function bench(t: Holder, area: Area | undefined, furnish: (places: Places) => void = () => undefined): (...list: string[]) => Promise<Ran> {
  const run = temporaryDirectory(t, "cli");
  const places = placesOf("A1", undefined, { TWINWALL_RUN: run });
  furnish(places);
  if (area !== undefined) {
    mkdirSync(places.directory, { recursive: true });
    writeFileSync(places.planFile, JSON.stringify(PLAN));
    mkdirSync(dirname(places.memoryFile), { recursive: true });
    writeArea(area, places.memoryFile);
    t.teardown(() => rmSync(places.memoryFile, { force: true }));
  }
  return async (...list) => {
    const out: string[] = [];
    const complaints: string[] = [];
    const screen = { width: Number.POSITIVE_INFINITY, colours: false };
    const status = await runCommandLine(["--unit", "A1", ...list], {
      environment: { TWINWALL_RUN: run },
      screen,
      out: (line) => out.push(line),
      complain: (line) => complaints.push(line),
    });
    return { status, out, complaints };
  };
}

test("status says in sentences who the unit is, how its peers are and what it dropped", async (t) => {
  const { status, out } = await bench(t, busyArea())("status");
  t.equal(status, 0);
  t.equal(out[0], "A1 passes nothing: its dataplane does not breathe: it has died, or is being restarted. It was active in routed mode.");
  t.equal(out[1], "60 sessions owned here, 1 replica, 0 half-open, 1 ended and not yet forgotten; room for 256.");
  t.equal(out[2], "B1 is alive; 56 of 60 sessions replicated, 3 ms behind; round trip 0.2 ms.");
  t.equal(out[3], "Dropped 1,312 packets:");
  t.equal(out[4], "      1,300  policy-deny: A rule denies it, or no rule permits it.");
});

test("status knows a dataplane that breathes from one that does not", async (t) => {
  const area = busyArea();
  const look = bench(t, area);
  const { out } = await look("status", "--json");
  const value = JSON.parse(out.join("")) as { breathing: boolean; sessions: unknown; peers: { sentence: string }[] };
  t.equal(value.breathing, false);
  t.same(value.sessions, { live: 61, owned: 60, tombstones: 1, halfOpen: 0, capacity: 256 });
  t.match(value.peers[0]?.sentence, /^B1 is alive/);
});

const ours = makeRevision({ policy: "ours" }, { who: "ada", origin: "A1 serial", atMillis: 1, comment: "" });
const theirs = makeRevision({ policy: "theirs" }, { who: "bob", origin: "B1 serial", atMillis: 2, comment: "" });

/** A unit's configuration in the state that `change` makes of it. */
const configured =
  (change: Change) =>
  ({ dataDirectory }: Places): void => {
    mkdirSync(dataDirectory, { recursive: true });
    const store = new RevisionStore(join(dataDirectory, CONFIGURATION_FILE));
    store.write({ revisions: [ours, theirs], head: ours.hash });
    store.write(change);
    store.close();
  };

test("status says what of the configuration waits for somebody", async (t) => {
  const says = async (change: Change) => (await bench(t, busyArea(), configured(change))("status")).out.filter((line) => line.startsWith("Configuration: "));
  t.same(await says({}), [], "nothing does");
  t.same(await says({ conflict: theirs.hash }), [
    "Configuration: conflict: revision 1 of bob (B1 serial) was committed apart from this one. resolve settles it.",
  ]);
  const unconfirmed = { hash: ours.hash, leftMillis: 60_000, untilMillis: Date.now() + 60_000, participants: ["A1"] };
  t.match(await says({ unconfirmed }), [/^Configuration: Revision 1 is left in \S+ \S+ unless you say confirm\.$/]);
  const prepared = { id: "1", coordinator: "B1", revision: theirs, participants: ["A1", "B1"], confirmMillis: 0 };
  t.same(await says({ prepared }), ["Configuration: This unit has promised revision 1 of B1 and waits to hear what became of it."]);
  const { out } = await bench(t, busyArea(), configured({ conflict: theirs.hash }))("status", "--json");
  t.match(JSON.parse(out.join("")), { configuration: { number: 1, conflict: { number: 1, who: "bob", origin: "B1 serial" } } });
});

test("status says that the configuration's database cannot be read", async (t) => {
  const damaged = ({ dataDirectory }: Places): void => {
    mkdirSync(dataDirectory, { recursive: true });
    writeFileSync(join(dataDirectory, CONFIGURATION_FILE), "no database");
  };
  const { out, status } = await bench(t, busyArea(), damaged)("status");
  t.equal(status, 0);
  t.match(out.join(" "), "The configuration's database cannot be read: file is not a database");
});

test("sessions shows both tuples, zones, state, owner, copies, entry and exit, rule, counters and times", async (t) => {
  const { out } = await bench(t, busyArea())("sessions", "--where", "row = 5");
  t.same(
    out.map((line) => line.trimEnd()),
    [
      "proto        originator's tuple               from   owner       entry  rule  packets     bytes     age",
      "state        responder's tuple                to     copies      exit            back      back    idle",
      "tcp          10.1.0.10:40005 → 10.3.0.10:443  one    A1          A1        2        5   4.8 MiB   3.0 s",
      "established  10.3.0.10:443 → 10.1.0.10:40005  three  held by B1  B1                10  14.3 MiB  250 ms",
    ],
  );
});

test("sessions shows 50 unless told otherwise, and says how many there are", async (t) => {
  const look = bench(t, busyArea());
  t.equal((await look("sessions")).out.at(-1), "50 of 61 sessions; --limit shows more, --where fewer.");
  const top = JSON.parse((await look("sessions", "--json", "--order", "bytes DESC", "--limit", "2", "--where", "owner = 'A1'")).out.join("")) as {
    row: number;
  }[];
  t.same(
    top.map((row) => row.row),
    [59, 58],
  );
});

test("ended sessions appear when they are asked for", async (t) => {
  const look = bench(t, busyArea());
  const states = async (...list: string[]) =>
    (JSON.parse((await look("sessions", "--json", "--limit", "500", ...list)).out.join("")) as { state: string }[]).filter((row) => row.state === "tombstone")
      .length;
  t.equal(await states(), 0);
  t.equal(await states("--all"), 1);
  t.equal(await states("--where", "state = 'tombstone'"), 1);
});

test("IPv6 endpoints stand in brackets, and a replica names its owner", async (t) => {
  const { out } = await bench(t, busyArea())("sessions", "--where", "owner = 'B1'");
  t.match(out[2], /\[2001:db8::9\]:40070 → 10\.3\.0\.99:443/);
  t.match(out[3], /replica of B1/);
});

test("counters show what is above 0, drops first and with their meaning", async (t) => {
  const look = bench(t, busyArea());
  const { out } = await look("counters");
  t.equal(out.length, 4);
  t.match(out[1], /^policy-deny\s+1,300\s+A rule denies it/);
  t.match(out[3], /^forwarded\s+5,000,000$/);
  t.ok((await look("counters", "--all")).out.length > 50);
});

test("events are sentences with names, oldest first", async (t) => {
  const { out } = await bench(t, busyArea())("events");
  t.same(
    out.map((line) => line.trim()),
    [
      "2.0 s ago  notice       Port outside is up.",
      "1.0 s ago  notice       Rule no-telnet denies tcp 10.1.0.10:40000 → 10.3.0.10:443 from one.",
      "500 ms ago  error        B1 is dead: silent on every path for 100 ms.",
    ],
  );
});

test("events --all reads the store's log, also when the unit does not run", async (t) => {
  const run = temporaryDirectory(t, "cli-log");
  const { dataDirectory } = placesOf("A1", run, {});
  mkdirSync(dataDirectory, { recursive: true });
  const { database } = openStore(join(dataDirectory, STORE_FILE));
  t.teardown(() => database.close());
  const loop = new StoreLoop({ database, names: () => NO_NAMES, attach: () => undefined });
  for (const [second, severity] of [
    [1, "notice"],
    [2, "error"],
  ] as const) {
    loop.remember({ at: `2027-01-15T08:00:0${second}.250Z`, severity, code: "dataplane-exited", text: `Happening ${second}.`, fields: {} });
  }
  const look = bench(t, undefined);
  t.same((await look("events", "--all", "--run-dir", run)).out, [
    "2027-01-15T08:00:01.250Z  notice       Happening 1.",
    "2027-01-15T08:00:02.250Z  error        Happening 2.",
  ]);
  t.equal(JSON.parse((await look("events", "--all", "--json", "--run-dir", run, "--where", "severity = 'error'")).out.join("")).length, 1);
  database.exec("DELETE FROM events WHERE id = 1");
  t.same((await look("events", "--all", "--run-dir", run)).out, [
    "1 older entries were thrown away: the log keeps the newest 100,000.",
    "2027-01-15T08:00:02.250Z  error        Happening 2.",
  ]);
});

test("ports, rules, members and neighbours are tables of what the plan and the tables hold", async (t) => {
  const look = bench(t, busyArea());
  const ports = (await look("ports")).out;
  t.equal(ports.length, 4, "the three that the plan names");
  t.match(ports[2], /^outside\s+data\s+up\s+1,234,567/);
  t.match((await look("rules")).out[2], /^\s+2\s+web\s+permit\s+60/);
  t.match((await look("members")).out[1], /^B1\s+alive\s+active/);
  t.match((await look("neighbours")).out[1], /^10\.3\.0\.10\s+02:54:00:00:be:ef\s+reachable/);
});

test("the banner says who the unit is, its role, its twin in a sentence, and what the lamps show that is not good", async (t) => {
  const { out, status } = await bench(t, busyArea())("banner");
  t.equal(status, 0);
  t.match(out[0], /^Twinwall \d+\.\d+\.\d+: unit A1, site A of lab$/);
  t.match(out[1], /^A1 passes nothing: its dataplane does not breathe/);
  t.ok(out.every((line) => line.length <= 80));
  t.match(out.join(" "), /Twin: B1 is alive; 56 of 60 sessions replicated, 3 ms behind; round trip 0\.2 ms\. 1 alarm: {3}status-unattended: /);
});

test("the banner greets for a unit that does not run, too", async (t) => {
  const run = temporaryDirectory(t, "cli-banner");
  const { out, status } = await bench(t, busyArea())("banner", "--run-dir", run);
  t.equal(status, 0);
  t.equal(out[1], "A1 passes nothing: its dataplane has not started.");
});

test("--json prints one value and never the secret", async (t) => {
  const look = bench(t, busyArea());
  for (const command of ["status", "sessions", "counters", "events", "ports", "members", "neighbours", "rules"]) {
    const { out, status } = await look(command, "--json");
    t.equal(status, 0, command);
    t.equal(out.length, 1, command);
    t.ok(JSON.parse(out[0] as string), command);
    t.notMatch(out[0], /very-secret/);
  }
});

test("a unit that never ran, and one that does not run now, are told apart", async (t) => {
  const known = bench(t, busyArea());
  const unknown = await known("status", "--unit", "C9");
  t.equal(unknown.status, 1);
  t.match(unknown.complaints[0], /^unknown-unit: there is no unit C9 .*\. Units here: A1;/);
  const run = temporaryDirectory(t, "cli-empty");
  const stopped = await known("status", "--run-dir", run);
  t.match(stopped.complaints[0], /^unit-not-running: A1 has run here, but does not now/);
});

/** Makes a process that stands in for the manager of a bench's unit. */
function attend(t: Holder, area: Area, runDirectory: string): void {
  const child = spawn(process.execPath, ["-e", "setTimeout(() => undefined, 60_000)", "A1"], { stdio: "ignore" });
  t.teardown(() => void child.kill("SIGKILL"));
  writeFileSync(join(runDirectory, "manager.pid"), `${child.pid}\n`);
  area.tables.header.f[headerWord("breathAt") >> 1] = Number(process.hrtime.bigint() / 1_000n) + 3_600_000_000;
}

test("panel shows the lamps with what they mean, without colours into a pipe, and as JSON", async (t) => {
  const area = busyArea();
  const run = temporaryDirectory(t, "cli-panel");
  const places = placesOf("A1", run, {});
  attend(t, area, run);
  writeArea(area, places.memoryFile);
  t.teardown(() => rmSync(places.memoryFile, { force: true }));
  writeFileSync(places.planFile, JSON.stringify(PLAN));
  const look = bench(t, undefined);
  const { status, out } = await look("panel", "--run-dir", run);
  t.equal(status, 0);
  t.same(out.slice(0, 3), ["┌ A1 ──────────────────────────────────┐", "│  STATUS ◐   HA ●   TWIN ◐   ALARM ○  │", "└──────────────────────────────────────┘"]);
  t.equal(out[3], "STATUS  amber, 1 Hz   A port has no link. Check its cable; twinwall ports says which.");
  const json = JSON.parse((await look("panel", "--run-dir", run, "--json")).out[0] ?? "");
  t.match(json, {
    unit: "A1",
    lamps: { ha: { situation: "active", pattern: "solid", colour: "green" }, alarm: { pattern: "off", colour: null } },
    lastReset: null,
  });
});

test("panel of a unit whose manager does not run, and of one that has no memory, is dark", async (t) => {
  const { status, out } = await bench(t, busyArea())("panel");
  t.equal(status, 0);
  t.equal(out[1], "│  STATUS ○   HA ○   TWIN ○   ALARM ○  │");
  t.match(out[3], /^STATUS {2}off {2}No power, or no software runs/);
  const run = temporaryDirectory(t, "cli-panel-empty");
  t.same((await bench(t, undefined)("panel", "--run-dir", run)).out[1], out[1]);
});

test("panel of memory of another firmware version is refused", async (t) => {
  const area = busyArea();
  area.tables.header.i[headerWord("layout")] = 1;
  const { status, complaints } = await bench(t, area)("panel");
  t.equal(status, 1);
  t.match(complaints[0], /^layout-mismatch: /);
});

test("memory of another firmware version is refused with what to do", async (t) => {
  const area = busyArea();
  area.tables.header.i[headerWord("layout")] = 1;
  const { status, complaints } = await bench(t, area)("sessions");
  t.equal(status, 1);
  t.match(complaints[0], /^layout-mismatch: .* restart the unit\.$/);
});

test("a wrong question says what is wrong with it", async (t) => {
  const look = bench(t, busyArea());
  const wrong = async (...list: string[]) => {
    const { status, complaints } = await look(...list);
    t.equal(status, 2);
    return complaints[0];
  };
  t.match(await wrong("sesions"), /^unknown-command: There is no command "sesions"\. Commands: status, sessions/);
  t.match(await wrong("sessions", "--where", "colour = 1"), /^query: no such column: colour\. Columns of sessions: row, id, protocol/);
  t.match(await wrong("sessions", "--limit", "many"), /--limit wants a whole number, not "many"/);
  t.match(await wrong("sessions", "--where", "1; DROP TABLE x"), /^query: /);
  t.match(await wrong("status", "--loud"), /^wrong-option: Unknown option '--loud'\. \(--help shows all\)$/);
  t.match(await wrong(), /Which command\?/);
});
