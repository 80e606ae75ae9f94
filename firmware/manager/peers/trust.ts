// Whom this unit trusts: the public key of each paired unit, and the identities that have been un-paired. A file of its own in
// the unit's durable directory; nothing in it is secret, and whoever could change it could pair.
//
//   pair      unit ↔ unit, by a code that a person types (pairing.ts)
//   merge     what a paired unit knows comes along: pairing one unit of a system pairs it with all
//   revoke    the identity is refused from this moment on, here and, as they hear of it, by all; it never comes back
//
// Two rules make the order of news irrelevant: a revocation beats a membership, and a number that is taken stays with who has it
// until a person pairs or un-pairs.

import { join } from "node:path";
import { UNITS } from "../../limits.ts";
import { readIfThere, writeDurably } from "../run-dir.ts";
import { PUBLIC_KEY_BYTES } from "./certificate.ts";
import { fingerprintOf } from "./identity.ts";

const FILE = "trust.json";
/** Un-paired identities that are remembered; the oldest are forgotten beyond. */
const REVOKED_MOST = 256;
const NAME_MOST = 32;

export interface Member {
  readonly unit: number;
  readonly name: string;
  /** Raw public key, base64. */
  readonly key: string;
}

/** As it lies in the file, and as paired units tell it each other. */
export interface TrustState {
  readonly members: readonly Member[];
  /** Fingerprints. */
  readonly revoked: readonly string[];
}

export interface TrustOptions {
  /** Its own number and public key: nobody else's. */
  readonly unit: number;
  readonly publicKey: () => Buffer;
  readonly state: TrustState;
  save(state: TrustState): void;
}

/** What news changed. */
export interface TrustChange {
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
  /** Members that are not taken: another identity has the number. */
  readonly refused: readonly Member[];
}

/** Where the trust lies. `data`: the unit's durable directory. */
export function trustFile(data: string): string {
  return join(data, FILE);
}

/** Trust kept in a file. Throws when that is damaged: whom to trust is never guessed. */
export function openTrust(data: string, unit: number, publicKey: () => Buffer): Trust {
  const file = trustFile(data);
  const text = readIfThere(file);
  const state = text === undefined ? { members: [], revoked: [] } : parseTrust(JSON.parse(text));
  if (state === undefined)
    throw new Error(`${file}: the list of paired units is damaged [trust-damaged]. Put it back from a copy, or remove it and pair anew.`);
  return new Trust({ unit, publicKey, state, save: (fresh) => writeDurably(file, `${JSON.stringify(fresh, null, 1)}\n`) });
}

/** A state that somebody else wrote, or undefined when it is none. */
export function parseTrust(value: unknown): TrustState | undefined {
  const { members, revoked } = (value ?? {}) as Partial<TrustState>;
  if (!Array.isArray(members) || members.length >= UNITS || !members.every(isMember)) return undefined;
  if (!Array.isArray(revoked) || revoked.length > REVOKED_MOST || !revoked.every((entry) => typeof entry === "string" && entry.length <= 2 * NAME_MOST))
    return undefined;
  return { members: members.map(({ unit, name, key }) => ({ unit, name, key })), revoked: [...revoked] };
}

function isMember(value: unknown): value is Member {
  const { unit, name, key } = (value ?? {}) as Partial<Member>;
  const isUnit = Number.isInteger(unit) && (unit as number) >= 1 && (unit as number) < UNITS;
  return isUnit && typeof name === "string" && name.length <= NAME_MOST && typeof key === "string" && Buffer.from(key, "base64").length === PUBLIC_KEY_BYTES;
}

export function fingerprintOfMember(member: Member): string {
  return fingerprintOf(Buffer.from(member.key, "base64"));
}

export class Trust {
  private readonly options: TrustOptions;
  private state: TrustState;

  constructor(options: TrustOptions) {
    this.options = options;
    this.state = options.state;
  }

  get members(): readonly Member[] {
    return this.state.members;
  }

  /** What paired units are told: ourselves included. `name`: this unit's. */
  news(name: string): TrustState {
    const own = { unit: this.options.unit, name, key: this.options.publicKey().toString("base64") };
    return { members: [...this.state.members, own], revoked: this.state.revoked };
  }

  member(unit: number): Member | undefined {
    return this.state.members.find((candidate) => candidate.unit === unit);
  }

  memberWith(publicKey: Uint8Array): Member | undefined {
    const key = Buffer.from(publicKey).toString("base64");
    return this.state.members.find((candidate) => candidate.key === key);
  }

  isRevoked(publicKey: Uint8Array): boolean {
    return this.state.revoked.includes(fingerprintOf(publicKey));
  }

  /** A person has paired this unit with that one. Who had its number before is un-paired. False: that identity has been un-paired and must be renewed. */
  pair(member: Member): boolean {
    const fingerprint = fingerprintOfMember(member);
    if (this.state.revoked.includes(fingerprint) || this.isOwn(member)) return false;
    const before = this.member(member.unit);
    const revoked = before === undefined || before.key === member.key ? [] : [fingerprintOfMember(before)];
    const others = this.state.members.filter((one) => one.unit !== member.unit && one.key !== member.key);
    this.set({ members: [...others, member], revoked: [...this.state.revoked, ...revoked] });
    return true;
  }

  /** What another paired unit knows. */
  merge(news: TrustState): TrustChange {
    const fresh = news.revoked.filter((fingerprint) => !this.state.revoked.includes(fingerprint) && fingerprint !== fingerprintOf(this.options.publicKey()));
    const revoked = [...this.state.revoked, ...fresh];
    const removed = this.state.members.filter((member) => revoked.includes(fingerprintOfMember(member)));
    const kept = this.state.members.filter((member) => !removed.includes(member));
    const added: Member[] = [];
    const refused: Member[] = [];
    for (const member of news.members) {
      if (this.isOwn(member) || revoked.includes(fingerprintOfMember(member))) continue;
      if (kept.some(({ unit, key }) => unit === member.unit && key === member.key)) continue;
      const isTaken = member.unit === this.options.unit || [...kept, ...added].some(({ unit, key }) => unit === member.unit || key === member.key);
      (isTaken ? refused : added).push(member);
    }
    if (fresh.length > 0 || added.length > 0) this.set({ members: [...kept, ...added], revoked });
    return { added, removed, refused };
  }

  /** A person un-pairs a unit: the member that is gone, or undefined when there was none. */
  revoke(unit: number): Member | undefined {
    const member = this.member(unit);
    if (member === undefined) return undefined;
    const members = this.state.members.filter((candidate) => candidate !== member);
    this.set({ members, revoked: [...this.state.revoked, fingerprintOfMember(member)] });
    return member;
  }

  /** A unit has un-paired this one: nothing is shared with it any more. It may be paired anew. */
  forget(unit: number): void {
    this.set({ members: this.state.members.filter((candidate) => candidate.unit !== unit), revoked: this.state.revoked });
  }

  /** This unit begins anew: it trusts nobody, and has forgotten whom it did not. */
  clear(): void {
    this.set({ members: [], revoked: [] });
  }

  private isOwn(member: Member): boolean {
    return member.key === this.options.publicKey().toString("base64");
  }

  /** On disk first: what is only in memory would be trusted again after a power cut. */
  private set(state: TrustState): void {
    const bounded = { members: state.members, revoked: state.revoked.slice(-REVOKED_MOST) };
    this.options.save(bounded);
    this.state = bounded;
  }
}
