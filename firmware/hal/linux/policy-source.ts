// The file that a compiled policy lies in: in memory (/run), and replaced whole by whoever writes it, so that what was opened stays.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { PolicySource } from "../contracts.ts";

/** A source that reads `file` from its beginning after each `begin`. A file that is absent or cannot be read has 0 bytes. */
export function createPolicySource(file: string): PolicySource {
  let descriptor = -1;
  const end = (): void => {
    if (descriptor >= 0) closeSync(descriptor);
    descriptor = -1;
  };
  return {
    begin() {
      end();
      try {
        descriptor = openSync(file, "r");
        return fstatSync(descriptor).size;
      } catch {
        return 0;
      }
    },
    read(into) {
      try {
        return readSync(descriptor, into);
      } catch {
        return 0;
      }
    },
    end,
  };
}
