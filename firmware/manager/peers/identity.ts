// Who a unit is: an Ed25519 key pair, made at its first start, which never leaves the unit. It lies in a file of its own in
// the unit's durable directory, 0600, beside nothing that is exported, shown or logged; what others may see is the fingerprint.
//
//   public key (32 bytes) ── SHA-256 ── first 15 bytes ── base 32 ──►  k7qd-2mfa-x5zt-9ncw-rh3e-vb6p
//
// 120 bits, in letters and digits that nobody confuses when they are read aloud: no 0, 1, l or o, and no upper case.

import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { readIfThere, writeDurably } from "../run-dir.ts";
import { makeCertificate, rawPublicKey } from "./certificate.ts";

const FILE = "identity.pem";
const OTHERS = 0o077;
const LETTERS = "23456789abcdefghijkmnpqrstuvwxyz";
const FINGERPRINT_BYTES = 15;
const LETTER_BITS = 5;
const GROUP_LETTERS = 4;

export interface Identity {
  /** PEM, for TLS. */
  readonly privateKey: string;
  readonly certificate: string;
  /** Raw, 32 bytes. */
  readonly publicKey: Buffer;
  readonly fingerprint: string;
}

/** A public key as people compare it: six groups of four. */
export function fingerprintOf(publicKey: Uint8Array): string {
  const digest = createHash("sha256").update(publicKey).digest().subarray(0, FINGERPRINT_BYTES);
  let text = "";
  let held = 0;
  let heldBits = 0;
  for (const byte of digest) {
    held = (held << 8) | byte;
    heldBits += 8;
    for (; heldBits >= LETTER_BITS; heldBits -= LETTER_BITS) text += LETTERS[(held >> (heldBits - LETTER_BITS)) & 31];
    held &= 31;
  }
  return (text.match(new RegExp(`.{${GROUP_LETTERS}}`, "g")) as string[]).join("-");
}

/** Where the identity lies. `data`: the unit's durable directory. */
export function identityFile(data: string): string {
  return join(data, FILE);
}

/** The unit's identity; made when there is none yet. Throws when the file is damaged or others may read it: it is never silently replaced. */
export function openIdentity(data: string): Identity {
  const file = identityFile(data);
  const text = readIfThere(file);
  if (text === undefined) return makeIdentity(data);
  const mode = statSync(file).mode & 0o777;
  if ((mode & OTHERS) !== 0) {
    throw new Error(`${file}: others may use this unit's private key (mode 0${mode.toString(8)}) [identity-open]. Remove the file and pair the unit anew.`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
    if (key.asymmetricKeyType !== "ed25519") throw new Error("not Ed25519");
  } catch {
    throw new Error(`${file}: this is no Ed25519 private key [identity-damaged]. Put it back from a copy, or remove it and pair the unit anew.`);
  }
  return identityOf(key);
}

/** Gives the unit a new identity: whoever trusted the old one does not trust this one. */
export function makeIdentity(data: string): Identity {
  const { privateKey } = generateKeyPairSync("ed25519");
  const identity = identityOf(privateKey);
  writeDurably(identityFile(data), identity.privateKey);
  return identity;
}

function identityOf(key: KeyObject): Identity {
  const publicKey = rawPublicKey(key);
  const privateKey = key.export({ type: "pkcs8", format: "pem" }) as string;
  return { privateKey, certificate: makeCertificate(key), publicKey, fingerprint: fingerprintOf(publicKey) };
}
