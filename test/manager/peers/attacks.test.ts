// A table of attacks on the control channel, each tried over real TLS on the loopback device: refused, counted by its reason, and
// whoever belongs there gets in all the same. README.md of manager/peers lists them with those on the data channel (test/twin).

import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer as createTcp, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type ConnectionOptions, connect, createServer, type TLSSocket } from "node:tls";
import { type Test, test } from "tap";
import type { Refusal } from "../../../firmware/manager/peers/refusals.ts";
import { ALPN_CONTROL, ALPN_PAIRING, dialPeer, listenForPeers } from "../../../firmware/manager/peers/tls.ts";
import { acquaint, drawIdentity, Party } from "./party.ts";

const HOST = "127.0.0.1";
const CODE = "41730296";

async function listen(t: Test, party: Party): Promise<number> {
  return new Promise((resolve) => {
    const listener = listenForPeers(() => HOST, party.owner(0), 0, resolve);
    t.teardown(() => listener.close());
    t.teardown(() => party.channels.close());
  });
}

function dial(t: Test, party: Party, unit: number, port: number, isPairing = false): Promise<boolean> {
  t.teardown(() => party.channels.close());
  return new Promise((resolve) => dialPeer(HOST, party.owner(unit), isPairing, resolve, port));
}

/** Ended, whoever did it and how. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void (socket.destroyed ? resolve() : socket.resume().once("close", () => resolve())));
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let k = 0; k < 2_000; k++) {
    if (holds()) return;
    await pause(5);
  }
  throw new Error(`not ${what}`);
}

/** B1 listens, A1 is its friend. */
async function setUp(t: Test) {
  const [a, b] = [new Party(1), new Party(3)];
  acquaint(a, b);
  const port = await listen(t, b);
  const isRefused = async (reason: Refusal): Promise<void> => {
    await until(`refused for ${reason}`, () => (b.refusals.all[reason] ?? 0) > 0);
    t.same(b.channels.reachable, []);
    t.equal(b.count(`peer-refused-${reason}`), 1, "and said");
  };
  /** What a TLS client of the attacker's gets: true when the server keeps it for a while. */
  const attack = async (options: ConnectionOptions): Promise<TLSSocket> => {
    const socket = connect({ host: HOST, port, rejectUnauthorized: false, ALPNProtocols: [ALPN_CONTROL], checkServerIdentity: () => undefined, ...options });
    socket.on("error", () => undefined);
    t.teardown(() => socket.destroy());
    return socket;
  };
  /** The friend gets in. */
  const friend = async (): Promise<void> => {
    t.ok(await dial(t, a, 3, port));
    await until("connected", () => a.channels.isUp(3) && b.channels.isUp(1) && b.secretsWith(1).length > 0);
  };
  return { a, b, port, isRefused, attack, friend };
}

/** The certificate of a key, said to have expired years ago: signed anew, as only the key's owner can. */
function expired(privateKey: string, certificate: string): string {
  const raw = Buffer.from(new X509Certificate(certificate).raw);
  raw.write("2020", raw.indexOf("99991231"), "latin1");
  const signed = raw.subarray(raw.indexOf(Buffer.from([0xa0, 0x03, 0x02, 0x01])) - 3, raw.length - 64 - 3 - 7);
  sign(null, signed, createPrivateKey(privateKey)).copy(raw, raw.length - 64);
  return `-----BEGIN CERTIFICATE-----\n${raw.toString("base64")}\n-----END CERTIFICATE-----\n`;
}

test("two paired units connect, and share a secret that nobody on the wire has seen", async (t) => {
  const { a, b, friend } = await setUp(t);
  await friend();
  await until("agreed", () => a.secretsWith(3).length > 0);
  t.equal(a.secretsWith(3).at(-1)?.secret, b.secretsWith(1).at(-1)?.secret);
  t.same([a.refusals.all, b.refusals.all], [{}, {}]);
});

test("downgrade: TLS 1.2 is refused, and a weaker cipher or group too", async (t) => {
  const { a, attack, isRefused, friend } = await setUp(t);
  const own = { key: a.identity.privateKey, cert: a.identity.certificate };
  await closed(await attack({ ...own, maxVersion: "TLSv1.2", minVersion: "TLSv1.2" }));
  await isRefused("handshake");
  for (const options of [{ ciphers: "TLS_AES_128_GCM_SHA256" }, { ecdhCurve: "P-256" }, { sigalgs: "ecdsa_secp256r1_sha256" }]) {
    const weak = await attack({ ...own, minVersion: "TLSv1.3", ...options });
    await closed(weak);
  }
  await friend();
});

test("unknown peer, no key, a key of another kind", async (t) => {
  const { attack, isRefused, friend } = await setUp(t);
  const stranger = drawIdentity();
  await attack({ key: stranger.privateKey, cert: stranger.certificate });
  await isRefused("identity");
  await attack({});
  await isRefused("certificate");
  await friend();
});

test("an identity that is said to have expired, of the right key: no certificate that a unit makes", async (t) => {
  const { a, attack, isRefused, friend } = await setUp(t);
  const cert = expired(a.identity.privateKey, a.identity.certificate);
  t.match(new X509Certificate(cert).validTo, "2020");
  t.ok(new X509Certificate(cert).verify(new X509Certificate(cert).publicKey));
  await attack({ key: a.identity.privateKey, cert });
  await isRefused("certificate");
  await friend();
});

test("swapped: a paired unit in another's place is refused by who dials, and by who is dialled", async (t) => {
  const { a, b, port, isRefused } = await setUp(t);
  const b2 = new Party(4);
  acquaint(a, b, b2);
  t.notOk(await dial(t, a, 4, port), "A1 dials B2 and reaches B1");
  t.same(a.refusals.all, { direction: 1 });
  t.ok(b.refusals.all.identity === undefined);
  await dial(t, b2, 3, port);
  await isRefused("direction");
});

test("reflection: a unit that reaches itself talks to nobody", async (t) => {
  const { b, port, isRefused } = await setUp(t);
  await dial(t, b, 4, port);
  await isRefused("identity");
});

test("a unit that was un-paired is refused as such; one with its key and number, too", async (t) => {
  const { a, b, port, isRefused } = await setUp(t);
  b.channels.unpair(1);
  await dial(t, a, 3, port);
  await isRefused("revoked");
  t.same(b.keys, []);
});

test("an un-paired unit with an open connection is out at once", async (t) => {
  const { a, b, port, friend, isRefused } = await setUp(t);
  await friend();
  b.channels.unpair(1);
  await until("down", () => a.channels.reachable.length === 0);
  t.equal(a.count("unpaired"), 1);
  acquaint(a, b);
  t.same(b.trust.members, [], "not even if somebody trusts it again by mistake");
  await dial(t, a, 3, port);
  await isRefused("revoked");
});

test("resumption: a ticket does not stand for a key", async (t) => {
  const { a, b, attack, isRefused } = await setUp(t);
  const own = { key: a.identity.privateKey, cert: a.identity.certificate };
  const first = await attack(own);
  const [session] = (await once(first, "session")) as [Buffer];
  first.destroy();
  await until("down", () => b.channels.reachable.length === 0);
  const again = await attack({ ...own, session });
  await once(again, "secureConnect");
  t.ok(again.isSessionReused(), "TLS would let it in");
  await isRefused("resumed");
});

test("replay: a recorded connection, played again, is no connection", async (t) => {
  const { a, b, port } = await setUp(t);
  const recorded: Buffer[] = [];
  const proxy = createTcp((socket) => {
    const onward = connectTcp(port, HOST);
    for (const end of [socket, onward]) end.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      recorded.push(bytes);
      onward.write(bytes);
    });
    onward.pipe(socket);
    socket.on("close", () => onward.destroy());
  });
  t.teardown(() => proxy.close());
  proxy.listen(0, HOST);
  await once(proxy, "listening");
  t.ok(await dial(t, a, 3, (proxy.address() as AddressInfo).port));
  await until("connected", () => b.channels.isUp(1));
  const wire = Buffer.concat(recorded);
  for (const known of ["hello", "members", "rekey", "A1", a.identity.certificate.split("\n")[2] as string])
    t.notOk(wire.includes(known), `"${known}" is not on the wire`);
  a.channels.close();
  await until("down", () => b.channels.reachable.length === 0);
  const socket = connectTcp(port, HOST);
  socket.on("error", () => undefined);
  for (const bytes of recorded) socket.write(bytes);
  await closed(socket);
  t.same(b.channels.reachable, []);
  t.ok((b.refusals.all.handshake ?? 0) > 0);
});

test("garbage instead of TLS, and half a handshake", async (t) => {
  const { port, isRefused, friend } = await setUp(t);
  const sockets: Socket[] = [];
  for (const bytes of [Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.alloc(4_096, 0xff), Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05])]) {
    const socket = connectTcp(port, HOST);
    socket.on("error", () => undefined);
    socket.write(bytes);
    sockets.push(socket);
  }
  await isRefused("handshake");
  await friend();
  for (const socket of sockets) socket.destroy();
});

test("slow loris: connections that say nothing are few, and not for long; whoever belongs there gets in", async (t) => {
  const { a, b, port } = await setUp(t);
  const sockets = Array.from({ length: 40 }, () => connectTcp(port, HOST));
  for (const socket of sockets) socket.on("error", () => undefined);
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await until("too many", () => b.refusals.all["handshakes-many"] === 24);
  t.ok(await dial(t, a, 3, port), "through the crowd");
  await until("connected", () => b.channels.isUp(1));
  await until("tired of them", () => (b.refusals.all["handshake-slow"] ?? 0) === 15);
});

test("a paired unit that says garbage, or far too much, is cut off; the manager goes on", async (t) => {
  for (const bytes of [Buffer.alloc(4_096, 0xff), Buffer.from([0, 0, 0, 2, 0x5b, 0x5d])]) {
    const { a, b, attack, friend } = await setUp(t);
    const socket = await attack({ key: a.identity.privateKey, cert: a.identity.certificate });
    await once(socket, "secureConnect");
    socket.write(bytes);
    await closed(socket);
    t.same(b.channels.reachable, []);
    await friend();
  }
});

test("pairing that nobody has opened is refused before anything is said", async (t) => {
  const { a, port, isRefused } = await setUp(t);
  t.notOk(await dial(t, a, 3, port, true));
  await isRefused("purpose");
});

test("pairing over TLS: both have typed the code", async (t) => {
  const [a, b] = [new Party(1), new Party(3)];
  const port = await listen(t, b);
  const signal = new AbortController().signal;
  const ends = Promise.all([a.desk.open(3, CODE, signal), b.desk.open(1, CODE, signal)]);
  t.ok(await dial(t, a, 3, port, true));
  t.same(await ends, [
    { kind: "paired", publicKey: b.identity.publicKey },
    { kind: "paired", publicKey: a.identity.publicKey },
  ]);
});

test("pairing over TLS: somebody in the middle relays every word, with keys of its own, and gets nowhere", async (t) => {
  const [a, b] = [new Party(1), new Party(3)];
  const port = await listen(t, b);
  const middle = drawIdentity();
  const keys = { key: middle.privateKey, cert: middle.certificate, rejectUnauthorized: false, ALPNProtocols: [ALPN_PAIRING] };
  let relayed = 0;
  const relay = createServer({ ...keys, requestCert: true }, (from) => {
    const onward = connect({ ...keys, host: HOST, port, checkServerIdentity: () => undefined });
    for (const [one, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      one.on("error", () => undefined);
      one.on("data", (bytes: Buffer) => {
        relayed += bytes.length;
        other.write(bytes);
      });
      one.on("close", () => other.destroy());
    }
  });
  t.teardown(() => relay.close());
  relay.listen(0, HOST);
  await once(relay, "listening");
  const stopped = new AbortController();
  const ends = [a.desk.open(3, CODE, stopped.signal), b.desk.open(1, CODE, stopped.signal)];
  t.ok(await dial(t, a, 3, (relay.address() as AddressInfo).port, true));
  await until("failed", () => (a.refusals.all["pairing-code"] ?? 0) > 0);
  stopped.abort();
  const results = await Promise.all(ends);
  t.ok(relayed > 0);
  t.notOk(results.some(({ kind }) => kind === "paired"));
  t.equal(results[0]?.kind, "code");
});

test("a certificate of another kind of key is refused in the handshake", async (t) => {
  const { attack, friend, b } = await setUp(t);
  const { privateKey } = generateKeyPairSync("ed25519");
  // The right certificate without its key does not even leave the attacker's own TLS.
  t.throws(
    () => connect({ host: HOST, port: 1, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string, cert: b.identity.certificate }),
    /mismatch/i,
  );
  const socket = await attack({ sigalgs: "rsa_pss_rsae_sha256" });
  await closed(socket);
  await friend();
});
