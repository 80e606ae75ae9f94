// When a unit is dialled: soon after it is heard, more and more rarely while nobody answers, and at more than one address.

import { test } from "tap";
import { Dialer } from "../../../firmware/manager/peers/dialer.ts";

function setUp(answers: (address: string) => boolean = () => false) {
  const dialled: string[] = [];
  const world = { now: 10_000, isWanted: true };
  const dialer: Dialer = new Dialer({
    nowMillis: () => world.now,
    pauseMillisMost: 8_000,
    isWanted: () => world.isWanted,
    dial: (unit, address, done) => {
      dialled.push(`${world.now} ${unit} ${address}`);
      done(answers(address));
    },
  });
  const run = (millis: number): void => {
    for (let k = 0; k < millis; k += 250) {
      world.now += 250;
      if (world.now % 1_000 === 0) dialer.seen(3, "fe80::3");
      dialer.tick();
    }
  };
  return { dialer, dialled, world, run };
}

test("a unit that is heard is dialled at once, then with pauses that double up to 8 s", async (t) => {
  const { dialer, dialled, run } = setUp();
  dialer.seen(3, "fe80::3");
  run(30_000);
  const at = dialled.map((line) => Number(line.split(" ")[0]) - 10_000);
  t.same(at, [0, 250, 750, 1_750, 3_750, 7_750, 15_750, 23_750]);
});

test("nobody is dialled who is not wanted; there is no pause once somebody is, after news", async (t) => {
  const { dialer, dialled, world, run } = setUp();
  world.isWanted = false;
  dialer.seen(3, "fe80::3");
  run(5_000);
  t.same(dialled, []);
  world.isWanted = true;
  run(20_000);
  const before = dialled.length;
  dialer.soon(3);
  dialer.tick();
  t.equal(dialled.length, before + 1);
});

test("whoever shouts wrong addresses does not hide the right one", async (t) => {
  const { dialer, dialled, world } = setUp((address) => address === "fe80::3");
  dialer.seen(3, "fe80::bad1");
  dialer.seen(3, "fe80::bad2");
  dialer.seen(3, "fe80::3");
  for (let k = 0; k < 40 && !dialled.some((line) => line.endsWith("fe80::3")); k++) {
    world.now += 250;
    dialer.tick();
  }
  t.ok(dialled.length <= 3);
  const before = dialled.length;
  world.now += 250;
  dialer.tick();
  t.ok(
    dialled.slice(before).every((line) => line.endsWith("fe80::3")),
    "and the one that answered is tried first",
  );
});

test("of two addresses the one that has fallen silent is left alone, and comes into its own when all have", async (t) => {
  const { dialer, dialled, world } = setUp();
  world.isWanted = false;
  dialer.seen(3, "fe80::3%first");
  dialer.seen(3, "fe80::33%second");
  for (let k = 0; k < 5; k++) {
    world.now += 1_000;
    dialer.seen(3, "fe80::33%second");
  }
  world.isWanted = true;
  for (let k = 0; k < 3; k++) {
    dialer.soon(3);
    dialer.tick();
  }
  t.same(
    dialled.map((line) => line.split(" ")[2]),
    ["fe80::33%second", "fe80::33%second", "fe80::33%second"],
  );
  world.now += 5_000;
  for (let k = 0; k < 2; k++) {
    dialer.soon(3);
    dialer.tick();
  }
  t.same(
    dialled.slice(3).map((line) => line.split(" ")[2]),
    ["fe80::3%first", "fe80::33%second"],
  );
});

test("a connection that is taken and not kept is not tried again and again at once", async (t) => {
  const { dialer, dialled, run } = setUp(() => true);
  dialer.seen(3, "fe80::3");
  run(30_000);
  t.ok(dialled.length <= 8, `${dialled.length} attempts`);
});
