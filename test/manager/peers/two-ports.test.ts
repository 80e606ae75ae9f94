// Two twin ports under the managers' own channel and notices, on real network stacks: either may be pulled.

import { test } from "tap";
import { startSandbox, whyNoSandbox } from "../../lab/sandbox.ts";

const why = whyNoSandbox();

test("with two twin ports either may die: notices come at once, the channel comes back over the other; a unit that gives its identity up is refused at once", {
  timeout: 120_000,
  ...(why !== undefined && { skip: why }),
}, async (t) => {
  const sandbox = startSandbox("test/manager/peers/two-ports.ts", [], { stdio: "pipe" });
  const text = { out: "", said: "" };
  sandbox.process.stdout?.setEncoding("utf8").on("data", (part: string) => {
    text.out += part;
  });
  sandbox.process.stderr?.setEncoding("utf8").on("data", (part: string) => {
    text.said += part;
  });
  t.equal(await sandbox.exited, 0, text.said);
  const passed = [
    "both ports",
    ...["first", "second"].flatMap((device) => [`a restart is told without ${device}`, `without ${device}`]),
    "unpair self is heard at once",
  ];
  t.same(JSON.parse(text.out), passed, text.said);
});
