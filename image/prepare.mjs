// Makes a checkout ready to run: Debian packages, npm packages, native builds. `npm start`, `npm test` and the image build
// call it first, every time; the second time it finds a stamp and is done in some milliseconds.
//
//   Debian packages ─→ npm ci (scripts off) ─→ pcap, epoll ─→ our addon ─→ tap without TypeScript plugin ─→ stamp
//                                              └ with Node 24's own headers, which lie in node_modules
//
// Plain JavaScript without a dependency, because it runs on whatever Node the machine has (20 or newer), before anything
// is installed. It speaks on stderr only: stdout belongs to the command that called it (`npm start -- --json`).

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const STAMP = join(ROOT, "build", "prepared");
const MODULES = join(ROOT, "node_modules");
const NODE_PACKAGE = `node-linux-${process.arch}`;
const NODE_HEADERS = join(MODULES, NODE_PACKAGE);
const NODE = join(MODULES, ".bin", "node");
const NATIVE = join(ROOT, "image", "native.mjs");

/**
 * Debian packages, with what is lost without them. `proof`: a file that the package brings. `ciOnly`: brings a service that would
 * start on somebody's machine, so it is installed where CI is set and nowhere else.
 */
const PACKAGES = [
  { name: "g++", proof: "/usr/bin/g++", cost: "no native builds: simulator only" },
  { name: "make", proof: "/usr/bin/make", cost: "no native builds: simulator only" },
  { name: "python3", proof: "/usr/bin/python3", cost: "no native builds: simulator only" },
  { name: "libpcap-dev", proof: "/usr/include/pcap.h", cost: "no node-pcap driver" },
  { name: "libbpf-dev", proof: "/usr/include/bpf/libbpf.h", cost: "no AF_XDP driver" },
  { name: "clang", proof: "/usr/bin/clang", cost: "no XDP program, so no AF_XDP driver" },
  { name: "iproute2", proof: "/sbin/ip", cost: "no lab on real network stacks" },
  { name: "nftables", proof: "/usr/sbin/nft", cost: "no lab on real network stacks" },
  { name: "ethtool", proof: "/sbin/ethtool", cost: "no lab on real network stacks" },
  { name: "curl", proof: "/usr/bin/curl", cost: "no curl in the lab" },
  { name: "iperf3", proof: "/usr/bin/iperf3", cost: "no iperf3 in the lab" },
  { name: "traceroute", proof: "/usr/bin/traceroute", cost: "no traceroute in the lab" },
  { name: "openssh-client", proof: "/usr/bin/ssh", cost: "no ssh in the lab" },
  { name: "openssh-server", proof: "/usr/sbin/sshd", cost: "no ssh in the lab", ciOnly: true },
].filter((entry) => !entry.ciOnly || process.env.CI === "true");

/** npm packages with C++ that must fit Node 24: they are built here, never by npm's install scripts. */
const ADDONS = [
  { name: "pcap", product: "build/Release/pcap_binding.node", cost: "no node-pcap driver" },
  { name: "epoll", product: "build/Release/epoll.node", cost: "no GPIO lamps and button" },
];

function log(text) {
  process.stderr.write(`prepare: ${text}\n`);
}

/** Runs a command quietly; shows that it lives; on failure shows the end of what it said. Resolves to success. */
async function run(what, command, args, options = {}) {
  const started = process.hrtime.bigint();
  const seconds = () => Number((process.hrtime.bigint() - started) / 1_000_000_000n);
  log(`${what} …`);
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], ...options });
  let said = "";
  const keep = (bytes) => {
    said = (said + bytes).slice(-8_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const pulse = setInterval(() => log(`${what}: ${seconds()} s`), 10_000);
  const code = await new Promise((resolve) => {
    child.on("error", (error) => {
      said += error.message;
      resolve(1);
    });
    child.on("close", resolve);
  });
  clearInterval(pulse);
  if (code === 0) return true;
  process.stderr.write(`${said.trimEnd()}\n`);
  log(`${what}: FAILED (${command} exited with ${code})`);
  return false;
}

function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)]));
}

/** One hash over everything that decides what a prepared checkout looks like. */
function inputsHash() {
  const hash = createHash("sha256");
  const addon = filesUnder(join(ROOT, "firmware", "hal", "linux", "addon"));
  // Generated C derives from these declarations.
  const memory = [...filesUnder(join(ROOT, "firmware", "fastpath", "memory")), ...filesUnder(join(ROOT, "firmware", "store", "live"))];
  const limits = [join(ROOT, "firmware", "limits.ts"), join(ROOT, "firmware", "fastpath", "verdicts.ts")];
  const own = ["package-lock.json", "package.json", ".taprc", "image/prepare.mjs", "image/native.mjs"].map((name) => join(ROOT, name));
  for (const file of [...own, ...addon, ...memory, ...limits]) {
    if (existsSync(file)) hash.update(relative(ROOT, file)).update("\0").update(readFileSync(file));
  }
  hash.update(process.arch);
  return hash.digest("hex");
}

/** True when every package of the lock file lies in node_modules in its version (npm keeps a copy of the lock there). */
function modulesMatchLock() {
  const installedFile = join(MODULES, ".package-lock.json");
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || (entry.optional && installed[path] === undefined)) continue;
    if (installed[path]?.version !== entry.version || !existsSync(join(ROOT, path))) return false;
  }
  return existsSync(NODE);
}

async function installPackages(problems) {
  const missing = PACKAGES.filter((entry) => !existsSync(entry.proof));
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.name);
  const isDebian = existsSync("/usr/bin/apt-get");
  const isRoot = process.getuid?.() === 0;
  if (isDebian && isRoot) {
    const install = ["install", "-y", "--no-install-recommends", ...names];
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const known = spawnSync("apt-cache", ["policy", ...names], { encoding: "utf8" }).stdout ?? "";
    const listsAreFresh = names.every((name) => new RegExp(`^${name.replace(/[+]/g, "\\+")}:\\n.*\\n\\s+Candidate: [^(]`, "m").test(known));
    const update = () => run("refreshing Debian's package lists", "apt-get", ["update"], { env });
    if (!listsAreFresh) await update();
    const what = `installing Debian packages ${names.join(" ")}`;
    if (await run(what, "apt-get", install, { env })) return;
    // A list that is too old names versions that the mirror has dropped.
    if (listsAreFresh && (await update()) && (await run(what, "apt-get", install, { env }))) return;
  }
  for (const entry of missing) problems.push(`Debian package ${entry.name} is missing: ${entry.cost}`);
  if (!isRoot) log(`not root, so nothing is installed; as root: apt-get install ${names.join(" ")}`);
  else if (!isDebian) log(`no apt-get here; install what corresponds to: ${names.join(" ")}`);
}

async function installModules() {
  if (modulesMatchLock()) return true;
  // The scripts of dependencies never run: they would build for this machine's Node, or download. node_modules/.bin
  // leaves PATH, because npm removes the Node in it while it works.
  const path = (process.env.PATH ?? "").split(":").filter((folder) => !folder.includes("node_modules/.bin"));
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  if (!(await run("installing npm packages (npm ci)", "npm", args, { env: { ...process.env, PATH: path.join(":") } }))) return false;
  if (existsSync(NODE)) return true;
  log(`${NODE_PACKAGE} did not arrive, so there is no Node 24: the platform must be linux on x64 or arm64, and the registry must have it`);
  return false;
}

async function buildAddons(problems, nodeVersion) {
  // node-gyp lets npm's environment overrule its own arguments: a `nodedir` in somebody's .npmrc would build for another Node.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith("npm_config_")));
  for (const addon of ADDONS) {
    const folder = join(MODULES, addon.name);
    const mark = join(folder, "build", "built-for");
    const isBuilt = existsSync(join(folder, addon.product)) && existsSync(mark) && readFileSync(mark, "utf8") === nodeVersion;
    if (isBuilt) continue;
    const args = [join(MODULES, "node-gyp", "bin", "node-gyp.js"), "rebuild", `--nodedir=${NODE_HEADERS}`];
    if (await run(`building ${addon.name} for Node ${nodeVersion}`, NODE, args, { cwd: folder, env })) writeFileSync(mark, nodeVersion);
    else problems.push(`${addon.name} did not build: ${addon.cost}`);
  }
}

async function buildOwnAddon(problems) {
  if (!existsSync(NATIVE)) {
    problems.push("image/native.mjs is missing: no AF_XDP driver, no shared memory");
    return;
  }
  try {
    const { buildNative } = await import(pathToFileURL(NATIVE).href);
    await buildNative({ log });
  } catch (error) {
    problems.push(`our addon did not build: simulator only (${error instanceof Error ? error.message : error})`);
  }
}

/** tap builds its Test class from the plugins that .taprc names, once per installation. */
async function buildTap(problems) {
  const mark = join(MODULES, ".tap-built");
  const wanted = readFileSync(join(ROOT, ".taprc"), "utf8");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return;
  if (await run("building tap", NODE, [join(MODULES, ".bin", "tap"), "build"])) writeFileSync(mark, wanted);
  else problems.push("tap did not build: no tests");
}

async function main() {
  const hash = inputsHash();
  const started = process.hrtime.bigint();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === hash && modulesMatchLock() && PACKAGES.every((entry) => existsSync(entry.proof))) return 0;
  const problems = [];
  await installPackages(problems);
  if (!(await installModules())) return 1;
  const version = spawnSync(NODE, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
  if (!version.startsWith("v24.")) {
    log(`node_modules/.bin/node is ${version || "not executable"}, and Node 24 is needed`);
    return 1;
  }
  await buildAddons(problems, version);
  await buildOwnAddon(problems);
  await buildTap(problems);
  for (const problem of problems) log(problem);
  const seconds = Number((process.hrtime.bigint() - started) / 1_000_000_000n);
  if (problems.length === 0) {
    mkdirSync(dirname(STAMP), { recursive: true });
    writeFileSync(STAMP, hash);
    log(`ready after ${seconds} s (Node ${version})`);
  } else log(`went as far as possible in ${seconds} s; what is missing is named above and tried again next time`);
  return 0;
}

process.exitCode = await main();
