// A DataView for debugging: it knows which part of memory is the packet and throws when anything else is touched.

export class GuardedView extends DataView<ArrayBuffer> {
  private from = 0;
  private to = 0;

  /** Only `[from, to)` may be touched from now on. */
  guard(from: number, to: number): void {
    this.from = from;
    this.to = to;
  }

  private inside(at: number, bytes: number): void {
    if (at < this.from || at + bytes > this.to) throw new Error(`${bytes} bytes at ${at} lie outside the packet [${this.from}, ${this.to})`);
  }

  override getUint8(at: number): number {
    this.inside(at, 1);
    return super.getUint8(at);
  }
  override getUint16(at: number, little?: boolean): number {
    this.inside(at, 2);
    return super.getUint16(at, little);
  }
  override getUint32(at: number, little?: boolean): number {
    this.inside(at, 4);
    return super.getUint32(at, little);
  }
  override getInt32(at: number, little?: boolean): number {
    this.inside(at, 4);
    return super.getInt32(at, little);
  }
  override getInt8(at: number): number {
    this.inside(at, 1);
    return super.getInt8(at);
  }
  override getInt16(at: number, little?: boolean): number {
    this.inside(at, 2);
    return super.getInt16(at, little);
  }
}
