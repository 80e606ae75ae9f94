// A million damaged packets, always the same ones. Longer: npm run fuzz -- --minutes 60

import { test } from "tap";
import { GuardedView } from "./guard.ts";
import { fuzzParsers } from "./parsers.ts";

test("F1: 1,000,000 mutated packets: no exception, no read outside the packet, and what is found sound is sound", async (t) => {
  const report = fuzzParsers(20_260_101, 1_000_000);
  t.equal(report.runs, 1_000_000);
  t.ok((report.reasons.get("none") ?? 0) > 50_000, "many get through to the end");
  t.ok(report.reasons.size >= 15, "the others fail in many ways");
});

test("the same seed tries the same packets", async (t) => {
  t.same(fuzzParsers(5, 20_000).reasons, fuzzParsers(5, 20_000).reasons);
  t.not(fuzzParsers(5, 20_000).reasons.get("none"), fuzzParsers(6, 20_000).reasons.get("none"));
});

test("the guarded view notices a read outside the packet", async (t) => {
  const view = new GuardedView(new ArrayBuffer(64));
  view.guard(10, 20);
  t.equal(view.getInt32(16), 0);
  t.throws(() => view.getInt32(17), /outside the packet \[10, 20\)/);
  t.throws(() => view.getUint8(9), /outside the packet/);
});
