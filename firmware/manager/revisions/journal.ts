// What a unit must remember of its configuration, whatever happens to it: the revisions, which of them is in force, and how far a commit
// has come. `write` is all or nothing, and what it has returned from is not lost again.

import type { Lineage, Revision } from "./revision.ts";

/** A commit, as it goes to the units that take part. */
export interface Proposal {
  /** Unique among all proposals of all units. */
  readonly id: string;
  /** The unit that decides. */
  readonly coordinator: string;
  readonly revision: Revision;
  /** Names of all units that take part, the coordinator's too. */
  readonly participants: readonly string[];
  /** The revision is left again unless it is confirmed within so long; 0 = it stays. */
  readonly confirmMillis: number;
}

/** A revision in force that somebody has yet to confirm. */
export interface Unconfirmed {
  /** Of the revision. */
  readonly hash: string;
  /** What was left when this was written; the time that a unit is without power may not count. */
  readonly leftMillis: number;
  /** By the wall clock, which may be wrong after a power cut. */
  readonly untilMillis: number;
  /** Those that confirm together. */
  readonly participants: readonly string[];
}

export interface Remembered {
  /** Hash of the revision in force; empty: none yet. */
  readonly head: string;
  /** Promised, and not decided as far as this unit knows. */
  readonly prepared: Proposal | undefined;
  readonly unconfirmed: Unconfirmed | undefined;
  /** Hash of a revision of others that is no ancestor of the head, nor the head of it; empty: none. */
  readonly conflict: string;
}

export interface Change {
  /** Added; those that are known already stay as they are. */
  readonly revisions?: readonly Revision[];
  readonly head?: string;
  /** null: forgets it. */
  readonly prepared?: Proposal | null;
  readonly unconfirmed?: Unconfirmed | null;
  readonly conflict?: string;
}

export interface Journal {
  read(): Remembered;
  /** All that are known, also those whose document is kept no more. */
  lineages(): ReadonlyMap<string, Lineage>;
  revision(hash: string): Revision | undefined;
  /** Durable when it returns. Throws when it could not be written; then nothing of it is. */
  write(change: Change): void;
}
