// What was committed comes back: after a restart, after kill -9 at any instant, after a power cut that takes what was not yet on the disk.
// TWINWALL_FULL=1 commits 1,000 random configurations and kills 500 times, instead of 150 and 12.

import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { Random } from "../../../firmware/hal/sim/random.ts";
import { AUDIT_LINES, AUDIT_SHARE_LINES, AUDIT_SHARE_MILLIS, REVISIONS } from "../../../firmware/limits.ts";
import { Candidate } from "../../../firmware/manager/config/candidate.ts";
import { canonical, hashOfDocument, type Json } from "../../../firmware/manager/config/document.ts";
import { ConfigurationError } from "../../../firmware/manager/config/problems.ts";
import { type AuditMessage, AuditShare, readAuditMessage } from "../../../firmware/manager/revisions/audit-share.ts";
import { isSound, makeRevision, type Revision } from "../../../firmware/manager/revisions/revision.ts";
import { CONFIGURATION_FILE, RevisionStore } from "../../../firmware/manager/revisions/store.ts";
import { randomConfiguration } from "../config/chance.ts";

const IS_FULL = process.env.TWINWALL_FULL === "1";
const CONFIGURATIONS = IS_FULL ? 1_000 : 150;
const KILLS = IS_FULL ? 500 : 12;
const AUTHORSHIP = { who: "test", atMillis: 1, origin: "A1 test", comment: "why" };

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "config-store-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

function commit(store: RevisionStore, document: Json): Revision {
  const revision = makeRevision(document, AUTHORSHIP, store.revision(store.read().head));
  store.write({ revisions: [revision], head: revision.hash });
  return revision;
}

test("what is committed, compared, rolled back and found after a restart is what was committed", async (t) => {
  const file = join(directory(t), CONFIGURATION_FILE);
  const random = new Random(3, "store");
  let store = new RevisionStore(file);
  const wrong: string[] = [];
  const texts: string[] = [];
  for (let k = 0; k < CONFIGURATIONS; k++) {
    const document = randomConfiguration(random);
    texts.push(canonical(document));
    const revision = commit(store, document);
    if (k % 7 === 0) {
      store.close();
      store = new RevisionStore(file);
    }
    const head = store.revision(store.read().head);
    if (head?.hash !== revision.hash || canonical(head.document) !== texts[k] || !isSound(head)) wrong.push(`${k}: another came back`);
    // Back to an older one: its document in a new revision.
    const back = random.word() % Math.min(k + 1, REVISIONS / 2);
    const old = store.history()[back];
    const candidate = new Candidate({ number: revision.number, hash: revision.hash, document });
    candidate.load(store.revision(old?.hash ?? "")?.document as Json);
    if (hashOfDocument(candidate.document) !== old?.documentHash) wrong.push(`${k}: revision ${old?.number} is not what it was`);
    if (candidate.compare().length > 0 !== candidate.isChanged) wrong.push(`${k}: compare and hash disagree`);
  }
  store.close();
  t.same(wrong, []);
});

test("the last 100 revisions are kept whole, of older ones what they followed; what is needed is never trimmed", async (t) => {
  const store = new RevisionStore(join(directory(t), CONFIGURATION_FILE));
  const first = commit(store, { system: { name: "first" } });
  const held = commit(store, { system: { name: "held" } });
  store.write({ conflict: held.hash });
  for (let k = 0; k < REVISIONS + 20; k++) commit(store, { system: { name: `n${k}` } });
  t.equal(store.history().length, REVISIONS + 2, "100, and what a conflict needs with its parent");
  t.equal(store.revision(held.hash)?.document?.["system"] !== undefined, true);
  store.write({ conflict: "" });
  commit(store, { system: { name: "last" } });
  t.equal(store.history().length, REVISIONS);
  t.equal(store.revision(first.hash)?.document, undefined);
  t.equal(store.lineages().get(first.hash)?.number, 1);
  store.close();
});

test("the files are for their owner alone, and a write waits for the disk", async (t) => {
  const file = join(directory(t), CONFIGURATION_FILE);
  const store = new RevisionStore(file);
  commit(store, {});
  for (const suffix of ["", "-wal", "-shm"]) t.equal(statSync(file + suffix).mode & 0o777, 0o600, suffix || "database");
  t.equal(store.synchronous, 2, "synchronous=FULL");
  store.close();
});

test("a damaged database is refused with what to do, and not replaced", async (t) => {
  const file = join(directory(t), CONFIGURATION_FILE);
  const store = new RevisionStore(file);
  for (let k = 0; k < 50; k++) commit(store, { system: { name: `n${k}` } });
  store.close();
  const bytes = readFileSync(file);
  bytes.fill(0x5a, 4_096);
  writeFileSync(file, bytes);
  t.throws(() => new RevisionStore(file), ConfigurationError);
  try {
    new RevisionStore(file);
  } catch (error) {
    t.match((error as ConfigurationError).problems[0], { code: "damaged-database", file });
  }
  t.same(readFileSync(file), bytes);
});

/** Kills the victim after a while; returns what it had said, by word. */
function killed(file: string, seed: number, millis: number): Promise<{ readonly begun: string; readonly done: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "victim.ts"), file, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      if (text === "") setTimeout(() => child.kill("SIGKILL"), millis);
      text += part;
    });
    child.once("close", () => {
      const last = (word: string): string => [...text.matchAll(new RegExp(`^${word} ([0-9a-f]{64})$`, "gm"))].at(-1)?.[1] ?? "";
      resolve({ begun: last("begun"), done: last("done") });
    });
  });
}

test("killed at random instants while it commits, a unit has the last revision that it said is in force, or the one it was at", {
  timeout: 600_000,
}, async (t) => {
  const file = join(directory(t), CONFIGURATION_FILE);
  const random = new Random(4, "kill");
  let before = "";
  for (let k = 0; k < KILLS; k++) {
    const { begun, done } = await killed(file, k, random.word() % 60);
    const store = new RevisionStore(file);
    const head = store.revision(store.read().head);
    store.close();
    // Killed before it was done with its first, it is at what the one before it left; that may be nothing, the first time.
    const was = done === "" ? before : done;
    if (head?.hash !== begun && (head?.hash ?? "") !== was)
      t.fail(`kill ${k}: ${head?.hash.slice(0, 8)} is in force, and ${was.slice(0, 8)} or ${begun.slice(0, 8)} should be`);
    if (head !== undefined && !isSound(head)) t.fail(`kill ${k}: ${head.hash.slice(0, 8)} is half a revision`);
    before = head?.hash ?? "";
  }
  t.pass(`${KILLS} kills`);
});

test("a power cut that takes any part of what was not on the disk leaves the last committed revision", async (t) => {
  const path = directory(t);
  const file = join(path, CONFIGURATION_FILE);
  const store = new RevisionStore(file);
  const random = new Random(5, "power");
  commit(store, randomConfiguration(random));
  const wrong: string[] = [];
  let cuts = 0;
  for (let k = 0; k < 6; k++) {
    const before = store.read().head;
    const synced = statSync(`${file}-wal`).size;
    const after = commit(store, randomConfiguration(random)).hash;
    const whole = statSync(`${file}-wal`).size;
    // The disk holds what was synced, and of the rest a beginning, of which the end may be anything.
    for (let size = synced; size <= whole; size += 1 + (random.word() % 900)) {
      const cut = join(path, "cut.db");
      rmSync(`${cut}-shm`, { force: true });
      copyFileSync(file, cut);
      copyFileSync(`${file}-wal`, `${cut}-wal`);
      truncateSync(`${cut}-wal`, size);
      if (cuts % 2 === 1) writeFileSync(`${cut}-wal`, Buffer.alloc(random.word() % 5_000, random.word() & 0xff), { flag: "a" });
      const found = new RevisionStore(cut);
      const { head } = found.read();
      if (head !== before && head !== after) wrong.push(`cut at ${size} of ${synced}..${whole}: ${head.slice(0, 8)}`);
      if (size < whole && head === after && found.revision(head) === undefined) wrong.push(`cut at ${size}: half a commit`);
      found.close();
      cuts++;
    }
  }
  store.close();
  t.same(wrong, []);
  t.ok(cuts > 50, `${cuts} cuts`);
});

test("audit lines count up by unit, are taken from others once, and the oldest go", async (t) => {
  const store = new RevisionStore(join(directory(t), CONFIGURATION_FILE));
  const line = { unit: "A1", atMillis: 5, who: "kim", origin: "serial", what: "set mode routed" };
  t.equal(store.audit(line).sequence, 1);
  t.equal(store.audit(line).sequence, 2);
  store.takeAudit([{ ...line, unit: "B1", sequence: 7 }]);
  store.takeAudit([{ ...line, unit: "B1", sequence: 7, what: "something else" }]);
  t.same(
    store.auditTail(10).map(({ unit, sequence, what }) => `${unit} ${sequence} ${what}`),
    ["B1 7 set mode routed", "A1 1 set mode routed", "A1 2 set mode routed"],
  );
  store.takeAudit([{ ...line, sequence: AUDIT_LINES + 1 }]);
  t.same(
    store.auditFrom("A1", 0, 10).map(({ sequence }) => sequence),
    [2, AUDIT_LINES + 1],
  );
  store.close();
});

test("audit lines come to every unit, by way of a third one too", async (t) => {
  const names = ["A1", "A2", "B1"];
  const stores = new Map(names.map((name) => [name, new RevisionStore(join(directory(t), CONFIGURATION_FILE))]));
  const clock = { millis: 0 };
  const shares = new Map<string, AuditShare>();
  // A1 and B1 reach each other by A2 only.
  const neighbours = (name: string): string[] => (name === "A2" ? ["A1", "B1"] : ["A2"]);
  for (const name of names) {
    const send = (to: string, message: AuditMessage): void => {
      const read = readAuditMessage(JSON.parse(JSON.stringify(message)));
      if (read !== undefined) shares.get(to)?.receive(name, read);
    };
    const store = stores.get(name) as RevisionStore;
    shares.set(name, new AuditShare({ store, send, reachable: () => neighbours(name), nowMillis: () => clock.millis }));
  }
  const lines = 2 * AUDIT_SHARE_LINES + 7;
  for (let k = 0; k < lines; k++) stores.get("A1")?.audit({ unit: "A1", atMillis: k, who: "kim", origin: "A1 serial", what: `line ${k}` });
  stores.get("B1")?.audit({ unit: "B1", atMillis: 1, who: "alex", origin: "B1 serial", what: "a line there" });
  for (let round = 0; round < 4; round++) {
    for (const share of shares.values()) share.tick();
    clock.millis += AUDIT_SHARE_MILLIS;
  }
  for (const store of stores.values()) {
    t.same(store.auditHeads(), { A1: lines, B1: 1 });
    t.equal(store.auditFrom("A1", 1, lines).length, lines);
    store.close();
  }
  t.equal(readAuditMessage({ kind: "audit-lines", lines: [{ unit: "A1" }] }), undefined);
});
