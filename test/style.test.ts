// The house keeps its shape because this test reads every source file: which folder may import which (DESIGN.md §4), where
// time and chance may come from (STYLE.md 8), how files are called, and that each opens with how and why.

import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path/posix";
import { test } from "tap";

const ROOT = join(import.meta.dirname, "..");

interface Source {
  readonly path: string;
  readonly text: string;
  /** Text without comments, so that a word in a sentence is not taken for code. */
  readonly code: string;
  /** Imported modules: repository paths for own files, `node:fs` and package names as they are. `typeOnly` disappears at run time. */
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|import\("([^"]+)"\)/g;

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), "utf8");
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
  const imports = [...code.matchAll(IMPORT)].map((match) => {
    const name = match[2] ?? match[3] ?? "";
    return { target: name.startsWith(".") ? join(dirname(path), name) : name, typeOnly: match[1] !== undefined };
  });
  return { path, text, code, imports };
}

const sources = globSync("{firmware,board,image,test}/**/*.{ts,mjs}", { cwd: ROOT })
  .filter((path) => !path.startsWith("test/vectors/"))
  .sort()
  .map(readSource);
const under = (...folders: string[]): Source[] => sources.filter((source) => folders.some((folder) => source.path.startsWith(folder)));

/** "path imports target" for each import of these files that is not allowed. */
function wrongImports(files: readonly Source[], isAllowed: (target: string, path: string, typeOnly: boolean) => boolean): string[] {
  return files.flatMap((source) =>
    source.imports.filter(({ target, typeOnly }) => !isAllowed(target, source.path, typeOnly)).map(({ target }) => `${source.path} imports ${target}`),
  );
}

const DECLARATIONS = ["firmware/limits.ts", "firmware/plan.ts", "firmware/pair-keys.ts", "firmware/hal/contracts.ts"];
const isDeclaration = (target: string): boolean => DECLARATIONS.includes(target);
const WIRE = "firmware/fastpath/wire/";

test("wire imports nothing but wire, limits and drop reasons", async (t) => {
  t.same(
    wrongImports(under(WIRE), (target) => target.startsWith(WIRE) || target === "firmware/fastpath/verdicts.ts" || isDeclaration(target)),
    [],
  );
});

test("fastpath imports fastpath and declarations, never twin, manager, store, hal or the system", async (t) => {
  t.same(
    wrongImports(under("firmware/fastpath/"), (target) => target.startsWith("firmware/fastpath/") || isDeclaration(target)),
    [],
  );
});

test("twin imports twin, fastpath and declarations, and of hal only the contracts", async (t) => {
  const allowed = ["firmware/twin/", "firmware/fastpath/"];
  t.same(
    wrongImports(under("firmware/twin/"), (target, path) => {
      const isKeys = target === "node:crypto" && path === "firmware/twin/keys.ts";
      return isKeys || allowed.some((folder) => target.startsWith(folder)) || isDeclaration(target);
    }),
    [],
  );
});

test("the manager and the store read tables and never import the walk", async (t) => {
  const readable = ["firmware/fastpath/memory/", "firmware/fastpath/verdicts.ts", "firmware/fastpath/events.ts", "firmware/fastpath/event-kinds.ts"];
  const files = [...under("firmware/manager/", "firmware/store/"), ...under("firmware/main.ts", "firmware/store.ts")];
  const isWalk = (target: string): boolean =>
    (target.startsWith("firmware/fastpath/") && !readable.some((path) => target.startsWith(path))) || target.startsWith("firmware/twin/");
  t.same(
    wrongImports(files, (target) => !isWalk(target)),
    [],
  );
});

test("hal imports neither the twin nor the manager nor the walk", async (t) => {
  const readable = ["firmware/fastpath/memory/", "firmware/fastpath/verdicts.ts", WIRE];
  const isAllowed = (target: string): boolean =>
    !target.startsWith("firmware/") || target.startsWith("firmware/hal/") || isDeclaration(target) || readable.some((path) => target.startsWith(path));
  t.same(wrongImports(under("firmware/hal/"), isAllowed), []);
});

test("only the dataplane's entry point and tests put hal, fastpath and twin together", async (t) => {
  const isWiring = (target: string): boolean => target.startsWith("firmware/twin/") || target.startsWith("firmware/hal/linux/");
  const files = under("firmware/").filter((source) => !/^firmware\/(dataplane|unit|main|store)\.ts$|^firmware\/(twin|hal|manager|store)\//.test(source.path));
  t.same(
    wrongImports(files, (target) => !isWiring(target)),
    [],
  );
});

test("only hal/linux, the manager, the store and the process entry points touch the operating system", async (t) => {
  const isOutside = (path: string): boolean =>
    /^firmware\/(hal\/linux|manager|store)\//.test(path) || /^firmware\/(main|dataplane|store|policy-compiler)\.ts$/.test(path);
  // The simulator seals with the real cipher, which is a computation and touches nothing.
  const isSystem = (target: string): boolean =>
    (target.startsWith("node:") && target !== "node:crypto") ||
    (!target.startsWith("node:") && !target.startsWith("firmware/") && !target.startsWith("board/"));
  t.same(
    wrongImports(
      under("firmware/").filter((source) => !isOutside(source.path)),
      (target) => !isSystem(target),
    ),
    [],
  );
});

test("nothing in firmware imports from test", async (t) => {
  t.same(
    wrongImports(under("firmware/"), (target) => !target.startsWith("test/")),
    [],
  );
});

test("time and chance are arguments in fastpath and twin", async (t) => {
  const banned = /\b(Date\.now|new Date|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.hrtime)\b/;
  const found = under("firmware/fastpath/", "firmware/twin/").flatMap((source) => {
    const match = banned.exec(source.code);
    return match === null ? [] : [`${source.path} uses ${match[0]}`];
  });
  t.same(found, []);
});

test("nothing in fastpath and twin waits for a promise", async (t) => {
  const banned = /\b(async|await|Promise)\b/;
  const found = under("firmware/fastpath/", "firmware/twin/").flatMap((source) => {
    const match = banned.exec(source.code.replace(/"[^"\n]*"|`[^`]*`/g, '""'));
    return match === null ? [] : [`${source.path} uses ${match[0]}`];
  });
  t.same(found, []);
});

test("files are called by what they hold, in lower case", async (t) => {
  const vague = /^(utils?|helpers?|common|misc|shared|lib|stuff)([.-]|$)/;
  const found = sources.filter(({ path }) => vague.test(basename(path)) || !/^[a-z0-9]+([.-][a-z0-9]+)*\.(ts|mjs)$/.test(basename(path)));
  t.same(
    found.map(({ path }) => path),
    [],
  );
});

test("every file opens with how and why", async (t) => {
  const found = sources.filter(({ path, text }) => !path.endsWith(".test.ts") && !/^(#![^\n]*\n)?(\/\/ \S|\/\*)/.test(text));
  t.same(
    found.map(({ path }) => path),
    [],
  );
});

test("no file is longer than 700 lines", async (t) => {
  const found = sources.filter(({ text }) => text.split("\n").length > 700);
  t.same(
    found.map(({ path, text }) => `${path}: ${text.split("\n").length}`),
    [],
  );
});

test("no source names this machine or a registry", async (t) => {
  const found = sources.filter(({ path, text }) => path !== "test/style.test.ts" && /\/work\/|\/root\/|registry\.npmjs|deb\.debian\.org/.test(text));
  t.same(
    found.map(({ path }) => path),
    [],
  );
});
