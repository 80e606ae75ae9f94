// Debian packages for the appliance: fetched by apt into a directory of its own (the machine's package system is not touched), verified
// by apt against Debian's keys, and unpacked without running anything of them.
//
//   this machine's apt sources ──► the mirror ──► apt-get -c (its own root, arm64, trixie) ──► .deb files in the cache ──► directories
//
// Which versions a build got stands in its manifest; the cache keeps them until it is removed.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { CACHE, filesUnder, hashOf, ImageError, run, runShell, step } from "./steps.ts";

const SUITE = "trixie";
const ARCHITECTURE = "arm64";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const APT_ROOT = join(CACHE, "debian");

/** A set of packages for one purpose. */
export interface PackageSet {
  readonly name: string;
  readonly packages: readonly string[];
  /** With all that they depend on; false: exactly these. */
  readonly withDependencies: boolean;
}

/** Mirrors that this machine's apt uses, by their label: Debian, Debian-Security. */
async function mirrors(): Promise<ReadonlyMap<string, string>> {
  const ask = async (): Promise<Map<string, string>> => {
    const text = await run("apt-get", ["indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]);
    const found = new Map<string, string>();
    for (const line of text.split("\n")) {
      const [label, component, uri] = line.split(" ");
      if (label !== undefined && uri !== undefined && component === "main" && !found.has(label)) found.set(label, uri);
    }
    return found;
  };
  const known = await ask();
  if (known.has("Debian")) return known;
  await run("apt-get", ["update"]); // Labels come with the lists.
  const fresh = await ask();
  if (!fresh.has("Debian"))
    throw new ImageError(
      "image-no-mirror",
      "this machine's apt has no Debian mirror",
      "Add one to /etc/apt/sources.list.d (suite and architecture do not matter).",
    );
  return fresh;
}

const aptEnvironment = { APT_CONFIG: join(APT_ROOT, "apt.conf") };

/** Makes apt's root and fetches the lists, unless they are there. */
async function openArchive(): Promise<void> {
  const isReady = join(APT_ROOT, "ready");
  if (existsSync(isReady)) return;
  await step(`fetching the package lists of Debian ${SUITE} for ${ARCHITECTURE}`, async () => {
    rmSync(APT_ROOT, { recursive: true, force: true });
    for (const path of ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "lists/partial", "archives/partial", "dpkg"])
      mkdirSync(join(APT_ROOT, path), { recursive: true });
    writeFileSync(join(APT_ROOT, "dpkg/status"), "");
    const known = await mirrors();
    const source = (uri: string | undefined, suite: string): string => (uri === undefined ? "" : `deb [signed-by=${KEYRING}] ${uri} ${suite} main\n`);
    const sources = source(known.get("Debian"), SUITE) + source(known.get("Debian-Security"), `${SUITE}-security`);
    writeFileSync(join(APT_ROOT, "etc/apt/sources.list"), sources);
    const settings: Record<string, string> = {
      Dir: APT_ROOT,
      "Dir::State::lists": join(APT_ROOT, "lists"),
      "Dir::State::status": join(APT_ROOT, "dpkg/status"),
      "Dir::Cache::archives": join(APT_ROOT, "archives"),
      "APT::Architecture": ARCHITECTURE,
      "APT::Architectures": ARCHITECTURE,
      "APT::Install-Recommends": "false",
      "APT::Sandbox::User": "root",
      "Acquire::Languages": "none",
      "Acquire::Retries": "3",
    };
    writeFileSync(
      aptEnvironment.APT_CONFIG,
      Object.entries(settings)
        .map(([key, value]) => `${key} "${value}";\n`)
        .join(""),
    );
    await run("apt-get", ["update"], { environment: aptEnvironment });
    writeFileSync(isReady, "");
    return "fetched";
  });
}

/** Fetches a set; returns its .deb files, sorted by name. */
export async function fetchPackages(set: PackageSet): Promise<readonly string[]> {
  const directory = join(CACHE, `packages-${set.name}`);
  const stamp = join(directory, "complete");
  const wanted = hashOf([SUITE, ARCHITECTURE, String(set.withDependencies), ...set.packages]);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    await openArchive();
    await step(`fetching Debian packages: ${set.packages.join(" ")}${set.withDependencies ? " and what they depend on" : ""}`, async () => {
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(join(directory, "partial"), { recursive: true });
      const how = set.withDependencies ? ["install", "--download-only", "-y", "-o", `Dir::Cache::archives=${directory}`] : ["download"];
      await run("apt-get", [...how, ...set.packages], { environment: aptEnvironment, cwd: directory });
      writeFileSync(stamp, wanted);
      return `${readdirSync(directory).filter((name) => name.endsWith(".deb")).length} packages`;
    });
  }
  return filesUnder(directory).filter((file) => file.endsWith(".deb"));
}

/** Name of the package that an empty package such as linux-image-arm64 stands for. */
export async function packageBehind(name: string): Promise<string> {
  const noted = join(CACHE, `behind-${name}`);
  if (existsSync(noted)) return readFileSync(noted, "utf8");
  await openArchive();
  const text = await run("apt-cache", ["depends", name], { environment: aptEnvironment });
  const behind = /Depends: (\S+)/.exec(text)?.[1];
  if (behind === undefined) throw new ImageError("image-no-package", `Debian ${SUITE} has no package behind ${name}`, `Remove ${CACHE} and build again.`);
  writeFileSync(noted, behind);
  return behind;
}

/** Unpacks packages over each other. Scripts in them do not run. */
export async function unpack(packages: readonly string[], directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  // Debian's /bin, /lib and /sbin are links into /usr, which package base-files brings on an installed system.
  await runShell(
    `for name in bin sbin lib; do mkdir -p "$1/usr/$name"; [ -e "$1/$name" ] || ln -s "usr/$name" "$1/$name"; done
target=$1; shift
for package; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$target"; done`,
    [directory, ...packages],
  );
}

/** One line per package: file name (package, version, architecture) and SHA-256. */
export async function manifestOf(packages: readonly string[]): Promise<string> {
  if (packages.length === 0) return "";
  const sums = await run("sha256sum", packages);
  return sums
    .trim()
    .split("\n")
    .map((line) => `${basename(line.slice(66))} ${line.slice(0, 64)}\n`)
    .join("");
}
