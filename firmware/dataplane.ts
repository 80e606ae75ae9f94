// The packet process: opens the machine, puts the unit together (unit.ts), and breathes until it is told to stop.
//
//   while alive:  commands ─► breathe ─► nothing moved? wait for a port or the doorbell, 5 ms at the most; many move? let them gather (hal/linux/pace.ts)
//
// One thread, one loop: no promises, timers, signals or IPC. The manager speaks through the command ring and rings the
// doorbell. A fault that is a bug throws and ends the process: the XDP program then drops everything, and
// the manager starts it again, which adopts the rows.
//
// Usage: see USAGE.

import { existsSync, readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { parseArgs } from "node:util";
import type { Idle } from "./hal/contracts.ts";
import { createClock } from "./hal/linux/clock.ts";
import { createEntropy } from "./hal/linux/entropy.ts";
import { HalError } from "./hal/linux/failure.ts";
import { createIdle } from "./hal/linux/idle.ts";
import { openUnitMemory, privateArea, type UnitMemory } from "./hal/linux/memory.ts";
import { createPolicySource } from "./hal/linux/policy-source.ts";
import { type DriverChoice, openPorts } from "./hal/linux/ports.ts";
import { createSealer } from "./hal/linux/sealer.ts";
import { createPacketMemory } from "./hal/packets.ts";
import { assertLimits, FRAME_BYTES, FRAMES, POLICY_IMAGE_BYTES } from "./limits.ts";
import { type PairKeys, parsePairKeys } from "./pair-keys.ts";
import type { Plan } from "./plan.ts";
import { createWarmStart } from "./store/warm-start.ts";
import { Dataplane, indexBytes } from "./unit.ts";

const PREDECESSOR_MICROS = 1_000_000;
const USAGE =
  "dataplane.ts --plan FILE --memory NAME --incarnation N [--pair-keys FILE] [--policy FILE] [--driver afxdp|pcap] [--doorbell DESCRIPTOR] [--data DIRECTORY]";

interface Arguments {
  readonly plan: Plan;
  readonly memory: string;
  readonly incarnation: number;
  readonly driver: DriverChoice;
  readonly doorbell: number;
  /** undefined: nobody is paired. */
  readonly pairKeys: string | undefined;
  /** Where another policy comes from while this runs; undefined: none does. */
  readonly policy: string | undefined;
  /** Where checkpoints lie; undefined: start cold. */
  readonly data: string | undefined;
}

function readArguments(): Arguments {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { plan: text, memory: text, incarnation: text, driver: text, doorbell: text, data: text, "pair-keys": text, policy: text },
  });
  const incarnation = Number(values.incarnation);
  if (values.plan === undefined || values.memory === undefined || !Number.isInteger(incarnation) || incarnation < 1) throw new Error(`usage: ${USAGE}`);
  const driver = values.driver ?? "auto";
  if (driver !== "auto" && driver !== "afxdp" && driver !== "pcap") throw new Error(`--driver is afxdp or pcap, not ${driver}`);
  return {
    plan: JSON.parse(readFileSync(values.plan, "utf8")) as Plan,
    memory: values.memory,
    incarnation,
    driver,
    doorbell: Number(values.doorbell ?? -1),
    data: values.data,
    pairKeys: values["pair-keys"],
    policy: values.policy,
  };
}

/** Puts the unit together; the ports open last. */
function open(): { readonly dataplane: Dataplane; readonly idle: Idle } {
  assertLimits();
  const { plan, memory: memoryName, incarnation, driver, doorbell, data, pairKeys, policy } = readArguments();
  const memory = awaitUnitMemory(memoryName, plan.sessions);
  if (memory.replaced !== undefined) report(`the tables start empty: ${memory.replaced}`);
  const area = privateArea(FRAMES * FRAME_BYTES);
  const packets = createPacketMemory(area);
  const { ports, fallbacks } = openPorts(plan.ports, packets, { driver });
  for (const { sentence } of fallbacks) report(sentence);
  const machine = {
    clock: createClock(),
    entropy: createEntropy(),
    packets,
    memory,
    ports,
    sealer: createSealer(area),
    pairKeys: () => readPairKeys(pairKeys),
    ...(policy !== undefined && {
      policies: { source: createPolicySource(policy), areas: [new ArrayBuffer(POLICY_IMAGE_BYTES), new ArrayBuffer(POLICY_IMAGE_BYTES)] },
    }),
    indexBuffer: privateArea(indexBytes(plan.sessions)),
  };
  const dataplane = new Dataplane(machine, plan, incarnation, data === undefined ? undefined : createWarmStart(data, Date.now, report));
  const ofKind = (kind: "twin" | "data"): typeof ports => ports.filter((_, number) => plan.ports[number]?.kind === kind);
  return { dataplane, idle: createIdle(ofKind("twin"), ofKind("data"), doorbell) };
}

/** A few hundred bytes that the manager has just written, so they lie in the page cache. */
function readPairKeys(file: string | undefined): readonly PairKeys[] {
  return file === undefined || !existsSync(file) ? [] : parsePairKeys(readFileSync(file, "utf8"));
}

/** The manager restarts us while the kernel still clears away the one that died: its memory is free a moment later. */
function awaitUnitMemory(name: string, sessions: number): UnitMemory {
  const clock = createClock();
  const until = clock.nowMicros() + PREDECESSOR_MICROS;
  for (;;) {
    try {
      return openUnitMemory(name, sessions);
    } catch (error) {
      if (!(error instanceof HalError) || error.code !== "MEMORY_IN_USE" || clock.nowMicros() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

function report(sentence: string): void {
  process.stderr.write(`dataplane: ${sentence}\n`);
}

// Ctrl-C reaches the whole process group; the manager says when to stop.
process.on("SIGINT", () => {});
const { dataplane, idle } = open();
// Node keeps its compile cache at an orderly exit only. The next start may follow a kill -9, and it counts: 360 ms of loading become 80.
flushCompileCache();
while (!dataplane.isStopping) idle.rest(dataplane.breathe(), dataplane.restMicros);
dataplane.stop();
