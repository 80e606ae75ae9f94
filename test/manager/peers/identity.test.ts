// A unit's identity: made once, kept to itself, and shown to others in exactly one shape.

import { spawnSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { keyOfCertificate, makeCertificate, rawPublicKey } from "../../../firmware/manager/peers/certificate.ts";
import { fingerprintOf, identityFile, makeIdentity, openIdentity } from "../../../firmware/manager/peers/identity.ts";

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), "twinwall-identity-"));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

/** RFC 8032 §7.1, test 1. */
const KEY = createPrivateKey({
  key: Buffer.from("302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex"),
  format: "der",
  type: "pkcs8",
});
const PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

test("the certificate is what X.509 asks for, signed with its own key", async (t) => {
  const certificate = new X509Certificate(makeCertificate(KEY));
  t.equal(certificate.subject, "CN=twinwall");
  t.equal(certificate.issuer, "CN=twinwall");
  t.equal(certificate.validFrom, "Jan  1 00:00:00 1970 GMT");
  t.equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
  t.ok(certificate.verify(certificate.publicKey));
  t.ok(certificate.checkIssued(certificate));
  t.equal(rawPublicKey(certificate.publicKey).toString("hex"), PUBLIC);
});

test("openssl reads it as we do", { skip: spawnSync("openssl", ["version"]).status !== 0 && "no openssl here" }, async (t) => {
  const file = join(directory(t), "certificate.pem");
  writeFileSync(file, makeCertificate(KEY));
  const { stdout } = spawnSync("openssl", ["x509", "-in", file, "-noout", "-text"], { encoding: "utf8" });
  for (const part of ["Version: 3", "Signature Algorithm: ED25519", "Not After : Dec 31 23:59:59 9999 GMT"]) t.match(stdout, part);
  t.equal(spawnSync("openssl", ["verify", "-check_ss_sig", "-CAfile", file, file]).status, 0);
});

test("the same key makes the same certificate: it says nothing else", async (t) => {
  t.equal(makeCertificate(KEY), makeCertificate(KEY));
  t.equal(keyOfCertificate(new X509Certificate(makeCertificate(KEY)).raw)?.toString("hex"), PUBLIC);
});

test("a certificate that was altered in any one byte, or says anything else, is none", async (t) => {
  const { raw } = new X509Certificate(makeCertificate(KEY));
  for (let k = 0; k < raw.length; k++) {
    const altered = Buffer.from(raw);
    altered[k] = (altered[k] as number) ^ 1;
    t.equal(keyOfCertificate(altered), undefined, `byte ${k}`);
  }
  t.equal(keyOfCertificate(Buffer.concat([raw, Buffer.alloc(1)])), undefined);
  t.equal(keyOfCertificate(Buffer.alloc(0)), undefined);
});

test("an identity is made at the first start, and stays", async (t) => {
  const data = directory(t);
  const identity = openIdentity(data);
  t.equal(statSync(identityFile(data)).mode & 0o777, 0o600);
  t.same(openIdentity(data), identity);
  t.not(makeIdentity(data).fingerprint, identity.fingerprint, "another one is another one");
});

test("an identity that others may read, or that is damaged, is refused and not replaced", async (t) => {
  const data = directory(t);
  openIdentity(data);
  chmodSync(identityFile(data), 0o640);
  t.throws(() => openIdentity(data), { message: /mode 0640\) \[identity-open\]/ });
  chmodSync(identityFile(data), 0o600);
  writeFileSync(identityFile(data), "-----BEGIN");
  t.throws(() => openIdentity(data), { message: /\[identity-damaged\]/ });
  t.equal(readFileSync(identityFile(data), "utf8"), "-----BEGIN");
});

test("a fingerprint is six groups of four, of characters that nobody confuses", async (t) => {
  t.equal(fingerprintOf(Buffer.from(PUBLIC, "hex")), "69z5-5rx3-ckj8-4smd-z3c2-avyk");
  t.not(fingerprintOf(Buffer.alloc(32, 1)), fingerprintOf(Buffer.alloc(32, 2)));
});
