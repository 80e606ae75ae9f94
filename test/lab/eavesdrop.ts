// What somebody on the twin's cable sees while sessions are handed over, a unit restarts and is brought up to date: everything that crosses the
// port of either unit is captured, and searched for what must not be there. The same search over a data port, over rows as they would be
// written without sealing, and over the files that hold the secrets, says that it finds what is there. Runs inside the sandbox; prints one object.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mapTables } from "../../firmware/fastpath/memory/tables.ts";
import { KEY_WORDS, ROW_WORDS, S_KEY, S_STATE, STATE_FREE } from "../../firmware/fastpath/sessions.ts";
import { attachUnitMemory } from "../../firmware/hal/linux/memory.ts";
import { CONTROL_PORT } from "../../firmware/manager/peers/limits.ts";
import { parsePairKeys } from "../../firmware/pair-keys.ts";
import { RowCodec, replicatedWords } from "../../firmware/twin/record.ts";
import { exchangeWith, startDownload, startListening } from "./hosts.ts";
import { type Lab, startLab, stopLab, untilReady } from "./lab.ts";
import { LAB_UNITS, SERVICE1, SERVICE3 } from "./picture.ts";
import { SWITCHES } from "./topology.ts";

/** What exchanges send (programs/exchange.ts). */
const PAYLOAD = "twinwall: thirty-two bytes here.";
const EXCHANGES = 60;
const DOWNLOAD_BYTES = 4 << 20;
const DOWNLOAD_RATE = 2 << 20;
const ETHERTYPE_TWIN = 0x88b5;
const PAIR_KEYS = "pair-keys.json";
const IDENTITY = "identity.pem";
const FRAME_HEADER_BYTES = 16;
const FILE_HEADER_BYTES = 24;

type Patterns = Readonly<Record<string, readonly Buffer[]>>;

function addressBytes(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [front = "", back = ""] = address.split("::").map((half) =>
    half
      .split(":")
      .map((group) => group.padStart(4, "0"))
      .join(""),
  );
  return Buffer.from(front + "0".repeat(32 - front.length - back.length) + back, "hex");
}

/** Source and destination as they stand next to each other in a packet, both ways. */
function headers(one: string, other: string): readonly Buffer[] {
  const [a, b] = [addressBytes(one), addressBytes(other)];
  return [Buffer.concat([a, b]), Buffer.concat([b, a])];
}

/** Keys of a unit's sessions as a record has them: words as they lie in memory, without zeroes; and whole records of those rows. */
function rowsOf({ units }: Lab): { readonly keys: readonly Buffer[]; readonly records: Buffer } {
  const memory = attachUnitMemory(units.B1.places.memoryName, "read");
  const { i } = mapTables(memory.buffer, memory.sessions).sessions;
  const codec = new RowCodec(replicatedWords());
  const keys: Buffer[] = [];
  const records: Buffer[] = [];
  for (let at = 0; at < i.length; at += ROW_WORDS) {
    if (((i[at + S_STATE] as number) & 0xff) === STATE_FREE) continue;
    const words = i.slice(at + S_KEY, at + S_KEY + KEY_WORDS).filter((word) => word !== 0);
    keys.push(Buffer.from(words.buffer));
    const record = Buffer.alloc(codec.measure(i, at, true));
    codec.encode(i, at, new DataView(record.buffer, record.byteOffset, record.length), 0, 0, 0, 0, 0, 0, i[at + S_STATE] as number);
    records.push(record);
  }
  memory.close();
  return { keys, records: Buffer.concat(records) };
}

/** What opens everything: secrets of pairs and private keys, in the forms that a program might write them in. */
function secretsOf({ units }: Lab): readonly Buffer[] {
  return LAB_UNITS.flatMap((name) => {
    const { dataDirectory } = units[name].places;
    const shared = parsePairKeys(readFileSync(join(dataDirectory, PAIR_KEYS), "utf8")).flatMap(({ secrets }) =>
      secrets.map(({ secret }) => Buffer.from(secret, "hex")),
    );
    const body = readFileSync(join(dataDirectory, IDENTITY), "utf8").replace(/-----[A-Z ]+-----|\s/g, "");
    // The last 32 bytes of the DER are the key itself (RFC 8410 §7).
    const own = Buffer.from(body, "base64").subarray(-32);
    return [...shared, own]
      .flatMap((secret) => [secret, Buffer.from(secret.toString("hex")), Buffer.from(secret.toString("base64"))])
      .concat(Buffer.from(body));
  });
}

/** Frames of a capture: bytes without the file's own headers. */
function framesOf(capture: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let at = FILE_HEADER_BYTES; at + FRAME_HEADER_BYTES <= capture.length; ) {
    const length = capture.readUInt32LE(at + 8);
    frames.push(capture.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length));
    at += FRAME_HEADER_BYTES + length;
  }
  return frames;
}

/** How many of each kind of pattern are somewhere in these bytes. */
function found(bytes: Buffer, patterns: Patterns): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(patterns).map(([kind, all]) => [kind, all.filter((pattern) => bytes.includes(pattern)).length]));
}

async function traffic(): Promise<number> {
  let failed = 0;
  for (const address of [SERVICE3.address4, SERVICE3.address6]) {
    for (const protocol of ["tcp", "udp"] as const)
      failed += (await exchangeWith("service1", protocol, address, { count: EXCHANGES, concurrency: 4, pauseMillis: 5, tries: 4 })).failed;
    const { intact } = await startDownload("service1", address, { bytes: DOWNLOAD_BYTES, rate: DOWNLOAD_RATE }).finished;
    if (!intact) failed++;
  }
  return failed;
}

async function eavesdrop(): Promise<object> {
  const lab = await startLab({ wiring: "routed", twin: true }, undefined, (line) => console.error(line));
  const { units, names } = lab;
  const listeners = await Promise.all(["A1-twin", "B1-twin", "A1-one"].map((device) => startListening(SWITCHES, device)));
  const failed = await traffic();
  const handedOff = units.B1.counter("handed-off");
  const { keys, records } = rowsOf(lab);
  const before = secretsOf(lab);
  // Rows are told from the beginning, managers connect anew and agree on another secret.
  units.B1.powerOff();
  units.B1.start();
  await units.B1.untilStarted(15_000);
  await untilReady(units, names, true);
  const files = LAB_UNITS.flatMap((name) => [PAIR_KEYS, IDENTITY].map((file) => readFileSync(join(units[name].places.dataDirectory, file))));
  const captures = await Promise.all(listeners.map((listener) => listener.stop()));
  const patterns: Patterns = {
    payload: [Buffer.from(PAYLOAD)],
    headers: [...headers(SERVICE1.address4, SERVICE3.address4), ...headers(SERVICE1.address6, SERVICE3.address6)],
    rows: keys,
    secrets: [...before, ...secretsOf(lab)],
    conversation: [Buffer.from('{"kind":"')],
  };
  const [twinOfA = Buffer.alloc(0), twinOfB = Buffer.alloc(0), data = Buffer.alloc(0)] = captures.map(({ bytes }) => bytes);
  const twinFrames = framesOf(twinOfB);
  const isControl = (frame: Buffer): boolean =>
    frame.readUInt16BE(12) === 0x86dd && frame[20] === 6 && [frame.readUInt16BE(54), frame.readUInt16BE(56)].includes(CONTROL_PORT);
  stopLab();
  return {
    failed,
    handedOff,
    searchedFor: Object.fromEntries(Object.entries(patterns).map(([kind, all]) => [kind, all.length])),
    lost: captures.reduce((sum, { lost }) => sum + lost, 0),
    sealedFrames: twinFrames.filter((frame) => frame.readUInt16BE(12) === ETHERTYPE_TWIN).length,
    controlSegments: twinFrames.filter(isControl).length,
    onTwin: [found(twinOfA, patterns), found(twinOfB, patterns)],
    onData: found(data, patterns),
    inPlainRecords: found(records, patterns),
    inOwnFiles: found(Buffer.concat(files), patterns),
  };
}

console.log(JSON.stringify(await eavesdrop()));
process.exit(0);
