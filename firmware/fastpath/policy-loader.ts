// Brings a compiled policy into the dataplane without standing still: a slice in each breath into the one of two areas that is not in
// use, and then one switch. A newer one that comes meanwhile begins anew.

import type { PolicySource } from "../hal/contracts.ts";
import { POLICY_IMAGE_BYTES, POLICY_SLICE_BYTES } from "../limits.ts";
import { POLICY_HEADER_BYTES, type PolicyImage, readPolicyImage } from "./policy-image.ts";

export class PolicyLoader {
  private readonly source: PolicySource;
  private readonly areas: (ArrayBuffer | undefined)[];
  /** The area that is read into; the other one may be in use. */
  private side = 0;
  private into: Uint8Array | undefined;
  private done = 0;

  /** `areas`: two of POLICY_IMAGE_BYTES, made before packets flow; without them each image gets one of its size. */
  constructor(source: PolicySource, areas: readonly ArrayBuffer[]) {
    this.source = source;
    this.areas = [areas[0], areas[1]];
  }

  /** There is another policy to be read. */
  begin(): void {
    if (this.into !== undefined) this.source.end();
    this.into = undefined;
    this.done = 0;
    const bytes = this.source.begin();
    if (bytes < POLICY_HEADER_BYTES || bytes > POLICY_IMAGE_BYTES || (bytes & 3) !== 0) this.source.end();
    else this.into = new Uint8Array(this.areas[this.side] ?? new ArrayBuffer(bytes), 0, bytes);
  }

  get isLoading(): boolean {
    return this.into !== undefined;
  }

  /** Reads a slice. Returns the policy once it is whole: it is used from then on, and its area is not written to. */
  step(): PolicyImage | undefined {
    const { into } = this;
    if (into === undefined) return undefined;
    const count = this.source.read(into.subarray(this.done, Math.min(this.done + POLICY_SLICE_BYTES, into.length)));
    this.done += count;
    if (count > 0 && this.done < into.length) return undefined;
    this.source.end();
    this.into = undefined;
    if (this.done < into.length) return undefined;
    const image = readPolicyImage(new Int32Array(into.buffer, 0, into.length >> 2));
    if (image !== undefined) this.side = 1 - this.side;
    return image;
  }
}
