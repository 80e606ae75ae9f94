// Somebody listens on the twin's cable (eavesdrop.ts): no packet that is handed over, no session row, no secret and nothing that managers say is
// there in plain. The same search finds packets on a data port, rows in records that nobody has sealed, and secrets in the files
// that hold them.

import { test } from "tap";
import { startSandbox, whyNoSandbox } from "./sandbox.ts";

type Found = Readonly<Record<"payload" | "headers" | "rows" | "secrets" | "conversation", number>>;

interface Heard {
  readonly failed: number;
  readonly handedOff: number;
  readonly searchedFor: Found;
  readonly lost: number;
  readonly sealedFrames: number;
  readonly controlSegments: number;
  readonly onTwin: readonly Found[];
  readonly onData: Found;
  readonly inPlainRecords: Found;
  readonly inOwnFiles: Found;
}

const NOTHING: Found = { payload: 0, headers: 0, rows: 0, secrets: 0, conversation: 0 };
const why = whyNoSandbox();

async function listen(): Promise<Heard> {
  const sandbox = startSandbox("test/lab/eavesdrop.ts", [], { stdio: "pipe" });
  let out = "";
  let said = "";
  sandbox.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  sandbox.process.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await sandbox.exited;
  if (code !== 0) throw new Error(`the sandbox ended with ${code}: ${said}`);
  return JSON.parse(out) as Heard;
}

test("nothing in plain on the twin's cable, while packets are handed over and a unit is brought up to date", {
  timeout: 120_000,
  ...(why !== undefined && { skip: why }),
}, async (t) => {
  const heard = await listen();
  t.comment(JSON.stringify(heard));
  t.equal(heard.lost, 0, "the listeners missed no frame");
  t.equal(heard.failed, 0, "the hosts' work was done");
  t.ok(heard.handedOff > 1_000 && heard.sealedFrames > heard.handedOff, "what was handed over crossed the cable");
  t.ok(heard.controlSegments > 10, "so did what managers said");
  t.ok(heard.searchedFor.rows > 50 && heard.searchedFor.secrets > 10, "there was something to look for");
  t.same(heard.onTwin, [NOTHING, NOTHING]);
  t.match(heard.onData, { payload: 1, headers: 4 }, "the same search finds it where it is in plain");
  t.equal(heard.inPlainRecords.rows, heard.searchedFor.rows, "and rows, if nobody had sealed them");
  t.ok(heard.inOwnFiles.secrets >= 4, "and secrets where they are kept: what both units share, and the key of each");
});
