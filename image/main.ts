// `npm run image`: builds the flashable disk of a board; starts it in an emulator; shows that it works.
//
//   npm run image -- --board qemu-virt            build/image/qemu-virt.img
//   npm run image -- --board qemu-virt --boot     … and start it: its serial line is this terminal, Ctrl-A X switches it off
//   npm run image -- --board qemu-virt --test     … and check it: banner, lamps and GPIO in one guest, then two guests as a twin
//
// What it needs and this machine lacks it installs, and says so.

import { parseArgs } from "node:util";
import { buildImage } from "./build.ts";
import { startEmulator } from "./emulator.ts";
import { installHostTools } from "./host-tools.ts";
import { ImageError, say } from "./steps.ts";
import { testImage } from "./trial.ts";

const USAGE = "npm run image -- --board qemu-virt [--boot | --test]";
/** Three ports with nobody at the other end. */
const UNCONNECTED = ["user,restrict=on", "user,restrict=on", "user,restrict=on"] as const;

function readArguments(): { readonly board: string; readonly boot: boolean; readonly test: boolean } {
  const flag = { type: "boolean", default: false } as const;
  try {
    const { board, boot, test } = parseArgs({ options: { board: { type: "string" }, boot: flag, test: flag } }).values;
    if (board === undefined) throw new Error("--board is missing");
    if ((boot || test) && board !== "qemu-virt") throw new Error(`--boot and --test emulate qemu-virt, not ${board}`);
    return { board, boot, test };
  } catch (error) {
    throw new ImageError("image-argument", (error as Error).message, `Usage: ${USAGE}`);
  }
}

async function main(): Promise<number> {
  const { board, boot, test } = readArguments();
  await installHostTools(boot || test);
  const { disk } = await buildImage(board);
  if (test) return testImage(disk);
  if (!boot) return 0;
  say("starting it; what it changes on its disk is forgotten. Ctrl-A X switches it off.");
  const emulator = await startEmulator({ disk, cables: UNCONNECTED, serial: "mon:stdio", keepsNothing: true }, "inherit");
  return new Promise((resolve) => emulator.on("exit", (code) => resolve(code ?? 1)));
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof ImageError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
