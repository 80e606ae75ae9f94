// A desk of unit A1 on the lab's board, with a clock and devices that the test holds in its hands.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { board } from "../../../board/lab.ts";
import type { Json } from "../../../firmware/manager/config/document.ts";
import { Desk } from "../../../firmware/manager/revisions/desk.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import type { Plan } from "../../../firmware/plan.ts";

export const EXAMPLE = JSON.parse(readFileSync(new URL("../../../firmware/manager/config/example.json", import.meta.url), "utf8")) as Json;

export interface Stage {
  readonly desk: Desk;
  readonly plans: Plan[];
  readonly notes: string[];
  readonly clock: { millis: number };
  readonly directory: string;
  /** Ends the manager and starts another, with what is on the disk. */
  restart(first?: () => Json): Stage;
}

export function stage(t: Test, first: () => Json = () => EXAMPLE, directory = mkdtempSync(join(tmpdir(), "config-desk-"))): Stage {
  const store = new RevisionStore(join(directory, CONFIGURATION_FILE));
  const plans: Plan[] = [];
  const notes: string[] = [];
  const clock = { millis: 1_000 };
  let ids = 0;
  const options = {
    unit: "A1",
    store,
    board,
    log: { note: (_severity: string, code: string) => void notes.push(code) },
    devices: () => ["port1", "port2", "twin"],
    run: (plan: Plan) => void plans.push(plan),
    nowMillis: () => clock.millis,
    wallMillis: () => 1_700_000_000_000 + clock.millis,
    newId: () => `id ${++ids}`,
  };
  const desk = new Desk(options, first);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const restart = (again: () => Json = first): Stage => {
    store.close();
    return stage(t, again, directory);
  };
  return { desk, plans, notes, clock, directory, restart };
}
