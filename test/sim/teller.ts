// A child of crew.ts: is sent seeds, and answers each with what became of it.

import { type Telling, tellSeed } from "./outcome.ts";

const telling = JSON.parse(process.argv[2] as string) as Telling;
process.on("message", (seed: number) => {
  process.send?.(tellSeed(seed, telling));
});
