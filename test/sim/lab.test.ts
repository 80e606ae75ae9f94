// The lab's scenarios in the simulator, with smaller transfers than the lab's own.

import { test } from "tap";
import { SCENARIO_NAMES } from "../lab/result.ts";
import { runSimulatedScenarios } from "./lab.ts";
import { buildUnit } from "./production.ts";

for (const name of SCENARIO_NAMES) {
  test(`scenario ${name} passes in the simulator`, async (t) => {
    const lines: string[] = [];
    const { scenarios } = runSimulatedScenarios({ build: buildUnit, names: [name], transferBytes: 2_000_000, onLine: (line) => lines.push(line) });
    const result = scenarios[0];
    t.ok(result?.passed, `${result?.detail}\n${lines.join("\n")}`);
  });
}
