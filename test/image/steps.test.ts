import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { filesUnder, hashOf, ImageError, run, unlessDone } from "../../image/steps.ts";

const directory = mkdtempSync(join(tmpdir(), "image-steps-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

test("a step is skipped while its inputs are the same and its product is there", async (t) => {
  const product = join(directory, "made", "product");
  let times = 0;
  const make = (inputs: string): Promise<void> =>
    unlessDone(product, inputs, "making a product for a test", async () => {
      writeFileSync(product, String(++times));
      return "";
    });
  await make("a");
  await make("a");
  t.equal(times, 1);
  await make("b");
  t.equal(times, 2);
  rmSync(product);
  await make("b");
  t.equal(times, 3);
});

test("a step that fails is not taken for done the next time", async (t) => {
  const product = join(directory, "half");
  const fail = async (): Promise<string> => {
    writeFileSync(product, "half of it");
    throw new ImageError("image-test", "it broke", "Try again.");
  };
  await t.rejects(unlessDone(product, "a", "breaking off for a test", fail), { code: "image-test" });
  let isMade = false;
  await unlessDone(product, "a", "making it whole for a test", async () => {
    isMade = true;
    return "";
  });
  t.ok(isMade);
});

test("a command that fails tells its own words and a stable code", async (t) => {
  await t.rejects(run("sh", ["-c", "echo the disk is full >&2; exit 3"]), { code: "image-command", message: /exit 3[\s\S]*the disk is full/ });
  await t.rejects(run("no-such-command-anywhere", []), { code: "image-command" });
});

test("files below a folder come in one order, and their hash follows names and contents", async (t) => {
  const folder = join(directory, "tree");
  mkdirSync(join(folder, "b"), { recursive: true });
  for (const name of ["z", "b/y", "a"]) writeFileSync(join(folder, name), name);
  const files = filesUnder(folder);
  t.same(
    files.map((file) => file.slice(folder.length + 1)),
    ["a", "b/y", "z"],
  );
  const before = hashOf(["text"], files);
  writeFileSync(join(folder, "z"), "other");
  t.not(hashOf(["text"], files), before);
});
