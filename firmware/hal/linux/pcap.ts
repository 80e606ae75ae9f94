// A port over node-pcap, for NICs and systems without AF_XDP. Slower, but the same contract, and no event loop: the
// dataplane calls node-pcap's `dispatch` itself, from `receive`, and waits on its socket in the same `poll`.
//
//   kernel's capture ring ──dispatch──► callback: copy into a frame ──► queue ──► receive()
//   transmit() ──► list ──► flush(): one sendmmsg per 64 packets, over a packet socket of our own
//
// What node-pcap makes us do: `dispatch` does not end before the ring is empty, so the callback only copies (or counts, when
// the queue is full), which is faster than packets arrive; its buffer is one and reused, so we copy; it tells no
// descriptor, so we look for it; and a handle sees what we send through another socket, so we tell the kernel to spare us
// that (the filter `inbound` would do too, but libpcap applies a new filter to the first packets itself, where it knows no direction and drops them).
//
// The kernel's stack sees the same packets as we do. The shield (steering.ts) drops them there, also when we are dead.

import { createRequire } from "node:module";
import { FRAME_BYTES, PACKET_BYTES_MOST, RING_SLOTS } from "../../limits.ts";
import type { PlannedPort } from "../../plan.ts";
import { PORT_DOWN, PORT_GONE, PORT_UP, type Port } from "../contracts.ts";
import {
  CounterCells,
  RECEIVE_ERRORS,
  RECEIVE_MISSED,
  RECEIVED_BYTES,
  RECEIVED_PACKETS,
  TRANSMIT_FULL,
  TRANSMITTED_BYTES,
  TRANSMITTED_PACKETS,
} from "../counters.ts";
import type { FrameMemory } from "../packets.ts";
import { Device, type LinkWatch, prepareDevice } from "./device.ts";
import { HalError, systemReason } from "./failure.ts";
import { EMSGSIZE, loadNative, type Native } from "./native.ts";
import { attachShield } from "./steering.ts";

const MASK = RING_SLOTS - 1;
const RETRY_MICROS = 1_000_000;
const STATISTICS_MICROS = 500_000;
/** About as many packets as our queue holds, so that one dispatch seldom overflows it. */
const CAPTURE_BYTES = RING_SLOTS * FRAME_BYTES;
const ETHERTYPE_TWIN = 0x88b5;

/** node-pcap's native class, which its JavaScript wraps in an EventEmitter and an object per packet. */
interface PcapBinding {
  open_live(
    device: string,
    filter: string,
    bufferBytes: number,
    snapBytes: number,
    outputFile: string,
    onPacket: () => void,
    isMonitor: boolean,
    timeoutMillis: number,
    onWarning: (text: string) => void,
    isPromiscuous: boolean,
  ): string;
  dispatch(packet: Buffer, header: Buffer): number;
  stats(): { readonly ps_drop: number };
  close(): void;
}

export class PcapPort implements Port {
  readonly driver = "pcap";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly counters: CounterCells = new CounterCells();
  state: number = PORT_DOWN;
  /** node-pcap's socket, for `poll`; -1 while closed. */
  descriptor = -1;
  failure: HalError | undefined;
  /** Why the kernel's stack is not shielded; empty when it is. */
  shieldCause = "";

  private readonly native: Native = loadNative();
  private readonly planned: PlannedPort;
  private readonly number: number;
  private readonly memory: FrameMemory;
  private readonly watch: LinkWatch;
  private readonly management: readonly number[] | undefined;
  private readonly device: Device;
  private readonly cells: Float64Array;
  private readonly packet: Buffer = Buffer.alloc(FRAME_BYTES);
  private readonly header: Buffer = Buffer.alloc(16);
  private readonly headerWords: Int32Array;
  /** Received and not fetched: a ring of offsets and lengths. */
  private readonly queueOffsets: Int32Array = new Int32Array(RING_SLOTS);
  private readonly queueLengths: Int32Array = new Int32Array(RING_SLOTS);
  private queueHead = 0;
  private queueTail = 0;
  /** To be sent: entries sendFrom..sendCount-1. */
  private readonly sendOffsets: Int32Array = new Int32Array(RING_SLOTS);
  private readonly sendLengths: Int32Array = new Int32Array(RING_SLOTS);
  private sendFrom = 0;
  private sendCount = 0;

  private session: PcapBinding | undefined;
  private packetSocket = -1;
  private ifindex = 0;
  private seenGeneration = 0;
  private suspect = false;
  private retryAt = 0;
  private statisticsAt = 0;
  private missedByQueue = 0;
  private missedBefore = 0;

  constructor(planned: PlannedPort, memory: FrameMemory, watch: LinkWatch, management: readonly number[] | undefined) {
    this.planned = planned;
    this.number = planned.number;
    this.name = planned.device;
    this.mtuBytes = planned.mtuBytes;
    this.memory = memory;
    this.watch = watch;
    this.management = management;
    this.device = new Device(planned.device);
    this.mac = this.device.mac;
    this.cells = this.counters.cells;
    this.headerWords = new Int32Array(this.header.buffer, this.header.byteOffset, 4);
  }

  /** Opens the device. Throws HalError; nothing is left open then. */
  open(): void {
    try {
      prepareDevice(this.device, this.planned, this.management !== undefined);
      this.ifindex = this.device.index;
      this.shieldCause = attachShield(this.device, this.planned, this.management);
      this.packetSocket = this.native.packetOpen(this.ifindex, this.planned.kind === "data" ? 1 : 0);
      if (this.packetSocket < 0) throw this.pcapFailure(systemReason(this.packetSocket));
      this.openSession();
      this.state = this.device.state;
      this.failure = undefined;
    } catch (error) {
      this.shut();
      throw error;
    }
  }

  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number {
    if (this.queueHead === this.queueTail && this.session !== undefined && this.session.dispatch(this.packet, this.header) < 0) this.suspect = true;
    let received = 0;
    let bytes = 0;
    while (received < limit && this.queueHead !== this.queueTail) {
      const slot = this.queueHead & MASK;
      const offset = this.queueOffsets[slot] as number;
      this.memory.hand(offset, this.number);
      offsets[received] = offset;
      lengths[received] = this.queueLengths[slot] as number;
      bytes = (bytes + (lengths[received] as number)) | 0;
      received++;
      this.queueHead = (this.queueHead + 1) | 0;
    }
    this.cells[RECEIVED_PACKETS] = (this.cells[RECEIVED_PACKETS] as number) + received;
    this.cells[RECEIVED_BYTES] = (this.cells[RECEIVED_BYTES] as number) + bytes;
    return received;
  }

  transmit(offset: number, lengthBytes: number): boolean {
    if (this.state !== PORT_UP || this.sendCount === RING_SLOTS) {
      this.cells[TRANSMIT_FULL] = (this.cells[TRANSMIT_FULL] as number) + 1;
      return false;
    }
    this.memory.claim(offset, this.number);
    this.sendOffsets[this.sendCount] = offset;
    this.sendLengths[this.sendCount] = lengthBytes;
    this.sendCount++;
    return true;
  }

  flush(): void {
    while (this.sendFrom < this.sendCount) {
      const sent = this.native.packetSend(
        this.packetSocket,
        this.memory.buffer,
        this.sendOffsets,
        this.sendLengths,
        this.sendFrom,
        this.sendCount - this.sendFrom,
      );
      if (sent === 0) break;
      if (sent > 0) this.release(sent, true);
      else this.release(sent === EMSGSIZE ? 1 : this.sendCount - this.sendFrom, false);
      if (sent < 0 && sent !== EMSGSIZE) this.suspect = true;
    }
    if (this.sendFrom === 0) return;
    this.sendOffsets.copyWithin(0, this.sendFrom, this.sendCount);
    this.sendLengths.copyWithin(0, this.sendFrom, this.sendCount);
    this.sendCount -= this.sendFrom;
    this.sendFrom = 0;
  }

  service(nowMicros: number): void {
    this.watch.poll(nowMicros);
    if (this.session !== undefined) {
      if (this.suspect || this.seenGeneration !== this.watch.generation) this.lookAtDevice(nowMicros);
      else if (nowMicros >= this.statisticsAt) this.readStatistics(this.session, nowMicros);
      return;
    }
    if (this.seenGeneration === this.watch.generation && nowMicros < this.retryAt) return;
    this.seenGeneration = this.watch.generation;
    this.retryAt = nowMicros + RETRY_MICROS;
    try {
      this.open();
    } catch (error) {
      if (!(error instanceof HalError)) throw error;
      this.failure = error;
      this.state = error.code === "PORT_NO_DEVICE" ? PORT_GONE : PORT_DOWN;
    }
  }

  discardBacklog(): number {
    let discarded = 0;
    if (this.session !== undefined) this.session.dispatch(this.packet, this.header);
    while (this.queueHead !== this.queueTail) {
      this.memory.recycle(this.queueOffsets[this.queueHead & MASK] as number, this.number);
      this.queueHead = (this.queueHead + 1) | 0;
      discarded++;
    }
    return discarded;
  }

  /** Closes the capture. The shield stays: the device passes nothing until `releasePorts`. */
  close(): void {
    this.shut();
    this.state = PORT_DOWN;
  }

  private readonly onPacket = (): void => {
    const captured = this.headerWords[2] as number;
    const length = this.headerWords[3] as number;
    if (length > PACKET_BYTES_MOST || captured !== length) {
      this.cells[RECEIVE_ERRORS] = (this.cells[RECEIVE_ERRORS] as number) + 1;
      return;
    }
    const offset = ((this.queueTail - this.queueHead) | 0) < RING_SLOTS ? this.memory.take() : -1;
    if (offset < 0) {
      this.missedByQueue++;
      return;
    }
    this.packet.copy(this.memory.bytes, offset, 0, length);
    this.memory.claim(offset, this.number);
    this.queueOffsets[this.queueTail & MASK] = offset;
    this.queueLengths[this.queueTail & MASK] = length;
    this.queueTail = (this.queueTail + 1) | 0;
  };

  /** Frees the first `count` packets of the send list. */
  private release(count: number, wereSent: boolean): void {
    for (let k = 0; k < count; k++) {
      this.memory.recycle(this.sendOffsets[this.sendFrom] as number, this.number);
      if (wereSent) this.cells[TRANSMITTED_BYTES] = (this.cells[TRANSMITTED_BYTES] as number) + (this.sendLengths[this.sendFrom] as number);
      this.sendFrom++;
    }
    const counter = wereSent ? TRANSMITTED_PACKETS : TRANSMIT_FULL;
    this.cells[counter] = (this.cells[counter] as number) + count;
  }

  private lookAtDevice(nowMicros: number): void {
    this.seenGeneration = this.watch.generation;
    this.suspect = false;
    if (this.device.read() && this.device.index === this.ifindex) {
      this.state = this.device.state;
      return;
    }
    this.shut();
    this.state = PORT_GONE;
    this.retryAt = nowMicros;
  }

  private readStatistics(session: PcapBinding, nowMicros: number): void {
    this.statisticsAt = nowMicros + STATISTICS_MICROS;
    this.cells[RECEIVE_MISSED] = this.missedBefore + this.missedByQueue + session.stats().ps_drop;
  }

  private openSession(): void {
    const session = newBinding();
    const warn = (): void => {};
    try {
      const type = session.open_live(this.name, this.filter(), CAPTURE_BYTES, FRAME_BYTES, "", this.onPacket, false, 0, warn, this.planned.kind === "data");
      if (type !== "LINKTYPE_ETHERNET") throw new Error(`it is no Ethernet device but ${type}`);
    } catch (error) {
      throw this.pcapFailure(error instanceof Error ? error.message : String(error));
    }
    this.session = session;
    this.descriptor = this.native.packetCapture(this.ifindex);
    if (this.descriptor < 0) throw this.pcapFailure(`its socket: ${systemReason(this.descriptor)}`);
    // What was sent on the device before the socket learnt to ignore it.
    this.discardBacklog();
  }

  private filter(): string {
    if (this.planned.kind === "twin") return `ether proto ${ETHERTYPE_TWIN}`;
    const { management } = this;
    if (management === undefined) return "";
    const bytes = management.slice(12);
    const isMapped = management[10] === 0xff && management[11] === 0xff;
    const groups = Array.from({ length: 8 }, (_, k) => (((management[2 * k] ?? 0) << 8) | (management[2 * k + 1] ?? 0)).toString(16));
    return isMapped ? `not (ip dst host ${bytes.join(".")} or arp dst host ${bytes.join(".")})` : `not ip6 dst host ${groups.join(":")}`;
  }

  private pcapFailure(cause: string): HalError {
    return new HalError("PORT_PCAP", `port ${this.number} (${this.name}): node-pcap cannot open the device (${cause})`);
  }

  private shut(): void {
    if (this.session !== undefined) {
      this.session.close();
      // `close` only asks; the next dispatch sees it and closes the handle.
      this.session.dispatch(this.packet, this.header);
    }
    if (this.packetSocket >= 0) this.native.descriptorClose(this.packetSocket);
    this.missedBefore = this.counters.receiveMissed;
    this.missedByQueue = 0;
    this.session = undefined;
    this.packetSocket = -1;
    this.descriptor = -1;
    this.queueHead = 0;
    this.queueTail = 0;
    this.sendFrom = 0;
    this.sendCount = 0;
    this.memory.sweep(this.number);
  }
}

function newBinding(): PcapBinding {
  try {
    const binding = createRequire(import.meta.url)("pcap/build/Release/pcap_binding.node") as { PcapSession: new () => PcapBinding };
    return new binding.PcapSession();
  } catch (error) {
    const cause = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new HalError("PORT_PCAP", `node-pcap is not to be had (${cause}): run node image/prepare.mjs`);
  }
}
