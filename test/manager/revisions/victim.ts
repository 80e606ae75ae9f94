// A process that commits without end, so that another can kill it: prints each revision's hash once it is in force.

import { Random } from "../../../firmware/hal/sim/random.ts";
import { makeRevision } from "../../../firmware/manager/revisions/revision.ts";
import { RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { randomConfiguration } from "../config/chance.ts";

const [file = "", seed = "0"] = process.argv.slice(2);
const store = new RevisionStore(file);
const random = new Random(Number(seed), "victim");
for (;;) {
  const { head } = store.read();
  const parent = store.revision(head);
  const revision = makeRevision(randomConfiguration(random), { who: "victim", atMillis: 0, origin: "test", comment: "" }, parent);
  if (revision.hash === head) continue;
  process.stdout.write(`begun ${revision.hash}\n`);
  store.write({ revisions: [revision], head: revision.hash });
  process.stdout.write(`done ${revision.hash}\n`);
}
