// A unit's memory made by hand: the same layout as the real one, in an ordinary file or in this process alone.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { word } from "../../firmware/fastpath/memory/layout.ts";
import { headerWord, LAYOUT_HASH, MAGIC, mapTables, planRegions, SESSIONS, STATE_NAMES, type Tables } from "../../firmware/fastpath/memory/tables.ts";

export interface Area {
  readonly buffer: ArrayBuffer;
  readonly tables: Tables;
  readonly sessions: number;
}

export const NOW_MICROS = 5_000_000_000;
const STRIDE = SESSIONS.strideWords;

/** An area with a header of unit A1 and no rows. */
export function makeArea(sessions: number): Area {
  const buffer = new ArrayBuffer(planRegions(sessions).totalBytes);
  const tables = mapTables(buffer, sessions);
  const header = tables.header.i;
  header[headerWord("layout")] = LAYOUT_HASH;
  header[headerWord("sessions")] = sessions;
  header[headerWord("unit")] = 1;
  header[headerWord("incarnation")] = 7;
  header[headerWord("role")] = 1;
  header[headerWord("driver")] = 1;
  header[headerWord("revision")] = 3;
  tables.header.f[headerWord("breathAt") >> 1] = NOW_MICROS;
  tables.header.f[headerWord("startedAt") >> 1] = NOW_MICROS - 60_000_000;
  header[headerWord("magic")] = MAGIC;
  return { buffer, tables, sessions };
}

export interface MadeSession {
  readonly state?: (typeof STATE_NAMES)[number];
  readonly source?: readonly number[];
  readonly destination?: readonly number[];
  readonly ports?: readonly [number, number];
  readonly owner?: number;
  readonly serial?: number;
  readonly version?: number;
  readonly acknowledged?: number;
  readonly packets?: number;
  readonly bytes?: number;
  readonly lastSeenMillis?: number;
}

export function mapped(a: number, b: number, c: number, d: number): number[] {
  return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d];
}

function putTuple(
  area: Area,
  row: number,
  prefix: "originator" | "responder",
  source: readonly number[],
  destination: readonly number[],
  ports: readonly [number, number],
  zone: number,
): void {
  const bytes = new Uint8Array(area.buffer, area.tables.sessions.i.byteOffset + row * STRIDE * 4, STRIDE * 4);
  bytes.set(source, word(SESSIONS, `${prefix}Source`) * 4);
  bytes.set(destination, word(SESSIONS, `${prefix}Destination`) * 4);
  new DataView(bytes.buffer, bytes.byteOffset + word(SESSIONS, `${prefix}Ports`) * 4).setUint32(0, (ports[0] << 16) | ports[1]);
  area.tables.sessions.i[row * STRIDE + word(SESSIONS, `${prefix}Flow`)] = 6 | (zone << 8);
}

/** Writes a TCP session of zone 1 to zone 3 into a row, as the dataplane would. */
export function putSession(area: Area, row: number, session: MadeSession = {}): void {
  const { i, f } = area.tables.sessions;
  const at = row * STRIDE;
  const source = session.source ?? mapped(10, 1, 0, 10);
  const destination = session.destination ?? mapped(10, 3, 0, 10);
  const [from, to] = session.ports ?? [40_000 + (row % 20_000), 443];
  i[at] = ((i[at] as number) + 1) | 1;
  putTuple(area, row, "originator", source, destination, [from, to], 1);
  putTuple(area, row, "responder", destination, source, [to, from], 3);
  i[at + word(SESSIONS, "state")] = STATE_NAMES.indexOf(session.state ?? "established");
  i[at + word(SESSIONS, "owner")] = ((session.owner ?? 1) << 24) | 7;
  i[at + word(SESSIONS, "idSerial")] = session.serial ?? row + 1;
  i[at + word(SESSIONS, "idCreator")] = 1 << 8;
  i[at + word(SESSIONS, "idIncarnation")] = 7;
  i[at + word(SESSIONS, "epoch")] = 1;
  i[at + word(SESSIONS, "version")] = session.version ?? 1;
  i[at + word(SESSIONS, "rule")] = 2;
  i[at + word(SESSIONS, "units")] = 1 | (3 << 8);
  i[at + word(SESSIONS, "replica")] = session.acknowledged ?? 0;
  i[at + word(SESSIONS, "lastSeen")] = session.lastSeenMillis ?? NOW_MICROS / 1000 - 250;
  i[at + word(SESSIONS, "created")] = NOW_MICROS / 1000 - 3000;
  i[at + word(SESSIONS, "idleLimit")] = 7_440_000;
  f[(at + word(SESSIONS, "originatorPackets")) >> 1] = session.packets ?? 10;
  f[(at + word(SESSIONS, "originatorBytes")) >> 1] = session.bytes ?? 1000;
  f[(at + word(SESSIONS, "responderPackets")) >> 1] = (session.packets ?? 10) * 2;
  f[(at + word(SESSIONS, "responderBytes")) >> 1] = (session.bytes ?? 1000) * 3;
  i[at] = (i[at] as number) + 1;
}

/** A directory that goes with the test. */
export function temporaryDirectory(t: { teardown(done: () => void): void }, name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `store-${name}-`));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function writeArea(area: Area, file: string): void {
  writeFileSync(file, new Uint8Array(area.buffer));
}
