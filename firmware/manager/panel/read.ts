// The tables that the panel needs, read from a unit's memory file: for those who draw the panel beside a unit that runs. All of
// them lie before the sessions, so a megabyte is read whatever the capacity is.

import { closeSync, openSync, readSync } from "node:fs";
import { headerWord, LAYOUT_HASH, MAGIC, mapTables, planRegions, SESSIONS } from "../../fastpath/memory/tables.ts";
import type { PanelTables } from "./look.ts";

const BYTES = planRegions(0).regions.get(SESSIONS.name)?.offsetBytes ?? 0;

/** A copy of the tables as they are now; undefined when there is no such file, or it is of another version. */
export function readPanelTables(memoryFile: string): PanelTables | undefined {
  const buffer = new ArrayBuffer(BYTES);
  if (readStart(memoryFile, new Uint8Array(buffer)) < BYTES) return undefined;
  const tables = mapTables(buffer, 0);
  const { i } = tables.header;
  return i[headerWord("magic")] === MAGIC && i[headerWord("layout")] === (LAYOUT_HASH | 0) ? tables : undefined;
}

function readStart(file: string, bytes: Uint8Array): number {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return 0;
  }
  try {
    return readSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
}
