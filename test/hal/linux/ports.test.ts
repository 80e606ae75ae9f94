// The drivers on real devices, in a network namespace of the file's own: frames counted back, offloads, MTU, removed and
// returned devices, and what each refusal says.

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { PORT_DOWN, PORT_GONE, PORT_UP } from "../../../firmware/hal/contracts.ts";
import { MTU_MOST } from "../../../firmware/hal/linux/device.ts";
import { createDoorbell, createIdle, ringDoorbell, runOn } from "../../../firmware/hal/linux/idle.ts";
import { loadNative } from "../../../firmware/hal/linux/native.ts";
import { checkOffloads } from "../../../firmware/hal/linux/offloads.ts";
import { type LinuxPort, releasePorts } from "../../../firmware/hal/linux/ports.ts";
import { FRAME_HEADROOM_BYTES, FRAMES } from "../../../firmware/limits.ts";
import { arpRequest, clock, isArpReply, isTest, numbered, plan, Side, typeOf } from "./bench.ts";
import { cable, enterNamespace, ip } from "./namespace.ts";
import { runProgram } from "./program.ts";

const entered = enterNamespace(import.meta.filename);
if (typeof entered === "string") test("drivers on real devices", { skip: entered }, async () => {});
else if (entered) {
  ip("link set lo up");
  for (const driver of ["afxdp", "pcap"] as const) onBothDrivers(driver);
  onDevices();
}

function onBothDrivers(driver: "afxdp" | "pcap"): void {
  const packets = driver === "afxdp" ? 1_000_000 : 200_000;

  test(`${driver}: after ${packets} packets with drops, full rings and a port going down and up, every frame is accounted for`, async (t) => {
    cable("p0", "g0");
    cable("p1", "g1");
    const unit = new Side([plan(0, "p0"), plan(1, "p1")], { driver });
    const outside = new Side([plan(0, "g0"), plan(1, "g1")], { driver: "afxdp" });
    const tally = forward(unit, outside, packets);
    t.comment(JSON.stringify(tally));
    t.equal(unit.lostFrames, 0);
    t.equal(outside.lostFrames, 0);
    t.ok(tally.dropped > packets / 20, "the walk dropped");
    t.ok(unit.port(1).counters.transmitFull > 0, "rings were full");
    t.ok(tally.changes >= 4, "the port went down and up");
    t.equal(unit.port(1).state, PORT_UP);
    t.ok(unit.port(1).counters.transmittedPackets > packets / 10, "and yet it forwarded");
    t.equal(unit.port(0).counters.receivedPackets, tally.received);
    unit.close();
    outside.close();
    t.equal(unit.memory.freeCount, FRAMES, "closed ports give everything back");
    t.equal(outside.memory.freeCount, FRAMES);
    ip("link del p0");
    ip("link del p1");
  });

  test(`${driver}: a packet arrives whole, with its IPv4 header on a multiple of four`, async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")], { driver });
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    const sent = numbered(7, 1514).fill(0x5a, 100);
    outside.send(0, sent);
    t.ok(unit.until(() => unit.port(0).receive(unit.offsets, unit.lengths, 256) > 0));
    const offset = unit.offsets[0] as number;
    t.equal((offset + 14) % 4, 0);
    t.equal(offset % 2048, FRAME_HEADROOM_BYTES);
    t.same(unit.memory.bytes.slice(offset, offset + (unit.lengths[0] as number)), sent);
    t.ok(unit.port(0).transmit(offset, 1514));
    unit.port(0).flush();
    t.same(outside.collect(0, 1, isTest), [sent], "and leaves whole");
    t.equal(unit.port(0).counters.receivedBytes, 1514);
    t.equal(unit.port(0).counters.transmittedBytes, 1514);
    unit.close();
    outside.close();
    ip("link del p0");
  });

  test(`${driver}: a tag survives a bridge, in both directions`, async (t) => {
    ip("link add name bridge0 type bridge");
    ip("link set bridge0 up");
    cable("p0", "g0");
    cable("h0", "h1");
    for (const device of ["g0", "h1"]) ip(`link set ${device} master bridge0`);
    const unit = new Side([plan(0, "p0")], { driver });
    const host = new Side([plan(0, "h0")], { driver: "pcap" });
    const tagged = numbered(9, 64, 0x8100);
    tagged.set([0x00, 0x2a, 0x88, 0xb6], 14);
    host.send(0, tagged);
    t.same(
      unit.collect(0, 1, (frame) => typeOf(frame) === 0x8100),
      [tagged],
    );
    tagged[6] = 0x04;
    unit.send(0, tagged);
    t.same(
      host.collect(0, 1, (frame) => typeOf(frame) === 0x8100),
      [tagged],
    );
    t.equal(checkOffloads("p0").stripsTags, false, "stripping is off on the port itself");
    unit.close();
    host.close();
    for (const device of ["p0", "h0", "bridge0"]) ip(`link del ${device}`);
  });

  test(`${driver}: a checksum is right where the sender computes it, and visibly wrong where it leaves that to hardware`, async (t) => {
    cable("p0", "g0");
    ip("addr add 10.9.1.1/24 dev g0");
    const unit = new Side([plan(0, "p0")], { driver });
    ip("neigh add 10.9.1.2 lladdr 02:00:00:00:00:02 dev g0");
    const socket = createSocket("udp4");
    const isUdp = (frame: Uint8Array): boolean => typeOf(frame) === 0x0800 && frame[23] === 17;
    const checksumIsRight = async (): Promise<boolean> => {
      socket.send("hello, checksum", 9, "10.9.1.2");
      await new Promise((resolve) => setImmediate(resolve));
      return udpSum(unit.collect(0, 1, isUdp)[0] as Uint8Array) === 0xffff;
    };
    t.equal(await checksumIsRight(), true);
    execFileSync("ethtool", ["-K", "g0", "tx", "on"], { stdio: "ignore" });
    t.equal(await checksumIsRight(), false);
    socket.close();
    await once(socket, "close");
    unit.close();
    ip("link del p0");
  });

  test(`${driver}: the device gets the planned MTU, so that native XDP is to be had`, async (t) => {
    cable("p0", "g0");
    ip("link set p0 mtu 4000");
    const unit = new Side([plan(0, "p0", { mtuBytes: MTU_MOST })], { driver });
    t.same(unit.opened.fallbacks, []);
    t.equal(linkWord("p0", "mtu"), String(MTU_MOST));
    unit.close();
    t.throws(() => new Side([plan(0, "p0", { mtuBytes: 9000 })], { driver }), {
      code: "PORT_MTU",
      message: /port 0 \(p0\): MTU 9000 is more than a packet frame holds/,
    });
    ip("link del p0");
  });

  test(`${driver}: a removed device is noticed, and works again when it returns`, async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")], { driver });
    const port = unit.port(0);
    t.equal(port.state, PORT_UP);
    ip("link set g0 down");
    t.ok(
      unit.until(() => port.state === PORT_DOWN),
      "no carrier: down",
    );
    ip("link set g0 up");
    t.ok(
      unit.until(() => port.state === PORT_UP),
      "carrier: up",
    );
    ip("link del p0");
    t.ok(
      unit.until(() => port.state === PORT_GONE),
      "gone",
    );
    t.equal(port.descriptor, -1);
    t.equal(unit.memory.freeCount, FRAMES, "its frames are free");
    t.equal(unit.send(0, numbered(1)), false, "transmitting is refused and counted");
    t.equal(port.counters.transmitFull, 1);
    t.same(unit.drain(0), []);
    cable("p0", "g0");
    t.ok(
      unit.until(() => port.state === PORT_UP),
      "up again",
    );
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    outside.send(0, numbered(2));
    t.equal(unit.collect(0, 1, isTest).length, 1);
    t.ok(unit.send(0, numbered(3)));
    t.equal(outside.collect(0, 1, isTest).length, 1);
    t.equal(unit.lostFrames, 0);
    unit.close();
    outside.close();
    ip("link del p0");
  });

  test(`${driver}: the twin port takes only the twin's EtherType, and leaves the rest to the kernel`, async (t) => {
    cable("p0", "g0");
    ip("addr add 10.9.9.9/24 dev p0");
    const unit = new Side([plan(0, "p0", { kind: "twin" })], { driver });
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    outside.send(0, arpRequest([10, 9, 9, 9]));
    t.equal(outside.collect(0, 1, isArpReply).length, 1, "the kernel answers on the twin port: the control channel is its");
    outside.send(0, numbered(1));
    outside.send(0, numbered(2, 60, 0x88b5));
    const received = unit.collect(0, 1, () => true);
    t.same(received.map(typeOf), [0x88b5]);
    unit.close();
    outside.close();
    ip("link del p0");
  });

  test(`${driver}: the backlog is discarded, and its frames are free again`, async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")], { driver });
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    for (let k = 0; k < 100; k++) outside.send(0, numbered(k));
    t.ok(unit.until(() => unit.port(0).discardBacklog() > 0));
    t.equal(unit.lostFrames, 0);
    outside.send(0, numbered(1000));
    t.equal(unit.collect(0, 1, (frame) => isTest(frame) && frame[16] === 0x03).length, 1, "what comes later arrives");
    unit.close();
    outside.close();
    ip("link del p0");
  });
}

function onDevices(): void {
  test("a device without XDP of its own gets generic mode, and the note says why", async (t) => {
    ip("link add p0 type bridge");
    const unit = new Side([plan(0, "p0")]);
    t.equal(unit.port(0).driver, "afxdp");
    t.match(unit.opened.fallbacks, [{ code: "PORT_XDP", device: "p0", taken: "generic mode" }]);
    t.match(unit.opened.fallbacks[0]?.sentence, /^PORT_XDP: port 0 \(p0\): AF_XDP in native mode is not to be had \(ENOTSUP, .*\); using generic mode$/);
    unit.close();
    ip("link del p0");
  });

  test("where the kernel grants no BPF, node-pcap is used, and the notes say so", async (t) => {
    cable("p0", "g0");
    const program = `
      import { plan, Side } from "./bench.ts";
      const unit = new Side([plan(0, "p0")]);
      for (const fallback of unit.opened.fallbacks) console.log(fallback.sentence);
      console.log("driver", unit.port(0).driver);
      unit.close();
      try {
        new Side([plan(0, "p0")], { driver: "afxdp" });
      } catch (error) {
        console.log("alone", error.code);
      }`;
    const poor = runProgram(program, ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon"]);
    t.equal(
      await poor.line("PORT_XDP"),
      "PORT_XDP: port 0 (p0): AF_XDP is not to be had (the XDP program cannot be loaded (EPERM, operation not permitted)); using node-pcap",
    );
    t.match(await poor.line("PORT_XDP"), /the kernel's shield under node-pcap is not to be had \(EPERM.*\); using no address and no forwarding in the kernel/);
    t.equal(await poor.line("driver"), "driver pcap");
    t.equal(await poor.line("alone"), "alone PORT_XDP");
    ip("link del p0");
  });

  test("what must not be a port is refused with the reason and the remedy", async (t) => {
    cable("p0", "g0");
    t.throws(() => new Side([plan(0, "eth9")]), { code: "PORT_NO_DEVICE", message: /port 0: there is no network device eth9/ });
    ip("addr add 10.9.2.1/24 dev p0");
    t.throws(() => new Side([plan(0, "p0")]), { code: "PORT_HAS_ADDRESS", message: /port 0 \(p0\): the kernel has an address .* ip address flush dev p0/ });
    ip("addr flush dev p0");
    ip("link add name bridge0 type bridge");
    ip("link set p0 master bridge0");
    t.throws(() => new Side([plan(0, "p0")]), { code: "PORT_ENSLAVED", message: /ip link set p0 nomaster/ });
    ip("link del bridge0");
    const folder = mkdtempSync(join(tmpdir(), "hal-foreign-"));
    writeFileSync(
      join(folder, "foreign.c"),
      '__attribute__((section("xdp"), used)) int foreign(void *c) { return 2; }\n__attribute__((section("license"), used)) char L[] = "GPL";\n',
    );
    execFileSync("clang", ["-target", "bpf", "-O2", "-g", "-c", join(folder, "foreign.c"), "-o", join(folder, "foreign.o")]);
    ip(`link set p0 xdp obj ${folder}/foreign.o sec xdp`);
    rmSync(folder, { recursive: true });
    t.throws(() => new Side([plan(0, "p0")]), { code: "PORT_XDP_FOREIGN", message: /ip link set p0 xdp off/ });
    ip("link set p0 xdp off");
    const unit = new Side([plan(0, "p0")]);
    t.equal(unit.port(0).state, PORT_UP, "and then it is one");
    unit.close();
    ip("link del p0");
  });

  test("a returned device that is not fit to be a port stays closed, and says why", async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")]);
    ip("link del p0");
    t.ok(unit.until(() => unit.port(0).state === PORT_GONE));
    ip("link add p0 type veth peer name g0");
    ip("addr add 10.9.2.1/24 dev p0");
    t.ok(unit.until(() => unit.port(0).failure !== undefined));
    t.match(unit.port(0).failure, { code: "PORT_HAS_ADDRESS" });
    t.equal(unit.port(0).state, PORT_DOWN);
    ip("addr flush dev p0");
    ip("link set g0 up");
    t.ok(
      unit.until(() => unit.port(0).state === PORT_UP),
      "it is tried again",
    );
    t.equal(unit.port(0).failure, undefined);
    unit.close();
    ip("link del p0");
  });

  test("a device with several receive queues is told to use one", async (t) => {
    ip("link add p0 numrxqueues 4 numtxqueues 4 type veth peer name g0 numrxqueues 4 numtxqueues 4");
    ip("link set g0 up");
    execFileSync("ethtool", ["-L", "p0", "rx", "2", "tx", "2"], { stdio: "ignore" });
    t.equal(loadNative().queues("p0"), 2);
    const unit = new Side([plan(0, "p0")]);
    t.equal(loadNative().queues("p0"), 1);
    t.equal(unit.port(0).driver, "afxdp");
    unit.close();
    ip("link del p0");
  });

  test("a processor that does not exist is refused with the reason", async (t) => {
    t.equal(runOn(-1, 0), undefined);
    t.match(runOn(1023, 0), /processor 1023, nice 0: EINVAL/);
  });

  test("a released device is the kernel's again", async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")]);
    unit.close();
    t.equal(programOn("p0"), true, "a closed port keeps its program: nothing passes");
    releasePorts(["p0"]);
    t.equal(programOn("p0"), false);
    ip("link del p0");
  });

  test("while packets gather, a data port's packet does not end the wait; a twin port's does, and the doorbell", async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")]);
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    const doorbell = createDoorbell();
    /** Whether a wait after a breath that moved packets lasts as long as it is told. */
    const gathers = (millis: number, twinPorts: readonly LinuxPort[], dataPorts: readonly LinuxPort[]): boolean => {
      const idle = createIdle(twinPorts, dataPorts, doorbell, { breathed: () => millis * 1_000 });
      const before = clock.nowMicros();
      idle.rest(20, 0);
      return clock.nowMicros() - before >= millis * 1000 - 1000;
    };
    unit.collect(0, 1, () => false, 50);
    outside.send(0, numbered(1));
    t.equal(gathers(20, [], unit.opened.ports), true, "at a data port");
    t.equal(gathers(20_000, unit.opened.ports, []), false, "at a twin port");
    ringDoorbell(doorbell);
    t.equal(gathers(20_000, [], unit.opened.ports), false, "the doorbell");
    unit.close();
    outside.close();
    ip("link del p0");
  });

  test("waiting ends with a packet, with the doorbell, or with the time", async (t) => {
    cable("p0", "g0");
    const unit = new Side([plan(0, "p0")]);
    const outside = new Side([plan(0, "g0")], { driver: "pcap" });
    const doorbell = createDoorbell();
    const idle = createIdle([], unit.opened.ports, doorbell);
    const waits = (millis: number): boolean => {
      const before = clock.nowMicros();
      idle.rest(0, millis * 1_000);
      return clock.nowMicros() - before >= millis * 1000 - 1000;
    };
    unit.collect(0, 1, () => false, 50);
    t.equal(waits(5), true, "nothing happens");
    ringDoorbell(doorbell);
    t.equal(waits(20_000), false, "the doorbell");
    t.equal(waits(5), true, "which rings once");
    outside.send(0, numbered(1));
    t.equal(waits(20_000), false, "a packet");
    unit.close();
    outside.close();
    ip("link del p0");
  });
}

interface Tally {
  readonly sent: number;
  readonly received: number;
  readonly dropped: number;
  readonly changes: number;
  readonly packetsPerSecond: number;
}

/** Sends `packets` packets through the unit, from p0 to p1, which drops every seventh, is slow to flush at times and whose p1 goes down and up. */
function forward(unit: Side, outside: Side, packets: number): Tally {
  const [p0, p1] = [unit.port(0), unit.port(1)];
  const [g0, g1] = [outside.port(0), outside.port(1)];
  const started = clock.nowMicros();
  let sent = 0;
  let received = 0;
  let dropped = 0;
  let changes = 0;
  let nextChange = packets / 6;
  for (let breath = 0; sent < packets; breath++) {
    for (let k = 0; k < 64; k++) {
      const offset = outside.memory.take();
      if (offset < 0) break;
      outside.memory.view.setUint16(offset + 12, 0x88b6);
      if (!g0.transmit(offset, 60)) {
        outside.memory.give(offset);
        break;
      }
      sent++;
    }
    g0.flush();
    const count = p0.receive(unit.offsets, unit.lengths, 256);
    received += count;
    for (let k = 0; k < count; k++) {
      const offset = unit.offsets[k] as number;
      const isDropped = (received + k) % 7 === 0;
      if (isDropped) dropped++;
      if (isDropped || !p1.transmit(offset, unit.lengths[k] as number)) unit.memory.give(offset);
    }
    p0.flush();
    // For 64 breaths out of 1,024 nobody empties the ring.
    if ((breath & 1023) >= 64) p1.flush();
    const arrived = g1.receive(outside.offsets, outside.lengths, 256);
    for (let k = 0; k < arrived; k++) outside.memory.give(outside.offsets[k] as number);
    g1.flush();
    if (sent >= nextChange && changes < 4) {
      nextChange += packets / 6;
      ip(`link set p1 ${changes % 2 === 0 ? "down" : "up"}`);
      changes++;
    }
    if ((breath & 15) === 0) {
      unit.service();
      outside.service();
    }
  }
  unit.until(() => p1.state === PORT_UP);
  return { sent, received, dropped, changes, packetsPerSecond: Math.round((sent / (clock.nowMicros() - started)) * 1e6) };
}

/** Folded sum over pseudo-header and UDP datagram of an Ethernet frame: 0xffff when the checksum is right (RFC 768). */
function udpSum(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const udpBytes = view.getUint16(38);
  let sum = 17 + udpBytes;
  for (let at = 26; at < 34; at += 2) sum += view.getUint16(at);
  for (let at = 34; at < 34 + udpBytes; at += 2) sum += at + 1 < 34 + udpBytes ? view.getUint16(at) : view.getUint8(at) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function linkWord(device: string, word: string): string | undefined {
  const words = execFileSync("ip", ["link", "show", "dev", device], { encoding: "utf8" }).split(/\s+/);
  return words[words.indexOf(word) + 1];
}

function programOn(device: string): boolean {
  return execFileSync("ip", ["-d", "link", "show", "dev", device], { encoding: "utf8" }).includes("prog/xdp");
}
