// One production unit between real conversations, with the twin off: user and service3 both reach each other through B1.

import { test } from "tap";
import { drop } from "../../firmware/fastpath/verdicts.ts";
import { SERVICE1, WIRE } from "../lab/picture.ts";
import { Invariants, rowsOf } from "./invariants.ts";
import { address, ICMP, ICMPV6 } from "./packets.ts";
import { addressesOf, DENIED_PORT, Picture, type PictureOptions } from "./picture.ts";
import { PolicyOracle } from "./policy-oracle.ts";
import { buildUnit } from "./production.ts";
import { download, exchange, Pinger, sendStraySegment } from "./services.ts";
import { ACK } from "./tcp.ts";

function build(seed: number, options: Partial<PictureOptions> = {}) {
  const picture = new Picture(seed, { build: buildUnit, twin: false, ...options });
  new PolicyOracle(picture.world);
  picture.start(200);
  picture.moveUser("B");
  picture.world.run(50);
  return { picture, world: picture.world, user: picture.world.host("user"), unit: picture.unit("B1"), invariants: new Invariants(picture) };
}

for (const v4 of [true, false]) {
  const family = v4 ? "IPv4" : "IPv6";
  const { service3 } = addressesOf(v4);

  test(`downloads and uploads cross one unit whole, over ${family}`, async (t) => {
    const { world, user, invariants } = build(1);
    const transfers = [
      download(user, service3, { bytes: 3_000_000 }),
      download(user, service3, { bytes: 50_000, uploadBytes: 2_000_000, windowBytes: 65_535 }),
    ];
    t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 10_000));
    t.ok(
      transfers.every(({ complete }) => complete),
      transfers.map(({ end, receivedBytes }) => `${end} ${receivedBytes}`).join(", "),
    );
    t.ok(
      transfers.every(({ connection }) => connection.retransmissions === 0),
      "nothing had to be sent again",
    );
    invariants.watch();
  });

  test(`datagrams and pings are answered through one unit, over ${family}`, async (t) => {
    const { world, user } = build(2);
    const pinger = new Pinger(user);
    const all = [exchange(user, service3), exchange(user, service3, { bytes: 1_400 }), pinger.ping(service3), pinger.ping(service3, 1_200)];
    world.run(500);
    t.same(
      all.map(({ answers }) => answers),
      [1, 1, 1, 1],
    );
  });

  test(`what the policy denies does not pass, over ${family}`, async (t) => {
    const { picture, world, user, unit } = build(3);
    const denied = [download(user, service3, { bytes: 10, port: DENIED_PORT }), download(picture.service3, addressesOf(v4).user, { bytes: 10 })];
    const silent = exchange(user, service3, { port: DENIED_PORT });
    sendStraySegment(user, service3, 5_000, 8_080, ACK, 1, 1);
    world.run(2_000);
    t.notOk(denied.some(({ established }) => established));
    t.equal(silent.answers, 0);
    t.equal(picture.service3.strays, 0, "the stray segment did not arrive");
    t.equal(rowsOf(unit).length, 0);
  });

  test(`the gateway answers pings, over ${family}`, async (t) => {
    const { world, picture } = build(4);
    const pinger = new Pinger(picture.service3);
    const echo = pinger.ping(address(v4 ? "10.3.0.1" : "fd00:3::1"));
    world.run(200);
    t.equal(echo.answers, 1);
  });

  test(`packets for a host that is not there are held a while, then dropped, counted and reported, over ${family}`, async (t) => {
    const { world, user, unit } = build(5);
    const pinger = new Pinger(user);
    const absent = address(v4 ? "10.3.0.77" : "fd00:3::77");
    pinger.ping(absent);
    t.ok(world.runUntil(() => unit.tables?.counters.f[drop("no-neighbour")] === 1, 10_000));
    pinger.ping(absent);
    world.run(500);
    t.same(pinger.errors, [v4 ? { type: 3, code: 1, protocol: ICMP } : { type: 1, code: 3, protocol: ICMPV6 }]);
    t.equal(unit.framesInHand(), 0);
  });

  test(`a TTL or hop limit that runs out is reported to the sender, over ${family}`, async (t) => {
    const { world, user } = build(6);
    const pinger = new Pinger(user);
    user.ttl = 1;
    pinger.ping(service3);
    world.run(500);
    t.same(pinger.errors, [v4 ? { type: 11, code: 0, protocol: ICMP } : { type: 3, code: 0, protocol: ICMPV6 }]);
  });

  test(`a smaller link behind the unit is discovered by the sender, over ${family}`, async (t) => {
    const { world, user, unit } = build(7, { dataMtuBytes: { port2: 1_400 } });
    const transfer = download(user, service3, { bytes: 1_000, uploadBytes: 500_000 });
    world.runUntil(() => transfer.end !== null, 10_000);
    t.ok(transfer.complete, `${transfer.end}`);
    t.ok((unit.tables?.counters.f[drop("too-big")] ?? 0) > 0);
  });
}

for (const v4 of [true, false]) {
  test(`a wire passes conversations whole and keeps the policy, over ${v4 ? "IPv4" : "IPv6"}`, async (t) => {
    const picture = new Picture(9, { build: buildUnit, twin: false, mode: "transparent" });
    new PolicyOracle(picture.world);
    const { service1, service3, world } = picture;
    // Both directions by A's wire.
    service3.route(`${SERVICE1.address4}/32`, WIRE.A.service1v4);
    service3.route(`${SERVICE1.address6}/128`, WIRE.A.service1v6);
    picture.start(200);
    const server = addressesOf(v4).service3;
    const transfer = download(service1, server, { bytes: 2_000_000, uploadBytes: 300_000 });
    const pinger = new Pinger(service1);
    const all = [exchange(service1, server), pinger.ping(server)];
    const denied = [download(service1, server, { bytes: 10, port: DENIED_PORT }), download(service3, addressesOf(v4).service1, { bytes: 10 })];
    t.ok(world.runUntil(() => transfer.end !== null, 10_000));
    t.ok(transfer.complete, `${transfer.end} ${transfer.receivedBytes}`);
    t.same(
      all.map(({ answers }) => answers),
      [1, 1],
    );
    t.notOk(denied.some(({ established }) => established));
    new Invariants(picture).watch();
  });
}

test("a dataplane that dies and adopts its memory goes on with its sessions", async (t) => {
  const { world, user, unit, invariants } = build(6);
  const transfer = download(user, addressesOf(true).service3, { bytes: 4_000_000 });
  world.runUntil(() => transfer.receivedBytes > 1_000_000, 5_000, 1);
  unit.crash(false);
  world.run(150);
  unit.start();
  world.runUntil(() => transfer.end !== null, 20_000);
  t.ok(transfer.complete, `${transfer.end} ${transfer.receivedBytes}`);
  invariants.watch();
});

test("a unit that loses its memory loses its sessions, and resets nothing in silence", async (t) => {
  const { world, user, unit } = build(7);
  const transfer = download(user, addressesOf(true).service3, { bytes: 4_000_000 });
  world.runUntil(() => transfer.receivedBytes > 1_000_000, 5_000, 1);
  unit.crash(true);
  world.run(150);
  unit.start();
  world.run(5_000);
  t.notOk(transfer.complete);
  const again = download(user, addressesOf(true).service3, { bytes: 100_000 });
  world.runUntil(() => again.end !== null, 20_000);
  t.ok(again.complete);
});

test("frames are conserved under loss, full rings and ports that come and go", async (t) => {
  const { world, user, unit } = build(8);
  const transfers = Array.from({ length: 12 }, () => download(user, addressesOf(true).service3, { bytes: 400_000 }));
  for (const { enters, leaves } of unit.attachments) for (const { faults } of [enters, leaves]) faults.lossRate = 0.02;
  for (let k = 0; k < 20; k++) {
    const nic = unit.nics[k % 2];
    if (nic !== undefined) nic.state = k % 3;
    world.run(50);
    for (const other of unit.nics) other.state = 1;
    world.run(200);
  }
  for (const { enters, leaves } of unit.attachments) for (const { faults } of [enters, leaves]) faults.lossRate = 0;
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 60_000, 100));
  t.ok(transfers.every(({ complete }) => complete));
  world.run(3_000);
  t.equal(unit.framesInHand(), 0);
});
