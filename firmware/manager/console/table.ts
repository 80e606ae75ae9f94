// Tables for a terminal. A cell may have several lines, so that a session's two directions stand under each other:
//
//   protocol  originator               packets
//   state     responder
//   tcp       10.1.0.10:40112 → …        1,204
//   closed    10.3.0.10:80 → …           1,100
//
// On a terminal the widest column gives way until the table fits; into a pipe everything is written whole, without colour.

export interface Screen {
  /** Columns of the terminal; Infinity where there is none. */
  readonly width: number;
  readonly colours: boolean;
}

/** Environment of a process that writes for a screen which it does not see: columns, and "1" for colours. */
export const SCREEN_COLUMNS = "TWINWALL_COLUMNS";
export const SCREEN_COLOURS = "TWINWALL_COLOURS";

export interface TableColumn {
  readonly title: readonly string[];
  readonly align: "left" | "right";
}

export type Style = "bold" | "dim" | "red" | "yellow" | "green";
const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, yellow: 33, green: 32 };
const GAP = "  ";
const NARROWEST = 8;

export function paint(text: string, style: Style, screen: Screen): string {
  return screen.colours ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

function widths(columns: readonly TableColumn[], rows: readonly (readonly (readonly string[])[])[], screen: Screen): number[] {
  const wide = columns.map((column, k) =>
    Math.max(...column.title.map((line) => line.length), ...rows.map((row) => Math.max(0, ...(row[k] ?? []).map((line) => line.length)))),
  );
  let over = wide.reduce((sum, width) => sum + width + GAP.length, -GAP.length) - screen.width;
  while (over > 0) {
    const widest = wide.indexOf(Math.max(...wide));
    if ((wide[widest] as number) <= NARROWEST) break;
    wide[widest] = (wide[widest] as number) - 1;
    over--;
  }
  return wide;
}

function fit(text: string, width: number, align: "left" | "right"): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text;
  return align === "right" ? cut.padStart(width) : cut.padEnd(width);
}

/** The table as lines. `rows[r][c]` is the list of lines of a cell. */
export function tableLines(columns: readonly TableColumn[], rows: readonly (readonly (readonly string[])[])[], screen: Screen): string[] {
  const wide = widths(columns, rows, screen);
  const layout = (cells: readonly (readonly string[])[]): string[] => {
    const height = Math.max(1, ...cells.map((cell) => cell.length));
    return Array.from({ length: height }, (_, line) =>
      columns
        .map((column, k) => fit(cells[k]?.[line] ?? "", wide[k] as number, column.align))
        .join(GAP)
        .trimEnd(),
    );
  };
  const title = layout(columns.map((column) => column.title)).map((line) => paint(line, "bold", screen));
  return [...title, ...rows.flatMap(layout)];
}
