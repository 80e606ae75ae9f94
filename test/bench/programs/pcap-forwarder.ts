// What a firewall in Node.js would be made of without us: node-pcap reads one interface and injects at the other, with new
// Ethernet addresses and no judgement. Immediate mode is node-pcap's own, the buffer is ample, and its event loop is not starved.
//
//   pcap-forwarder.ts IN OUT SOURCE-MAC DESTINATION-MAC       says "ready" when it forwards; ends when it is killed

import { createRequire } from "node:module";

interface Session {
  on(event: "packet", listener: (packet: { readonly buf: Buffer; readonly header: Buffer }) => void): void;
  inject(data: Buffer): void;
}

const pcap = createRequire(import.meta.url)("pcap") as { createSession(device: string, options: object): Session };
const BUFFER_BYTES = 64 << 20;
const SNAP_BYTES = 2_048;
/** Of a pcap record's header: bytes captured, after two words of time. */
const CAPTURED_OFFSET = 8;

const [from = "", to = "", source = "", destination = ""] = process.argv.slice(2);
const macs = Buffer.from(`${destination}:${source}`.replaceAll(":", ""), "hex");
const output = pcap.createSession(to, { filter: "ether proto 0xffff" });
const input = pcap.createSession(from, { filter: "udp", buffer_size: BUFFER_BYTES, snap_length: SNAP_BYTES, buffer_timeout: 1 });
input.on("packet", ({ buf, header }) => {
  macs.copy(buf);
  output.inject(buf.subarray(0, header.readUInt32LE(CAPTURED_OFFSET)));
});
process.stdout.write("ready\n");
