// Stories that failed once (seeds.ts, seeds-of-pairs.ts), told again.

import { test } from "tap";
import { buildUnit } from "./production.ts";
import { KEPT_STORIES } from "./seeds.ts";
import { KEPT_STORIES_OF_PAIRS } from "./seeds-of-pairs.ts";
import { simulate } from "./simulation.ts";

for (const story of [...KEPT_STORIES, ...KEPT_STORIES_OF_PAIRS]) {
  test(`the story of seed ${story.seed}, which failed once (${story.was}), holds`, async (t) => {
    const { failure, trace } = simulate(story, { build: buildUnit });
    t.equal(failure, "", [failure, ...trace.slice(-40)].join("\n"));
  });
}
