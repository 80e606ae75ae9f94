// Plays the evasions (test/scripts/evasions.packets) and prints what became of each: technique, verdict, and what the packets met.

import { test } from "tap";
import { idsOf } from "./requirements.ts";
import { allScripts, playAll } from "./scripts/run.ts";

interface Row {
  readonly technique: string;
  readonly ids: string;
  readonly verdict: string;
  readonly met: string;
}

const rows: Row[] = [];

for (const script of allScripts("evasions.packets")) {
  test(script.name, async (t) => {
    const runs = playAll(script);
    for (const { cast, failure } of runs) {
      if (failure === "") t.pass(cast);
      else t.fail(failure, { stack: "" });
    }
    const sentence = script.name.slice(script.name.indexOf(": ") + 2);
    const colon = sentence.lastIndexOf(": ");
    const met = [...new Set(runs.flatMap((run) => run.outcomes))].join("; ");
    rows.push({ technique: sentence.slice(0, colon), ids: idsOf(script.name).join(" "), verdict: sentence.slice(colon + 2), met });
  });
}

test("the table of evasions", async (t) => {
  t.ok(rows.length >= 25, `${rows.length} techniques`);
  const width = Math.max(...rows.map(({ technique }) => technique.length));
  for (const { technique, ids, verdict, met } of rows) t.comment(`${technique.padEnd(width)} | ${ids.padEnd(7)} | ${verdict} | ${met}`);
});
