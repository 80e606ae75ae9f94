// A crowd: both ends of many sessions on our own AF_XDP driver, so that each packet that goes in can be looked for where it must come out.
//
//   node crowd.ts SESSIONS ONE ONE_GATEWAY_MAC THREE THREE_GATEWAY_MAC        ONE, THREE: devices in the zones of clients and servers
//
// Session n is one of CLIENTS × SERVERS × ports; every other port is UDP (a datagram and its answer), the others TCP (SYN, SYN/ACK, ACK).
// Every payload carries its phase and n, so that what arrives is exactly accounted, and a straggler of an earlier phase counts for nothing.
// A gateway that announces itself is followed, as hosts do. What is not accounted is sent again, with the same sequence numbers: loss on
// a busy machine is no lost session.
//
// Commands on stdin, an object on stdout for each:
//   open        establishes all sessions                                        {"opened", "again"}
//   replies     one packet from each server to its client, none of which could make a session     {"arrived", "again"}
//   requests    one from each client to its server                              {"arrived", "again"}

import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { privateArea } from "../../../firmware/hal/linux/memory.ts";
import { openPorts } from "../../../firmware/hal/linux/ports.ts";
import { createPacketMemory } from "../../../firmware/hal/packets.ts";
import { BATCH, FRAME_BYTES, FRAMES } from "../../../firmware/limits.ts";
import { ECHO_PORT, HTTP_PORT } from "../picture.ts";

const SESSIONS = Number(process.argv[2]);
const DEVICES = [process.argv[3] ?? "", process.argv[5] ?? ""];
const GATEWAYS = [process.argv[4] ?? "", process.argv[6] ?? ""].map((mac) => mac.split(":").map((byte) => Number.parseInt(byte, 16)));

/** Zone one has the clients, zone three the servers: end 0 and end 1. */
const NETWORKS = [(10 << 24) | (1 << 16), (10 << 24) | (3 << 16)];
const ENDS = 4;
const FIRST_HOST = 201;
const GATEWAY_HOST = 1;
const FIRST_PORT = 16_384;
/** Handshakes under way: four servers share them, and each may have 2,048 per site. */
const UNDER_WAY_MOST = 2_000;
/** Per round of the loop and port; a veth's ring holds 256 frames. */
const BURST = 48;
const AGAIN_MILLIS = 300;
/** Nobody gets through any more: what is missing then is lost. */
const LOST_MILLIS = 15_000;

const SYN = 0x02;
const SYN_ACK = 0x12;
const ACK = 0x10;
const PUSH_ACK = 0x18;
const CLIENT_SEQUENCE = 1_000;
const SERVER_SEQUENCE = 5_000;
const [IP, L4, TCP_PAYLOAD, UDP_PAYLOAD] = [14, 34, 54, 42];
const PAYLOAD_BYTES = 8;
const [OPENING, ANSWERING] = [1, 2];

const memory = createPacketMemory(privateArea(FRAMES * FRAME_BYTES));
const { ports } = openPorts(
  DEVICES.map((device, number) => ({ number, device, kind: "data", mtuBytes: 1_500, pairedPort: -1 })),
  memory,
);
const view = memory.view;
const offsets = new Int32Array(BATCH);
const lengths = new Int32Array(BATCH);

/** By session: 1 = the client has its SYN/ACK; 2 = open at both ends. In later phases: the phase whose packet has arrived. */
const stages = new Uint8Array(SESSIONS);
let [done, phase] = [0, OPENING];
/** The end that sends: clients open, and whoever was asked for sends later on. Each run of theirs is a phase of its own. */
let sender = 0;
let lastPhase = ANSWERING;

const isUdp = (n: number): boolean => ((n >> 4) & 1) === 0;

/** One's complement sum over 16-bit words (RFC 1071). */
function checksum(from: number, bytes: number, start: number): number {
  let sum = start;
  for (let k = from; k < from + bytes; k += 2) sum += view.getUint16(k);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Sends a packet of session n from `end`; false: its port is full. TCP: `flags`. `payload`: what kind of payload it carries, 0 = none. */
function send(n: number, end: number, flags: number, payload: number): boolean {
  const port = ports[end];
  const at = memory.take();
  if (at < 0 || port === undefined) return false;
  const udp = isUdp(n);
  const bytes = (udp ? UDP_PAYLOAD : TCP_PAYLOAD) + (payload === 0 ? 0 : PAYLOAD_BYTES);
  memory.bytes.fill(0, at, at + Math.max(bytes, 60));
  memory.bytes.set(GATEWAYS[end] ?? [], at);
  memory.bytes.set(port.mac, at + 6);
  view.setUint16(at + 12, 0x0800);
  view.setUint16(at + IP, 0x4500);
  view.setUint16(at + IP + 2, bytes - IP);
  view.setUint16(at + IP + 8, (64 << 8) | (udp ? 17 : 6));
  const addresses = [(NETWORKS[0] as number) + FIRST_HOST + (n & 3), (NETWORKS[1] as number) + FIRST_HOST + ((n >> 2) & 3)];
  view.setInt32(at + IP + 12, addresses[end] as number);
  view.setInt32(at + IP + 16, addresses[1 - end] as number);
  view.setUint16(at + IP + 10, checksum(at + IP, 20, 0));
  const numbers = [FIRST_PORT + (n >> 4), udp ? ECHO_PORT : HTTP_PORT];
  view.setUint16(at + L4, numbers[end] as number);
  view.setUint16(at + L4 + 2, numbers[1 - end] as number);
  if (payload !== 0) {
    view.setUint32(at + bytes - PAYLOAD_BYTES, payload);
    view.setUint32(at + bytes - PAYLOAD_BYTES + 4, n);
  }
  if (udp) view.setUint16(at + L4 + 4, bytes - L4);
  else finishTcp(at, bytes, end, flags);
  if (port.transmit(at, Math.max(bytes, 60))) return true;
  memory.give(at);
  return false;
}

function finishTcp(at: number, bytes: number, end: number, flags: number): void {
  const synchronised = flags === SYN || flags === SYN_ACK ? 0 : 1;
  view.setUint32(at + L4 + 4, (end === 0 ? CLIENT_SEQUENCE : SERVER_SEQUENCE) + synchronised);
  if (flags !== SYN) view.setUint32(at + L4 + 8, (end === 0 ? SERVER_SEQUENCE : CLIENT_SEQUENCE) + 1);
  view.setUint32(at + L4 + 12, ((0x5000 | flags) << 16) | 0xffff);
  // The pseudo header; an odd length does not occur.
  view.setUint16(at + L4 + 16, checksum(at + IP + 12, bytes - IP - 12, 6 + bytes - L4));
}

/** Answers a question for the MAC of one of this end's hosts, in place. */
function answerArp(at: number, end: number): boolean {
  const target = view.getInt32(at + 38) - (NETWORKS[end] as number) - FIRST_HOST;
  const port = ports[end];
  if (view.getUint16(at + 20) !== 1 || target < 0 || target >= ENDS || port === undefined) return false;
  const asked = view.getInt32(at + 38);
  memory.bytes.copyWithin(at, at + 6, at + 12);
  memory.bytes.set(port.mac, at + 6);
  view.setUint16(at + 20, 2);
  memory.bytes.copyWithin(at + 32, at + 22, at + 32);
  memory.bytes.set(port.mac, at + 22);
  view.setInt32(at + 28, asked);
  return port.transmit(at, 60);
}

/** What the gateway of this end says of itself, in any ARP message, is its MAC from now on. */
function followGateway(at: number, end: number): void {
  if (view.getInt32(at + 28) === (NETWORKS[end] as number) + GATEWAY_HOST) GATEWAYS[end] = [...memory.bytes.subarray(at + 22, at + 28)];
}

/** The session that a packet which arrived at `end` belongs to, or -1. */
function sessionOf(at: number, end: number): number {
  const own = view.getInt32(at + IP + 16) - (NETWORKS[end] as number) - FIRST_HOST;
  const other = view.getInt32(at + IP + 12) - (NETWORKS[1 - end] as number) - FIRST_HOST;
  const port = view.getUint16(at + L4 + (end === 0 ? 2 : 0)) - FIRST_PORT;
  if (own < 0 || own >= ENDS || other < 0 || other >= ENDS || port < 0) return -1;
  const n = (port << 4) | (end === 0 ? (other << 2) | own : (own << 2) | other);
  return n < SESSIONS && view.getUint8(at + IP + 9) === (isUdp(n) ? 17 : 6) ? n : -1;
}

function account(n: number, stage: number): void {
  if (stages[n] === stage) return;
  stages[n] = stage;
  if (stage !== 1) done++;
}

/** What a packet of session n brings about at the end where it arrived. */
function arrived(at: number, n: number, end: number): void {
  const bytes = view.getUint16(at + IP + 2) + IP;
  const udp = isUdp(n);
  const carries = bytes >= (udp ? UDP_PAYLOAD : TCP_PAYLOAD) + PAYLOAD_BYTES;
  const payload = carries && view.getUint32(at + bytes - 4) === n ? view.getUint32(at + bytes - 8) : 0;
  if (phase !== OPENING) {
    if (payload === phase && end !== sender) account(n, phase);
    return;
  }
  if (stages[n] === OPEN) return;
  if (udp && end === 1 && payload === OPENING) send(n, 1, 0, ANSWERING);
  else if (udp && end === 0 && payload === ANSWERING) account(n, OPEN);
  else if (!udp) handshake(n, end, view.getUint8(at + L4 + 13));
}

const OPEN = 2;

function handshake(n: number, end: number, flags: number): void {
  if (end === 1 && flags === SYN) send(n, 1, SYN_ACK, 0);
  else if (end === 1 && flags === ACK) account(n, OPEN);
  else if (end === 0 && flags === SYN_ACK) {
    account(n, 1);
    send(n, 0, ACK, 0);
  }
}

/** Takes in what has arrived at both ends; how much that was. */
function receive(): number {
  let count = 0;
  for (const [end, port] of ports.entries()) {
    const found = port.receive(offsets, lengths, BATCH);
    count += found;
    for (let k = 0; k < found; k++) {
      const at = offsets[k] as number;
      const type = view.getUint16(at + 12);
      if (type === 0x0806) {
        followGateway(at, end);
        if (answerArp(at, end)) continue;
      }
      const n = type === 0x0800 ? sessionOf(at, end) : -1;
      if (n >= 0) arrived(at, n, end);
      memory.give(at);
    }
  }
  return count;
}

/** The packet of the present phase that session n still needs. */
function push(n: number): boolean {
  if (phase === OPENING && isUdp(n)) return send(n, 0, 0, OPENING);
  if (phase === OPENING) return send(n, 0, stages[n] === 1 ? ACK : SYN, 0);
  return send(n, sender, PUSH_ACK, phase);
}

function flush(): void {
  for (const port of ports) port.flush();
}

/** One phase, to its end or until nothing helps. Resolves to how many sessions got through, and how many packets were sent again. */
async function run(command: string): Promise<{ done: number; again: number }> {
  sender = command === "replies" ? 1 : 0;
  [phase, done] = [command === "open" ? OPENING : ++lastPhase, 0];
  const finished = phase === OPENING ? OPEN : phase;
  // `fresh`: the first session that nothing was sent for yet; `sent`: packets of this pass that may still arrive, and all that have.
  let [cursor, fresh, sent, again, movedAt, restartedAt] = [0, 0, 0, 0, performance.now(), 0];
  while (done < SESSIONS && performance.now() - movedAt < LOST_MILLIS) {
    const before = done;
    receive();
    for (let k = 0; k < BURST && sent - done < UNDER_WAY_MOST; k++) {
      while (cursor < SESSIONS && stages[cursor] === finished) cursor++;
      if (cursor === SESSIONS || !push(cursor)) break;
      if (cursor < fresh) again++;
      cursor++;
      fresh = Math.max(fresh, cursor);
      sent++;
    }
    flush();
    const now = performance.now();
    if (done > before) movedAt = now;
    if (now - Math.max(movedAt, restartedAt) > AGAIN_MILLIS) {
      // Nothing moves any more: what is not accounted was lost, and goes again.
      [cursor, sent, restartedAt] = [0, done, now];
    }
    await pause(0);
  }
  return { done, again };
}

let busy = false;
createInterface({ input: process.stdin }).on("line", async (command) => {
  busy = true;
  const { done: count, again } = await run(command);
  busy = false;
  console.log(JSON.stringify(command === "open" ? { opened: count, again } : { arrived: count, again }));
});
console.log(JSON.stringify({ ready: true }));
for (;;) {
  // Also between commands: units ask who has which address.
  if (!busy) {
    receive();
    flush();
  }
  for (const port of ports) port.service(Math.round(performance.now() * 1_000));
  await pause(5);
}
