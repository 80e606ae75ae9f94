// How two managers make a new secret over their channel. It comes from the TLS exporter and a Diffie-Hellman exchange of its own:
// the exporter binds it to this connection, so to both identities; the exchange makes each secret independent of the one before,
// also when a connection lasts for months.
//
//   leader (lower number)                                          follower
//   rekey   generation g, share x ──────────────────────────────►  keeps g beside the confirmed one, on disk
//           ◄────────────────────────────── rekeyed  g, share y, proof
//   keeps g, on disk; uses it
//   rekey-done  g, proof ───────────────────────────────────────►  g is confirmed; older ones are gone
//
//   secret = HKDF-SHA256(X25519(x, y) ‖ exporter, salt: x ‖ y, info: leader, follower, generation)

import { createHmac, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject, timingSafeEqual } from "node:crypto";
import { PAIR_SECRET_BYTES, type PairSecret } from "../../pair-keys.ts";

const SHARE_BYTES = 32;
const PROOF_BYTES = 32;

export interface Share {
  readonly privateKey: KeyObject;
  /** Raw public key, base64. */
  readonly text: string;
}

export function makeShare(): Share {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  return { privateKey, text: Buffer.from(publicKey.export({ format: "jwk" }).x as string, "base64url").toString("base64") };
}

export interface AgreementParts {
  readonly leader: number;
  readonly follower: number;
  readonly generation: number;
  /** Of the connection, PAIR_SECRET_BYTES. */
  readonly exporter: Buffer;
  readonly own: Share;
  /** As the other one sent them. */
  readonly leaderShare: string;
  readonly followerShare: string;
}

/** The secret, or undefined when the other's share is none (a point of small order included). */
export function agreedSecret(parts: AgreementParts): PairSecret | undefined {
  const { leader, follower, generation, exporter, own, leaderShare, followerShare } = parts;
  const other = own.text === leaderShare ? followerShare : leaderShare;
  const raw = Buffer.from(other, "base64");
  if (raw.length !== SHARE_BYTES || other === own.text) return undefined;
  let common: Buffer;
  try {
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: raw.toString("base64url") }, format: "jwk" });
    common = diffieHellman({ privateKey: own.privateKey, publicKey });
  } catch {
    return undefined;
  }
  const salt = Buffer.concat([Buffer.from(leaderShare, "base64"), Buffer.from(followerShare, "base64")]);
  const info = `twinwall pair secret ${leader} ${follower} ${generation}`;
  const secret = Buffer.from(hkdfSync("sha256", Buffer.concat([common, exporter]), salt, info, PAIR_SECRET_BYTES));
  return { generation, secret: secret.toString("hex") };
}

/** What only who has the secret can say; `role`: who says it. */
export function proofOf(secret: PairSecret, role: "leader" | "follower"): string {
  return createHmac("sha256", Buffer.from(secret.secret, "hex")).update(`twinwall proof ${role} ${secret.generation}`).digest("base64");
}

export function proofHolds(secret: PairSecret, role: "leader" | "follower", proof: unknown): boolean {
  if (typeof proof !== "string") return false;
  const bytes = Buffer.from(proof, "base64");
  return bytes.length === PROOF_BYTES && timingSafeEqual(bytes, Buffer.from(proofOf(secret, role), "base64"));
}
