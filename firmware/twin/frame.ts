// Wire format of the data channel: what lies where, and nothing else. README.md draws it.
//
//   Ethernet 14 │ twin header 16 (authenticated, clear) │ records … (sealed) │ tag 16
//
//    0               1               2               3
//   ┌───────────────┬───────────────┬───────────────┬───────────────┐
//   │ version       │ kind          │ from unit     │ to unit       │
//   ├───────────────┼───────────────┼───────────────┴───────────────┤
//   │ key number    │ path          │ body bytes                    │  ┐
//   ├───────────────┴───────────────┴───────────────────────────────┤  │ these twelve bytes
//   │ counter, high 32 bits                                         │  │ are the nonce
//   ├───────────────────────────────────────────────────────────────┤  │
//   │ counter, low 32 bits                                          │  ┘
//   └───────────────────────────────────────────────────────────────┘
//
//   record: type 1 │ flags 1 │ body bytes 2 │ body … │ zero padding to a multiple of 4
//
// Numbers in the header and in records are big-endian, except session words, which travel as they lie in memory
// (PROTOCOL.md: field lists are exchanged at HELLO).

import { SEAL_HEADER_BYTES, SEAL_TAG_BYTES } from "../hal/contracts.ts";
import { PORTS, UNITS } from "../limits.ts";

export const ETHERTYPE_TWIN = 0x88b5;
export const ETHERNET_BYTES = 14;
export const FRAME_VERSION = 1;

export const F_VERSION = 0;
export const F_KIND = 1;
export const F_FROM = 2;
export const F_TO = 3;
export const F_KEY = 4;
export const F_PATH = 5;
export const F_BODY_BYTES = 6;
export const F_COUNTER_HIGH = 8;
export const F_COUNTER_LOW = 12;

/** Clear, authenticated with a MAC of its own: association. */
export const KIND_HELLO = 1;
/** Sealed records. */
export const KIND_SEALED = 2;

/** Heartbeats on data ports go to the units' own group address: hosts need not look at them. */
export const GROUP_MAC = Uint8Array.of(0x03, 0x54, 0x57, 0x4e, 0x57, 0x01);

/** Path 0 is the first twin port; path 1 + n is port n, a data port or the second twin port. */
export const PATH_TWIN = 0;
export const PATHS = PORTS + 1;

// HELLO: clear, twin header with zero key and the secret's generation for a counter, body, HMAC-SHA256 (32) over header and body. hello.ts judges it.

/** Drawn by each dataplane start, 16 bytes. */
export const H_DRAW = 0;
/** The peer's draw as its last greeting said; zeroes: none heard. */
export const H_YOUR_DRAW = 16;
/** Fresh for each association that this side will accept, 16 bytes. */
export const H_CHALLENGE = 32;
/** The peer's challenge, given back; zeroes: none heard. */
export const H_ANSWER = 48;
/** What both sites must agree on, hashed to 16 bytes. */
export const H_AGREEMENT = 64;
export const H_INCARNATION = 80;
/** Highest incarnation of the receiver that the sender has seen. */
export const H_SEEN = 84;
/** Burned-in address of the twin port, 6 bytes, and its MTU, 2 bytes. */
export const H_MAC = 88;
export const H_MTU = 94;
/** HELLO_* */
export const H_FLAGS = 96;
/** Replicated fields: how many, then one hash of 4 bytes each, in the order of the sender's row. */
export const H_FIELDS = 97;
export const H_FIELD_LIST = 100;
export const HELLO_MAC_BYTES = 32;
/** The sender has not opened a sealed frame of the receiver's yet: answer. */
export const HELLO_WANTS_ANSWER = 1;
/** Bits 4 to 7: the path of the sender's second twin port, 0 = it has none. */
export const HELLO_SECOND_SHIFT = 4;

// Heartbeat record body, on every path to every peer.

/** Grows by one per heartbeat on this path to this peer. */
export const B_SEQUENCE = 0;
/** ROLE_NAMES; BEAT_* flags; bit u: unit u is heard; bit u: the twin path to u works both ways. */
export const B_ROLE = 4;
export const B_FLAGS = 5;
export const B_HEARS = 6;
export const B_REACHES = 7;
export const B_TERM = 8;
export const B_INCARNATION = 12;
/** Highest incarnation of the receiver that the sender has seen. */
export const B_SEEN = 16;
/** Hash over the sender's succession records: differing tables are sent again. */
export const B_SUCCESSIONS = 20;
/** Per path of the receiver: last sequence heard, and how long ago (us). */
export const B_ECHO = 24;
export const ECHO_BYTES = 8;
/** A heartbeat has at least this much. */
export const HEARTBEAT_BYTES_LEAST = B_ECHO + PATHS * ECHO_BYTES;
/** Grows with every heartbeat of this start, whatever its path: an older one that arrives later says nothing. */
export const B_NUMBER = HEARTBEAT_BYTES_LEAST;
export const B_PRIORITY = B_NUMBER + 4;
/** Bit 0: the first site stands by, bit 1: the second; the term says whose word counts. */
export const B_PASSIVE = B_NUMBER + 5;
/** HEALTH_* (memory/health.ts). */
export const B_HEALTH = B_NUMBER + 6;
export const B_SITE_TERM = B_NUMBER + 8;
/** Own sessions that would be lost if the sender, its site, or the link between the sites failed now. */
export const B_EXPOSED_UNIT = B_NUMBER + 12;
export const B_EXPOSED_SITE = B_NUMBER + 16;
export const B_EXPOSED_LINK = B_NUMBER + 20;
/** What each unit, from 1, says of itself, if the sender hears it: role 1, flags 1, health 2, term 4. */
export const B_RELAYED = B_NUMBER + 24;
export const RELAYED_BYTES = 8;
export const HEARTBEAT_BYTES = B_RELAYED + (UNITS - 1) * RELAYED_BYTES;
/** The sender may own sessions under its present incarnation: it has been active in it, or found some. */
export const BEAT_OWNS = 1;
/** The sender holds first packets back until they are replicated: nobody needs to ask it about them. */
export const BEAT_HOLDS = 2;
/** The sender has just given way: its mate is to become active, whoever would be preferred. */
export const BEAT_DEFERS = 4;

export const RECORD_HEADER_BYTES = 4;
/** Bytes around the records of one frame. */
export const FRAME_OVERHEAD_BYTES = ETHERNET_BYTES + SEAL_HEADER_BYTES + SEAL_TAG_BYTES;

/** Record types; link.ts keeps 1..15 for itself, replicate.ts 16..31, handoff.ts 32..47, roles.ts 48..63. */
export const RECORD_HEARTBEAT = 1;
export const RECORD_PROBE = 2;
export const RECORD_PROBE_ANSWER = 3;
export const RECORD_KEY_OFFER = 4;
export const RECORD_KEY_READY = 5;
/** Of both: the key's number 4, the generation of the secret that it is derived from 4. */
export const KEY_RECORD_BYTES = 8;
/** With each heartbeat on a second twin path: burned-in address of its port, 6 bytes, and its MTU, 2 bytes. */
export const RECORD_SECOND_PORT = 6;
export const SECOND_PORT_BYTES = 8;

export const RECORD_ROW = 16;
export const RECORD_ROW_ACK = 17;
export const RECORD_ROW_REFUSED = 18;
export const RECORD_TOMBSTONE = 19;
export const RECORD_SWEEP_BEGIN = 20;
export const RECORD_SWEEP_END = 21;
export const RECORD_SWEEP_DONE = 22;
export const RECORD_DIGEST = 23;
export const RECORD_DIGEST_DIFFERS = 24;
export const RECORD_REJOIN = 25;
export const RECORD_CAUGHT_UP = 26;
export const RECORD_YIELD = 27;
export const RECORD_STATIONS = 28;

export const RECORD_HANDOFF = 32;
/** The rest of a packet that did not fit one frame. */
export const RECORD_HANDOFF_REST = 33;
export const RECORD_ANSWER_JUDGED = 34;
export const RECORD_ANSWER_NONE = 35;
export const RECORD_ANSWER_OWNER = 36;

export const RECORD_SUCCESSION = 48;

/** Transmit classes of the twin port, best first. */
export const CLASS_HEARTBEAT = 0;
export const CLASS_ROW = 1;
export const CLASS_HANDOFF = 2;
export const CLASS_QUERY = 3;
/** Sweeps and refreshes: at least a tenth of the link. */
export const CLASS_SWEEP = 4;
export const CLASSES = 5;

/**
 * What the link offers to the rest of the twin: records out. A record is written straight into the frame that will be
 * sealed; nothing is copied later.
 */
export interface Channel {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Room for a record's body towards `unit`; returns its offset in packet memory, or -1 (not associated, no frame, class full: counted). The record counts as sent. */
  reserve(unit: number, type: number, flags: number, bodyBytes: number, txClass: number): number;
  /**
   * Sends a frame in place: `recordOffset` is where a record header may be written (4 bytes), followed by `bodyBytes`
   * already laid out; at least ETHERNET_BYTES + SEAL_HEADER_BYTES bytes of the same frame lie before it. True: the frame is taken.
   */
  sendInPlace(unit: number, type: number, flags: number, recordOffset: number, bodyBytes: number, txClass: number): boolean;
  /** Largest record body that fits one frame to `unit` now, bytes. */
  bodyBytesMost(unit: number): number;
  associated(unit: number): boolean;
}

/** What the link calls for each record that it received, opened and did not keep for itself. */
export interface RecordReceiver {
  /**
   * `flags`: the record header's. `body`: offset in packet memory; `frame`: offset of the frame's first byte. Returns true when the receiver keeps
   * the frame (only for the last record of a frame); otherwise the link gives it back. `counter` is the frame's counter, low 32 bits.
   */
  record(from: number, type: number, flags: number, body: number, bodyBytes: number, frame: number, counter: number): boolean;
  /** Keys with this unit were agreed (again): its dataplane start is `fresh` when the draw differs from the last one. */
  associated(unit: number, fresh: boolean): void;
  lost(unit: number): void;
}
