// What the twin's cables do to production units among hosts: two of them, cut one at a time; one of them, too narrow for what is
// handed over; clocks at its ends that differ by hours.

import { test } from "tap";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { type CounterName, counterRow, MEMBERS, TWIN_PATH_ONE_OF_TWO, TWIN_PATH_UP } from "../../firmware/fastpath/memory/tables.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { Invariants } from "./invariants.ts";
import { Picture, type PictureOptions } from "./picture.ts";
import { PolicyOracle } from "./policy-oracle.ts";
import { buildUnit } from "./production.ts";
import { download } from "./services.ts";
import type { SimUnit } from "./unit.ts";

const TWIN = 2;
const SECOND_TWIN = 3;
/** Takes datagrams and answers none. */
const SINK_PORT = 9;

function build(seed: number, options: Partial<PictureOptions> = {}) {
  const picture = new Picture(seed, { build: buildUnit, ...options });
  new PolicyOracle(picture.world);
  picture.start();
  return {
    picture,
    world: picture.world,
    a: picture.unit("A1"),
    b: picture.unit("B1"),
    service1: picture.service1,
    service3: picture.addresses(true).service3,
    invariants: new Invariants(picture),
  };
}

const counter = (unit: SimUnit, name: CounterName): number => unit.tables?.counters.f[counterRow(name)] as number;
const dropped = (unit: SimUnit, name: Parameters<typeof drop>[0]): number => unit.tables?.counters.f[drop(name)] as number;
const member = (unit: SimUnit, of: SimUnit, name: string): number => unit.tables?.members.i[of.plan.unit * MEMBERS.strideWords + word(MEMBERS, name)] as number;

/** Pulls or plugs A1's twin cable in one of its ports; no link goes down. */
function cut(unit: SimUnit, port: number, isCut: boolean): void {
  const attachment = unit.attachments[port];
  if (attachment === undefined) throw new Error(`there is no port ${port}`);
  attachment.enters.faults.cut = isCut;
  attachment.leaves.faults.cut = isCut;
}

test("two twin cables, one cut at a time in mid-transfer: nothing is lost, no role moves, nobody is taken for dead or cut off", async (t) => {
  const { world, a, b, service1, service3, invariants } = build(1, { secondTwin: true });
  const changes = [a, b].map((unit) => counter(unit, "takeovers"));
  const transfers = Array.from({ length: 4 }, () => download(service1, service3, { bytes: 20_000_000 }));
  const roles = [a, b].map(({ isActive }) => isActive);
  for (let round = 0; round < 6; round++) {
    const port = round % 2 === 0 ? TWIN : SECOND_TWIN;
    world.run(150);
    t.same([member(a, b, "twinPath"), member(b, a, "twinPath")], [TWIN_PATH_UP, TWIN_PATH_UP]);
    cut(a, port, true);
    world.run(250);
    t.same([member(a, b, "twinPath"), member(b, a, "twinPath")], [TWIN_PATH_ONE_OF_TWO, TWIN_PATH_ONE_OF_TWO]);
    t.same([member(a, b, "associated"), member(b, a, "associated")], [1, 1]);
    cut(a, port, false);
    invariants.watch();
  }
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 60_000));
  t.ok(transfers.every(({ complete }) => complete));
  t.ok(counter(b, "handed-off") > 1_000, "replies came by the other site");
  const gaps = transfers.map(({ gapMicros }) => gapMicros / 1_000);
  t.comment(`longest silence of a transfer: ${gaps.map(Math.round).join(", ")} ms`);
  t.same(
    [a, b].map(({ isActive }) => isActive),
    roles,
  );
  t.same(
    [a, b].map((unit) => counter(unit, "takeovers")),
    changes,
  );
  world.run(2_000);
  invariants.afterHealing();
});

test("both twin cables cut is a partition, and one of them ends it", async (t) => {
  const { world, a, b, service1, service3, invariants } = build(2, { secondTwin: true });
  const transfer = download(service1, service3, { bytes: 20_000_000 });
  world.run(50);
  for (const port of [TWIN, SECOND_TWIN]) cut(a, port, true);
  world.run(400);
  t.equal(member(a, b, "associated"), 0);
  cut(a, SECOND_TWIN, false);
  world.run(300);
  t.same([member(a, b, "associated"), member(a, b, "twinPath")], [1, TWIN_PATH_ONE_OF_TWO]);
  t.ok(world.runUntil(() => transfer.end !== null, 60_000));
  t.ok(transfer.complete);
  world.run(2_000);
  invariants.afterHealing();
});

test("a twin cable that is full of handed-off packets: each arrives or is counted, new rows come through, nobody is lost", async (t) => {
  const { world, a, b, service1, service3, picture } = build(3);
  for (const { enters, leaves } of [a, b].map((unit) => unit.attachments[TWIN] as SimUnit["attachments"][number])) {
    enters.bytesPerMicro = 5;
    leaves.bytesPerMicro = 5;
  }
  const port = service1.ephemeralPort();
  let arrived = 0;
  service1.udp.set(port, () => arrived++);
  picture.service3.udp.set(SINK_PORT, () => {});
  service1.sendUdp(service3, SINK_PORT, port, new Uint8Array(32));
  world.run(50);
  const own = picture.addresses(true).service1;
  const before = { handed: counter(b, "handed-off") };
  let sent = 0;
  let lagMicrosMost = 0;
  for (let milli = 0; milli < 2_000; milli++) {
    for (let k = 0; k < 5; k++, sent++) picture.service3.sendUdp(own, port, SINK_PORT, new Uint8Array(1_300));
    if (milli % 20 === 0) service1.sendUdp(service3, SINK_PORT, service1.ephemeralPort(), new Uint8Array(32));
    world.run(1);
    lagMicrosMost = Math.max(lagMicrosMost, member(a, b, "lagMicros"));
  }
  world.run(1_000);
  const refused = dropped(b, "handoff-full");
  t.comment(`${sent} sent, ${arrived} arrived, ${refused} refused; a row was acknowledged after ${lagMicrosMost} us at the most`);
  t.ok(refused > 1_000, `${refused} of ${sent} refused`);
  // Questions of A's that B could not give back: the first packets of new flows.
  const unanswered = counter(b, "handed-here") - counter(b, "handed-back-none");
  t.equal(arrived + refused - unanswered, sent);
  t.equal(counter(b, "twin-refused"), refused);
  t.equal(counter(b, "handed-off") - before.handed, arrived);
  t.ok(counter(b, "replicas-applied") >= counter(a, "sessions-created"));
  t.equal(member(a, b, "lagRows"), 0);
  t.same([member(a, b, "associated"), member(b, a, "associated"), member(a, b, "twinPath")], [1, 1, TWIN_PATH_UP]);
});

test("clocks that differ by hours and drift against each other change nothing", async (t) => {
  const { world, a, b, service1, service3, invariants } = build(4, { clocksApartMicros: 5 * 3_600_000_000 });
  a.drift(2_000);
  b.drift(-2_000);
  const transfers = Array.from({ length: 3 }, () => download(service1, service3, { bytes: 3_000_000 }));
  world.run(20);
  b.crash(false);
  world.run(300);
  b.start();
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 60_000));
  t.ok(transfers.every(({ complete }) => complete));
  world.run(5_000);
  invariants.afterHealing();
});
