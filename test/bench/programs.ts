// The benchmark's C programs, built on demand into build/bench.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

const SOURCES = join(import.meta.dirname, "programs");
export const PRODUCTS = join(import.meta.dirname, "..", "..", "build", "bench");
const WARNINGS = ["-Wall", "-Wextra"];

/** Path of a program, compiled if its source or header is newer. Throws what the compiler said. */
export function program(name: "generator" | "reflector"): string {
  const product = join(PRODUCTS, name);
  const inputs = [join(SOURCES, `${name}.c`), join(SOURCES, "rings.h")];
  if (existsSync(product) && inputs.every((input) => statSync(input).mtimeMs < statSync(product).mtimeMs)) return product;
  mkdirSync(PRODUCTS, { recursive: true });
  const libraries = name === "reflector" ? ["-lbpf"] : [];
  execFileSync("cc", ["-O2", "-std=gnu11", "-D_GNU_SOURCE", ...WARNINGS, inputs[0] as string, "-o", product, ...libraries], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return product;
}
