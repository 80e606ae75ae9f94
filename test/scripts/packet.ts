// A script's packet line → the frame that its sender puts on the wire. Every packet has right lengths and checksums unless
// the line spoils them.

import { type Crafted, craft, finishTransport } from "../fastpath/craft.ts";
import { checksum, put16, u16 } from "../sim/packets.ts";
import { HOSTS, type Site, type Stage, type StageHost, type ZoneName } from "./stage.ts";

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };
const FLAGS: Readonly<Record<string, number>> = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, none: 0 };
const CLIENT_PORT = 40_000;
const SERVER_PORT = 80;
const FRAGMENT_HEADER = 44;
/** What the frame held behind a short packet: it must never come out again (F10). */
const LITTER = 0xcc;
const FRAME_BYTES_LEAST = 60;
const L3 = 14;

export interface Sent {
  readonly site: Site | null;
  readonly from: ZoneName;
  readonly to: ZoneName;
  /** Untagged. */
  readonly frame: Uint8Array;
}

/** Words that a line may have after its protocol; anything else is a mistake in the script. */
const KEYS = [
  ..."ports seq ack win scale len data ttl source destination rest options tcpoptions extension fragment".split(" "),
  ..."about piece total fill offset more id sum cut".split(" "),
];

/** `labelled`: packets that earlier lines have named. */
export function packetOf(words: readonly string[], v6: boolean, stage: Stage, labelled: ReadonlyMap<string, Uint8Array>): Sent {
  const [sender = "", receiver = "", ...parts] = words.map((word) => choose(word, v6));
  const [name = "", site] = sender.split("@");
  const from = host(name);
  const to = host(receiver);
  const values = new Map(
    parts.filter((part) => part.includes("=")).map((part): [string, string] => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
  );
  for (const key of values.keys()) if (!KEYS.includes(key) && !/^(l2|l3|l4)\[\d+\]$/.test(key)) throw new Error(`${key} is nothing that a packet has`);
  const spoken = parts.filter((part) => !part.includes("="));
  const ends = { source: v6 ? from.v6 : from.v4, destination: v6 ? to.v6 : to.v4, sourceMac: from.mac, destinationMac: stage.nextMac(from, to) };
  const whole = values.has("piece") ? pieceOf(values, labelled, v6) : craft({ ...ends, ...headersOf(spoken, values, from, v6, labelled) });
  const frame = spoil(whole, values, v6);
  return { site: site === undefined ? null : (site as Site), from: from.zone, to: to.zone, frame };
}

/** What lies behind `this|that`. */
function choose(word: string, v6: boolean): string {
  if (!word.includes("|")) return word;
  const equals = word.indexOf("=") + 1;
  const [four = "", six = ""] = word.slice(equals).split("|");
  return word.slice(0, equals) + (v6 ? six : four);
}

function host(name: string): StageHost {
  const found = HOSTS[name];
  if (found === undefined) throw new Error(`there is no host ${name}`);
  return found;
}

const hex = (text: string): readonly number[] => [...Buffer.from(text, "hex")];
const count = (bytes: number): readonly number[] => Array.from({ length: bytes }, (_, k) => k & 0xff);

function headersOf(
  spoken: readonly string[],
  values: ReadonlyMap<string, string>,
  from: StageHost,
  v6: boolean,
  labelled: ReadonlyMap<string, Uint8Array>,
): Crafted {
  const number = (key: string): number | undefined => (values.has(key) ? Number(values.get(key)) : undefined);
  const bytes = (key: string) => (values.has(key) ? hex(values.get(key) as string) : undefined);
  const [sourcePort, destinationPort] =
    values.get("ports")?.split(":").map(Number) ?? (from.zone === "one" ? [CLIENT_PORT, SERVER_PORT] : [SERVER_PORT, CLIENT_PORT]);
  const scale = number("scale");
  const about = values.get("about");
  const given: Crafted = {
    ...protocolOf(spoken, v6),
    sourcePort: sourcePort as number,
    destinationPort: destinationPort as number,
    sequence: number("seq") ?? 0,
    acknowledgement: number("ack") ?? 0,
    payload: about !== undefined ? [...ipOf(label(labelled, about))] : (bytes("data") ?? count(number("len") ?? 0)),
  };
  const extension = values.get("extension")?.split(":");
  return {
    ...given,
    ...defined({ window: number("win"), ttl: number("ttl"), fragment: number("fragment"), rest: bytes("rest"), ipOptions: bytes("options") }),
    ...defined({
      source: values.get("source"),
      destination: values.get("destination"),
      tcpOptions: scale === undefined ? bytes("tcpoptions") : [3, 3, scale, 1],
    }),
    ...(extension !== undefined && {
      extensions: { first: Number(extension[0]), bytes: hex((extension[1] as string).replaceAll("PP", byteText(given.protocol as number))) },
    }),
    ...(about !== undefined && !values.has("rest") && { rest: [0, 0, 0, 0] }),
  };
}

function byteText(value: number): string {
  return value.toString(16).padStart(2, "0");
}

function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** "tcp syn,ack", "udp", "icmp 8/0", "protocol 47" */
function protocolOf([name = "", detail = ""]: readonly string[], v6: boolean): Crafted {
  if (name === "icmp") {
    const [type, code] = detail.split("/").map(Number);
    return { protocol: v6 ? 58 : 1, type: type as number, code: code as number };
  }
  if (name === "protocol") return { protocol: Number(detail) };
  const protocol = PROTOCOLS[name];
  if (protocol === undefined) throw new Error(`there is no protocol ${name}`);
  if (name === "udp") return { protocol };
  return { protocol, flags: detail.split(",").reduce((flags, flag) => flags | (FLAGS[flag] ?? Number.NaN), 0) };
}

function label(labelled: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = labelled.get(name);
  if (found === undefined) throw new Error(`no packet is called ${name}`);
  return found;
}

/** The IP packet in a frame, without what Ethernet added behind it. */
export function ipOf(frame: Uint8Array): Uint8Array {
  const v6 = frame[12] === 0x86;
  return frame.subarray(L3, Math.min(frame.length, L3 + (v6 ? 40 + u16(frame, L3 + 4) : u16(frame, L3 + 2))));
}

/** "piece=big:8-24": bytes 8 to 23 of what follows the IP header of `big`, as a fragment of it. */
function pieceOf(values: ReadonlyMap<string, string>, labelled: ReadonlyMap<string, Uint8Array>, v6: boolean): Uint8Array {
  const [name = "", range = ""] = (values.get("piece") as string).split(":");
  const original = label(labelled, name);
  const headerBytes = v6 ? 40 : ((original[L3] as number) & 15) * 4;
  const body = ipOf(original).subarray(headerBytes);
  const [from = 0, to = body.length] = range.split("-").map((text) => (text === "" ? undefined : Number(text)));
  const offset = Number(values.get("offset") ?? from);
  const more = Number(values.get("more") ?? (to < body.length ? 1 : 0));
  const id = Number(values.get("id") ?? 7);
  const fill = values.get("fill");
  const chunk = Uint8Array.from(body.subarray(from, to), (byte) => (fill === undefined ? byte : Number(fill)));
  const header = [...original.subarray(0, L3 + headerBytes)];
  if (v6) {
    const fragment = [original[L3 + 6] as number, 0, offset >> 8, (offset & 0xf8) | more, 0, 0, id >> 8, id & 0xff];
    const frame = Uint8Array.from([...header, ...fragment, ...chunk]);
    put16(frame, L3 + 4, fragment.length + chunk.length);
    frame[L3 + 6] = FRAGMENT_HEADER;
    return frame;
  }
  const frame = Uint8Array.from([...header, ...chunk]);
  put16(frame, L3 + 2, headerBytes + chunk.length);
  put16(frame, L3 + 4, id);
  put16(frame, L3 + 6, (offset >> 3) | (more << 13));
  mendHeader(frame);
  return frame;
}

function mendHeader(frame: Uint8Array): void {
  put16(frame, L3 + 10, 0);
  put16(frame, L3 + 10, checksum(frame, L3, L3 + ((frame[L3] as number) & 15) * 4));
}

/** What a line does to a packet that was sound: bytes, checksum, length. `fill` of a piece is done with it. */
function spoil(whole: Uint8Array, values: ReadonlyMap<string, string>, v6: boolean): Uint8Array {
  let frame = Uint8Array.from(whole);
  const l4 = L3 + (v6 ? 40 : ((frame[L3] as number) & 15) * 4);
  let isMended = false;
  for (const [key, value] of values) {
    const match = /^(l2|l3|l4)\[(\d+)\]$/.exec(key);
    if (match === null) continue;
    const at = (match[1] === "l2" ? 0 : match[1] === "l3" ? L3 : l4) + Number(match[2]);
    frame[at] = Number(value);
    if (match[1] === "l3" && !v6) mendHeader(frame);
    if (match[1] === "l4") isMended = true;
  }
  // A packet with an altered transport header is sound otherwise: what it is dropped for must be the alteration.
  if (isMended) finishTransport(new DataView(frame.buffer), L3, l4, frame[L3 + (v6 ? 6 : 9)] as number, frame.length - l4, v6);
  const sum = values.get("sum");
  if (sum === "bad") frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 0x55;
  if (sum === "none") put16(frame, l4 + 6, 0);
  if (sum === "bad-header") frame[L3 + 11] = (frame[L3 + 11] as number) ^ 0x55;
  if (values.has("cut")) frame = frame.subarray(0, frame.length - Number(values.get("cut")));
  else if (frame.length < FRAME_BYTES_LEAST)
    frame = Uint8Array.from({ length: FRAME_BYTES_LEAST }, (_, k) => (k < whole.length ? (frame[k] as number) : LITTER));
  return frame;
}
