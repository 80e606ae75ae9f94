// Production units among hosts and faults: whatever the seed draws, every invariant of PROTOCOL.md holds.

import { test } from "tap";
import { buildUnit } from "./production.ts";
import { KEPT_SEEDS } from "./seeds.ts";
import { type SimulationResult, simulate } from "./simulation.ts";

const FRESH_SEEDS = [1, 2, 3, 4, 5, 6];

const story = ({ failure, settings, faults, trace }: SimulationResult): string => [failure, settings, ...faults, ...trace.slice(-40)].join("\n");

test("the same seed gives the same trace, another seed another", async (t) => {
  const options = { build: buildUnit, workMillis: 2_000 };
  const once = simulate({ ...options, seed: 99 });
  t.equal(once.failure, "", story(once));
  t.equal(simulate({ ...options, seed: 99 }).hash, once.hash);
  t.not(simulate({ ...options, seed: 100 }).hash, once.hash);
});

for (const seed of FRESH_SEEDS) {
  test(`all invariants hold in the world of seed ${seed}`, async (t) => {
    const result = simulate({ build: buildUnit, seed });
    t.equal(result.failure, "", story(result));
    t.ok(result.transfers > 10 && result.packets > 300, "hosts were at work");
  });
}

for (const seed of [1, 2]) {
  test(`two pairs hold while units lose their power, in the world of seed ${seed}`, async (t) => {
    const result = simulate({ build: buildUnit, seed, settings: { pairs: true, mode: "routed" }, kinds: ["crash-lose"] });
    t.equal(result.failure, "", story(result));
    t.equal(result.excused, 0, "the standby had every session");
  });
}

for (const { seed, was } of KEPT_SEEDS) {
  test(`seed ${seed}, which failed once (${was}), holds`, async (t) => {
    const result = simulate({ build: buildUnit, seed });
    t.equal(result.failure, "", story(result));
  });
}
