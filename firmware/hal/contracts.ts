// What the firmware asks of the machine, and nothing else. `hal/linux` and `hal/sim` stand beside each other behind
// these contracts; a fake is as honest as the contract: it can lose, delay, fill up.
//
//   packet memory    one area per unit; a packet is an integer offset into it
//   port             receive a batch, queue to transmit, flush once per breath
//   memory           the tables' home: shared between processes, or a plain ArrayBuffer
//   sealer           AES-256-GCM over twin frames, in batches
//   clock, entropy   time and chance are arguments

/** Monotonic time. */
export interface Clock {
  /** Microseconds since an arbitrary start; never goes back; whole number below 2^53. Read once per batch. */
  nowMicros(): number;
}

/** Unpredictable bytes (seeded in simulation). */
export interface Entropy {
  fill(bytes: Uint8Array): void;
}

/**
 * One area of packet frames for all ports of a unit. Every frame has one owner at any time: the free list, the walk
 * (in hand) or one port. `offset` is where a packet's first byte (Ethernet destination) lies; any offset inside a frame
 * names the frame.
 */
export interface PacketMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly frameCount: number;
  /** Frames on the free list. */
  readonly freeCount: number;
  /** Takes a free frame into the hand; returns the offset for a packet (frame + headroom), or -1 when none is free. */
  take(): number;
  /** Gives the frame that holds `offset` back to the free list. */
  give(offset: number): void;
}

export const PORT_DOWN = 0;
export const PORT_UP = 1;
/** The device was removed; the driver reopens it when it returns. */
export const PORT_GONE = 2;

/** Counters of one port; aligned so that a driver may add to them without allocation. */
export interface PortCounters {
  receivedPackets: number;
  receivedBytes: number;
  transmittedPackets: number;
  transmittedBytes: number;
  /** Packets that found the transmit ring full; the caller kept the frame. */
  transmitFull: number;
  /** Packets that the device or the kernel dropped before we saw them. */
  receiveMissed: number;
  /** Packets longer than PACKET_BYTES_MOST or otherwise not deliverable. */
  receiveErrors: number;
}

/** A NIC: data port or twin port. */
export interface Port {
  readonly name: string;
  readonly driver: "afxdp" | "pcap" | "simulator";
  /** Burned-in address, 6 bytes. */
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  /** PORT_DOWN, PORT_UP or PORT_GONE; a plain field, refreshed by `service`. */
  state: number;
  readonly counters: PortCounters;
  /**
   * Moves up to `limit` received packets into the hand: offsets[k], lengths[k] (bytes, Ethernet header included, no FCS).
   * Returns how many. The caller owns the frames.
   */
  receive(offsets: Int32Array, lengths: Int32Array, limit: number): number;
  /** Queues a packet; true: the port owns the frame; false: the ring is full or the port not up, counted, the caller keeps it. */
  transmit(offset: number, lengthBytes: number): boolean;
  /** Once per breath: send what is queued, take back sent frames, refill the receive ring. */
  flush(): void;
  /** Now and then (each tick): link state, removed and returned devices. */
  service(nowMicros: number): void;
  /** Discards everything received and not yet fetched; returns how many. */
  discardBacklog(): number;
  /** Detaches; every frame the port owned is free again. */
  close(): void;
}

/** Blocks the dataplane when there is nothing to do. */
export interface Idle {
  /**
   * After a breath that moved `moved` packets (or other work). 0: returns when a port has packets, the doorbell rang, or `timeoutMicros` passed;
   * else at once or, while many packets come, a moment later, when more of them have gathered. No twin frame waits for that.
   */
  rest(moved: number, timeoutMicros: number): void;
}

/** Where the tables live. */
export interface Memory {
  /** The whole area; size fixed at creation. */
  readonly buffer: ArrayBuffer;
  /** True when the area held valid tables of the same layout, so that rows can be adopted. */
  readonly adopted: boolean;
  close(): void;
}

/** Words of one seal or open job: key slot, offset of the twin header, bytes of the body. On failure to open, word 0 becomes -1. */
export const JOB_WORDS = 4;
export const JOB_SLOT = 0;
export const JOB_OFFSET = 1;
export const JOB_BODY_BYTES = 2;

/** Twin header: 16 bytes, authenticated, not encrypted; bytes 4..15 are the nonce (key number, path, length, counter). */
export const SEAL_HEADER_BYTES = 16;
export const SEAL_TAG_BYTES = 16;
export const SEALER_SLOTS = 64;

/** AES-256-GCM over frames in packet memory. Keys live in the sealer's private memory only. */
export interface Sealer {
  /** Installs a 32-byte key in slot 0..SEALER_SLOTS-1, replacing what was there. */
  install(slot: number, key: Uint8Array): void;
  remove(slot: number): void;
  /** Encrypts each job's body in place (it follows the header at once) and appends the 16-byte tag after it. */
  seal(jobs: Int32Array, count: number): void;
  /** Verifies and decrypts in place; a job that fails gets slot -1 and its bytes are worthless. Returns how many opened. */
  open(jobs: Int32Array, count: number): number;
}

/** Says how bad it is; for those who see it, what the pattern says to all. */
export type LampColour = "green" | "amber" | "red";
/** flash: 0.1 s of light for a pulse, once a second at the most; slow: 1 Hz; fast: 5 Hz. */
export type LampPattern = "off" | "solid" | "flash" | "slow" | "fast";
/** The lamps' owner ticks them so often. */
export const LAMP_TICK_MILLIS = 50;

/** A lamp of the front panel. Both functions throw the system's error when a light cannot be set; the next call tries anew. */
export interface Lamp {
  /** What it shows from now on. */
  show(colour: LampColour, pattern: LampPattern): void;
  /** Each LAMP_TICK_MILLIS: goes on blinking, flashes if there was a pulse since the last tick, re-arms what dies with the software. */
  tick(nowMillis: number, pulse: boolean): void;
}

/** The front button. */
export interface Button {
  /** For how long the button was held, in milliseconds, if it was released since the last look; -1 when not. Throws the system's error. */
  poll(nowMillis: number): number;
}

/** Who uses a serial line. */
export interface SerialListener {
  /** The line can be used: at first, and after each loss. */
  onUp(): void;
  /** The line was lost (cable, adapter, device) or cannot be opened; it is tried again for ever. Told once per loss; `reason`: one sentence part. */
  onDown(reason: string): void;
  /** Bytes came in; they are the listener's only during the call. */
  onData(bytes: Uint8Array): void;
}
/** The serial console's line: bytes, 8N1. It comes and goes; whoever uses it is told. */
export interface SerialLine {
  /**
   * Sends bytes; resolves when the line has taken all of them, to false when it was down or was lost on the way. One call at a time.
   * A line that nobody reads may take for ever.
   */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Gives the device back; the listener is not called any more. */
  close(): Promise<void>;
}

/** Resets the appliance unless it is fed. All throw the system's error; the next call tries anew. */
export interface Watchdog {
  /** Starts it, or puts off the reset by its timeout. */
  feed(): void;
  /** Stops it: a planned end. */
  release(): void;
  /** What it remembers about the last reset; empty when it remembers nothing. */
  resetCauses(): readonly ResetCause[];
}
export type ResetCause = "watchdog" | "overheated" | "fan-fault" | "power-low" | "power-high" | "external";

/** Where the manager puts a policy that it had compiled. */
export interface PolicySource {
  /** Opens what lies there now. Bytes; 0: nothing. */
  begin(): number;
  /** Reads on, as much as fits; bytes, 0 at the end or when it cannot be read. */
  read(into: Uint8Array): number;
  end(): void;
}
