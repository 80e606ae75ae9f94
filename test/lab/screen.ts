// What the lab says to people: progress as it happens, a table at the end, lines that are replaced. Colours on a terminal only.

import type { LabReport, Repeats, ScenarioResult } from "./result.ts";

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

export const number = (value: number | undefined): string => (value === undefined ? "" : value.toLocaleString("en-US"));
const millis = (value: number | undefined): string => (value === undefined ? "" : `${number(value)} ms`);
const bytes = (value: number | undefined): string => (value === undefined ? "" : value >= 1 << 20 ? `${Math.round(value / (1 << 20))} MiB` : `${value} B`);

export interface Column<T> {
  readonly title: string;
  readonly right?: boolean;
  readonly text: (row: T) => string;
}

/** A table with a line per row; rows that are not `isGood` are red. */
export function showTable<T>(screen: Screen, columns: readonly Column<T>[], rows: readonly T[], isGood: (row: T) => boolean): void {
  const widths = columns.map((column) => Math.max(column.title.length, ...rows.map((row) => column.text(row).length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, k) => (columns[k]?.right === true ? cell.padStart(widths[k] ?? 0) : cell.padEnd(widths[k] ?? 0)))
      .join("  ")
      .trimEnd();
  screen.line("");
  screen.line(screen.paint("bold", line(columns.map((column) => column.title))));
  for (const row of rows) {
    const text = line(columns.map((column) => column.text(row)));
    screen.line(isGood(row) ? text : screen.paint("red", text));
  }
  screen.line("");
}

const COLUMNS: readonly Column<ScenarioResult>[] = [
  { title: "scenario", text: (result) => result.name },
  { title: "", text: (result) => `${result.passed ? "passed" : "FAILED"}${result.attempts === undefined ? "" : ` (run ${result.attempts})`}` },
  { title: "time", right: true, text: (result) => `${(result.durationMs / 1_000).toFixed(1)} s` },
  { title: "bytes", right: true, text: (result) => bytes(result.bytes) },
  { title: "gap", right: true, text: (result) => millis(result.gapMs) },
  { title: "handed off", right: true, text: (result) => number(result.handedOff) },
  { title: "exchanges", right: true, text: (result) => number(result.exchanges) },
  { title: "failures", right: true, text: (result) => number(result.failures) },
  { title: "seen", text: (result) => result.detail.split("\n")[0] ?? "" },
];

const REPEATS: readonly Column<Repeats>[] = [
  { title: "scenario", text: ({ name }) => name },
  { title: "runs", right: true, text: ({ runs }) => number(runs) },
  { title: "passed", right: true, text: ({ passed }) => number(passed) },
  { title: "disturbed", right: true, text: ({ disturbed }) => number(disturbed) },
  { title: "machine paused", right: true, text: ({ paused, pauseWorstMs }) => (pauseWorstMs === undefined ? "0" : `${paused}, ≤ ${number(pauseWorstMs)} ms`) },
  { title: "transfers", right: true, text: ({ transfers }) => number(transfers) },
  { title: "lost", right: true, text: ({ lost }) => number(lost) },
  { title: "gap, median", right: true, text: ({ gapMedianMs }) => millis(gapMedianMs) },
  { title: "gap, worst", right: true, text: ({ gapWorstMs }) => millis(gapWorstMs) },
  { title: "decided in ≤", right: true, text: ({ decidedWorstMs }) => millis(decidedWorstMs) },
  { title: "first packet ≤", right: true, text: ({ firstPacketWorstMs }) => millis(firstPacketWorstMs) },
];

/** What each scenario showed in all its runs. */
export function showRepeats(screen: Screen, repeats: readonly Repeats[]): void {
  showTable(screen, REPEATS, repeats, ({ runs, passed, disturbed, lost }) => passed + disturbed === runs && lost === 0);
}

/** The table at the end, and the sum. */
export function showReport(screen: Screen, report: LabReport): void {
  showTable(screen, COLUMNS, report.scenarios, ({ passed }) => passed);
  screen.line(screen.paint(report.failed === 0 ? "green" : "red", `${report.passed} passed, ${report.failed} failed (driver: ${report.driver})`));
}
