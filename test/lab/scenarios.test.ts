// `npm start -- --once --json` as a test: the same list, on real network stacks, or in the simulator where those are missing.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "tap";
import { CROWDS, PAIRS } from "./pairs/list.ts";
import { CROWD_NAMES, type LabReport, PAIR_NAMES, SCENARIO_NAMES, STACK_NAMES } from "./result.ts";
import { SCENARIOS } from "./scenarios.ts";
import { STACKS } from "./stacks/list.ts";

const ELSEWHERE = process.env["TWINWALL_SCENARIOS_ELSEWHERE"] === "1";

test("every scenario is declared once, in order", async (t) => {
  t.same(
    SCENARIOS.map(({ name }) => name),
    SCENARIO_NAMES,
  );
  t.same(
    STACKS.map(({ name }) => name),
    STACK_NAMES,
  );
  t.same(
    PAIRS.map(({ name }) => name),
    PAIR_NAMES,
  );
  t.same(
    CROWDS.map(({ name }) => name),
    CROWD_NAMES,
  );
});

test("every scenario shows what it should", ELSEWHERE ? { skip: "they run as a command in this run" } : { timeout: 600_000 }, async (t) => {
  const main = join(import.meta.dirname, "main.ts");
  const { stdout, stderr } = spawnSync(process.execPath, [main, "--once", "--json"], { encoding: "utf8", maxBuffer: 64 << 20 });
  const report = JSON.parse(stdout) as LabReport;
  t.match(report.driver, /^(afxdp|pcap|simulator)$/, "stdout holds one object and nothing else");
  t.same(
    report.scenarios.map(({ name }) => name),
    SCENARIO_NAMES,
  );
  for (const { name, passed, detail } of report.scenarios) t.ok(passed, `${name}: ${detail}`);
  if (report.failed > 0) t.comment(stderr);
});

test("wrong arguments are refused with what is right", async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), "--only", "no-such"], { encoding: "utf8" });
  t.equal(status, 2);
  t.match(stderr, /twin-off/);
});
