// The link between two units: association, sealed records, paths, MTU, transmit classes, and what a bad wire does to it.
// What an attacker tries is in forgery.test.ts.

import { test } from "tap";
import { defineTable, word, wordsOf } from "../../firmware/fastpath/memory/layout.ts";
import { counterRow, MEMBERS, SESSIONS } from "../../firmware/fastpath/memory/tables.ts";
import { FRAME_BYTES } from "../../firmware/limits.ts";
import { FieldList } from "../../firmware/twin/fields.ts";
import { RECORD_ROW } from "../../firmware/twin/frame.ts";
import type { LinkOptions } from "../../firmware/twin/link.ts";
import { LinkBrain } from "./brains.ts";
import { type Start, Wire } from "./wire.ts";

const A = 1;
const B = 3;

function pair(seed: number, options: Partial<LinkOptions> = {}, twinMtuBytes = 1500) {
  const wire = new Wire(seed, [A, B], twinMtuBytes);
  const boot = (unit: number, own: Partial<LinkOptions> = {}): LinkBrain => {
    let brain: LinkBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new LinkBrain(start, { ...options, ...own })));
    return brain as LinkBrain;
  };
  const member = (unit: number, of: number, name: string): number => wire.unit(unit).tables.members.i[of * MEMBERS.strideWords + word(MEMBERS, name)] as number;
  const rejected = (unit: number, of: number): number =>
    wire.unit(unit).tables.members.f[(of * MEMBERS.strideWords + word(MEMBERS, "framesRejected")) >> 1] as number;
  return { wire, boot, member, rejected };
}

test("two units that start together associate within a few breaths", async (t) => {
  const { wire, boot, member, rejected } = pair(1);
  const a = boot(A);
  const b = boot(B);
  wire.run(20);
  t.same(a.told, ["associated 3 fresh"]);
  t.same(b.told, ["associated 1 fresh"]);
  wire.run(100);
  t.same([member(A, B, "associated"), member(A, B, "twinPath"), member(A, B, "dataPath"), member(A, B, "mtu")], [1, 1, 1, 1500]);
  t.ok(member(A, B, "roundTrip") > 0);
  t.equal(rejected(A, B) + rejected(B, A), 0);
});

test("records travel sealed, in order, many in a frame", async (t) => {
  const { wire, boot } = pair(2);
  const a = boot(A);
  const b = boot(B);
  t.notOk(a.say(B, "too early"));
  wire.run(50);
  const sent = Array.from({ length: 200 }, (_, k) => `row ${k} ${"x".repeat(k % 50)}`);
  const before = wire.twin.heard.length;
  t.ok(sent.every((text) => a.say(B, text)));
  wire.run(5);
  t.same(b.heard, sent);
  const frames = wire.twin.heard.slice(before).map(({ frame }) => Buffer.from(frame));
  t.ok(frames.length < 20, `${frames.length} frames`);
  t.notOk(
    frames.some((frame) => frame.includes("row ")),
    "nothing is readable on the wire",
  );
});

test("a unit that starts later, or starts again, is associated as fresh; one that was only out of reach is not", async (t) => {
  const { wire, boot } = pair(3);
  const a = boot(A);
  wire.run(1_000);
  boot(B);
  wire.run(50);
  wire.cut([wire.twin], true);
  wire.run(300);
  wire.cut([wire.twin], false);
  wire.run(100);
  boot(B);
  wire.run(50);
  t.same(a.told, ["associated 3 fresh", "lost 3", "associated 3", "lost 3", "associated 3 fresh"]);
});

test("units associate whatever the wire does, as long as something comes through", async (t) => {
  for (let seed = 10; seed < 40; seed++) {
    const { wire, boot } = pair(seed);
    for (const lane of wire.lanes())
      Object.assign(lane.faults, { lossRate: 0.4, duplicateRate: 0.2, corruptRate: 0.1, reorderRate: 0.3, reorderMicros: 8_000, jitterMicros: 3_000 });
    const a = boot(A);
    wire.run(wire.random.below(200));
    const b = boot(B);
    wire.run(1_500);
    t.same([a.told[0], b.told[0]], ["associated 3 fresh", "associated 1 fresh"], `seed ${seed}`);
  }
});

test("the association itself comes about over a data path while the twin link is cut", async (t) => {
  const { wire, boot, member } = pair(4);
  wire.cut([wire.twin], true);
  const a = boot(A);
  boot(B);
  wire.run(300);
  t.equal(member(A, B, "dataPath"), 1);
  t.equal(member(A, B, "associated"), 0);
  t.same(a.told, []);
  wire.cut([wire.twin], false);
  wire.run(50);
  t.same(a.told, ["associated 3 fresh"]);
});

test("a path is up only if both ways work", async (t) => {
  const { wire, boot, member } = pair(5);
  boot(A);
  boot(B);
  wire.run(200);
  wire.cut([wire.twin], true, A, B);
  wire.run(300);
  t.same([member(A, B, "twinPath"), member(B, A, "twinPath")], [0, 0]);
  t.same([member(A, B, "dataPath"), member(B, A, "dataPath")], [1, 1]);
  const downs = wire.unit(A).noted("path-down");
  t.same(
    downs.map(({ unit, port }) => [unit, port]),
    [[B, 2]],
  );
});

test("records survive duplication, reordering and corruption: each arrives once or not at all, unchanged", async (t) => {
  const { wire, boot, rejected } = pair(6);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  for (const lane of wire.lanes([wire.twin]))
    Object.assign(lane.faults, { lossRate: 0.1, duplicateRate: 0.3, corruptRate: 0.2, reorderRate: 0.3, reorderMicros: 5_000 });
  const sent = new Set<string>();
  for (let k = 0; k < 1_000; k++) {
    if (a.say(B, `row ${k}`)) sent.add(`row ${k}`);
    wire.run(1);
  }
  t.ok(sent.size > 900, `${sent.size} were taken`);
  t.ok(b.heard.length > sent.size * 0.6);
  t.equal(new Set(b.heard).size, b.heard.length, "none twice");
  t.ok(
    b.heard.every((text) => sent.has(text)),
    "none changed",
  );
  t.ok(rejected(B, A) > 200);
});

test("no packet frame is lost, whatever happens", async (t) => {
  const { wire, boot } = pair(7);
  const a = boot(A);
  const b = boot(B);
  for (const lane of wire.lanes()) Object.assign(lane.faults, { lossRate: 0.1, duplicateRate: 0.3, corruptRate: 0.2, reorderRate: 0.3, reorderMicros: 5_000 });
  for (let k = 0; k < 500; k++) {
    a.say(B, "x".repeat(k % 700), k % 5);
    b.say(A, "y".repeat(k % 300), k % 5);
    if (k === 250) boot(B);
    wire.run(1);
  }
  wire.run(100);
  for (const unit of [A, B]) {
    const { packets, ports } = wire.unit(unit).start as Start;
    for (const port of ports) port?.close();
    t.equal(packets.freeCount, packets.frameCount);
  }
});

test("a larger MTU of the path is discovered, and what fits a frame grows with it", async (t) => {
  const { wire, boot, member } = pair(8, {}, 1_700);
  for (const lane of wire.lanes([wire.twin])) lane.frameBytesMost = 14 + 1_612;
  const a = boot(A);
  const b = boot(B);
  wire.run(30);
  t.equal(member(A, B, "mtu"), 1500, "nothing is assumed");
  wire.run(10_000);
  const mtu = member(A, B, "mtu");
  t.ok(mtu > 1_600 && mtu <= 1_612, `${mtu} bytes`);
  const text = "z".repeat(a.link.bodyBytesMost(B));
  t.ok(a.say(B, text));
  t.notOk(a.say(B, `${text}z`));
  wire.run(5);
  t.same(b.heard, [text]);
});

test("a path whose MTU shrinks falls back to what always works", async (t) => {
  const { wire, boot, member } = pair(9, {}, 1_700);
  boot(A);
  boot(B);
  wire.run(2_000);
  t.equal(member(A, B, "mtu"), 1_700);
  for (const lane of wire.lanes([wire.twin])) lane.frameBytesMost = 1_514;
  wire.run(15_000);
  t.equal(member(A, B, "mtu"), 1_500);
  t.equal(member(A, B, "associated"), 1);
});

test("a frame built in place is sealed and sent where it lies", async (t) => {
  const { wire, boot } = pair(41);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  const { packets } = wire.unit(A).start as Start;
  const frame = packets.take();
  const body = new TextEncoder().encode("in place");
  packets.bytes.set(body, frame + 100);
  t.notOk(a.link.sendInPlace(B, RECORD_ROW, 0, (frame & ~(FRAME_BYTES - 1)) + 8, body.length, 2), "no room for the headers");
  t.notOk(a.link.sendInPlace(B, RECORD_ROW, 0, frame + 96, 1_600, 2), "too long for the MTU");
  t.ok(a.link.sendInPlace(B, RECORD_ROW, 0, frame + 96, body.length, 2));
  wire.run(5);
  t.same(b.heard, ["in place"]);
});

test("when the port is slow, heartbeats go first, rows before handed-off packets and queries, and sweeps are not starved; what is refused is counted", async (t) => {
  const { wire, boot, member } = pair(42);
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  for (const lane of wire.lanes([wire.twin])) lane.bytesPerMicro = 2;
  const most = a.link.bodyBytesMost(B);
  let refusals = 0;
  a.onBreath = () => {
    for (const [txClass, name] of [
      [4, "sweep"],
      [3, "query"],
      [2, "handoff"],
      [1, "row"],
    ] as const) {
      for (let k = 0; k < 3; k++) if (!a.say(B, name.padEnd(most), txClass)) refusals++;
    }
  };
  wire.run(2_000);
  a.onBreath = null;
  wire.run(50);
  const count = (name: string): number => b.heard.filter((text) => text.startsWith(name)).length;
  t.equal(member(A, B, "associated"), 1);
  t.equal(wire.unit(A).noted("path-down").length, 0);
  t.ok(count("row") > 2 * count("query"), `${count("row")} rows, ${count("query")} queries`);
  t.ok(count("row") > 2 * count("handoff"), `${count("row")} rows, ${count("handoff")} handed-off`);
  t.ok(refusals > 1_000);
  t.equal(wire.unit(A).tables.counters.f[counterRow("twin-refused")], refusals);
  t.ok(count("sweep") > 0.05 * b.heard.length, `${count("sweep")} of ${b.heard.length}`);
});

test("units of different versions name the words that both know, each in its own row, in one order", async (t) => {
  const older = defineTable({
    name: "sessions",
    doc: "an older row",
    strideWords: 16,
    fields: [
      { name: "alpha", type: "u32", at: 1, replicated: true, doc: "known to both" },
      { name: "bytes", type: "f64", at: 4, replicated: true, doc: "known to both" },
      { name: "gone", type: "u32", at: 6, replicated: true, doc: "dropped by the newer" },
      { name: "local", type: "u32", at: 7, doc: "never travels" },
    ],
  });
  const newer = defineTable({
    name: "sessions",
    doc: "a newer row",
    strideWords: 16,
    fields: [
      { name: "bytes", type: "f64", at: 0, replicated: true, doc: "known to both" },
      { name: "added", type: "u32", at: 2, replicated: true, doc: "new" },
      { name: "alpha", type: "u32", at: 3, replicated: true, doc: "known to both" },
      { name: "gone", type: "i32", at: 4, replicated: true, doc: "means something else now" },
    ],
  });
  const { wire, boot } = pair(43);
  const a = boot(A, { fields: new FieldList(older) });
  const b = boot(B, { fields: new FieldList(newer) });
  wire.run(50);
  t.same([...a.link.commonFields(B)], [1, 4, 5]);
  t.same([...b.link.commonFields(A)], [3, 0, 1]);
});

test("equal versions share every replicated word in the order of the row", async (t) => {
  const { wire, boot } = pair(44);
  const a = boot(A);
  boot(B);
  wire.run(50);
  const expected = SESSIONS.fields.filter((field) => field.replicated).flatMap((field) => Array.from({ length: wordsOf(field.type) }, (_, k) => field.at + k));
  t.same(
    [...a.link.commonFields(B)],
    expected.sort((one, other) => one - other),
  );
});
