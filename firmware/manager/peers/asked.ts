// Answers to what a person asks of peers: who is paired, pair, un-pair, and a new identity for a unit that was un-paired.

import type { PlannedPeer } from "../../plan.ts";
import type { Log } from "../log.ts";
import type { Channels } from "./channels.ts";
import type { PeersAnswer, PeersQuestion } from "./desk.ts";
import { fingerprintOf, type Identity } from "./identity.ts";
import type { PairSecrets } from "./pair-secrets.ts";
import { parseCode, showCode } from "./pairing.ts";
import { drawCode, type PairingDesk, type PairingResult } from "./pairing-desk.ts";
import type { Refusals } from "./refusals.ts";
import { fingerprintOfMember, type Trust } from "./trust.ts";

const MILLIS_PER_MINUTE = 60_000;
/** The serial console stops a command that says nothing for a minute. */
const WAITING_MILLIS = 20_000;

export interface AskedParts {
  readonly name: string;
  readonly peers: readonly PlannedPeer[];
  readonly log: Log;
  identity(): Identity;
  readonly trust: Trust;
  readonly secrets: PairSecrets;
  readonly channels: Channels;
  readonly desk: PairingDesk;
  readonly refusals: Refusals;
  /** Un-pairs this unit from all, and gives it another identity. */
  renew(): Identity;
}

function no(code: string, sentence: string): PeersAnswer {
  return { done: false, sentence: `${code}: ${sentence}` };
}

/** Answers one question. Never rejects. */
export async function answerQuestion(parts: AskedParts, question: PeersQuestion, say: (line: string) => void, signal: AbortSignal): Promise<PeersAnswer> {
  if (question.ask === "peers") return list(parts);
  if (question.ask === "renew") {
    const { fingerprint } = parts.renew();
    return { done: true, sentence: `${parts.name} is paired with nobody any more. Its new fingerprint is ${fingerprint}.`, fingerprint };
  }
  const peer = parts.peers.find(({ name }) => name === question.peer);
  if (peer === undefined)
    return no("unknown-peer", `the configuration has no peer "${question.peer ?? ""}". Peers: ${parts.peers.map(({ name }) => name).join(", ")}.`);
  if (question.ask === "unpair") return unpair(parts, peer);
  const code = question.code === undefined ? drawCode() : parseCode(question.code);
  if (code === undefined) return no("wrong-code", "a code has 8 digits.");
  return pair(parts, peer, code, say, signal);
}

function list({ name, peers, identity, trust, secrets, channels, refusals }: AskedParts): PeersAnswer {
  const rows = peers.map((peer) => {
    const member = trust.member(peer.unit);
    return {
      unit: peer.name,
      paired: member !== undefined,
      connected: channels.isUp(peer.unit),
      upgrade: channels.tooOldOf(peer.unit),
      fingerprint: member === undefined ? "" : fingerprintOfMember(member),
      secret: secrets.newest(peer.unit),
    };
  });
  const { fingerprint } = identity();
  const sentence = `${name} has the fingerprint ${fingerprint}; ${rows.filter(({ paired }) => paired).length} of ${rows.length} peers are paired.`;
  return { done: true, sentence, fingerprint, peers: rows, refused: refusals.all };
}

function unpair({ channels, log }: AskedParts, peer: PlannedPeer): PeersAnswer {
  if (!channels.unpair(peer.unit)) return no("not-paired", `${peer.name} is not paired with this unit.`);
  log.note("warning", "unpaired-by-order", `An operator un-paired ${peer.name}: its identity is refused from now on.`, { peer: peer.name });
  return { done: true, sentence: `${peer.name} is un-paired: its keys open nothing here any more, nor at the other units as soon as they hear of it.` };
}

async function pair(parts: AskedParts, peer: PlannedPeer, code: string, say: (line: string) => void, signal: AbortSignal): Promise<PeersAnswer> {
  const { name, desk, identity } = parts;
  say(`${name} has the fingerprint ${identity().fingerprint}.`);
  say(`Type at ${peer.name}, within 5 minutes:  pair ${name} ${showCode(code)}`);
  const pulse = setInterval(() => say(`Waiting for ${peer.name} …`), WAITING_MILLIS);
  const result = await desk.open(peer.unit, code, signal, say);
  clearInterval(pulse);
  return told(parts, peer, result);
}

function told(parts: AskedParts, peer: PlannedPeer, result: PairingResult): PeersAnswer {
  const { channels, log } = parts;
  if (result.kind === "paired") {
    const fingerprint = fingerprintOf(result.publicKey);
    if (!channels.pair({ unit: peer.unit, name: peer.name, key: result.publicKey.toString("base64") }))
      return no(
        "peer-revoked",
        `${peer.name} was un-paired with the identity ${fingerprint}, which never comes back. At ${peer.name}: unpair self; then pair it.`,
      );
    log.note("notice", "paired", `An operator paired this unit with ${peer.name} (${fingerprint}).`, { peer: peer.name, fingerprint });
    return { done: true, sentence: `Paired with ${peer.name}, which has the fingerprint ${fingerprint}.`, fingerprint };
  }
  if (result.kind === "code")
    return no(
      "codes-differ",
      `the code is not the one that was typed at ${peer.name}, or somebody is on the link. Begin again at both; ${result.triesLeft} tries left.`,
    );
  if (result.kind === "shut")
    return no("pairing-shut", `too many codes were wrong: pairing stays shut for ${Math.ceil(result.millis / MILLIS_PER_MINUTE)} minutes. See the log.`);
  if (result.kind === "busy") return no("pairing-busy", "somebody pairs already at this unit: wait, or end that.");
  if (result.kind === "expired")
    return no("pairing-expired", `${peer.name} was not reached within 5 minutes. Is its twin port cabled, and was the code typed there?`);
  return no("pairing-cancelled", "nothing was paired.");
}
