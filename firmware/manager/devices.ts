// Before a dataplane is spawned: which network devices are the board's ports, and are those there that the plan opens?

import type { Board, BoardDescription } from "../../board/board.ts";
import type { Plan } from "../plan.ts";
import { ConfigurationError, type Problem, type ProblemCode, quote } from "./config/problems.ts";

/** A network device and the path of its hardware below /sys/devices; empty when it has none. */
export interface PlacedDevice {
  readonly name: string;
  readonly path: string;
}

/**
 * Finds the kernel's name of each port that the board describes by its place. Throws ConfigurationError that names board, key
 * and what is there for each place with no network device, or with several.
 */
export function findPorts(board: BoardDescription, present: readonly PlacedDevice[]): Board {
  const problems: Problem[] = [];
  const report = (code: ProblemCode, k: number, message: string, remedy: string): void => {
    problems.push({ code, file: `board ${board.name}`, line: 0, path: `ports[${k}].path`, message, remedy });
  };
  const ports = board.ports.map((port, k) => {
    const { path } = port;
    if (path === undefined) return { ...port, device: port.device ?? "" };
    const found = present.filter((device) => liesAt(device.path, path));
    if (found.length === 0) {
      const there = present.filter((device) => device.path !== "").map(describe);
      const remedy = `Connect it, load its driver, or correct the board. Network devices here: ${there.length === 0 ? "none" : there.join(", ")}.`;
      report("absent-device", k, `there is no network device at ${quote(path)} for port ${quote(port.name)}`, remedy);
    }
    if (found.length > 1) {
      const message = `${found.length} network devices are at ${quote(path)}: ${found.map(describe).join(", ")}`;
      report("ambiguous-device", k, message, "Give a longer part of the path, so that one is left.");
    }
    return { ...port, device: found[0]?.name ?? "" };
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { ...board, ports };
}

/** True when the parts of `place` follow one another in `path`. */
function liesAt(path: string, place: string): boolean {
  return `/${path}/`.includes(`/${place}/`);
}

function describe(device: PlacedDevice): string {
  return `${device.name} (${device.path})`;
}

/** Throws ConfigurationError that names board, key and device for each that is absent. `present`: names of the devices that are there. */
export function checkDevices(plan: Plan, board: Board, present: readonly string[]): void {
  const problems = plan.ports.flatMap((planned): Problem[] => {
    if (present.includes(planned.device)) return [];
    const k = board.ports.findIndex((port) => port.device === planned.device);
    const message = `there is no network device ${quote(planned.device)} for port ${quote(board.ports[k]?.name)} of unit ${plan.name}`;
    const remedy = `Connect it, or correct the board. Devices here: ${present.join(", ")}.`;
    return [{ code: "absent-device", file: `board ${board.name}`, line: 0, path: `ports[${k}].device`, message, remedy }];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
}
