// Why the appliance was started last: what the hardware remembers, what the run before noted, and a file that was damaged.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import type { ResetCause } from "../../firmware/hal/contracts.ts";
import { lastResetOf, ResetJournal } from "../../firmware/manager/last-reset.ts";

const AT = "2027-01-01T00:00:00.000Z";
const LATER = "2027-02-01T00:00:00.000Z";

/** A run that `ends` in some way, a reset, and what the next run says about it. */
function after(data: string, ends: (journal: ResetJournal) => void, remembered: readonly ResetCause[] = []): string {
  ends(new ResetJournal(data, "boot-1", [], AT));
  const { cause, sentence } = new ResetJournal(data, "boot-2", remembered, LATER).lastReset;
  return `${cause}: ${sentence}`;
}

const nothing = (): void => undefined;

test("the first run knows of no earlier one", async (t) => {
  const data = t.testdir();
  t.equal(lastResetOf(data), undefined);
  t.equal(new ResetJournal(data, "boot-1", [], AT).lastReset.cause, "first-start");
  t.same(lastResetOf(data), { cause: "first-start", sentence: "No earlier run is known.", at: AT });
});

test("a run that was stopped on request is told from one that just ended", async (t) => {
  t.equal(
    after(t.testdir({}), (journal) => journal.stopped()),
    "planned: It was stopped on request.",
  );
  t.equal(after(t.testdir({}), nothing), "unplanned: It ended without a word: a power cut, the reset button, or a crash of the kernel.");
});

test("a watchdog that bit is told with the reason, also by a driver that remembers nothing", async (t) => {
  const starves = (journal: ResetJournal) => journal.starving("the store did not write");
  t.equal(after(t.testdir({}), starves, ["watchdog"]), "watchdog: The watchdog reset it: the store did not write.");
  t.equal(after(t.testdir({}), starves), "watchdog: The watchdog reset it: the store did not write.");
  t.equal(after(t.testdir({}), nothing, ["watchdog"]), "watchdog: The watchdog reset it: the manager did not run.");
});

test("a unit that recovered before the watchdog bit did not starve", async (t) => {
  const recovers = (journal: ResetJournal): void => {
    journal.starving("the dataplane did not breathe");
    journal.starving("");
  };
  t.match(after(t.testdir(), recovers), /^unplanned: /);
});

test("heat and voltage go before anything that the run noted", async (t) => {
  t.equal(
    after(t.testdir({}), (journal) => journal.stopped(), ["overheated"]),
    "overheated: It overheated.",
  );
  t.equal(after(t.testdir({}), nothing, ["power-low", "watchdog"]), "power-low: The supply voltage was too low.");
});

test("a manager that is restarted in the same boot keeps the cause", async (t) => {
  const data = t.testdir();
  new ResetJournal(data, "boot-1", [], AT).stopped();
  new ResetJournal(data, "boot-2", [], LATER);
  new ResetJournal(data, "boot-2", [], "2027-03-01T00:00:00.000Z");
  t.same(lastResetOf(data), { cause: "planned", sentence: "It was stopped on request.", at: LATER });
});

test("a damaged file is as good as none", async (t) => {
  for (const text of ["", "{", "null", '{"boot":1}']) {
    const data = t.testdir({});
    writeFileSync(join(data, "last-reset.json"), text);
    t.equal(lastResetOf(data), undefined);
    t.equal(new ResetJournal(data, "boot-1", [], AT).lastReset.cause, "first-start", text);
  }
});
