// What runs is valid, whatever anybody types and commits: edits at random, each followed by a commit, and now and then a restart. TWINWALL_FULL=1
// makes 10,000 edits instead of 800.

import { test } from "tap";
import { board } from "../../../board/lab.ts";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { Candidate, sourceOf } from "../../../firmware/manager/config/candidate.ts";
import { EditError, hashOfDocument, type Json } from "../../../firmware/manager/config/document.ts";
import { judgeDocument } from "../../../firmware/manager/config/load.ts";
import { buildPlan } from "../../../firmware/manager/config/plan.ts";
import type { Plan } from "../../../firmware/plan.ts";
import { randomEdit } from "../config/chance.ts";
import { EXAMPLE, type Stage, stage } from "./stage.ts";

const EDITS = process.env.TWINWALL_FULL === "1" ? 10_000 : 800;
const EDITOR = { who: "test", origin: "A1 test" };
/** Refused commits in a row, until the candidate is discarded. */
const PATIENCE = 3;

/** The plan of a document, whose revision is another matter; throws when it is not valid or does not fit the unit. */
function planOf(document: Json): Omit<Plan, "revision"> {
  const source = sourceOf(document);
  const { configuration, problems } = judgeDocument(document, source);
  if (configuration === undefined) throw new Error(problems.map(({ code, path }) => `${code} ${path}`).join(", "));
  const { revision: _, ...plan } = buildPlan({ configuration, source }, board, "A1");
  return plan;
}

function candidateAt(here: Stage): Candidate {
  const { number, hash, document } = here.desk.member.head;
  return new Candidate({ number, hash, document: document as Json });
}

/** An edit that is refused changes nothing. */
function edit(candidate: Candidate, random: Random): void {
  const { command, words } = randomEdit(random, candidate.document);
  try {
    candidate[command](words);
  } catch (error) {
    if (!(error instanceof EditError)) throw error;
  }
}

test("random edits, each committed as it is: what runs is always valid, and is what was committed last", { timeout: 1_800_000 }, async (t) => {
  const random = new Random(12, "running");
  let here = stage(t);
  let seat = here.desk.sit(EDITOR);
  let candidate = candidateAt(here);
  let expected = hashOfDocument(EXAMPLE);
  let running: Plan = here.desk.plan();
  const count = { taken: 0, refused: 0, restarts: 0 };
  const wrong: string[] = [];
  for (let k = 0, refusals = 0; k < EDITS && wrong.length === 0; k++) {
    edit(candidate, random);
    if (candidate.isChanged) {
      const base = here.desk.member.head.hash;
      const ran = here.plans.length;
      const order = { document: candidate.document, base, comment: "", confirmMinutes: 0, settles: "", changes: [] };
      const { isCommitted, code } = await seat.commit(order);
      if (isCommitted) {
        expected = hashOfDocument(candidate.document);
        count.taken++;
        if (here.plans.length !== ran + 1) wrong.push(`${k}: committed, and nothing new runs`);
      } else {
        count.refused++;
        if (code !== "refused") wrong.push(`${k}: ${code}`);
        if (here.plans.length !== ran) wrong.push(`${k}: refused, and something new runs`);
      }
      running = here.plans.at(-1) ?? running;
      refusals = isCommitted ? 0 : refusals + 1;
      if (isCommitted || refusals === PATIENCE) {
        candidate = candidateAt(here);
        refusals = 0;
      }
    }
    if (random.below(50) === 0) {
      here = here.restart();
      seat = here.desk.sit(EDITOR);
      candidate = candidateAt(here);
      running = here.desk.plan();
      count.restarts++;
    }
    const { document } = here.desk.member.head;
    if (hashOfDocument(document as Json) !== expected) wrong.push(`${k}: another document is in force than was committed last`);
    const { revision: _, ...plan } = running;
    if (JSON.stringify(plan) !== JSON.stringify(planOf(document as Json))) wrong.push(`${k}: what runs is not what is in force`);
  }
  t.same(wrong, []);
  t.ok(
    count.taken > EDITS / 10 && count.refused > EDITS / 50,
    `${EDITS} edits: ${count.taken} commits taken, ${count.refused} refused, ${count.restarts} restarts`,
  );
});
