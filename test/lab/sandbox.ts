// Everything the lab makes lives in namespaces without a name, held by nothing but the lab's own processes, so that nothing
// can stay behind, whatever kills whatever:
//
//   npm start ─ main.ts ──dies──► unshare ──dies──► init (process 1) ──► every process inside ──► every namespace, device,
//                      PDEATHSIG          PDEATHSIG                kernel                        file in /run and /dev/shm
//
// Inside, /run and /dev/shm are file systems of their own: namespace names, shared memory and run directories collide with
// nobody's. Process 1 is a shell that reaps, so that a killed unit does not linger as a zombie.

import { type ChildProcess, type StdioOptions, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
/** Of this checkout: several may share one `build`. */
const CHECKOUT = createHash("sha256").update(ROOT).digest("hex").slice(0, 8);
/** Holds the number of the latest sandbox's process 1, for enter.ts. */
export const FIRST_PROCESS_FILE = join(ROOT, "build", `lab-${CHECKOUT}.pid`);
const INSIDE = "TWINWALL_LAB_INSIDE";
const NAMESPACES = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"];
const MOUNTS = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/twinwall && mount -t tmpfs -o mode=1777 tmpfs /dev/shm && ip link set lo up";
// `wait` without a number would wait for orphans too.
const INIT = `${MOUNTS} || exit 70; "$@" & main=$!; wait $main; exit $?`;

/** True in a process that runs inside the sandbox. */
export function isInsideSandbox(): boolean {
  return process.env[INSIDE] === "1";
}

/** Why this machine cannot make the namespaces that the lab needs; undefined when it can. */
export function whyNoSandbox(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  for (const tool of ["setpriv", "unshare", "ip", "nft", "ethtool"]) {
    if (
      !(process.env["PATH"] ?? "")
        .split(":")
        .concat("/usr/sbin", "/sbin")
        .some((folder) => existsSync(join(folder, tool)))
    )
      return `no command ${tool}`;
  }
  const trial =
    "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add try && ip link add try0 type veth peer name try1 netns try && ip link add try2 type bridge";
  const { status, stderr } = spawnSync("unshare", [...NAMESPACES, "sh", "-c", trial], { encoding: "utf8" });
  return status === 0 ? undefined : `no network namespaces here (${stderr.trim().split("\n").at(-1) ?? ""})`;
}

export interface Sandbox {
  readonly process: ChildProcess;
  /** Exit code of the command inside; 128 + signal when it was killed. */
  readonly exited: Promise<number>;
  /** Process 1 of the sandbox as this side numbers it, for nsenter; 0 until it runs. */
  firstProcess(): number;
}

/** Starts `node script …args` in fresh namespaces. It dies with this process. */
export function startSandbox(script: string, args: readonly string[], options: { readonly stdio?: "inherit" | "pipe" } = {}): Sandbox {
  return startCommandInSandbox([process.execPath, join(ROOT, script), ...args], options.stdio ?? "inherit");
}

/** The same for any command. "ipc": output as inherited, and messages between this process and a Node.js one inside. */
export function startCommandInSandbox(command: readonly string[], stdio: "inherit" | "pipe" | "ipc"): Sandbox {
  const streams: StdioOptions = stdio === "ipc" ? ["ignore", "inherit", "inherit", "ipc"] : ["ignore", stdio, stdio];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...NAMESPACES, "sh", "-c", INIT, "init", ...command], {
    cwd: ROOT,
    stdio: streams,
    env: { ...process.env, [INSIDE]: "1" },
  });
  const exited = new Promise<number>((resolve) => {
    child.on("error", () => resolve(71));
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 143)));
  });
  const firstProcess = (): number => {
    const file = `/proc/${child.pid}/task/${child.pid}/children`;
    return existsSync(file) ? Number(readFileSync(file, "utf8").trim().split(" ")[0] ?? 0) : 0;
  };
  return { process: child, exited, firstProcess };
}

/** Notes where the sandbox is, as soon as it is there, so that another terminal can enter it. */
export function rememberSandbox(sandbox: Sandbox): void {
  const note = (): void => {
    const pid = sandbox.firstProcess();
    if (pid === 0) return;
    clearInterval(timer);
    mkdirSync(dirname(FIRST_PROCESS_FILE), { recursive: true });
    writeFileSync(FIRST_PROCESS_FILE, String(pid));
  };
  const timer = setInterval(note, 20);
  timer.unref();
  void sandbox.exited.then(() => clearInterval(timer));
}

export function forgetSandbox(): void {
  rmSync(FIRST_PROCESS_FILE, { force: true });
}
