// Rules and routes that have changed by themselves: noticed within a round of the sum, wherever the bit flipped, and never otherwise.

import fc from "fast-check";
import { test } from "tap";
import { putCommand } from "../../firmware/fastpath/memory/commands.ts";
import { COMMAND_POLICY } from "../../firmware/fastpath/memory/tables.ts";
import { writePolicyImage } from "../../firmware/fastpath/policy-image.ts";
import type { Plan } from "../../firmware/plan.ts";
import { prefix, rule } from "./craft.ts";
import { Rig } from "./rig.ts";

const many = (count: number) => Array.from({ length: count }, (_, k) => rule(k + 1, { sources: [prefix(`10.${k >> 8}.${k & 0xff}.0/24`)] }));
/** Ticks of 5 ms in which the sum goes round several times. */
const ROUNDS_MILLIS = 200;

function switchTo(rig: Rig, parts: Partial<Plan>): void {
  rig.policies.image = new Uint8Array(writePolicyImage({ ...rig.plan, ...parts }).buffer);
  putCommand(rig.tables, COMMAND_POLICY, 0, 0);
  while (rig.header("revision") !== parts.revision) rig.breathe();
}

test("what was compiled is never taken for drift, before and after a switch", async (t) => {
  const rig = new Rig({ rules: many(300) });
  rig.pass(ROUNDS_MILLIS, 5);
  switchTo(rig, { rules: many(500), revision: 2 });
  rig.pass(ROUNDS_MILLIS, 5);
  t.pass();
});

test("one flipped bit in rules, routes or zones ends the packet process with a sentence that says so", async (t) => {
  fc.assert(
    fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 0, max: 31 }), (isSwitched, place, bit) => {
      const rig = new Rig({ rules: many(40) });
      if (isSwitched) switchTo(rig, { rules: many(60), revision: 2 });
      const { policy, routes, zones } = rig.dataplane.engine;
      const arrays = [...policy.compiled().arrays, ...routes.compiled(), ...zones.words].filter(({ length }) => length > 0);
      let at = place % arrays.reduce((words, { length }) => words + length, 0);
      const array = arrays.find(({ length }) => {
        if (at < length) return true;
        at -= length;
        return false;
      });
      if (array === undefined) return false;
      array[at] = (array[at] as number) ^ (1 << bit);
      try {
        rig.pass(ROUNDS_MILLIS, 5);
      } catch (error) {
        return (error as Error).message.includes(`no longer those of revision ${isSwitched ? 2 : 1}`);
      }
      return false;
    }),
    { numRuns: 60 },
  );
  t.pass();
});
