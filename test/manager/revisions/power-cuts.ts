// Power cuts under a unit that commits: its store lies on a disk that loses what was not synced. One life of commits is recorded, then cut off at
// many instants; each time the store is opened with what the disk still has. Runs inside the lab's sandbox; prints one object.
//
//   power-cuts.ts COMMITS CUTS

import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { isSound } from "../../../firmware/manager/revisions/revision.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { afterPowerCut, type DiskEvent } from "./losing-disk.ts";
import { LosingMount } from "./losing-mount.ts";

const [, , commitsText = "0", cutsText = "0"] = process.argv;
const MOUNT = "/run/losing";
const FOUND = "/dev/shm/found";
const MARKS = "marks";

/** Kinds of events on the store's own files, to say that the life had all of it in. */
function counted(events: readonly DiskEvent[]): Readonly<Record<string, number>> {
  return Object.fromEntries([...Map.groupBy(events, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]));
}

/** The last revision that was begun, and the last that was said to be in force, before the cut. */
function saidBefore(events: readonly DiskEvent[]): { readonly begun: string; readonly done: string } {
  const marks = events.find((event) => event.kind === "name" && event.name === MARKS);
  const file = marks?.kind === "name" ? marks.file : 0;
  const text = events.flatMap((event) => (event.kind === "write" && event.file === file ? [event.bytes.toString("latin1")] : [])).join("");
  const last = (word: string): string => [...text.matchAll(new RegExp(`^${word} ([0-9a-f]{64})$`, "gm"))].at(-1)?.[1] ?? "";
  return { begun: last("begun"), done: last("done") };
}

/** What is wrong with a unit that starts with these files; empty: nothing. */
function judge(files: ReadonlyMap<string, Buffer>, said: { readonly begun: string; readonly done: string }): string {
  rmSync(FOUND, { recursive: true, force: true });
  mkdirSync(FOUND);
  // Shared memory is not on the disk: SQLite makes it anew.
  for (const [name, bytes] of files) if (name !== MARKS && !name.endsWith("-shm")) writeFileSync(join(FOUND, name), bytes, { mode: 0o600 });
  try {
    const store = new RevisionStore(join(FOUND, CONFIGURATION_FILE));
    const head = store.revision(store.read().head);
    store.close();
    if (head === undefined) return said.done === "" ? "" : "nothing is in force";
    if (!isSound(head)) return "half a revision is in force";
    return head.hash === said.done || head.hash === said.begun ? "" : "another revision is in force";
  } catch (error) {
    return (error as Error).message;
  }
}

mkdirSync(MOUNT);
const mount = await LosingMount.mount(MOUNT);
const victim = spawn(process.execPath, [join(import.meta.dirname, "victim.ts"), join(MOUNT, CONFIGURATION_FILE), "1", join(MOUNT, MARKS), commitsText], {
  stdio: ["ignore", "ignore", "inherit"],
});
const code = await new Promise((resolve) => victim.once("close", resolve));
await mount.unmount(MOUNT);
// It has ended as a killed process does: nothing was closed, nothing written back.
const { events } = mount;
const random = new Random(11, "power cuts");
const wrong: string[] = [];
const lying = { cuts: 0, wrong: 0 };
for (let k = 0; k < Number(cutsText); k++) {
  // Half of the cuts fall into the first life of the files, where names are new.
  const length = random.below(k % 4 === 0 ? Math.min(60, events.length) : events.length) + 1;
  const until = events.slice(0, length);
  const said = saidBefore(until);
  const verdict = judge(afterPowerCut(until, random), said);
  if (verdict !== "")
    wrong.push(
      `cut ${k}, after ${length} of ${events.length} events, ${JSON.stringify(until.at(-1), (key, value) => (key === "bytes" ? "…" : value))}: ${verdict}`,
    );
  if (k % 4 !== 1) continue;
  lying.cuts++;
  if (judge(afterPowerCut(until, random, true), said) !== "") lying.wrong++;
}
console.log(JSON.stringify({ code, events: counted(events), wrong, lying }));
process.exit(0);
