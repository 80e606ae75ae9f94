// The firmware for the image: each program and all that it imports in one JavaScript file without types, because every file that Node
// opens costs an appliance (and far more an emulated one) start-up time. Packages with native code stay in node_modules.
//
// A bundle lies where its program's source lies, firmware/NAME.js for firmware/NAME.ts; what a source says of its own place is made to hold.

import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "./steps.ts";

/** Every program of the firmware that is started by its file. */
const PROGRAMS = ["firmware/main.ts", "firmware/dataplane.ts", "firmware/store.ts", "firmware/policy-compiler.ts", "firmware/manager/console/cli.ts"];
const LEFT_IN_MODULES = ["better-sqlite3", "serialport", "@serialport/*", "onoff", "pcap"];

/** What we use of esbuild's interface (https://esbuild.github.io/api/). */
interface Bundler {
  build(options: object): Promise<{ readonly errors: readonly { readonly text: string }[] }>;
}
interface BundlerPlugin {
  onLoad(options: { readonly filter: RegExp }, callback: (given: { readonly path: string }) => Promise<{ contents: string; loader: "ts" }>): void;
}

/** Lets each source of a bundle find its own place and not take itself for the program, as if it were a file of its own. */
function ownPlaces(entry: string): object {
  return {
    name: "own-places",
    setup(build: BundlerPlugin) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (path === entry) return { contents: text, loader: "ts" };
        const place = `new URL(${JSON.stringify(relative(dirname(entry), path))}, import.meta.url).href`;
        return { contents: text.replaceAll("import.meta.main", "false").replaceAll("import.meta.url", place), loader: "ts" };
      });
    },
  };
}

/** Writes the bundles below `root`. `bundler`: path of esbuild's JavaScript. */
export async function bundleFirmware(bundler: string, root: string): Promise<void> {
  const { build } = (await import(pathToFileURL(bundler).href)) as Bundler;
  for (const program of PROGRAMS) {
    const entry = join(ROOT, program);
    await build({
      absWorkingDir: ROOT,
      entryPoints: [entry],
      outfile: join(root, program.replace(/\.ts$/, ".js")),
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node24",
      external: LEFT_IN_MODULES,
      // Comments in a bundle name its sources: where a linked node_modules really lies is nobody's business.
      preserveSymlinks: true,
      plugins: [ownPlaces(entry)],
      logLevel: "silent",
    });
  }
}
