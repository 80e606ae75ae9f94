// One connection between two managers, as messages: without a socket, so that a test can be one.
//
//    length 4, big-endian │ JSON, UTF-8: an object with `kind` …
//
// A frame that is too long, no JSON or no message ends the conversation; so does one that takes too long to arrive, and silence.
// Until the other side's first message little is accepted: whoever is on the other end has shown a key, and no more.

import { BEFORE_HELLO_BYTES_MOST, FRAME_MILLIS_MOST, MESSAGE_BYTES_MOST, PING_MILLIS, SILENCE_MILLIS, UNSENT_BYTES_MOST } from "./limits.ts";

const LENGTH_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** What managers say to each other. `kind` decides who handles it. */
export interface Message {
  readonly kind: string;
  readonly [key: string]: unknown;
}

/** What a conversation needs of its connection. */
export interface Transport {
  write(bytes: Buffer): void;
  /** Bytes written that have not left yet. */
  unsentBytes(): number;
  close(): void;
}

export interface ConversationOptions {
  readonly transport: Transport;
  readonly nowMillis: number;
  onMessage(message: Message): void;
  /** Once. `reason`: a code and a sentence; for people. */
  onClosed(reason: string): void;
}

export class Conversation {
  /** The other side has said who it is: longer messages are welcome. */
  isOpen = false;
  private readonly options: ConversationOptions;
  private isClosed = false;
  private held: Buffer[] = [];
  private heldBytes = 0;
  /** Bytes of the frame that is arriving, its length included; 0: not known yet. */
  private wantedBytes = 0;
  private frameSinceMillis = 0;
  private heardAtMillis: number;
  private saidAtMillis: number;
  private nowMillis: number;

  constructor(options: ConversationOptions) {
    this.options = options;
    this.nowMillis = options.nowMillis;
    this.heardAtMillis = options.nowMillis;
    this.saidAtMillis = options.nowMillis;
  }

  /** False: it is closed, closes now because the other side does not read, or the message is too long. */
  send(message: Message): boolean {
    if (this.isClosed) return false;
    const text = Buffer.from(JSON.stringify(message));
    if (text.length > MESSAGE_BYTES_MOST) return false;
    const { transport } = this.options;
    if (transport.unsentBytes() + text.length > UNSENT_BYTES_MOST) {
      this.close("not-reading: the other side takes nothing in");
      return false;
    }
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + text.length);
    frame.writeUInt32BE(text.length, 0);
    text.copy(frame, LENGTH_BYTES);
    transport.write(frame);
    this.saidAtMillis = this.nowMillis;
    return true;
  }

  /** Bytes came in, cut anywhere. */
  receive(bytes: Buffer, nowMillis: number): void {
    this.nowMillis = nowMillis;
    if (this.isClosed) return;
    if (this.heldBytes === 0) this.frameSinceMillis = nowMillis;
    this.held.push(bytes);
    this.heldBytes += bytes.length;
    while (!this.isClosed && this.takeFrame());
  }

  /** Now and then: keeps alive, and notices who is not. */
  tick(nowMillis: number): void {
    this.nowMillis = nowMillis;
    if (this.isClosed) return;
    if (this.heldBytes > 0 && nowMillis - this.frameSinceMillis > FRAME_MILLIS_MOST) this.close("frame-slow: a message did not arrive in time");
    else if (this.heldBytes === 0 && nowMillis - this.heardAtMillis > SILENCE_MILLIS) this.close("silent: nothing was heard");
    else if (nowMillis - this.saidAtMillis >= PING_MILLIS) this.send({ kind: "ping" });
  }

  /** Ends it from this side, or because the connection has ended. */
  close(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.held = [];
    this.options.transport.close();
    this.options.onClosed(reason);
  }

  private takeFrame(): boolean {
    if (this.wantedBytes === 0) {
      if (this.heldBytes < LENGTH_BYTES) return false;
      const length = this.joined().readUInt32BE(0);
      if (length === 0 || length > (this.isOpen ? MESSAGE_BYTES_MOST : BEFORE_HELLO_BYTES_MOST)) {
        this.close(`frame-oversize: a message of ${length} bytes`);
        return false;
      }
      this.wantedBytes = LENGTH_BYTES + length;
    }
    if (this.heldBytes < this.wantedBytes) return false;
    const all = this.joined();
    const text = all.subarray(LENGTH_BYTES, this.wantedBytes);
    const rest = all.subarray(this.wantedBytes);
    this.held = rest.length > 0 ? [rest] : [];
    this.heldBytes = rest.length;
    this.wantedBytes = 0;
    this.frameSinceMillis = this.nowMillis;
    this.heardAtMillis = this.nowMillis;
    const message = parseMessage(text);
    if (message === undefined) this.close("frame-garbage: what came is no message");
    else if (message.kind !== "ping") this.options.onMessage(message);
    return this.heldBytes > 0;
  }

  private joined(): Buffer {
    const all = this.held.length === 1 ? (this.held[0] ?? NOTHING) : Buffer.concat(this.held);
    this.held = [all];
    return all;
  }
}

function parseMessage(text: Buffer): Message | undefined {
  try {
    const value = JSON.parse(text.toString("utf8")) as Message | null;
    return typeof value === "object" && value !== null && typeof value.kind === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
