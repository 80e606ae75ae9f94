// A port over an AF_XDP socket. Four rings lie in the port's window (addon/afxdp.c) as words of one Int32Array; only
// bind, kick and statistics are calls into C.
//
//            fill ring                rx ring                          tx ring               completion ring
//   free ──► frames for the kernel ─► packets ─► in hand ─► … ─► packets to send ─► kernel ─► sent frames ─► free
//            refill()                 receive()                transmit()        flush()      reap()
//
// Each ring is single producer, single consumer: our own index is a plain field, published by one Atomics.store per
// batch; the kernel's is read by one Atomics.load. A closed port's window is zero pages, so its rings read as empty.
//
//   ABSENT ──device there──► STEER ──program attached──► SOCKET ──area registered──► BIND ──bound──► OPEN
//      ▲                       │ failed: again in 1 s        │                        │ EBUSY: again    │
//      └───────────────────────┴─────────────────────────────┴────────────────────────┴── device gone ──┘
//
// One step per `service`, so that no step takes long; the constructor's caller takes them all at once (`open`).

import { FRAME_BYTES, FRAME_HEADROOM_BYTES, PACKET_BYTES_MOST, RING_SLOTS, TWIN_RING_FRAMES } from "../../limits.ts";
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
import { EBUSY, ENODEV, loadNative, type Native } from "./native.ts";
import { checkOffloads } from "./offloads.ts";
import { attachSteering, type Steering } from "./steering.ts";

const ABSENT = 0;
const STEER = 1;
const SOCKET = 2;
const BIND = 3;
const OPEN = 4;

const MASK = RING_SLOTS - 1;
const QUEUE = 0;
/** What the kernel keeps before the headroom that we ask for (XDP_PACKET_HEADROOM). */
const KERNEL_HEADROOM_BYTES = 256;
const RETRY_MICROS = 1_000_000;
const STATISTICS_MICROS = 500_000;
/** XDP_RING_NEED_WAKEUP. */
const NEED_WAKEUP = 1;

/** Word indexes of `xdpOpen`'s layout: per ring producer, consumer, flags, first slot. */
const RX = 0;
const TX = 4;
const FILL = 8;
const COMPLETION = 12;
const LAYOUT_WORDS = 16;

export class AfxdpPort implements Port {
  readonly driver = "afxdp";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly counters: CounterCells = new CounterCells();
  state: number = PORT_DOWN;
  /** The socket, for `poll`; -1 while closed. */
  descriptor = -1;
  /** Set while the port is not open for a reason that a person should hear of. */
  failure: HalError | undefined;
  steering: Steering | undefined;

  private readonly native: Native = loadNative();
  private readonly planned: PlannedPort;
  private readonly number: number;
  /** Frames that may wait for the device. */
  private readonly transmitFrames: number;
  private readonly memory: FrameMemory;
  private readonly watch: LinkWatch;
  private readonly management: readonly number[] | undefined;
  private readonly device: Device;
  private readonly cells: Float64Array;
  private readonly window: ArrayBuffer;
  private readonly words: Int32Array;
  private readonly layout: Int32Array = new Int32Array(LAYOUT_WORDS);
  private readonly missedCell: Float64Array = new Float64Array(1);
  private missedBefore = 0;

  private stage: number = ABSENT;
  private socket = -1;
  private packetSocket = -1;
  private ifindex = 0;
  private seenGeneration = 0;
  private suspect = false;
  private retryAt = 0;
  private statisticsAt = 0;

  // Words of the window.
  private rxProducerWord = 0;
  private rxConsumerWord = 0;
  private rxSlot = 0;
  private txProducerWord = 0;
  private txConsumerWord = 0;
  private txFlagsWord = 0;
  private txSlot = 0;
  private fillProducerWord = 0;
  private fillSlot = 0;
  private completionProducerWord = 0;
  private completionConsumerWord = 0;
  private completionSlot = 0;
  // Our own indexes, wrapping int32 like the kernel's; and its tx index as last read.
  private rxConsumer = 0;
  private txProducer = 0;
  private txPublished = 0;
  private txConsumerSeen = 0;
  private fillProducer = 0;
  private completionConsumer = 0;

  constructor(planned: PlannedPort, memory: FrameMemory, watch: LinkWatch, management: readonly number[] | undefined) {
    this.planned = planned;
    this.number = planned.number;
    this.transmitFrames = planned.kind === "twin" ? TWIN_RING_FRAMES : RING_SLOTS;
    this.name = planned.device;
    this.mtuBytes = planned.mtuBytes;
    this.memory = memory;
    this.watch = watch;
    this.management = management;
    this.device = new Device(planned.device);
    this.mac = this.device.mac;
    this.cells = this.counters.cells;
    this.window = this.native.xdpWindow();
    this.words = new Int32Array(this.window);
  }

  /**
   * Takes all steps at once; a queue that the kernel still tears down (EBUSY) is left to `service`. Throws HalError when the
   * port cannot be had by this driver; an attached program stays, so that the device passes nothing.
   */
  open(): void {
    this.stage = STEER;
    try {
      while (this.stage !== OPEN) {
        const before = this.stage;
        this.step();
        if (this.stage === before) break;
      }
    } catch (error) {
      this.shut();
      throw error;
    }
  }

  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number {
    const words = this.words;
    let available = (Atomics.load(words, this.rxProducerWord) - this.rxConsumer) | 0;
    if (available === 0) return 0;
    if (available > limit) available = limit;
    let received = 0;
    let bytes = 0;
    let consumer = this.rxConsumer;
    for (let k = 0; k < available; k++) {
      // A descriptor: address (low and high word; the area is below 2 GiB), length, options.
      const slot = this.rxSlot + ((consumer & MASK) << 2);
      consumer = (consumer + 1) | 0;
      const offset = words[slot] as number;
      const length = words[slot + 2] as number;
      if (length > PACKET_BYTES_MOST) {
        this.memory.recycle(offset, this.number);
        this.cells[RECEIVE_ERRORS] = (this.cells[RECEIVE_ERRORS] as number) + 1;
        continue;
      }
      this.memory.hand(offset, this.number);
      offsets[received] = offset;
      lengths[received] = length;
      received++;
      bytes = (bytes + length) | 0;
    }
    this.rxConsumer = consumer;
    Atomics.store(words, this.rxConsumerWord, consumer);
    this.cells[RECEIVED_PACKETS] = (this.cells[RECEIVED_PACKETS] as number) + received;
    this.cells[RECEIVED_BYTES] = (this.cells[RECEIVED_BYTES] as number) + bytes;
    return received;
  }

  transmit(offset: number, lengthBytes: number): boolean {
    if (this.state !== PORT_UP || this.stage !== OPEN || this.isTransmitFull()) {
      this.cells[TRANSMIT_FULL] = (this.cells[TRANSMIT_FULL] as number) + 1;
      return false;
    }
    this.memory.claim(offset, this.number);
    const slot = this.txSlot + ((this.txProducer & MASK) << 2);
    // The slot's other two words (high half of the address, options) are zero since the ring was mapped.
    this.words[slot] = offset;
    this.words[slot + 2] = lengthBytes;
    this.txProducer = (this.txProducer + 1) | 0;
    this.cells[TRANSMITTED_PACKETS] = (this.cells[TRANSMITTED_PACKETS] as number) + 1;
    this.cells[TRANSMITTED_BYTES] = (this.cells[TRANSMITTED_BYTES] as number) + lengthBytes;
    return true;
  }

  flush(): void {
    if (this.stage !== OPEN) return;
    const words = this.words;
    if (this.txProducer !== this.txPublished) {
      this.txPublished = this.txProducer;
      Atomics.store(words, this.txProducerWord, this.txProducer);
    }
    if (this.txConsumerSeen !== this.txProducer) this.kick();
    this.reap();
    this.refill();
  }

  service(nowMicros: number): void {
    this.watch.poll(nowMicros);
    if (this.stage === OPEN) {
      if (this.suspect || this.seenGeneration !== this.watch.generation) this.lookAtDevice();
      if (this.stage === OPEN && nowMicros >= this.statisticsAt) this.readStatistics(nowMicros);
      return;
    }
    if (this.stage === ABSENT && this.seenGeneration === this.watch.generation && nowMicros < this.retryAt) return;
    this.stepLater(nowMicros);
  }

  discardBacklog(): number {
    const words = this.words;
    const producer = Atomics.load(words, this.rxProducerWord);
    const discarded = (producer - this.rxConsumer) | 0;
    while (this.rxConsumer !== producer) {
      this.memory.recycle(words[this.rxSlot + ((this.rxConsumer & MASK) << 2)] as number, this.number);
      this.rxConsumer = (this.rxConsumer + 1) | 0;
    }
    Atomics.store(words, this.rxConsumerWord, producer);
    this.refill();
    return discarded;
  }

  /** Closes the socket. The program stays: the device passes nothing until a dataplane adopts it, or `releasePorts`. */
  close(): void {
    this.shut();
    this.state = PORT_DOWN;
  }

  private isTransmitFull(): boolean {
    if (((this.txProducer - this.txConsumerSeen) | 0) < this.transmitFrames) return false;
    this.txConsumerSeen = Atomics.load(this.words, this.txConsumerWord);
    return ((this.txProducer - this.txConsumerSeen) | 0) >= this.transmitFrames;
  }

  private kick(): void {
    if ((Atomics.load(this.words, this.txFlagsWord) & NEED_WAKEUP) !== 0) {
      if (this.native.xdpKick(this.socket, this.window, this.txProducerWord, this.txConsumerWord) < 0) this.suspect = true;
    }
    this.txConsumerSeen = Atomics.load(this.words, this.txConsumerWord);
  }

  private reap(): void {
    const words = this.words;
    const producer = Atomics.load(words, this.completionProducerWord);
    if (producer === this.completionConsumer) return;
    let consumer = this.completionConsumer;
    while (consumer !== producer) {
      this.memory.recycle(words[this.completionSlot + ((consumer & MASK) << 1)] as number, this.number);
      consumer = (consumer + 1) | 0;
    }
    this.completionConsumer = consumer;
    Atomics.store(words, this.completionConsumerWord, consumer);
  }

  /** Frames lent for reception (filled and not yet fetched) never exceed a ring, so that others find free frames too. */
  private refill(): void {
    let wanted = (RING_SLOTS - ((this.fillProducer - this.rxConsumer) | 0)) | 0;
    if (wanted <= 0) return;
    for (; wanted > 0; wanted--) {
      const frame = this.memory.takeFor(this.number);
      if (frame < 0) break;
      this.words[this.fillSlot + ((this.fillProducer & MASK) << 1)] = frame;
      this.fillProducer = (this.fillProducer + 1) | 0;
    }
    Atomics.store(this.words, this.fillProducerWord, this.fillProducer);
  }

  private lookAtDevice(): void {
    this.seenGeneration = this.watch.generation;
    this.suspect = false;
    const there = this.device.read() && this.device.index === this.ifindex;
    if (there && this.native.socketError(this.socket) === 0) {
      this.state = this.device.state;
      return;
    }
    this.shut();
    this.state = PORT_GONE;
  }

  private readStatistics(nowMicros: number): void {
    this.statisticsAt = nowMicros + STATISTICS_MICROS;
    if (this.native.xdpMissed(this.socket, this.missedCell) < 0) return;
    this.cells[RECEIVE_MISSED] = this.missedBefore + (this.missedCell[0] as number);
  }

  /** A step while the dataplane runs: failures are kept and tried again, not thrown. */
  private stepLater(nowMicros: number): void {
    this.seenGeneration = this.watch.generation;
    try {
      if (this.stage === ABSENT) {
        this.retryAt = nowMicros + RETRY_MICROS;
        if (this.device.read()) this.stage = STEER;
        else this.state = PORT_GONE;
        return;
      }
      this.step();
    } catch (error) {
      if (!(error instanceof HalError)) throw error;
      this.failure = error;
      this.shut();
      this.state = error.code === "PORT_NO_DEVICE" ? PORT_GONE : PORT_DOWN;
      this.retryAt = nowMicros + RETRY_MICROS;
    }
  }

  private step(): void {
    if (this.stage === STEER) this.steer();
    else if (this.stage === SOCKET) this.openSocket();
    else if (this.stage === BIND) this.bind();
  }

  private steer(): void {
    const { device, planned } = this;
    prepareDevice(device, planned, this.management !== undefined);
    if (planned.kind === "data" && checkOffloads(device.name).stripsTags) {
      throw new HalError(
        "PORT_STRIPS_TAGS",
        `port ${this.number} (${this.name}): the NIC strips VLAN tags and cannot be told not to; frames would join the wrong zone`,
      );
    }
    if (this.native.queues(device.name) > 1 && this.native.queuesOne(device.name) < 0) {
      throw new HalError(
        "PORT_QUEUES",
        `port ${this.number} (${this.name}): frames arrive at ${this.native.queues(device.name)} queues, and the driver cannot use one`,
      );
    }
    this.steering = attachSteering(device, planned, this.management);
    this.ifindex = device.index;
    this.stage = SOCKET;
  }

  private openSocket(): void {
    const headroom = FRAME_HEADROOM_BYTES - KERNEL_HEADROOM_BYTES;
    const socket = this.native.xdpOpen(this.memory.buffer, this.window, RING_SLOTS, FRAME_BYTES, headroom, this.layout);
    if (socket < 0) throw this.socketFailure("opened", socket);
    this.socket = socket;
    this.adoptLayout();
    this.packetSocket = this.native.packetOpen(this.ifindex, this.planned.kind === "data" ? 1 : 0);
    if (this.packetSocket < 0) throw this.socketFailure("made promiscuous", this.packetSocket);
    this.stage = BIND;
  }

  private bind(): void {
    const result = this.native.xdpBind(this.socket, this.ifindex, QUEUE);
    if (result === EBUSY) return;
    if (result < 0) throw this.socketFailure("bound", result);
    this.stage = OPEN;
    this.refill();
    const pointed = this.native.steeringPoint((this.steering as Steering).mapDescriptor, QUEUE, this.socket);
    if (pointed < 0) throw this.socketFailure("put into the XSKMAP", pointed);
    this.descriptor = this.socket;
    this.failure = undefined;
    this.suspect = false;
    this.seenGeneration = 0;
    this.state = this.device.read() ? this.device.state : PORT_GONE;
  }

  private socketFailure(verb: string, result: number): HalError {
    const code = result === ENODEV ? "PORT_NO_DEVICE" : "PORT_AFXDP";
    return new HalError(code, `port ${this.number} (${this.name}): the AF_XDP socket cannot be ${verb} (${systemReason(result)})`);
  }

  private adoptLayout(): void {
    const { layout } = this;
    this.rxProducerWord = layout[RX] as number;
    this.rxConsumerWord = layout[RX + 1] as number;
    this.rxSlot = layout[RX + 3] as number;
    this.txProducerWord = layout[TX] as number;
    this.txConsumerWord = layout[TX + 1] as number;
    this.txFlagsWord = layout[TX + 2] as number;
    this.txSlot = layout[TX + 3] as number;
    this.fillProducerWord = layout[FILL] as number;
    this.fillSlot = layout[FILL + 3] as number;
    this.completionProducerWord = layout[COMPLETION] as number;
    this.completionConsumerWord = layout[COMPLETION + 1] as number;
    this.completionSlot = layout[COMPLETION + 3] as number;
  }

  /** Closes what is open and takes every frame back; the kernel no longer touches them once the socket is closed. */
  private shut(): void {
    this.stage = ABSENT;
    this.descriptor = -1;
    this.missedBefore = this.counters.receiveMissed;
    if (this.socket >= 0) this.native.xdpClose(this.socket, this.window);
    if (this.packetSocket >= 0) this.native.descriptorClose(this.packetSocket);
    if (this.steering !== undefined) this.native.descriptorClose(this.steering.mapDescriptor);
    this.socket = -1;
    this.packetSocket = -1;
    this.steering = undefined;
    this.rxConsumer = 0;
    this.txProducer = 0;
    this.txPublished = 0;
    this.txConsumerSeen = 0;
    this.fillProducer = 0;
    this.completionConsumer = 0;
    this.memory.sweep(this.number);
  }
}
