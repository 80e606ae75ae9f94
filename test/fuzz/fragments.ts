// Throws fragments at a whole unit: datagrams cut anywhere, in any order, doubled, overlapping, contradicting each other, damaged. The
// property is what virtual reassembly is for: what leaves does so as whole datagrams, of which every byte comes exactly once, so that
// every receiver, whatever it does with overlaps, gets the one datagram that the rules have judged.
//
//   pool of datagrams ─► cut ─► repeat, overlap, refill, damage ─► unit ─► what leaves in one breath: whole? one version? permitted? sound?

import { craft, rule } from "../fastpath/craft.ts";
import { ONE, Rig, THREE } from "../fastpath/rig.ts";
import { addressAt, checksum, put16, transportChecksum, u16 } from "../sim/packets.ts";
import { Chance } from "./chance.ts";

const UDP = 17;
const PERMITTED_PORT = 80;
const FORBIDDEN_PORT = 81;
const POOL = 24;
const L3 = 14;
/** A unit's life: then a new one, so that a run shows again quickly from its seed. */
const LIFE_PACKETS = 4_000;

export interface FragmentReport {
  readonly packets: number;
  readonly datagrams: number;
}

interface Original {
  readonly v6: boolean;
  /** Frame up to what was cut, and what was. */
  readonly head: Uint8Array;
  readonly body: Uint8Array;
  readonly id: number;
}

/** Runs until `packets` were sent or `minutes` have passed; throws at the first promise broken. */
export function fuzzFragments(seed: number, packets: number, minutes = Number.POSITIVE_INFINITY): FragmentReport {
  const until = performance.now() + minutes * 60_000;
  let sent = 0;
  let datagrams = 0;
  for (let life = 0; sent < packets && performance.now() < until; life++) {
    const lifeSeed = (Math.imul(seed, 1_000_003) + life) | 0;
    try {
      datagrams += oneLife(new Chance(lifeSeed), Math.min(LIFE_PACKETS, packets - sent));
    } catch (error) {
      throw new Error(`fragments, seed ${seed}, life ${life}`, { cause: error });
    }
    sent += Math.min(LIFE_PACKETS, packets - sent);
  }
  return { packets: sent, datagrams };
}

function oneLife(chance: Chance, packets: number): number {
  const rig = new Rig({ rules: [rule(1, { services: [{ protocol: UDP, ports: [PERMITTED_PORT, PERMITTED_PORT], codes: [0, 255] }] })] });
  rig.meetHosts();
  const pool = Array.from({ length: POOL }, () => original(chance));
  let whole = 0;
  for (let packet = 0; packet < packets; packet++) {
    if (chance.once(40)) pool[chance.below(POOL)] = original(chance);
    if (chance.once(500)) rig.pass(chance.pick([50, 5_000, 61_000]), 500);
    // A few pieces at once, as they come on a line.
    rig.put(0, damaged(chance, piece(chance, chance.pick(pool))));
    const frames = rig.frames(1).map(untagged).filter(isIp);
    if (frames.length > 0) {
      wholeDatagram(frames);
      whole++;
    }
    rig.frames(0);
    must(rig.lost === 0, `${rig.lost} frames lost`);
  }
  rig.pass(130_000, 1_000);
  must(rig.held === 0, `${rig.held} frames are held for ever`);
  return whole;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function original(chance: Chance): Original {
  const v6 = chance.once(2);
  const frame = craft({
    protocol: UDP,
    source: v6 ? ONE.v6 : ONE.v4,
    destination: v6 ? THREE.v6 : THREE.v4,
    sourcePort: chance.between(1_000, 1_007),
    destinationPort: chance.once(4) ? FORBIDDEN_PORT : PERMITTED_PORT,
    payload: Array.from({ length: chance.between(8, 200) }, () => chance.below(256)),
  });
  const headBytes = L3 + (v6 ? 40 : 20);
  // Few identifications, so that datagrams meet.
  return { v6, head: frame.subarray(0, headBytes), body: frame.subarray(headBytes), id: chance.between(1, 12) };
}

/** Any part of it, mostly cut where parts are cut. */
function piece(chance: Chance, { v6, head, body, id }: Original): Uint8Array {
  const units = Math.ceil(body.length / 8);
  const cuts = chance.pick([1, 2, 3, units]);
  const step = Math.ceil(units / cuts);
  const from = chance.once(6) ? chance.below(units) : Math.min(units - 1, step * chance.below(cuts));
  const to = chance.once(6) ? Math.min(units, from + chance.between(1, units)) : Math.min(units, from + step);
  const chunk = body.slice(from * 8, to * 8);
  if (chance.once(12)) chunk[chance.below(chunk.length)] = chance.below(256);
  const more = chance.once(25) ? chance.below(2) : to < units ? 1 : 0;
  return v6 ? fragmentV6(head, chunk, from, more, id) : fragmentV4(head, chunk, from, more, id);
}

function fragmentV4(head: Uint8Array, chunk: Uint8Array, offset: number, more: number, id: number): Uint8Array {
  const frame = Uint8Array.from([...head, ...chunk]);
  put16(frame, L3 + 2, 20 + chunk.length);
  put16(frame, L3 + 4, id);
  put16(frame, L3 + 6, offset | (more << 13));
  put16(frame, L3 + 10, 0);
  put16(frame, L3 + 10, checksum(frame, L3, L3 + 20));
  return frame;
}

function fragmentV6(head: Uint8Array, chunk: Uint8Array, offset: number, more: number, id: number): Uint8Array {
  const frame = Uint8Array.from([...head, UDP, 0, offset >> 5, ((offset << 3) & 0xf8) | more, 0, 0, 0, id, ...chunk]);
  put16(frame, L3 + 4, 8 + chunk.length);
  frame[L3 + 6] = 44;
  return frame;
}

/** Now and then something in the headers is wrong. */
function damaged(chance: Chance, frame: Uint8Array): Uint8Array {
  if (!chance.once(15)) return frame;
  const at = chance.between(L3, Math.min(frame.length, L3 + 60) - 1);
  frame[at] = chance.below(256);
  if (frame[12] === 8 && chance.once(2)) {
    put16(frame, L3 + 10, 0);
    put16(frame, L3 + 10, checksum(frame, L3, L3 + 20));
  }
  return chance.once(8) ? frame.subarray(0, chance.between(15, frame.length)) : frame;
}

function untagged(frame: Uint8Array): Uint8Array {
  return u16(frame, 12) === 0x8100 ? Uint8Array.from([...frame.subarray(0, 12), ...frame.subarray(16)]) : frame;
}

function isIp(frame: Uint8Array): boolean {
  const type = u16(frame, 12);
  // Neighbour discovery of the unit's own is no datagram of anybody's.
  return type === 0x0800 || (type === 0x86dd && frame[L3 + 6] !== 58);
}

interface Part {
  readonly offset: number;
  readonly more: boolean;
  readonly bytes: Uint8Array;
}

function partOf(frame: Uint8Array): Part {
  if (frame[12] === 8) {
    const word = u16(frame, L3 + 6);
    const headerBytes = ((frame[L3] as number) & 15) * 4;
    return { offset: (word & 0x1fff) * 8, more: (word & 0x2000) !== 0, bytes: frame.subarray(L3 + headerBytes, L3 + u16(frame, L3 + 2)) };
  }
  const end = L3 + 40 + u16(frame, L3 + 4);
  if (frame[L3 + 6] !== 44) return { offset: 0, more: false, bytes: frame.subarray(L3 + 40, end) };
  const word = u16(frame, L3 + 42);
  return { offset: word & 0xfff8, more: (word & 1) !== 0, bytes: frame.subarray(L3 + 48, end) };
}

/** What left in one breath is one datagram: every byte once, the rules permit it, its checksum is right. */
function wholeDatagram(frames: readonly Uint8Array[]): void {
  const parts = frames.map(partOf).sort((a, b) => a.offset - b.offset);
  let expected = 0;
  for (const [k, part] of parts.entries()) {
    must(part.offset === expected, `a part at ${part.offset} where ${expected} comes next`);
    must(part.more === k < parts.length - 1, "an end before the end, or none");
    expected += part.bytes.length;
  }
  const first = frames[0] as Uint8Array;
  const v4 = first[12] === 8;
  if ((first[L3 + (v4 ? 9 : 6)] as number) !== (v4 ? UDP : 44) && (first[L3 + 6] as number) !== UDP) throw new Error("another protocol than any rule permits");
  const body = Uint8Array.from(parts.flatMap(({ bytes }) => [...bytes]));
  must(u16(body, 2) === PERMITTED_PORT, `port ${u16(body, 2)} is not permitted`);
  const length = u16(body, 4);
  must(length >= 8 && length <= body.length, "a UDP length that is not there");
  const [source, destination] = [addressAt(first, L3 + (v4 ? 12 : 8), v4), addressAt(first, L3 + (v4 ? 16 : 24), v4)];
  must((v4 && u16(body, 6) === 0) || transportChecksum(source, destination, UDP, body, 0, length) === 0, "a wrong checksum");
}
