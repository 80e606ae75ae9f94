// The manager's machine: where its processes, clocks and timers come from.

import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Board } from "../../board/board.ts";
import { createDoorbell, ringDoorbell } from "../hal/linux/idle.ts";
import { DATAPLANE_NODE_FLAGS } from "../node-flags.ts";
import { reserveIncarnation } from "./incarnation.ts";
import type { Child } from "./keeper.ts";
import { pairKeysFile } from "./peers/pair-secrets.ts";
import type { Places } from "./places.ts";
import { findRunning, type Program, type SpawnedChild, spawnProgram } from "./processes.ts";
import { pidFile, type UnitDirectory, writePid } from "./run-dir.ts";
import type { Machine } from "./unit.ts";

/** The doorbell's descriptor in the dataplane. */
const DOORBELL = 3;
const NANOS_PER_MICRO = 1_000n;

/** What the store tells. */
interface StoreMessage {
  readonly wrote?: boolean;
}

export interface MachineOptions {
  readonly places: Places;
  readonly directory: UnitDirectory;
  readonly board: Board;
  /** Paths of the programs to spawn. */
  readonly programs: { readonly dataplane: string; readonly store: string; readonly compiler: string };
  /** Preferred driver; empty: the dataplane's choice. */
  readonly driver: string;
  readonly samePlan: boolean;
  /** The store says, every few seconds, that its database takes writes. */
  onStoreWrote(): void;
}

export interface LinuxMachine extends Machine {
  /** Hands a message to the store, if it runs. */
  tellStore(message: object): void;
  close(): void;
}

/** The machine of a Linux appliance, the lab's included. */
export function createMachine(options: MachineOptions): LinuxMachine {
  const { places, directory, board } = options;
  const doorbell = createDoorbell();
  let store: SpawnedChild | undefined;
  const run = (name: "dataplane" | "store", program: Omit<Program, "file" | "environment">): SpawnedChild => {
    const child = spawnProgram({ ...program, file: options.programs[name], environment: { NODE_COMPILE_CACHE: directory.compileCache } });
    writePid(directory, name, child.pid);
    return child;
  };
  const running = (name: string): Child | undefined => findRunning(pidFile(directory, name), places.memoryName);
  return {
    samePlan: options.samePlan,
    nowMillis: () => Math.floor(performance.now()),
    monotonicMicros: () => Number(process.hrtime.bigint() / NANOS_PER_MICRO),
    setTimer(timed, millis) {
      const timer = setTimeout(timed, millis);
      return () => clearTimeout(timer);
    },
    spawnDataplane(incarnation) {
      const driver = options.driver === "" ? [] : ["--driver", options.driver];
      return run("dataplane", {
        flags: DATAPLANE_NODE_FLAGS,
        arguments: [
          "--plan",
          places.planFile,
          "--memory",
          places.memoryName,
          "--incarnation",
          String(incarnation),
          "--doorbell",
          String(DOORBELL),
          "--data",
          directory.data,
          "--policy",
          places.policyFile,
          "--pair-keys",
          pairKeysFile(directory.data),
          ...driver,
        ],
        descriptor: doorbell,
        messages: false,
        cpu: board.dataplane.cpu ?? -1,
        nice: board.dataplane.nice,
      });
    },
    spawnStore() {
      store = run("store", {
        flags: [],
        arguments: ["--plan", places.planFile, "--memory", places.memoryName, "--data", directory.data],
        descriptor: -1,
        messages: true,
        cpu: -1,
        nice: 0,
      });
      store.onMessage((message) => {
        if ((message as StoreMessage | null)?.wrote === true) options.onStoreWrote();
      });
      return store;
    },
    runningDataplane: () => running("dataplane"),
    runningStore: () => running("store"),
    reserveIncarnation: () => reserveIncarnation(directory.data, Date.now()),
    compilePolicy: () =>
      new Promise((resolve) => {
        const list = [options.programs.compiler, "--plan", places.planFile, "--out", places.policyFile];
        const environment = { ...process.env, NODE_COMPILE_CACHE: directory.compileCache };
        const child = spawn(process.execPath, list, { stdio: ["ignore", "inherit", "inherit"], env: environment });
        child.once("error", () => resolve(false));
        child.once("exit", (status) => resolve(status === 0));
      }),
    ringDoorbell: () => ringDoorbell(doorbell),
    tellStore: (message) => store?.send(message),
    close: () => closeSync(doorbell),
  };
}
