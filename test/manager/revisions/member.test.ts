// One configuration over four units: all take a commit or none does, whatever is lost and whoever dies. TWINWALL_FULL=1 runs each of the
// random tests ten times as long.

import { test } from "tap";
import { makeRevision } from "../../../firmware/manager/revisions/revision.ts";
import { FIRST, Fleet, NAMES, UNFIT } from "./fleet.ts";

const TIMES = process.env.TWINWALL_FULL === "1" ? 10 : 1;
const NEW = { system: { name: "new" } };
const MINUTE = 60_000;

test("a commit is in force on all four, and the result says so unit by unit", async (t) => {
  const fleet = new Fleet(1);
  const outcome = fleet.commit("A1", NEW);
  fleet.run(1_000);
  t.ok(outcome.result?.isCommitted);
  t.same(
    outcome.result?.units.map(({ unit, what }) => `${unit} ${what}`),
    NAMES.map((name) => `${name} applied`),
  );
  t.same(fleet.heads(), [outcome.result?.revision.hash]);
  t.equal(fleet.running.get("B2")?.number, 2);
});

test("a unit that cannot take it makes the commit fail everywhere, with its reason", async (t) => {
  const fleet = new Fleet(2);
  const outcome = fleet.commit("A1", { ...NEW, [UNFIT]: "B2" });
  fleet.run(1_000);
  t.equal(outcome.result?.code, "refused");
  t.same(outcome.result?.units.find(({ unit }) => unit === "B2")?.reasons, ["B2 has no port7."]);
  t.same(fleet.heads(), [FIRST.hash]);
  const own = fleet.commit("B2", { ...NEW, [UNFIT]: "B2" });
  t.equal(own.result?.code, "refused", "its own refusal needs nobody else");
});

test("a unit that does not answer makes it fail, and one that is known to be away does not", async (t) => {
  const fleet = new Fleet(3);
  fleet.loss = 1;
  const outcome = fleet.commit("A1", NEW);
  fleet.run(11_000);
  t.equal(outcome.result?.code, "refused");
  t.same(
    outcome.result?.units.map(({ what }) => what),
    ["unchanged", "silent", "silent", "silent"],
  );
  fleet.heal();
  fleet.kill("B1");
  const second = fleet.commit("A1", NEW);
  fleet.run(1_000);
  t.same(
    second.result?.units.map(({ unit, what }) => `${unit} ${what}`),
    ["A1 applied", "A2 applied", "B2 applied", "B1 away"],
  );
  fleet.heal();
  t.same(fleet.heads(), [second.result?.revision.hash], "it catches up");
});

test("a revision that others have overtaken is refused", async (t) => {
  const fleet = new Fleet(4);
  const [member] = [fleet.members.get("A1")];
  const stale = makeRevision(NEW, { who: "", atMillis: 0, origin: "", comment: "" }, member?.head);
  fleet.commit("B1", { system: { name: "other" } });
  fleet.run(1_000);
  let code = "";
  member?.propose(stale, 0, (result) => {
    code = result.code;
  });
  t.equal(code, "stale");
});

test("a unit that promised and hears nothing keeps the old revision, refuses others, asks, and learns", async (t) => {
  const fleet = new Fleet(5);
  fleet.commit("A1", NEW);
  for (let k = 0; k < 200 && fleet.members.get("B1")?.state.prepared === undefined; k++) fleet.run(10);
  fleet.side = ["B1"];
  fleet.run(20_000);
  t.equal(fleet.running.get("B1")?.hash, FIRST.hash);
  t.equal(fleet.commit("B1", NEW).result?.code, "undecided");
  fleet.heal();
  t.equal(fleet.heads().length, 1);
  t.equal(fleet.members.get("B1")?.state.prepared, undefined);
});

test("an operator can give up a promise whose coordinator is gone for ever", async (t) => {
  const fleet = new Fleet(6);
  fleet.commit("A1", NEW);
  for (let k = 0; k < 200 && fleet.members.get("B1")?.state.prepared === undefined; k++) fleet.run(10);
  fleet.kill("A1");
  fleet.side = ["B1"];
  t.ok(fleet.members.get("B1")?.abandon());
  const outcome = fleet.commit("B1", NEW);
  fleet.run(10_000);
  t.ok(outcome.result?.isCommitted);
});

test("what nobody confirms is left on all four at its time, also when the link is cut; what is confirmed stays", async (t) => {
  const fleet = new Fleet(7);
  const outcome = fleet.commit("A1", NEW, MINUTE);
  fleet.run(1_000);
  t.ok(outcome.result?.isCommitted);
  fleet.side = ["B1", "B2"];
  t.equal(fleet.commit("A1", NEW).result?.code, "confirm-out-of-reach", "half of them cannot confirm");
  fleet.run(MINUTE);
  t.same(fleet.heads().length, 1, "they went back to one and the same revision, each on its own");
  t.same(fleet.running.get("B1")?.document, FIRST.document);
  fleet.heal();
  t.same(fleet.members.get("A1")?.state.conflict, "");
  fleet.commit("A1", NEW, MINUTE);
  fleet.run(10_000);
  const confirmed = fleet.commit("B1", NEW);
  fleet.run(2 * MINUTE);
  t.ok(confirmed.result?.isCommitted);
  t.same(fleet.running.get("A2")?.document, NEW);
});

test("the time to confirm goes on over a restart", async (t) => {
  const fleet = new Fleet(8);
  fleet.commit("A1", NEW, MINUTE);
  fleet.run(30_000);
  for (const name of NAMES) fleet.kill(name);
  for (const name of NAMES) fleet.start(name);
  fleet.run(20_000);
  t.same(fleet.running.get("A1")?.document, NEW);
  fleet.run(20_000);
  t.same(fleet.heads().length, 1);
  t.same(fleet.running.get("A1")?.document, FIRST.document);
});

test("what both sites did while apart is a conflict that all see, and one revision settles it", async (t) => {
  const fleet = new Fleet(9);
  fleet.side = ["B1", "B2"];
  fleet.commit("A1", { system: { name: "a" } });
  fleet.commit("B1", { system: { name: "b" } });
  fleet.run(10_000);
  fleet.heal();
  t.same(fleet.heads().length, 2, "each side keeps its own");
  for (const name of NAMES) {
    const { conflict } = fleet.members.get(name)?.state ?? {};
    const theirs = fleet.journals.get(name)?.revision(conflict ?? "");
    t.same(theirs?.document, { system: { name: name.startsWith("A") ? "b" : "a" } }, `${name} has the other's too`);
  }
  const settled = fleet.commit("B2", { system: { name: "both" } });
  fleet.run(1_000);
  t.ok(settled.result?.isCommitted);
  t.same(fleet.heads(), [settled.result?.revision.hash]);
  t.same(NAMES.map((name) => fleet.members.get(name)?.state.conflict).join(""), "");
});

test("three that disagree are settled two at a time", async (t) => {
  const fleet = new Fleet(11);
  fleet.side = ["A2"];
  fleet.commit("A2", { system: { name: "A2" } });
  fleet.kill("A2");
  fleet.side = ["B1"];
  for (const name of ["A1", "B1"]) fleet.commit(name, { system: { name } });
  fleet.run(5_000);
  fleet.start("A2");
  fleet.side = [];
  fleet.run(10_000);
  t.equal(fleet.heads().length, 3);
  fleet.commit("A1", { system: { name: "two of them" } });
  fleet.run(10_000);
  fleet.commit("A1", { system: { name: "all" } });
  fleet.run(10_000);
  t.equal(fleet.heads().length, 1);
});

test("both sites that did the same while apart agree", async (t) => {
  const fleet = new Fleet(10);
  fleet.side = ["B1", "B2"];
  fleet.commit("A1", NEW);
  fleet.commit("B1", NEW);
  fleet.run(10_000);
  fleet.heal();
  t.equal(fleet.heads().length, 1);
});

test("one commit, units that die at random instants and lost messages: the old or the new, the same everywhere after healing", async (t) => {
  const wrong: string[] = [];
  let deaths = 0;
  let taken = 0;
  for (let seed = 1; seed <= 600 * TIMES; seed++) {
    const fleet = new Fleet(seed);
    fleet.deaths = 0.06;
    fleet.loss = (seed % 4) / 10;
    const outcome = fleet.commit("A1", NEW, seed % 3 === 0 ? 5 * MINUTE : 0);
    fleet.run(10 * (1 + (fleet.random.word() % 40)));
    if (seed % 5 === 0) fleet.kill(NAMES[fleet.random.word() % 4] as string);
    fleet.run(fleet.random.word() % 15_000);
    deaths += 4 - fleet.members.size;
    fleet.heal();
    const heads = fleet.heads();
    const isNew = fleet.running.get("A1")?.number === 2;
    if (isNew) taken++;
    if (heads.length !== 1 || fleet.members.get("A1")?.state.prepared !== undefined) wrong.push(`seed ${seed}: ${heads.length} configurations`);
    if (outcome.result?.isCommitted && !isNew) wrong.push(`seed ${seed}: committed, and not there`);
    if (outcome.result?.isCommitted === false && isNew) wrong.push(`seed ${seed}: refused, and there`);
  }
  t.same(wrong, []);
  t.ok(deaths > 200 * TIMES && taken > 100 * TIMES, `${deaths} deaths; ${taken} commits came through`);
});

test("many commits everywhere, partitions, deaths: after healing one configuration, or a conflict that one revision settles; nothing is lost", async (t) => {
  const wrong: string[] = [];
  let conflicts = 0;
  for (let seed = 1; seed <= 100 * TIMES; seed++) {
    const fleet = new Fleet(seed);
    const committed: string[] = [];
    for (let step = 0; step < 12; step++) {
      fleet.deaths = 0.03;
      fleet.loss = fleet.chance(0.3) ? 0.2 : 0;
      fleet.side = fleet.chance(0.4) ? NAMES.filter(() => fleet.chance(0.5)) : [];
      for (const name of NAMES) if (!fleet.members.has(name) && fleet.chance(0.6)) fleet.start(name);
      const outcomes = NAMES.filter(() => fleet.chance(0.4)).map((name) => {
        const outcome = fleet.commit(name, { system: { name: `step ${step} at ${name}` } }, fleet.chance(0.1) ? MINUTE : 0);
        fleet.run(fleet.random.word() % 4_000);
        return outcome;
      });
      fleet.run(fleet.random.word() % 15_000);
      for (const { result } of outcomes) if (result?.isCommitted) committed.push(result.revision.hash);
    }
    fleet.heal(3 * MINUTE);
    for (let round = 0; round < 4 && fleet.heads().length > 1; round++) {
      conflicts++;
      const name = NAMES.find((each) => fleet.members.get(each)?.state.conflict !== "");
      fleet.commit(name ?? "A1", { system: { name: `settled ${round}` } });
      fleet.heal(20_000);
    }
    if (fleet.heads().length !== 1) wrong.push(`seed ${seed}: ${fleet.heads().length} configurations`);
    for (const hash of committed) if (fleet.journals.get("A1")?.revision(hash) === undefined) wrong.push(`seed ${seed}: ${hash.slice(0, 8)} is lost`);
  }
  t.same(wrong, []);
  t.ok(conflicts > 5, `${conflicts} conflicts were settled`);
});
