// Candidates: edits, what they differ by, and two people's edits put together. TWINWALL_FULL=1 runs 10,000 edits and 1,000 configurations
// instead of 2,000 and 200.

import { readFileSync } from "node:fs";
import { test } from "tap";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { Candidate } from "../../../firmware/manager/config/candidate.ts";
import { difference, merge } from "../../../firmware/manager/config/difference.ts";
import { canonical, EditError, hashOfDocument, type Json } from "../../../firmware/manager/config/document.ts";
import { judgeDocument } from "../../../firmware/manager/config/load.ts";
import { randomConfiguration, randomEdit } from "./chance.ts";

const EXAMPLE = JSON.parse(readFileSync(new URL("../../../firmware/manager/config/example.json", import.meta.url), "utf8")) as Json;
const IS_FULL = process.env.TWINWALL_FULL === "1";
const EDITS = IS_FULL ? 10_000 : 2_000;
const CONFIGURATIONS = IS_FULL ? 1_000 : 200;

function candidate(document: Json = EXAMPLE): Candidate {
  return new Candidate({ number: 1, hash: "h", document });
}

function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}

/** Code, path and remedy of the refusal; undefined when there is none. */
function refusal(act: () => void): EditError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof EditError) return error;
    throw error;
  }
}

test("what is set is shown, compared, and gone when it is deleted", async (t) => {
  const edited = candidate();
  edited.set(words("policy web action deny"));
  edited.set(words("policy ssh service tcp/22 tcp/2222"));
  edited.set(words("policy ssh action permit"));
  t.same(edited.compare(), [
    "- policy web action permit",
    "+ policy web action deny",
    "+ policy ssh",
    "+ policy ssh service tcp/22",
    "+ policy ssh service tcp/2222",
    "+ policy ssh action permit",
  ]);
  t.same(edited.show(words("policy ssh")), ["service tcp/22 tcp/2222", "action permit"]);
  edited.delete(words("policy ssh service tcp/22"));
  t.same(edited.show(words("policy ssh service")), ["tcp/2222"]);
  edited.delete(words("policy ssh"));
  edited.set(words("policy web action permit"));
  t.notOk(edited.isChanged);
});

test("edit, up and top say where paths begin", async (t) => {
  const edited = candidate();
  edited.edit(words("zones one gateway"));
  edited.set(words("mac 02:00:00:00:00:09"));
  edited.up();
  t.same(edited.level, ["zones", "one"]);
  edited.set(words("vlan 7"));
  edited.up();
  t.same(edited.level, [], "a list is no place to stand at");
  t.same(edited.compare(), ["+ zones one vlan 7", "+ zones one gateway mac 02:00:00:00:00:09"]);
  edited.edit(words("zones one"));
  edited.delete(words("vlan"));
  edited.top();
  edited.delete(words("zones one"));
  t.same(edited.level, []);
});

test("a rename takes every reference along", async (t) => {
  const edited = candidate();
  edited.rename(words("zones one lan"));
  edited.rename(words("sites A West"));
  t.same(edited.judge().problems, []);
  t.same(edited.show(words("routes 10.9.0.0/24 zone")), ["lan"]);
  t.same(edited.show(words("policy web from")), ["lan"]);
  t.match(edited.show(words("units")).join(" "), /West1 .*B1/);
});

test("rules are copied and moved", async (t) => {
  const edited = candidate();
  edited.copy(words("policy web web2"));
  edited.move(words("policy web2 before names"));
  t.same(edited.compare(), [
    "+ policy web2",
    "+ policy web2 from one",
    "+ policy web2 to three",
    "+ policy web2 service tcp/80",
    "+ policy web2 service tcp/443",
    "+ policy web2 action permit",
    "~ policy web2 after web",
  ]);
  edited.move(words("policy web2 last"));
  edited.delete(words("policy web2"));
  t.notOk(edited.isChanged);
});

test("a refused edit says where and what to do, and changes nothing", async (t) => {
  const cases: readonly [string, (c: Candidate) => void, string, string][] = [
    ["unknown key", (c) => c.set(words("policies web")), "unknown-path", "policies"],
    ["value that does not fit", (c) => c.set(words("twin heartbeatMillis 2")), "wrong-value", "twin heartbeatMillis"],
    ["value that is missing", (c) => c.set(words("mode")), "missing-value", "mode"],
    ["two values of one", (c) => c.set(words("mode routed routed")), "too-many-words", "mode"],
    ["list without a name", (c) => c.set(words("policy")), "missing-path", "policy"],
    ["name that cannot be", (c) => c.set(["zones", "a b", "vlan", "3"]), "wrong-name", "zones a b"],
    ["key that no object has", (c) => c.set(words("objects addresses __proto__ 10.0.0.1")), "wrong-name", "objects addresses __proto__"],
    ["name of an entry", (c) => c.set(words("policy web name other")), "not-settable", "policy web name"],
    ["revision", (c) => c.set(words("revision 7")), "not-settable", "revision"],
    ["delete of nothing", (c) => c.delete(words("policy nothing")), "absent", "policy nothing"],
    ["delete of a value that is not there", (c) => c.delete(words("policy web service tcp/1")), "absent", "policy web service"],
    ["rename to a name that is taken", (c) => c.rename(words("policy web names")), "taken", "policy names"],
    ["move of nothing", (c) => c.move(words("policy nothing first")), "absent", "policy nothing"],
  ];
  for (const [what, act, code, path] of cases) {
    const edited = candidate();
    const refused = refusal(() => act(edited));
    t.equal(`${refused?.code} ${refused?.path}`, `${code} ${path}`, what);
    t.ok((refused?.remedy ?? "").length > 5, `${what}: a remedy`);
    t.notOk(edited.isChanged, `${what}: nothing changed`);
  }
});

test("problems name places as they are typed", async (t) => {
  const edited = candidate();
  edited.set(words("policy web from two"));
  edited.set(words("policy web source nobody"));
  const { problems } = edited.judge();
  t.same(
    problems.map(({ code, path }) => `${code}: ${path}`),
    ["unknown-zone: policy web from two", "unknown-object: policy web source nobody"],
  );
});

test("a rule that can never decide is warned of", async (t) => {
  const edited = candidate();
  edited.set(words("policy late from one"));
  edited.set(words("policy late to three"));
  edited.set(words("policy late service tcp/443"));
  edited.set(words("policy late action deny"));
  const { problems, warnings } = edited.judge();
  t.same(problems, []);
  t.same(
    warnings.map(({ code, path, remedy }) => `${code}: ${path}: ${remedy}`),
    ['shadowed-rule: policy late: Move it before "web", or remove it.'],
  );
});

test("two people's edits are put together, and where both changed the same it is told", async (t) => {
  const mine = candidate();
  mine.set(words("policy web action deny"));
  mine.set(words("zones one vlan 5"));
  mine.move(words("policy echo first"));
  const other = candidate();
  other.set(words("policy web action reject"));
  other.set(words("policy names service tcp/53"));
  other.delete(words("policy no-telnet"));
  const clashes = mine.update({ number: 2, hash: "h2", document: other.document });
  t.same(clashes, [{ path: "policy web action", base: "permit", ours: "deny", theirs: "reject" }]);
  t.same(mine.compare(), ["- policy web action reject", "+ zones one vlan 5", "+ policy web action deny", "~ policy echo first"]);
});

/** Does what the lines of a difference say. */
function replay(document: Json, other: Json): Json {
  const edited = candidate(document);
  for (const { sign, words: line } of difference(document, other)) {
    if (sign === "+") edited.set(line);
    else if (sign === "-") edited.delete(line);
    else edited.move(line);
  }
  return edited.document;
}

/** Without what says nothing: empty lists and objects of keys, and keys in an order. */
function plain(document: Json): string {
  return canonical(document)
    .replace(/"[A-Za-z]+":(?:\[\]|\{\}),?/g, "")
    .replaceAll(",}", "}");
}

test("the lines of a difference, typed one by one, make the other document", async (t) => {
  const random = new Random(7, "difference");
  for (let k = 0; k < CONFIGURATIONS; k++) {
    const [one, two] = [randomConfiguration(random), randomConfiguration(random)];
    if (plain(replay(one, two)) !== plain(two)) {
      t.same(plain(replay(one, two)), plain(two), `pair ${k}`);
      return;
    }
  }
  t.pass(`${CONFIGURATIONS} pairs`);
});

test("random configurations are valid, and a merge with nothing changes nothing", async (t) => {
  const random = new Random(8, "merge");
  let wrong = 0;
  for (let k = 0; k < CONFIGURATIONS; k++) {
    const [base, other] = [randomConfiguration(random), randomConfiguration(random)];
    if (candidate(other).judge().problems.length > 0) wrong++;
    for (const [ours, theirs] of [
      [base, other],
      [other, base],
      [other, other],
    ] as const) {
      const merged = merge(base, ours, theirs);
      if (hashOfDocument(merged.document) !== hashOfDocument(other) || merged.clashes.length > 0) wrong++;
    }
  }
  t.equal(wrong, 0);
});

test("whatever is typed, a candidate is refused or valid, and never broken", async (t) => {
  const random = new Random(9, "edits");
  let edited = candidate();
  let valid = 0;
  let done = 0;
  for (let k = 0; k < EDITS; k++) {
    const before = hashOfDocument(edited.document);
    const { command, words: line } = randomEdit(random, edited.document);
    const refused = refusal(() => edited[command](line));
    if (refused !== undefined && hashOfDocument(edited.document) !== before) {
      t.fail(`${command} ${line.join(" ")} was refused and changed something`);
      return;
    }
    if (refused === undefined) done++;
    const { configuration } = judgeDocument(edited.document, { file: "", lineOf: () => 0 });
    if (configuration === undefined) edited = candidate(edited.origin.document);
    else {
      valid++;
      edited = candidate(edited.document);
    }
  }
  t.ok(done > EDITS / 10 && valid > EDITS / 4, `${done} of ${EDITS} were done, ${valid} left it valid`);
});
