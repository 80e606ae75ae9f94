// Unpredictable bytes, from the kernel by way of OpenSSL's generator.

import { randomFillSync } from "node:crypto";
import type { Entropy } from "../contracts.ts";

export function createEntropy(): Entropy {
  return {
    fill: (bytes) => {
      randomFillSync(bytes);
    },
  };
}
