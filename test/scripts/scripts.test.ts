// Plays every packet script in every variant that it is meant for, the README's example included. The evasions are played and
// printed by test/evasions.test.ts.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Test, test } from "tap";
import { allScripts, play, playAll } from "./run.ts";
import { parseScripts, type Script } from "./script.ts";

function report(t: Test, script: Script): void {
  for (const { cast, failure } of playAll(script)) {
    if (failure === "") t.pass(cast);
    else t.fail(failure, { stack: "" });
  }
}

for (const script of allScripts()) {
  if (!script.file.endsWith("evasions.packets")) test(script.name, async (t) => report(t, script));
}

test("the README's example happens as it says", async (t) => {
  const text = readFileSync(join(import.meta.dirname, "README.md"), "utf8");
  const example = /```packets\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
  const scripts = parseScripts("README.md", example);
  t.equal(scripts.length, 1);
  for (const script of scripts) report(t, script);
});

test("a script that says the wrong thing fails at its line", async (t) => {
  const wrong = (line: string) => {
    const [script] = parseScripts("wrong.packets", `test F8: wrong\n  rule permit service udp/53\n  ${line}\n`);
    return () => play(script as Script, { v6: false, mode: "routed", otherSite: false });
  };
  t.throws(wrong("one > three  udp ports=9:53 -> drop policy-deny"), /wrong.packets:3 .*\n.*should: drop policy-deny\n.*did: +passes/);
  t.throws(wrong("one > three  udp ports=9:54 -> passes"), /did: +drop policy-deny/);
  t.throws(wrong("one > three  udp port=9:54 -> passes"), /port is nothing that a packet has/);
  t.throws(wrong("one > nobody  udp -> passes"), /there is no host nobody/);
  t.throws(wrong("sessions established"), /there are: none/);
  t.throws(wrong("counter policy-deny 1"), /it is 0/);
  t.throws(wrong("event rule-deny"), /events since the last look/);
  t.throws(() => parseScripts("wrong.packets", "one > three udp"), /begins with a test/);
  t.throws(() => parseScripts("wrong.packets", "test x\nmumble"), /neither a packet nor anything else/);
});
