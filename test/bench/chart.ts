// Charts as SVG, written by hand: grouped bars with their values, readable on light and dark pages.
//
//   title
//   ▇▇ 1,024 ▆▆ 980        a group per condition, a bar per device under test, the value at its end
//   legend

import type { Chart } from "./result.ts";

const WIDTH = 760;
const LABELS = 190;
const VALUES = 90;
const BAR = 16;
const GROUP_GAP = 14;
const TOP = 66;
const COLOURS = ["#2563eb", "#f59e0b", "#10b981", "#a855f7", "#64748b"] as const;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const show = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3));

/** The chart as an SVG document. */
export function drawChart({ title, unit, groups, series }: Chart): string {
  const most = Math.max(1e-9, ...series.flatMap(({ values }) => values.filter((value) => value !== null)));
  const room = WIDTH - LABELS - VALUES;
  const parts: string[] = [];
  let y = TOP;
  groups.forEach((group, g) => {
    const present = series
      .map(({ name, values }, s) => ({ name, value: values[g] ?? null, colour: COLOURS[s % COLOURS.length] }))
      .filter(({ value }) => value !== null);
    const height = present.length * BAR;
    parts.push(`<text x="${LABELS - 12}" y="${y + height / 2 + 4}" text-anchor="end" class="t">${escaped(group)}</text>`);
    for (const { name, value, colour } of present) {
      const length = Math.max(1, (room * (value as number)) / most);
      parts.push(
        `<rect x="${LABELS}" y="${y + 1}" width="${length.toFixed(1)}" height="${BAR - 3}" rx="3" fill="${colour}"><title>${escaped(name)}</title></rect>`,
      );
      parts.push(`<text x="${(LABELS + length + 6).toFixed(1)}" y="${y + BAR - 4}" class="v">${show(value as number)}</text>`);
      y += BAR;
    }
    y += GROUP_GAP;
  });
  let x = LABELS;
  const legend = series.map(({ name }, s) => {
    const entry = `<rect x="${x}" y="40" width="11" height="11" rx="2" fill="${COLOURS[s % COLOURS.length]}"/><text x="${x + 16}" y="50" class="v">${escaped(name)}</text>`;
    x += 34 + name.length * 6.6;
    return entry;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" role="img" aria-label="${escaped(title)}">
<style>text{font-family:system-ui,sans-serif;fill:#1f2937}.h{font-size:15px;font-weight:600}.t{font-size:12px}.v{font-size:11px;fill:#4b5563}
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.v{fill:#9ca3af}}</style>
<text x="${LABELS}" y="22" class="h">${escaped(title)}</text><text x="${LABELS - 12}" y="50" text-anchor="end" class="v">${escaped(unit)}</text>
${legend.join("\n")}
<line x1="${LABELS - 1}" y1="${TOP - 4}" x2="${LABELS - 1}" y2="${y - GROUP_GAP + 4}" stroke="#9ca3af"/>
${parts.join("\n")}
</svg>
`;
}
