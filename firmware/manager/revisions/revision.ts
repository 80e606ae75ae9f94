// A revision: a configuration that was committed, and what it follows. Its hash is made of its parents' and the document's hashes and of
// nothing else, so that units which do the same on their own, such as going back when nobody confirmed, arrive at the same revision.
//
//   5 ── 6 ── 7a ── 8        8 has two parents: it settles what both sites did while they were apart
//         └── 7b ───┘

import { createHash } from "node:crypto";
import { hashOfDocument, type Json } from "../config/document.ts";

/** What a revision follows; the hashes are 64 hex digits. */
export interface Lineage {
  /** One more than its parents'. */
  readonly number: number;
  readonly hash: string;
  /** Empty: the first. */
  readonly parent: string;
  /** The other parent; empty when there is none. */
  readonly merged: string;
}

/** Who committed, when, from where, and why. Not part of the hash. */
export interface Authorship {
  readonly who: string;
  /** Milliseconds since 1970, by the clock of the unit that it was committed at. */
  readonly atMillis: number;
  /** Unit and terminal, such as `A1 serial`. */
  readonly origin: string;
  readonly comment: string;
}

export interface RevisionSummary extends Lineage, Authorship {
  readonly documentHash: string;
}

export interface Revision extends RevisionSummary {
  /** Undefined when it is so old that only its lineage is kept. */
  readonly document: Json | undefined;
}

/** A revision that follows `parent` (none: the first) and, when it settles a conflict, `merged`. */
export function makeRevision(document: Json, authorship: Authorship, parent?: Lineage, merged?: Lineage): Revision {
  const documentHash = hashOfDocument(document);
  const [first, second] = [parent?.hash ?? "", merged?.hash ?? ""];
  const number = Math.max(parent?.number ?? 0, merged?.number ?? 0) + 1;
  return { ...authorship, number, hash: hashOf(first, second, documentHash), parent: first, merged: second, documentHash, document };
}

function hashOf(parent: string, merged: string, documentHash: string): string {
  return createHash("sha256").update(`${parent} ${merged} ${documentHash}`).digest("hex");
}

/** True when the hashes are what they say: a revision from a peer is not trusted to be. */
export function isSound(revision: Revision): boolean {
  const { parent, merged, documentHash, document, hash } = revision;
  return hash === hashOf(parent, merged, documentHash) && (document === undefined || hashOfDocument(document) === documentHash);
}

/** Is `ancestor` the revision `hash`, or one that it follows? What is not known follows nothing. */
export function isAncestor(known: ReadonlyMap<string, Lineage>, ancestor: string, hash: string): boolean {
  const least = known.get(ancestor)?.number ?? 0;
  const seen = new Set<string>();
  const open = [hash];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === ancestor) return true;
    const lineage = known.get(at);
    if (lineage === undefined || lineage.number <= least || seen.has(at)) continue;
    seen.add(at);
    open.push(lineage.parent, lineage.merged);
  }
  return false;
}

/** The newest revision that both follow; undefined when none is known. */
export function commonAncestor(known: ReadonlyMap<string, Lineage>, one: string, other: string): string | undefined {
  const byNumber = [...known.values()].sort((a, b) => b.number - a.number);
  return byNumber.find(({ hash }) => isAncestor(known, hash, one) && isAncestor(known, hash, other))?.hash;
}
