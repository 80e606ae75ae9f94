// What units say to each other about their configuration. Any of it may be lost, late, or come twice.
//
//   head ──────────► what is in force here; said every two seconds, and to whoever comes into reach
//   want ──────────► a revision that was named and is not known here      ◄── revision
//   prepare ───────► can you take this?                                   ◄── answer
//   decide ────────► all can: it is in force; or not: forget it           ◄── applied
//   ask ───────────► what became of it?                                   ◄── decide

import type { Proposal } from "./journal.ts";
import type { Revision } from "./revision.ts";

/** Why a unit does not take a proposal. Codes are stable. */
export interface Refusal {
  readonly code: "unfit" | "busy" | "other-revision" | "unsound" | "not-written";
  /** Sentences for people. */
  readonly reasons: readonly string[];
}

/** What is in force at the sender. */
export interface HeadNote {
  readonly hash: string;
  readonly number: number;
  /** Not confirmed yet: it is left in so many milliseconds. */
  readonly unconfirmed: { readonly leftMillis: number; readonly participants: readonly string[] } | undefined;
}

export type Message =
  | { readonly kind: "head"; readonly head: HeadNote }
  | { readonly kind: "want"; readonly hash: string }
  | { readonly kind: "revision"; readonly revision: Revision; readonly head: HeadNote }
  | { readonly kind: "prepare"; readonly proposal: Proposal }
  | { readonly kind: "answer"; readonly id: string; readonly refusal: Refusal | undefined }
  | { readonly kind: "decide"; readonly id: string; readonly commit: boolean; readonly hash: string }
  | { readonly kind: "applied"; readonly id: string }
  | { readonly kind: "ask"; readonly id: string; readonly coordinator: string; readonly hash: string };
