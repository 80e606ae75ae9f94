// One unit's part in keeping one configuration over all units. It knows no wire, disk or clock: they are given to it, and a simulated one
// of each loses, delays and crashes (test/manager/revisions). Messages: messages.ts; what survives a crash: journal.ts.
//
//   coordinator                         participant
//   propose: prepared ──prepare──► fits here? prepared ──answer──┐
//      all can: in force, prepared forgotten: decided ◄──────────┘
//      └──decide──► in force ──applied──► the result names every unit
//
// Decided is when the coordinator has written it down. It has no record of it: it is not decided, and never will be. A unit that
// has promised and hears nothing keeps the old revision, takes no other, and asks; so both answers stay possible until one is known. A
// unit that finds itself behind fetches what it lacks; two of which neither is behind have a conflict, which is shown and settled by a
// revision that follows both.

import { COMMIT_ANSWER_MILLIS, COMMIT_APPLIED_MILLIS, CONFIRM_KEEP_MILLIS, HEAD_MILLIS, REVISIONS } from "../../limits.ts";
import type { Json } from "../config/document.ts";
import type { Change, Journal, Proposal, Remembered, Unconfirmed } from "./journal.ts";
import type { HeadNote, Message, Refusal } from "./messages.ts";
import { isAncestor, isSound, type Lineage, makeRevision, type Revision } from "./revision.ts";

/** What became of a commit at one unit. */
export interface UnitOutcome {
  readonly unit: string;
  /** `later`: it promised, and takes it when it is heard of again. `away`: it was not reached, and catches up. */
  readonly what: "applied" | "later" | "away" | "refused" | "silent" | "unchanged";
  readonly reasons: readonly string[];
}

export interface CommitResult {
  readonly isCommitted: boolean;
  /** Stable; `committed`, or why it was not. */
  readonly code: "committed" | "refused" | "stale" | "conflict" | "undecided" | "busy" | "confirm-out-of-reach" | "not-written";
  readonly revision: Revision;
  readonly units: readonly UnitOutcome[];
}

export interface MemberOptions {
  readonly unit: string;
  /** All units that the configuration is for, this one too. */
  everyone(): readonly string[];
  /** Those of them that messages can go to now. */
  reachable(): readonly string[];
  readonly journal: Journal;
  /** Why this unit's hardware cannot run a document, in sentences; none: it can. */
  unfit(document: Json): readonly string[];
  /** Puts a revision in force. It was written down before; done again after each start. */
  apply(revision: Revision): void;
  send(to: string, message: Message): void;
  /** Monotonic. */
  nowMillis(): number;
  /** Milliseconds since 1970, as far as this unit knows. */
  wallMillis(): number;
  /** A text that nobody else makes, and this unit never again. */
  newId(): string;
  /** Something that an operator wants to know. */
  note(code: string, sentence: string): void;
}

/** A commit that this unit coordinates. */
interface Round {
  readonly proposal: Proposal;
  readonly done: (result: CommitResult) => void;
  readonly answers: Map<string, Refusal | undefined>;
  readonly applied: Set<string>;
  isDecided: boolean;
  untilMillis: number;
}

export class Member {
  private readonly options: MemberOptions;
  private readonly known: Map<string, Lineage>;
  private memory: Remembered;
  private round: Round | undefined;
  /** When the revision in force is left, unless confirmed; monotonic. */
  private leaveAtMillis = 0;
  private keepAtMillis = 0;
  private headAtMillis = 0;
  /** The revision that this unit cannot follow to, told once. */
  private unfollowed = "";
  /** What each peer said last is in force there. */
  private readonly heads = new Map<string, string>();
  /** What recent revisions follow is known too. */
  private isWhole = false;

  /** Reads the journal. A commit of its own that was not decided is given up. */
  constructor(options: MemberOptions) {
    this.options = options;
    this.known = new Map(options.journal.lineages());
    this.memory = options.journal.read();
    if (this.memory.prepared?.coordinator === options.unit) this.write({ prepared: null });
    this.resumeUnconfirmed();
  }

  /** What is remembered, for whoever shows it. */
  get state(): Remembered {
    return this.memory;
  }

  get lineages(): ReadonlyMap<string, Lineage> {
    return this.known;
  }

  /** The revision in force. Throws when there is none yet. */
  get head(): Revision {
    const revision = this.options.journal.revision(this.memory.head);
    if (revision === undefined) throw new Error("no revision is in force");
    return revision;
  }

  /** Milliseconds until the revision in force is left; undefined when it stays. */
  get leftMillis(): number | undefined {
    return this.memory.unconfirmed === undefined ? undefined : Math.max(0, this.leaveAtMillis - this.options.nowMillis());
  }

  /** Takes a first revision, or another one in its place. */
  begin(revision: Revision): void {
    const { head } = this.memory;
    const isFirst = head === "" || this.known.get(head)?.parent === "";
    if (isFirst && head !== revision.hash) this.write({ revisions: [revision], head: revision.hash });
  }

  /** Commits a revision whose parents are the one in force and, if there is one, that of the conflict. `done` is called once. */
  propose(revision: Revision, confirmMillis: number, done: (result: CommitResult) => void): void {
    const refusal = this.ownRefusal(revision);
    if (refusal !== undefined) {
      done({ isCommitted: false, revision, ...refusal });
      return;
    }
    const { unit, reachable, newId, nowMillis } = this.options;
    const participants = [unit, ...reachable().filter((peer) => !this.isApart(peer, revision))];
    const proposal: Proposal = { id: newId(), coordinator: unit, revision, participants, confirmMillis };
    if (!this.tryWrite({ prepared: proposal })) {
      done({ isCommitted: false, code: "not-written", revision, units: [] });
      return;
    }
    const untilMillis = nowMillis() + COMMIT_ANSWER_MILLIS;
    this.round = { proposal, done, answers: new Map([[unit, undefined]]), applied: new Set([unit]), isDecided: false, untilMillis };
    for (const name of participants) if (name !== unit) this.options.send(name, { kind: "prepare", proposal });
    this.decideIfAll(this.round);
  }

  /** Gives up a promise whose outcome nobody tells. If it was decided after all, that comes back as a conflict. */
  abandon(): boolean {
    if (this.memory.prepared === undefined || this.round !== undefined) return false;
    return this.tryWrite({ prepared: null });
  }

  /** A unit has come into reach. */
  greet(peer: string): void {
    this.options.send(peer, { kind: "head", head: this.headNote() });
    this.askAbout(peer);
  }

  /** To be called often; nothing here waits for it with less than tens of milliseconds. */
  tick(): void {
    const now = this.options.nowMillis();
    const { round } = this;
    if (round !== undefined && now >= round.untilMillis) {
      if (round.isDecided) this.finish(round);
      else this.abort(round);
    }
    this.watchUnconfirmed(now);
    if (now < this.headAtMillis) return;
    this.headAtMillis = now + HEAD_MILLIS;
    for (const peer of this.options.reachable()) this.greet(peer);
    if (round?.isDecided) this.tellDecision(round);
  }

  receive(from: string, message: Message): void {
    if (message.kind === "head") this.heard(from, message.head);
    else if (message.kind === "want") this.give(from, message.hash);
    else if (message.kind === "revision") this.learn(from, message.revision, message.head);
    else if (message.kind === "prepare") this.prepare(from, message.proposal);
    else if (message.kind === "answer") this.answered(from, message.id, message.refusal);
    else if (message.kind === "decide") this.decided(from, message.id, message.commit, message.hash);
    else if (message.kind === "applied") this.appliedBy(from, message.id);
    else this.answerAsk(from, message.id, message.coordinator, message.hash);
  }

  // The coordinator

  /** Of three that disagree, two settle it first; the third would refuse, and has the same conflict with what they settle on. */
  private isApart(peer: string, { parent, merged }: Lineage): boolean {
    const head = this.heads.get(peer);
    return merged !== "" && head !== undefined && head !== parent && head !== merged;
  }

  private ownRefusal(revision: Revision): Pick<CommitResult, "code" | "units"> | undefined {
    const { unit, reachable } = this.options;
    const { head, prepared, conflict, unconfirmed } = this.memory;
    if (this.round !== undefined) return { code: "busy", units: [] };
    if (prepared !== undefined) return { code: "undecided", units: [] };
    if (revision.parent !== head) return { code: "stale", units: [] };
    if (conflict !== revision.merged) return { code: "conflict", units: [] };
    const within = [unit, ...reachable()];
    const missing = (unconfirmed?.participants ?? []).filter((name) => !within.includes(name));
    // They would go back to the old revision while this goes on: two configurations.
    if (missing.length > 0) return { code: "confirm-out-of-reach", units: missing.map(outcome("away")) };
    const reasons = this.options.unfit(revision.document as Json);
    return reasons.length > 0 ? { code: "refused", units: [{ unit, what: "refused", reasons }] } : undefined;
  }

  private answered(from: string, id: string, refusal: Refusal | undefined): void {
    const { round } = this;
    if (round === undefined || round.isDecided || round.proposal.id !== id || !round.proposal.participants.includes(from)) return;
    round.answers.set(from, refusal);
    if (refusal === undefined) this.decideIfAll(round);
    else this.abort(round);
  }

  private decideIfAll(round: Round): void {
    if (!round.proposal.participants.every((name) => round.answers.has(name))) return;
    if (!this.tryWrite(this.inForce(round.proposal))) {
      this.abort(round);
      return;
    }
    round.isDecided = true;
    round.untilMillis = this.options.nowMillis() + COMMIT_APPLIED_MILLIS;
    this.take(round.proposal);
    this.tellDecision(round);
    this.finishIfAll(round);
  }

  private tellDecision({ proposal, applied }: Round): void {
    for (const name of proposal.participants)
      if (!applied.has(name)) this.options.send(name, { kind: "decide", id: proposal.id, commit: true, hash: proposal.revision.hash });
  }

  private abort(round: Round): void {
    const { proposal, answers, done } = round;
    const { unit } = this.options;
    this.round = undefined;
    // Should this fail, the next start gives the commit up, and nobody is told anything else before.
    this.tryWrite({ prepared: null });
    for (const name of proposal.participants)
      if (name !== unit) this.options.send(name, { kind: "decide", id: proposal.id, commit: false, hash: proposal.revision.hash });
    const units = proposal.participants.map((name): UnitOutcome => {
      const refusal = answers.get(name);
      const what = refusal !== undefined ? "refused" : answers.has(name) ? "unchanged" : "silent";
      return { unit: name, what, reasons: refusal?.reasons ?? [] };
    });
    done({ isCommitted: false, code: "refused", revision: proposal.revision, units });
  }

  private appliedBy(from: string, id: string): void {
    if (this.round?.proposal.id !== id) return;
    this.round.applied.add(from);
    this.finishIfAll(this.round);
  }

  private finishIfAll(round: Round): void {
    if (round.isDecided && round.proposal.participants.every((name) => round.applied.has(name))) this.finish(round);
  }

  private finish({ proposal, applied, done }: Round): void {
    this.round = undefined;
    const away = this.options.everyone().filter((name) => !proposal.participants.includes(name));
    const units = [...proposal.participants.map((name) => outcome(applied.has(name) ? "applied" : "later")(name)), ...away.map(outcome("away"))];
    done({ isCommitted: true, code: "committed", revision: proposal.revision, units });
  }

  /** What became of a commit: known when it is in force here, or when this unit would have decided it. */
  private answerAsk(from: string, id: string, coordinator: string, hash: string): void {
    if (isAncestor(this.known, hash, this.memory.head)) this.options.send(from, { kind: "decide", id, commit: true, hash });
    else if (coordinator === this.options.unit && this.memory.prepared?.id !== id) this.options.send(from, { kind: "decide", id, commit: false, hash });
  }

  // The participant

  private prepare(from: string, proposal: Proposal): void {
    if (proposal.coordinator !== from || !proposal.participants.includes(this.options.unit)) return;
    let refusal = this.refusalOf(proposal);
    const isNew = this.memory.prepared?.id !== proposal.id && this.memory.head !== proposal.revision.hash;
    if (refusal === undefined && isNew && !this.tryWrite({ prepared: proposal }))
      refusal = { code: "not-written", reasons: ["Its configuration database does not take it."] };
    this.options.send(from, { kind: "answer", id: proposal.id, refusal });
  }

  private refusalOf({ id, revision }: Proposal): Refusal | undefined {
    const { head, prepared } = this.memory;
    if (prepared?.id === id || head === revision.hash) return undefined;
    if (prepared !== undefined) {
      const sentence = `It has promised revision ${prepared.revision.number} of ${prepared.coordinator}, and does not know yet what became of it.`;
      return { code: "busy", reasons: [sentence] };
    }
    if (!isSound(revision) || revision.document === undefined) return { code: "unsound", reasons: ["The revision is not what its hash says."] };
    if (head !== revision.parent && (head !== revision.merged || head === ""))
      return { code: "other-revision", reasons: [`Revision ${this.known.get(head)?.number ?? 0} (${head.slice(0, 8)}) is in force there.`] };
    const reasons = this.options.unfit(revision.document);
    return reasons.length > 0 ? { code: "unfit", reasons } : undefined;
  }

  private decided(from: string, id: string, isCommit: boolean, hash: string): void {
    const { prepared } = this.memory;
    if (prepared?.id === id) {
      if (isCommit) this.enforce(prepared);
      else this.tryWrite({ prepared: null });
    }
    if (isCommit && isAncestor(this.known, hash, this.memory.head)) this.options.send(from, { kind: "applied", id });
  }

  /** Should it not be written, the promise stands, and is asked about again. */
  private enforce(proposal: Proposal): void {
    if (this.tryWrite(this.inForce(proposal))) this.take(proposal);
  }

  private inForce({ revision, confirmMillis, participants }: Proposal): Change {
    const unconfirmed: Unconfirmed | null =
      confirmMillis === 0 ? null : { hash: revision.hash, leftMillis: confirmMillis, untilMillis: this.options.wallMillis() + confirmMillis, participants };
    return { revisions: [revision], head: revision.hash, prepared: null, unconfirmed, ...this.settled(revision) };
  }

  /** A conflict ends with a revision that follows both. */
  private settled(revision: Lineage): Change {
    const { conflict } = this.memory;
    if (conflict === "") return {};
    const lineages = new Map(this.known).set(revision.hash, revision);
    return isAncestor(lineages, conflict, revision.hash) ? { conflict: "" } : {};
  }

  private take({ revision, confirmMillis }: Proposal): void {
    if (confirmMillis > 0) this.leaveAtMillis = this.options.nowMillis() + confirmMillis;
    this.keepAtMillis = 0;
    this.options.apply(revision);
  }

  private askAbout(peer: string): void {
    const { prepared } = this.memory;
    if (prepared === undefined || prepared.coordinator === this.options.unit) return;
    this.options.send(peer, { kind: "ask", id: prepared.id, coordinator: prepared.coordinator, hash: prepared.revision.hash });
  }

  // Catching up

  private headNote(): HeadNote {
    const { head, unconfirmed } = this.memory;
    const participants = unconfirmed?.participants ?? [];
    return {
      hash: head,
      number: this.known.get(head)?.number ?? 0,
      unconfirmed: unconfirmed === undefined ? undefined : { leftMillis: this.leftMillis ?? 0, participants },
    };
  }

  private give(to: string, hash: string): void {
    const revision = this.options.journal.revision(hash);
    if (revision !== undefined) this.options.send(to, { kind: "revision", revision, head: this.headNote() });
  }

  private learn(from: string, revision: Revision, head: HeadNote): void {
    if (!isSound(revision)) {
      this.options.note("unsound-revision", `${from} sent revision ${revision.number}, which is not what its hash says; it is not taken.`);
      return;
    }
    if (!this.known.has(revision.hash) && !this.tryWrite({ revisions: [revision] })) return;
    const lacking = [revision.parent, revision.merged].find((hash) => hash !== "" && !this.known.has(hash));
    if (lacking === undefined) this.heard(from, head);
    else this.options.send(from, { kind: "want", hash: lacking });
  }

  /** A peer says what is in force there. */
  private heard(from: string, note: HeadNote): void {
    if (note.hash === "") return;
    this.heads.set(from, note.hash);
    const lacking = this.lackingOf(note.hash);
    if (lacking !== undefined) {
      this.options.send(from, { kind: "want", hash: lacking });
      return;
    }
    this.fillGap(from);
    const { prepared } = this.memory;
    if (prepared !== undefined) {
      // What a peer runs was decided.
      if (prepared.coordinator === this.options.unit || !isAncestor(this.known, prepared.revision.hash, note.hash)) return;
      this.enforce(prepared);
      if (this.memory.prepared !== undefined) return;
    }
    const { head } = this.memory;
    if (isAncestor(this.known, note.hash, head)) return;
    if (isAncestor(this.known, head, note.hash) || head === "") this.follow(note);
    else if (this.memory.conflict !== note.hash) this.disagree(from, note);
  }

  /** A revision on the way from `hash` to what is known that has to be fetched; undefined: none. */
  private lackingOf(hash: string): string | undefined {
    const open = [hash];
    const seen = new Set<string>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === "" || seen.has(at)) continue;
      seen.add(at);
      const lineage = this.known.get(at);
      if (lineage === undefined) return at;
      if (!isAncestor(this.known, at, this.memory.head)) open.push(lineage.parent, lineage.merged);
    }
    return undefined;
  }

  /** A revision that settles a conflict may come to a unit that has not seen both sides of it: history is fetched behind it. */
  private fillGap(from: string): void {
    if (this.isWhole) return;
    const newest = this.known.get(this.memory.head)?.number ?? 0;
    const recent = [...this.known.values()].filter(({ number }) => number > newest - REVISIONS);
    const gap = recent.flatMap(({ parent, merged }) => [parent, merged]).find((hash) => hash !== "" && !this.known.has(hash));
    if (gap === undefined) this.isWhole = true;
    else this.options.send(from, { kind: "want", hash: gap });
  }

  private follow({ hash, unconfirmed: theirs }: HeadNote): void {
    const revision = this.options.journal.revision(hash);
    if (revision?.document === undefined) return;
    const reasons = this.options.unfit(revision.document);
    if (reasons.length > 0) {
      if (this.unfollowed !== hash) this.options.note("cannot-follow", `Revision ${revision.number} does not fit this unit: ${reasons.join(" ")}`);
      this.unfollowed = hash;
      return;
    }
    const unconfirmed: Unconfirmed | null = theirs === undefined ? null : { ...theirs, hash, untilMillis: this.options.wallMillis() + theirs.leftMillis };
    if (!this.tryWrite({ head: hash, unconfirmed, ...this.settled(revision) })) return;
    if (unconfirmed !== null) this.leaveAtMillis = this.options.nowMillis() + unconfirmed.leftMillis;
    this.keepAtMillis = 0;
    this.options.note("caught-up", `Revision ${revision.number} of ${revision.who} (${revision.origin}) is in force here too.`);
    this.options.apply(revision);
  }

  private disagree(from: string, { hash, number }: HeadNote): void {
    const { conflict, head } = this.memory;
    if (conflict !== "" && isAncestor(this.known, hash, conflict)) return;
    if (!this.tryWrite({ conflict: hash })) return;
    const sentence = `Revision ${number} (${hash.slice(0, 8)}) of ${from} and revision ${this.known.get(head)?.number} (${head.slice(0, 8)}) here were committed apart. Both are kept; configure, then resolve, settles it.`;
    this.options.note("configuration-conflict", sentence);
  }

  // Confirming

  /** After a start: what is left is what was left when it was last written, or less by the wall clock. */
  private resumeUnconfirmed(): void {
    const { unconfirmed } = this.memory;
    if (unconfirmed === undefined) return;
    const byWall = unconfirmed.untilMillis - this.options.wallMillis();
    this.leaveAtMillis = this.options.nowMillis() + Math.min(unconfirmed.leftMillis, Math.max(0, byWall));
  }

  private watchUnconfirmed(now: number): void {
    const { unconfirmed, prepared } = this.memory;
    // A promised revision may be the one that confirms: until that is known, neither is right.
    if (unconfirmed === undefined || prepared !== undefined) return;
    if (now >= this.leaveAtMillis) this.goBack(unconfirmed);
    else if (now >= this.keepAtMillis) {
      if (this.keepAtMillis > 0) this.tryWrite({ unconfirmed: { ...unconfirmed, leftMillis: this.leaveAtMillis - now } });
      this.keepAtMillis = now + CONFIRM_KEEP_MILLIS;
    }
  }

  /** Every unit does this on its own, and all come to the same revision. */
  private goBack(unconfirmed: Unconfirmed): void {
    const { journal, unit, note } = this.options;
    const left = journal.revision(unconfirmed.hash);
    const document = left === undefined ? undefined : journal.revision(left.parent)?.document;
    if (left === undefined || document === undefined) {
      this.tryWrite({ unconfirmed: null });
      note("cannot-go-back", `Revision ${left?.number} was not confirmed, and the one before it is kept no more: it stays.`);
      return;
    }
    const authorship = { who: "commit-confirm", atMillis: this.options.wallMillis(), origin: unit, comment: `revision ${left.number} was not confirmed` };
    const back = makeRevision(document, authorship, left);
    if (!this.tryWrite({ revisions: [back], head: back.hash, unconfirmed: null })) return;
    note("not-confirmed", `Revision ${left.number} was not confirmed: what was before it is in force again, as revision ${back.number}.`);
    this.options.apply(back);
  }

  // Remembering

  private write(change: Change): void {
    this.options.journal.write(change);
    if (change.revisions !== undefined) this.isWhole = false;
    for (const { number, hash, parent, merged } of change.revisions ?? []) this.known.set(hash, { number, hash, parent, merged });
    this.memory = this.options.journal.read();
  }

  private tryWrite(change: Change): boolean {
    try {
      this.write(change);
      return true;
    } catch (error) {
      this.options.note("configuration-not-written", `The configuration's database does not take it: ${(error as Error).message}.`);
      return false;
    }
  }
}

function outcome(what: UnitOutcome["what"]): (unit: string) => UnitOutcome {
  return (unit) => ({ unit, what, reasons: [] });
}
