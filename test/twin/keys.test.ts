// Keys: derivation, rotation, and that no key ever meets a counter twice. The ledger behind the simulated sealer throws when one
// does, so every test of the twin proves it along the way; here it is provoked.

import { test } from "tap";
import { ETHERNET_BYTES, F_KEY, F_KIND, KIND_SEALED } from "../../firmware/twin/frame.ts";
import { Keyring } from "../../firmware/twin/keys.ts";
import type { LinkOptions } from "../../firmware/twin/link.ts";
import { SECRET } from "../pair-keys.ts";
import { LinkBrain } from "./brains.ts";
import { Wire } from "./wire.ts";

const A = 1;
const B = 3;

function pair(seed: number, options: Partial<LinkOptions> = {}) {
  const wire = new Wire(seed, [A, B]);
  const boot = (unit: number): LinkBrain => {
    let brain: LinkBrain | undefined;
    wire.unit(unit).boot((start) => (brain = new LinkBrain(start, options)));
    return brain as LinkBrain;
  };
  /** Key numbers on the wire, as `from` used them, without repetitions. */
  const keysOf = (from: number): number[] => {
    const sealed = wire.twin.heard.filter((heard) => heard.from === from && heard.frame[ETHERNET_BYTES + F_KIND] === KIND_SEALED);
    return sealed.map(({ frame }) => frame[ETHERNET_BYTES + F_KEY] as number).filter((key, k, all) => k === 0 || all[k - 1] !== key);
  };
  return { wire, boot, keysOf };
}

test("a key depends on direction, both draws, number and secret, and on nothing else", async (t) => {
  const keyring = new Keyring(SECRET, 1);
  const one = new Uint8Array(16).fill(1);
  const two = new Uint8Array(16).fill(2);
  const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
  const base = hex(keyring.sealingKey(A, B, one, two, 0));
  t.equal(base.length, 64);
  t.equal(hex(new Keyring(SECRET, 1).sealingKey(A, B, one, two, 0)), base);
  const others = [
    keyring.sealingKey(B, A, one, two, 0),
    keyring.sealingKey(A, B, two, one, 0),
    keyring.sealingKey(A, B, one, one, 0),
    keyring.sealingKey(A, B, one, two, 1),
    keyring.sealingKey(A, B, one, two, 256),
    new Keyring("5f".repeat(32), 1).sealingKey(A, B, one, two, 0),
  ].map(hex);
  t.equal(new Set([base, ...others]).size, 7);
});

test("a short or malformed secret is refused with a reason", async (t) => {
  t.throws(() => new Keyring("5e".repeat(31), 1), /at least 32 bytes in hex/);
  t.throws(() => new Keyring("not hex".repeat(20), 1), /at least 32 bytes in hex/);
});

test("keys rotate by volume without losing a record", async (t) => {
  const { wire, boot, keysOf } = pair(1, { keyFrames: 40 });
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  const sent: string[] = [];
  for (let k = 0; k < 12_000; k++) {
    if (a.say(B, `row ${k}`)) sent.push(`row ${k}`);
    wire.run(1);
  }
  wire.run(10);
  t.equal(sent.length, 12_000);
  t.same(b.heard, sent);
  const keys = keysOf(A);
  t.ok(keys.length >= 5, `keys ${keys}`);
  t.same(
    keys,
    keys.map((_, k) => k),
    "one after the other",
  );
});

test("keys rotate by time, in both directions", async (t) => {
  const { wire, boot, keysOf } = pair(2, { keyMillis: 3_000 });
  const a = boot(A);
  boot(B);
  wire.run(10_000);
  t.same(keysOf(A), [0, 1, 2, 3]);
  t.same(keysOf(B), [0, 1, 2, 3]);
  t.same(a.told, ["associated 3 fresh"]);
});

test("rotation under loss, duplication and reordering: the link stays up and every frame that comes through opens", async (t) => {
  for (let seed = 10; seed < 16; seed++) {
    const { wire, boot, keysOf } = pair(seed, { keyMillis: 2_200 });
    const a = boot(A);
    const b = boot(B);
    wire.run(200);
    for (const lane of wire.lanes()) Object.assign(lane.faults, { lossRate: 0.3, duplicateRate: 0.2, reorderRate: 0.3, reorderMicros: 30_000 });
    let said = 0;
    for (let k = 0; k < 10_000; k++) {
      if (k % 5 === 0 && a.say(B, `row ${k}`)) said++;
      wire.run(1);
    }
    t.ok(keysOf(A).length >= 3, `seed ${seed}: keys ${keysOf(A)}`);
    t.ok(b.heard.length > said * 0.6, `seed ${seed}: ${b.heard.length} of ${said}`);
  }
});

test("a peer that does not answer offers keeps its old key for as long as it takes", async (t) => {
  const { wire, boot, keysOf } = pair(3, { keyMillis: 500 });
  const a = boot(A);
  const b = boot(B);
  wire.run(100);
  wire.cut([wire.twin, ...wire.data], true, B, A);
  wire.run(3_000);
  t.same(keysOf(A), [0], "B heard the offers, A never heard that B is ready");
  wire.cut([wire.twin, ...wire.data], false);
  wire.run(1_000);
  t.ok(keysOf(A).length > 1);
  t.ok(a.say(B, "still here"));
  wire.run(5);
  t.same(b.heard, ["still here"]);
});

test("crashes at any moment, restarts and pauses: no key meets a counter twice", async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { wire, boot } = pair(seed, { keyFrames: 30, keyMillis: 2_100 });
    const random = wire.random.fork("accidents");
    for (const lane of wire.lanes()) Object.assign(lane.faults, { lossRate: 0.1, duplicateRate: 0.1, reorderRate: 0.2, reorderMicros: 10_000 });
    const brains = new Map([A, B].map((unit) => [unit, boot(unit)]));
    for (let step = 0; step < 60; step++) {
      const unit = random.pick([A, B]);
      const accident = random.below(10);
      if (accident === 0) brains.set(unit, boot(unit));
      if (accident === 1) wire.unit(unit).pausedUntil = wire.schedule.nowMicros + random.below(300_000);
      if (accident === 2) for (const { frame } of wire.twin.heard.slice(-50)) wire.twin.inject(unit, frame);
      for (let k = 0; k < 10; k++) brains.get(unit)?.say(4 - unit, "words ".repeat(random.below(50)));
      wire.run(random.between(1, 60));
    }
    t.ok(wire.ledger.sealed > 100, `seed ${seed}: ${wire.ledger.sealed} frames`);
  }
});
