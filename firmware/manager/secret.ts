// The pre-shared key's file: at least 32 bytes, as hex digits or raw, readable by its owner alone.

import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { ConfigurationError, type ProblemCode } from "./config/problems.ts";

export const SECRET_BYTES_LEAST = 32;
const OTHERS = 0o077;

/** The key as hex. A file of hex digits alone (a line end may follow) is hex, anything else is raw bytes. Throws ConfigurationError. */
export function readSecret(file: string): string {
  const fail = (code: ProblemCode, message: string, remedy: string): never => {
    throw new ConfigurationError([{ code, file, line: 0, path: "", message, remedy }]);
  };
  const descriptor = open(file, fail);
  try {
    const mode = fstatSync(descriptor).mode;
    if ((mode & OTHERS) !== 0)
      fail(
        "file-too-open",
        `others may use the pre-shared key's file (mode ${(mode & 0o777).toString(8).padStart(4, "0")})`,
        "chmod 600 it, and replace the key if others could read it.",
      );
    const bytes = readFileSync(descriptor);
    const text = bytes.toString("latin1").trimEnd();
    const hex = /^(?:[0-9a-fA-F]{2})+$/.test(text) ? text.toLowerCase() : bytes.toString("hex");
    if (hex.length < 2 * SECRET_BYTES_LEAST)
      fail(
        "secret-too-short",
        `the pre-shared key has ${hex.length / 2} bytes, and must have ${SECRET_BYTES_LEAST}`,
        "Make one: head -c 32 /dev/urandom > FILE, and copy it to every unit.",
      );
    return hex;
  } finally {
    closeSync(descriptor);
  }
}

function open(file: string, fail: (code: ProblemCode, message: string, remedy: string) => never): number {
  try {
    return openSync(file, "r");
  } catch (error) {
    return fail(
      "absent-file",
      `the pre-shared key's file cannot be read: ${(error as NodeJS.ErrnoException).code}`,
      "Make one: (umask 077; head -c 32 /dev/urandom > FILE), and copy it to every unit.",
    );
  }
}
