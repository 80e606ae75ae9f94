// The manager of a unit: reads board and configuration, writes the plan, keeps dataplane and store alive until it is told
// to stop, and keeps lamps and watchdog. It is not on any packet's path, and its death costs no packet.
//
//   main.ts --board lab --config FILE --unit A1 [--run-dir DIR] [--driver afxdp|pcap] [--serial DEVICE]
//           [--log text|json] [--check]

import { extname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Board } from "../board/board.ts";
import { attachUnitMemory } from "./hal/linux/memory.ts";
import { networkDevices } from "./hal/linux/proc.ts";
import { networkDevicePaths, SYSFS } from "./hal/linux/sysfs.ts";
import { assertLimits } from "./limits.ts";
import { loadBoard } from "./manager/board.ts";
import { loadConfiguration } from "./manager/config/load.ts";
import { buildPlan } from "./manager/config/plan.ts";
import { ConfigurationError, type Problem } from "./manager/config/problems.ts";
import { type SerialConsole, startSerialConsole } from "./manager/console/serial.ts";
import { checkDevices, findPorts } from "./manager/devices.ts";
import { type Front, startFront } from "./manager/front.ts";
import { createLog, formatJson, formatText, type Happening, type Log } from "./manager/log.ts";
import { createMachine } from "./manager/machine.ts";
import { openOrderDesk } from "./manager/orders.ts";
import { openPeers, type Peers } from "./manager/peers/peers.ts";
import { type Places, placesOf } from "./manager/places.ts";
import { runningPid } from "./manager/processes.ts";
import { openUnitDirectory, pidFile, readIfThere, writeDurably, writePid } from "./manager/run-dir.ts";
import { UnitTables } from "./manager/tables.ts";
import { UnitManager } from "./manager/unit.ts";
import type { Plan } from "./plan.ts";

/** Sources here, JavaScript in an image: whatever this file is. */
const program = (...path: readonly string[]): string => `${join(import.meta.dirname, ...path)}${extname(import.meta.filename)}`;
const PROGRAMS = { dataplane: program("dataplane"), store: program("store"), console: program("manager", "console", "cli") };
const USAGE = "main.ts --board NAME|FILE --config FILE --unit NAME [--run-dir DIR] [--driver afxdp|pcap] [--serial DEVICE] [--log text|json] [--check]";
/** Of a serial line that no board describes. */
const SERIAL_BAUD = 115_200;
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

/** Board and configuration resolved. Throws ConfigurationError. */
async function resolve(given: Arguments): Promise<{ readonly board: Board; readonly plan: Plan }> {
  const board = findPorts(await loadBoard(given.board), networkDevicePaths(SYSFS));
  const loaded = loadConfiguration(given.config);
  return { board, plan: buildPlan(loaded, board, given.unit) };
}

/** This unit among its peers; undefined without any. */
function connectPeers(plan: Plan, data: string, log: Log, manager: UnitManager): Peers | undefined {
  const twin = plan.ports.find((port) => port.kind === "twin");
  if (twin === undefined) return undefined;
  return openPeers({
    unit: plan.unit,
    name: plan.name,
    peers: plan.twin.peers,
    device: twin.device,
    data,
    log,
    onSecrets: () => manager.pairKeysChanged(),
    onRestarting: (unit) => manager.peerRestarting(unit),
  });
}

/** The console on the serial line that the board has, or that was given; undefined without one. */
function openConsole(given: Arguments, board: Board, places: Places, log: Log, compileCache: string): SerialConsole | undefined {
  const device = given.serial ?? board.serial?.device;
  if (device === undefined) return undefined;
  return startSerialConsole({ device, baud: board.serial?.baud ?? SERIAL_BAUD, unit: given.unit, places, program: PROGRAMS.console, compileCache, log });
}

/** Writes the plan and runs the unit until a signal. */
async function run(given: Arguments, board: Board, plan: Plan, places: Places): Promise<void> {
  const directory = openUnitDirectory(places.directory);
  const other = runningPid(pidFile(directory, "manager"), plan.name);
  if (other !== 0 && other !== process.pid) {
    console.error(`The manager of ${plan.name} runs already, as process ${other} [already-running]\n  Stop it first, or give another --run-dir.`);
    process.exitCode = EXIT_RUNNING;
    return;
  }
  writePid(directory, "manager", process.pid);
  let front: Front | undefined;
  const planText = JSON.stringify(plan);
  const machine = createMachine({
    places,
    directory,
    board,
    programs: PROGRAMS,
    driver: given.driver,
    samePlan: readIfThere(places.planFile) === planText,
    onStoreWrote: () => front?.storeWrote(),
  });
  writeDurably(places.planFile, planText);

  const print = given.log === "json" ? formatJson : formatText;
  const toConsole = (happening: Happening): void => void process.stderr.write(`${print(happening)}\n`);
  const toSerial = (happening: Happening): void => void (happening.code === "dataplane-ready" && serial?.refresh());
  const log = createLog(plan.name, () => new Date(), [toConsole, (happening) => machine.tellStore({ happening }), toSerial]);
  const tables = new UnitTables(() => attachUnitMemory(places.memoryName, "write"), plan.sessions);
  const manager: UnitManager = new UnitManager({ log, machine, tables, announceRestart: () => peers?.announceRestart() });
  const peers = connectPeers(plan, directory.data, log, manager);

  const orders = openOrderDesk(places.ordersFile, (order, isForced) => manager.order(order, isForced));
  let serial: SerialConsole | undefined;
  const signalled = new Promise<void>((stop) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop());
  });
  process.stderr.on("error", () => undefined); // Nobody reads any more: that is no reason to stop.
  await manager.start();
  serial = openConsole(given, board, places, log, directory.compileCache);
  front = startFront({ board, tables, log, data: directory.data, sysfs: SYSFS, machine });
  await signalled;
  front.stopFeeding();
  orders.close();
  await manager.stop();
  await serial?.close(); // After what carries traffic: a device may take its time to send the rest.
  front.stop();
  peers?.close();
  machine.close();
}

async function main(): Promise<void> {
  assertLimits();
  try {
    const given = readArguments();
    const { board, plan } = await resolve(given);
    checkDevices(plan, board, networkDevices());
    if (given.check) console.log(`Board, configuration and devices of ${plan.name} are in order.`);
    else await run(given, board, plan, placesOf(plan.name, given.runDir, process.env));
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    console.error(error.message);
    process.exitCode = EXIT_CONFIGURATION;
  }
}

await main();
