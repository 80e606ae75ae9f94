// The control channels of a unit: one per paired unit, over whatever carries bytes (tls.ts, or a test). Here is what is said on
// every channel, whatever it is used for:
//
//   hello      who I am, which versions I speak, the newest secret that I know of       both ways, first
//   members    whom I trust and whom no more                                            both ways, then, and when it changes
//   rekey …    a new secret for the data channel (agreement.ts)                         the lower unit, then, and each hour
//   unpaired   you are not trusted any more                                             last
//   leaving    my identity ends: refuse it from now on, and tell the others             last
//
// Other kinds belong to whoever asked for them with `on`.

import { GENERATION_MOST } from "../../pair-keys.ts";
import type { Log } from "../log.ts";
import { type AgreementParts, agreedSecret, makeShare, proofHolds, proofOf, type Share } from "./agreement.ts";
import type { ControlChannel } from "./control-channel.ts";
import { Conversation, type Message, type Transport } from "./conversation.ts";
import { REFUSED_QUIET_MILLIS, REKEY_MILLIS, SILENCE_MILLIS } from "./limits.ts";
import type { PairSecrets } from "./pair-secrets.ts";
import { fingerprintOfMember, type Member, parseTrust, type Trust, type TrustState } from "./trust.ts";

/** What this firmware speaks, and what it still understands. */
export const PROTOCOL = 1;
export const PROTOCOL_OLDEST = 1;

export interface ChannelsOptions {
  readonly unit: number;
  readonly name: string;
  readonly trust: Trust;
  readonly secrets: PairSecrets;
  readonly log: Log;
  /** Numbers that the configuration has, this unit's apart. */
  readonly peers: readonly number[];
  nowMillis(): number;
  /** What this firmware speaks and still understands; tests pretend. */
  readonly protocol?: number;
  readonly oldest?: number;
}

/** One that the next may follow. */
function isGeneration(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < GENERATION_MOST;
}

/** A connection with a paired unit. */
interface Line {
  readonly member: Member;
  readonly conversation: Conversation;
  readonly exporter: Buffer;
  /** The other side said hello. */
  isUp: boolean;
  /** A secret that is being agreed. */
  pending: { readonly share: Share; readonly generation: number; readonly sinceMillis: number } | undefined;
  rekeyDueMillis: number;
}

type Handler = (from: number, message: Message) => void;

export class Channels implements ControlChannel {
  private readonly options: ChannelsOptions;
  private readonly lines = new Map<number, Line>();
  private readonly handlers = new Map<string, Handler>();
  private readonly watchers: ((unit: number, isUp: boolean) => void)[] = [];
  private readonly protocol: number;
  private readonly oldest: number;
  /** By unit: which one to upgrade, while their versions do not go together. */
  private readonly tooOld = new Map<number, string>();
  /** By unit: until when it is not said again that its version does not go with ours. */
  private readonly versionQuietMillis = new Map<number, number>();

  constructor(options: ChannelsOptions) {
    this.options = options;
    this.protocol = options.protocol ?? PROTOCOL;
    this.oldest = options.oldest ?? PROTOCOL_OLDEST;
  }

  get reachable(): readonly number[] {
    return [...this.lines].filter(([, line]) => line.isUp).map(([unit]) => unit);
  }

  isUp(unit: number): boolean {
    return this.lines.get(unit)?.isUp === true;
  }

  /** "this unit", or the peer's name: the one that was too old when they spoke last; "": neither. */
  tooOldOf(unit: number): string {
    return this.tooOld.get(unit) ?? "";
  }

  /** There is a connection, up or about to be. */
  has(unit: number): boolean {
    return this.lines.has(unit);
  }

  send(unit: number, message: Message): boolean {
    const line = this.lines.get(unit);
    return line?.isUp === true && line.conversation.send(message);
  }

  on(kind: string, handler: Handler): void {
    if (this.handlers.has(kind)) throw new Error(`control channel: "${kind}" has a handler already`);
    this.handlers.set(kind, handler);
  }

  watch(listener: (unit: number, isUp: boolean) => void): void {
    this.watchers.push(listener);
  }

  /**
   * A connection whose other end has proved to be `member`. `exporter`: PAIR_SECRET_BYTES that both ends, and nobody else, know. It replaces
   * an older one, which may be dead without knowing.
   */
  connected(member: Member, transport: Transport, exporter: Buffer): Conversation {
    this.lines.get(member.unit)?.conversation.close("replaced: the unit connected again");
    const nowMillis = this.options.nowMillis();
    const conversation = new Conversation({
      transport,
      nowMillis,
      onMessage: (message) => this.receive(line, message),
      onClosed: (reason) => this.closed(line, reason),
    });
    const line: Line = { member, conversation, exporter, isUp: false, pending: undefined, rekeyDueMillis: 0 };
    this.lines.set(member.unit, line);
    const { unit, name, secrets } = this.options;
    conversation.send({ kind: "hello", protocol: this.protocol, oldest: this.oldest, unit, name, newest: secrets.newest(member.unit) });
    return conversation;
  }

  /** Now and then. */
  tick(): void {
    const nowMillis = this.options.nowMillis();
    for (const line of [...this.lines.values()]) {
      line.conversation.tick(nowMillis);
      if (line.pending !== undefined && nowMillis - line.pending.sinceMillis > SILENCE_MILLIS) line.conversation.close("rekey-slow: no answer to a new secret");
      else if (line.isUp && this.options.unit < line.member.unit && nowMillis >= line.rekeyDueMillis) this.rekey(line, 0);
    }
  }

  /** A person has paired this unit with another: all that are paired hear of it. False: that identity has been un-paired. */
  pair(member: Member): boolean {
    const before = this.options.trust.member(member.unit);
    if (!this.options.trust.pair(member)) return false;
    if (before !== undefined && before.key !== member.key) this.drop(before, "replaced: another unit was paired under its number");
    this.tellMembers();
    return true;
  }

  /** A person has un-paired a unit. Its keys open nothing here from now on, nor elsewhere as soon as the others hear of it. False: it was not paired. */
  unpair(unit: number): boolean {
    const member = this.options.trust.revoke(unit);
    if (member === undefined) return false;
    this.drop(member, "unpaired: a person un-paired it");
    this.tellMembers();
    return true;
  }

  /** This unit gives its identity up: whoever it reaches refuses that from now on, and tells the others. */
  leave(): void {
    for (const line of [...this.lines.values()]) {
      if (line.isUp) line.conversation.send({ kind: "leaving" });
      line.conversation.close("left: this unit gives its identity up");
    }
  }

  close(): void {
    for (const line of [...this.lines.values()]) line.conversation.close("stopped: this manager stops");
  }

  private receive(line: Line, message: Message): void {
    const { kind } = message;
    if (!line.isUp) {
      if (kind === "hello") this.hello(line, message);
      else line.conversation.close("no-hello: it did not say who it is");
      return;
    }
    if (kind === "members") this.members(line, message);
    else if (kind === "unpaired") this.unpaired(line);
    else if (kind === "leaving") this.leaving(line);
    else if (kind === "rekey") this.rekeyAsked(line, message);
    else if (kind === "rekeyed") this.rekeyAnswered(line, message);
    else if (kind === "rekey-done") this.rekeyDone(line, message);
    else this.handlers.get(kind)?.(line.member.unit, message);
  }

  private hello(line: Line, { protocol, oldest, unit, newest }: Message): void {
    const { member, conversation } = line;
    const { log, trust, name } = this.options;
    if (unit !== member.unit || typeof protocol !== "number" || typeof oldest !== "number" || !isGeneration(newest)) {
      conversation.close("hello-wrong: it says to be somebody else than its key does");
      return;
    }
    const tooOld = protocol < this.oldest ? member.name : this.protocol < oldest ? "this unit" : "";
    if (tooOld === "") this.tooOld.delete(member.unit);
    else {
      this.tooOld.set(member.unit, tooOld);
      this.tellVersion(member, protocol, tooOld);
      conversation.close("version: upgrade the older one");
      return;
    }
    line.isUp = true;
    conversation.isOpen = true;
    log.note("notice", "peer-channel-up", `The managers of this unit and ${member.name} are connected.`, { peer: member.name });
    conversation.send({ kind: "members", ...trust.news(name) });
    for (const watcher of this.watchers) watcher(member.unit, true);
    if (this.options.unit < member.unit) this.rekey(line, newest);
  }

  /** Now and then only: whoever is too old goes on dialling. */
  private tellVersion({ unit, name }: Member, protocol: number, tooOld: string): void {
    const nowMillis = this.options.nowMillis();
    if (nowMillis < (this.versionQuietMillis.get(unit) ?? 0)) return;
    this.versionQuietMillis.set(unit, nowMillis + REFUSED_QUIET_MILLIS);
    const text = `${name} speaks version ${protocol} of the control protocol and this unit ${this.protocol}: upgrade ${tooOld}.`;
    this.options.log.note("error", "peer-version", text, { peer: name, protocol });
  }

  private closed(line: Line, reason: string): void {
    const { member } = line;
    if (this.lines.get(member.unit) === line) this.lines.delete(member.unit);
    if (!line.isUp) return;
    line.isUp = false;
    this.options.log.note("warning", "peer-channel-down", `The connection to the manager of ${member.name} ended (${reason}).`, { peer: member.name, reason });
    for (const watcher of this.watchers) watcher(member.unit, false);
  }

  // Members.

  private tellMembers(): void {
    const news: TrustState = this.options.trust.news(this.options.name);
    for (const line of this.lines.values()) if (line.isUp) line.conversation.send({ kind: "members", ...news });
  }

  private members(line: Line, message: Message): void {
    const { trust, log, peers } = this.options;
    const news = parseTrust({ ...message, members: (message["members"] as readonly unknown[]) ?? [] });
    if (news === undefined) {
      line.conversation.close("members-wrong: its list of units is none");
      return;
    }
    const change = trust.merge({ ...news, members: news.members.filter(({ unit }) => peers.includes(unit)) });
    const by = line.member.name;
    for (const member of change.added) {
      const fingerprint = fingerprintOfMember(member);
      log.note("notice", "peer-introduced", `${by} introduced ${member.name} (${fingerprint}): it is paired with this unit.`, {
        peer: member.name,
        by,
        fingerprint,
      });
    }
    for (const member of change.removed) {
      log.note("warning", "peer-unpaired", `${by} says that ${member.name} was un-paired: it is refused from now on.`, { peer: member.name, by });
      this.drop(member, `unpaired: ${by} says so`);
    }
    for (const member of change.refused)
      log.note("error", "peer-conflict", `${by} trusts another ${member.name} than this unit (${fingerprintOfMember(member)}): un-pair the wrong one.`, {
        peer: member.name,
        by,
      });
    if (change.added.length + change.removed.length > 0) this.tellMembers();
  }

  /** Nothing of this unit's is believed, and it is told so. */
  private drop(member: Member, reason: string): void {
    this.options.secrets.remove(member.unit);
    const line = this.lines.get(member.unit);
    if (line === undefined || line.member.key !== member.key) return;
    line.conversation.send({ kind: "unpaired" });
    line.conversation.close(reason);
  }

  private unpaired(line: Line): void {
    const { trust, secrets, log } = this.options;
    const { member, conversation } = line;
    log.note("error", "unpaired", `${member.name} has un-paired this unit. To come back it needs a new identity: unpair self, then pair.`, {
      peer: member.name,
    });
    trust.forget(member.unit);
    secrets.remove(member.unit);
    conversation.close("unpaired: the other side did it");
  }

  private leaving({ member }: Line): void {
    this.options.log.note("warning", "peer-left", `${member.name} gave its identity up (unpair self there): that is refused from now on.`, {
      peer: member.name,
    });
    this.unpair(member.unit);
  }

  // Secrets for the data channel.

  private rekey(line: Line, theirNewest: number): void {
    const { secrets, nowMillis } = this.options;
    const generation = Math.max(theirNewest, secrets.newest(line.member.unit)) + 1;
    line.pending = { share: makeShare(), generation, sinceMillis: nowMillis() };
    line.rekeyDueMillis = nowMillis() + REKEY_MILLIS;
    line.conversation.send({ kind: "rekey", generation, used: secrets.newest(line.member.unit), share: line.pending.share.text });
  }

  private rekeyAsked(line: Line, { generation, used, share }: Message): void {
    const { unit, secrets } = this.options;
    const { member, conversation, exporter } = line;
    if (unit < member.unit || !isGeneration(generation) || generation <= secrets.newest(member.unit) || typeof used !== "number" || typeof share !== "string") {
      conversation.close("rekey-wrong: its new secret is out of turn");
      return;
    }
    const own = makeShare();
    const parts: AgreementParts = { leader: member.unit, follower: unit, generation, exporter, own, leaderShare: share, followerShare: own.text };
    const secret = agreedSecret(parts);
    if (secret === undefined) {
      conversation.close("rekey-wrong: its share is none");
      return;
    }
    secrets.confirm(member, used);
    secrets.propose(member, secret);
    line.pending = undefined;
    conversation.send({ kind: "rekeyed", generation, share: own.text, proof: proofOf(secret, "follower") });
  }

  private rekeyAnswered(line: Line, { generation, share, proof }: Message): void {
    const { unit, secrets } = this.options;
    const { member, conversation, exporter, pending } = line;
    if (pending === undefined || generation !== pending.generation || typeof share !== "string") {
      conversation.close("rekey-wrong: an answer that nobody asked for");
      return;
    }
    const own = pending.share;
    const secret = agreedSecret({ leader: unit, follower: member.unit, generation, exporter, own, leaderShare: own.text, followerShare: share });
    line.pending = undefined;
    if (secret === undefined || !proofHolds(secret, "follower", proof)) {
      conversation.close("rekey-wrong: its proof does not hold");
      return;
    }
    secrets.agree(member, secret);
    conversation.send({ kind: "rekey-done", generation, proof: proofOf(secret, "leader") });
  }

  private rekeyDone(line: Line, { generation, proof }: Message): void {
    const { secrets } = this.options;
    const secret = secrets.last(line.member.unit);
    if (secret === undefined || secret.generation !== generation || !proofHolds(secret, "leader", proof))
      line.conversation.close("rekey-wrong: its proof does not hold");
    else secrets.confirm(line.member, secret.generation);
  }
}
