// News between managers: told once, to those who hold the key, and worthless when recorded.

import { test } from "tap";
import { NOTICE_BYTES, Notices } from "../../firmware/manager/peers/notices.ts";
import { PairSecrets } from "../../firmware/manager/peers/pair-secrets.ts";
import { pairKeysFor } from "../pair-keys.ts";

const KEY = "5a".repeat(32);

/** Managers on one link: what one sends reaches all, itself included. */
function setUp(secrets: Readonly<Record<number, string>>) {
  const lines: string[] = [];
  const seen: string[] = [];
  const recorded: Buffer[] = [];
  const lost = { next: 0 };
  let draws = 0;
  const units = Object.keys(secrets).map(Number);
  const managers = new Map<number, Notices>();
  const send = (datagram: Buffer): void => {
    recorded.push(datagram);
    if (lost.next > 0) lost.next--;
    else for (const manager of managers.values()) manager.receive(datagram, `fe80::${datagram[5]}`);
  };
  for (const unit of units) {
    const others = units.filter((other) => other !== unit).map((other) => ({ unit: other }));
    managers.set(
      unit,
      new Notices({
        unit,
        peers: units.filter((other) => other !== unit),
        secrets: new PairSecrets({ unit, keys: pairKeysFor(others, secrets[unit]), save: () => undefined }),
        send,
        randomBytes: (count) => Buffer.alloc(count, ++draws),
        onRestarting: (from) => void lines.push(`${unit} hears: ${from} restarts`),
        onSeen: (from, address) => void seen.push(`${unit} sees ${from} at ${address}`),
        onRejected: (from) => void lines.push(`${unit} rejects ${from}`),
      }),
    );
  }
  return { lines, seen, recorded, lost, at: (unit: number) => managers.get(unit) as Notices };
}

test("a restart is told to every peer once", async (t) => {
  const { lines, at } = setUp({ 1: KEY, 2: KEY, 3: KEY });
  at(1).greet();
  at(1).announceRestart();
  t.same(lines, ["2 hears: 1 restarts", "3 hears: 1 restarts"]);
});

test("one greeting makes both sides known", async (t) => {
  const { lines, at } = setUp({ 1: KEY, 3: KEY });
  at(3).greet();
  at(3).announceRestart();
  at(1).announceRestart();
  t.same(lines, ["1 hears: 3 restarts", "3 hears: 1 restarts"]);
});

test("a second restart is told as well", async (t) => {
  const { lines, at } = setUp({ 1: KEY, 3: KEY });
  at(1).greet();
  at(1).announceRestart();
  at(1).announceRestart();
  t.equal(lines.length, 2);
});

test("two of three copies may be lost", async (t) => {
  const { lines, lost, at } = setUp({ 1: KEY, 3: KEY });
  at(1).greet();
  lost.next = 2;
  at(1).announceRestart();
  t.same(lines, ["3 hears: 1 restarts"]);
});

test("a recorded notice is worthless", async (t) => {
  const { lines, recorded, at } = setUp({ 1: KEY, 3: KEY });
  at(1).greet();
  at(1).announceRestart();
  for (const datagram of [...recorded]) at(3).receive(datagram, "fe80::bad");
  t.same(lines, ["3 hears: 1 restarts"]);
});

test("a peer that shares another secret is rejected, and said to be", async (t) => {
  const { lines, at } = setUp({ 1: KEY, 3: "5b".repeat(32) });
  at(1).greet();
  at(3).greet();
  at(1).announceRestart();
  t.same(lines, ["3 rejects 1", "1 rejects 3"]);
});

test("a notice that was altered or cut changes nothing", async (t) => {
  const { lines, recorded, lost, at } = setUp({ 1: KEY, 3: KEY });
  at(1).greet();
  recorded.length = 0;
  lost.next = 3;
  at(1).announceRestart();
  const notice = recorded[0] as Buffer;
  t.equal(notice.length, NOTICE_BYTES);
  for (let k = 0; k < notice.length; k++) {
    const altered = Buffer.from(notice);
    altered[k] = (altered[k] as number) ^ 1;
    at(3).receive(altered, "fe80::bad");
    at(3).receive(notice.subarray(0, k), "fe80::bad");
  }
  t.notOk(lines.some((line) => line.includes("restarts")));
  at(3).receive(notice, "fe80::1");
  t.ok(lines.includes("3 hears: 1 restarts"), "unaltered it counts");
});

test("who is there is seen by all, with its address, also without a secret", async (t) => {
  const { lines, seen, at } = setUp({ 1: KEY, 3: KEY });
  at(1).greet();
  t.same(seen, ["3 sees 1 at fe80::1"]);
  t.same(lines, []);
});

test("a notice to another unit, readdressed, is rejected", async (t) => {
  const { lines, recorded, at } = setUp({ 1: KEY, 2: KEY, 3: KEY });
  at(1).greet();
  recorded.length = 0;
  at(1).announceRestart();
  lines.length = 0;
  const toTwo = Buffer.from(recorded.find((datagram) => datagram[6] === 2) as Buffer);
  toTwo[6] = 3;
  at(3).receive(toTwo, "fe80::1");
  t.same(lines, ["3 rejects 1"]);
});
