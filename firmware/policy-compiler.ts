// Compiles a plan's policy for a dataplane that runs: a process of its own, behind all others, because 10,000 rules keep a core busy for
// a while, and neither the dataplane nor the manager may stand still for it.
//
//   plan.json ─► fastpath/policy.ts ─► policy.image (written beside it, then renamed: whoever has the old one open keeps it)

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { parseArgs } from "node:util";
import { writePolicyImage } from "./fastpath/policy-image.ts";
import type { Plan } from "./plan.ts";

const NICE = 10;
const USAGE = "policy-compiler.ts --plan FILE --out FILE";

const { values } = parseArgs({ options: { plan: { type: "string" }, out: { type: "string" } } });
if (values.plan === undefined || values.out === undefined) throw new Error(`usage: ${USAGE}`);
setPriority(NICE);
const words = writePolicyImage(JSON.parse(readFileSync(values.plan, "utf8")) as Plan);
const fresh = `${values.out}.new`;
writeFileSync(fresh, new Uint8Array(words.buffer), { mode: 0o600 });
renameSync(fresh, values.out);
