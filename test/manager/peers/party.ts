// Units as their peers' managers meet them, with everything but files and sockets: identity, trust, secrets, channels, pairing desk.
// Two of them are joined by a pipe that a test can listen to, alter and cut, or by TLS over the loopback device.

import { generateKeyPairSync } from "node:crypto";
import { makeCertificate, rawPublicKey } from "../../../firmware/manager/peers/certificate.ts";
import { Channels } from "../../../firmware/manager/peers/channels.ts";
import type { Conversation } from "../../../firmware/manager/peers/conversation.ts";
import { fingerprintOf, type Identity } from "../../../firmware/manager/peers/identity.ts";
import { PairSecrets } from "../../../firmware/manager/peers/pair-secrets.ts";
import { PairingDesk } from "../../../firmware/manager/peers/pairing-desk.ts";
import { ownerOf } from "../../../firmware/manager/peers/peers.ts";
import { Refusals } from "../../../firmware/manager/peers/refusals.ts";
import type { Secured, TlsOwner } from "../../../firmware/manager/peers/tls.ts";
import { type Member, Trust } from "../../../firmware/manager/peers/trust.ts";
import type { PairKeys } from "../../../firmware/pair-keys.ts";

export const NAMES = ["none", "A1", "A2", "B1", "B2"];

export function drawIdentity(): Identity {
  const { privateKey } = generateKeyPairSync("ed25519");
  const publicKey = rawPublicKey(privateKey);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { privateKey: pem, certificate: makeCertificate(privateKey), publicKey, fingerprint: fingerprintOf(publicKey) };
}

export class Party {
  readonly unit: number;
  readonly name: string;
  identity = drawIdentity();
  /** Milliseconds; a test moves it. */
  now = 1_000;
  /** "code: sentence", as the log would have it. */
  readonly told: string[] = [];
  /** As the file would have them. */
  keys: readonly PairKeys[] = [];
  readonly trust: Trust;
  readonly secrets: PairSecrets;
  readonly channels: Channels;
  readonly desk: PairingDesk;
  readonly refusals: Refusals;

  /** `versions`: what it speaks, and the oldest that it understands. */
  constructor(unit: number, versions: { readonly protocol?: number; readonly oldest?: number } = {}) {
    this.unit = unit;
    this.name = NAMES[unit] as string;
    const nowMillis = (): number => this.now;
    const log = { note: (_severity: string, code: string, text: string) => void this.told.push(`${code}: ${text}`) };
    this.trust = new Trust({ unit, publicKey: () => this.identity.publicKey, state: { members: [], revoked: [] }, save: () => undefined });
    this.secrets = new PairSecrets({ unit, keys: [], save: (keys) => this.save(keys) });
    this.refusals = new Refusals(log, nowMillis);
    const peers = [1, 2, 3, 4].filter((peer) => peer !== unit);
    this.channels = new Channels({
      unit,
      name: this.name,
      trust: this.trust,
      secrets: this.secrets,
      log,
      peers,
      nowMillis,
      ...versions,
    });
    this.desk = new PairingDesk({
      unit,
      publicKey: () => this.identity.publicKey,
      nowMillis,
      onFailed: (peer) => this.refusals.count("pairing-code", `${peer}`),
    });
  }

  private save(keys: readonly PairKeys[]): void {
    this.keys = keys;
  }

  get member(): Member {
    return { unit: this.unit, name: this.name, key: this.identity.publicKey.toString("base64") };
  }

  /** As TLS asks it; `dialled`: whom it dials, 0 when it listens. */
  owner(dialled: number): TlsOwner {
    const { unit, trust, channels, refusals, desk } = this;
    return ownerOf({ unit, identity: () => this.identity, trust, channels, refusals, desk, nowMillis: () => this.now }, dialled);
  }

  /** Secrets shared with a unit, oldest first. */
  secretsWith(unit: number): readonly { readonly generation: number; readonly secret: string }[] {
    return this.keys.find((entry) => entry.unit === unit)?.secrets ?? [];
  }

  count(code: string): number {
    return this.told.filter((line) => line.startsWith(`${code}:`)).length;
  }
}

/** Both trust each other from the start. */
export function acquaint(...parties: readonly Party[]): void {
  for (const one of parties) for (const other of parties) if (one !== other) one.trust.pair(other.member);
}

/** One direction of a pipe: what was written waits until `flow`. */
export class Way {
  waiting: Buffer[] = [];
  /** Everything that went this way. */
  readonly seen: Buffer[] = [];
  isCut = false;
  onBytes: ((bytes: Buffer) => void) | undefined;
  onEnd: (() => void) | undefined;
  isEnded = false;

  write(bytes: Buffer): void {
    if (this.isCut) return;
    this.seen.push(bytes);
    this.waiting.push(bytes);
  }
}

/** Two ways, and the transports at their ends. */
export class Pipe {
  readonly to: Way = new Way();
  readonly fro: Way = new Way();

  transport(out: Way) {
    return {
      write: (bytes: Buffer) => out.write(bytes),
      unsentBytes: () => out.waiting.reduce((sum, bytes) => sum + bytes.length, 0),
      close: () => {
        out.isEnded = true;
      },
    };
  }

  /** Carries everything until nothing waits; then ends what was ended. */
  flow(): void {
    const ways = [this.to, this.fro];
    while (ways.some((way) => way.waiting.length > 0))
      for (const way of ways) for (let next = way.waiting.shift(); next !== undefined; next = way.waiting.shift()) way.onBytes?.(next);
    for (const way of ways) {
      if (way.isEnded) way.onEnd?.();
      if (way.isEnded) way.onEnd = undefined;
    }
  }
}

const EXPORTER = Buffer.alloc(32, 0xe7);

/** A control channel between two that trust each other; the lower one dials. */
export function join(one: Party, other: Party, exporter = EXPORTER): Pipe {
  const pipe = new Pipe();
  const connect = (self: Party, peer: Party, out: Way, back: Way): Conversation => {
    const conversation = self.channels.connected(peer.member, pipe.transport(out), exporter);
    back.onBytes = (bytes) => conversation.receive(bytes, self.now);
    back.onEnd = () => conversation.close("closed: the other side ended it");
    return conversation;
  };
  connect(one, other, pipe.to, pipe.fro);
  connect(other, one, pipe.fro, pipe.to);
  pipe.flow();
  return pipe;
}

/** One end of a connection for pairing. */
export function securedFor(pipe: Pipe, isDialer: boolean, publicKey: Buffer, exporter: Buffer): Secured {
  const [out, back] = isDialer ? [pipe.to, pipe.fro] : [pipe.fro, pipe.to];
  return {
    publicKey,
    isPairing: true,
    exporter,
    isDialer,
    transport: pipe.transport(out),
    listen: (onBytes, onEnd) => {
      back.onBytes = onBytes;
      back.onEnd = () => onEnd("closed");
    },
  };
}
