// F1: a dead dataplane passes nothing, with either driver, and the next one takes over where it died. The dataplane here
// is a child that forwards between two ports and is ended with kill -9; the kernel beside it is as tempted as can be: it has
// an address that it would answer for, and was told to forward.

import { writeFileSync } from "node:fs";
import { test } from "tap";
import { PORT_UP } from "../../../firmware/hal/contracts.ts";
import type { AfxdpPort } from "../../../firmware/hal/linux/afxdp.ts";
import { releasePorts } from "../../../firmware/hal/linux/ports.ts";
import { FRAMES } from "../../../firmware/limits.ts";
import { arpRequest, isArpReply, isTest, numbered, plan, Side } from "./bench.ts";
import { cable, enterNamespace, ip } from "./namespace.ts";
import { runProgram } from "./program.ts";

/** An address of the kernel's, on another device: it answers ARP for it on any. */
const KERNEL_ADDRESS = [10, 9, 9, 9] as const;
const QUIET_MILLIS = 100;

const entered = enterNamespace(import.meta.filename);
if (typeof entered === "string") test("a dead dataplane", { skip: entered }, async () => {});
else if (entered) {
  ip("link set lo up");
  ip(`addr add ${KERNEL_ADDRESS.join(".")}/32 dev lo`);
  for (const driver of ["afxdp", "pcap"] as const) onBothDrivers(driver);
  managementTest();
}

function forwarder(driver: string): string {
  return `
    import { plan, Side } from "./bench.ts";
    const unit = new Side([plan(0, "p0"), plan(1, "p1")], { driver: "${driver}" });
    console.log("forwarding");
    unit.until(() => {
      for (const [from, to] of [[0, 1], [1, 0]] as const) {
        const count = unit.port(from).receive(unit.offsets, unit.lengths, 256);
        for (let k = 0; k < count; k++) {
          const offset = unit.offsets[k] as number;
          if (!unit.port(to).transmit(offset, unit.lengths[k] as number)) unit.memory.give(offset);
        }
        unit.port(to).flush();
        unit.port(from).flush();
      }
      return false;
    }, 60_000);`;
}

function onBothDrivers(driver: "afxdp" | "pcap"): void {
  test(`F1: ${driver}: a dead dataplane passes nothing and answers nothing; the next one takes over`, async (t) => {
    cable("p0", "g0");
    cable("p1", "g1");
    for (const device of ["p0", "p1"]) ip(`link set ${device} up`);
    const outside = new Side([plan(0, "g0"), plan(1, "g1")], { driver: "pcap" });
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    outside.send(0, arpRequest(KERNEL_ADDRESS));
    t.equal(outside.collect(0, 1, isArpReply).length, 1, "left alone, the kernel answers on the port");

    const dataplane = runProgram(forwarder(driver));
    t.teardown(() => dataplane.kill());
    await dataplane.line("forwarding");
    t.ok(outside.until(() => outside.port(0).state === PORT_UP));
    outside.send(0, numbered(1));
    t.equal(outside.collect(1, 1, isTest).length, 1, "alive, it forwards");
    outside.send(0, arpRequest(KERNEL_ADDRESS));
    t.same(outside.collect(0, 1, isArpReply, QUIET_MILLIS), [], "and the kernel is silent");

    await dataplane.kill();
    outside.drain(1);
    for (let k = 0; k < 20; k++) outside.send(0, numbered(k));
    outside.send(0, arpRequest(KERNEL_ADDRESS));
    t.same(
      outside.collect(1, 1, () => true, QUIET_MILLIS),
      [],
      "dead, it passes nothing",
    );
    t.same(
      outside.collect(0, 1, () => true, QUIET_MILLIS),
      [],
      "and nobody answers",
    );

    const next = new Side([plan(0, "p0"), plan(1, "p1")], { driver });
    t.ok(next.until(() => next.port(0).state === PORT_UP && next.port(1).state === PORT_UP));
    if (driver === "afxdp") t.equal((next.port(0) as AfxdpPort).steering?.adopted, true, "the program was adopted, not attached anew");
    for (const k of [0, 1]) next.port(k).discardBacklog();
    outside.send(0, numbered(77));
    t.equal(next.collect(0, 1, (frame) => isTest(frame) && frame[17] === 77).length, 1, "the next dataplane receives");
    t.ok(next.send(1, numbered(78)));
    t.equal(outside.collect(1, 1, isTest).length, 1, "and sends");
    next.close();
    t.equal(next.memory.freeCount, FRAMES);

    releasePorts(["p0", "p1"]);
    outside.send(0, arpRequest(KERNEL_ADDRESS));
    t.equal(outside.collect(0, 1, isArpReply).length, 1, "released, the port is the kernel's again");
    outside.close();
    ip("link del p0");
    ip("link del p1");
  });
}

function managementTest(): void {
  for (const driver of ["afxdp", "pcap"] as const) {
    test(`${driver}: the management address on a data port is the kernel's, and nothing else is`, async (t) => {
      cable("p0", "g0");
      ip("addr add 10.9.3.1/24 dev p0");
      const management = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 3, 1];
      const unit = new Side([plan(0, "p0")], { driver, management });
      const outside = new Side([plan(0, "g0")], { driver: "pcap" });
      outside.send(0, arpRequest([10, 9, 3, 1]));
      t.equal(outside.collect(0, 1, isArpReply).length, 1, "the kernel answers for it");
      outside.send(0, arpRequest(KERNEL_ADDRESS));
      t.equal(unit.collect(0, 1, () => true).length, 1, "another address is the dataplane's");
      t.same(outside.collect(0, 1, isArpReply, QUIET_MILLIS), []);
      unit.close();
      const plain = new Side([plan(0, "p0", { kind: "twin" })], { driver });
      if (driver === "afxdp") t.equal((plain.port(0) as AfxdpPort).steering?.adopted, false, "a program with another configuration is replaced");
      plain.close();
      outside.close();
      ip("link del p0");
    });
  }
}
