// The manager of one unit: dataplane and store kept alive, commands, and news for the peers' managers.
//
//                    ┌─ plan.json, pair keys, incarnation ┐
//   configuration ──►│             manager                │──spawn──► dataplane ──creates──► tables
//   board            └────────────────────────────────────┘──spawn──► store        ◄─reads─────┘
//                       control channel to peers' managers (peers/); mailbox and doorbell to the dataplane
//
// A dead manager costs nothing: dataplane and store go on. The next manager finds a dataplane that runs with the same
// plan and keeps it; one with another plan is stopped and replaced, and its rows are adopted.

import { ANSWER_NAMES, type AnswerName, ORDER_NAMES, type OrderName } from "../fastpath/memory/orders.ts";
import { COMMAND_DISK, COMMAND_KEYS, COMMAND_ORDER, COMMAND_PEER_RESTARTING, COMMAND_POLICY, COMMAND_STOP } from "../fastpath/memory/tables.ts";
import { type Child, Keeper } from "./keeper.ts";
import type { Log } from "./log.ts";
import type { UnitTables } from "./tables.ts";

/** Time for a dataplane to detach its ports. */
const DATAPLANE_GRACE_MILLIS = 2_000;
/** Time for the store to write a last checkpoint. */
const STORE_GRACE_MILLIS = 5_000;
/** How long the dataplane has for its answer to an order: its tick is 5 ms. */
const ANSWER_LOOK_MILLIS = 5;
const ANSWER_LOOKS = 200;
/** So many looks in a row find a revision that is not the one in force. */
const DRIFT_LOOKS = 2;
/** How long it has to read another policy and use it. */
const POLICY_LOOKS = 400;
const READY_LOOK_MILLIS = 20;
/** A dataplane that starts reads them anyway; one that is busy takes this command soon. */
const KEYS_AGAIN_MILLIS = 200;
/** A dataplane that has not opened its ports by then is worth a line. */
const READY_SLOW_MILLIS = 5_000;

/** What the manager needs of the machine. */
export interface Machine {
  nowMillis(): number;
  /** The clock of the tables. */
  monotonicMicros(): number;
  /** Runs a function later; returns what calls that off. */
  setTimer(run: () => void, millis: number): () => void;
  spawnDataplane(incarnation: number): Child;
  spawnStore(): Child;
  /** Processes that an earlier manager left running. */
  runningDataplane(): Child | undefined;
  runningStore(): Child | undefined;
  /** True when the plan is the one that the running dataplane was started with. */
  readonly samePlan: boolean;
  reserveIncarnation(): number;
  /** Compiles the plan's policy, in a process of its own, to where the dataplane finds it. False: it could not. */
  compilePolicy(): Promise<boolean>;
  ringDoorbell(): void;
}

export interface UnitManagerOptions {
  readonly log: Log;
  readonly machine: Machine;
  readonly tables: UnitTables;
  /** Of the plan that it starts with. */
  readonly revision: number;
  readonly sessions: number;
  /** Tells the peers' managers that our dataplane exited and is being restarted. */
  announceRestart(): void;
}

export class UnitManager {
  readonly dataplane: Keeper;
  readonly store: Keeper;
  private readonly options: UnitManagerOptions;
  private callOffLook: () => void = () => undefined;
  private callOffKeys: () => void = () => undefined;
  private reserved = 0;
  private replanned: Promise<void> = Promise.resolve();
  /** Changes of the plan that are under way. */
  private changes = 0;
  /** Of the plan in force. */
  private revision: number;
  private driftLooks = 0;
  /** The store could not be kept alive. */
  private isDiskAiling = false;

  constructor(options: UnitManagerOptions) {
    this.options = options;
    const { log, machine } = options;
    this.revision = options.revision;
    this.dataplane = new Keeper({
      name: "dataplane",
      log,
      spawn: () => this.spawnDataplane(),
      nowMillis: () => machine.nowMillis(),
      onCrash: () => options.announceRestart(),
      onFailed: () => log.note("error", "fail-closed", "This unit passes nothing."),
    });
    this.store = new Keeper({
      name: "store",
      log,
      spawn: () => machine.spawnStore(),
      nowMillis: () => machine.nowMillis(),
      onCrash: () => undefined,
      onFailed: () => {
        log.note("warning", "store-absent", "Traffic passes; checkpoints and the event log are not written.");
        this.isDiskAiling = true;
        this.tellDisk();
      },
    });
  }

  /** Resolves when both run, or failed. */
  async start(): Promise<void> {
    const { machine, log } = this.options;
    const store = machine.runningStore();
    if (store !== undefined) {
      this.store.start(store);
      await this.stopStore();
    }
    const dataplane = machine.runningDataplane();
    if (dataplane !== undefined && machine.samePlan) {
      this.dataplane.start(dataplane);
    } else {
      if (dataplane !== undefined) {
        this.dataplane.start(dataplane);
        log.note("notice", "plan-changed", "The dataplane of an earlier manager runs with another plan and is replaced.");
        await this.stopDataplane();
      }
      this.dataplane.start();
    }
    this.store.start();
  }

  /**
   * The plan is another one: the dataplane is replaced, and the new one adopts its rows. Peers are told, so that they do not take it for
   * dead. Resolves when the old one is gone. One at a time; the last plan counts.
   */
  replan(revision: number, sessions: number): Promise<void> {
    this.revision = revision;
    return this.change(async () => {
      const { tables, log } = this.options;
      if (this.dataplane.state === "stopping") return;
      log.note("notice", "plan-changed", "The dataplane is replaced by one with the new plan; sessions are kept.");
      this.options.announceRestart();
      await this.stopDataplane();
      tables.resize(sessions);
      this.dataplane.start();
    });
  }

  /**
   * Does the dataplane decide by the policy in force? The manager before this one may have ended between writing a plan and telling it. To be
   * called every few seconds.
   */
  checkDrift(): void {
    const { tables, log, sessions } = this.options;
    const found = tables.revision();
    const isMoving = this.changes > 0 || this.dataplane.state !== "running";
    this.driftLooks = isMoving || found === 0 || found === this.revision ? 0 : this.driftLooks + 1;
    // Once may be a dataplane that has just been started.
    if (this.driftLooks < DRIFT_LOOKS) return;
    log.note("warning", "policy-drift", `The dataplane decides by the policy of revision ${found}, and ${this.revision} is in force: it is told.`);
    void this.repolicy(this.revision, sessions);
  }

  /** One change of the plan after the other; the last one counts. */
  private change(act: () => Promise<void>): Promise<void> {
    this.changes++;
    this.replanned = this.replanned.then(act).finally(() => {
      this.changes--;
    });
    return this.replanned;
  }

  /**
   * The plan's policy, timeouts or routes are others, and nothing else: the running dataplane switches to them between two packets. Should it not,
   * it is replaced. `revision`: of the plan.
   */
  repolicy(revision: number, sessions: number): Promise<void> {
    this.revision = revision;
    return this.change(async () => {
      const { machine, tables, log } = this.options;
      const since = machine.nowMillis();
      const isCompiled = await machine.compilePolicy();
      const isTaken = isCompiled && tables.command(COMMAND_POLICY, 0, 0, () => machine.ringDoorbell()) !== 0;
      for (let look = 0; isTaken && tables.revision() !== revision && look < POLICY_LOOKS; look++)
        await new Promise<void>((resolve) => machine.setTimer(resolve, ANSWER_LOOK_MILLIS));
      if (tables.revision() !== revision) {
        log.note("warning", "policy-not-switched", "The running dataplane did not take the new policy; it is replaced.");
        void this.replan(revision, sessions);
        return;
      }
      const millis = machine.nowMillis() - since;
      log.note("notice", "policy-switched", `Revision ${revision} decides from now on (after ${millis} ms); no packet waited for it.`, {
        millis,
      });
    });
  }

  /** A peer's manager says that its dataplane exited and is being restarted. */
  peerRestarting(unit: number): void {
    this.command(COMMAND_PEER_RESTARTING, unit);
  }

  /** The secrets shared with peers were replaced. The dataplane must hear of it, also when its mailbox is full now: an un-paired unit is in them no more. */
  pairKeysChanged(): void {
    this.callOffKeys();
    const { machine, tables } = this.options;
    const isTaken = tables.command(COMMAND_KEYS, 0, 0, () => machine.ringDoorbell()) !== 0;
    this.callOffKeys = isTaken ? () => undefined : machine.setTimer(() => this.tellKeysAgain(), KEYS_AGAIN_MILLIS);
  }

  private tellKeysAgain(): void {
    this.callOffKeys = () => undefined;
    this.pairKeysChanged();
  }

  /** An operator's order. Resolves with the dataplane's answer, `pending` when it gives none. */
  async order(order: OrderName, isForced: boolean): Promise<AnswerName> {
    const { log, machine, tables } = this.options;
    const sequence = tables.command(COMMAND_ORDER, ORDER_NAMES.indexOf(order), isForced ? 1 : 0, () => machine.ringDoorbell());
    let code = 0;
    for (let look = 0; sequence !== 0 && code === 0 && look < ANSWER_LOOKS; look++) {
      await new Promise<void>((resolve) => machine.setTimer(resolve, ANSWER_LOOK_MILLIS));
      code = tables.answerTo(sequence);
    }
    const answer = ANSWER_NAMES[code] ?? "unknown-order";
    log.note("notice", "order", `An operator ordered ${order}${isForced ? ", forced" : ""}: ${answer}.`, { order, isForced, answer });
    return answer;
  }

  /** A unit whose store cannot write is less healthy than its mate; each dataplane has to be told. */
  private tellDisk(): void {
    if (this.isDiskAiling) this.command(COMMAND_DISK, 1);
  }

  /** Stops both; resolves when they are gone. The dataplane detaches its ports cleanly; then the store writes what it left. */
  async stop(): Promise<void> {
    this.callOffLook();
    this.callOffKeys();
    await this.stopDataplane();
    await this.stopStore();
    this.options.tables.close();
    this.options.log.note("notice", "stopped", "This unit stopped on request.");
  }

  private stopDataplane(): Promise<void> {
    const ask = (child: Child): void => {
      if (!this.command(COMMAND_STOP, 0)) child.kill("SIGTERM");
    };
    return this.dataplane.stop(ask, DATAPLANE_GRACE_MILLIS, this.options.machine.setTimer);
  }

  private stopStore(): Promise<void> {
    return this.store.stop((child) => child.kill("SIGTERM"), STORE_GRACE_MILLIS, this.options.machine.setTimer);
  }

  private command(kind: number, argument: number): boolean {
    const { log, machine, tables } = this.options;
    const taken = tables.command(kind, argument, 0, () => machine.ringDoorbell()) !== 0;
    if (!taken) log.note("warning", "command-lost", `The dataplane did not take command ${kind}.`, { kind });
    return taken;
  }

  private spawnDataplane(): Child {
    const { log, machine, tables } = this.options;
    const outlook = tables.look();
    if (outlook.kind === "replace") {
      log.note(
        "warning",
        "tables-replaced",
        `The tables found in memory cannot be used: ${outlook.reason}. They are replaced by empty ones; sessions come from peers and the last checkpoint.`,
      );
    }
    this.reserved = machine.reserveIncarnation();
    const since = machine.monotonicMicros();
    const child = machine.spawnDataplane(this.reserved);
    this.look(since);
    return child;
  }

  /** Looks until the dataplane spawned at `since` has opened its ports, and says so. */
  private look(since: number): void {
    const { log, machine, tables } = this.options;
    this.callOffLook();
    let slow = false;
    const lookAgain = (): void => {
      const millis = Math.round((machine.monotonicMicros() - since) / 1_000);
      if (tables.isOpen(since)) {
        this.tellDisk();
        const incarnation = tables.incarnation();
        const adopted = incarnation !== this.reserved;
        const rows = adopted ? `adopted its tables with ${tables.sessionsLive()} sessions` : "started with empty tables";
        log.note("notice", "dataplane-ready", `The dataplane opened its ports after ${millis} ms and ${rows} (incarnation ${incarnation}).`, {
          millis,
          adopted,
          incarnation,
        });
        return;
      }
      if (!slow && millis > READY_SLOW_MILLIS) {
        slow = true;
        log.note("warning", "dataplane-slow", `The dataplane has not opened its ports after ${millis} ms.`, { millis });
      }
      this.callOffLook = machine.setTimer(lookAgain, READY_LOOK_MILLIS);
    };
    this.callOffLook = machine.setTimer(lookAgain, READY_LOOK_MILLIS);
  }
}
