// The configuration mode: typed as lines over the manager's socket, and at a terminal.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Test, test } from "tap";
import { runCommandLine } from "../../firmware/manager/console/cli.ts";
import { modeOf } from "../../firmware/manager/console/configure/mode.ts";
import { ConfigureSession } from "../../firmware/manager/console/configure/session.ts";
import { FILES } from "../../firmware/manager/console/configure/shell.ts";
import { Terminal } from "../../firmware/manager/console/terminal.ts";
import { openOrderDesk } from "../../firmware/manager/orders.ts";
import { makeRevision } from "../../firmware/manager/revisions/revision.ts";
import { EXAMPLE, type Stage, stage } from "../manager/revisions/stage.ts";

const KIM = { who: "kim", origin: "A1 test" };

/** Types lines into `twinwall --unit A1 configure`. */
async function typing(t: Test, { desk, directory }: Stage) {
  const clerk = openOrderDesk(join(directory, "orders"), { obey: async () => "done", sit: (editor) => desk.sit(editor) });
  t.teardown(() => clerk.close());
  await pause(20);
  return async (...typed: string[]) => {
    const said: string[] = [];
    const out = (line: string): void => void said.push(line);
    const surroundings = { environment: {}, screen: { width: 100, colours: false }, out, complain: out, typed: { lines: typed } };
    const status = await runCommandLine(["configure", "--unit", "A1", "--run-dir", directory], surroundings);
    return { status, said };
  };
}

async function session({ desk }: Stage, editor = KIM) {
  const begun = await ConfigureSession.begin("A1", desk.sit(editor), FILES);
  const say = async (line: string) => {
    const { lines, isWrong } = await begun.session.execute(line.split(" "));
    return `${isWrong ? "refused: " : ""}${lines.join("\n")}`;
  };
  return { ...begun, say };
}

test("a script edits, commits, and is told what became of it; the unit runs the plan", async (t) => {
  const scene = stage(t);
  const type = await typing(t, scene);
  const { status, said } = await type("# deny the web", "set policy web action deny", "compare", "commit no web any more");
  t.same(said, ["- policy web action permit", "+ policy web action deny", "Revision 2 is in force.", "  A1: in force", "  B1: not reached; catches up"]);
  t.equal(status, 0);
  t.equal(scene.plans.at(-1)?.rules[0]?.action, "deny");
  t.equal(scene.plans.at(-1)?.revision, 2);
  const audit = await type("audit");
  t.match(audit.said.join("\n"), /A1 shell\): commit of revision 2 \("no web any more"\): committed; - policy web action permit; \+ policy web action deny/);
  t.match((await type("history")).said[0], /^ {4}2 {2}[0-9a-f]{8} .* no web any more$/);
  t.same((await type("history 2")).said, ["- policy web action permit", "+ policy web action deny"]);
});

test("the first line that is refused ends a script, and nothing is committed", async (t) => {
  const scene = stage(t);
  const type = await typing(t, scene);
  const { status, said } = await type("set policy web action deny", "set policy web from nowhere", "set nonsense 1", "commit");
  t.equal(status, 1);
  t.match(said[0], "unknown-path: nonsense: there is no such key.");
  t.equal(scene.plans.length, 0);
  const wrong = await type("set policy web from nowhere", "commit");
  t.equal(wrong.status, 1);
  t.match(wrong.said.join("\n"), /policy web from nowhere: there is no zone "nowhere" \[unknown-zone\]\n {2}Name one of zones: one, three\./);
  t.match((await type("set policy web action deny")).said, ["not-committed"]);
  t.equal(scene.plans.length, 0);
});

test("a commit that this unit's hardware cannot run is refused with the reason", async (t) => {
  const { say } = await session(stage(t));
  await say("set zones one port port7");
  t.match(await say("commit"), /^refused: refused: Nothing was changed on any unit\.\n {2}A1: refuses\n.*has no data port "port7"/s);
});

test("two who edit are told of each other, and the later one of both changes", async (t) => {
  const scene = stage(t);
  const one = await session(scene);
  const two = await session(scene, { who: "alex", origin: "A1 serial" });
  t.match(two.lines.join("\n"), "kim (A1 test) is editing too.");
  await one.say("set policy web action deny");
  await one.say("set policy echo log true");
  await one.say("commit");
  await two.say("set policy web action reject");
  await two.say("set zones one vlan 7");
  t.equal(
    await two.say("commit"),
    [
      "refused: Revision 2 of kim (A1 test) came into force since you began from 1.",
      "It changed:",
      "  - policy web action permit",
      "  + policy web action deny",
      "  + policy echo log true",
      "You changed:",
      "  - policy web action permit",
      "  + zones one vlan 7",
      "  + policy web action reject",
      "Changed by both:",
      "  policy web action: was permit; ours reject; theirs deny",
      "stale-candidate: update brings your edits onto it; compare, then commit.",
    ].join("\n"),
  );
  await two.say("update");
  t.equal(await two.say("compare"), "- policy web action deny\n+ zones one vlan 7\n+ policy web action reject");
  t.match(await two.say("commit"), /^Revision 3 is in force/);
  two.session.leave();
  t.notMatch((await session(scene)).lines.join("\n"), "alex (A1 serial) is editing");
});

test("what nobody confirms is left again; to confirm changes nothing that runs", async (t) => {
  const scene = stage(t);
  const { say } = await session(scene);
  await say("set policy web action deny");
  t.match(await say("commit-confirm 0"), "refused: wrong-value");
  t.match(await say("commit-confirm 1 trial"), /Every unit goes back in 1 min unless you say confirm/);
  scene.clock.millis += 61_000;
  scene.desk.member.tick();
  t.equal(scene.plans.at(-1)?.rules[0]?.action, "permit");
  t.match(await say("confirm"), "refused: nothing-to-confirm");
  await say("update");
  await say("set policy web action deny");
  await say("commit-confirm 1");
  const plan = scene.plans.at(-1);
  t.match(await say("confirm"), /^Revision 5 is in force/);
  t.same(scene.plans.at(-1), plan);
  scene.clock.millis += 61_000;
  scene.desk.member.tick();
  t.equal(scene.plans.at(-1)?.rules[0]?.action, "deny");
});

test("an older revision comes back by rollback and commit", async (t) => {
  const scene = stage(t);
  const { say } = await session(scene);
  await say("set policy web action deny");
  await say("commit");
  await say("rollback 1");
  t.equal(await say("compare"), "- policy web action deny\n+ policy web action permit");
  await say("commit");
  t.equal(scene.plans.at(-1)?.rules[0]?.action, "permit");
  t.match(await say("rollback 77"), "refused: unknown-revision");
});

test("a candidate is saved to a file and loaded from it; a file that holds none is refused", async (t) => {
  const scene = stage(t);
  const { say } = await session(scene);
  const file = join(scene.directory, "saved.json");
  await say("set policy web action deny");
  await say(`save ${file}`);
  await say("discard");
  t.equal(await say("compare"), "Nothing differs.");
  await say(`load ${file}`);
  t.equal(await say("compare"), "- policy web action permit\n+ policy web action deny");
  t.equal(JSON.parse(readFileSync(file, "utf8")).policy[0].action, "deny");
  writeFileSync(file, '{ "a": 1, }');
  t.match(await say(`load ${file}`), /refused: .*\[json-syntax\]/s);
  t.match(await say("load /nowhere/at/all"), "refused: file: /nowhere/at/all cannot be read: ENOENT");
});

test("what the other site committed while apart is settled by resolve and commit", async (t) => {
  const scene = stage(t);
  const { say } = await session(scene);
  const first = scene.desk.member.head;
  const theirs = makeRevision({ ...EXAMPLE, revision: undefined, sessions: 131_072 }, { who: "alex", atMillis: 5, origin: "B1 serial", comment: "" }, first);
  await say("set policy web action deny");
  await say("commit");
  const head = { hash: theirs.hash, number: theirs.number, unconfirmed: undefined };
  scene.desk.receive("B1", { kind: "revision", revision: JSON.parse(JSON.stringify(theirs)), head });
  t.match(scene.notes, ["revision", "configuration-conflict"]);
  t.match((await session(scene)).lines.join("\n"), "conflict: revision 2 of alex (B1 serial) was committed apart from this one.");
  await say("set policy echo log true");
  t.match(await say("commit"), "refused: conflict: The sites committed apart");
  await say("resolve both");
  t.equal(await say("compare"), "- sessions 262144\n+ sessions 131072");
  t.match(await say("commit"), /^Revision 3 is in force/);
  t.equal(scene.plans.at(-1)?.sessions, 131_072);
  t.equal(scene.plans.at(-1)?.rules[0]?.action, "deny");
  t.equal(scene.desk.member.state.conflict, "");
});

test("a unit begins with its file, goes on with what was committed, and takes another file only until then", async (t) => {
  const scene = stage(t);
  const other = { ...EXAMPLE, sessions: 131_072 };
  const second = scene.restart(() => other);
  t.equal(second.desk.plan().sessions, 131_072, "nobody has committed yet");
  t.equal(second.desk.plan().revision, 1);
  const { say } = await session(second);
  await say("set policy web action deny");
  await say("commit");
  const third = second.restart(() => EXAMPLE);
  t.equal(third.desk.plan().sessions, 131_072);
  t.equal(third.desk.plan().rules[0]?.action, "deny");
  t.equal(third.desk.plan().revision, 2);
});

test("at a terminal: Tab completes from schema and candidate, ? helps, the prompt says where one is, exit leaves", async (t) => {
  const scene = stage(t);
  let text = "";
  const terminal = new Terminal({
    unit: "A1",
    send: async (bytes) => {
      text += Buffer.from(bytes).toString();
      return true;
    },
    run(_words, _screen, listener) {
      listener.onEnd("");
      return { pause: () => undefined, resume: () => undefined, stop: () => undefined };
    },
    configure: async () => modeOf(await ConfigureSession.begin("A1", scene.desk.sit(KIM), FILES)),
    nowMillis: () => 0,
    onNoise: () => undefined,
  });
  const type = async (typed: string): Promise<string> => {
    text = "";
    terminal.receive(Buffer.from(typed));
    await pause(10);
    return text;
  };
  terminal.up();
  await pause(10);
  t.match(await type("configure\r"), /You edit a copy of revision 1 of file.*A1# /s);
  await type("edit pol\t");
  t.equal(terminal.typed.text, "edit policy ");
  t.match(await type("\t"), "web  names  echo  no-telnet");
  await type("no\t\r");
  t.match(await type("set action ?"), "permit | deny | reject: What happens to a packet");
  await type("p\t\r");
  t.match(await type("set from \t"), "one  three");
  t.match(await type("one\r"), "A1[policy no-telnet]*# ");
  t.match(await type("exit\r"), "not-committed");
  t.match(await type("exit\r"), "A1> ");
  t.match((await session(scene)).lines.length, 1, "nobody else is editing");
});
