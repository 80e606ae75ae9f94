// What somebody on the wire can try: forge, replay, reflect, pretend. Nothing changes, and it is counted (W7).

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { counterRow, MEMBERS } from "../../firmware/fastpath/memory/tables.ts";
import { ETHERNET_BYTES, F_FROM, F_KIND, F_TO, F_VERSION, KIND_HELLO, KIND_SEALED } from "../../firmware/twin/frame.ts";
import type { LinkOptions } from "../../firmware/twin/link.ts";
import { pairKeysFor } from "../pair-keys.ts";
import { LinkBrain } from "./brains.ts";
import { Wire } from "./wire.ts";

const A = 1;
const B = 3;

function pair(seed: number) {
  const wire = new Wire(seed, [A, B]);
  const boot = (unit: number, options: Partial<LinkOptions> = {}): LinkBrain => {
    let brain: LinkBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new LinkBrain(start, options)));
    return brain as LinkBrain;
  };
  const rejected = (unit: number, of: number): number =>
    wire.unit(unit).tables.members.f[(of * MEMBERS.strideWords + word(MEMBERS, "framesRejected")) >> 1] as number;
  const counted = (unit: number): number => wire.unit(unit).tables.counters.f[counterRow("frames-rejected")] as number;
  /** Frames of one kind that a unit sent on the twin segment. */
  const sent = (from: number, kind: number): Uint8Array[] =>
    wire.twin.heard.filter((heard) => heard.from === from && heard.frame[ETHERNET_BYTES + F_KIND] === kind).map(({ frame }) => frame.slice());
  return { wire, boot, rejected, counted, sent };
}

test("W7: a greeting of an earlier start, replayed, does not tear down the association", async (t) => {
  const { wire, boot, sent } = pair(1);
  const a = boot(A);
  boot(B);
  wire.run(300);
  const b = boot(B);
  wire.run(300);
  const before = a.told.length;
  for (let round = 0; round < 5; round++) {
    for (const greeting of sent(B, KIND_HELLO)) wire.twin.inject(A, greeting);
    wire.run(100);
  }
  t.equal(a.told.length, before);
  t.ok(a.say(B, "still the same keys"));
  wire.run(5);
  t.same(b.heard, ["still the same keys"]);
});

test("greetings of an earlier life of both sides, replayed to a unit that starts, associate nobody", async (t) => {
  const { wire, boot, sent } = pair(2);
  boot(A);
  boot(B);
  wire.run(300);
  wire.unit(B).kill();
  const recorded = [...sent(B, KIND_HELLO), ...sent(B, KIND_SEALED)];
  const a = boot(A);
  for (let round = 0; round < 20; round++) {
    for (const frame of recorded) wire.twin.inject(A, frame);
    wire.run(20);
  }
  t.same(a.told, []);
});

test("a unit's own greetings and frames, reflected, mean nothing to it", async (t) => {
  const { wire, boot, sent } = pair(3);
  const a = boot(A);
  wire.run(500);
  for (const greeting of sent(A, KIND_HELLO)) wire.twin.inject(A, greeting);
  // Readdressed to its sender, as if it came from the peer.
  for (const greeting of sent(A, KIND_HELLO)) {
    greeting[ETHERNET_BYTES + F_FROM] = B;
    greeting[ETHERNET_BYTES + F_TO] = A;
    wire.twin.inject(A, greeting);
  }
  wire.run(500);
  t.same(a.told, []);
});

test("W7: sealed frames, replayed, change nothing and are counted", async (t) => {
  const { wire, boot, sent, rejected } = pair(4);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  for (let k = 0; k < 50; k++) {
    a.say(B, `row ${k}`);
    wire.run(1);
  }
  wire.run(20);
  const heard = b.heard.length;
  const recorded = sent(A, KIND_SEALED);
  for (const frame of recorded) wire.twin.inject(B, frame);
  wire.run(30);
  t.equal(b.heard.length, heard);
  t.equal(rejected(B, A), Math.min(recorded.length, 64), "all that fit the ring");
});

test("frames of an earlier start do not open after a restart", async (t) => {
  const { wire, boot, sent } = pair(5);
  const a = boot(A);
  boot(B);
  wire.run(100);
  a.say(B, "from the first start");
  wire.run(50);
  const recorded = sent(A, KIND_SEALED);
  boot(A);
  wire.run(200);
  const b = boot(B);
  wire.run(200);
  for (const frame of recorded.slice(-30)) wire.twin.inject(B, frame);
  wire.run(50);
  t.same(b.heard, []);
  t.equal(b.told.length, 1);
});

test("W7: a frame altered in any one byte is rejected and counted", async (t) => {
  const { wire, boot, sent, counted } = pair(6);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  wire.cut([wire.twin], true, A, B);
  a.say(B, "the true text");
  wire.run(3);
  wire.cut([wire.twin], false);
  const frame = sent(A, KIND_SEALED).at(-1) as Uint8Array;
  let altered = 0;
  for (let at = ETHERNET_BYTES; at < frame.length; at++) {
    // Addressed to another unit it is not ours to count.
    if (at === ETHERNET_BYTES + F_TO) continue;
    const forged = frame.slice();
    forged[at] = (forged[at] as number) ^ (1 << (at & 7));
    wire.twin.inject(B, forged);
    altered++;
    if (altered % 32 === 0) wire.run(2);
  }
  wire.run(30);
  t.same(b.heard, []);
  t.equal(counted(B), altered, "all of them counted");
  wire.twin.inject(B, frame);
  wire.run(5);
  t.same(b.heard, ["the true text"], "and none of them moved the window");
});

test("W7: noise on our EtherType is rejected without harm", async (t) => {
  const { wire, boot, counted } = pair(7);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  for (let k = 0; k < 3_000; k++) {
    const noise = new Uint8Array(wire.random.between(14, 200));
    wire.random.fill(noise);
    noise.set([0x88, 0xb5], 12);
    if (k % 2 === 0 && noise.length > 18) noise.set([1, 1 + (k % 3), A, B], 14);
    wire.twin.inject(B, noise);
    wire.data[0]?.inject(B, noise);
    if (k % 30 === 0) wire.run(1);
  }
  wire.run(100);
  t.ok(counted(B) > 1_000);
  t.same(b.told, ["associated 1 fresh"]);
  t.ok(a.say(B, "unharmed"));
  wire.run(5);
  t.same(b.heard, ["unharmed"]);
});

test("a frame of another version is counted, not read", async (t) => {
  const { wire, boot, sent, rejected } = pair(8);
  boot(A);
  boot(B);
  wire.run(100);
  const frame = sent(A, KIND_SEALED).at(-1) as Uint8Array;
  frame[ETHERNET_BYTES + F_VERSION] = 2;
  const before = rejected(B, A);
  wire.twin.inject(B, frame);
  wire.run(30);
  t.equal(rejected(B, A), before + 1);
});

test("a unit with another secret is not associated; it is said once, not a hundred times", async (t) => {
  const { wire, boot } = pair(9);
  const a = boot(A);
  boot(B, { keys: pairKeysFor([{ unit: A }], "77".repeat(32)) });
  wire.run(5_000);
  t.same(a.told, []);
  t.same(
    wire
      .unit(A)
      .noted("key-rejected")
      .map(({ unit }) => unit),
    [B],
  );
});

test("a unit that is configured differently is not associated, and both say so", async (t) => {
  const { wire, boot } = pair(10);
  const a = boot(A);
  const b = boot(B, { agreementHash: "different" });
  wire.run(5_000);
  t.same([...a.told, ...b.told], []);
  t.equal(wire.unit(A).noted("agreement-differs").length, 1);
  t.equal(wire.unit(B).noted("agreement-differs").length, 1);
});

test("a flood of recorded greetings costs a bounded number of hashes and answers", async (t) => {
  const { wire, boot, sent } = pair(11);
  boot(A);
  boot(B);
  wire.run(200);
  const greeting = sent(B, KIND_HELLO)[0] as Uint8Array;
  const before = sent(A, KIND_HELLO).length;
  for (let k = 0; k < 100; k++) {
    for (let copy = 0; copy < 40; copy++) wire.twin.inject(A, greeting);
    wire.run(1);
  }
  t.ok(sent(A, KIND_HELLO).length - before <= 21, "one answer in five milliseconds");
});
