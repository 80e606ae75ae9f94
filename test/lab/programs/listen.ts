// Listens on a device, as somebody with a clamp on the cable would: every frame, in both directions, kept in memory until the listener is told to
// stop (its stdin ends), then written to a file that Wireshark opens.
//
//   node listen.ts DEVICE FILE
//
// stdout: "ready", and at the end {"frames", "lost"}: what the kernel could not keep for it.

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

interface Session {
  on(event: "packet", listener: (packet: { readonly buf: Buffer; readonly header: Buffer }) => void): void;
  stats(): { readonly ps_drop: number };
}

const CAPTURE_BYTES = 64 << 20;
const SNAP_BYTES = 9_216;
/** Magic, version 2.4, …, longest frame, Ethernet: the header of libpcap's own file format, in this machine's order. */
const FILE_HEADER = Buffer.from(new Uint32Array([0xa1b2c3d4, 0x0004_0002, 0, 0, SNAP_BYTES, 1]).buffer);

const [, , device = "", file = ""] = process.argv;
const pcap = createRequire(import.meta.url)("pcap") as { createSession(device: string, options: object): Session };
const session = pcap.createSession(device, { buffer_size: CAPTURE_BYTES, snap_length: SNAP_BYTES, buffer_timeout: 10 });
const parts: Buffer[] = [FILE_HEADER];
session.on("packet", ({ buf, header }) => {
  // Its one buffer is used again for the next packet.
  const kept = header.readUInt32LE(8);
  parts.push(Buffer.from(header), Buffer.from(buf.subarray(0, kept)));
});
process.stdin.resume().on("end", () => {
  writeFileSync(file, Buffer.concat(parts));
  console.log(JSON.stringify({ frames: (parts.length - 1) / 2, lost: session.stats().ps_drop }));
  process.exit(0);
});
console.log("ready");
