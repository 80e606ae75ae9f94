// Pairing by a code: who knows it gets in; who does not has one guess per run, whatever they record, relay or compute.

import { randomBytes } from "node:crypto";
import { test } from "tap";
import type { Message } from "../../../firmware/manager/peers/conversation.ts";
import { CODE_BITS, type PairingEnd, PairingRun, parseCode, showCode } from "../../../firmware/manager/peers/pairing.ts";
import { drawCode, type PairingResult } from "../../../firmware/manager/peers/pairing-desk.ts";
import { Party, Pipe, securedFor } from "./party.ts";

const CODE = "41730296";
const BINDING = Buffer.alloc(96, 7);

/** Two runs, connected; `ends` says how each ended. `alter` may change what is said. */
function talk(
  codes: readonly [string, string],
  bindings = [BINDING, BINDING],
  alter: (message: Message, fromDialer: boolean) => Message = (message) => message,
) {
  const ends: (PairingEnd | undefined)[] = [undefined, undefined];
  const queue: { readonly to: number; readonly message: Message }[] = [];
  const said: Message[] = [];
  const runs = [true, false].map(
    (isDialer, k) =>
      new PairingRun({
        isDialer,
        code: codes[k] as string,
        binding: bindings[k] as Buffer,
        send: (message) => {
          said.push(message);
          queue.push({ to: 1 - k, message: alter(message, isDialer) });
        },
        onEnd: (end) => {
          ends[k] = end;
        },
      }),
  ) as [PairingRun, PairingRun];
  runs[0].start();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) runs[next.to]?.receive(next.message);
  return { ends, said, runs };
}

test("a code is 8 digits, with spaces and hyphens as people like", async (t) => {
  t.equal(parseCode(" 4173-0296"), CODE);
  t.equal(parseCode("41 73 02 96"), CODE);
  for (const wrong of ["", "4173029", "417302966", "4173029a", "4173.0296"]) t.equal(parseCode(wrong), undefined);
  t.equal(showCode(CODE), "4173-0296");
  t.match(drawCode(), /^\d{8}$/);
});

test("the same code at both: both are sure", async (t) => {
  for (const code of [CODE, "00000000", "99999999", drawCode()]) t.same(talk([code, code]).ends, ["paired", "paired"]);
});

test("any other code: neither is, and the run ends at the first bit that differs", async (t) => {
  for (let bit = 0; bit < CODE_BITS - 1; bit++) {
    const other = String(Number(CODE) ^ (1 << bit)).padStart(8, "0");
    const { ends, said } = talk([CODE, other]);
    t.notOk(ends.includes("paired"), `bit ${bit}`);
    t.equal(said.filter(({ kind }) => kind === "pairing-commit").length, 2 * (bit + 1));
  }
});

test("somebody in the middle, who relays every word between two connections, gets nowhere", async (t) => {
  const { ends, runs } = talk([CODE, CODE], [BINDING, Buffer.alloc(96, 8)]);
  t.same(ends, [undefined, "code"]);
  t.equal(runs[1].hasRevealed, false);
});

test("a unit's own words, given back to it, are not taken for the other's", async (t) => {
  const queue: Message[] = [];
  const ends: PairingEnd[] = [];
  const run = new PairingRun({
    isDialer: true,
    code: CODE,
    binding: BINDING,
    send: (message) => void queue.push(message),
    onEnd: (how) => void ends.push(how),
  });
  run.start();
  for (let next = queue.shift(); next !== undefined && ends.length === 0; next = queue.shift()) run.receive(next);
  t.same(ends, ["code"]);
});

test("what is altered, out of turn, doubled, too short or made up ends the run", async (t) => {
  const alterations: ((message: Message) => Message)[] = [
    (message) => ({ ...message, value: randomBytes(32).toString("base64") }),
    (message) => ({ ...message, value: "AAAA" }),
    (message) => ({ ...message, value: 7 }),
    (message) => ({ ...message, round: 5 }),
    (message) => ({ ...message, kind: "pairing-done" }),
    (message) => ({ ...message, kind: message.kind === "pairing-commit" ? "pairing-reveal" : "pairing-commit" }),
    (message) => ({ ...message, kind: "members" }),
  ];
  for (const [k, alteration] of alterations.entries()) {
    for (const victim of [true, false]) {
      for (const round of [0, 13]) {
        const alter = (message: Message, fromDialer: boolean): Message => (fromDialer === victim && message["round"] === round ? alteration(message) : message);
        t.notOk(talk([CODE, CODE], undefined, alter).ends.includes("paired"), `alteration ${k}`);
      }
    }
  }
});

test("of two codes that have nothing to do with each other half the runs end at each bit: a wrong guess costs the run", async (t) => {
  let rounds = 0;
  const runs = 400;
  for (let k = 0; k < runs; k++) rounds += talk([drawCode(), drawCode()]).said.filter(({ kind }) => kind === "pairing-commit").length / 2;
  t.ok(rounds / runs > 1.5 && rounds / runs < 2.6, `${rounds / runs} rounds`);
});

// The desk.

/** Two desks that are open for each other, and a connection between them. */
function meet(codes: readonly [string, string]) {
  const [a, b] = [new Party(1), new Party(3)];
  const results: (PairingResult | undefined)[] = [undefined, undefined];
  const signal = new AbortController();
  const opened = [
    a.desk.open(3, codes[0], signal.signal).then((result) => (results[0] = result)),
    b.desk.open(1, codes[1], signal.signal).then((result) => (results[1] = result)),
  ];
  const pipe = new Pipe();
  const refused = [a.desk.accept(securedFor(pipe, true, b.identity.publicKey, BINDING)), b.desk.accept(securedFor(pipe, false, a.identity.publicKey, BINDING))];
  return { a, b, pipe, results, opened, refused, signal };
}

test("both have typed the code: each holds the other's key", async (t) => {
  const { a, b, pipe, opened, results } = meet([CODE, CODE]);
  pipe.flow();
  await Promise.all(opened);
  t.same(results, [
    { kind: "paired", publicKey: b.identity.publicKey },
    { kind: "paired", publicKey: a.identity.publicKey },
  ]);
  const wire = Buffer.concat([...pipe.to.seen, ...pipe.fro.seen]).toString("latin1");
  t.notMatch(wire, CODE, "and the code itself was never said");
});

test("a wrong code: three tries, each with a code of its own; then nothing is opened for a while", async (t) => {
  const { a, b, pipe, opened, results } = meet([CODE, "41730297"]);
  pipe.flow();
  await Promise.all(opened);
  t.same(results, [
    { kind: "code", triesLeft: 2 },
    { kind: "code", triesLeft: 2 },
  ]);
  t.same([a.desk.wanted, b.desk.wanted], [0, 0], "the codes are spent");
  const again = async (): Promise<PairingResult> => {
    const opening = a.desk.open(3, CODE, new AbortController().signal);
    const other = new Pipe();
    a.desk.accept(securedFor(other, true, b.identity.publicKey, BINDING));
    const bad = new Party(3);
    void bad.desk.open(1, "00000000", new AbortController().signal);
    bad.desk.accept(securedFor(other, false, a.identity.publicKey, BINDING));
    other.flow();
    return opening;
  };
  t.same(await again(), { kind: "code", triesLeft: 1 });
  t.match(await again(), { kind: "shut" });
  t.match(await a.desk.open(3, CODE, new AbortController().signal), { kind: "shut" });
  t.equal(a.refusals.all["pairing-code"], 3);
  a.now += 600_001;
  void a.desk.open(3, CODE, new AbortController().signal);
  t.equal(a.desk.wanted, 3, "later it is");
});

test("who leaves after it has seen a bit has used up the code; who leaves before has not", async (t) => {
  const left = meet([CODE, CODE]);
  left.pipe.to.isEnded = true;
  left.pipe.fro.isEnded = true;
  left.pipe.to.waiting = [];
  left.pipe.fro.waiting = [];
  left.pipe.flow();
  t.equal(left.a.desk.wanted, 3, "nothing was shown");
  const seen = meet([CODE, CODE]);
  const carry = seen.pipe.fro.onBytes as (bytes: Buffer) => void;
  let commits = 0;
  seen.pipe.fro.onBytes = (bytes) => {
    carry(bytes);
    // B's commitment has arrived, and A has shown its nonce: B leaves.
    if (bytes.includes("pairing-commit") && ++commits === 1) {
      seen.pipe.to.waiting = [];
      seen.pipe.to.onBytes = undefined;
      seen.pipe.fro.isEnded = true;
    }
  };
  seen.pipe.flow();
  await seen.opened[0];
  t.same(seen.results[0], { kind: "code", triesLeft: 2 });
});

test("nobody pairs where nobody has opened it, nor by the wrong way, nor with itself", async (t) => {
  const [a, b] = [new Party(1), new Party(3)];
  const accept = (isDialer: boolean, key: Buffer) => a.desk.accept(securedFor(new Pipe(), isDialer, key, BINDING));
  t.equal(accept(true, b.identity.publicKey), "purpose");
  void a.desk.open(3, CODE, new AbortController().signal);
  t.equal(accept(false, b.identity.publicKey), "direction");
  t.equal(accept(true, a.identity.publicKey), "identity");
  t.equal(accept(true, b.identity.publicKey), undefined);
  t.equal(accept(true, b.identity.publicKey), "purpose", "one at a time");
});

test("another unit than the one that is to be paired is sent away, and no code is spent", async (t) => {
  const { a, pipe, opened } = meet([CODE, CODE]);
  pipe.fro.waiting = [];
  const other = JSON.stringify({ kind: "pairing", unit: 4, to: 1 });
  const length = Buffer.alloc(4);
  length.writeUInt32BE(other.length);
  pipe.fro.onBytes?.(Buffer.concat([length, Buffer.from(other)]));
  t.equal(a.desk.wanted, 3);
  t.equal(opened.length, 2);
});

test("pairing does not stay open, and a person who leaves closes it", async (t) => {
  const { a, results, opened, signal, b } = meet([CODE, CODE]);
  a.now += 11_000;
  a.desk.tick();
  t.equal(a.desk.wanted, 3, "a run that hangs is ended, nothing was shown");
  a.now += 300_000;
  a.desk.tick();
  await opened[0];
  t.same(results[0], { kind: "expired" });
  t.equal(b.desk.wanted, 0);
  signal.abort();
  await opened[1];
  t.same(results[1], { kind: "cancelled" });
});
