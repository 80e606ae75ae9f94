// The secrets that this unit shares with each paired one, in the file that the dataplane reads (pair-keys.ts). They are kept on
// disk so that a dataplane, or the whole unit, that starts while the control channel is down still finds its peers.
//
//   the lower unit of a pair leads      agree(g): [previous, g]
//   the higher one follows              propose(g): [confirmed, g]     confirm(g): [g]
//
// So at every instant the follower has what the leader uses, whichever of them dies between two steps (twin/keys.ts).

import { createHmac, hkdfSync } from "node:crypto";
import { join } from "node:path";
import { formatPairKeys, PAIR_SECRETS, type PairKeys, type PairSecret, parsePairKeys } from "../../pair-keys.ts";
import { readIfThere, writeDurably } from "../run-dir.ts";
import { fingerprintOfMember, type Member } from "./trust.ts";

const FILE = "pair-keys.json";
const KEY_BYTES = 32;

/** Where the secrets lie. `data`: the unit's durable directory. */
export function pairKeysFile(data: string): string {
  return join(data, FILE);
}

/** A key for messages between managers, and the generation of the secret that it is derived from. */
export interface NoticeKey {
  readonly generation: number;
  mac(bytes: Uint8Array): Buffer;
}

export interface PairSecretsOptions {
  readonly unit: number;
  readonly keys: readonly PairKeys[];
  save(keys: readonly PairKeys[]): void;
}

/** The secrets, kept in a file; `onChange`: it was replaced. Those of units that are not paired are dropped. Throws when the file is damaged. */
export function openPairSecrets(data: string, unit: number, members: readonly Member[], onChange: () => void): PairSecrets {
  const file = pairKeysFile(data);
  const kept = parsePairKeys(readIfThere(file));
  const keys = kept.filter((entry) => members.some((member) => member.unit === entry.unit && fingerprintOfMember(member) === entry.identity));
  const save = (fresh: readonly PairKeys[]): void => {
    writeDurably(file, formatPairKeys(fresh));
    onChange();
  };
  const secrets = new PairSecrets({ unit, keys, save });
  if (keys.length !== kept.length) save(keys);
  return secrets;
}

export class PairSecrets {
  private readonly options: PairSecretsOptions;
  private keys: readonly PairKeys[];
  private noticeKeys = new Map<string, NoticeKey>();

  constructor(options: PairSecretsOptions) {
    this.options = options;
    this.keys = options.keys;
  }

  /** The one that was agreed or proposed last. */
  last(peer: number): PairSecret | undefined {
    return this.of(peer).at(-1);
  }

  /** Its generation; 0: none. */
  newest(peer: number): number {
    return this.last(peer)?.generation ?? 0;
  }

  /** Leader: both have it. */
  agree(peer: Member, secret: PairSecret): void {
    this.set(peer, [...this.of(peer.unit), secret].slice(-PAIR_SECRETS));
  }

  /** Follower: the leader may use it from our answer on. */
  propose(peer: Member, secret: PairSecret): void {
    this.set(peer, [...this.of(peer.unit).slice(0, 1), secret]);
  }

  /** Follower: the leader uses this one and nothing older. */
  confirm(peer: Member, generation: number): void {
    const all = this.of(peer.unit);
    const used = all.filter((secret) => secret.generation === generation);
    if (used.length === 1 && all.length > 1) this.set(peer, used);
  }

  /** Nothing sealed under what was shared with this unit is opened from now on. */
  remove(peer: number): void {
    if (this.keys.some(({ unit }) => unit === peer)) this.replace(this.keys.filter(({ unit }) => unit !== peer));
  }

  clear(): void {
    this.replace([]);
  }

  /** The key to sign messages to this peer with: one that it has; undefined when nothing is shared. */
  signingKey(peer: number): NoticeKey | undefined {
    const isLeading = this.options.unit < peer;
    const secret = this.of(peer).at(isLeading ? -1 : 0);
    return secret === undefined ? undefined : this.noticeKey(secret);
  }

  /** The key of a message from this peer; `low`: the low byte of its generation. */
  keyOf(peer: number, low: number): NoticeKey | undefined {
    const secret = this.of(peer).find(({ generation }) => (generation & 0xff) === low);
    return secret === undefined ? undefined : this.noticeKey(secret);
  }

  private of(peer: number): readonly PairSecret[] {
    return this.keys.find(({ unit }) => unit === peer)?.secrets ?? [];
  }

  private set(peer: Member, secrets: readonly PairSecret[]): void {
    const identity = fingerprintOfMember(peer);
    this.replace([...this.keys.filter(({ unit }) => unit !== peer.unit), { unit: peer.unit, identity, secrets }]);
  }

  private replace(keys: readonly PairKeys[]): void {
    this.options.save(keys);
    this.keys = keys;
    this.noticeKeys = new Map();
  }

  /** Derived once: a notice must leave at once. */
  private noticeKey({ secret, generation }: PairSecret): NoticeKey {
    const known = this.noticeKeys.get(secret);
    if (known !== undefined) return known;
    const key = Buffer.from(hkdfSync("sha256", Buffer.from(secret, "hex"), Buffer.alloc(0), "twinwall manager notices", KEY_BYTES));
    const fresh = { generation, mac: (bytes: Uint8Array) => createHmac("sha256", key).update(bytes).digest() };
    this.noticeKeys.set(secret, fresh);
    return fresh;
  }
}
