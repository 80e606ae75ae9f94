// The store on a file system that loses unsynced writes: whatever a power cut takes, the last committed revision is there. TWINWALL_FULL=1 records
// 1,000 commits and cuts 2,000 times, instead of 250 and 300.

import { existsSync } from "node:fs";
import { test } from "tap";
import { startSandbox, whyNoSandbox } from "../../lab/sandbox.ts";

const [COMMITS, CUTS] = process.env.TWINWALL_FULL === "1" ? [1_000, 2_000] : [250, 300];
const why = existsSync("/dev/fuse") ? whyNoSandbox() : "no /dev/fuse here";

interface Told {
  readonly code: number | null;
  readonly events: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
  readonly lying: { readonly cuts: number; readonly wrong: number };
}

test("power cuts at any instant, on a disk that loses any part of what was not synced", {
  timeout: 1_800_000,
  ...(why !== undefined && { skip: why }),
}, async (t) => {
  const sandbox = startSandbox("test/manager/revisions/power-cuts.ts", [String(COMMITS), String(CUTS)], { stdio: "pipe" });
  const text = { out: "", said: "" };
  sandbox.process.stdout?.setEncoding("utf8").on("data", (part: string) => {
    text.out += part;
  });
  sandbox.process.stderr?.setEncoding("utf8").on("data", (part: string) => {
    text.said += part;
  });
  t.equal(await sandbox.exited, 0, text.said);
  const { code, events, wrong, lying } = JSON.parse(text.out) as Told;
  t.equal(code, null, "it ended as it should, by a kill of its own");
  t.ok((events["sync"] ?? 0) >= COMMITS, "each commit was synced");
  t.same(wrong, []);
  t.ok(lying.wrong > lying.cuts / 4, `a disk that lies about syncing is found out: ${lying.wrong} of ${lying.cuts} cuts`);
  t.comment(`${CUTS} cuts in ${JSON.stringify(events)}; a lying disk: ${lying.wrong} of ${lying.cuts} wrong`);
});
