// The link between two units: association, sealed records, paths, and what an attacker or a bad wire can not do to it.

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { MEMBERS } from "../../firmware/fastpath/memory/tables.ts";
import type { LinkOptions } from "../../firmware/twin/link.ts";
import { LinkBrain } from "./brains.ts";
import { Wire } from "./wire.ts";

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
