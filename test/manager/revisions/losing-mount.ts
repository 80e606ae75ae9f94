// The losing disk as a file system that programs write to: the kernel's FUSE protocol, spoken directly over /dev/fuse. One directory without
// others in it, enough for SQLite in WAL mode, locks and shared mappings (the kernel does those). Everything is noted in the order in which the
// kernel asked for it.
//
//   program ──write, fsync──► kernel ──/dev/fuse──► answer() ──► content now, and the list of events (losing-disk.ts)
//
// <linux/fuse.h>, protocol 7.31: requests begin with 40 bytes (length, opcode, unique, node …), answers with 16 (length, error, unique).

import { spawn } from "node:child_process";
import { openSync, read, writeSync } from "node:fs";
import { Content, type DiskEvent } from "./losing-disk.ts";

const REQUEST_BYTES = 40;
const ANSWER_BYTES = 16;
const MAX_WRITE_BYTES = 131_072;
const ROOT = 1n;
const ENOENT = 2;
const ENOSYS = 38;
const SIZE_IS_SET = 8;
const BIG_WRITES = 32;
const DIRECTORY_MODE = 0o40700;
const FILE_MODE = 0o100600;

const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const SETATTR = 4;
const UNLINK = 10;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const STATFS = 17;
const RELEASE = 18;
const FSYNC = 20;
const FLUSH = 25;
const INIT = 26;
const OPENDIR = 27;
const READDIR = 28;
const RELEASEDIR = 29;
const FSYNCDIR = 30;
const CREATE = 35;
const INTERRUPT = 36;
const BATCH_FORGET = 42;

/** An answer's body, a negative error, or nothing at all. */
type Answer = Buffer | number | undefined;
const DONE = Buffer.alloc(0);

export class LosingMount {
  readonly events: DiskEvent[] = [];
  private readonly descriptor: number;
  private readonly request = Buffer.alloc(MAX_WRITE_BYTES + 4_096);
  private readonly nodes = new Map<number, Content>();
  private readonly names = new Map<string, number>();
  private lastNode = 1;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** Mounts it on a directory; rejects when this machine cannot. It goes with the mount namespace. */
  static async mount(path: string): Promise<LosingMount> {
    const mount = new LosingMount(openSync("/dev/fuse", "r+"));
    const child = spawn("mount", ["-i", "-t", "fuse", "-o", "fd=3,rootmode=40000,user_id=0,group_id=0", "losing", path], {
      stdio: ["ignore", "inherit", "inherit", mount.descriptor],
    });
    mount.next();
    const code = await new Promise((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`mount ended with ${code}`);
    return mount;
  }

  /** Without it a process cannot end: it waits for the read that waits for the kernel. */
  async unmount(path: string): Promise<void> {
    const child = spawn("umount", [path], { stdio: ["ignore", "ignore", "inherit"] });
    await new Promise((resolve) => child.once("close", resolve));
  }

  private next(): void {
    read(this.descriptor, this.request, 0, this.request.length, null, (error, length) => {
      // Not mounted yet, or an operation that was interrupted before we read it; unmounted for good.
      if (error !== null && error.code === "ENODEV") return;
      if (error === null) this.take(this.request.subarray(0, length));
      if (error === null || error.code === "EINTR" || error.code === "ENOENT") this.next();
      else setTimeout(() => this.next(), 1);
    });
  }

  private take(request: Buffer): void {
    const answer = this.answer(request.readUInt32LE(4), request.readBigUInt64LE(16), request.subarray(REQUEST_BYTES));
    if (answer === undefined) return;
    const body = typeof answer === "number" ? DONE : answer;
    const head = Buffer.alloc(ANSWER_BYTES);
    head.writeUInt32LE(ANSWER_BYTES + body.length, 0);
    head.writeInt32LE(typeof answer === "number" ? answer : 0, 4);
    request.copy(head, 8, 8, 16);
    writeSync(this.descriptor, Buffer.concat([head, body]));
  }

  private answer(opcode: number, node: bigint, body: Buffer): Answer {
    const file = Number(node);
    if (opcode === INIT) return init();
    if (opcode === LOOKUP) return this.lookUp(nameIn(body, 0));
    if (opcode === GETATTR) return this.attributes(node);
    if (opcode === SETATTR) return this.change(node, body);
    if (opcode === CREATE) return this.create(nameIn(body, 16));
    if (opcode === UNLINK) return this.unlink(nameIn(body, 0));
    if (opcode === READ) return this.read(file, body);
    if (opcode === WRITE) return this.write(file, body);
    if (opcode === FSYNC) return this.note({ kind: "sync", file });
    if (opcode === FSYNCDIR) return this.note({ kind: "sync-names" });
    if (opcode === OPEN || opcode === OPENDIR) return Buffer.alloc(16);
    if (opcode === READDIR || opcode === RELEASE || opcode === RELEASEDIR || opcode === FLUSH) return DONE;
    if (opcode === STATFS) return statistics();
    return opcode === FORGET || opcode === BATCH_FORGET || opcode === INTERRUPT ? undefined : -ENOSYS;
  }

  private note(event: DiskEvent): Buffer {
    this.events.push(event);
    return DONE;
  }

  private lookUp(name: string): Answer {
    const file = this.names.get(name);
    return file === undefined ? -ENOENT : this.entry(file);
  }

  /** Valid for no time: the kernel asks each time. */
  private entry(file: number): Buffer {
    const entry = Buffer.alloc(40);
    entry.writeBigUInt64LE(BigInt(file), 0);
    return Buffer.concat([entry, this.attribute(BigInt(file))]);
  }

  private attributes(node: bigint): Buffer {
    return Buffer.concat([Buffer.alloc(16), this.attribute(node)]);
  }

  private attribute(node: bigint): Buffer {
    const attribute = Buffer.alloc(88);
    const size = this.nodes.get(Number(node))?.bytes.length ?? 0;
    attribute.writeBigUInt64LE(node, 0);
    attribute.writeBigUInt64LE(BigInt(size), 8);
    attribute.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), 16);
    attribute.writeUInt32LE(node === ROOT ? DIRECTORY_MODE : FILE_MODE, 60);
    attribute.writeUInt32LE(1, 64);
    attribute.writeUInt32LE(4_096, 80);
    return attribute;
  }

  private change(node: bigint, body: Buffer): Answer {
    const found = this.nodes.get(Number(node));
    if ((body.readUInt32LE(0) & SIZE_IS_SET) !== 0 && found !== undefined) {
      const size = Number(body.readBigUInt64LE(16));
      found.resize(size);
      this.note({ kind: "truncate", file: Number(node), size });
    }
    return this.attributes(node);
  }

  private create(name: string): Answer {
    const file = ++this.lastNode;
    this.nodes.set(file, new Content());
    this.names.set(name, file);
    this.note({ kind: "name", name, file });
    return Buffer.concat([this.entry(file), Buffer.alloc(16)]);
  }

  private unlink(name: string): Answer {
    if (!this.names.delete(name)) return -ENOENT;
    return this.note({ kind: "unname", name });
  }

  private read(file: number, body: Buffer): Answer {
    const offset = Number(body.readBigUInt64LE(8));
    return this.nodes.get(file)?.bytes.subarray(offset, offset + body.readUInt32LE(16)) ?? -ENOENT;
  }

  private write(file: number, body: Buffer): Answer {
    const node = this.nodes.get(file);
    if (node === undefined) return -ENOENT;
    const offset = Number(body.readBigUInt64LE(8));
    const size = body.readUInt32LE(16);
    const bytes = Buffer.from(body.subarray(40, 40 + size));
    node.write(offset, bytes);
    this.note({ kind: "write", file, offset, bytes });
    const answer = Buffer.alloc(8);
    answer.writeUInt32LE(size, 0);
    return answer;
  }
}

function nameIn(body: Buffer, at: number): string {
  return body.toString("utf8", at, body.indexOf(0, at));
}

function init(): Buffer {
  const answer = Buffer.alloc(64);
  answer.writeUInt32LE(7, 0);
  answer.writeUInt32LE(31, 4);
  answer.writeUInt32LE(BIG_WRITES, 12);
  answer.writeUInt32LE(MAX_WRITE_BYTES, 20);
  answer.writeUInt32LE(1, 24);
  return answer;
}

function statistics(): Buffer {
  const answer = Buffer.alloc(80);
  for (const at of [0, 8, 16, 24, 32]) answer.writeBigUInt64LE(1n << 20n, at);
  answer.writeUInt32LE(4_096, 40);
  answer.writeUInt32LE(255, 44);
  return answer;
}
