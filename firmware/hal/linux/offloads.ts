// What NICs do to frames behind our back, and what becomes of it:
//
//   receive merging (GRO, LRO)   turned off: merged segments fit no packet frame and are not what the sender sent
//   tag stripping (rxvlan)       turned off: XDP does not see a stripped tag, and the frame would join the wrong zone. An
//                                AF_XDP port that keeps stripping is refused; node-pcap puts tags back
//   segmentation (TSO, GSO)      harmless here: our frames are never larger than the MTU
//   receive checksum             not used: the fastpath verifies checksums itself
//
// One thing cannot be seen from here: a *virtual* peer (veth, virtio on the same host) that leaves checksums to a NIC
// that does not exist. Such packets arrive with a wrong checksum and are dropped and counted; turn `tx`, `txvlan`, `gso` and `tso` off there.

import { loadNative, OFFLOAD_GRO, OFFLOAD_LRO, OFFLOAD_RECEIVE_TAG } from "./native.ts";

/** Turns off what merges or changes received frames, as far as the driver lets us. */
export function quietOffloads(name: string): void {
  const native = loadNative();
  for (const which of [OFFLOAD_GRO, OFFLOAD_LRO, OFFLOAD_RECEIVE_TAG]) if (native.offload(name, which) === 1) native.offloadOff(name, which);
}

export interface Offloads {
  /** The NIC takes VLAN tags out of received frames. */
  readonly stripsTags: boolean;
  /** The NIC or the kernel merges received packets. */
  readonly mergesPackets: boolean;
}

/** What is still on. */
export function checkOffloads(name: string): Offloads {
  const native = loadNative();
  return {
    stripsTags: native.offload(name, OFFLOAD_RECEIVE_TAG) === 1,
    mergesPackets: native.offload(name, OFFLOAD_GRO) === 1 || native.offload(name, OFFLOAD_LRO) === 1,
  };
}
