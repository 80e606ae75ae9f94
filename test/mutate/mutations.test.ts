// The list of mutations keeps up with the sources and with the requirements.

import { join } from "node:path";
import { test } from "tap";
import { REQUIREMENTS } from "../requirements.ts";
import { MUTATIONS, staleness } from "./mutations.ts";
import { TWIN_MUTATIONS } from "./twin.ts";

test("every mutation finds the rule that it switches off, once", async (t) => {
  t.same(
    [...MUTATIONS, ...TWIN_MUTATIONS].flatMap((mutation) => staleness(mutation, join(import.meta.dirname, "../.."))),
    [],
  );
});

test("every requirement of the rulebook has a rule that can be switched off", async (t) => {
  const switched = new Set(MUTATIONS.flatMap(({ ids }) => ids));
  const without = REQUIREMENTS.filter(({ id, issue }) => issue === 3 && !switched.has(id)).map(({ id }) => id);
  t.same(without, []);
});
