// The README keeps what it promises: its commands exist, its links lead somewhere, its table names the scenarios that there are.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { SCENARIOS } from "./lab/scenarios.ts";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

test("every npm command in the README is a script of package.json", async (t) => {
  const named = [...readme.matchAll(/npm (?:run (?:-s )?)?([a-z]+)/g)].map((match) => match[1] as string);
  t.ok(named.length > 5);
  for (const name of new Set(named)) t.ok(scripts[name] !== undefined, `npm ${name}`);
});

test("every link and every path in the README leads somewhere", async (t) => {
  const targets = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1] as string);
  for (const target of targets) t.ok(existsSync(join(root, target)), target);
});

test("the README's table has a line for each scenario of the lab, and no other", async (t) => {
  const rows = [...readme.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1] as string);
  t.same(
    rows,
    SCENARIOS.map((scenario) => scenario.name),
  );
});
