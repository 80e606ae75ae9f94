// The benchmark's C programs, built on demand into build/bench.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { missingOf } from "./peers.ts";

const SOURCES = join(import.meta.dirname, "programs");
export const PRODUCTS = join(import.meta.dirname, "..", "..", "build", "bench");
const WARNINGS = ["-Wall", "-Wextra"];

/** Each program with the libraries that it needs beside libc. */
const LIBRARIES = { generator: [], opener: [], reflector: ["-lbpf"], trial: [], pulse: [], latency: [], stream: [] } as const;
export type ProgramName = keyof typeof LIBRARIES;

/** Compiles whatever this machine has the libraries of, so that no measurement waits for a compiler. */
export function buildPrograms(): void {
  const isBpfMissing = missingOf(["libbpf-dev"]).length > 0;
  for (const name of Object.keys(LIBRARIES) as ProgramName[]) if (LIBRARIES[name].length === 0 || !isBpfMissing) program(name);
}

/** Path of a program, compiled if its source or a header is newer. Throws what the compiler said. */
export function program(name: ProgramName): string {
  const product = join(PRODUCTS, name);
  const inputs = [`${name}.c`, "rings.h", "load.h"].map((file) => join(SOURCES, file));
  if (existsSync(product) && inputs.every((input) => statSync(input).mtimeMs < statSync(product).mtimeMs)) return product;
  mkdirSync(PRODUCTS, { recursive: true });
  execFileSync("cc", ["-O2", "-std=gnu11", "-D_GNU_SOURCE", ...WARNINGS, inputs[0] as string, "-o", product, ...LIBRARIES[name]], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return product;
}
