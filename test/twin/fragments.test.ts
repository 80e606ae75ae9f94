// Fragments of one datagram by both sites (W3): in any cut, any order, by any site and with any pauses between them, the datagram that
// its session lets pass comes out once, part by part as it was sent; and never a part without the whole.

import { test } from "tap";
import { Random } from "../../firmware/hal/sim/random.ts";
import { rule } from "../fastpath/craft.ts";
import { ipOf, packetOf } from "../scripts/packet.ts";
import { type Site, Stage } from "../scripts/stage.ts";
import { u16 } from "../sim/packets.ts";

const DATAGRAMS = 30;
const PAYLOAD_BYTES = 2_992;
/** With the UDP header. */
const WHOLE_BYTES = PAYLOAD_BYTES + 8;
const PART_BYTES_MOST = 1_440;
const PAUSES_MILLIS = [0, 0, 0, 1, 8, 12, 40];
/** Longer than a datagram waits before it is gathered elsewhere, and all that follows. */
const SETTLED_MILLIS = 60;

type Range = readonly [from: number, to: number];

/** Where a fragment lies in its datagram. */
function rangeOf(frame: Uint8Array, v6: boolean): Range {
  const ip = ipOf(frame);
  const from = v6 ? u16(ip, 42) & 0xfff8 : (u16(ip, 6) & 0x1fff) << 3;
  return [from, from + ip.length - (v6 ? 48 : 20)];
}

/** Three parts or more, none longer than a link takes. */
function cut(random: Random): Range[] {
  const edges = new Set([0, WHOLE_BYTES]);
  for (let k = 2 + random.below(4); k > 0; k--) edges.add(8 * (1 + random.below(WHOLE_BYTES / 8 - 1)));
  const sorted = [...edges].sort((a, b) => a - b);
  const parts = sorted.slice(1).map((to, k): Range => [sorted[k] as number, to]);
  return parts.every(([from, to]) => to - from <= PART_BYTES_MOST) ? parts : cut(random);
}

function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const result = [...values];
  for (let k = result.length - 1; k > 0; k--) {
    const other = random.below(k + 1);
    [result[k], result[other]] = [result[other] as T, result[k] as T];
  }
  return result;
}

const anySite = (random: Random): Site => (random.below(2) === 0 ? "A" : "B");

class Play {
  readonly stage: Stage;
  readonly random: Random;
  private readonly v6: boolean;
  /** Frames that are the twin's. */
  private readonly away: number;
  private readonly labelled = new Map<string, Uint8Array>();

  /** `opener`: the site whose unit owns the session; null: there is none. */
  constructor(mode: "routed" | "transparent", v6: boolean, opener: Site | null, seed: number) {
    this.v6 = v6;
    this.random = new Random(seed, "fragments");
    this.stage = new Stage({ mode, twin: true, rules: [rule(1, { fromZones: [1] })] });
    if (opener !== null) this.put(opener, "one three udp ports=40000:53 len=20");
    this.stage.pass(SETTLED_MILLIS);
    this.stage.taken("one");
    this.stage.taken("three");
    this.away = this.leastAway();
    this.labelled.set("big", packetOf(`three one udp ports=53:40000 len=${PAYLOAD_BYTES}`.split(" "), v6, this.stage, this.labelled).frame);
  }

  private put(site: Site, line: string): void {
    const { frame, from } = packetOf(line.split(" "), this.v6, this.stage, this.labelled);
    const vlan = this.stage.vlan(from);
    this.stage.put(site, from, vlan === 0 ? frame : Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, vlan, ...frame.subarray(12)]));
  }

  /** Sends parts of one datagram by any sites, with any pauses, and returns what of it came out. */
  send(parts: readonly Range[], id: number): Range[] {
    for (const [from, to] of parts) {
      const end = to === WHOLE_BYTES ? "" : String(to);
      this.put(anySite(this.random), `three one piece=big:${from}-${end} id=${id}`);
      this.stage.pass(PAUSES_MILLIS[this.random.below(PAUSES_MILLIS.length)] as number);
    }
    this.stage.pass(SETTLED_MILLIS);
    return this.stage.taken("one").map((frame) => rangeOf(frame, this.v6));
  }

  /** Frames that nobody has any more: neither the twin, as before the first fragment, nor the fragments that wait. */
  get lost(): number {
    return this.leastAway() - this.away - this.waiting;
  }

  /** Frames that are nobody's port's; the least of a while, as heartbeats come and go. */
  private leastAway(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < 40; k++) {
      this.stage.pass(1);
      least = Math.min(least, this.stage.framesAway);
    }
    return least;
  }

  /** Fragments that wait. */
  get waiting(): number {
    return this.stage.units.reduce((sum, { dataplane }) => sum + dataplane.engine.datagrams.fragments.heldCount, 0);
  }
}

const textOf = (ranges: readonly Range[]): string => ranges.map((range) => range.join("-")).join(" ");
const inOrder = (ranges: readonly Range[]): Range[] => [...ranges].sort((a, b) => a[0] - b[0]);

for (const mode of ["routed", "transparent"] as const) {
  for (const [version, v6] of [
    ["IPv4", false],
    ["IPv6", true],
  ] as const) {
    for (const opener of ["A", "B"] as const) {
      test(`W3, N8: a datagram whose parts come by both sites passes once, ${mode}, ${version}, the owner at ${opener}`, async (t) => {
        const play = new Play(mode, v6, opener, opener.charCodeAt(0));
        for (let id = 1; id <= DATAGRAMS; id++) {
          const parts = shuffled(play.random, cut(play.random));
          t.equal(textOf(inOrder(play.send(parts, id))), textOf(inOrder(parts)), `datagram ${id}: ${textOf(parts)}`);
        }
        t.equal(play.stage.counter("handoff-too-many"), 0, "W8");
        t.same(play.stage.states(), ["udp-both-ways"]);
        t.equal(play.waiting, 0);
        t.equal(play.lost, 0);
      });
    }

    test(`W3, V4, V5: with overlaps and repetitions no part passes without the whole, ${mode}, ${version}`, async (t) => {
      const play = new Play(mode, v6, "A", 9);
      for (let id = 1; id <= DATAGRAMS; id++) {
        const first = cut(play.random);
        const parts = shuffled(play.random, [...first, ...cut(play.random).slice(0, 2), first[0] as Range]);
        let covered = 0;
        for (const [from, to] of inOrder(play.send(parts, id))) {
          t.equal(from, covered, `datagram ${id}: ${textOf(parts)}`);
          covered = to;
        }
        t.ok(covered === 0 || covered === WHOLE_BYTES, `datagram ${id}: ${textOf(parts)}`);
      }
      t.equal(play.stage.counter("handoff-too-many"), 0, "W8");
      t.equal(play.lost, 0);
    });

    test(`W3: what no session and no rule lets pass does not pass in parts, ${mode}, ${version}`, async (t) => {
      const play = new Play(mode, v6, null, 3);
      for (let id = 1; id <= DATAGRAMS / 2; id++) t.same(play.send(shuffled(play.random, cut(play.random)), id), []);
      t.same(play.stage.states(), []);
      t.equal(play.lost, 0);
    });
  }
}
