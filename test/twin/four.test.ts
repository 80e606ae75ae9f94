// Four whole units in the simulator's picture: a transfer survives what operators and fate do to the unit that owns it.

import { test } from "tap";
import { answerTo, putCommand } from "../../firmware/fastpath/memory/commands.ts";
import { ANSWER_NAMES, ORDER_DRAIN_SITE, ORDER_RESUME_SITE, ORDER_SWITCHOVER_UNIT } from "../../firmware/fastpath/memory/orders.ts";
import { COMMAND_ORDER, type CounterName, counterRow, headerWord, ROLE_NAMES, type Tables } from "../../firmware/fastpath/memory/tables.ts";
import { Invariants } from "../sim/invariants.ts";
import { addressesOf, Picture } from "../sim/picture.ts";
import { buildUnit } from "../sim/production.ts";
import { download, exchange } from "../sim/services.ts";

const MEBIBYTE = 1 << 20;

class Play {
  readonly picture = new Picture(3, { build: buildUnit, sessions: 2_048, pairs: true });
  readonly invariants = new Invariants(this.picture);

  constructor() {
    this.picture.start(2_000);
  }

  /** Begins a transfer and lets it get going. */
  transfer(from = this.picture.service1) {
    const transfer = download(from, addressesOf(true).service3, { bytes: 16 * MEBIBYTE });
    this.picture.world.run(100);
    return transfer;
  }

  finish(transfer: ReturnType<typeof download>): boolean {
    this.picture.world.runUntil(() => transfer.end !== null, 60_000);
    return transfer.complete;
  }

  order(unit: string, order: number): string {
    const tables = this.picture.unit(unit).tables as Tables;
    const sequence = putCommand(tables, COMMAND_ORDER, order, 0);
    this.picture.world.run(10);
    return ANSWER_NAMES[answerTo(tables, sequence)] as string;
  }

  counter(unit: string, name: CounterName): number {
    return (this.picture.unit(unit).tables as Tables).counters.f[counterRow(name)] as number;
  }

  role(unit: string): string {
    return ROLE_NAMES[(this.picture.unit(unit).tables as Tables).header.i[headerWord("role")] as number] as string;
  }

  settle(): void {
    this.picture.world.run(6_000);
    this.invariants.afterHealing();
  }
}

test("a switchover in mid-transfer: the mate goes on within a retransmission", async (t) => {
  const play = new Play();
  const transfer = play.transfer();
  t.equal(play.order("A1", ORDER_SWITCHOVER_UNIT), "done");
  t.ok(play.finish(transfer));
  t.ok(transfer.gapMicros < 50_000, `${transfer.gapMicros} us without a byte`);
  t.same([play.role("A1"), play.role("A2")], ["standby", "active"]);
  play.settle();
});

test("the active unit dies: its mate adopts, and the one that returns stands by", async (t) => {
  const play = new Play();
  const transfer = play.transfer();
  play.picture.unit("A1").crash(true);
  t.ok(play.finish(transfer));
  play.picture.unit("A1").start();
  play.settle();
  t.same([play.role("A1"), play.role("A2")], ["standby", "active"]);
});

test("a drained site: its sessions are the other's at once, and what reaches it is judged there", async (t) => {
  const play = new Play();
  const transfer = play.transfer();
  t.equal(play.order("A1", ORDER_DRAIN_SITE), "done");
  const later = download(play.picture.service1, addressesOf(true).service3, { bytes: MEBIBYTE });
  const answered = exchange(play.picture.service1, addressesOf(true).service3);
  t.ok(play.finish(transfer));
  t.ok(play.finish(later));
  t.equal(answered.answers, 1);
  t.same([play.counter("A1", "sessions-created"), play.counter("B1", "strays-admitted")], [1, 2]);
  t.equal(play.order("A1", ORDER_RESUME_SITE), "done");
  t.ok(play.finish(download(play.picture.service1, addressesOf(true).service3, { bytes: MEBIBYTE })));
  t.equal(play.counter("A1", "sessions-created"), 2);
  play.settle();
});

test("an order that waited while its unit stood still meets the unit that it is by then", async (t) => {
  const play = new Play();
  const transfer = play.transfer();
  play.picture.unit("A1").stall(300);
  const tables = play.picture.unit("A1").tables as Tables;
  const sequence = putCommand(tables, COMMAND_ORDER, ORDER_DRAIN_SITE, 0);
  t.ok(play.finish(transfer));
  t.equal(ANSWER_NAMES[answerTo(tables, sequence)], "not-active");
  t.same([play.role("A1"), play.role("A2")], ["standby", "active"]);
  play.settle();
});

test("a site is drained by a unit that its mate has just taken for dead: what the mate took over is the other site's all the same", async (t) => {
  const play = new Play();
  const transfer = play.transfer();
  play.picture.unit("A1").stall(150);
  play.picture.world.runUntil(() => play.role("A2") === "active", 200);
  const late = play.picture.unit("A1");
  const answer = late.life?.dataplane.twin?.membership.orders.obey(ORDER_DRAIN_SITE, false, late.nowMicros());
  t.equal(ANSWER_NAMES[answer as number], "done");
  play.picture.world.run(500);
  const owned = ["A1", "A2", "B1"].map((unit) => (play.picture.unit(unit).tables as Tables).header.i[headerWord("sessionsOwned")]);
  t.same(owned, [0, 0, 1]);
  t.ok(play.finish(transfer));
  play.settle();
});

test("a host that moves to the other site takes its session along", async (t) => {
  const play = new Play();
  const transfer = play.transfer(play.picture.user as NonNullable<typeof play.picture.user>);
  play.picture.moveUser("B");
  t.ok(play.finish(transfer));
  t.same([play.counter("A1", "grants-given"), play.counter("B1", "grants-taken")], [1, 1]);
  play.settle();
});
