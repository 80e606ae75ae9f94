// Stories that failed once (seeds.ts), told again.

import { test } from "tap";
import { buildUnit } from "./production.ts";
import { KEPT_STORIES } from "./seeds.ts";
import { simulate } from "./simulation.ts";

for (const story of KEPT_STORIES) {
  test(`the story of seed ${story.seed}, which failed once (${story.was}), holds`, async (t) => {
    const { failure, trace } = simulate(story, { build: buildUnit });
    t.equal(failure, "", [failure, ...trace.slice(-40)].join("\n"));
  });
}
