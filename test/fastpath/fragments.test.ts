// Virtual reassembly against a naive one: whatever pieces come, in whatever order, a datagram is whole exactly when every byte of it
// came once, nothing is held beyond the limits, and no frame is lost.

import fc from "fast-check";
import { test } from "tap";
import { checkPacket } from "../../firmware/fastpath/check.ts";
import { COMPLETE, Fragments } from "../../firmware/fastpath/fragments.ts";
import { hashTuple } from "../../firmware/fastpath/memory/hash.ts";
import { P_FLOW, P_OFFSET, PACKET_WORDS } from "../../firmware/fastpath/packets.ts";
import { DROP_NAMES, HELD } from "../../firmware/fastpath/verdicts.ts";
import { createPacketMemory } from "../../firmware/hal/packets.ts";
import {
  FRAGMENT_DATAGRAMS,
  FRAGMENT_DATAGRAMS_PER_SOURCE,
  FRAGMENT_MILLIS_V4,
  FRAGMENT_MILLIS_V6,
  FRAGMENTS_HELD,
  FRAGMENTS_HELD_PER_SOURCE,
  FRAGMENTS_PER_DATAGRAM,
  FRAME_BYTES,
} from "../../firmware/limits.ts";
import { craft, row } from "./craft.ts";

const UDP = 17;

/** A part of a datagram: bytes `from` to `to` of what follows the IP header, filled with `fill`. */
interface Piece {
  readonly from: number;
  readonly to: number;
  readonly last?: boolean;
  readonly id?: number;
  readonly fill?: number;
  readonly source?: string;
  readonly zone?: number;
}

function frameOf({ from, to, last = false, id = 1, fill = 7, source }: Piece, v6: boolean): Uint8Array {
  const header = from === 0 ? [0x9c, 0x40, 0, 53, 0, 200, 0, 0] : [];
  const transport = [...header, ...new Array<number>(Math.max(0, to - from - header.length)).fill(fill)];
  const place = v6 ? from | (last ? 0 : 1) : (from >> 3) | (last ? 0 : 0x2000);
  if (v6) {
    const bytes = [UDP, 0, place >> 8, place & 0xff, 0, 0, id >> 8, id & 0xff];
    return craft({ source: source ?? "2001:db8:1::11", destination: "2001:db8:3::33", protocol: UDP, extensions: { first: 44, bytes }, transport });
  }
  const frame = craft({ source: source ?? "10.1.0.11", protocol: UDP, fragment: place, transport });
  const view = new DataView(frame.buffer);
  // The identification moves 0x1234 to `id`: the header's sum moves with it.
  const sum = (~view.getUint16(24) & 0xffff) + (~view.getUint16(18) & 0xffff) + id;
  view.setUint16(18, id);
  view.setUint16(24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  return frame;
}

class Bench {
  readonly packets = createPacketMemory(new ArrayBuffer(2 * FRAGMENTS_HELD * FRAME_BYTES));
  readonly fragments: Fragments;
  readonly dropped: Record<string, number> = {};
  nowMillis = 1_000;
  private readonly v6: boolean;

  constructor(v6: boolean) {
    this.v6 = v6;
    const outlet = { send: () => {}, discard: (offset: number, reason: number) => this.discard(offset, reason) };
    this.fragments = new Fragments(this.packets, { hash: (words, at) => hashTuple(words, at, 3, 5) }, outlet);
  }

  private discard(offset: number, reason: number): void {
    const name = DROP_NAMES[reason] as string;
    this.dropped[name] = (this.dropped[name] ?? 0) + 1;
    this.packets.give(offset);
  }

  /** "held", "complete" with its datagram still held, or why it dropped. */
  put(piece: Piece): string {
    const frame = frameOf(piece, this.v6);
    const words = row(frame.length, this.packets.take(), 0, piece.zone ?? 1);
    this.packets.bytes.set(frame, words[P_OFFSET]);
    const fault = checkPacket(this.packets.view, words, 0, true);
    words[P_FLOW] = (words[P_FLOW] as number) | ((piece.zone ?? 1) << 8);
    const result = fault === 0 ? this.fragments.hold(words, 0, this.nowMillis) : (fault << 8) | 4;
    if (result === HELD) return "held";
    if (result === COMPLETE) return "complete";
    this.discard(words[P_OFFSET] as number, result >>> 8);
    return DROP_NAMES[result >>> 8] as string;
  }

  /** Takes the datagram that is complete out: "from-to" in order of arrival. */
  takeOut(): string[] {
    const { fragments } = this;
    const parts: string[] = [];
    for (let slot = fragments.shift(fragments.completed); slot >= 0; slot = fragments.shift(fragments.completed)) {
      parts.push(`${fragments.starts[slot]}-${fragments.ends[slot]}`);
      this.packets.give(fragments.rows[slot * PACKET_WORDS + P_OFFSET] as number);
    }
    fragments.forget(fragments.completed);
    return parts;
  }

  expire(): void {
    for (let k = 0; k < FRAGMENT_DATAGRAMS; k++) if (this.fragments.isExpired(k, this.nowMillis)) this.fragments.expire(k);
  }

  /** Frames in use that the table does not hold. */
  get lost(): number {
    return this.packets.frameCount - this.packets.freeCount - this.fragments.heldCount;
  }
}

/** What RFC 5722 and RFC 8200 §4.5 say, without any care for memory. */
class Naive {
  private readonly datagrams = new Map<number, { parts: Piece[]; dead: string }>();

  put(piece: Piece): { readonly result: string; readonly parts: readonly string[] } {
    const id = piece.id as number;
    const datagram = this.datagrams.get(id) ?? { parts: [], dead: "" };
    this.datagrams.set(id, datagram);
    const say = (result: string) => ({ result, parts: [] });
    if (datagram.dead !== "") return say(datagram.dead);
    const die = (reason: string) => {
      datagram.dead = reason;
      return say(reason);
    };
    const clash = datagram.parts.find((part) => piece.from < part.to && piece.to > part.from);
    if (clash !== undefined) {
      const same = clash.from === piece.from && clash.to === piece.to && clash.last === piece.last && clash.fill === piece.fill;
      return same ? say("fragment-duplicate") : die("fragment-overlap");
    }
    const all = [...datagram.parts, piece];
    const ends = all.filter(({ last }) => last);
    const end = ends[0]?.to ?? Number.POSITIVE_INFINITY;
    if (ends.length > 1 || all.some(({ to }) => to > end)) return die("fragment-invalid");
    datagram.parts = all;
    if (all.reduce((sum, { from, to }) => sum + to - from, 0) !== end) return say("held");
    this.datagrams.delete(id);
    return { result: "complete", parts: all.map(({ from, to }) => `${from}-${to}`) };
  }
}

const piece: fc.Arbitrary<Piece> = fc
  .record({
    from: fc.nat(9),
    length: fc.integer({ min: 1, max: 4 }),
    last: fc.boolean(),
    id: fc.integer({ min: 1, max: 3 }),
    fill: fc.constantFrom(7, 7, 7, 8),
  })
  .map(({ from, length, last, id, fill }) => ({ from: from * 8, to: (from + length) * 8, last: last && from > 0, id, fill }));

for (const [version, v6] of [
  ["IPv4", false],
  ["IPv6", true],
] as const) {
  test(`V4, V5, F5: any pieces are judged as by a naive reassembler over ${version}`, async (t) => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const bench = new Bench(v6);
        const naive = new Naive();
        for (const one of pieces) {
          const wanted = naive.put(one);
          const result = bench.put(one);
          const parts = result === "complete" ? bench.takeOut() : [];
          if (result !== wanted.result || parts.join() !== wanted.parts.join()) throw new Error(`${JSON.stringify(one)}: ${result}, not ${wanted.result}`);
          if (bench.lost !== 0) throw new Error(`${bench.lost} frames are lost`);
        }
        bench.nowMillis += FRAGMENT_MILLIS_V6;
        bench.expire();
        return bench.fragments.heldCount === 0 && bench.fragments.datagramCount === 0 && bench.packets.freeCount === bench.packets.frameCount;
      }),
      { seed: 5_722, numRuns: 400 },
    );
    t.pass();
  });

  test(`N8: a datagram in any cut and any order is whole with its last piece, and leaves in order of arrival (${version})`, async (t) => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }).map((at) => [0, ...at.sort((a, b) => a - b), 42]);
    const shuffled = cuts.chain((edges) => {
      const pieces = edges.slice(1).map((to, k) => ({ from: (edges[k] as number) * 8, to: to * 8, last: k === edges.length - 2 }));
      return fc.shuffledSubarray(pieces, { minLength: pieces.length });
    });
    fc.assert(
      fc.property(shuffled, (pieces) => {
        const bench = new Bench(v6);
        const results = pieces.map((one) => bench.put(one));
        const parts = bench.takeOut();
        return (
          results.slice(0, -1).every((result) => result === "held") &&
          results.at(-1) === "complete" &&
          parts.join() === pieces.map(({ from, to }) => `${from}-${to}`).join() &&
          bench.packets.freeCount === bench.packets.frameCount
        );
      }),
      { seed: 8_200, numRuns: 200 },
    );
    t.pass();
  });

  test(`V4, F5: one source holds no more than its share, its oldest gives way, others live (${version})`, async (t) => {
    const bench = new Bench(v6);
    const other = v6 ? "2001:db8:2::1" : "10.2.0.1";
    t.equal(bench.put({ from: 0, to: 16, id: 9, source: other }), "held");
    for (let k = 0; k < 1_000; k++) {
      bench.nowMillis++;
      // In IPv6 every packet from another address of the same /64.
      bench.put({ from: 0, to: 16, id: 1_000 + k, ...(v6 && { source: `2001:db8:1::${(k + 1).toString(16)}` }) });
      t.ok(bench.fragments.datagramCount <= FRAGMENT_DATAGRAMS_PER_SOURCE + 1);
    }
    t.same(bench.dropped, { "fragment-limit": 1_000 - FRAGMENT_DATAGRAMS_PER_SOURCE });
    t.equal(bench.put({ from: 16, to: 24, last: true, id: 9, source: other }), "complete");
    bench.takeOut();
    t.equal(bench.put({ from: 16, to: 24, last: true, id: 1_999, ...(v6 && { source: "2001:db8:1::3e8" }) }), "complete", "the youngest is still there");
    bench.takeOut();
    t.equal(bench.lost, 0);
  });

  test(`V4, F5: frames that one source makes wait are bounded too (${version})`, async (t) => {
    const bench = new Bench(v6);
    const perDatagram = 100;
    for (let id = 1; id <= 8; id++) {
      bench.nowMillis++;
      for (let k = 0; k < perDatagram; k++) {
        bench.put({ from: k * 8, to: k * 8 + 8, id });
        t.ok(bench.fragments.heldCount <= FRAGMENTS_HELD_PER_SOURCE);
      }
    }
    t.equal(bench.put({ from: perDatagram * 8, to: perDatagram * 8 + 8, last: true, id: 8 }), "complete");
    t.equal(bench.takeOut().length, perDatagram + 1);
    t.equal(bench.lost, 0);
  });

  test(`V4, F5: all sources together are bounded, in frames and in datagrams (${version})`, async (t) => {
    const bench = new Bench(v6);
    const source = (k: number) => (v6 ? `2001:db8:${(k + 16).toString(16)}::1` : `10.${1 + (k >> 8)}.${k & 255}.1`);
    for (let k = 0; k < 2 * FRAGMENT_DATAGRAMS; k++) {
      bench.nowMillis++;
      for (let part = 0; part < 4; part++) bench.put({ from: part * 8, to: part * 8 + 8, source: source(k) });
      t.ok(bench.fragments.datagramCount <= FRAGMENT_DATAGRAMS && bench.fragments.heldCount <= FRAGMENTS_HELD);
    }
    t.equal(
      bench.put({ from: 32, to: 40, last: true, source: source(2 * FRAGMENT_DATAGRAMS - 1) }),
      "complete",
      "what is whole in time lives through the flood",
    );
    bench.takeOut();
    t.equal(bench.lost, 0);
    t.same(Object.keys(bench.dropped), ["fragment-limit"]);
  });

  test(`V4, V5: a datagram that never ends dies of its pieces, or of its age (${version})`, async (t) => {
    const bench = new Bench(v6);
    for (let k = 0; k < FRAGMENTS_PER_DATAGRAM; k++) t.equal(bench.put({ from: k * 16, to: k * 16 + 8 }), "held");
    t.equal(bench.put({ from: 32_000, to: 32_008 }), "fragment-limit");
    t.equal(bench.fragments.heldCount, 0);
    t.equal(bench.put({ from: 8, to: 16 }), "fragment-limit", "it is remembered as dead");
    bench.nowMillis += (v6 ? FRAGMENT_MILLIS_V6 : FRAGMENT_MILLIS_V4) - 1;
    bench.put({ from: 0, to: 8, id: 2 });
    bench.expire();
    t.equal(bench.fragments.datagramCount, 2);
    bench.nowMillis++;
    bench.expire();
    t.equal(bench.fragments.datagramCount, 1);
    t.equal(bench.put({ from: 8, to: 16 }), "held", "the identification is used again");
    t.equal(bench.lost, 0);
  });

  test(`F5: what differs in zone, source or identification is no part of the same datagram (${version})`, async (t) => {
    const bench = new Bench(v6);
    t.equal(bench.put({ from: 0, to: 16 }), "held");
    t.equal(bench.put({ from: 16, to: 24, last: true, zone: 2 }), "held");
    t.equal(bench.put({ from: 16, to: 24, last: true, id: 2 }), "held");
    t.equal(bench.put({ from: 16, to: 24, last: true, source: v6 ? "2001:db8:1::12" : "10.1.0.12" }), "held");
    t.equal(bench.put({ from: 16, to: 24, last: true }), "complete");
    t.same(bench.takeOut(), ["0-16", "16-24"]);
  });
}
