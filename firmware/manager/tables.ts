// The manager's view of its dataplane: the shared tables, attached for writing commands and for reading how it goes.
//
//   before a start   look(): will rows be adopted, or do the tables start empty, and why
//   after it         isOpen(since): the dataplane has opened its ports
//   while it runs    command(), now()
//
// The dataplane alone creates the area. When it replaces it (another layout or capacity), the name belongs to a new file:
// then the old mapping is given up here and the new one attached.

import { answerTo, type CommandTables, putCommand } from "../fastpath/memory/commands.ts";
import { headerWord, mapTables, type Tables } from "../fastpath/memory/tables.ts";

/** Part of the HAL's unit memory. */
export interface AttachedMemory {
  readonly buffer: ArrayBuffer;
  readonly sessions: number;
  close(): void;
}

/** Throws an error whose `code` is MEMORY_ABSENT or MEMORY_MISMATCH when there is nothing to attach to. */
export type Attach = () => AttachedMemory;

/** What a dataplane that starts now finds. */
export interface Outlook {
  readonly kind: "adopt" | "empty" | "replace";
  /** Why an older area is replaced. */
  readonly reason: string;
}

const STARTED_AT = headerWord("startedAt") >> 1;
const INCARNATION = headerWord("incarnation");
const BREATHS = headerWord("breaths") >> 1;
const REVISION = headerWord("revision");
const SESSIONS_LIVE = headerWord("sessionsLive");

export class UnitTables {
  private readonly attach: Attach;
  private sessions: number;
  private memory: AttachedMemory | undefined;
  private tables: Tables | undefined;

  /** `sessions`: the configured capacity. */
  constructor(attach: Attach, sessions: number) {
    this.attach = attach;
    this.sessions = sessions;
  }

  /** Another capacity is configured: the next dataplane makes tables of it. */
  resize(sessions: number): void {
    this.sessions = sessions;
  }

  look(): Outlook {
    this.close();
    const failure = this.open();
    if (failure === undefined) return { kind: "adopt", reason: "" };
    return failure.code === "MEMORY_ABSENT" ? { kind: "empty", reason: "" } : { kind: "replace", reason: failure.message };
  }

  /** True when a dataplane that was spawned at `sinceMicros` (monotonic) has opened its ports. */
  isOpen(sinceMicros: number): boolean {
    if (this.tables === undefined) this.open();
    return this.tables !== undefined && (this.tables.header.f[STARTED_AT] as number) >= sinceMicros;
  }

  /** Incarnation of the tables, 0 when they are not attached. */
  incarnation(): number {
    return (this.tables?.header.i[INCARNATION] ?? 0) >>> 0;
  }

  /** The tables as they are now, for a look; undefined while there are none. Not to be kept: `look` and `close` unmap them. */
  now(): Tables | undefined {
    if (this.tables === undefined) this.open();
    return this.tables;
  }

  /** Revision of the policy that the dataplane decides by; 0 when the tables are not attached. */
  revision(): number {
    if (this.tables === undefined) this.open();
    return (this.tables?.header.i[REVISION] ?? 0) >>> 0;
  }

  /** Breaths of the dataplane since its start, 0 when the tables are not attached. */
  breaths(): number {
    return this.tables?.header.f[BREATHS] ?? 0;
  }

  sessionsLive(): number {
    return this.tables?.header.i[SESSIONS_LIVE] ?? 0;
  }

  /** Puts a command into the mailbox; its sequence, or 0 when there are no tables or the mailbox is full. */
  command(kind: number, argument: number, argument2: number, ring: () => void): number {
    if (this.tables === undefined) this.open();
    if (this.tables === undefined) return 0;
    const sequence = putCommand(this.tables satisfies CommandTables, kind, argument, argument2);
    ring();
    return sequence;
  }

  /** What the dataplane answered to a command; 0 = nothing yet. */
  answerTo(sequence: number): number {
    return this.tables === undefined ? 0 : answerTo(this.tables, sequence);
  }

  close(): void {
    this.tables = undefined;
    this.memory?.close();
    this.memory = undefined;
  }

  /** Attaches; returns why it could not. Anything but a missing or unfit area is thrown on. */
  private open(): { readonly code: string; readonly message: string } | undefined {
    try {
      const memory = this.attach();
      if (memory.sessions !== this.sessions) {
        memory.close();
        return { code: "MEMORY_MISMATCH", message: `it holds ${memory.sessions} sessions, and ${this.sessions} are configured` };
      }
      this.memory = memory;
      this.tables = mapTables(memory.buffer, memory.sessions);
      return undefined;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "MEMORY_ABSENT" || code === "MEMORY_MISMATCH") return { code, message };
      throw error;
    }
  }
}
