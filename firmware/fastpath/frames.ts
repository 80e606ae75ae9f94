// Frames of our own: taken from packet memory, headed, padded with zeroes and sent.

import type { PacketMemory } from "../hal/contracts.ts";
import type { Outlet } from "./outlet.ts";
import { drop } from "./verdicts.ts";
import { ETHERNET_BYTES, ETHERNET_BYTES_LEAST, ETHERNET_SOURCE, ETHERNET_TYPE, TYPE_VLAN } from "./wire/ethernet.ts";
import { VLAN_BYTES, VLAN_CONTROL, VLAN_TYPE } from "./wire/vlan.ts";
import type { Zones } from "./zones.ts";

const NO_FRAMES = drop("no-frames");

export class Frames {
  readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly memory: PacketMemory;
  private readonly outlet: Outlet;
  private readonly zones: Zones;
  private readonly counters: Float64Array;
  /** The frame that is being made: its first byte and its entry. */
  private offset = 0;
  private entry = 0;

  constructor(memory: PacketMemory, outlet: Outlet, zones: Zones, counters: Float64Array) {
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.memory = memory;
    this.outlet = outlet;
    this.zones = zones;
    this.counters = counters;
  }

  /**
   * Takes a frame and writes its Ethernet header (and the entry's VLAN tag). MACs: first four bytes and last two, in packet
   * order. Returns where the payload begins, or -1 when packet memory is exhausted (counted).
   */
  open(entry: number, destination: number, destinationRest: number, source: number, sourceRest: number, type: number): number {
    const offset = this.memory.take();
    if (offset < 0) {
      this.counters[NO_FRAMES] = (this.counters[NO_FRAMES] as number) + 1;
      return -1;
    }
    this.offset = offset;
    this.entry = entry;
    const view = this.view;
    view.setInt32(offset, destination, true);
    view.setUint16(offset + 4, destinationRest, true);
    view.setInt32(offset + ETHERNET_SOURCE, source, true);
    view.setUint16(offset + ETHERNET_SOURCE + 4, sourceRest, true);
    const vlan = this.zones.vlan[entry] as number;
    if (vlan === 0) {
      view.setUint16(offset + ETHERNET_TYPE, type);
      return offset + ETHERNET_BYTES;
    }
    view.setUint16(offset + ETHERNET_TYPE, TYPE_VLAN);
    view.setUint16(offset + VLAN_CONTROL, vlan);
    view.setUint16(offset + VLAN_TYPE, type);
    return offset + ETHERNET_BYTES + VLAN_BYTES;
  }

  /** Pads the opened frame, whose payload ends at `end`, and sends it through its entry's port. */
  close(end: number): void {
    this.outlet.send(this.zones.port[this.entry] as number, this.offset, padFrame(this.bytes, this.offset, end));
  }
}

/** Zeroes behind a short frame, so that no byte of an earlier packet shows (F10). Returns the frame's length. */
export function padFrame(bytes: Uint8Array, offset: number, end: number): number {
  const least = (offset + ETHERNET_BYTES_LEAST) | 0;
  for (let k = end; k < least; k = (k + 1) | 0) bytes[k] = 0;
  return ((end > least ? end : least) - offset) | 0;
}
