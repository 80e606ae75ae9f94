// This unit among its peers, put together: identity, trust, secrets, the control channels over TLS, and the notices beside them.
//
//   beacons ──► dialer ──► TLS, pinned keys ──► channels ──► the rest of the manager
//                                                  └─ new secrets ──► file ──► dataplane
//   notices ◄── keys of the same secrets

import { randomBytes } from "node:crypto";
import type { PlannedPeer } from "../../plan.ts";
import type { Log } from "../log.ts";
import { Channels } from "./channels.ts";
import type { ControlChannel } from "./control-channel.ts";
import { Dialer } from "./dialer.ts";
import { fingerprintOf, type Identity, openIdentity } from "./identity.ts";
import { openPeerLink } from "./link.ts";
import { GREETING_MILLIS, Notices } from "./notices.ts";
import { openPairSecrets } from "./pair-secrets.ts";
import { type Refusal, Refusals } from "./refusals.ts";
import { dialPeer, linkLocalOf, listenForPeers, type Secured, type TlsOwner } from "./tls.ts";
import { openTrust, type Trust } from "./trust.ts";

const TICK_MILLIS = 250;

export interface PeersOptions {
  readonly unit: number;
  readonly name: string;
  readonly peers: readonly PlannedPeer[];
  /** The twin port's kernel device. */
  readonly device: string;
  /** The unit's durable directory. */
  readonly data: string;
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

/** Makes the identity at the first start, and goes on the link. Throws when identity, trust or secrets are damaged. */
export function openPeers(options: PeersOptions): Peers {
  const { unit, name, log, data, device } = options;
  const nowMillis = (): number => Math.floor(performance.now());
  const identity = openIdentity(data);
  const trust = openTrust(data, unit, identity.publicKey);
  const secrets = openPairSecrets(data, unit, trust.members, options.onSecrets);
  const refusals = new Refusals(log, nowMillis);
  const numbers = options.peers.map((peer) => peer.unit);
  const channels = new Channels({ unit, name, trust, secrets, log, peers: numbers, nowMillis });
  const ownerFor = (dialled: number): TlsOwner => ownerOf({ unit, identity, trust, channels, refusals, dialled, nowMillis });
  const dialer = new Dialer({
    nowMillis,
    isWanted: (peer) => unit < peer && trust.member(peer) !== undefined && !channels.has(peer),
    dial: (peer, address, done) => dialPeer(address, ownerFor(peer), false, done),
  });
  const nameOf = (peer: number): string => options.peers.find((candidate) => candidate.unit === peer)?.name ?? String(peer);
  const notices: Notices = new Notices({
    unit,
    peers: numbers,
    secrets,
    randomBytes,
    send: (datagram) => link.send(datagram),
    onSeen: (peer, address) => dialer.seen(peer, address),
    onRestarting(peer) {
      log.note("notice", "peer-restarting", `The dataplane of ${nameOf(peer)} exited and is being restarted.`, { peer: nameOf(peer) });
      options.onRestarting(peer);
    },
    onRejected: (peer) => refusals.count("notice", nameOf(peer)),
  });
  const link = openPeerLink(
    device,
    (datagram, address) => notices.receive(datagram, address),
    (works, reason) => {
      if (works) log.note("notice", "peer-link-up", `Managers can reach each other over ${device}.`);
      else log.note("warning", "peer-link-down", `Managers cannot reach each other over ${device} (${reason}): a restart here looks like a death to peers.`);
    },
  );
  const listener = listenForPeers(() => linkLocalOf(device), ownerFor(0));
  const greetings = setInterval(() => notices.greet(), GREETING_MILLIS);
  const ticks = setInterval(() => {
    channels.tick();
    dialer.tick();
  }, TICK_MILLIS);
  channels.watch((peer, isUp) => {
    if (!isUp) dialer.soon(peer);
  });
  log.note("information", "identity", `This unit's fingerprint is ${identity.fingerprint}.`, { fingerprint: identity.fingerprint });
  notices.greet();
  return {
    channel: channels,
    announceRestart: () => notices.announceRestart(),
    close() {
      clearInterval(greetings);
      clearInterval(ticks);
      listener.close();
      channels.close();
      link.close();
    },
  };
}

interface OwnerParts {
  readonly unit: number;
  readonly identity: Identity;
  readonly trust: Trust;
  readonly channels: Channels;
  readonly refusals: Refusals;
  /** The unit that was dialled; 0: it dialled us. */
  readonly dialled: number;
  nowMillis(): number;
}

/** Who may come in: a paired unit of lower number, or the one that was dialled. */
export function ownerOf(parts: OwnerParts): TlsOwner {
  const { unit, identity, trust, channels, refusals, dialled, nowMillis } = parts;
  return {
    identity,
    mayPair: () => false,
    accept(secured: Secured): Refusal | undefined {
      const member = trust.memberWith(secured.publicKey);
      if (member === undefined) return trust.isRevoked(secured.publicKey) ? "revoked" : "identity";
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
