// TLS for the control channel: 1.3 and nothing older, both sides with a certificate that is no more than a public key
// (certificate.ts), which has to be one that is trusted. No certificate authority, no names, no clock, no resumption (a ticket
// would let an un-paired unit in without showing its key).
//
//   the lower unit dials       TCP on the twin port's link-local IPv6 address, which does not leave the link
//   ALPN                       what the connection is for: control, or pairing while a person has opened that
//   key exchange               X25519MLKEM768: what is recorded today stays closed to tomorrow's machines
//
// Who is not let in is told nothing. Every refusal has a code, and is counted.

import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import { PAIR_SECRET_BYTES } from "../../pair-keys.ts";
import { keyOfCertificate } from "./certificate.ts";
import type { Transport } from "./conversation.ts";
import type { Identity } from "./identity.ts";
import { CONTROL_PORT, HANDSHAKE_MILLIS, HANDSHAKES_MOST } from "./limits.ts";
import type { Refusal } from "./refusals.ts";

export const ALPN_CONTROL = "twinwall-control/1";
export const ALPN_PAIRING = "twinwall-pairing/1";
const VERSION = "TLSv1.3";
const CIPHERS = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
const GROUPS = "X25519MLKEM768:X25519";
const EXPORTER_CONTROL = "EXPORTER-twinwall-pair-secret";
const EXPORTER_PAIRING = "EXPORTER-twinwall-pairing";
const LISTEN_AGAIN_MILLIS = 1_000;
/** What OpenSSL and Node call it, where it is more than "handshake". */
const HANDSHAKE_REFUSALS: Readonly<Record<string, Refusal>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: "handshake-slow",
  ERR_SSL_NO_APPLICATION_PROTOCOL: "purpose",
};
const GOODBYE_MILLIS = 1_000;

/** A connection whose other end has shown `publicKey`. */
export interface Secured {
  readonly publicKey: Buffer;
  readonly isPairing: boolean;
  /** PAIR_SECRET_BYTES that both ends, and nobody else, know. */
  readonly exporter: Buffer;
  readonly isDialer: boolean;
  readonly transport: Transport;
  /** Bytes and the end go to whoever takes it; until then nothing is read. */
  listen(onBytes: (bytes: Buffer) => void, onEnd: (reason: string) => void): void;
}

export interface TlsOwner {
  /** As it is now: it may be renewed. */
  identity(): Identity;
  /** Is there somebody to talk to for this purpose now? */
  mayPair(): boolean;
  /** Takes the connection, or says why not. */
  accept(secured: Secured): Refusal | undefined;
  /** `publicKey`: undefined when it showed none. */
  onRefused(refusal: Refusal, address: string, publicKey: Buffer | undefined): void;
}

function common(owner: TlsOwner) {
  const identity = owner.identity();
  return {
    key: identity.privateKey,
    cert: identity.certificate,
    minVersion: VERSION,
    maxVersion: VERSION,
    ciphers: CIPHERS,
    ecdhCurve: GROUPS,
    sigalgs: "ed25519",
    requestCert: true,
    // There is no authority to ask: `secure` looks at the key itself.
    rejectUnauthorized: false,
  } as const satisfies TlsOptions;
}

/** The link-local address of a device with its scope, or undefined while it has none. */
export function linkLocalOf(device: string): string | undefined {
  const found = networkInterfaces()[device]?.find(({ family, address }) => family === "IPv6" && address.startsWith("fe80:"));
  return found === undefined ? undefined : `${found.address}%${device}`;
}

/** Looks at who is on the other end; hands the connection over, or ends it. */
function secure(socket: TLSSocket, owner: TlsOwner, isDialer: boolean): void {
  const certificate = socket.getPeerX509Certificate();
  const publicKey = certificate === undefined ? undefined : keyOfCertificate(certificate.raw);
  const refusal = judge(socket, owner, isDialer, publicKey);
  if (refusal === undefined) return;
  const address = socket.remoteAddress ?? "";
  socket.destroy();
  owner.onRefused(refusal, address, publicKey);
}

function judge(socket: TLSSocket, owner: TlsOwner, isDialer: boolean, publicKey: Buffer | undefined): Refusal | undefined {
  const isPairing = socket.alpnProtocol === ALPN_PAIRING;
  if (socket.getProtocol() !== VERSION || (!isPairing && socket.alpnProtocol !== ALPN_CONTROL)) return "handshake";
  if (socket.isSessionReused()) return "resumed";
  if (publicKey === undefined) return "certificate";
  if (isPairing && !owner.mayPair()) return "purpose";
  const exporter = socket.exportKeyingMaterial(PAIR_SECRET_BYTES, isPairing ? EXPORTER_PAIRING : EXPORTER_CONTROL, Buffer.alloc(0));
  socket.setNoDelay(true);
  return owner.accept({ publicKey, isPairing, exporter, isDialer, transport: transportOf(socket), listen: (...to) => listenTo(socket, ...to) });
}

function transportOf(socket: TLSSocket): Transport {
  return {
    write: (bytes) => void socket.write(bytes),
    unsentBytes: () => socket.writableLength,
    // What was written last still leaves, if the other side takes it soon.
    close: () => {
      socket.end();
      setTimeout(() => socket.destroy(), GOODBYE_MILLIS).unref();
    },
  };
}

function listenTo(socket: TLSSocket, onBytes: (bytes: Buffer) => void, onEnd: (reason: string) => void): void {
  let reason = "closed: the other side ended it";
  socket.on("error", (error) => {
    reason = `error: ${error.message}`;
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => onEnd(reason));
  socket.on("data", onBytes);
}

function endOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

export interface Listener {
  /** Listens anew, with the identity as it is now. */
  renew(): void;
  close(): void;
}

/** Listens on an address that may not be there yet, or not any more. `address`: undefined while there is none. */
export function listenForPeers(
  address: () => string | undefined,
  owner: TlsOwner,
  port = CONTROL_PORT,
  onListening: (port: number) => void = () => {},
): Listener {
  let server: Server | undefined;
  let bound: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  /** Connections whose handshake is not over, by the other end's address and port; the oldest first. */
  const handshakes = new Map<string, Socket>();
  const open = (host: string): void => {
    const fresh = createServer({
      ...common(owner),
      handshakeTimeout: HANDSHAKE_MILLIS,
      ALPNCallback: ({ protocols }) => protocols.find((name) => name === ALPN_CONTROL || (name === ALPN_PAIRING && owner.mayPair())),
    });
    server = fresh;
    bound = host;
    fresh.on("connection", (raw) => {
      const end = endOf(raw);
      handshakes.set(end, raw);
      raw.once("close", () => handshakes.delete(end));
      if (handshakes.size <= HANDSHAKES_MOST) return;
      // The oldest goes, not the newest: a handshake takes milliseconds, and whoever belongs here must get in through any crowd.
      const [oldest] = handshakes.values();
      owner.onRefused("handshakes-many", oldest?.remoteAddress ?? "", undefined);
      oldest?.destroy();
    });
    fresh.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      handshakes.delete(endOf(socket));
      secure(socket, owner, false);
    });
    fresh.on("tlsClientError", (error, socket) => {
      owner.onRefused(HANDSHAKE_REFUSALS[(error as NodeJS.ErrnoException).code ?? ""] ?? "handshake", socket.remoteAddress ?? "somebody", undefined);
      socket.destroy();
    });
    fresh.on("error", () => shut());
    fresh.listen({ host, port }, () => onListening((fresh.address() as { port: number }).port));
  };
  const shut = (): void => {
    server?.close();
    server = undefined;
    bound = undefined;
  };
  const look = (): void => {
    const wanted = address();
    if (wanted !== bound) shut();
    if (server === undefined && wanted !== undefined) open(wanted);
    if (!isClosed) timer = setTimeout(look, LISTEN_AGAIN_MILLIS);
  };
  look();
  return {
    renew: shut,
    close() {
      isClosed = true;
      clearTimeout(timer);
      shut();
    },
  };
}

/** Dials a unit at an address (with its scope). `onDone`: the attempt is over; true: somebody took the connection. */
export function dialPeer(host: string, owner: TlsOwner, isPairing: boolean, onDone: (isTaken: boolean) => void, port = CONTROL_PORT): void {
  let isSecured = false;
  let isDone = false;
  const done = (isTaken: boolean): void => {
    if (!isDone) onDone(isTaken);
    isDone = true;
  };
  const socket = connect({
    ...common(owner),
    host,
    port,
    ALPNProtocols: [isPairing ? ALPN_PAIRING : ALPN_CONTROL],
    checkServerIdentity: () => undefined,
    timeout: HANDSHAKE_MILLIS,
  });
  socket.once("timeout", () => {
    if (!isSecured) socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.once("close", () => {
    if (!isSecured) done(false);
  });
  socket.once("secureConnect", () => {
    isSecured = true;
    socket.setTimeout(0);
    secure(socket, owner, true);
    done(!socket.destroyed);
  });
}
