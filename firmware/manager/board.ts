// Finds a board by name (`board/NAME.ts`) or by file (JSON), and checks it.

import { type BoardButton, type BoardDescription, BoardSchema, LAMP_NAMES } from "../../board/board.ts";
import { TWIN_PORTS_MOST } from "../limits.ts";
import { locate, readText } from "./config/load.ts";
import { ConfigurationError, type Problem, quote, readablePath } from "./config/problems.ts";
import { checkShape, type Source } from "./config/shape.ts";

type Report = (code: Problem["code"], pointer: string, message: string, remedy: string) => void;

const PLAIN_NAME = /^[a-z0-9][a-z0-9-]*$/;

/** `board` is a name or a path of a JSON file. Throws ConfigurationError. */
export async function loadBoard(board: string): Promise<BoardDescription> {
  if (!PLAIN_NAME.test(board)) {
    const json = locate(readText(board, "board"), board);
    return checkBoard(json.value, { file: board, lineOf: json.lineOf });
  }
  const file = new URL(`../../board/${board}.ts`, import.meta.url);
  const module = await importBoard(board, file);
  return checkBoard(module.board, { file: `board/${board}.ts`, lineOf: () => 0 });
}

async function importBoard(name: string, file: URL): Promise<{ readonly board: unknown }> {
  try {
    return (await import(file.href)) as { readonly board: unknown };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new ConfigurationError([
      {
        code: "unknown-board",
        file: "",
        line: 0,
        path: "--board",
        message: `there is no board ${quote(name)}`,
        remedy: "Name a file of board/ without .ts, such as lab, or give the path of a JSON file.",
      },
    ]);
  }
}

/** A board's value, checked and with defaults. Throws ConfigurationError. */
export function checkBoard(value: unknown, source: Source): BoardDescription {
  const shape = checkShape(BoardSchema, value, source);
  if (shape.problems.length > 0) throw new ConfigurationError(shape.problems);
  const board = shape.value as BoardDescription;
  const problems: Problem[] = [];
  const report: Report = (code, pointer, message, remedy) => {
    problems.push({ code, file: source.file, line: source.lineOf(pointer), path: readablePath(pointer), message, remedy });
  };
  checkPorts(board, report);
  checkLamps(board, report);
  if (board.button !== undefined) checkButton(board.button, report);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return board;
}

function checkPorts(board: BoardDescription, report: Report): void {
  board.ports.forEach((port, k) => {
    for (const key of ["name", "path", "device"] as const) {
      const other = port[key] === undefined ? -1 : board.ports.findIndex((candidate) => candidate[key] === port[key]);
      if (other >= 0 && other < k)
        report("duplicate-name", `/ports/${k}/${key}`, `the ${key} ${quote(port[key])} is there already, as ports[${other}]`, "Give each port its own.");
    }
    checkEither(port, ["path"], ["device"], `/ports/${k}`, report);
  });
  if (board.ports.filter((port) => port.kind === "twin").length > TWIN_PORTS_MOST)
    report("wrong-count", "/ports", `there are more than ${TWIN_PORTS_MOST} twin ports`, `Keep ${TWIN_PORTS_MOST}.`);
}

function checkLamps(board: BoardDescription, report: Report): void {
  const { lamps } = board;
  const seen = new Map(board.ports.flatMap((port, k) => (port.led === undefined ? [] : [[port.led, `ports[${k}].led`]])));
  for (const name of LAMP_NAMES) {
    const lamp = lamps[name];
    const at = `/lamps/${name}`;
    if (lamp === undefined) {
      if (lamps.kind === "lights") report("missing-key", at, "the lamp is missing", "Say which lights it has; kind lights needs all four lamps.");
      continue;
    }
    if (lamps.kind !== "lights")
      report("not-allowed", at, `lamps of kind ${lamps.kind} have no lights (found ${quote(lamp)})`, "Set kind to lights, or remove it.");
    if (Object.keys(lamp).length === 0) report("missing-key", at, "the lamp has no light", "Give it at least one of green, amber, red.");
    for (const [colour, light] of Object.entries(lamp)) {
      checkEither(light, ["led"], ["chip", "line"], `${at}/${colour}`, report);
      if (name === "status" && light.chip !== undefined) {
        const remedy = "Make it a LED of the kernel (gpio-leds in the device tree), and name that.";
        report(
          "not-allowed",
          `${at}/${colour}`,
          `STATUS cannot be a GPIO line, which would keep its level when the software dies (found ${quote(light)})`,
          remedy,
        );
      }
      const place = light.led ?? `${light.chip} line ${light.line}`;
      const other = seen.get(place);
      if (other !== undefined) report("duplicate-name", `${at}/${colour}`, `${quote(place)} is there already, as ${other}`, "Give each light its own.");
      seen.set(place, readablePath(`${at}/${colour}`));
    }
  }
}

function checkButton(button: BoardButton, report: Report): void {
  checkEither(button, ["input", "key"], ["chip", "line"], "/button", report);
}

/** Reports unless all keys of one group are there and none of the other. */
function checkEither(object: object, one: readonly string[], other: readonly string[], pointer: string, report: Report): void {
  const has = (keys: readonly string[]): number => keys.filter((key) => key in object).length;
  const choice = `either ${one.join(" and ")} or ${other.join(" and ")}`;
  if (has(one) > 0 && has(other) > 0) report("not-allowed", pointer, `has keys of both kinds (found ${quote(object)})`, `Give ${choice}.`);
  else if (has(one) < one.length && has(other) < other.length)
    report("missing-key", pointer, `does not say where it is (found ${quote(object)})`, `Give ${choice}.`);
}
