// The managers agree on new secrets while the twin runs: they come into use without a lost record, whoever restarts meanwhile, and a
// unit that is not paired any more is not heard from that moment on.

import { createHash } from "node:crypto";
import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { MEMBERS } from "../../firmware/fastpath/memory/tables.ts";
import { ETHERNET_BYTES, F_COUNTER_LOW, F_KEY, F_KIND, KIND_HELLO, KIND_SEALED } from "../../firmware/twin/frame.ts";
import { LinkBrain } from "./brains.ts";
import { Wire } from "./wire.ts";

const A = 1;
const B = 3;

/** Two units, and what their managers have written. A leads: it has the lower number. */
function pair(seed: number) {
  const wire = new Wire(seed, [A, B]);
  const files = new Map([
    [A, [1]],
    [B, [1]],
  ]);
  const brains = new Map<number, LinkBrain>();
  const keysOf = (unit: number) => {
    const generations = files.get(unit) ?? [];
    const secrets = generations.map((generation) => ({ generation, secret: createHash("sha256").update(`${generation}`).digest("hex") }));
    return generations.length === 0 ? [] : [{ unit: 4 - unit, identity: "the other", secrets }];
  };
  const boot = (unit: number): LinkBrain => {
    wire.unit(unit).boot((start) => {
      const brain = new LinkBrain(start, { keys: keysOf(unit) });
      brains.set(unit, brain);
      return brain;
    });
    return brains.get(unit) as LinkBrain;
  };
  /** A manager has written its file, and tells the dataplane. */
  const give = (unit: number, ...generations: number[]): void => {
    files.set(unit, generations);
    brains.get(unit)?.link.setKeys(keysOf(unit));
  };
  const frames = (from: number, kind: number): Uint8Array[] =>
    wire.twin.heard.filter((heard) => heard.from === from && heard.frame[ETHERNET_BYTES + F_KIND] === kind).map(({ frame }) => frame);
  const lastKey = (from: number): number => frames(from, KIND_SEALED).at(-1)?.[ETHERNET_BYTES + F_KEY] as number;
  const lastGreeting = (from: number): number => frames(from, KIND_HELLO).at(-1)?.[ETHERNET_BYTES + F_COUNTER_LOW + 3] as number;
  const rejected = (unit: number): number =>
    wire.unit(unit).tables.members.f[((4 - unit) * MEMBERS.strideWords + word(MEMBERS, "framesRejected")) >> 1] as number;
  return { wire, boot, give, brains, frames, lastKey, lastGreeting, rejected };
}

/** Says numbered rows, one a millisecond, and returns those that were taken. */
function talk(wire: Wire, brain: LinkBrain, to: number, millis: number): string[] {
  const said: string[] = [];
  for (let k = 0; k < millis; k++) {
    const text = `at ${wire.schedule.nowMicros}`;
    if (brain.say(to, text)) said.push(text);
    wire.run(1);
  }
  return said;
}

test("a new secret comes into use in both directions, and no record is lost", async (t) => {
  const { wire, boot, give, lastKey } = pair(1);
  const a = boot(A);
  const b = boot(B);
  wire.run(200);
  const said = talk(wire, a, B, 100);
  give(B, 1, 2);
  said.push(...talk(wire, a, B, 100));
  t.same([lastKey(A), lastKey(B)], [0, 0], "what only one side knows is not used");
  give(A, 1, 2);
  said.push(...talk(wire, a, B, 200));
  t.same([lastKey(A), lastKey(B)], [1, 0], "the leading unit uses it; the other waits until it is confirmed");
  give(B, 2);
  said.push(...talk(wire, a, B, 200));
  t.same([lastKey(A), lastKey(B)], [1, 1]);
  wire.run(10);
  t.same(b.heard, said);
  t.same(a.told, ["associated 3 fresh"]);
});

test("several secrets, faster than a key may retire: each waits its turn, and the last one counts", async (t) => {
  const { wire, boot, give, lastKey } = pair(2);
  const a = boot(A);
  const b = boot(B);
  wire.run(200);
  const said: string[] = [];
  for (let generation = 2; generation < 12; generation++) {
    give(B, generation - 1, generation);
    said.push(...talk(wire, a, B, 20));
    give(A, generation - 1, generation);
    said.push(...talk(wire, a, B, 20));
    give(B, generation);
    said.push(...talk(wire, a, B, 300));
  }
  said.push(...talk(wire, a, B, 5_000));
  t.same(b.heard, said);
  t.ok(lastKey(A) >= 2 && lastKey(B) >= 2, `keys ${lastKey(A)}, ${lastKey(B)}`);
  t.same([...a.told, ...b.told], ["associated 3 fresh", "associated 1 fresh"]);
});

test("whoever restarts between two steps of an agreement associates again, under a secret that both have", async (t) => {
  for (const [step, states] of [
    [[1], [1, 2]],
    [
      [1, 2],
      [1, 2],
    ],
    [[1, 2], [2]],
    [
      [1, 2],
      [2, 3],
    ],
    [[2, 3], [3]],
  ].entries()) {
    for (const restarted of [[A], [B], [A, B]]) {
      const { wire, boot, give, brains, lastGreeting } = pair(10 + step);
      boot(A);
      boot(B);
      give(A, ...(states[0] as number[]));
      give(B, ...(states[1] as number[]));
      wire.run(500);
      for (const unit of restarted) boot(unit);
      wire.run(500);
      const what = `step ${step}, ${restarted.join(" and ")} restarted`;
      t.ok(brains.get(A)?.link.associated(B) && brains.get(B)?.link.associated(A), what);
      t.equal(lastGreeting(B), (states[0] as number[]).at(-1), `${what}: greetings under the leading unit's newest`);
    }
  }
});

test("secrets come, units restart, frames are lost and replayed, in any order: in the end both speak", async (t) => {
  for (let seed = 100; seed < 140; seed++) {
    const { wire, boot, give, brains } = pair(seed);
    const random = wire.random.fork("accidents");
    for (const lane of wire.lanes()) Object.assign(lane.faults, { lossRate: 0.2, duplicateRate: 0.1, reorderRate: 0.2, reorderMicros: 20_000 });
    boot(A);
    boot(B);
    let generation = 1;
    // The managers' own exchange: the follower has it first, then the leader, then the follower drops the old one.
    let step = 0;
    for (let k = 0; k < 120; k++) {
      if (random.below(4) === 0) {
        if (step === 0) give(B, generation, generation + 1);
        else if (step === 1) give(A, generation, generation + 1);
        else give(B, ++generation);
        step = (step + 1) % 3;
      }
      const accident = random.below(20);
      if (accident < 2) boot(random.pick([A, B]));
      if (accident === 2) for (const { frame } of wire.twin.heard.slice(-50)) wire.twin.inject(random.pick([A, B]), frame);
      for (const unit of [A, B]) brains.get(unit)?.say(4 - unit, "words");
      wire.run(random.between(1, 80));
    }
    for (const lane of wire.lanes()) Object.assign(lane.faults, { lossRate: 0, duplicateRate: 0, reorderRate: 0 });
    wire.run(3_000);
    const b = brains.get(B) as LinkBrain;
    const before = b.heard.length;
    t.ok(brains.get(A)?.say(B, "after all"), `seed ${seed}`);
    t.ok(b.say(A, "after all"), `seed ${seed}`);
    wire.run(20);
    t.same(b.heard.slice(before), ["after all"], `seed ${seed}`);
  }
});

test("a unit that is un-paired is not heard any more, nor what it sent before; it is counted", async (t) => {
  const { wire, boot, give, frames, rejected } = pair(3);
  const a = boot(A);
  const b = boot(B);
  wire.run(200);
  const recorded = frames(B, KIND_SEALED).slice(-20);
  give(A);
  t.notOk(a.say(B, "too late"));
  t.same(a.told, ["associated 3 fresh", "lost 3"]);
  const before = rejected(A);
  b.say(A, "let me in");
  for (const frame of recorded) wire.twin.inject(A, frame);
  wire.run(2_000);
  t.same(a.heard, []);
  t.same(a.told.length, 2);
  t.ok(rejected(A) >= before + 20);
  boot(B);
  wire.run(1_000);
  t.same(a.told.length, 2);
  t.equal(wire.unit(A).noted("key-rejected").length, 1);
});

test("another identity under the same number has nothing to do with the one before", async (t) => {
  const { wire, boot, brains } = pair(4);
  const a = boot(A);
  boot(B);
  wire.run(200);
  a.link.setKeys([{ unit: B, identity: "somebody else", secrets: [{ generation: 7, secret: "77".repeat(32) }] }]);
  wire.run(1_000);
  t.same(a.told, ["associated 3 fresh", "lost 3"]);
  brains.get(B)?.link.setKeys([{ unit: A, identity: "the other", secrets: [{ generation: 7, secret: "77".repeat(32) }] }]);
  wire.run(3_000);
  t.equal(a.link.associated(B), true, "and is associated like any other");
});
