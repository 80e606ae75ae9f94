// Where the tables live: a file in /dev/shm, created exclusively, 0600, fully allocated and never resized, so that no
// later store can fault. The dataplane owns it (a file lock that ends with the process says so); the manager attaches
// to write commands and policy, the store and the console to read.
//
//   absent ──create──► magic written last ──► adopted by the next dataplane while magic, layout and capacity fit
//                                         └─► replaced (a new file under the same name) when they do not

import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { headerWord, LAYOUT_HASH, MAGIC, planRegions } from "../../fastpath/memory/tables.ts";
import type { Memory } from "../contracts.ts";
import { HalError, systemReason } from "./failure.ts";
import { EWOULDBLOCK, loadNative } from "./native.ts";

const DIRECTORY = "/dev/shm";
const MAGIC_WORD = headerWord("magic");
const LAYOUT_WORD = headerWord("layout");
const SESSIONS_WORD = headerWord("sessions");
const PAGE_BYTES = 4096;

export interface UnitMemory extends Memory {
  /** Capacity in session rows. */
  readonly sessions: number;
  /** Why an older file under this name was not adopted; absent when there was none or it was. */
  readonly replaced?: string;
}

/**
 * Creates or adopts the shared memory of a unit and owns it until `close` or the process's end. `name`: a file name, e.g.
 * "twinwall-A1". Throws HalError MEMORY_IN_USE (another dataplane runs), MEMORY_NO_SPACE, MEMORY_SYSTEM.
 */
export function openUnitMemory(name: string, sessions: number): UnitMemory {
  const path = pathOf(name);
  const bytes = planRegions(sessions).totalBytes;
  const found = openFile(path, constants.O_RDWR);
  if (found < 0) return createUnitMemory(path, bytes, sessions, undefined);
  try {
    lockFile(found, path);
    const reason = unfitness(found, bytes, sessions);
    if (reason === undefined) return unitMemory(found, bytes, { sessions, adopted: true, writable: true });
    // Readers that still map the old file keep its pages; the name now belongs to a new one.
    unlinkSync(path);
    const created = createUnitMemory(path, bytes, sessions, reason);
    closeSync(found);
    return created;
  } catch (error) {
    closeSync(found);
    throw error;
  }
}

/**
 * Maps the shared memory of a running (or dead) unit. `access` "write" is the manager's, for commands and policy; storing
 * into a "read" mapping kills the process (SIGSEGV). Throws HalError MEMORY_ABSENT, MEMORY_MISMATCH, MEMORY_SYSTEM.
 */
export function attachUnitMemory(name: string, access: "read" | "write"): UnitMemory {
  const path = pathOf(name);
  const descriptor = openFile(path, access === "write" ? constants.O_RDWR : constants.O_RDONLY);
  if (descriptor < 0) throw new HalError("MEMORY_ABSENT", `there is no shared memory ${path}: the unit's dataplane has not been started`);
  try {
    const sessions = readHeader(descriptor)[SESSIONS_WORD] as number;
    const bytes = sessions > 0 ? planRegions(sessions).totalBytes : 0;
    const reason = unfitness(descriptor, bytes, sessions);
    if (reason !== undefined) throw new HalError("MEMORY_MISMATCH", `${path} cannot be read: ${reason}; restart the unit, or use its version of the program`);
    return unitMemory(descriptor, bytes, { sessions, adopted: true, writable: access === "write" });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Read-only mapping of a unit's tables, for the store and the console. As `attachUnitMemory(name, "read")`. */
export function openReadOnly(name: string): UnitMemory {
  return attachUnitMemory(name, "read");
}

/** Removes a unit's shared memory (its sessions are forgotten); processes that map it keep what they have. */
export function removeUnitMemory(name: string): void {
  try {
    unlinkSync(pathOf(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/**
 * Copies `rows` rows from `firstRow` of a table whose rows begin with a generation into `target`, each as it was at one moment.
 * A row that does not hold still (its writer died in mid-change) is zeroed. Returns how many were.
 */
export function snapshot(source: ArrayBuffer, offsetBytes: number, strideBytes: number, firstRow: number, rows: number, target: ArrayBuffer): number {
  return loadNative().snapshot(source, offsetBytes, strideBytes, firstRow, rows, target);
}

/** Zeroed memory of this process alone, on large pages where there are some: packet memory, the session index. Throws HalError MEMORY_NO_SPACE. */
export function privateArea(bytes: number): ArrayBuffer {
  const area = loadNative().memoryPrivate(bytes);
  if (typeof area === "number") throw new HalError("MEMORY_NO_SPACE", `${megabytes(bytes)} of private memory are not to be had (${systemReason(area)})`);
  return area;
}

function pathOf(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new HalError("MEMORY_SYSTEM", `"${name}" is no name for shared memory: letters, digits, dot, dash`);
  return `${DIRECTORY}/${name}`;
}

/** Descriptor, or -1 when the file is absent. */
function openFile(path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return -1;
    throw new HalError("MEMORY_SYSTEM", `cannot open ${path} (${code ?? "unknown error"})`);
  }
}

function lockFile(descriptor: number, path: string): void {
  const result = loadNative().memoryLock(descriptor, 1);
  if (result >= 0) return;
  if (result === EWOULDBLOCK) throw new HalError("MEMORY_IN_USE", `${path} belongs to a running dataplane: stop it first, or give this unit another name`);
  throw new HalError("MEMORY_SYSTEM", `cannot lock ${path} (${systemReason(result)})`);
}

/** Why the file is not a unit's area of `bytes` bytes for `sessions` rows; undefined when it is. */
function unfitness(descriptor: number, bytes: number, sessions: number): string | undefined {
  const status = fstatSync(descriptor);
  if (!status.isFile() || status.uid !== process.geteuid?.()) return "it is no file of this user";
  if (status.size < PAGE_BYTES) return "it is no Twinwall memory (too short)";
  const header = readHeader(descriptor);
  if ((header[MAGIC_WORD] as number) >>> 0 !== MAGIC) return "its creation was not finished (no magic)";
  const layout = (header[LAYOUT_WORD] as number) >>> 0;
  if (layout !== LAYOUT_HASH) return `it has the table layout ${hex(layout)}, and this version has ${hex(LAYOUT_HASH)}`;
  if (header[SESSIONS_WORD] !== sessions) return `it holds ${header[SESSIONS_WORD]} sessions, and ${sessions} are configured`;
  if (status.size !== bytes) return `it has ${status.size} bytes instead of ${bytes}`;
  return undefined;
}

function createUnitMemory(path: string, bytes: number, sessions: number, replaced: string | undefined): UnitMemory {
  const descriptor = openFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  try {
    lockFile(descriptor, path);
    const result = loadNative().memoryAllocate(descriptor, bytes);
    if (result < 0)
      throw new HalError("MEMORY_NO_SPACE", `${path} needs ${megabytes(bytes)} for ${sessions} sessions (${systemReason(result)}): configure fewer`);
    const memory = unitMemory(descriptor, bytes, { sessions, adopted: false, writable: true, ...(replaced === undefined ? {} : { replaced }) });
    const header = new Int32Array(memory.buffer, 0, PAGE_BYTES / 4);
    header[LAYOUT_WORD] = LAYOUT_HASH;
    header[SESSIONS_WORD] = sessions;
    Atomics.store(header, MAGIC_WORD, MAGIC);
    return memory;
  } catch (error) {
    unlinkSync(path);
    closeSync(descriptor);
    throw error;
  }
}

function readHeader(descriptor: number): Int32Array {
  const header = new Int32Array(PAGE_BYTES / 4);
  readSync(descriptor, header, 0, PAGE_BYTES, 0);
  return header;
}

interface Mapping {
  readonly sessions: number;
  readonly adopted: boolean;
  readonly writable: boolean;
  readonly replaced?: string;
}

function unitMemory(descriptor: number, bytes: number, mapping: Mapping): UnitMemory {
  const native = loadNative();
  const buffer = native.memoryMap(descriptor, bytes, mapping.writable ? 1 : 0);
  if (typeof buffer === "number") throw new HalError("MEMORY_NO_SPACE", `cannot map ${megabytes(bytes)} of shared memory (${systemReason(buffer)})`);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    native.memoryUnmap(buffer);
    native.memoryLock(descriptor, 0);
    closeSync(descriptor);
  };
  const { sessions, adopted, replaced } = mapping;
  return replaced === undefined ? { buffer, adopted, sessions, close } : { buffer, adopted, sessions, replaced, close };
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1_048_576)} MiB`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
