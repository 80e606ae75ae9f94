// TCP (RFC 9293 §3.1).
//
//   0   source port 2 │ destination port 2
//   4   sequence number 4
//   8   acknowledgement number 4
//   12  header words 4 · reserved 4 │ flags 8 │ window 2
//   16  checksum 2 │ urgent pointer 2
//   20  options …

import { fault } from "./faults.ts";

export const PROTOCOL_TCP = 6;

export const TCP_SOURCE = 0;
export const TCP_DESTINATION = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_BYTES = 20;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;

export const TCP_OPTION_END = 0;
export const TCP_OPTION_NOTHING = 1;
export const TCP_OPTION_WINDOW_SCALE = 3;
export const TCP_OPTION_SACK = 5;
/** No-Operation twice and a timestamp of ten bytes (RFC 7323 appendix A), as it lies in memory: what nearly every segment carries. */
export const TIMESTAMP_LAYOUT = 0x0a080101;
export const TIMESTAMP_HEADER_BYTES = TCP_BYTES + 12;

/** Possible combinations of the six classic flags but PSH, which may join any; ECN's flags too. Index: flags & 0x37. */
const POSSIBLE = possible();

const BAD_HEADER = fault("bad-transport-header");
const BAD_FLAGS = fault("bad-tcp-flags");

/** Header bytes of a checked segment. */
export function tcpHeaderBytes(view: DataView, at: number): number {
  return (view.getUint8(at + TCP_OFFSET) >>> 4) << 2;
}

/** Checks the header at `at` of a segment of `lengthBytes`. Options can be walked afterwards without further care. */
export function checkTcp(view: DataView, at: number, lengthBytes: number): number {
  if (lengthBytes < TCP_BYTES) return BAD_HEADER;
  const headerBytes = (view.getUint8(at + TCP_OFFSET) >>> 4) << 2;
  if (headerBytes < TCP_BYTES || headerBytes > lengthBytes) return BAD_HEADER;
  if (POSSIBLE[view.getUint8(at + TCP_FLAGS) & 0x37] === 0) return BAD_FLAGS;
  if (headerBytes === TCP_BYTES) return 0;
  if (headerBytes === TIMESTAMP_HEADER_BYTES && view.getInt32(at + TCP_BYTES, true) === TIMESTAMP_LAYOUT) return 0;
  return checkOptions(view, at + TCP_BYTES, at + headerBytes);
}

function checkOptions(view: DataView, at: number, end: number): number {
  let k = at;
  while (k < end) {
    const kind = view.getUint8(k);
    if (kind === TCP_OPTION_END) return 0;
    if (kind === TCP_OPTION_NOTHING) {
      k = (k + 1) | 0;
      continue;
    }
    // RFC 9293 §3.1, MUST-7: an illegal length must not lead anywhere.
    if (end - k < 2) return BAD_HEADER;
    const bytes = view.getUint8(k + 1);
    if (bytes < 2 || bytes > end - k) return BAD_HEADER;
    k = (k + bytes) | 0;
  }
  return 0;
}

/** RFC 9293 §3.5: a segment opens (SYN), continues or ends (ACK, with or without FIN), or resets. Nothing else exists. */
function possible(): Uint8Array {
  const table = new Uint8Array(64);
  const combinations = [
    TCP_SYN,
    TCP_SYN | TCP_URG,
    TCP_SYN | TCP_ACK,
    TCP_SYN | TCP_ACK | TCP_URG,
    TCP_RST,
    TCP_RST | TCP_ACK,
    TCP_ACK,
    TCP_ACK | TCP_URG,
    TCP_FIN | TCP_ACK,
    TCP_FIN | TCP_ACK | TCP_URG,
  ];
  for (const flags of combinations) table[flags] = 1;
  return table;
}
