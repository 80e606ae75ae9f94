// What the manager gives the dataplane besides the plan: the secrets that this unit shares with each paired unit. They lie in a
// file of their own in the unit's durable directory, 0600; the dataplane reads it at start and whenever it is told to
// (COMMAND_KEYS). They are never in the plan, in shared memory, in exports or in logs.
//
//   peers     one entry per paired unit: no entry, no association
//   secrets   at most two, oldest first: while a new one is being agreed, both sides have one in common at every instant

import { UNITS } from "./limits.ts";

/** Of a secret. */
export const PAIR_SECRET_BYTES = 32;
/** Kept per peer. */
export const PAIR_SECRETS = 2;
/** It travels in 32 bits. */
export const GENERATION_MOST = 0xffff_ffff;

export interface PairSecret {
  /** 1.., grows with each secret of a pair. */
  readonly generation: number;
  /** Hex. */
  readonly secret: string;
}

export interface PairKeys {
  /** The peer's number. */
  readonly unit: number;
  /** Who the peer is: another identity under the same number has nothing to do with this one. */
  readonly identity: string;
  /** Oldest first, 1 or 2. */
  readonly secrets: readonly PairSecret[];
}

export function formatPairKeys(peers: readonly PairKeys[]): string {
  return `${JSON.stringify({ peers }, null, 1)}\n`;
}

/** The file's text → keys; none without a text. Throws when it is damaged: keys are never guessed. */
export function parsePairKeys(text: string | undefined): readonly PairKeys[] {
  if (text === undefined) return [];
  const { peers } = JSON.parse(text) as { readonly peers?: unknown };
  if (!Array.isArray(peers) || peers.length >= UNITS || !peers.every(isPairKeys)) throw new Error("the file of pair keys is damaged [pair-keys-damaged]");
  return peers;
}

function isPairKeys(value: unknown): value is PairKeys {
  const { unit, identity, secrets } = (value ?? {}) as Partial<PairKeys>;
  const isPeer = Number.isInteger(unit) && (unit as number) >= 1 && (unit as number) < UNITS && typeof identity === "string";
  return isPeer && Array.isArray(secrets) && secrets.length >= 1 && secrets.length <= PAIR_SECRETS && secrets.every(isSecret) && isGrowing(secrets);
}

function isSecret(value: unknown): boolean {
  const { generation, secret } = (value ?? {}) as Partial<PairSecret>;
  const isNumber = Number.isInteger(generation) && (generation as number) >= 1 && (generation as number) <= GENERATION_MOST;
  return isNumber && typeof secret === "string" && secret.length === 2 * PAIR_SECRET_BYTES && /^[0-9a-f]+$/.test(secret);
}

function isGrowing(secrets: readonly PairSecret[]): boolean {
  return secrets.every((entry, k) => k === 0 || entry.generation > (secrets[k - 1] as PairSecret).generation);
}
