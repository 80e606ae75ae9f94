// What managers say on their channels, without sockets: who may be whom, how trust and secrets spread, and what is no message.

import { test } from "tap";
import type { Message } from "../../../firmware/manager/peers/conversation.ts";
import { parsePairKeys } from "../../../firmware/pair-keys.ts";
import { acquaint, join, Party, Pipe } from "./party.ts";

function frame(value: unknown): Buffer {
  const text = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

/** A1 and B1, acquainted and connected. */
function pair() {
  const [a, b] = [new Party(1), new Party(3)];
  acquaint(a, b);
  return { a, b, pipe: join(a, b) };
}

/** A1 with a pipe whose other end is the test: a stranger that holds B1's key, or a B1 gone mad. */
function alone() {
  const [a, b] = [new Party(1), new Party(3)];
  acquaint(a, b);
  const pipe = new Pipe();
  const conversation = a.channels.connected(b.member, pipe.transport(pipe.to), Buffer.alloc(32));
  const hello = { kind: "hello", protocol: 1, oldest: 1, unit: 3, name: "B1", newest: 0 };
  return { a, b, pipe, hello, say: (value: unknown) => conversation.receive(frame(value), a.now), conversation };
}

test("two that trust each other are up, and messages go to who asked for their kind", async (t) => {
  const { a, b, pipe } = pair();
  t.same([a.channels.reachable, b.channels.reachable], [[3], [1]]);
  const heard: unknown[] = [];
  b.channels.on("configuration", (from, message: Message) => heard.push([from, message["revision"]]));
  t.ok(a.channels.send(3, { kind: "configuration", revision: 7 }));
  t.ok(a.channels.send(3, { kind: "nobody-asked" }));
  pipe.flow();
  t.same(heard, [[1, 7]]);
  t.notOk(a.channels.send(4, { kind: "configuration" }), "a unit that is not there");
  t.throws(() => b.channels.on("configuration", () => undefined), { message: /has a handler already/ });
});

test("messages cut anywhere arrive whole, and long ones too", async (t) => {
  const { a, b, pipe } = pair();
  const heard: string[] = [];
  b.channels.on("text", (_from, message) => heard.push(message["text"] as string));
  a.channels.send(3, { kind: "text", text: "ä" });
  a.channels.send(3, { kind: "text", text: "x".repeat(3_000_000) });
  const all = Buffer.concat(pipe.to.waiting);
  pipe.to.waiting = [];
  for (let at = 0; at < 40; at++) pipe.to.waiting.push(all.subarray(at, at + 1));
  for (let at = 40; at < all.length; at += 65_537) pipe.to.waiting.push(all.subarray(at, at + 65_537));
  pipe.flow();
  t.same(
    heard.map((text) => text.length),
    [1, 3_000_000],
  );
  t.notOk(a.channels.send(3, { kind: "text", text: "x".repeat(9_000_000) }), "what is too long is refused where it is said");
});

test("the first secret: both have the same, the leader's is confirmed, and it is not the exporter", async (t) => {
  const { a, b } = pair();
  t.same(a.secretsWith(3), b.secretsWith(1));
  t.equal(a.secretsWith(3).length, 1);
  t.match(a.secretsWith(3)[0], { generation: 1, secret: /^[0-9a-f]{64}$/ });
  t.not(a.secretsWith(3)[0]?.secret, "e7".repeat(32));
  t.same(parsePairKeys(JSON.stringify({ peers: a.keys })), a.keys, "as the dataplane reads it");
});

test("each connection and each hour brings a new one; the same exporter twice does not bring the same one", async (t) => {
  const { a, b, pipe } = pair();
  const first = a.secretsWith(3)[0]?.secret;
  for (let second = 0; second <= 3_600; second++) {
    a.now += 1_000;
    b.now += 1_000;
    a.channels.tick();
    b.channels.tick();
    pipe.flow();
  }
  t.same(
    a.secretsWith(3).map(({ generation }) => generation),
    [1, 2],
  );
  t.same(
    b.secretsWith(1).map(({ generation }) => generation),
    [2],
  );
  t.not(a.secretsWith(3)[1]?.secret, first);
  join(a, b);
  t.equal(a.secrets.newest(3), 3);
});

test("cut between any two messages of a new secret: both still have one in common, and the next connection goes on from there", async (t) => {
  for (let carried = 0; carried < 14; carried++) {
    const [a, b] = [new Party(1), new Party(3)];
    acquaint(a, b);
    join(a, b);
    const pipe = new Pipe();
    const one = a.channels.connected(b.member, pipe.transport(pipe.to), Buffer.alloc(32, 1));
    const other = b.channels.connected(a.member, pipe.transport(pipe.fro), Buffer.alloc(32, 1));
    for (let k = 0; k < carried; k++) {
      const [way, end] = k % 2 === 0 ? ([pipe.to, other] as const) : ([pipe.fro, one] as const);
      const next = way.waiting.shift();
      if (next !== undefined) end.receive(next, 1_000);
    }
    one.close("cut");
    other.close("cut");
    const leads = a.secretsWith(3).at(-1)?.secret;
    t.ok(
      b.secretsWith(1).some(({ secret }) => secret === leads),
      `${carried} messages: the follower has what the leader uses`,
    );
    join(a, b);
    t.equal(a.secretsWith(3).at(-1)?.secret, b.secretsWith(1)[0]?.secret, `${carried} messages: then both`);
  }
});

test("pairing one unit pairs it with all: they introduce each other", async (t) => {
  const [a1, a2, b1] = [new Party(1), new Party(2), new Party(3)];
  acquaint(a1, a2);
  const inside = join(a1, a2);
  t.ok(a1.channels.pair(b1.member));
  t.ok(b1.channels.pair(a1.member));
  inside.flow();
  const outside = join(a1, b1);
  outside.flow();
  inside.flow();
  t.equal(a2.trust.member(3)?.key, b1.member.key);
  t.equal(b1.trust.member(2)?.key, a2.member.key);
  t.equal(a2.count("peer-introduced"), 1);
});

test("an un-paired unit is out at once, here and at the others; it is told, and it never comes back by itself", async (t) => {
  const [a1, a2, b1] = [new Party(1), new Party(2), new Party(3)];
  acquaint(a1, a2, b1);
  const inside = join(a1, a2);
  const [one, two] = [join(a1, b1), join(a2, b1)];
  t.ok(a1.channels.unpair(3));
  t.same(a1.secretsWith(3), []);
  for (const pipe of [one, inside, two, inside]) pipe.flow();
  t.same(a2.secretsWith(3), []);
  t.equal(a2.trust.member(3), undefined);
  t.same([a1.channels.reachable, a2.channels.reachable, b1.channels.reachable], [[2], [1], []]);
  t.equal(b1.count("unpaired"), 2);
  t.same(b1.keys, []);
  t.ok(a1.trust.isRevoked(b1.identity.publicKey) && a2.trust.isRevoked(b1.identity.publicKey));
  t.notOk(a2.channels.pair(b1.member), "not even by a person");
  t.notOk(a1.channels.unpair(3), "there is nobody to un-pair any more");
});

test("a unit that gives its identity up is refused everywhere at once, also where it was not connected", async (t) => {
  const [a1, a2, b1] = [new Party(1), new Party(2), new Party(3)];
  acquaint(a1, a2, b1);
  const [inside, one] = [join(a1, a2), join(a1, b1)];
  const identity = b1.identity.publicKey;
  b1.channels.leave();
  for (const pipe of [one, inside]) pipe.flow();
  t.same([a1.secretsWith(3), a2.secretsWith(3)], [[], []]);
  t.ok(a1.trust.isRevoked(identity) && a2.trust.isRevoked(identity));
  t.same([a1.channels.reachable, a2.channels.reachable, b1.channels.reachable], [[2], [1], []]);
  t.same([a1.count("peer-left"), a2.count("peer-unpaired")], [1, 1]);
  t.notOk(a1.channels.pair(b1.member), "not even by a person");
});

test("a unit that was away hears of it when it comes back, also from another one", async (t) => {
  const [a1, a2, b1] = [new Party(1), new Party(2), new Party(3)];
  acquaint(a1, a2, b1);
  a1.channels.unpair(3);
  join(a1, a2);
  t.equal(a2.trust.member(3), undefined);
  t.equal(a2.count("peer-unpaired"), 1);
});

test("an introduced unit does not take a number that is taken; it is said", async (t) => {
  const [a1, a2, b1] = [new Party(1), new Party(2), new Party(3)];
  const impostor = new Party(3);
  acquaint(a1, a2);
  a2.trust.pair(b1.member);
  a1.trust.pair(impostor.member);
  join(a1, a2);
  t.equal(a2.trust.member(3)?.key, b1.member.key);
  t.equal(a2.count("peer-conflict"), 1);
});

test("a number for which another unit is paired by a person: the one before is un-paired", async (t) => {
  const [a, b] = [new Party(1), new Party(3)];
  acquaint(a, b);
  join(a, b);
  const fresh = new Party(3);
  t.ok(a.channels.pair(fresh.member));
  t.ok(a.trust.isRevoked(b.identity.publicKey));
  t.same(a.channels.reachable, []);
  t.same(a.secretsWith(3), []);
});

test("two that are one version apart are up, and agree on secrets and trust as equals do", async (t) => {
  for (const [one, other] of [
    [{ protocol: 2, oldest: 1 }, {}],
    [{}, { protocol: 2, oldest: 1 }],
  ]) {
    const [a, b, later] = [new Party(1, one), new Party(3, other), new Party(4)];
    acquaint(a, b);
    const pipe = join(a, b);
    const heard: unknown[] = [];
    b.channels.on("configuration", (_from, message) => heard.push(message["revision"]));
    a.channels.send(3, { kind: "from-the-future", anything: [1] });
    a.channels.send(3, { kind: "configuration", revision: 7 });
    a.channels.pair(later.member);
    pipe.flow();
    t.same([a.channels.reachable, b.channels.reachable, heard], [[3], [1], [7]]);
    t.same([a.channels.tooOldOf(3), b.channels.tooOldOf(1)], ["", ""]);
    t.same(a.secretsWith(3), b.secretsWith(1));
    t.equal(b.trust.member(4)?.key, later.member.key);
  }
});

test("a peer that is too old is refused at both ends, each with a sentence that says which one to upgrade; once a minute", async (t) => {
  for (const [one, other, atA, atB] of [
    [{}, { protocol: 0, oldest: 0 }, /B1 speaks version 0 .* upgrade B1/, /A1 speaks version 1 .* this unit 0: upgrade this unit/],
    [{}, { protocol: 3, oldest: 2 }, /B1 speaks version 3 .* this unit 1: upgrade this unit/, /A1 speaks version 1 .* upgrade A1/],
  ] as const) {
    const [a, b] = [new Party(1, one), new Party(3, other)];
    acquaint(a, b);
    const versions = (party: Party): readonly string[] => party.told.filter((line) => line.startsWith("peer-version"));
    for (let k = 0; k < 20; k++) {
      // What each says is under way before the other has refused it.
      const pipe = join(a, b);
      t.same([a.channels.reachable, b.channels.reachable, a.keys, b.keys], [[], [], [], []]);
      t.ok(pipe.to.isEnded || pipe.fro.isEnded);
      a.now += 1_000;
      b.now += 1_000;
    }
    t.same([versions(a).length, versions(b).length], [1, 1]);
    t.match(versions(a)[0], atA);
    t.match(versions(b)[0], atB);
    // As `peers` shows it.
    t.ok(versions(a)[0]?.endsWith(`upgrade ${a.channels.tooOldOf(3)}.`) && versions(b)[0]?.endsWith(`upgrade ${b.channels.tooOldOf(1)}.`));
  }
});

test("before it has said who it is, nothing else is heard, and little at all", async (t) => {
  for (const [value, reason] of [
    [{ kind: "members", members: [], revoked: [] }, "no-hello"],
    [{ kind: "hello", protocol: 1, oldest: 1, unit: 4, name: "B2", newest: 0 }, "hello-wrong"],
    [{ kind: "hello" }, "hello-wrong"],
    ...[1e99, -1, 0.5, 0xffff_ffff, "1"].map((newest) => [{ kind: "hello", protocol: 1, oldest: 1, unit: 3, name: "B1", newest }, "hello-wrong"] as const),
  ] as const) {
    const { a, say, pipe } = alone();
    say(value);
    t.same(a.channels.reachable, [], reason);
    t.ok(pipe.to.isEnded, reason);
  }
  const { say, pipe } = alone();
  say(`{"kind":"hello","fill":"${"x".repeat(70_000)}"}`);
  t.ok(pipe.to.isEnded);
});

test("garbage, oversize, nothing at all: the conversation ends, and the manager does not", async (t) => {
  for (const bytes of [frame("nonsense"), frame("[]"), frame("null"), frame("{}"), frame('{"kind":7}'), Buffer.alloc(64, 0xff), Buffer.alloc(8)]) {
    const { a, say, hello, conversation, pipe } = alone();
    say(hello);
    t.same(a.channels.reachable, [3]);
    conversation.receive(bytes, a.now);
    t.same(a.channels.reachable, []);
    t.ok(pipe.to.isEnded);
    t.equal(a.count("peer-channel-down"), 1);
  }
});

test("a message of our own kinds with anything in it ends the conversation at most", async (t) => {
  const values = [null, 7, "x", "", [], {}, [{}], [{ unit: 3, name: "B1", key: "short" }], -1, 1e99, "A".repeat(44), Buffer.alloc(32).toString("base64")];
  for (const kind of ["members", "rekey", "rekeyed", "rekey-done", "hello", "unpaired", "ping"]) {
    for (const value of values) {
      const { a, b, say, hello } = alone();
      say(hello);
      const before = a.keys;
      say({ kind, members: value, revoked: value, generation: value, share: value, used: value, proof: value });
      if (kind === "unpaired") t.same(a.trust.members, []);
      else t.same(a.trust.members, [b.member], kind);
      t.same(a.keys, before, kind);
    }
  }
});

test("what comes too slowly, or not at all, ends; who says something now and then stays", async (t) => {
  const slow = alone();
  slow.say(slow.hello);
  for (let k = 0; k < 12; k++) {
    slow.a.now += 1_000;
    slow.conversation.receive(k === 0 ? frame({ kind: "ping" }).subarray(0, 5) : Buffer.from("x"), slow.a.now);
    slow.a.channels.tick();
  }
  t.match(
    slow.a.told.find((line) => line.startsWith("peer-channel-down")),
    /frame-slow|rekey-slow/,
  );
  const silent = pair();
  silent.b.now += 6_000;
  silent.b.channels.tick();
  t.match(
    silent.b.told.find((line) => line.startsWith("peer-channel-down")),
    /silent/,
  );
  const { a, b, pipe } = pair();
  for (let k = 0; k < 30; k++) {
    a.now += 1_000;
    b.now += 1_000;
    a.channels.tick();
    b.channels.tick();
    pipe.flow();
  }
  t.same([a.channels.reachable, b.channels.reachable], [[3], [1]]);
});

test("who does not read is left", async (t) => {
  const { a } = pair();
  for (let k = 0; k < 40; k++) a.channels.send(3, { kind: "text", text: "x".repeat(1_000_000) });
  t.match(
    a.told.find((line) => line.startsWith("peer-channel-down")),
    /not-reading/,
  );
});

test("a unit that connects again replaces its earlier connection, which may be dead", async (t) => {
  const { a, b, pipe } = pair();
  const changes: string[] = [];
  a.channels.watch((unit, isUp) => changes.push(`${unit} ${isUp ? "up" : "down"}`));
  join(a, b);
  t.same(changes, ["3 down", "3 up"]);
  pipe.flow();
  t.same(a.channels.reachable, [3], "the end of the old one does not end the new one");
});
