// The store's loop: short steps with pauses between them, so that it never takes more than about a fifth of a core and never
// holds the database for long.
//
//   waiting ──memory there, ports opened──► attached ──drain events, a slice of the pass──┐
//      ▲                                        │  ▲──────────────── 20 ms ───────────────┘
//      └──── the memory was replaced ───────────┘
//
// It attaches only when the dataplane has opened its ports: before, the dataplane may still be reading the checkpoint that the
// first complete pass replaces.

import type Database from "better-sqlite3";
import { headerWord } from "../fastpath/memory/tables.ts";
import { CHECKPOINT_MILLIS, STORE_SLICE_MILLIS } from "../limits.ts";
import { beginArea, Checkpointer } from "./checkpoint.ts";
import { EventLog } from "./event-log.ts";
import type { LiveNames } from "./live/views.ts";
import type { Source } from "./source.ts";
import { cutFields, cutSentence, Trim } from "./trim.ts";

/** Events in one transaction. */
const EVENT_BATCH = 256;
const INCARNATION = headerWord("incarnation");
const STARTED_AT_F64 = headerWord("startedAt") >> 1;
const BREATHS_F64 = headerWord("breaths") >> 1;

/** A unit's memory as the loop finds it. */
export interface Attachment {
  readonly source: Source;
  /** False when another file has taken its name: the dataplane started with new tables. */
  isCurrent(): boolean;
  detach(): void;
}

export interface Surroundings {
  readonly database: Database.Database;
  /** The unit's memory, or undefined when it is not there (yet). */
  attach(): Attachment | undefined;
  /** Names for sentences, from the plan. */
  names(): LiveNames;
}

/** What the manager tells: an entry of its log. */
export interface Happening {
  /** Time of day, ISO 8601. */
  readonly at: string;
  readonly severity: string;
  readonly code: string;
  readonly text: string;
  readonly fields: object;
}

interface Attached {
  readonly attachment: Attachment;
  readonly incarnation: number;
  readonly events: EventLog;
  readonly checkpointer: Checkpointer;
  passBeganMicros: number;
  inPass: boolean;
}

function hasOpened(source: Source): boolean {
  const { header } = source.tables;
  return header.i[INCARNATION] !== 0 && ((header.f[STARTED_AT_F64] as number) > 0 || (header.f[BREATHS_F64] as number) > 0);
}

export class StoreLoop {
  private readonly surroundings: Surroundings;
  private readonly insertHappening: Database.Statement;
  private readonly trim: Trim;
  private attached: Attached | undefined;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
    this.trim = new Trim(surroundings.database);
    const columns = "(at_millis, kind, severity, sentence, fields, incarnation, position)";
    this.insertHappening = surroundings.database.prepare(`INSERT INTO events ${columns} VALUES (?, ?, ?, ?, ?, 0, 0)`);
  }

  /** One step, STORE_SLICE_MILLIS and a transaction or two at the most. */
  step(): void {
    if (this.attached === undefined) this.attach();
    const { attached } = this;
    if (attached === undefined) return;
    attached.events.drain(EVENT_BATCH);
    this.checkpoint(attached);
    if (!attached.attachment.isCurrent() || attached.attachment.source.tables.header.i[INCARNATION] !== attached.incarnation) this.detach();
  }

  /** Keeps a happening of the manager in the event log. */
  remember(happening: Happening): void {
    this.insertHappening.run(Date.parse(happening.at), happening.code, happening.severity, cutSentence(happening.text), cutFields(happening.fields));
    this.trim.wrote(1);
  }

  /** Everything that is there, within `limitMillis`: the last events and one pass over all rows. Then lets go of the memory. */
  finish(limitMillis: number): void {
    const { attached } = this;
    if (attached === undefined) return;
    const { clock } = attached.attachment.source;
    const end = clock.nowMicros() + limitMillis * 1_000;
    while (attached.events.drain(EVENT_BATCH) > 0 && clock.nowMicros() < end);
    // A pass that is under way has rows behind it that may have changed since: end it, then make a whole one.
    let passes = attached.inPass ? 2 : 1;
    while (passes > 0 && clock.nowMicros() < end) if (attached.checkpointer.slice(STORE_SLICE_MILLIS * 1_000)) passes--;
    this.detach();
  }

  private attach(): void {
    const attachment = this.surroundings.attach();
    if (attachment === undefined) return;
    const { source } = attachment;
    if (!hasOpened(source)) {
      attachment.detach();
      return;
    }
    const incarnation = (source.tables.header.i[INCARNATION] as number) >>> 0;
    const { database, names } = this.surroundings;
    beginArea(database, incarnation);
    this.attached = {
      attachment,
      incarnation: source.tables.header.i[INCARNATION] as number,
      events: new EventLog(database, source, incarnation, names),
      checkpointer: new Checkpointer(database, source, incarnation),
      passBeganMicros: Number.NEGATIVE_INFINITY,
      inPass: false,
    };
  }

  private checkpoint(attached: Attached): void {
    const now = attached.attachment.source.clock.nowMicros();
    if (!attached.inPass) {
      if (now - attached.passBeganMicros < CHECKPOINT_MILLIS * 1_000) return;
      attached.passBeganMicros = now;
      attached.inPass = true;
    }
    if (attached.checkpointer.slice(STORE_SLICE_MILLIS * 1_000)) attached.inPass = false;
  }

  private detach(): void {
    this.attached?.attachment.detach();
    this.attached = undefined;
  }
}
