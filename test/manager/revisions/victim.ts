// A process that commits without end, so that another can kill it, or so many times (power-cuts.ts). Says each revision's hash before it is
// written and once it is in force: on stdout, or in a file, where what it says has its place among what it writes.

import { openSync, writeSync } from "node:fs";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { makeRevision } from "../../../firmware/manager/revisions/revision.ts";
import { RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { randomConfiguration } from "../config/chance.ts";

const [file = "", seed = "0", marks = "", count = "Infinity"] = process.argv.slice(2);
const descriptor = marks === "" ? 0 : openSync(marks, "a");
const say = (line: string): void => void (marks === "" ? process.stdout.write(line) : writeSync(descriptor, line));
const store = new RevisionStore(file);
const random = new Random(Number(seed), "victim");
for (let k = 0; k < Number(count); k++) {
  const { head } = store.read();
  const parent = store.revision(head);
  const revision = makeRevision(randomConfiguration(random), { who: "victim", atMillis: 0, origin: "test", comment: "" }, parent);
  if (revision.hash === head) continue;
  say(`begun ${revision.hash}\n`);
  store.write({ revisions: [revision], head: revision.hash });
  say(`done ${revision.hash}\n`);
}
// Nothing is closed: that would write back what a power cut finds open.
process.kill(process.pid, "SIGKILL");
