// The tables' home in simulation: an ArrayBuffer that outlives a dataplane, until somebody pulls the plug.

import type { Memory } from "../contracts.ts";

/** An appliance's memory. `open` is what a starting dataplane does; `lose` is a power cut. */
export class SimMemory {
  private area: ArrayBuffer | null = null;

  /** The area of `bytes`, zeroed when there was none of this size. `adoptable` looks at a found one: are its tables of this layout? */
  open(bytes: number, adoptable: (area: ArrayBuffer) => boolean): Memory {
    const found = this.area;
    if (found !== null && found.byteLength === bytes) return { buffer: found, adopted: adoptable(found), close: () => {} };
    this.area = new ArrayBuffer(bytes);
    return { buffer: this.area, adopted: false, close: () => {} };
  }

  lose(): void {
    this.area = null;
  }

  get buffer(): ArrayBuffer | null {
    return this.area;
  }
}
