// The README keeps what it promises: its commands exist, its links lead somewhere, its table names the scenarios that there are.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { bannerOf, twinSentence } from "../firmware/manager/console/banner.ts";
import { headline } from "../firmware/manager/console/status.ts";
import { panelLines } from "../firmware/manager/panel/drawing.ts";
import { situationsOf } from "../firmware/manager/panel/situations.ts";
import { SCENARIOS } from "./lab/scenarios.ts";
import { SITUATIONS_STAGED } from "./manager/panel/stage.ts";

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

test("the README shows the front panel of a unit whose twin has died as it really looks", async (t) => {
  const look = SITUATIONS_STAGED["ha took-over"];
  if (look === undefined) return t.fail("it is not staged");
  const panel = panelLines("A1", situationsOf(look), { width: Number.POSITIVE_INFINITY, colours: false });
  t.ok(readme.includes(`\n${panel.join("\n")}\n`), panel.join("\n"));
});

test("the README shows the banner of a healthy unit as the serial line really greets", async (t) => {
  const look = SITUATIONS_STAGED["twin good"];
  if (look === undefined) return t.fail("it is not staged");
  const header = { unit: "A1", role: "active", mode: "routed", driver: "afxdp", started_at: 0, breath_at: 19_400_000, revision: 1 };
  const twin = { unit: "B1", state: "alive", associated: 1, digests_equal: 1, lag_rows: 0, round_trip_micros: 1_000, twin_path: 1 };
  const identity = { name: "A1", site: "A", system: "lab" };
  const banner = bannerOf(identity, headline(header, true), twinSentence([twin], 7), situationsOf(look)).lines({ width: 80, colours: false });
  t.ok(readme.includes(`\n${banner.join("\n")}\nType help, or press ? at any place.\nA1> `), banner.join("\n"));
});
