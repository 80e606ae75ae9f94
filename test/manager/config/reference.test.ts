// What is generated from the declarations is committed, and current.

import { readFileSync } from "node:fs";
import { test } from "tap";
import Value from "typebox/value";
import { generatedFiles, schemaForEditors } from "../../../firmware/manager/config/reference.ts";

const CONFIG = new URL("../../../firmware/manager/config/", import.meta.url);

test("the reference and the schema for editors are current: npm run docs writes them", async (t) => {
  for (const [name, text] of Object.entries(generatedFiles())) t.ok(readFileSync(new URL(name, CONFIG), "utf8") === text, name);
});

test("an editor takes the example, which leaves out what has a default, and refuses a wrong key", async (t) => {
  const example = JSON.parse(readFileSync(new URL("example.json", CONFIG), "utf8")) as Record<string, unknown>;
  t.ok(Value.Check(schemaForEditors() as never, example));
  t.notOk(Value.Check(schemaForEditors() as never, { ...example, polices: [] }));
});
