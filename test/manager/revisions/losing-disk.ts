// A disk that loses what nobody has synced: it remembers every write, and what was asked to be durable when. After a power cut at any moment, what
// was synced is there; of everything later any part may be, sector by sector and in any order. A name is there for certain once its directory
// was synced, and not before.

import type { Random } from "../../../firmware/hal/sim/random.ts";

const SECTOR_BYTES = 512;

/** A file's number stays with it under any name. */
export type DiskEvent =
  | { readonly kind: "write"; readonly file: number; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly file: number; readonly size: number }
  | { readonly kind: "sync"; readonly file: number }
  | { readonly kind: "name"; readonly name: string; readonly file: number }
  | { readonly kind: "unname"; readonly name: string }
  | { readonly kind: "sync-names" };

/** A file's bytes. They grow as they are written to, with zeroes in the gaps; there is more room than is in use. */
export class Content {
  private room = Buffer.alloc(65_536);
  private length = 0;

  get bytes(): Buffer {
    return this.room.subarray(0, this.length);
  }

  write(offset: number, part: Uint8Array): void {
    if (offset + part.length > this.length) this.resize(offset + part.length);
    this.room.set(part, offset);
  }

  resize(size: number): void {
    if (size > this.room.length) this.room = Buffer.concat([this.room], 2 * size);
    // What is cut off does not come back when the file grows again.
    this.room.fill(0, Math.min(size, this.length), Math.max(size, this.length));
    this.length = size;
  }
}

/** What is on the disk, by name, when power is cut after `events`. `isLying`: it has said "synced" and done nothing. */
export function afterPowerCut(events: readonly DiskEvent[], random: Random, isLying = false): ReadonlyMap<string, Buffer> {
  const synced = new Map<number, number>();
  let namesSynced = -1;
  for (const [at, event] of events.entries()) {
    if (isLying) break;
    if (event.kind === "sync") synced.set(event.file, at);
    else if (event.kind === "sync-names") namesSynced = at;
  }
  // Some cuts take nearly everything, some nearly nothing.
  const kept = random.pick([0, 0.1, 0.5, 0.9, 1]);
  const names = new Map<string, number>();
  const files = new Map<number, Content>();
  for (const [at, event] of events.entries()) {
    if (event.kind === "name" || event.kind === "unname") {
      if (at > namesSynced && random.fraction() >= kept) continue;
      if (event.kind === "name") names.set(event.name, event.file);
      else names.delete(event.name);
    } else if (event.kind === "write" || event.kind === "truncate") {
      const isSafe = at < (synced.get(event.file) ?? -1);
      const content = files.get(event.file) ?? new Content();
      files.set(event.file, content);
      if (event.kind === "truncate") {
        if (isSafe || random.fraction() < kept) content.resize(event.size);
      } else if (isSafe) content.write(event.offset, event.bytes);
      else writeSome(content, event.offset, event.bytes, random, kept);
    }
  }
  return new Map([...names].map(([name, file]) => [name, files.get(file)?.bytes ?? Buffer.alloc(0)]));
}

function writeSome(content: Content, offset: number, bytes: Buffer, random: Random, kept: number): void {
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
    if (random.fraction() < kept) content.write(offset + from, bytes.subarray(from, to));
    from = to;
  }
}
