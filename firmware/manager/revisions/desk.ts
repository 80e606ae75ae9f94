// A unit's configuration desk: where people commit, and what keeps the unit at the revision that is in force. It puts together the
// store, the unit's part in commits (member.ts), and the hardware that a revision has to fit; and it knows who is editing.
//
//   console ──seat──► desk ──► member ◄──messages──► other units
//                      │          └─ apply ─► plan ─► dataplane
//                      └─ store: revisions, audit

import type { Board } from "../../../board/board.ts";
import type { Plan } from "../../plan.ts";
import { sourceOf } from "../config/candidate.ts";
import type { Json } from "../config/document.ts";
import { judgeDocument, type LoadedConfiguration } from "../config/load.ts";
import { buildPlan } from "../config/plan.ts";
import { ConfigurationError, formatProblem } from "../config/problems.ts";
import { checkDevices } from "../devices.ts";
import type { Log } from "../log.ts";
import { type AuditMessage, AuditShare } from "./audit-share.ts";
import { type CommitResult, Member } from "./member.ts";
import type { Message } from "./messages.ts";
import { type Authorship, commonAncestor, makeRevision, type Revision, type RevisionSummary } from "./revision.ts";
import type { AuditLine, RevisionStore } from "./store.ts";

/** Somebody who edits. */
export interface Editor {
  readonly who: string;
  /** Unit and terminal, such as `A1 serial`. */
  readonly origin: string;
}

/** What somebody who edits has to know. */
export interface Situation {
  readonly head: Revision;
  /** Milliseconds until the revision in force is left; undefined when it stays. */
  readonly leftMillis: number | undefined;
  /** Promised, and not known what became of it. */
  readonly undecided: { readonly number: number; readonly coordinator: string } | undefined;
  /** What others committed while this unit was apart from them, and what both began from if that is kept. */
  readonly conflict: { readonly theirs: Revision; readonly base: Json | undefined } | undefined;
  /** Others who edit at this unit now. */
  readonly editors: readonly (Editor & { readonly sinceMillis: number })[];
}

export interface CommitOrder {
  readonly document: Json;
  /** Hash of the revision that it began from. */
  readonly base: string;
  readonly comment: string;
  /** 0: it stays without being confirmed. */
  readonly confirmMinutes: number;
  /** It settles the conflict with this revision; empty: with none. */
  readonly settles: string;
  /** What changed, for the audit log. */
  readonly changes: readonly string[];
}

/** What became of a commit, without the document. */
export type CommitAnswer = Omit<CommitResult, "revision"> & { readonly number: number };

/** One person's place at the desk; the same over a socket. */
export interface Seat {
  situation(): Promise<Situation>;
  commit(order: CommitOrder): Promise<CommitAnswer>;
  confirm(): Promise<CommitAnswer>;
  history(): Promise<readonly RevisionSummary[]>;
  /** By number, or by the beginning of its hash; undefined: none, or several. */
  revision(which: string): Promise<Revision | undefined>;
  /** Gives up a promise that nobody decides; false: there is none. */
  abandon(): Promise<boolean>;
  audit(limit: number): Promise<readonly AuditLine[]>;
  leave(): void;
}

export interface DeskOptions {
  readonly unit: string;
  readonly store: RevisionStore;
  readonly board: Board;
  readonly log: Log;
  /** Names of the network devices that are there. */
  devices(): readonly string[];
  /** Makes the unit run a plan. */
  run(plan: Plan): void;
  /** Monotonic, and since 1970. */
  nowMillis(): number;
  wallMillis(): number;
  newId(): string;
}

/** Other units, as the desk sees them. */
export interface Neighbours {
  /** Names of those that can be reached. */
  reachable(): readonly string[];
  send(to: string, message: Message): void;
}

const CHANGES_MOST = 20;
const MINUTE_MILLIS = 60_000;
const HASH_LEAST = 6;
/** Who the first revision is of. */
const FILE = "file";
const ALONE: Neighbours = { reachable: () => [], send: () => undefined };

export class Desk {
  readonly member: Member;
  private readonly options: DeskOptions;
  private readonly editors = new Map<object, Editor & { readonly sinceMillis: number }>();
  /** Of documents that were proposed: what is asked first whether it fits is put in force next. */
  private readonly plans = new WeakMap<object, Plan>();
  private neighbours = ALONE;

  /**
   * `first`: reads the document that a unit begins with; it is the first revision until somebody commits one. Throws ConfigurationError, and
   * what `first` throws when there is no revision yet.
   */
  constructor(options: DeskOptions, first: () => Json) {
    this.options = options;
    const { store, unit, log } = options;
    this.member = new Member({
      unit,
      everyone: () => this.unitsOf(this.member.head.document),
      reachable: () => this.neighbours.reachable(),
      journal: store,
      unfit: (document) => this.unfit(document),
      apply: (revision) => this.apply(revision),
      send: (to, message) => this.neighbours.send(to, message),
      nowMillis: options.nowMillis,
      wallMillis: options.wallMillis,
      newId: options.newId,
      note: (code, sentence) => {
        log.note(code === "caught-up" ? "notice" : "warning", code, sentence);
        this.audit({ who: "unit", origin: unit }, sentence);
      },
    });
    this.begin(first);
  }

  private begin(first: () => Json): void {
    const { log, unit, wallMillis } = this.options;
    const isEmpty = this.member.state.head === "";
    if (!isEmpty && (this.member.head.parent !== "" || this.member.head.who !== FILE)) return;
    const authorship: Authorship = { who: FILE, atMillis: wallMillis(), origin: unit, comment: "the configuration that the unit began with" };
    try {
      this.member.begin(makeRevision(first(), authorship));
    } catch (error) {
      if (isEmpty || !(error instanceof ConfigurationError)) throw error;
      log.note("warning", "file-not-taken", `The configuration file cannot be used; revision 1 stays in force. ${error.message}`);
    }
  }

  /** The plan of the revision in force. Throws ConfigurationError when it does not fit the unit any more. */
  plan(): Plan {
    return this.planOf(this.member.head);
  }

  /** Units that can be talked to from now on. */
  join(neighbours: Neighbours): void {
    this.neighbours = neighbours;
  }

  /** The audit log's part in talking to other units. */
  shareAudit(reachable: () => readonly string[], send: (to: string, message: AuditMessage) => void): AuditShare {
    const { store, nowMillis } = this.options;
    return new AuditShare({ store, reachable, send, nowMillis });
  }

  receive(from: string, message: Message): void {
    this.member.receive(from, message);
  }

  sit(editor: Editor): Seat {
    const place = {};
    this.editors.set(place, { ...editor, sinceMillis: this.options.wallMillis() });
    const { store } = this.options;
    return {
      situation: async () => this.situation(place),
      commit: (order) => this.commit(editor, order),
      confirm: () => this.confirm(editor),
      history: async () => store.history(),
      revision: async (which) => this.find(which),
      abandon: async () => this.abandon(editor),
      audit: async (limit) => store.auditTail(limit),
      leave: () => void this.editors.delete(place),
    };
  }

  private situation(place: object): Situation {
    const { member } = this;
    const { prepared, conflict } = member.state;
    const theirs = conflict === "" ? undefined : this.options.store.revision(conflict);
    const base = theirs === undefined ? undefined : commonAncestor(member.lineages, member.state.head, conflict);
    return {
      head: member.head,
      leftMillis: member.leftMillis,
      undecided: prepared === undefined ? undefined : { number: prepared.revision.number, coordinator: prepared.coordinator },
      conflict: theirs === undefined ? undefined : { theirs, base: base === undefined ? undefined : this.options.store.revision(base)?.document },
      editors: [...this.editors].filter(([other]) => other !== place).map(([, editor]) => editor),
    };
  }

  private async commit(editor: Editor, order: CommitOrder): Promise<CommitAnswer> {
    const { head } = this.member;
    if (order.base !== head.hash) return { isCommitted: false, code: "stale", units: [], number: head.number };
    const merged = order.settles === "" ? undefined : this.member.lineages.get(order.settles);
    const revision = makeRevision(order.document, this.authorship(editor, order.comment), head, merged);
    const answer = await this.propose(revision, order.confirmMinutes * MINUTE_MILLIS);
    const changes = order.changes.slice(0, CHANGES_MOST).join("; ");
    const more = order.changes.length > CHANGES_MOST ? `; and ${order.changes.length - CHANGES_MOST} more` : "";
    const what = order.confirmMinutes > 0 ? `commit-confirm ${order.confirmMinutes}` : "commit";
    this.audit(editor, `${what} of revision ${revision.number}${quoting(order.comment)}: ${answer.code}; ${changes}${more}`);
    return answer;
  }

  private async confirm(editor: Editor): Promise<CommitAnswer> {
    const { head } = this.member;
    const revision = makeRevision(head.document as Json, this.authorship(editor, `confirms revision ${head.number}`), head);
    const answer = await this.propose(revision, 0);
    this.audit(editor, `confirm of revision ${head.number}: ${answer.code}`);
    return answer;
  }

  private abandon(editor: Editor): boolean {
    const number = this.member.state.prepared?.revision.number;
    const isDone = this.member.abandon();
    if (isDone) this.audit(editor, `abandon of revision ${number}`);
    return isDone;
  }

  private propose(revision: Revision, confirmMillis: number): Promise<CommitAnswer> {
    return new Promise((resolve) => {
      this.member.propose(revision, confirmMillis, ({ isCommitted, code, units }) => resolve({ isCommitted, code, units, number: revision.number }));
    });
  }

  private find(which: string): Revision | undefined {
    const { store } = this.options;
    const number = /^\d{1,9}$/.test(which) ? Number(which) : -1;
    const isMeant = (summary: RevisionSummary): boolean => summary.number === number || (which.length >= HASH_LEAST && summary.hash.startsWith(which));
    const found = store.history().filter(isMeant);
    return found.length === 1 ? store.revision((found[0] as RevisionSummary).hash) : undefined;
  }

  private authorship({ who, origin }: Editor, comment: string): Authorship {
    return { who, origin, comment, atMillis: this.options.wallMillis() };
  }

  private audit({ who, origin }: Editor, what: string): void {
    const { store, unit, wallMillis, log } = this.options;
    try {
      store.audit({ unit, atMillis: wallMillis(), who, origin, what });
    } catch (error) {
      log.note("warning", "audit-not-written", `The audit log does not take it: ${(error as Error).message}. It was: ${who} (${origin}): ${what}`);
    }
  }

  private loaded(document: unknown): LoadedConfiguration {
    const source = sourceOf(document);
    const { configuration, problems } = judgeDocument(document, source);
    if (configuration === undefined) throw new ConfigurationError(problems);
    return { configuration, source };
  }

  /** What a document comes to on this unit. Throws ConfigurationError. */
  private planFor(document: Json): Plan {
    const { board, unit } = this.options;
    const plan = this.plans.get(document) ?? buildPlan(this.loaded(document), board, unit);
    this.plans.set(document, plan);
    return plan;
  }

  private planOf(revision: Revision): Plan {
    return { ...this.planFor(revision.document as Json), revision: this.sinceNumber(revision) };
  }

  /** The first of the revisions with the same document in a row: to confirm changes nothing that runs. */
  private sinceNumber(revision: Revision): number {
    let since = revision;
    for (let parent = this.options.store.revision(since.parent); parent?.documentHash === since.documentHash; ) {
      since = parent;
      parent = this.options.store.revision(since.parent);
    }
    return since.number;
  }

  private unfit(document: Json): readonly string[] {
    const { board, devices } = this.options;
    try {
      checkDevices(this.planFor(document), board, devices());
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems.map((problem) => formatProblem(problem).replace("\n ", ""));
      throw error;
    }
  }

  private apply(revision: Revision): void {
    this.options.log.note(
      "notice",
      "revision",
      `Revision ${revision.number} of ${revision.who} (${revision.origin}) is in force${quoting(revision.comment)}.`,
      {
        number: revision.number,
        hash: revision.hash,
      },
    );
    this.options.run(this.planOf(revision));
  }

  private unitsOf(document: Json | undefined): readonly string[] {
    const units = (document?.["units"] ?? []) as readonly { readonly site: string; readonly index: number }[];
    return units.map(({ site, index }) => `${site}${index}`);
  }
}

function quoting(comment: string): string {
  return comment === "" ? "" : ` ("${comment}")`;
}
