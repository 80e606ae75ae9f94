// The simulator's hosts talk honestly: over a plain router, and over lines that lose, double, reorder and damage, every byte
// arrives once and right. Otherwise what they say about the firewall would be worth nothing.

import { test } from "tap";
import type { LaneFaults } from "../../firmware/hal/sim/lane.ts";
import { address } from "./packets.ts";
import { download, exchange, Pinger, sendStraySegment, serveDownloads, serveEcho } from "./services.ts";
import { ACK, SYN } from "./tcp.ts";
import { World } from "./world.ts";

/** client ─ left ─ router ─ right ─ server */
function build(seed: number, faults: Partial<LaneFaults> = {}) {
  const world = new World(seed);
  world.ttlSteps = 0;
  const left = world.addSegment("left");
  const right = world.addSegment("right");
  const client = world.addHost("client");
  const server = world.addHost("server");
  const router = world.addHost("router");
  client.addInterface(left, new Uint8Array([2, 0, 0, 0, 0, 1]), ["10.1.0.10/24", "fd00:1::10/64"]);
  server.addInterface(right, new Uint8Array([2, 0, 0, 0, 0, 2]), ["10.3.0.10/24", "fd00:3::10/64"]);
  router.addInterface(left, new Uint8Array([2, 0, 0, 0, 0, 3]), ["10.1.0.1/24", "fd00:1::1/64"]);
  router.addInterface(right, new Uint8Array([2, 0, 0, 0, 0, 4]), ["10.3.0.1/24", "fd00:3::1/64"]);
  router.forwards = true;
  for (const [host, gateway] of [
    [client, "1"],
    [server, "3"],
  ] as const) {
    host.route("0.0.0.0/0", `10.${gateway}.0.1`);
    host.route("::/0", `fd00:${gateway}::1`);
  }
  for (const segment of [left, right]) {
    for (const attachment of segment.attachments) {
      world.watch(attachment);
      for (const lane of [attachment.enters, attachment.leaves]) {
        lane.bytesPerMicro = 125;
        Object.assign(lane.faults, faults);
      }
    }
  }
  serveDownloads(server);
  serveEcho(server);
  return { world, client, server, router, v4: address("10.3.0.10"), v6: address("fd00:3::10") };
}

test("a download and an upload arrive whole over IPv4 and IPv6", async (t) => {
  const { world, client, v4, v6 } = build(1);
  const transfers = [download(client, v4, { bytes: 5_000_000 }), download(client, v6, { bytes: 3_000_000, uploadBytes: 2_000_000 })];
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 5_000));
  for (const { complete, end, receivedBytes, wantedBytes } of transfers) t.ok(complete, `${end} ${receivedBytes}/${wantedBytes}`);
});

test("small, unscaled and zero transfers end well", async (t) => {
  const { world, client, v4 } = build(2);
  const transfers = [0, 1, 1_459, 1_460, 1_461, 100_000].map((bytes, k) => download(client, v4, { bytes, windowBytes: k % 2 === 0 ? 8_192 : 65_535 }));
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 5_000));
  t.ok(transfers.every(({ complete }) => complete));
});

test("bad lines cost time, not bytes", async (t) => {
  const bad = { lossRate: 0.02, duplicateRate: 0.01, corruptRate: 0.01, reorderRate: 0.02, reorderMicros: 2_000, jitterMicros: 50 };
  const { world, client, server, v4, v6 } = build(3, bad);
  const transfers = [download(client, v4, { bytes: 400_000 }), download(client, v6, { bytes: 400_000, uploadBytes: 200_000 })];
  t.ok(world.runUntil(() => transfers.every(({ end }) => end !== null), 120_000));
  for (const { complete, end, receivedBytes } of transfers) t.ok(complete, `${end} ${receivedBytes}`);
  t.ok(client.damaged + server.damaged > 0, "damaged packets were seen and left");
});

test("a refused connection, a vanished server and a stray segment are told apart", async (t) => {
  const { world, client, server, v4 } = build(4);
  const refused = download(client, v4, { bytes: 10, port: 81 });
  world.run(100);
  t.equal(refused.end, "refused");
  sendStraySegment(client, v4, 1_234, 8_080, ACK, 1, 1);
  world.run(100);
  t.equal(server.strays, 2, "a stray segment is answered by a reset");
  sendStraySegment(client, v4, 1_234, 8_080, SYN, 1, 0);
  for (const { nic } of server.interfaces) nic.receiver = null;
  const vanished = download(client, v4, { bytes: 10 });
  t.ok(world.runUntil(() => vanished.end !== null, 120_000, 100));
  t.equal(vanished.end, "timeout");
});

test("datagrams and pings are answered once", async (t) => {
  const { world, client, v4, v6 } = build(5);
  const pinger = new Pinger(client);
  const all = [exchange(client, v4), exchange(client, v6), pinger.ping(v4), pinger.ping(v6)];
  world.run(100);
  t.same(
    all.map(({ answers }) => answers),
    [1, 1, 1, 1],
  );
});

test("a packet that arrives twice without having been doubled is found", async (t) => {
  const { world, client, v4 } = build(6);
  const attachment = world.segment("right").attachment("server");
  attachment.leaves.faults.duplicateRate = 1;
  attachment.leaves.onDuplicate = null;
  exchange(client, v4);
  t.throws(() => world.run(100), /arrived 2 times/);
});

test("the same seed gives the same trace, another seed another", async (t) => {
  const run = (seed: number) => {
    const { world, client, v4 } = build(seed, { lossRate: 0.02, jitterMicros: 30, corruptRate: 0.01 });
    download(client, v4, { bytes: 200_000 });
    world.run(3_000);
    return world.trace.hash;
  };
  const once = run(7);
  t.equal(run(7), once);
  t.not(run(8), once);
});
