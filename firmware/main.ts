// The manager of a unit: reads board and configuration, writes the plan, keeps dataplane and store alive until it is told
// to stop, and keeps lamps and watchdog. It is not on any packet's path, and its death costs no packet.
//
//   main.ts --board lab --config FILE --unit A1 [--run-dir DIR] [--driver afxdp|pcap] [--serial DEVICE]
//           [--log text|json] [--check]

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { extname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Board } from "../board/board.ts";
import { attachUnitMemory } from "./hal/linux/memory.ts";
import { networkDevices } from "./hal/linux/proc.ts";
import { networkDevicePaths, SYSFS } from "./hal/linux/sysfs.ts";
import { assertLimits } from "./limits.ts";
import { loadBoard } from "./manager/board.ts";
import type { Json } from "./manager/config/document.ts";
import { loadConfiguration, readText, warningsOf } from "./manager/config/load.ts";
import { buildPlan, followsInPlace } from "./manager/config/plan.ts";
import { ConfigurationError, formatProblem, type Problem } from "./manager/config/problems.ts";
import { modeOf } from "./manager/console/configure/mode.ts";
import { ConfigureSession } from "./manager/console/configure/session.ts";
import { FILES } from "./manager/console/configure/shell.ts";
import { type SerialConsole, startSerialConsole } from "./manager/console/serial.ts";
import type { Entered } from "./manager/console/terminal.ts";
import { checkDevices, findPorts } from "./manager/devices.ts";
import { type Front, startFront } from "./manager/front.ts";
import { createLog, formatJson, formatText, type Happening, type Log } from "./manager/log.ts";
import { createMachine, type LinuxMachine } from "./manager/machine.ts";
import { openOrderDesk } from "./manager/orders.ts";
import { openPeers, type Peers } from "./manager/peers/peers.ts";
import { type Places, placesOf } from "./manager/places.ts";
import { runningPid } from "./manager/processes.ts";
import type { AuditShare } from "./manager/revisions/audit-share.ts";
import { Desk } from "./manager/revisions/desk.ts";
import { joinOverChannel } from "./manager/revisions/over-channel.ts";
import { CONFIGURATION_FILE, RevisionStore } from "./manager/revisions/store.ts";
import { openUnitDirectory, pidFile, readIfThere, type UnitDirectory, writeDurably, writePid } from "./manager/run-dir.ts";
import { UnitTables } from "./manager/tables.ts";
import { UnitManager } from "./manager/unit.ts";
import type { Plan } from "./plan.ts";

/** Sources here, JavaScript in an image: whatever this file is. */
const program = (...path: readonly string[]): string => `${join(import.meta.dirname, ...path)}${extname(import.meta.filename)}`;
const PROGRAMS = {
  dataplane: program("dataplane"),
  store: program("store"),
  compiler: program("policy-compiler"),
  console: program("manager", "console", "cli"),
};
const USAGE = "main.ts --board NAME|FILE --config FILE --unit NAME [--run-dir DIR] [--driver afxdp|pcap] [--serial DEVICE] [--log text|json] [--check]";
/** Of a serial line that no board describes. */
const SERIAL_BAUD = 115_200;
/** How often the configuration's timers are looked at. */
const DESK_TICK_MILLIS = 100;
/** How often it is looked at whether the dataplane decides by the revision in force. */
const DRIFT_LOOK_MILLIS = 10_000;
const EXIT_CONFIGURATION = 2;
const EXIT_RUNNING = 3;

interface Arguments {
  readonly board: string;
  readonly config: string;
  readonly unit: string;
  readonly runDir: string | undefined;
  readonly driver: string;
  readonly serial: string | undefined;
  readonly log: string;
  readonly check: boolean;
}

function readArguments(): Arguments {
  const text = { type: "string" } as const;
  const options = {
    board: text,
    config: text,
    unit: text,
    "run-dir": text,
    driver: text,
    serial: text,
    log: text,
    check: { type: "boolean" },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new ConfigurationError([wrongArgument("", (error as Error).message.split("\n")[0] ?? "")]);
  }
  const problems: Problem[] = [];
  for (const key of ["board", "config", "unit"] as const) if (values[key] === undefined) problems.push(wrongArgument(key, "the argument is missing"));
  const choose = (key: "driver" | "log", allowed: readonly string[]): string => {
    const value = values[key] ?? (allowed[0] as string);
    if (!allowed.includes(value)) problems.push(wrongArgument(key, `must be one of ${allowed.filter(Boolean).join(", ")} (found "${value}")`));
    return value;
  };
  const driver = choose("driver", ["", "afxdp", "pcap"]);
  const log = choose("log", ["text", "json"]);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    board: values.board ?? "",
    config: values.config ?? "",
    unit: values.unit ?? "",
    runDir: values["run-dir"],
    driver,
    serial: values.serial,
    log,
    check: values.check ?? false,
  };
}

function wrongArgument(key: string, message: string): Problem {
  return { code: "wrong-argument", file: "", line: 0, path: key === "" ? "" : `--${key}`, message, remedy: `Usage: ${USAGE}` };
}

/** Says whether the file is in order, without looking at what the unit has committed. Throws ConfigurationError. */
function check(given: Arguments, board: Board, say: (line: string) => void): void {
  const loaded = loadConfiguration(given.config);
  const plan = buildPlan(loaded, board, given.unit);
  checkDevices(plan, board, networkDevices());
  for (const warning of warningsOf(loaded)) say(`warning: ${formatProblem(warning)}`);
  say(`Board, configuration and devices of ${plan.name} are in order.`);
}

/** The document of the file that a unit begins with. Throws ConfigurationError. */
function firstDocument(file: string): Json {
  loadConfiguration(file);
  const { revision: _counted, $schema: _editors, ...document } = JSON.parse(readText(file, "configuration")) as Json;
  return document;
}

function twinDevices({ ports }: Pick<Plan, "ports">): readonly string[] {
  return ports.filter(({ kind }) => kind === "twin").map(({ device }) => device);
}

/** This unit among its peers; undefined without any. */
function connectPeers(plan: Plan, data: string, socket: string, log: Log, manager: UnitManager): Peers | undefined {
  const devices = twinDevices(plan);
  if (devices.length === 0) return undefined;
  return openPeers({
    unit: plan.unit,
    name: plan.name,
    peers: plan.twin.peers,
    devices,
    data,
    socket,
    log,
    onSecrets: () => manager.pairKeysChanged(),
    onRestarting: (unit) => manager.peerRestarting(unit),
  });
}

/** The console on the serial line that the board has, or that was given; undefined without one. */
function openConsole(given: Arguments, board: Board, places: Places, log: Log, compileCache: string, desk: Desk): SerialConsole | undefined {
  const device = given.serial ?? board.serial?.device;
  if (device === undefined) return undefined;
  const { unit } = given;
  const configure = async (): Promise<Entered> => modeOf(await ConfigureSession.begin(unit, desk.sit({ who: "serial", origin: `${unit} serial` }), FILES));
  return startSerialConsole({ device, baud: board.serial?.baud ?? SERIAL_BAUD, unit, places, program: PROGRAMS.console, compileCache, log, configure });
}

/** The log on stderr; `listener` hears each happening too. */
function openLog(given: Arguments, listener: (happening: Happening) => void): Log {
  const print = given.log === "json" ? formatJson : formatText;
  process.stderr.on("error", () => undefined); // Nobody reads any more: that is no reason to stop.
  return createLog(given.unit, () => new Date(), [(happening) => void process.stderr.write(`${print(happening)}\n`), listener]);
}

/** What the configuration does by itself. */
function startTimers(desk: Desk, audit: AuditShare | undefined, unit: UnitManager): readonly NodeJS.Timeout[] {
  const tick = (): void => {
    desk.member.tick();
    audit?.tick();
  };
  return [setInterval(tick, DESK_TICK_MILLIS), setInterval(() => unit.checkDrift(), DRIFT_LOOK_MILLIS)];
}

/** False, and said, when another manager of this unit runs. */
function isAlone(directory: UnitDirectory, unit: string): boolean {
  const other = runningPid(pidFile(directory, "manager"), unit);
  if (other === 0 || other === process.pid) return true;
  console.error(`The manager of ${unit} runs already, as process ${other} [already-running]\n  Stop it first, or give another --run-dir.`);
  process.exitCode = EXIT_RUNNING;
  return false;
}

/** What of a plan the manager itself is built on: another one takes effect when the manager starts again. */
function peersOfPlan({ ports, twin }: Plan): string {
  return JSON.stringify([twinDevices({ ports }), twin.peers]);
}

/** Opens the configuration's store, writes the plan, and runs the unit until a signal. Throws ConfigurationError. */
async function run(given: Arguments, board: Board, places: Places): Promise<void> {
  // A unit that has never run, and cannot, leaves nothing behind.
  if (!existsSync(join(places.dataDirectory, CONFIGURATION_FILE))) check(given, board, () => undefined);
  const directory = openUnitDirectory(places.directory);
  if (!isAlone(directory, given.unit)) return;
  let front: Front | undefined;
  let serial: SerialConsole | undefined;
  let machine: LinuxMachine | undefined;
  let manager: UnitManager | undefined;
  const log = openLog(given, (happening) => {
    machine?.tellStore({ happening });
    if (happening.code === "dataplane-ready") serial?.refresh();
  });
  let running: Plan | undefined;
  const enforce = (plan: Plan): void => {
    const text = JSON.stringify(plan);
    if (running === undefined || text === JSON.stringify(running)) return;
    if (peersOfPlan(plan) !== peersOfPlan(running))
      log.note("warning", "peers-changed", "The units that this one talks to have changed: that takes effect when its manager is started again.");
    writeDurably(places.planFile, text);
    if (followsInPlace(plan, running)) void manager?.repolicy(plan.revision, plan.sessions);
    else void manager?.replan(plan.revision, plan.sessions);
    running = plan;
  };
  const store = new RevisionStore(join(directory.data, CONFIGURATION_FILE));
  const desk = new Desk(
    {
      unit: given.unit,
      store,
      board,
      log,
      devices: networkDevices,
      run: enforce,
      nowMillis: () => Math.floor(performance.now()),
      wallMillis: Date.now,
      newId: randomUUID,
    },
    () => firstDocument(given.config),
  );
  const plan = desk.plan();
  checkDevices(plan, board, networkDevices());
  writePid(directory, "manager", process.pid);
  const samePlan = readIfThere(places.planFile) === JSON.stringify(plan);
  machine = createMachine({ places, directory, board, programs: PROGRAMS, driver: given.driver, samePlan, onStoreWrote: () => front?.storeWrote() });
  writeDurably(places.planFile, JSON.stringify(plan));
  running = plan;
  const tables = new UnitTables(() => attachUnitMemory(places.memoryName, "write"), plan.sessions);
  const unit = new UnitManager({ log, machine, tables, revision: plan.revision, sessions: plan.sessions, announceRestart: () => peers?.announceRestart() });
  manager = unit;
  const peers = connectPeers(plan, directory.data, places.peersFile, log, unit);
  const audit = peers === undefined ? undefined : joinOverChannel(desk, peers.channel, plan.twin.peers, log);
  const timers = startTimers(desk, audit, unit);
  const orders = openOrderDesk(places.ordersFile, { obey: (order, isForced) => unit.order(order, isForced), sit: (editor) => desk.sit(editor) });
  const signalled = new Promise<void>((stop) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop());
  });
  await unit.start();
  serial = openConsole(given, board, places, log, directory.compileCache, desk);
  front = startFront({ board, tables, log, data: directory.data, sysfs: SYSFS, machine });
  await signalled;
  front.stopFeeding();
  for (const timer of timers) clearInterval(timer);
  orders.close();
  await unit.stop();
  await serial?.close(); // After what carries traffic: a device may take its time to send the rest.
  front.stop();
  peers?.close();
  store.close();
  machine.close();
}

async function main(): Promise<void> {
  assertLimits();
  try {
    const given = readArguments();
    const board = findPorts(await loadBoard(given.board), networkDevicePaths(SYSFS));
    if (given.check) check(given, board, console.log);
    else await run(given, board, placesOf(given.unit, given.runDir, process.env));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    console.error(error.message);
    process.exitCode = EXIT_CONFIGURATION;
  }
}

await main();
