// Link, liveness and roles as one thing: what the rest of the twin stands on. The order within a breath is here and
// nowhere else.
//
//   begin ─► receive ─► (the engine's data batch) ─► tick ─► (replication) ─► flush
//     └ true: discard the data ports' backlog

import type { Tables } from "../fastpath/memory/tables.ts";
import type { Plan } from "../plan.ts";
import type { RecordReceiver } from "./frame.ts";
import { Health } from "./health.ts";
import { Link, type LinkOptions, type LinkTrial } from "./link.ts";
import { Liveness } from "./liveness.ts";
import { Orders } from "./orders.ts";
import { type RoleHooks, Roles } from "./roles.ts";

export interface MembershipOptions extends LinkTrial, Pick<LinkOptions, "ports" | "twinPorts" | "packets" | "sealer" | "entropy" | "notes" | "keys"> {
  readonly plan: Pick<Plan, "unit" | "site" | "agreementHash" | "twin">;
  readonly tables: Pick<Tables, "header" | "members" | "paths" | "counters">;
  /** The tables were empty or came from a checkpoint: no incarnation that a peer has seen may be used again. */
  readonly isNewborn: boolean;
  /** True when a monitored address answered within the detection time; null when none is configured. */
  readonly reaches: (() => boolean) | null;
  /** Monitored addresses that have been silent for long. */
  readonly silentMonitored: () => number;
  readonly hooks: RoleHooks;
}

export class Membership {
  readonly link: Link;
  readonly liveness: Liveness;
  readonly roles: Roles;
  readonly health: Health;
  readonly orders: Orders;
  private hasStarted = false;

  /** Throws when a secret is too short or there is no twin port. */
  constructor(options: MembershipOptions) {
    const { plan, tables, notes } = options;
    const { peers, heartbeatMillis, heartbeatMisses, partition, priority, preemptMillis, deployment, activeSite } = plan.twin;
    const { isNewborn, hooks } = options;
    this.roles = new Roles({
      unit: plan.unit,
      site: plan.site,
      peers,
      partition,
      priority,
      preemptMillis,
      heartbeatMillis,
      deployment,
      activeSite,
      tables,
      notes,
      isNewborn,
      hooks,
    });
    this.link = new Link({
      ...options,
      unit: plan.unit,
      agreementHash: plan.agreementHash,
      peers,
      heartbeatMillis,
      heartbeatMisses,
      standing: this.roles,
    });
    const { paths } = this.link;
    this.liveness = new Liveness({ peers, paths, notes, reaches: options.reaches, heartbeatMillis });
    this.health = new Health({ peers: peers.map((peer) => peer.unit), paths, silentMonitored: options.silentMonitored });
    this.roles.watch(this.liveness, paths, this.health);
    this.orders = new Orders(this.roles, this.health, hooks);
  }

  /** Who receives rows, handoffs and answers; call once, before the first breath. */
  connect(receiver: RecordReceiver): void {
    this.link.connect(receiver);
  }

  /** First in each breath. True: this unit starts or stood still for too long; discard what waits on the data ports. */
  begin(nowMicros: number): boolean {
    const stoodStill = this.liveness.begin(nowMicros);
    if (stoodStill) this.health.stalled(nowMicros);
    if (this.hasStarted && !stoodStill) return false;
    this.hasStarted = true;
    this.roles.rejoin(nowMicros);
    return true;
  }

  receive(nowMicros: number): void {
    this.link.receive(nowMicros);
  }

  tick(nowMicros: number): void {
    this.link.tick(nowMicros);
    this.liveness.tick(nowMicros);
    this.health.tick(nowMicros);
    this.roles.tick(nowMicros);
    if (!this.roles.isNews) return;
    this.roles.isNews = false;
    this.link.beatNow();
  }

  /** The manager of `unit` says that its dataplane ended and is being restarted. */
  restarting(unit: number, nowMicros: number): void {
    this.liveness.restarting(unit, this.roles.isReplaceable(unit, nowMicros), nowMicros);
  }

  flush(nowMicros: number): void {
    this.link.flush(nowMicros);
  }
}
