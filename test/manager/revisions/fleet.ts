// Four units with journals that outlive them, and messages between them that are lost, late, and swapped. A unit can be killed before or
// after any write: what it was about to say is then never said.

import { Random } from "../../../firmware/hal/sim/random.ts";
import type { Json } from "../../../firmware/manager/config/document.ts";
import type { Change, Journal, Remembered } from "../../../firmware/manager/revisions/journal.ts";
import { type CommitResult, Member } from "../../../firmware/manager/revisions/member.ts";
import type { Message } from "../../../firmware/manager/revisions/messages.ts";
import { type Lineage, makeRevision, type Revision } from "../../../firmware/manager/revisions/revision.ts";

export const NAMES = ["A1", "A2", "B1", "B2"];
export const FIRST = makeRevision({ system: { name: "first" } }, { who: "factory", atMillis: 0, origin: "", comment: "" });
/** A document with this key fits no unit of the name. */
export const UNFIT = "unfit";

class Killed extends Error {}

/** Memory that a crash does not reach. */
export class MemoryJournal implements Journal {
  private memory: Remembered = { head: "", prepared: undefined, unconfirmed: undefined, conflict: "" };
  private readonly revisions = new Map<string, Revision>();
  /** Called before and after each write takes effect; throws to kill the unit there. */
  onWrite: () => void = () => undefined;

  read(): Remembered {
    return this.memory;
  }

  lineages(): ReadonlyMap<string, Lineage> {
    return this.revisions;
  }

  revision(hash: string): Revision | undefined {
    return this.revisions.get(hash);
  }

  write(change: Change): void {
    this.onWrite();
    for (const revision of change.revisions ?? []) if (!this.revisions.has(revision.hash)) this.revisions.set(revision.hash, structuredClone(revision));
    const { head, conflict } = this.memory;
    const or = <T>(fresh: T | null | undefined, old: T | undefined): T | undefined =>
      fresh === null ? undefined : fresh === undefined ? old : structuredClone(fresh);
    this.memory = {
      head: change.head ?? head,
      conflict: change.conflict ?? conflict,
      prepared: or(change.prepared, this.memory.prepared),
      unconfirmed: or(change.unconfirmed, this.memory.unconfirmed),
    };
    this.onWrite();
  }
}

interface Letter {
  readonly atMillis: number;
  readonly from: string;
  readonly to: string;
  readonly message: Message;
}

export class Fleet {
  readonly journals = new Map(NAMES.map((name) => [name, new MemoryJournal()]));
  readonly members = new Map<string, Member>();
  /** What each unit runs; a unit that is down runs nothing. */
  readonly running = new Map<string, Revision>();
  readonly notes: string[] = [];
  /** Counts the deaths of each; what belongs to an earlier life does nothing. */
  private readonly lives = new Map<string, number>();
  nowMillis = 0;
  /** Of 1: how many messages are lost, and how many writes a unit does not survive. */
  loss = 0;
  deaths = 0;
  /** Names on this side cannot reach those on the other. */
  side: readonly string[] = [];
  readonly random: Random;
  private letters: Letter[] = [];
  private ids = 0;

  constructor(seed: number) {
    this.random = new Random(seed, "fleet");
    for (const name of NAMES) {
      this.start(name);
      this.members.get(name)?.begin(FIRST);
      this.running.set(name, FIRST);
      (this.journals.get(name) as MemoryJournal).onWrite = () => this.maybeKill(name);
    }
  }

  chance(of: number): boolean {
    return this.random.word() / 2 ** 32 < of;
  }

  isConnected(one: string, other: string): boolean {
    return this.members.has(one) && this.members.has(other) && this.side.includes(one) === this.side.includes(other);
  }

  start(name: string): void {
    const journal = this.journals.get(name) as MemoryJournal;
    const life = this.lives.get(name);
    const guarded = (act: () => void): void => void (this.lives.get(name) === life && act());
    const member = new Member({
      unit: name,
      everyone: () => NAMES,
      reachable: () => NAMES.filter((other) => other !== name && this.isConnected(name, other)),
      journal: {
        read: () => journal.read(),
        lineages: () => journal.lineages(),
        revision: (hash) => journal.revision(hash),
        write: (change) => {
          if (this.lives.get(name) !== life) throw new Killed();
          journal.write(change);
        },
      },
      unfit: (document: Json) => (document[UNFIT] === name ? [`${name} has no port7.`] : []),
      apply: (revision) => guarded(() => this.running.set(name, revision)),
      send: (to, message) => guarded(() => this.post(name, to, message)),
      nowMillis: () => this.nowMillis,
      wallMillis: () => 1_000_000 + this.nowMillis,
      newId: () => `${name} ${++this.ids}`,
      note: (code) => void this.notes.push(`${name} ${code}`),
    });
    this.members.set(name, member);
    if (journal.read().head !== "") this.running.set(name, member.head);
  }

  /** Kill -9. What it has promised is in its journal, and nothing else is left. */
  kill(name: string): void {
    this.lives.set(name, (this.lives.get(name) ?? 0) + 1);
    this.members.delete(name);
    this.running.delete(name);
    this.letters = this.letters.filter(({ to }) => to !== name);
  }

  private maybeKill(name: string): void {
    if (!this.members.has(name) || !this.chance(this.deaths)) return;
    this.kill(name);
    throw new Killed();
  }

  private post(from: string, to: string, message: Message): void {
    if (!this.isConnected(from, to) || this.chance(this.loss)) return;
    this.letters.push({ atMillis: this.nowMillis + 1 + (this.random.word() % 40), from, to, message: structuredClone(message) });
  }

  /** Does something at a unit that may die of it. */
  at(name: string, act: (member: Member) => void): void {
    const member = this.members.get(name);
    if (member === undefined) return;
    try {
      act(member);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
  }

  /** Commits a document at a unit, as a person there would. */
  commit(name: string, document: Json, confirmMillis = 0): { result: CommitResult | undefined } {
    const outcome: { result: CommitResult | undefined } = { result: undefined };
    this.at(name, (member) => {
      const conflict = member.state.conflict;
      const merged = conflict === "" ? undefined : (this.journals.get(name) as MemoryJournal).revision(conflict);
      const authorship = { who: "test", atMillis: this.nowMillis, origin: name, comment: "" };
      const revision = makeRevision(document, authorship, member.head, merged);
      member.propose(revision, confirmMillis, (result) => {
        if (this.members.get(name) === member) outcome.result = result;
      });
    });
    return outcome;
  }

  run(millis: number): void {
    const until = this.nowMillis + millis;
    for (; this.nowMillis < until; this.nowMillis += 10) {
      for (const name of NAMES) this.at(name, (member) => member.tick());
      const due = this.letters.filter(({ atMillis }) => atMillis <= this.nowMillis);
      this.letters = this.letters.filter(({ atMillis }) => atMillis > this.nowMillis);
      for (const { from, to, message } of due) if (this.isConnected(from, to)) this.at(to, (member) => member.receive(from, message));
    }
  }

  /** Everything works again, for long enough that whatever waits is done. */
  heal(millis = 40_000): void {
    this.loss = 0;
    this.deaths = 0;
    this.side = [];
    for (const name of NAMES) if (!this.members.has(name)) this.start(name);
    this.run(millis);
  }

  /** Hashes of what the units run, each once. */
  heads(): readonly string[] {
    return [...new Set(NAMES.map((name) => this.running.get(name)?.hash ?? "down"))];
  }
}
