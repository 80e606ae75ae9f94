// The configuration's part of a unit's manager as a process that can be killed: its store on a real disk, its desk, its plan file, put together
// as main.ts does. The control channel goes through the process that started it (killed.test.ts).
//
//   parent ── { up: [units] } │ { from, message } │ { commit, id } │ { state: id } ──►  unit
//          ◄─ { ready } │ { to, message } │ { answer, id } │ { state, id } ───────────

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { board } from "../../../board/lab.ts";
import type { Json } from "../../../firmware/manager/config/document.ts";
import type { ControlChannel, Message } from "../../../firmware/manager/peers/control-channel.ts";
import { Desk } from "../../../firmware/manager/revisions/desk.ts";
import { joinOverChannel } from "../../../firmware/manager/revisions/over-channel.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { readIfThere, writeDurably } from "../../../firmware/manager/run-dir.ts";
import type { Plan } from "../../../firmware/plan.ts";

/** What a unit says of itself. */
export interface UnitState {
  readonly head: string;
  readonly number: number;
  readonly isPrepared: boolean;
  readonly conflict: string;
  /** Of the plan that lies on its disk: what its dataplane would run. */
  readonly planRevision: number;
}

export type ToUnit =
  | { readonly up: readonly number[] }
  | { readonly from: number; readonly message: Message }
  | { readonly commit: Json; readonly id: number }
  | { readonly state: number };

export type FromUnit =
  | { readonly ready: true }
  | { readonly to: number; readonly message: Message }
  | { readonly id: number; readonly isCommitted: boolean; readonly hash: string; readonly code: string }
  | { readonly id: number; readonly state: UnitState };

/** Their timers run so many times as fast as on an appliance; what they wait for is as fast as it is. */
const SPEED = 10;
const TICK_MILLIS = 10;

/** Units that the parent says are there; a message to one that is gone is lost. */
class ParentChannel implements ControlChannel {
  reachable: readonly number[] = [];
  private readonly handlers = new Map<string, (from: number, message: Message) => void>();
  private readonly watchers: ((unit: number, isUp: boolean) => void)[] = [];

  isUp(unit: number): boolean {
    return this.reachable.includes(unit);
  }

  send(unit: number, message: Message): boolean {
    if (!this.isUp(unit)) return false;
    say({ to: unit, message });
    return true;
  }

  on(kind: string, handler: (from: number, message: Message) => void): void {
    this.handlers.set(kind, handler);
  }

  watch(listener: (unit: number, isUp: boolean) => void): void {
    this.watchers.push(listener);
  }

  receive(from: number, message: Message): void {
    this.handlers.get(message.kind)?.(from, message);
  }

  setUp(units: readonly number[]): void {
    const before = this.reachable;
    this.reachable = units;
    for (const watcher of this.watchers) {
      for (const unit of before) if (!units.includes(unit)) watcher(unit, false);
      for (const unit of units) if (!before.includes(unit)) watcher(unit, true);
    }
  }
}

function say(message: FromUnit): void {
  process.send?.(message);
}

function run(unit: string, directory: string, first: Json): void {
  const store = new RevisionStore(join(directory, CONFIGURATION_FILE));
  const planFile = join(directory, "plan.json");
  const lay = (plan: Plan): void => {
    const text = JSON.stringify(plan);
    if (readIfThere(planFile) !== text) writeDurably(planFile, text);
  };
  const log = { note: () => undefined };
  const options = {
    unit,
    store,
    board,
    log,
    devices: () => ["port1", "port2", "twin"],
    run: lay,
    nowMillis: () => Math.floor(performance.now() * SPEED),
    wallMillis: Date.now,
    newId: randomUUID,
  };
  const desk = new Desk(options, () => first);
  const channel = new ParentChannel();
  lay(desk.plan());
  joinOverChannel(desk, channel, desk.plan().twin.peers, log);
  setInterval(() => desk.member.tick(), TICK_MILLIS);
  const seat = desk.sit({ who: "test", origin: unit });
  process.on("message", (message: ToUnit) => {
    if ("up" in message) channel.setUp(message.up);
    else if ("from" in message) channel.receive(message.from, message.message);
    else if ("state" in message) say({ id: message.state, state: stateOf(desk, planFile) });
    else {
      const { id, commit } = message;
      const base = desk.member.head.hash;
      const order = { document: commit, base, comment: "", confirmMinutes: 0, settles: "", changes: [] };
      void seat.commit(order).then(({ isCommitted, code }) => say({ id, isCommitted, hash: isCommitted ? desk.member.head.hash : "", code }));
    }
  });
  process.on("disconnect", () => process.exit(0));
  say({ ready: true });
}

function stateOf(desk: Desk, planFile: string): UnitState {
  const { head, prepared, conflict } = desk.member.state;
  const planRevision = (JSON.parse(readIfThere(planFile) ?? "{}") as { readonly revision?: number }).revision ?? 0;
  return { head, number: desk.member.head.number, isPrepared: prepared !== undefined, conflict, planRevision };
}

const [unit = "", directory = "", first = "{}"] = process.argv.slice(2);
run(unit, directory, JSON.parse(first) as Json);
