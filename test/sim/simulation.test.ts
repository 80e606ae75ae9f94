// Production units among hosts and faults: whatever the seed draws, every invariant of PROTOCOL.md holds.

import { test } from "tap";
import { buildUnit } from "./production.ts";
import { type SimulationResult, simulate } from "./simulation.ts";
import { drawStory, type Story, shrink } from "./story.ts";

const FRESH_SEEDS = [1, 2, 3, 4, 5, 6];

const account = ({ failure, trace }: SimulationResult): string => [failure, ...trace.slice(-40)].join("\n");
const tell = (story: Story, workMillis?: number): SimulationResult => simulate(story, { build: buildUnit, ...(workMillis !== undefined && { workMillis }) });

test("the same seed gives the same trace, another seed another", async (t) => {
  const once = tell(drawStory(99), 2_000);
  t.equal(once.failure, "", account(once));
  t.equal(tell(drawStory(99), 2_000).hash, once.hash);
  t.not(tell(drawStory(100), 2_000).hash, once.hash);
});

for (const seed of FRESH_SEEDS) {
  test(`all invariants hold in the world of seed ${seed}`, async (t) => {
    const result = tell(drawStory(seed));
    t.equal(result.failure, "", account(result));
    t.ok(result.transfers > 10 && result.packets > 300, "hosts were at work");
  });
}

for (const seed of [1, 3]) {
  test(`two pairs hold while units lose their power, in the world of seed ${seed}`, async (t) => {
    const result = tell(drawStory(seed, { settings: { pairs: true, mode: "routed" }, kinds: ["crash-lose"] }));
    t.equal(result.failure, "", account(result));
    t.equal(result.excused, 0, "the standby had every session");
  });
}

test("a story shrinks to the faults that it needs to fail", async (t) => {
  const story = drawStory(6);
  t.ok(story.faults.length > 5);
  const [one, other] = [story.faults[1], story.faults[4]];
  const shorter = shrink(
    story,
    ({ faults }) => faults.includes(one as Story["faults"][0]) && faults.includes(other as Story["faults"][0]),
    () => false,
  );
  t.same(shorter.faults, [one, other]);
});
