// Finds a board by name (`board/NAME.ts`) or by file (JSON), and checks it.

import type { Board } from "../../board/board.ts";
import { BoardSchema } from "../../board/board.ts";
import { locate, readText } from "./config/load.ts";
import { ConfigurationError, type Problem, quote, readablePath } from "./config/problems.ts";
import { checkShape, type Source } from "./config/shape.ts";

const PLAIN_NAME = /^[a-z0-9][a-z0-9-]*$/;

/** `board` is a name or a path of a JSON file. Throws ConfigurationError. */
export async function loadBoard(board: string): Promise<Board> {
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
export function checkBoard(value: unknown, source: Source): Board {
  const shape = checkShape(BoardSchema, value, source);
  if (shape.problems.length > 0) throw new ConfigurationError(shape.problems);
  const board = shape.value as Board;
  const problems: Problem[] = [];
  const report = (code: Problem["code"], pointer: string, message: string, remedy: string) => {
    problems.push({ code, file: source.file, line: source.lineOf(pointer), path: readablePath(pointer), message, remedy });
  };
  board.ports.forEach((port, k) => {
    for (const key of ["name", "device"] as const) {
      const other = board.ports.findIndex((candidate) => candidate[key] === port[key]);
      if (other < k)
        report("duplicate-name", `/ports/${k}/${key}`, `the ${key} ${quote(port[key])} is there already, as ports[${other}]`, "Give each port its own.");
    }
  });
  if (board.ports.filter((port) => port.kind === "twin").length > 1) report("wrong-count", "/ports", "there is more than one twin port", "Keep one.");
  if (problems.length > 0) throw new ConfigurationError(problems);
  return board;
}
