// Before a dataplane is spawned: are the devices there that the plan opens?

import type { Board } from "../../board/board.ts";
import type { Plan } from "../plan.ts";
import { ConfigurationError, type Problem, quote } from "./config/problems.ts";

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
