// Two guests as a twin, in the lab's picture (test/lab): real hosts on the kernel's TCP, A1 and B1 each an emulated appliance that runs
// the image. Runs inside the lab's sandbox (trial.ts starts it) and tells what it sees, line by line.
//
//   namespace A1                                                     namespace B1
//   port1 ═ bridge ═ tap ┐                                          ┌ tap ═ bridge ═ port1     port1, port2: the lab's cables
//   port2 ═ bridge ═ tap ┴ QEMU ── third NICs: datagrams over ── QEMU ┴ tap ═ bridge ═ port2
//                                  a pair of Unix sockets
//
// An emulated processor is kept waiting for tenths of a second when the machine is busy, which an appliance's is not: heartbeats are
// 200 ms apart and ten may be missed, so that a pause is not taken for a death.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UNIT_NAMES } from "../firmware/limits.ts";
import { pairAtFactory } from "../firmware/manager/peers/factory.ts";
import { openUnitDirectory } from "../firmware/manager/run-dir.ts";
import { labConfiguration } from "../test/lab/configuration.ts";
import { startDownload, startServices } from "../test/lab/hosts.ts";
import { type FirstUnit, LAB_UNITS, type LabUnit, PORT_ONE, PORT_THREE, SERVICE3 } from "../test/lab/picture.ts";
import { buildTopology, inNamespace } from "../test/lab/topology.ts";
import { buildData, diskLayout, type Partition, placePartition } from "./disk.ts";
import { Guest } from "./guest.ts";
import { ImageError, run, WORK } from "./steps.ts";

const HEARTBEAT = { heartbeatMillis: 200, heartbeatMisses: 10 };
const SESSIONS = 16_384;
const TRANSFER_BYTES = 4 << 20;
const BOOT_LIMIT_SECONDS = 240;
const MEET_LIMIT_SECONDS = 120;
const TRANSFER_LIMIT_MILLIS = 180_000;
const RUN = "/run/image";

type Say = (text: string) => void;
const peerOf = (unit: LabUnit): LabUnit => (unit === "A1" ? "B1" : "A1");

/** What a unit's data partition begins with. */
function filesOf(unit: LabUnit): string {
  return join(RUN, `data-${unit}`);
}

/** The two have been paired where they were built. */
function pairUnits(): void {
  pairAtFactory(LAB_UNITS.map((name) => ({ unit: UNIT_NAMES.indexOf(name), name, data: openUnitDirectory(join(filesOf(name), "twinwall", name)).data })));
}

/** A disk of its own for a unit: the image, with a data partition that says who it is. */
async function makeDisk(image: string, unit: LabUnit): Promise<string> {
  const disk = join(WORK, `pair-${unit}.img`);
  await run("cp", ["--sparse=always", image, disk]);
  const files = filesOf(unit);
  const home = join(files, "twinwall");
  const configuration = labConfiguration({ wiring: "routed", twin: true }) as { twin: object };
  const adapted = { ...configuration, sessions: SESSIONS, twin: { ...configuration.twin, ...HEARTBEAT } };
  writeFileSync(join(home, "config.json"), JSON.stringify(adapted, null, 2));
  writeFileSync(join(home, "unit"), `${unit}\n`);
  const data = diskLayout().find(({ name }) => name === "data") as Partition;
  await buildData(`${files}.img`, data.sizeMib, "qemu-virt", 0, files);
  await placePartition(disk, data, `${files}.img`);
  return disk;
}

/** Puts taps where the lab has the unit's own devices. */
function plugIn(unit: LabUnit): void {
  const lines = [PORT_ONE, PORT_THREE].map(
    (port) => `
ip link add b-${port} type bridge stp_state 0 forward_delay 0 mcast_snooping 0
ip tuntap add t-${port} mode tap
for part in ${port} t-${port}; do ip link set $part master b-${port} up; done
ip link set b-${port} up`,
  );
  inNamespace(unit, `sysctl -qw net.ipv6.conf.all.disable_ipv6=1\n${lines.join("")}`);
}

async function startGuest(image: string, unit: LabUnit): Promise<Guest> {
  plugIn(unit);
  const disk = await makeDisk(image, unit);
  const tap = (port: string): string => `tap,ifname=t-${port},script=no,downscript=no`;
  const twin = `dgram,local.type=unix,local.path=${RUN}/twin-${unit},remote.type=unix,remote.path=${RUN}/twin-${peerOf(unit)}`;
  return Guest.start(unit, {
    disk,
    cables: [tap(PORT_ONE), tap(PORT_THREE), twin],
    maintenance: `${RUN}/shell-${unit}`,
    keepsNothing: false,
    prefix: ["ip", "netns", "exec", unit],
  });
}

interface Member {
  readonly unit: string;
  readonly state: string;
  readonly [column: string]: unknown;
}

const rowsOf = async (guest: Guest, command: string): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse(await guest.run(`twinwall ${command} --json`)) as Record<string, unknown>[];

const counterOf = async (guest: Guest, name: string): Promise<number> => {
  const row = (await rowsOf(guest, "counters --all")).find((candidate) => candidate["name"] === name);
  return Number(row?.["value"] ?? 0);
};

/** Waits until the guest's unit and its peer are in step. */
async function meet(guest: Guest, say: Say): Promise<void> {
  const deadline = performance.now() + MEET_LIMIT_SECONDS * 1_000;
  const peer = peerOf(guest.name as LabUnit);
  for (;;) {
    const member = (await rowsOf(guest, "members")).find(({ unit }) => unit === peer) as Member | undefined;
    if (member?.state === "alive" && member["associated"] === 1 && member["digests_equal"] === 1) {
      say(`${guest.name}: ${peer} is alive, keys are agreed, the tables are proven equal; round trip ${Number(member["round_trip_micros"]) / 1_000} ms`);
      return;
    }
    if (performance.now() > deadline) throw new ImageError("image-pair", `${guest.name} and ${peer} do not meet`, JSON.stringify(member));
  }
}

/** What came from the peer between two looks: heartbeats (each path has its own) and frames on the twin port. */
async function countHeartbeats(guest: Guest, say: Say): Promise<void> {
  const peer = peerOf(guest.name as LabUnit);
  const look = async () => {
    const member = (await rowsOf(guest, "members")).find(({ unit }) => unit === peer);
    const port = (await rowsOf(guest, "ports")).find(({ kind }) => kind === "twin");
    return {
      beats: Number(member?.["heartbeats_received"]),
      twinPath: member?.["twin_path"],
      frames: Number(port?.["received_packets"]),
      at: performance.now(),
    };
  };
  const before = await look();
  const after = await look();
  const beats = after.beats - before.beats;
  const frames = after.frames - before.frames;
  const seen = `${beats} heartbeats of ${peer} over all paths and ${frames} frames on the twin port in ${((after.at - before.at) / 1_000).toFixed(1)} s`;
  if (!(beats > 0 && frames > 0 && after.twinPath === 1))
    throw new ImageError(
      "image-pair",
      `${guest.name} does not hear ${peer} over the twin port: ${seen}`,
      await guest.run("twinwall ports; cat /run/manager.log"),
    );
  say(`${guest.name}: ${seen}; on the twin port heartbeats work both ways`);
}

/** A transfer whose requests cross A1 and whose replies arrive at B1. */
async function transfer(guests: Readonly<Record<FirstUnit, Guest>>, address: string, say: Say): Promise<void> {
  const read = async () => ({ off: await counterOf(guests.B1, "handed-off"), here: await counterOf(guests.A1, "handed-here") });
  const before = await read();
  const startedAt = performance.now();
  const result = await startDownload("service1", address, { bytes: TRANSFER_BYTES, limitMillis: TRANSFER_LIMIT_MILLIS }).finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  const after = await read();
  const detail = `${result.bytes.toLocaleString("en-US")} bytes in ${seconds.toFixed(1)} s, B1 handed off ${after.off - before.off}, A1 took ${after.here - before.here}`;
  if (!result.intact || after.off === before.off)
    throw new ImageError(
      "image-pair",
      `service1 → ${address}: ${result.error ?? "not intact, or nothing was handed off"}; ${detail}`,
      await guests.A1.run("twinwall counters"),
    );
  say(`service1 → service3 (${address}): SHA-256 equal; ${detail}`);
}

async function main(image: string): Promise<void> {
  const say: Say = (text) => console.log(text);
  mkdirSync(RUN, { recursive: true });
  pairUnits();
  buildTopology({ wiring: "routed" });
  const guests = { A1: await startGuest(image, "A1"), B1: await startGuest(image, "B1") };
  const services = await startServices("service3");
  try {
    for (const unit of LAB_UNITS) {
      await guests[unit].untilSaid(new RegExp(`unit ${unit}, site`), BOOT_LIMIT_SECONDS);
      await guests[unit].untilDone("open", "grep -q dataplane-ready /run/manager.log", BOOT_LIMIT_SECONDS);
      const fallbacks = (await guests[unit].run("grep '^dataplane: PORT' /run/manager.log; true")).trim();
      const driver = (JSON.parse(await guests[unit].run("twinwall status --json")) as { driver?: string }).driver;
      say(
        `${unit}: forwards ${guests[unit].seconds.toFixed(0)} s after power-on, driver ${driver}${fallbacks === "" ? " in native mode on every port" : `\n${fallbacks}`}`,
      );
    }
    for (const unit of LAB_UNITS) await meet(guests[unit], say);
    for (const unit of LAB_UNITS) await countHeartbeats(guests[unit], say);
    await transfer(guests, SERVICE3.address4, say);
    await transfer(guests, SERVICE3.address6, say);
    say(await guests.A1.run("twinwall status"));
  } finally {
    services.stop();
    for (const unit of LAB_UNITS) {
      guests[unit].stop();
      rmSync(join(WORK, `pair-${unit}.img`), { force: true });
    }
  }
}

try {
  await main(process.argv[2] as string);
  process.exit(0);
} catch (error) {
  console.log(error instanceof ImageError ? error.message : error);
  process.exit(1);
}
