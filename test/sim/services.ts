// What hosts do for and with each other: downloads over TCP, requests and answers over UDP, ping. Each activity keeps its own
// account, which scenarios and invariants read.
//
// A download: the client sends {stream, response bytes, upload bytes} and the upload; the server answers with the stream's
// bytes and closes; the client compares every byte and closes.

import type { ConnectOptions, Host } from "./host.ts";
import { type Address, ICMP, ICMPV6, put16, put32, TCP, UDP, u16, u32 } from "./packets.ts";
import type { TcpConnection, TcpEnd, TcpUser } from "./tcp.ts";

export const DOWNLOAD_PORT = 8080;
export const ECHO_PORT = 7007;
const REQUEST_BYTES = 12;
/** Uploads come from a stream of their own. */
const UPLOAD_STREAM = 1_000_003;

export interface Transfer {
  readonly client: Host;
  readonly wantedBytes: number;
  connection: TcpConnection;
  established: boolean;
  receivedBytes: number;
  startedMicros: number;
  lastMicros: number;
  /** Longest time without a byte, between the first and the last. */
  gapMicros: number;
  end: TcpEnd | null;
  /** Every byte came, and was right. */
  complete: boolean;
}

/** Serves downloads and takes uploads. */
export function serveDownloads(host: Host, port = DOWNLOAD_PORT): void {
  const wanted = new Map<TcpConnection, { stream: number; bytes: number }>();
  const fill: ConnectOptions["fill"] = (connection, position, target, at, length) => {
    host.world.content.copy(wanted.get(connection)?.stream ?? 0, position, target, at, length);
  };
  const service = (connection: TcpConnection): TcpUser => {
    const head = new Uint8Array(REQUEST_BYTES);
    let upload = -1;
    let taken = 0;
    return {
      opened: () => {},
      data: (_connection, bytes, position) => {
        for (let k = 0; k < bytes.length && position + k < REQUEST_BYTES; k++) head[position + k] = bytes[k] as number;
        taken += bytes.length;
        if (taken < REQUEST_BYTES) return;
        const stream = u32(head, 0);
        const body = bytes.subarray(Math.max(0, REQUEST_BYTES - position));
        const bodyPosition = Math.max(0, position - REQUEST_BYTES);
        if (!host.world.content.matches(stream + UPLOAD_STREAM, bodyPosition, body))
          host.world.violate(`${host.name}: an uploaded byte is wrong after ${bodyPosition}`);
        if (upload < 0) {
          upload = u32(head, 8);
          wanted.set(connection, { stream, bytes: u32(head, 4) });
          connection.send(u32(head, 4));
        }
        if (taken === REQUEST_BYTES + upload) connection.finish();
      },
      finished: () => connection.finish(),
      ended: () => wanted.delete(connection),
    };
  };
  host.listen(port, service, fill);
}

export interface DownloadOptions {
  readonly bytes: number;
  readonly uploadBytes?: number;
  readonly port?: number;
  readonly windowBytes?: number;
  readonly localPort?: number;
}

/** Starts a download. */
export function download(client: Host, server: Address, options: DownloadOptions): Transfer {
  const { world } = client;
  const upload = options.uploadBytes ?? 0;
  const stream = client.ephemeralPort();
  const head = new Uint8Array(REQUEST_BYTES);
  put32(head, 0, stream);
  put32(head, 4, options.bytes);
  put32(head, 8, upload);
  const now = world.schedule.nowMicros;
  let isFinished = false;
  const user: TcpUser = {
    opened: (connection) => {
      transfer.established = true;
      connection.send(REQUEST_BYTES + upload);
    },
    data: (_connection, bytes, position) => {
      if (!world.content.matches(stream, position, bytes)) world.violate(`${client.name}: a byte is wrong between ${position} and ${position + bytes.length}`);
      const at = world.schedule.nowMicros;
      if (transfer.receivedBytes > 0) transfer.gapMicros = Math.max(transfer.gapMicros, at - transfer.lastMicros);
      transfer.lastMicros = at;
      transfer.receivedBytes += bytes.length;
    },
    finished: (connection) => {
      isFinished = true;
      connection.finish();
    },
    ended: (_connection, end) => {
      transfer.end = end;
      // The server closes when it has the whole upload; that its last acknowledgement may be lost for good is TCP's own affair.
      transfer.complete = isFinished && transfer.receivedBytes === options.bytes;
    },
  };
  const fill: ConnectOptions["fill"] = (_connection, position, target, at, length) => {
    const fromHead = Math.max(0, Math.min(length, REQUEST_BYTES - position));
    target.set(head.subarray(position, position + fromHead), at);
    world.content.copy(stream + UPLOAD_STREAM, Math.max(0, position - REQUEST_BYTES), target, at + fromHead, length - fromHead);
  };
  const transfer: Transfer = {
    client,
    wantedBytes: options.bytes,
    connection: null as unknown as TcpConnection,
    established: false,
    receivedBytes: 0,
    startedMicros: now,
    lastMicros: now,
    gapMicros: 0,
    end: null,
    complete: false,
  };
  const ports = options.localPort === undefined ? {} : { localPort: options.localPort };
  const window = options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes };
  transfer.connection = client.connect(server, options.port ?? DOWNLOAD_PORT, { user, fill, ...ports, ...window });
  return transfer;
}

/** Answers each datagram with itself. */
export function serveEcho(host: Host, port = ECHO_PORT): void {
  host.udp.set(port, (payload, from, fromPort) => host.sendUdp(from, fromPort, port, payload.slice()));
}

/** One request that wants one answer. */
export interface Exchange {
  readonly kind: "udp" | "ping";
  answers: number;
  sentMicros: number;
  answeredMicros: number;
}

/** Sends a datagram from a port of its own and waits for its echo. */
export function exchange(client: Host, server: Address, options: { port?: number; bytes?: number; localPort?: number } = {}): Exchange {
  const localPort = options.localPort ?? client.ephemeralPort();
  const payload = new Uint8Array(options.bytes ?? 32);
  client.world.content.copy(localPort, 0, payload, 0, payload.length);
  const result: Exchange = { kind: "udp", answers: 0, sentMicros: client.world.schedule.nowMicros, answeredMicros: 0 };
  const port = options.port ?? ECHO_PORT;
  client.udp.set(localPort, (answer, _from, fromPort) => {
    // A mirrored datagram of another flow may reach this port.
    if (fromPort !== port) return;
    if (Buffer.compare(answer, payload) !== 0) client.world.violate(`${client.name}: a datagram came back changed`);
    result.answers++;
    result.answeredMicros = client.world.schedule.nowMicros;
  });
  client.sendUdp(server, port, localPort, payload);
  return result;
}

/** Pings; answers are matched by identifier. */
export class Pinger {
  private readonly host: Host;
  private readonly waiting = new Map<number, Exchange>();
  private nextIdentifier: number;
  /** ICMP errors that came in, by type and code. */
  readonly errors: { readonly type: number; readonly code: number; readonly protocol: number }[] = [];

  constructor(host: Host) {
    this.host = host;
    this.nextIdentifier = host.world.random.fork(`ping ${host.name}`).below(0x10000);
    host.onIcmp = (packet, frame) => {
      const type = frame[packet.at] as number;
      const reply = packet.protocol === ICMP ? 0 : 129;
      if (type !== reply) {
        this.errors.push({ type, code: frame[packet.at + 1] as number, protocol: packet.protocol });
        return;
      }
      const result = this.waiting.get(u16(frame, packet.at + 4));
      if (result === undefined) return;
      result.answers++;
      result.answeredMicros = host.world.schedule.nowMicros;
    };
  }

  ping(to: Address, bytes = 32): Exchange {
    this.nextIdentifier = (this.nextIdentifier + 1) & 0xffff;
    const result: Exchange = { kind: "ping", answers: 0, sentMicros: this.host.world.schedule.nowMicros, answeredMicros: 0 };
    this.waiting.set(this.nextIdentifier, result);
    this.host.sendEcho(to, this.nextIdentifier, 1, new Uint8Array(bytes));
    return result;
  }
}

/** A lone TCP segment that belongs to no connection: a scan, or a forgery. */
export function sendStraySegment(host: Host, to: Address, fromPort: number, toPort: number, flags: number, seq: number, ack: number): void {
  const segment = new Uint8Array(20);
  put16(segment, 0, fromPort);
  put16(segment, 2, toPort);
  put32(segment, 4, seq);
  put32(segment, 8, ack);
  segment[12] = 5 << 4;
  segment[13] = flags;
  put16(segment, 14, 0xffff);
  host.send(host.addressOf(to.v4), to, TCP, segment);
}

/** Protocols whose ports the policy looks at. */
export const PORT_PROTOCOLS: readonly number[] = [TCP, UDP];
export const ICMP_PROTOCOLS: readonly number[] = [ICMP, ICMPV6];
