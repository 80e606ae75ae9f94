// Reads captures: pcap (either byte order, micro- or nanoseconds) and pcapng. Packets of link types without Ethernet get an
// Ethernet header, so that they can be run through the firewall.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where other people's captures lie: beside the checkout, or where TWINWALL_VECTORS points. */
const FOLDER = process.env["TWINWALL_VECTORS"] ?? join(import.meta.dirname, "../../../shared/vectors");

const LINK_ETHERNET = 1;
const LINK_PPP = 9;
const LINK_RAW = [12, 14, 101];
const LINK_IPV4 = 228;
const LINK_IPV6 = 229;
const PPP_IPV4 = 0x21;
const PPP_IPV6 = 0x57;
const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

export interface Capture {
  /** "zeek/tcp__options.pcap" */
  readonly name: string;
  readonly frames: readonly Uint8Array<ArrayBuffer>[];
  /** Every packet, and when it was captured. Bytes that the capture has not kept are zero here. */
  readonly packets: readonly { readonly frame: Uint8Array<ArrayBuffer>; readonly atMicros: number }[];
  /** Packets of which the capture holds only a part, or of a link type that is not known. */
  readonly skipped: number;
}

/** All captures, by name; empty when there are none on this machine. */
export function captures(): readonly Capture[] {
  return globSync("*/*.pcap*", { cwd: FOLDER })
    .sort()
    .map((name) => readCapture(name, readFileSync(join(FOLDER, name))));
}

function readCapture(name: string, file: Buffer): Capture {
  const captured = file.readUInt32BE(0) === SECTION ? readPcapng(file) : readPcap(file);
  const frames = captured.flatMap(({ link, bytes, missing }) => (missing === 0 ? toEthernet(link, bytes) : []));
  const packets = captured.flatMap(({ link, bytes, missing, atMicros }) => {
    const restored = missing === 0 ? bytes : Uint8Array.from([...bytes, ...new Array<number>(missing).fill(0)]);
    return toEthernet(link, restored).map((frame) => ({ frame, atMicros }));
  });
  return { name, frames, packets, skipped: captured.length - frames.length };
}

interface Packet {
  readonly link: number;
  readonly bytes: Uint8Array;
  /** Bytes that were on the wire and are not in the capture. */
  readonly missing: number;
  readonly atMicros: number;
}

function readPcap(file: Buffer): readonly Packet[] {
  const magic = file.readUInt32LE(0);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const word = (at: number) => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  if (!little && word(0) !== 0xa1b2c3d4 && word(0) !== 0xa1b23c4d) throw new Error("not a capture");
  const link = word(20) & 0xffff;
  const fraction = [0xa1b23c4d, 0x4d3cb2a1].includes(file.readUInt32LE(0)) ? 1_000 : 1;
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= file.length; at += 16 + word(at + 8)) {
    const bytes = file.subarray(at + 16, at + 16 + word(at + 8));
    packets.push({ link, bytes, missing: word(at + 12) - word(at + 8), atMicros: word(at) * 1e6 + word(at + 4) / fraction });
  }
  return packets;
}

function readPcapng(file: Buffer): readonly Packet[] {
  const packets: Packet[] = [];
  let links: number[] = [];
  let little = true;
  const word = (at: number) => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  for (let at = 0; at + 12 <= file.length; at += word(at + 4)) {
    if (file.readUInt32BE(at) === SECTION) {
      little = file.readUInt32LE(at + 8) === 0x1a2b3c4d;
      links = [];
    }
    const kind = word(at);
    if (kind === INTERFACE) links.push(word(at + 8) & 0xffff);
    if (kind === ENHANCED_PACKET)
      packets.push({
        link: links[word(at + 8)] ?? -1,
        bytes: file.subarray(at + 28, at + 28 + word(at + 20)),
        missing: word(at + 24) - word(at + 20),
        atMicros: word(at + 12) * 2 ** 32 + word(at + 16),
      });
    if (kind === SIMPLE_PACKET)
      packets.push({
        link: links[0] ?? -1,
        bytes: file.subarray(at + 12, at + word(at + 4) - 4).subarray(0, word(at + 8)),
        missing: Math.max(0, word(at + 8) - (word(at + 4) - 16)),
        atMicros: 0,
      });
    if (word(at + 4) < 12) throw new Error("a capture's block is too short");
  }
  return packets;
}

function toEthernet(link: number, bytes: Uint8Array): readonly Uint8Array<ArrayBuffer>[] {
  if (link === LINK_ETHERNET) return [Uint8Array.from(bytes)];
  if (LINK_RAW.includes(link)) return [headed((bytes[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800, bytes)];
  if (link === LINK_IPV4) return [headed(0x0800, bytes)];
  if (link === LINK_IPV6) return [headed(0x86dd, bytes)];
  if (link !== LINK_PPP) return [];
  // RFC 1661 §2, §6: address and control may be left out, and an odd first byte is the whole protocol number.
  const at = bytes[0] === 0xff && bytes[1] === 0x03 ? 2 : 0;
  const isShort = ((bytes[at] ?? 0) & 1) === 1;
  const protocol = isShort ? bytes[at] : ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const body = bytes.subarray(at + (isShort ? 1 : 2));
  if (protocol === PPP_IPV4) return [headed(0x0800, body)];
  return protocol === PPP_IPV6 ? [headed(0x86dd, body)] : [];
}

function headed(type: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(14 + bytes.length);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, type >> 8, type & 0xff]);
  frame.set(bytes, 14);
  return frame;
}
