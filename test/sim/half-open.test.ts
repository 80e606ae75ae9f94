// The half-open limit over two sites (W6): whatever either site is sent and whatever is lost between them, no destination has
// more half-open sessions than the limit, and both sites' tables say so.

import { test } from "tap";
import { ownerUnit, ROW_WORDS, S_OWNER, S_STATE } from "../../firmware/fastpath/sessions.ts";
import { SYN_RECEIVED, SYN_SENT } from "../../firmware/fastpath/track/tcp.ts";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import type { Host } from "./host.ts";
import { rowsOf } from "./invariants.ts";
import { type Address, address } from "./packets.ts";
import { Picture, type PictureOptions } from "./picture.ts";
import { buildUnit } from "./production.ts";
import { sendStraySegment } from "./services.ts";
import { SYN } from "./tcp.ts";
import type { SimUnit } from "./unit.ts";

const LIMIT = 40;
const SHARE = LIMIT / 2;

function build(seed: number, options: Partial<PictureOptions> = {}) {
  const picture = new Picture(seed, { build: buildUnit, halfOpenPerDestination: LIMIT, idleMillis: { tcpOpening: 3_000 }, ...options });
  picture.start();
  picture.moveUser("B");
  picture.world.run(50);
  return { picture, world: picture.world, a: picture.unit("A1"), b: picture.unit("B1"), user: picture.world.host("user"), service1: picture.service1 };
}

/** SYNs that nobody answers, each from a port of its own. */
function flood(host: Host, to: Address, first: number, count: number): void {
  for (let k = 0; k < count; k++) sendStraySegment(host, to, first + k, 80, SYN, 1_000, 0);
}

/** Half-open sessions in a unit's table: all, and those of its own. */
function halfOpen(unit: SimUnit): readonly [number, number] {
  const i = unit.tables?.sessions.i as Int32Array;
  const rows = rowsOf(unit).filter(({ row }) => [SYN_SENT, SYN_RECEIVED].includes((i[row * ROW_WORDS + S_STATE] as number) & 0xff));
  return [rows.length, rows.filter(({ row }) => ownerUnit(i[row * ROW_WORDS + S_OWNER] as number) === unit.plan.unit).length];
}

const limited = (unit: SimUnit): number => unit.tables?.counters.f[drop("half-open-limit")] as number;

for (const [family, silent] of [
  ["IPv4", "10.3.0.77"],
  ["IPv6", "fd00:3::77"],
] as const) {
  const target = address(silent);

  test(`W6, F9: floods at both sites together stay within the limit, each within its share, over ${family}`, async (t) => {
    const { world, a, b, user, service1 } = build(1);
    for (let burst = 0; burst < 5; burst++) {
      flood(service1, target, 1_000 + burst * 20, 20);
      flood(user, target, 5_000 + burst * 20, 20);
      world.run(100);
      for (const unit of [a, b]) t.ok(halfOpen(unit)[0] <= LIMIT, `${unit.name} ${halfOpen(unit)}`);
    }
    t.same(
      [halfOpen(a), halfOpen(b)],
      [
        [LIMIT, SHARE],
        [LIMIT, SHARE],
      ],
    );
    t.same([limited(a), limited(b)], [80, 80]);
    world.run(10_000);
    t.same(
      [halfOpen(a), halfOpen(b)],
      [
        [0, 0],
        [0, 0],
      ],
      "expired at both",
    );
  });

  test(`W6: a twin link that is cut changes nothing: each site has its share, and together they have the limit, over ${family}`, async (t) => {
    const { picture, world, a, b, user, service1 } = build(2);
    picture.cutTwin("A1", true);
    world.run(1_000);
    flood(service1, target, 1_000, 60);
    flood(user, target, 5_000, 60);
    world.run(200);
    t.same([halfOpen(a)[1], halfOpen(b)[1]], [SHARE, SHARE]);
    picture.cutTwin("A1", false);
    world.run(1_000);
    t.same([halfOpen(a)[0], halfOpen(b)[0]], [LIMIT, LIMIT]);
  });

  test(`W6: who takes over a dead site's sessions has the whole limit; who returns has none of it while it is in use, over ${family}`, async (t) => {
    const { picture, world, a, b, user, service1 } = build(3, { idleMillis: { tcpOpening: 20_000 } });
    flood(service1, target, 1_000, 60);
    flood(user, target, 5_000, 60);
    world.run(200);
    b.crash(true);
    picture.moveUser("A");
    world.run(1_000);
    t.same(halfOpen(a), [LIMIT, LIMIT], "it adopted the others");
    flood(service1, target, 2_000, 20);
    world.run(100);
    t.same(halfOpen(a), [LIMIT, LIMIT]);
    world.run(25_000);
    flood(service1, target, 3_000, 60);
    world.run(100);
    t.same(halfOpen(a), [LIMIT, LIMIT], "alone it may use the whole");
    b.start();
    world.run(1_500);
    picture.moveUser("B");
    flood(user, target, 6_000, 60);
    world.run(300);
    t.same(halfOpen(b), [LIMIT, 0]);
    world.run(25_000);
    flood(service1, target, 4_000, 60);
    flood(user, target, 7_000, 60);
    world.run(300);
    t.same(
      [halfOpen(a), halfOpen(b)],
      [
        [LIMIT, SHARE],
        [LIMIT, SHARE],
      ],
    );
  });
}
