// Charts as SVG, written by hand: grouped bars with their values. They bring their own background, light or dark as the reader's system
// is: a page that shows one as an image may be the other.
//
//   title                          unit
//   ■ ours ■ theirs
//   condition │▇▇▇▇▇▇▇▇▇ 1,024             a group per condition, a bar per device under test, the value at its end
//             │▇▇▇▇▇▇▇ 980

import type { Chart } from "./result.ts";

export const WIDTH = 800;
export const MARGIN = 16;
const VALUES = 76;
const BAR = 16;
const GROUP_GAP = 14;
const LEGEND_Y = 40;
const LEGEND_LINE = 20;
/** Of a character, about, at the two sizes of writing. */
const LABEL_CHARACTER = 6.4;
const LEGEND_CHARACTER = 6;
export const COLOURS = ["#2563eb", "#f59e0b", "#10b981", "#a855f7", "#64748b"] as const;

export const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
/** A value as a chart writes it. */
export const show = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3));

interface Legend {
  readonly svg: string;
  readonly lines: number;
}

/** A mark and a name per series, in as many lines as they need. */
function drawLegend({ series }: Pick<Chart, "series">): Legend {
  let [x, line] = [MARGIN, 0];
  const entries = series.map(({ name }, s) => {
    const width = 34 + name.length * LEGEND_CHARACTER;
    if (x > MARGIN && x + width > WIDTH - MARGIN) [x, line] = [MARGIN, line + 1];
    const y = LEGEND_Y + line * LEGEND_LINE;
    const entry = `<rect x="${x}" y="${y}" width="11" height="11" rx="2" fill="${COLOURS[s % COLOURS.length]}"/><text x="${x + 16}" y="${y + 10}" class="v">${escaped(name)}</text>`;
    x += width;
    return entry;
  });
  return { svg: entries.join("\n"), lines: line + 1 };
}

/** Where a chart's own drawing begins, below title and legend. */
export const topOf = (chart: Pick<Chart, "series">): number => LEGEND_Y + drawLegend(chart).lines * LEGEND_LINE + 8;

/** A document of this height with title, unit and legend around what a chart draws; classes t, v: labels and values; o, n: marks and values that stand out from lines. */
export function drawPage(chart: Pick<Chart, "title" | "unit" | "series">, height: number, drawing: string): string {
  const { title, unit } = chart;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>.b{fill:#fff}text{font-family:system-ui,sans-serif;fill:#1f2937}.h{font-size:15px;font-weight:600}.t{font-size:12px}.v{font-size:11px;fill:#4b5563}
.n{font-weight:600;paint-order:stroke;stroke-width:4px;stroke-linejoin:round}.o,.n{stroke:#fff}
@media(prefers-color-scheme:dark){.b{fill:#111827}text{fill:#e5e7eb}.v{fill:#9ca3af}.o,.n{stroke:#111827}}</style>
<rect class="b" width="${WIDTH}" height="${height}" rx="8"/>
<text x="${MARGIN}" y="24" class="h">${escaped(title)}</text><text x="${WIDTH - MARGIN}" y="24" text-anchor="end" class="v">${escaped(unit)}</text>
${drawLegend(chart).svg}
${drawing}
</svg>
`;
}

/** The chart as an SVG document. */
export function drawChart(chart: Chart): string {
  const { groups, series } = chart;
  const most = Math.max(1e-9, ...series.flatMap(({ values }) => values.filter((value) => value !== null)));
  const left = MARGIN + 12 + Math.ceil(Math.max(...groups.map((group) => group.length), 0) * LABEL_CHARACTER);
  const room = WIDTH - left - VALUES;
  const top = topOf(chart);
  const parts: string[] = [];
  let y = top;
  groups.forEach((group, g) => {
    const present = series
      .map(({ name, values }, s) => ({ name, value: values[g] ?? null, colour: COLOURS[s % COLOURS.length] }))
      .filter(({ value }) => value !== null);
    const height = present.length * BAR;
    parts.push(`<text x="${left - 12}" y="${y + height / 2 + 4}" text-anchor="end" class="t">${escaped(group)}</text>`);
    for (const { name, value, colour } of present) {
      const length = Math.max(1, (room * (value as number)) / most);
      parts.push(
        `<rect x="${left}" y="${y + 1}" width="${length.toFixed(1)}" height="${BAR - 3}" rx="3" fill="${colour}"><title>${escaped(name)}</title></rect>`,
      );
      parts.push(`<text x="${(left + length + 6).toFixed(1)}" y="${y + BAR - 4}" class="v">${show(value as number)}</text>`);
      y += BAR;
    }
    y += GROUP_GAP;
  });
  const axis = `<line x1="${left - 1}" y1="${top - 4}" x2="${left - 1}" y2="${y - GROUP_GAP + 4}" stroke="#9ca3af"/>`;
  return drawPage(chart, y + 6, [axis, ...parts].join("\n"));
}
