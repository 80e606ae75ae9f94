// Throws mutated packets at the parsers. Nothing may throw, read outside the packet, or report what it did not verify.
//
//   seeds (crafted packets, captures) ─► mutate ─► mend checksums, mostly ─► check ─► sanity ─► what a sound row promises
//
// Each packet lies in a buffer of exactly its size, so that V8 itself checks every read; one in GUARDED lies inside a frame
// of packet memory under a view that knows the packet's bounds, at the offsets of real life.

import { checkPacket } from "../../firmware/fastpath/check.ts";
import { P_FLAGS, P_FRAGMENT, P_IP_BYTES, P_L3, P_L4, P_L4_BYTES, P_LENGTH, P_OFFSET, P_PROTOCOL, PACKET_LOCAL } from "../../firmware/fastpath/packets.ts";
import { Routes } from "../../firmware/fastpath/routes.ts";
import { sanity } from "../../firmware/fastpath/sanity.ts";
import { DROP_NAMES } from "../../firmware/fastpath/verdicts.ts";
import { checksumOf, sumBytes } from "../../firmware/fastpath/wire/checksum.ts";
import { tcpHeaderBytes } from "../../firmware/fastpath/wire/tcp.ts";
import { FRAME_BYTES, FRAME_HEADROOM_BYTES, PACKET_BYTES_MOST } from "../../firmware/limits.ts";
import { CHECKED, craft, mac, plan, row } from "../fastpath/craft.ts";
import { captures } from "../vectors/pcap.ts";
import { Chance } from "./chance.ts";
import { GuardedView } from "./guard.ts";

const NO_REVERSE_PATH = { ...CHECKED, reversePath: false };

const GUARDED = 16;
/** Longer seeds teach nothing and take time. */
const SEED_BYTES_MOST = 400;
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 39, 40, 43, 44, 58, 60, 127, 128, 129, 130, 133, 135, 136, 148, 254, 255];

export interface FuzzReport {
  readonly runs: number;
  readonly seeds: number;
  /** Packets by reason. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** Runs until `runs` packets were tried or `minutes` have passed; throws at the first promise broken, with the packet in hexadecimal. */
export function fuzzParsers(seed: number, runs: number, minutes = Number.POSITIVE_INFINITY): FuzzReport {
  const mutants = new Mutants(seed);
  const routes = new Routes(plan());
  const counts = new Float64Array(DROP_NAMES.length);
  const exact = new Uint8Array(PACKET_BYTES_MOST);
  const area = new ArrayBuffer(FRAME_BYTES);
  const frame = new Uint8Array(area);
  const guarded = new GuardedView(area);
  const packet = row(0);
  const until = performance.now() + minutes * 60_000;
  let run = 0;
  for (; run < runs && ((run & 0xffff) !== 0 || performance.now() < until); run++) {
    const length = mutants.next(exact);
    const isGuarded = run % GUARDED === 0;
    packet[P_OFFSET] = isGuarded ? FRAME_HEADROOM_BYTES : 0;
    packet[P_LENGTH] = length;
    let view: DataView;
    if (isGuarded) {
      frame.set(exact.subarray(0, length), FRAME_HEADROOM_BYTES);
      guarded.guard(FRAME_HEADROOM_BYTES, FRAME_HEADROOM_BYTES + length);
      view = guarded;
    } else view = new DataView(exact.buffer, 0, length);
    try {
      let reason = checkPacket(view, packet, 0, (run & 3) === 0);
      if (reason === 0) {
        promised(view, packet);
        if (((packet[P_FLAGS] as number) & PACKET_LOCAL) === 0) reason = sanity(packet, 0, view, routes, (run & 1) === 0 ? CHECKED : NO_REVERSE_PATH);
      }
      counts[reason] = (counts[reason] as number) + 1;
    } catch (error) {
      throw new Error(`seed ${seed}, run ${run}: ${Buffer.from(exact.subarray(0, length)).toString("hex")}`, { cause: error });
    }
  }
  return {
    runs: run,
    seeds: mutants.seeds,
    reasons: new Map(DROP_NAMES.map((name, k): [string, number] => [name, counts[k] as number]).filter(([, count]) => count > 0)),
  };
}

/** An endless row of damaged packets, the same for the same seed. */
export class Mutants {
  private readonly chance: Chance;
  private readonly packets = seedPackets();

  constructor(seed: number) {
    this.chance = new Chance(seed);
  }

  /** How many packets they are made from. */
  get seeds(): number {
    return this.packets.length;
  }

  /** Writes the next one into `to`, PACKET_BYTES_MOST long; returns its length. */
  next(to: Uint8Array): number {
    return mutate(this.chance, this.packets[this.chance.below(this.packets.length)] as Uint8Array, to);
  }
}

/** What later steps rely on when check() found nothing wrong: all of it lies inside the packet. */
function promised(view: DataView, packet: Int32Array): void {
  const end = (packet[P_OFFSET] as number) + (packet[P_LENGTH] as number);
  const l3 = packet[P_L3] as number;
  const must = (holds: boolean, what: string) => {
    if (!holds) throw new Error(what);
  };
  must(l3 > (packet[P_OFFSET] as number), "a network header");
  const l4 = packet[P_L4] as number;
  if (l4 === 0) return; // ARP
  must(l3 + (packet[P_IP_BYTES] as number) <= end, "the IP packet inside the frame");
  must(l4 + (packet[P_L4_BYTES] as number) === l3 + (packet[P_IP_BYTES] as number), "the transport part up to the IP packet's end");
  if (((packet[P_FRAGMENT] as number) & ~1) !== 0 || packet[P_PROTOCOL] !== 6) return;
  const header = tcpHeaderBytes(view, l4);
  must(header >= 20 && header <= (packet[P_L4_BYTES] as number), "a whole TCP header");
  for (let k = l4 + 20; k < l4 + header && view.getUint8(k) !== 0; k += view.getUint8(k) === 1 ? 1 : view.getUint8(k + 1))
    must(view.getUint8(k) === 1 || view.getUint8(k + 1) >= 2, "TCP options that advance");
}

/** Copies a seed into `to` and damages it in one to four places. Returns the length. */
function mutate(chance: Chance, seed: Uint8Array, to: Uint8Array): number {
  to.set(seed);
  let length = seed.length;
  for (let times = 1 + chance.below(4); times > 0; times--) {
    const kind = chance.below(8);
    // Headers are where the parsers are: three of four places lie in the first 80 bytes.
    const at = chance.below(chance.below(4) === 0 ? length : Math.min(length, 80));
    if (kind === 0) length = Math.max(1, chance.below(length + 1));
    else if (kind === 1) to[at] = (to[at] as number) ^ (1 << chance.below(8));
    else if (kind <= 4) to[at] = EDGES[chance.below(EDGES.length)] as number;
    else if (kind === 5) to[at] = chance.below(256);
    else if (kind === 6 && length + 8 <= PACKET_BYTES_MOST) {
      to.copyWithin(at + 8, at, length);
      length += 8;
    } else if (length > at + 8) {
      to.copyWithin(at, at + 8, length);
      length -= 8;
    }
  }
  if (chance.below(8) !== 0) mend(to, length);
  return length;
}

/** Makes the IPv4 header's length and checksum right again, so that what lies behind it is reached. */
function mend(to: Uint8Array, length: number): void {
  const l3 = to[12] === 0x81 && to[13] === 0 ? 18 : 14;
  if (to[l3 - 2] !== 8 || to[l3 - 1] !== 0 || length < l3 + 20) return;
  const view = new DataView(to.buffer);
  const headerBytes = Math.min(((to[l3] as number) & 15) * 4, length - l3);
  if (view.getUint16(l3 + 2) > length - l3) view.setUint16(l3 + 2, length - l3);
  view.setUint16(l3 + 10, 0);
  view.setUint16(l3 + 10, checksumOf(sumBytes(view, l3, headerBytes, 0)), true);
}

function seedPackets(): readonly Uint8Array[] {
  const v6 = { source: "2001:db8:1::11", destination: "2001:db8:3::33" };
  const about = (parts: object) => [...craft(parts).subarray(14)];
  const crafted = [
    craft(),
    craft({ vlan: 30, tcpOptions: [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7], flags: 2 }),
    craft({ ...v6, tcpOptions: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], payload: [1, 2, 3] }),
    craft({ protocol: 17, ipOptions: [148, 4, 0, 0], payload: [1, 2, 3, 4] }),
    craft({
      ...v6,
      protocol: 17,
      extensions: { first: 0, bytes: [60, 0, 5, 2, 0, 0, 1, 0, 43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 2, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 9] },
    }),
    craft({ ...v6, protocol: 44, transport: [17, 0, 0, 1, 0, 0, 0, 9, 0x13, 0x88, 0, 53, 0, 40, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8] }),
    craft({ source: "192.0.2.9", destination: "10.1.0.11", protocol: 1, type: 3, rest: [0, 0, 5, 0], payload: about({ protocol: 17 }) }),
    craft({
      source: "2001:db8:9::9",
      destination: v6.source,
      protocol: 58,
      type: 2,
      rest: [0, 0, 5, 0],
      payload: about({ ...v6, extensions: { first: 60, bytes: [6, 0, 1, 4, 0, 0, 0, 0] } }),
    }),
    craft({
      ...v6,
      protocol: 58,
      type: 135,
      ttl: 255,
      rest: [0, 0, 0, 0],
      payload: [...mac("20:01:0d:b8:00:01"), 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, ...mac("02:00:00:00:00:11")],
    }),
    Uint8Array.from([
      ...mac("ff:ff:ff:ff:ff:ff"),
      ...mac("02:00:00:00:00:11"),
      8,
      6,
      0,
      1,
      8,
      0,
      6,
      4,
      0,
      1,
      ...mac("02:00:00:00:00:11"),
      10,
      1,
      0,
      11,
      0,
      0,
      0,
      0,
      0,
      0,
      10,
      1,
      0,
      254,
    ]),
  ];
  return [...crafted, ...captures().flatMap((capture) => capture.frames.slice(0, 8).map((bytes) => bytes.subarray(0, SEED_BYTES_MOST)))];
}
