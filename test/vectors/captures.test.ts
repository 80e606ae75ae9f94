// Other people's captures through a unit that permits everything: what must not pass (expected.ts) does not, for the reason that its
// clause gives, and everything else does.

import { test } from "tap";
import { EXPECTED } from "./expected.ts";
import { captures } from "./pcap.ts";
import { numbersOf, replay } from "./replay.ts";

const all = captures();
const skip = all.length === 0 ? "skipped: no captures" : false;

test("every capture has its list", { skip }, async (t) => {
  const unlisted = all.filter(({ name }) => !EXPECTED.some(({ capture }) => name.includes(capture)));
  t.same(
    unlisted.map(({ name }) => name),
    [],
  );
  const ambiguous = EXPECTED.filter(({ capture }) => all.filter(({ name }) => name.includes(capture)).length !== 1);
  t.same(
    ambiguous.map(({ capture }) => capture),
    [],
  );
});

test("F3, F4, F5, N5, T1, T2, T4, T5, T7, V1, V3, V4: of each capture exactly the listed packets do not pass, each for its reason", { skip }, async (t) => {
  let dropped = 0;
  let passed = 0;
  for (const { capture: name, checks, dropped: list } of EXPECTED) {
    const capture = all.find((candidate) => candidate.name.includes(name));
    if (capture === undefined) throw new Error(`no capture ${name}`);
    const wanted = capture.packets.map(() => "passes");
    for (const entry of list) for (const number of numbersOf(entry, capture)) wanted[number] = entry.reason;
    const found = replay(capture, checks);
    const differing = found.flatMap((outcome, number) => (outcome === wanted[number] ? [] : [`${number + 1}: ${outcome} instead of ${wanted[number]}`]));
    t.same(differing, [], `${name}${checks === undefined ? "" : ` with ${JSON.stringify(checks)}`}`);
    dropped += found.filter((outcome) => outcome !== "passes").length;
    passed += found.filter((outcome) => outcome === "passes").length;
  }
  t.comment(`${EXPECTED.length} runs of ${all.length} captures: ${passed} packets passed, ${dropped} were dropped as listed`);
});
