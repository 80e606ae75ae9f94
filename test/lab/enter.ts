// Runs a command on a host of the lab that `npm start` keeps up, from another terminal.
//
//   npm run -s enter -- service1                          a shell on service1
//   npm run -s enter -- user curl http://10.3.0.10:8080/  a command there
//   npm run -s enter -- twinwall --unit A1 sessions       a command of a unit
//   npm run -s enter -- A1 console                        a cable in its serial port

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LAB_HOSTS, LAB_UNITS } from "./picture.ts";
import { FIRST_PROCESS_FILE } from "./sandbox.ts";
import { serialDevice } from "./unit.ts";

const ROOT = join(import.meta.dirname, "..", "..");

function main(): number {
  const [host = "", ...command] = process.argv.slice(2);
  const hosts: readonly string[] = [...LAB_HOSTS, ...LAB_UNITS];
  if (host !== "twinwall" && !hosts.includes(host)) {
    console.error(`usage: npm run -s enter -- HOST [COMMAND…]    HOST is one of ${hosts.join(", ")}; or: npm run -s enter -- twinwall --unit A1 status`);
    return 2;
  }
  const pid = existsSync(FIRST_PROCESS_FILE) ? readFileSync(FIRST_PROCESS_FILE, "utf8") : "";
  if (pid === "" || !existsSync(`/proc/${pid}`)) {
    console.error("No lab is up. Start one with: npm start");
    return 1;
  }
  const there = ["--target", pid, "--mount", "--pid", "--net"];
  const console_ = [process.execPath, join(ROOT, "firmware", "manager", "console", "cli.ts"), ...command];
  const shell = command.length > 0 ? command : [process.env["SHELL"] ?? "/bin/sh"];
  const isCable = (LAB_UNITS as readonly string[]).includes(host) && command[0] === "console";
  const cable = ["python3", join(ROOT, "test", "lab", "programs", "cable.py"), serialDevice(host)];
  const what = isCable ? cable : host === "twinwall" ? console_ : ["ip", "netns", "exec", host, ...shell];
  return spawnSync("nsenter", [...there, ...what], { stdio: "inherit" }).status ?? 1;
}

process.exitCode = main();
