// A generator of small packets, on our own AF_XDP driver: as fast as it can, or evenly at a rate.
//
//   node flood.ts DEVICE syn|udp TO_MAC SOURCE_PREFIX DESTINATION PORT       SOURCE_PREFIX: three numbers of IPv4, a.b.c
//
// Sources are a.b.c.128 to a.b.c.254. SYNs come from ever new tuples; UDP datagrams (1 byte) from 64 of them. Commands on stdin:
// "RATE MILLIS" (RATE 0: as fast as it can). stdout: {"ready": true}, then {"sent"} per command.

import { createInterface } from "node:readline";
import { privateArea } from "../../../firmware/hal/linux/memory.ts";
import { openPorts } from "../../../firmware/hal/linux/ports.ts";
import { createPacketMemory } from "../../../firmware/hal/packets.ts";
import { FRAME_BYTES, FRAMES } from "../../../firmware/limits.ts";

const [, , device = "", kind = "syn", toMac = "", prefix = "", destination = "", portText = "0"] = process.argv;
/** A veth's ring holds 256 frames, so that a burst stays well below. */
const BURST = 32;
const FRAME_LENGTH = 60;
const IP = 14;
const L4 = 34;
const SOURCES = 127;
const UDP_TUPLES = 64;

const memory = createPacketMemory(privateArea(FRAMES * FRAME_BYTES));
const { ports } = openPorts([{ number: 0, device, kind: "data", mtuBytes: 1_500, pairedPort: -1 }], memory);
const [port] = ports;
if (port === undefined) throw new Error("no port");
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const template = Buffer.alloc(FRAME_LENGTH);
template.set(toMac.split(":").map((byte) => Number.parseInt(byte, 16)));
template.set(port.mac, 6);
template.writeUInt16BE(0x0800, 12);
template[IP] = 0x45;
template.writeUInt16BE(kind === "syn" ? 40 : 29, IP + 2);
template[IP + 8] = 64;
template[IP + 9] = kind === "syn" ? 6 : 17;
template.set(prefix.split(".").map(Number), IP + 12);
template.set(destination.split(".").map(Number), IP + 16);
template.writeUInt16BE(Number(portText), L4 + 2);
if (kind === "syn") template.writeUInt32BE(0x5002_ffff, L4 + 12);
else template.writeUInt16BE(9, L4 + 4);

/** One's complement sum over 16-bit words (RFC 1071). */
function checksum(view: DataView, from: number, bytes: number, start: number): number {
  let sum = start;
  for (let k = from; k < from + bytes; k += 2) sum += view.getUint16(k);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

let made = 0;
/** Puts the next packet at `offset`. */
function make(offset: number): void {
  const view = memory.view;
  memory.bytes.set(template, offset);
  const number = kind === "syn" ? made : made % UDP_TUPLES;
  made++;
  view.setUint8(offset + IP + 15, 128 + (number % SOURCES));
  view.setUint16(offset + L4, 1_024 + (Math.floor(number / SOURCES) % 60_000));
  view.setUint16(offset + IP + 10, checksum(view, offset + IP, 20, 0));
  if (kind !== "syn") return; // RFC 768: no checksum
  view.setUint32(offset + L4 + 4, Math.imul(made, 0x9e37_79b1) >>> 0);
  let pseudo = 6 + 20;
  for (let k = offset + IP + 12; k < offset + IP + 20; k += 2) pseudo += view.getUint16(k);
  view.setUint16(offset + L4 + 16, checksum(view, offset + L4, 20, pseudo));
}

function send(rate: number, millis: number): number {
  const started = performance.now();
  let sent = 0;
  for (;;) {
    const elapsed = performance.now() - started;
    if (elapsed >= millis) return sent;
    const due = rate === 0 ? BURST : Math.min(BURST, Math.floor((rate * elapsed) / 1_000) - sent);
    for (let k = 0; k < due; k++) {
      const offset = memory.take();
      if (offset < 0) break;
      make(offset);
      if (port?.transmit(offset, FRAME_LENGTH) === true) sent++;
      else memory.give(offset);
    }
    port?.flush();
    if (due < BURST && rate > 0) Atomics.wait(sleeper, 0, 0, 0.2);
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const [rate, millis] = line.split(" ").map(Number);
  port.service(Math.round(performance.now() * 1_000));
  console.log(JSON.stringify({ sent: send(rate ?? 0, millis ?? 0) }));
});
console.log(JSON.stringify({ ready: true }));
