// What the lab says to people: progress as it happens, a table at the end, lines that are replaced. Colours on a terminal only.

import type { LabReport, ScenarioResult } from "./result.ts";

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Style = keyof typeof STYLES;

export interface Screen {
  line(text: string): void;
  paint(style: Style, text: string): string;
  /** True when what was drawn can be replaced. */
  readonly isTerminal: boolean;
  /** Replaces the lines of the last call on a terminal, if nothing else was written since; plain lines elsewhere. */
  replace(lines: readonly string[]): void;
}

const CODES = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d*m`, "g");

/** Writes to a stream, with colours and replaced lines when it is a terminal. */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  const isTerminal = stream.isTTY === true;
  let drawn = 0;
  return {
    isTerminal,
    line(text) {
      drawn = 0;
      stream.write(`${text}\n`);
    },
    paint: (style, text) => (isTerminal ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text),
    replace(lines) {
      const back = isTerminal && drawn > 0 ? `\x1b[${drawn}A\x1b[J` : "";
      const fitting = isTerminal ? lines.map((line) => cut(line, stream.columns ?? 120)) : lines;
      stream.write(`${back}${fitting.join("\n")}\n`);
      drawn = lines.length;
    },
  };
}

/** A line that is too long for the terminal loses its colours and its end, so that it stays one line. */
function cut(line: string, columns: number): string {
  const plain = line.replace(CODES, "");
  return plain.length < columns ? line : plain.slice(0, columns - 1);
}

const number = (value: number | undefined): string => (value === undefined ? "" : value.toLocaleString("en-US"));
const bytes = (value: number | undefined): string => (value === undefined ? "" : value >= 1 << 20 ? `${Math.round(value / (1 << 20))} MiB` : `${value} B`);

const COLUMNS: readonly { readonly title: string; readonly right?: boolean; readonly text: (result: ScenarioResult) => string }[] = [
  { title: "scenario", text: (result) => result.name },
  { title: "", text: (result) => `${result.passed ? "passed" : "FAILED"}${result.attempts === undefined ? "" : ` (run ${result.attempts})`}` },
  { title: "time", right: true, text: (result) => `${(result.durationMs / 1_000).toFixed(1)} s` },
  { title: "bytes", right: true, text: (result) => bytes(result.bytes) },
  { title: "gap", right: true, text: (result) => (result.gapMs === undefined ? "" : `${number(result.gapMs)} ms`) },
  { title: "handed off", right: true, text: (result) => number(result.handedOff) },
  { title: "exchanges", right: true, text: (result) => number(result.exchanges) },
  { title: "failures", right: true, text: (result) => number(result.failures) },
  { title: "seen", text: (result) => result.detail.split("\n")[0] ?? "" },
];

/** The table at the end, and the sum. */
export function showReport(screen: Screen, report: LabReport): void {
  const widths = COLUMNS.map((column) => Math.max(column.title.length, ...report.scenarios.map((result) => column.text(result).length)));
  const row = (cells: readonly string[]): string =>
    cells
      .map((cell, k) => (COLUMNS[k]?.right === true ? cell.padStart(widths[k] ?? 0) : cell.padEnd(widths[k] ?? 0)))
      .join("  ")
      .trimEnd();
  screen.line("");
  screen.line(screen.paint("bold", row(COLUMNS.map((column) => column.title))));
  for (const result of report.scenarios) {
    const text = row(COLUMNS.map((column) => column.text(result)));
    screen.line(result.passed ? text : screen.paint("red", text));
  }
  screen.line("");
  screen.line(screen.paint(report.failed === 0 ? "green" : "red", `${report.passed} passed, ${report.failed} failed (driver: ${report.driver})`));
}
