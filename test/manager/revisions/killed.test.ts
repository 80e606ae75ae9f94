// Four units as processes, with stores on a real disk, killed by SIGKILL at random instants while a commit is under way. TWINWALL_FULL=1 kills
// 500 times instead of 20.
//
// A seed says where a commit begins, who is killed, and how long after its beginning; what the machine does in that time is its own affair.

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "tap";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { UNIT_NAMES } from "../../../firmware/limits.ts";
import { canonical, type Json } from "../../../firmware/manager/config/document.ts";
import { isSound } from "../../../firmware/manager/revisions/revision.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { EXAMPLE } from "./stage.ts";
import type { FromUnit, ToUnit, UnitState } from "./unit-process.ts";

const KILLS = process.env.TWINWALL_FULL === "1" ? 500 : 20;
const NAMES = ["A1", "A2", "B1", "B2"];
const NUMBERS: readonly string[] = UNIT_NAMES;
const LOOK_MILLIS = 5;
/** By looks and not by the clock: a machine that stands still heals nobody. */
const LOOKS = 12_000;
const PROGRAM = join(import.meta.dirname, "unit-process.ts");

/** All four, with a policy of this round's own. */
function documentOf(round: number): Json {
  const units = NAMES.map((name) => ({ site: name.slice(0, 1), index: Number(name.slice(1)) }));
  const policy = Array.from({ length: 20 }, (_, k) => ({ name: `rule${k}`, service: [`tcp/${1 + ((round * 20 + k) % 65_000)}`], action: "permit" }));
  return { ...EXAMPLE, system: { name: `round${round}` }, units, policy };
}

interface Outcome {
  readonly isCommitted: boolean;
  readonly hash: string;
  readonly code: string;
}

/** The four processes, and the channels between them. */
class Four {
  private readonly path: string;
  private readonly children = new Map<string, ChildProcess>();
  private readonly ready = new Set<string>();
  private readonly waiting = new Map<number, (message: FromUnit) => void>();
  private ids = 0;
  /** Units that nobody killed. */
  readonly ended: string[] = [];

  constructor(path: string) {
    this.path = path;
    for (const name of NAMES) mkdirSync(join(path, name));
  }

  store(name: string): string {
    return join(this.path, name, CONFIGURATION_FILE);
  }

  start(name: string): void {
    const child = fork(PROGRAM, [name, join(this.path, name), JSON.stringify(documentOf(0))], { execPath: process.execPath });
    this.children.set(name, child);
    child.on("message", (message: FromUnit) => {
      if (this.children.get(name) === child) this.heard(name, message);
    });
    child.on("error", () => undefined);
    child.once("exit", (code) => {
      if (code !== null) this.ended.push(`${name} ended by itself with ${code}`);
    });
  }

  private heard(name: string, message: FromUnit): void {
    if ("to" in message) this.tell(UNIT_NAMES[message.to] as string, { from: NUMBERS.indexOf(name), message: message.message });
    else if ("id" in message) this.waiting.get(message.id)?.(message);
    else {
      this.ready.add(name);
      this.tellWhoIsUp();
    }
  }

  private tellWhoIsUp(): void {
    for (const name of this.ready) this.tell(name, { up: [...this.ready].filter((other) => other !== name).map((other) => NUMBERS.indexOf(other)) });
  }

  private tell(name: string, message: ToUnit): void {
    const child = this.children.get(name);
    if (this.ready.has(name) && child?.connected === true) child.send(message, () => undefined);
  }

  /** At once; what it had said before still arrives, as it would from a wire. */
  async kill(names: readonly string[]): Promise<void> {
    const ends = names.map((name) => {
      const child = this.children.get(name) as ChildProcess;
      const end = new Promise<void>((done) => child.once("close", () => done()));
      child.kill("SIGKILL");
      return end;
    });
    await Promise.all(ends);
    for (const name of names) this.ready.delete(name);
    this.tellWhoIsUp();
  }

  stop(): void {
    for (const child of this.children.values()) child.kill("SIGKILL");
  }

  /** Never answered when the unit dies first. */
  commit(name: string, document: Json): Promise<Outcome> {
    const id = ++this.ids;
    return new Promise((resolve) => {
      this.waiting.set(id, (message) => resolve(message as unknown as Outcome));
      this.tell(name, { commit: document, id });
    });
  }

  private state(name: string): Promise<UnitState | undefined> {
    const id = ++this.ids;
    const asked = new Promise<UnitState>((resolve) => {
      this.waiting.set(id, (message) => resolve((message as unknown as { readonly state: UnitState }).state));
      this.tell(name, { state: id });
    });
    return Promise.race([asked, pause(1_000, undefined, { ref: false })]);
  }

  /** Waits until all are up and at rest; returns what they then run, or what they had come to. */
  async healed(): Promise<readonly (UnitState | undefined)[]> {
    for (let look = 1; ; look++) {
      const states = this.ready.size < NAMES.length ? [undefined] : await Promise.all(NAMES.map((name) => this.state(name)));
      const [first] = states;
      if (states.every((state) => state !== undefined && !state.isPrepared && state.head === first?.head && state.planRevision === state.number)) return states;
      if (look === LOOKS) return states;
      await pause(LOOK_MILLIS);
    }
  }
}

/** How long a commit takes here, when nobody is killed. */
async function commitMillis(four: Four): Promise<number> {
  const times: number[] = [];
  for (let k = 1; k <= 5; k++) {
    const began = performance.now();
    await four.commit(NAMES[k % NAMES.length] as string, documentOf(1_000_000 + k));
    times.push(performance.now() - began);
    await four.healed();
  }
  return times.sort((one, other) => one - other)[2] as number;
}

test("killed at random instants of commits over four units: the old or the new revision, the same everywhere after healing", {
  timeout: 3_600_000,
}, async (t) => {
  const path = mkdtempSync(join(tmpdir(), "config-killed-"));
  const four = new Four(path);
  t.teardown(() => {
    four.stop();
    rmSync(path, { recursive: true, force: true });
  });
  for (const name of NAMES) four.start(name);
  let [before] = await four.healed();
  const usualMillis = await commitMillis(four);
  [before] = await four.healed();
  const random = new Random(6, "killed");
  const wrong: string[] = [];
  const count = { old: 0, taken: 0, told: 0, killed: 0 };
  for (let k = 1; k <= KILLS && wrong.length === 0; k++) {
    const from = random.pick(NAMES);
    const victims = random.below(4) === 0 ? [...NAMES] : NAMES.filter((name) => (name === from ? random.below(2) === 0 : random.below(3) === 0));
    if (victims.length === 0) victims.push(random.pick(NAMES));
    const instant = random.fraction() * 1.2 * usualMillis;
    const document = documentOf(k);
    let outcome: Outcome | undefined;
    void four.commit(from, document).then((answer) => {
      outcome = answer;
    });
    await pause(instant);
    if (outcome !== undefined) count.told++;
    await four.kill(victims);
    count.killed += victims.length;
    for (const name of victims) four.start(name);
    const states = await four.healed();
    const heads = new Set(states.map((state) => state?.head));
    const [now] = states;
    const isOld = now?.head === before?.head;
    if (isOld) count.old++;
    else count.taken++;
    const what = `kill ${k} of ${victims.join(", ")}, ${instant.toFixed(1)} ms after a commit at ${from}`;
    if (
      heads.size !== 1 ||
      now === undefined ||
      states.some((state) => state?.isPrepared !== false || state.conflict !== "" || state.planRevision !== state.number)
    )
      wrong.push(`${what}: ${JSON.stringify(states)}`);
    else if (!isOld && now.number !== (before?.number ?? 0) + 1) wrong.push(`${what}: revision ${now.number} after ${before?.number}`);
    else if (outcome?.isCommitted === true && now.head !== outcome.hash) wrong.push(`${what}: committed, and not in force`);
    else if (outcome?.isCommitted === false && !isOld) wrong.push(`${what}: ${outcome.code}, and in force`);
    before = now;
    for (const name of NAMES) {
      const store = new RevisionStore(four.store(name));
      const head = store.revision(store.read().head);
      if (head === undefined || !isSound(head) || head.hash !== now?.head) wrong.push(`${what}: ${name}'s store has another revision`);
      else if (!isOld && canonical(head.document as Json) !== canonical(document)) wrong.push(`${what}: ${name} has another document`);
      store.close();
    }
  }
  t.same([...wrong, ...four.ended], []);
  t.ok(count.old > 0 && count.taken > 0, "some commits came through, and some did not");
  t.comment(
    `${KILLS} instants, ${count.killed} processes killed; ${count.old} stayed at the old revision, ${count.taken} took the new one; ` +
      `${count.told} had been told before; a commit takes ${usualMillis.toFixed(1)} ms`,
  );
});
