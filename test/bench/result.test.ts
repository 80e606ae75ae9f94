import { test } from "tap";
import { drawChart } from "./chart.ts";
import { drawGrowth } from "./growth-chart.ts";
import { alone, compare, mustBeWhole, shortcomings, table } from "./result.ts";

const measured = { benchmark: "b", figure: "f", peer: "p", ours: [200, 100, 300], theirs: [400, 400, 300] } as const;

test("a ratio above 1 is in our favour, for rates and for costs", async (t) => {
  t.same(compare({ ...measured, better: "less" }).ratio, { min: 1, median: 2, max: 4 });
  t.same(compare({ ...measured, better: "more" }).ratio, { min: 0.25, median: 0.5, max: 1 });
  const { ours, theirs } = compare({ ...measured, better: "more" });
  t.same([ours, theirs], [200, 400]);
});

test("a run falls short of a floor by its median, and of a peer that is missing", async (t) => {
  const missed = compare({ ...measured, better: "less", floor: 2.1 });
  const reached = compare({ ...measured, better: "less", floor: 2 });
  const missing = compare({ ...measured, theirs: [], better: "less", floor: 2 });
  t.equal(missing.ratio, null);
  t.equal(shortcomings([missed, reached, missing, alone("b", "f", 1)]).length, 2);
  t.equal(shortcomings([compare({ ...measured, theirs: [], better: "less" })]).length, 1, "a missing peer is one also where no floor is");
  t.same(shortcomings([compare({ ...measured, better: "less" })]), [], "without a floor nothing is asked");
});

test("what must be whole is judged by its worst round", async (t) => {
  t.same(shortcomings([mustBeWhole("b", "sessions kept", [8, 8, 8], 8)]), []);
  t.equal(shortcomings([mustBeWhole("b", "sessions kept", [8, 8, 7], 8)]).length, 1);
});

test("the table has a line per comparison, its head and nothing else", async (t) => {
  const lines = table([compare({ ...measured, better: "less", floor: 3 }), alone("b", "a hit", 216)]).split("\n");
  t.equal(lines.length, 3);
  t.match(lines[1], /f +p +200 +400 +1\.00 +2\.00 +4\.00 +3 ✗$/);
  t.match(lines[2], /a hit +216$/);
});

test("a chart has a bar per value, none for a gap, and escapes what it is told", async (t) => {
  const series = [
    { name: "ours", values: [1, 2] },
    { name: "theirs", values: [null, 4] },
  ];
  const svg = drawChart({ name: "c", title: "a < b", unit: "ns", groups: ["x", "y"], series });
  t.equal(svg.match(/<title>/g)?.length, 3);
  t.match(svg, /a &#60; b/);
});

test("a growth has a dot per value, none for a gap; values that lie far apart stand on powers of ten", async (t) => {
  const growth = { name: "g", title: "a < b", unit: "ns", along: "rules", steps: [1, 100, 10_000] };
  const near = drawGrowth({ ...growth, series: [{ name: "ours", values: [200, null, 300] }] });
  t.equal(near.match(/<circle/g)?.length, 2);
  t.match(near, />0<\/text>/, "the axis begins at 0");
  const far = drawGrowth({ ...growth, series: [{ name: "theirs", values: [20, 300, 4_000] }] });
  t.match(far, />10<\/text>.*>100<\/text>.*>1,000<\/text>.*>10,000<\/text>/s);
  t.notMatch(far, />0<\/text>/);
});

test("a value that has no room is left to its dot", async (t) => {
  const series = [4_000, 3_990, 3_980].map((value) => ({ name: String(value), values: [value] }));
  const svg = drawGrowth({ name: "g", title: "g", unit: "ns", along: "sessions", steps: [1], series });
  t.equal(svg.match(/<circle/g)?.length, 3);
  t.equal(svg.match(/class="t n"/g)?.length, 2);
});
