// AES-256-GCM over twin frames in packet memory, in batches, through the OpenSSL inside Node (addon/sealer.c). Keys live
// in the addon's private memory.

import type { Sealer } from "../contracts.ts";
import { loadNative } from "./native.ts";

/** A sealer for frames in `area` (packet memory). Its 64 slots belong to the process: make one per process. */
export function createSealer(area: ArrayBuffer): Sealer {
  const native = loadNative();
  return {
    install: (slot, key) => native.sealerInstall(slot, key),
    remove: (slot) => native.sealerRemove(slot),
    seal: (jobs, count) => {
      if (count > 0) native.sealerSeal(area, jobs, count);
    },
    open: (jobs, count) => (count > 0 ? native.sealerOpen(area, jobs, count) : 0),
  };
}
