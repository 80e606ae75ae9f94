// This unit among its peers, put together: identity, trust, secrets, the control channels over TLS, and the notices beside them.
//
//   beacons ──► dialers ──► TLS, pinned keys ──► channels ──► the rest of the manager
//                            └─ pairing ──► desk    └─ new secrets ──► file ──► dataplane
//   notices ◄── keys of the same secrets

import { randomBytes } from "node:crypto";
import type { PlannedPeer } from "../../plan.ts";
import type { Log } from "../log.ts";
import { answerQuestion } from "./asked.ts";
import { Channels } from "./channels.ts";
import type { ControlChannel } from "./control-channel.ts";
import { openPeersDesk } from "./desk.ts";
import { Dialer } from "./dialer.ts";
import { fingerprintOf, type Identity, makeIdentity, openIdentity } from "./identity.ts";
import { DIAL_MILLIS_MOST, PAIRING_DIAL_MILLIS } from "./limits.ts";
import { openPeerLink } from "./link.ts";
import { GREETING_MILLIS, Notices } from "./notices.ts";
import { openPairSecrets, type PairSecrets } from "./pair-secrets.ts";
import { PairingDesk } from "./pairing-desk.ts";
import { type Refusal, Refusals } from "./refusals.ts";
import { dialPeer, linkLocalOf, listenForPeers, type Secured, type TlsOwner } from "./tls.ts";
import { openTrust, type Trust } from "./trust.ts";

const TICK_MILLIS = 250;

export interface PeersOptions {
  readonly unit: number;
  readonly name: string;
  readonly peers: readonly PlannedPeer[];
  /** The twin ports' kernel devices: one, or two. */
  readonly devices: readonly string[];
  /** The unit's durable directory. */
  readonly data: string;
  /** Where the console asks. */
  readonly socket: string;
  readonly log: Log;
  /** The secrets shared with peers are others now: the dataplane is to read them. */
  onSecrets(): void;
  /** A peer's dataplane exited and is being restarted. */
  onRestarting(unit: number): void;
}

export interface Peers {
  readonly channel: ControlChannel;
  /** Tells the peers' managers that our dataplane exited and is being restarted; at once. */
  announceRestart(): void;
  close(): void;
}

/** What has no sockets. */
interface Parts {
  readonly unit: number;
  identity(): Identity;
  readonly trust: Trust;
  readonly secrets: PairSecrets;
  readonly channels: Channels;
  readonly refusals: Refusals;
  readonly desk: PairingDesk;
  nowMillis(): number;
  /** Un-pairs this unit from all, and gives it another identity. */
  renew(): Identity;
}

function makeParts(options: PeersOptions): Parts {
  const { unit, name, log, data } = options;
  const nowMillis = (): number => Math.floor(performance.now());
  let own = openIdentity(data);
  const identity = (): Identity => own;
  const trust = openTrust(data, unit, () => own.publicKey);
  const secrets = openPairSecrets(data, unit, trust.members, options.onSecrets);
  const refusals = new Refusals(log, nowMillis);
  const channels = new Channels({ unit, name, trust, secrets, log, peers: options.peers.map((peer) => peer.unit), nowMillis });
  const onFailed = (peer: number): void => refusals.count("pairing-code", nameOf(options, peer));
  const desk = new PairingDesk({ unit, publicKey: () => own.publicKey, nowMillis, onFailed });
  const renew = (): Identity => {
    channels.leave();
    trust.clear();
    secrets.clear();
    own = makeIdentity(data);
    log.note("warning", "identity-renewed", `An operator gave this unit a new identity, ${own.fingerprint}: it is paired with nobody.`, {
      fingerprint: own.fingerprint,
    });
    return own;
  };
  return { unit, identity, trust, secrets, channels, refusals, desk, nowMillis, renew };
}

function nameOf({ peers }: PeersOptions, unit: number): string {
  return peers.find((peer) => peer.unit === unit)?.name ?? String(unit);
}

/** Who may come in: a paired unit of lower number, or `dialled`, the one that was dialled; and whoever is being paired. */
export function ownerOf(parts: Omit<Parts, "renew" | "secrets">, dialled: number): TlsOwner {
  const { unit, identity, trust, channels, refusals, desk, nowMillis } = parts;
  return {
    identity,
    mayPair: () => desk.wanted !== 0,
    accept(secured: Secured): Refusal | undefined {
      if (trust.isRevoked(secured.publicKey)) {
        if (secured.isPairing) desk.mentionRevoked(fingerprintOf(secured.publicKey));
        return "revoked";
      }
      if (secured.isPairing) return desk.accept(secured);
      const member = trust.memberWith(secured.publicKey);
      if (member === undefined) return "identity";
      if (secured.isDialer ? member.unit !== dialled : member.unit > unit) return "direction";
      const conversation = channels.connected(member, secured.transport, secured.exporter);
      secured.listen(
        (bytes) => conversation.receive(bytes, nowMillis()),
        (reason) => conversation.close(reason),
      );
      return undefined;
    },
    onRefused: (refusal, address, publicKey) => refusals.count(refusal, publicKey === undefined ? address : `${address} with key ${fingerprintOf(publicKey)}`),
  };
}

function makeDialers(parts: Parts): readonly Dialer[] {
  const { unit, trust, channels, desk, nowMillis } = parts;
  const control = new Dialer({
    nowMillis,
    pauseMillisMost: DIAL_MILLIS_MOST,
    isWanted: (peer) => unit < peer && trust.member(peer) !== undefined && !channels.has(peer),
    dial: (peer, address, done) => dialPeer(address, ownerOf(parts, peer), false, done),
  });
  const pairing = new Dialer({
    nowMillis,
    pauseMillisMost: PAIRING_DIAL_MILLIS,
    isWanted: (peer) => unit < peer && desk.wanted === peer,
    dial: (peer, address, done) => dialPeer(address, ownerOf(parts, peer), true, done),
  });
  channels.watch((peer, isUp) => {
    if (!isUp) control.soon(peer);
  });
  return [control, pairing];
}

function makeNotices(options: PeersOptions, secrets: PairSecrets, onSeen: (unit: number, address: string) => void, refusals: Refusals) {
  const { unit, log, devices } = options;
  const notices: Notices = new Notices({
    unit,
    peers: options.peers.map((peer) => peer.unit),
    secrets,
    randomBytes,
    onSeen,
    // On each of them: which ones carry is not known in the instant in which it counts.
    send(datagram) {
      for (const link of links) link.send(datagram);
    },
    onRestarting(peer) {
      const name = nameOf(options, peer);
      log.note("notice", "peer-restarting", `The dataplane of ${name} exited and is being restarted.`, { peer: name });
      options.onRestarting(peer);
    },
    onRejected: (peer) => refusals.count("notice", nameOf(options, peer)),
  });
  const links = devices.map((device) =>
    openPeerLink(
      device,
      (datagram, address) => notices.receive(datagram, address),
      (works, reason) => {
        if (works) log.note("notice", "peer-link-up", `Managers can reach each other over ${device}.`);
        else
          log.note(
            "warning",
            "peer-link-down",
            `Managers cannot reach each other over ${device} (${reason}): if no other link is left, a restart here looks like a death to peers.`,
          );
      },
    ),
  );
  return { notices, links };
}

/** Makes the identity at the first start, and goes on the link. Throws when identity, trust or secrets are damaged. */
export function openPeers(options: PeersOptions): Peers {
  const { log, devices } = options;
  const parts = makeParts(options);
  const { channels, desk, refusals } = parts;
  const dialers = makeDialers(parts);
  const seen = (unit: number, address: string): void => {
    for (const dialer of dialers) dialer.seen(unit, address);
  };
  const { notices, links } = makeNotices(options, parts.secrets, seen, refusals);
  const listeners = devices.map((device) => listenForPeers(() => linkLocalOf(device), ownerOf(parts, 0)));
  const renew = (): Identity => {
    const identity = parts.renew();
    for (const listener of listeners) listener.renew();
    return identity;
  };
  const questions = openPeersDesk(options.socket, (...asked) => answerQuestion({ ...options, ...parts, renew }, ...asked));
  const greetings = setInterval(() => notices.greet(), GREETING_MILLIS);
  const ticks = setInterval(() => {
    channels.tick();
    desk.tick();
    for (const dialer of dialers) dialer.tick();
  }, TICK_MILLIS);
  const { fingerprint } = parts.identity();
  log.note("information", "identity", `This unit's fingerprint is ${fingerprint}.`, { fingerprint });
  notices.greet();
  return {
    channel: channels,
    announceRestart: () => notices.announceRestart(),
    close() {
      clearInterval(greetings);
      clearInterval(ticks);
      questions.close();
      for (const listener of listeners) listener.close();
      channels.close();
      for (const link of links) link.close();
    },
  };
}
