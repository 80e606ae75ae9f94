// A benchmark's part inside the sandbox; main.ts starts it there and hears what it tells.
//
//   inside.ts BENCHMARK [--quick]

import type { Message } from "./agent.ts";
import { measureBytes } from "./capacity.ts";
import { measureCommit } from "./commit/commit.ts";
import { measureForwarding } from "./forwarding/forwarding.ts";
import { measureAsymmetric } from "./replicated/asymmetric.ts";
import { measureReplication } from "./replicated/replication.ts";
import { measureSetup } from "./replicated/setup.ts";
import type { Outcome } from "./result.ts";
import { measureRestart } from "./takeover/restart.ts";
import { measureTakeover } from "./takeover/takeover.ts";

const BENCHMARKS: Readonly<Record<string, (quick: boolean) => Promise<Outcome>>> = {
  forwarding: measureForwarding,
  capacity: measureBytes,
  setup: measureSetup,
  replication: measureReplication,
  asymmetric: measureAsymmetric,
  takeover: measureTakeover,
  restart: measureRestart,
  commit: measureCommit,
};

const outcome = await BENCHMARKS[process.argv[2] ?? ""]?.(process.argv.includes("--quick"));
if (outcome === undefined) throw new Error("usage: inside.ts BENCHMARK [--quick]");
process.send?.({ kind: "outcome", outcome } satisfies Message, () => process.exit(0));
