// TLS wants a certificate; all that we want it to say is a public key. So there is exactly one shape (RFC 5280, DER by
// hand), a function of the key pair alone: the same key always gives the same bytes, and a peer's certificate of any other
// shape is refused before anything of it is believed.
//
//   version 3 │ serial: of the key's hash │ Ed25519 │ CN=twinwall │ 1970-01-01 … 9999-12-31 │ CN=twinwall │ key │ signature
//
// The validity ends at RFC 5280's "no well-defined expiration date": an appliance's clock may show any year until something sets
// it, and a unit that refuses its twin because a battery is empty would turn a nuisance into an outage. What ends an identity
// is un-pairing (trust.ts), which works at once and needs no clock.

import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** Of a raw Ed25519 public key. */
export const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const VERSION_TAG = 0xa0;
const VERSION_3 = 2;
const SERIAL_BYTES = 16;

const NOT_BEFORE = "700101000000Z";
const NOT_AFTER = "99991231235959Z";
const COMMON_NAME = "twinwall";

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** RFC 8410: no parameters. */
const ED25519 = der(SEQUENCE, der(OBJECT, Buffer.from([0x2b, 0x65, 0x70])));
/** id-at-commonName, 2.5.4.3. */
const NAME = der(SEQUENCE, der(SET, der(SEQUENCE, der(OBJECT, Buffer.from([0x55, 0x04, 0x03])), der(UTF8_STRING, Buffer.from(COMMON_NAME)))));
const VALIDITY = der(SEQUENCE, der(UTC_TIME, Buffer.from(NOT_BEFORE)), der(GENERALIZED_TIME, Buffer.from(NOT_AFTER)));

function bits(bytes: Uint8Array): Buffer {
  return der(BIT_STRING, Buffer.from([0]), bytes);
}

/** The part that is signed. `publicKey`: raw. */
function toBeSigned(publicKey: Uint8Array): Buffer {
  const serial = createHash("sha256").update(publicKey).digest().subarray(0, SERIAL_BYTES);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40; // Positive, and never shorter than its bytes.
  const version = der(VERSION_TAG, der(INTEGER, Buffer.from([VERSION_3])));
  return der(SEQUENCE, version, der(INTEGER, serial), ED25519, NAME, VALIDITY, NAME, der(SEQUENCE, ED25519, bits(publicKey)));
}

/** The raw bytes of an Ed25519 key, private or public. */
export function rawPublicKey(key: KeyObject): Buffer {
  const isPublic = key.type === "public";
  return Buffer.from((isPublic ? key : createPublicKey(key)).export({ format: "jwk" }).x as string, "base64url");
}

/** The certificate of an Ed25519 private key, PEM. */
export function makeCertificate(privateKey: KeyObject): string {
  const publicKey = rawPublicKey(privateKey);
  const whole = sealed(publicKey, sign(null, toBeSigned(publicKey), privateKey));
  const lines = whole.toString("base64").match(/.{1,64}/g) as string[];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** The whole certificate, with whatever signature. */
function sealed(publicKey: Uint8Array, signature: Uint8Array): Buffer {
  return der(SEQUENCE, toBeSigned(publicKey), ED25519, bits(signature));
}

const CERTIFICATE_BYTES = sealed(Buffer.alloc(PUBLIC_KEY_BYTES), Buffer.alloc(SIGNATURE_BYTES)).length;
/** The key is the last thing that is signed; algorithm, length and unused bits stand between it and the signature. */
const KEY_AT = CERTIFICATE_BYTES - SIGNATURE_BYTES - (ED25519.length + 3) - PUBLIC_KEY_BYTES;

/**
 * The raw public key that a peer's certificate (DER) shows, or undefined when it is not of our shape or not signed with that key. Nothing
 * is parsed: what we would have written for the key that stands there is compared.
 */
export function keyOfCertificate(bytes: Uint8Array): Buffer | undefined {
  if (bytes.length !== CERTIFICATE_BYTES) return undefined;
  const raw = Buffer.from(bytes.subarray(KEY_AT, KEY_AT + PUBLIC_KEY_BYTES));
  const signature = bytes.subarray(CERTIFICATE_BYTES - SIGNATURE_BYTES);
  if (!sealed(raw, signature).equals(bytes)) return undefined;
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
  return verify(null, toBeSigned(raw), publicKey, signature) ? raw : undefined;
}
