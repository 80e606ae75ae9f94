// What only a unit's board can tell: whether the ports that the configuration names are there.

import type { Board } from "../../../board/board.ts";
import { type Problem, pathIn, quote, type Report } from "./problems.ts";
import { type Configuration, peersOf, portOf, type UnitConfiguration, unitName } from "./schema.ts";
import type { Source } from "./shape.ts";

/** Problems between a checked configuration and the board of one of its units. */
export function checkFit(configuration: Configuration, board: Board, unit: UnitConfiguration, source: Source): readonly Problem[] {
  const problems: Problem[] = [];
  const report: Report = (code, pointer, message, remedy) => {
    problems.push({ code, file: source.file, line: source.lineOf(pointer), path: pathIn(source, pointer), message, remedy });
  };
  checkPortNames(configuration, board, unitName(unit), report);
  if (configuration.mode === "transparent") checkWires(configuration, board, unitName(unit), report);
  if (peersOf(configuration, unit).length > 0 && !board.ports.some((port) => port.kind === "twin")) {
    report("no-twin-port", "/twin/enabled", `board ${board.name} has no twin port`, "Set twin.enabled to false, or describe the port in the board.");
  }
  return problems;
}

/** Pairs of port names that are a wire: as configured, or the board's two data ports. */
export function wiresOf(configuration: Configuration, board: Board): readonly (readonly string[])[] {
  if (configuration.wires.length > 0) return configuration.wires;
  const data = dataPorts(board);
  return data.length === 2 ? [data] : [];
}

function dataPorts(board: Board): readonly string[] {
  return board.ports.filter((port) => port.kind === "data").map((port) => port.name);
}

function checkPortNames(configuration: Configuration, board: Board, unit: string, report: Report): void {
  const data = dataPorts(board);
  const known = `Data ports of this board: ${data.join(", ")}.`;
  configuration.zones.forEach((zone, k) => {
    const port = portOf(zone, unit) ?? "";
    const key = Object.hasOwn(zone.ports, unit) ? `ports/${unit}` : "port";
    if (!data.includes(port)) report("unknown-port", `/zones/${k}/${key}`, `board ${board.name} has no data port ${quote(port)}`, known);
  });
  configuration.wires.forEach((wire, k) => {
    wire.forEach((port, end) => {
      if (!data.includes(port)) report("unknown-port", `/wires/${k}/${end}`, `board ${board.name} has no data port ${quote(port)}`, known);
    });
  });
  const all = board.ports.map((port) => port.name);
  for (const port of Object.keys(configuration.ports)) {
    if (!all.includes(port))
      report("unknown-port", `/ports/${port}`, `board ${board.name} has no port ${quote(port)}`, `Ports of this board: ${all.join(", ")}.`);
  }
}

function checkWires(configuration: Configuration, board: Board, unit: string, report: Report): void {
  const wires = wiresOf(configuration, board);
  const ends = wires.flat();
  if (wires.length === 0) {
    report(
      "no-wire",
      "/wires",
      `board ${board.name} has ${dataPorts(board).length} data ports, so that it is not clear which two are a wire`,
      "Set wires: pairs of port names.",
    );
    return;
  }
  if (new Set(ends).size < ends.length) report("no-wire", "/wires", "a port is the end of two wires", "Name each port once.");
  configuration.zones.forEach((zone, k) => {
    const port = portOf(zone, unit) ?? "";
    if (!ends.includes(port)) report("no-wire", `/zones/${k}/port`, `${port} is the end of no wire`, "Add it to wires.");
  });
}
