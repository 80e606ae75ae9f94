// A unit of the lab: Twinwall's own manager, dataplane and store in a namespace, as on an appliance; killed as accidents do,
// and looked at from outside, by SQL over its shared memory.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { UNIT_NAMES } from "../../firmware/limits.ts";
import { pairAtFactory } from "../../firmware/manager/peers/factory.ts";
import { type Places, placesOf, RUN_DIRECTORY } from "../../firmware/manager/places.ts";
import { openUnitDirectory } from "../../firmware/manager/run-dir.ts";
import { namesOfPlanFile } from "../../firmware/store/live/names.ts";
import { openLive } from "../../firmware/store/live/open.ts";
import { STORE_FILE } from "../../firmware/store/schema.ts";
import { type LabOptions, labConfiguration } from "./configuration.ts";
import { ALL_UNITS, type LabUnit } from "./picture.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const CONFIGURATION = join(RUN_DIRECTORY, "lab.json");

export type UnitDriver = "afxdp" | "pcap";
type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** Writes the lab's configuration, which all units read, and pairs them. */
export function writeConfiguration(options: LabOptions): void {
  layConfiguration(labConfiguration(options));
}

/** The same for any configuration. */
export function layConfiguration(configuration: object): void {
  mkdirSync(RUN_DIRECTORY, { recursive: true });
  writeFileSync(CONFIGURATION, JSON.stringify(configuration, null, 2));
  pairAtFactory(
    ALL_UNITS.map((name) => {
      const { directory } = placesOf(name, undefined, {});
      return { unit: UNIT_NAMES.indexOf(name), name, data: openUnitDirectory(directory).data };
    }),
  );
}

/** Where a unit looks for its serial line; there is one while somebody has put a cable in. */
export function serialDevice(name: string): string {
  return join(RUN_DIRECTORY, `${name}.serial`);
}

/** Processes in a unit's namespace. */
function processesOf(name: LabUnit): number[] {
  const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

export class Unit {
  readonly name: LabUnit;
  readonly places: Places;
  readonly logFile: string;
  private readonly driver: UnitDriver | undefined;
  private manager: ChildProcess | undefined;
  /** When the dataplane of the start before this one had opened its ports; 0 = its memory is gone. */
  private startedBefore = 0;
  /** Pauses before that, on the dataplane's clock, do not count. */
  private readyAtMicros = 0;

  constructor(name: LabUnit, driver: UnitDriver | undefined) {
    this.name = name;
    this.driver = driver;
    this.places = placesOf(name, undefined, {});
    this.logFile = join(RUN_DIRECTORY, `${name}.log`);
  }

  /** Switches the unit on. What an earlier start left in shared memory says nothing about this one: `untilStarted`. */
  start(): void {
    this.startedBefore = existsSync(this.places.memoryFile) ? this.number("SELECT started_at FROM live_header") : 0;
    const log = openSync(this.logFile, "a");
    const firmware = ["firmware/main.ts", "--board", "lab", "--config", CONFIGURATION, "--unit", this.name];
    const serial = ["--serial", serialDevice(this.name)];
    const driver = this.driver === undefined ? [] : ["--driver", this.driver];
    // A process group of its own, so that Ctrl-C reaches the lab first.
    this.manager = spawn("ip", ["netns", "exec", this.name, process.execPath, ...firmware, ...serial, ...driver], {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", log, log],
    });
    this.manager.on("error", () => undefined);
  }

  /** Process id of the dataplane. */
  private get dataplane(): number {
    const pid = processesOf(this.name).find((candidate) => readFileSync(`/proc/${candidate}/cmdline`, "utf8").includes("firmware/dataplane.ts"));
    if (pid === undefined) throw new Error(`lab: ${this.name} has no dataplane`);
    return pid;
  }

  /** Kills the dataplane with SIGKILL; the manager starts it again. Returns its process id. */
  killDataplane(): number {
    const pid = this.dataplane;
    this.startedBefore = this.number("SELECT started_at FROM live_header");
    process.kill(pid, "SIGKILL");
    return pid;
  }

  /**
   * Memory that the dataplane has asked for to write, in bytes: heap and what it reserves at start, used or not. Resident memory
   * would grow when a page that was reserved at start is first used.
   */
  ownMemoryBytes(): number {
    const status = readFileSync(`/proc/${this.dataplane}/status`, "utf8");
    return Number(/^VmData:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
  }

  /** Kills every process of the unit with SIGKILL. Its memory stays, as after a crash of the whole system's software. */
  kill(): void {
    for (const pid of processesOf(this.name)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    this.manager = undefined;
  }

  /** Somebody has switched it on, and nobody has killed it since. */
  get isOn(): boolean {
    return this.manager !== undefined;
  }

  /** As pulling the plug: every process dies, and shared memory is lost. What was written to disk stays. */
  powerOff(): void {
    this.kill();
    rmSync(this.places.memoryFile, { force: true });
  }

  /** Rows of a query over the unit's live tables and views. Throws LiveError while there are none. */
  query(sql: string): readonly Row[] {
    const database = openLive(this.places.memoryFile, namesOfPlanFile(this.places.planFile));
    try {
      return database.prepare(sql).all() as Row[];
    } finally {
      database.close();
    }
  }

  /** The one number that a query answers; 0 when there is none. */
  number(sql: string): number {
    const row = this.query(sql)[0];
    return row === undefined ? 0 : Number(Object.values(row)[0] ?? 0);
  }

  counter(name: string): number {
    return this.number(`SELECT value FROM counters WHERE name = '${name}'`);
  }

  /** From now on pauses count: while many units start together on few cores, each of them stands still at times. */
  watchPauses(): void {
    this.readyAtMicros = this.number("SELECT breath_at FROM live_header");
  }

  /** The longest time that its dataplane was kept from running since `watchPauses`, in milliseconds; 0 when no pause was worth an event. */
  longestPauseMillis(): number {
    try {
      return Math.round(this.number(`SELECT coalesce(max(value), 0) FROM live_events WHERE kind = 'loop-gap' AND at > ${this.readyAtMicros}`) / 1_000);
    } catch {
      return 0;
    }
  }

  /** Session rows in the unit's last checkpoint, as they lie on its disk. */
  checkpointedRows(): number {
    const file = join(this.places.directory, "data", STORE_FILE);
    if (!existsSync(file)) return 0;
    const database = new Database(file, { readonly: true });
    try {
      return database.prepare("SELECT count(*) FROM checkpoints WHERE incarnation = (SELECT max(incarnation) FROM areas)").pluck().get() as number;
    } finally {
      database.close();
    }
  }

  /** Resolves when the query answers a number other than 0, and rejects with `what` after `limitMillis`. Looks each 20 ms. */
  async until(what: string, sql: string, limitMillis: number): Promise<void> {
    const deadline = performance.now() + limitMillis;
    let last = "";
    while (performance.now() < deadline) {
      if (this.hasGivenUp()) throw new Error(`${this.name} has given up`);
      try {
        if (existsSync(this.places.memoryFile) && this.number(sql) !== 0) return;
        last = "";
      } catch (error) {
        last = ` (${(error as Error).message})`;
      }
      await pause(20);
    }
    throw new Error(`${this.name}: after ${limitMillis} ms still not ${what}${last}`);
  }

  /** Resolves when the dataplane of the latest start has opened its ports, and is active or stands by. */
  untilStarted(limitMillis: number): Promise<void> {
    return this.until("active or standby", `SELECT started_at > ${this.startedBefore} AND role IN ('active', 'standby') FROM live_header`, limitMillis);
  }

  /** True when its manager has ended by itself, or keeps a dataplane down that crashed too often. */
  private hasGivenUp(): boolean {
    if (this.manager === undefined) return false;
    return this.manager.exitCode !== null || this.manager.signalCode !== null || this.lastWords().includes(" fail-closed: ");
  }

  /** What the dataplane said about a driver that it could not use. */
  whyFallback(): string {
    const lines = existsSync(this.logFile) ? readFileSync(this.logFile, "utf8").split("\n") : [];
    return lines.find((line) => line.startsWith("dataplane: ") && line.includes("pcap"))?.slice("dataplane: ".length) ?? "the log says no more";
  }

  /** The last lines that its processes wrote. */
  lastWords(lines = 6): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n    ") : "(nothing was said)";
  }
}

export type Units = Readonly<Record<LabUnit, Unit>>;

/** A handle for each unit that there may be; which of them are started is the lab's affair. */
export function createUnits(driver: UnitDriver | undefined): Units {
  return Object.fromEntries(ALL_UNITS.map((name) => [name, new Unit(name, driver)])) as Record<LabUnit, Unit>;
}
