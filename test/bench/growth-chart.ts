// How a figure grows, as SVG: a line per device under test over an axis that grows by factors, a dot and its value at each step.
//
//   title                               unit
//   ■ ours ■ theirs
//   100 ┤- - - - - - - - - - - - - ● 93          steps lie where their logarithms do; so do values,
//    10 ┤- - - - - - - ● 9 - - - - - -           where the largest is LOG_FROM times the smallest,
//     1 ┤● 2 ━━━━━━━━━━● 2 ━━━━━━━━● 3           and otherwise the axis begins at 0
//        1            100       10,000  rules

import { COLOURS, drawPage, escaped, MARGIN, show, topOf, WIDTH } from "./chart.ts";
import type { Growth } from "./result.ts";

const PLOT_HEIGHT = 260;
const LEFT = 76;
const RIGHT = 44;
const FOOT = 46;
/** So that a first dot does not lie on the axis. */
const INSET = 36;
const LOG_FROM = 12;
const TICKS = 5;
const DOT = 6;
/** Height of a value that is written. */
const VALUE_ROOM = 15;

interface Axis {
  readonly ticks: readonly number[];
  /** Share of the plot's height, from its foot. */
  at(value: number): number;
}

/** Ticks at 1, 2 or 5 times a power of ten, from 0 to at least `most`. */
function linearAxis(most: number): Axis {
  const rough = most / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number);
  const count = Math.ceil(most / step);
  return { ticks: Array.from({ length: count + 1 }, (_, k) => k * step), at: (value) => value / (count * step) };
}

/** A tick per power of ten around all values. */
function logAxis(least: number, most: number): Axis {
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  return { ticks: Array.from({ length: high - low + 1 }, (_, k) => 10 ** (low + k)), at: (value) => (Math.log10(value) - low) / (high - low) };
}

function axisFor(values: readonly number[]): Axis {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return most > least * LOG_FROM ? logAxis(least, most) : linearAxis(most);
}

interface Dot {
  readonly name: string;
  readonly value: number;
  readonly colour: string;
  readonly x: number;
  readonly y: number;
}

/** The values of one step, from the top one down: each above its dot where there is room, or else below it, or else nowhere: a pointer on the dot shows it. */
function drawValues(dots: readonly Dot[]): string[] {
  const sorted = [...dots].sort((a, b) => a.y - b.y);
  let usedTo = Number.NEGATIVE_INFINITY;
  return sorted.flatMap(({ x, y, value, colour }, k) => {
    const below = sorted[k + 1]?.y ?? Number.POSITIVE_INFINITY;
    const isAbove = y - DOT - VALUE_ROOM >= usedTo;
    if (!isAbove && y + DOT + VALUE_ROOM > below - DOT) return [];
    usedTo = isAbove ? y + DOT : y + DOT + VALUE_ROOM;
    const text = isAbove ? y - DOT - 3 : y + DOT + VALUE_ROOM - 3;
    return [`<text x="${x.toFixed(1)}" y="${text.toFixed(1)}" text-anchor="middle" class="t n" style="fill:${colour}">${show(value)}</text>`];
  });
}

/** The growth as an SVG document. */
export function drawGrowth(growth: Growth): string {
  const { along, steps, series } = growth;
  const values = series.flatMap((one) => one.values.filter((value) => value !== null));
  const axis = axisFor(values.length > 0 ? values : [1]);
  const top = topOf(growth) + 8;
  const foot = top + PLOT_HEIGHT;
  const [first, last] = [Math.log(steps[0] ?? 1), Math.log(steps.at(-1) ?? 1)];
  const room = WIDTH - LEFT - RIGHT - 2 * INSET;
  const x = (step: number): number => LEFT + INSET + (last > first ? ((Math.log(step) - first) / (last - first)) * room : room / 2);
  const y = (value: number): number => foot - axis.at(value) * PLOT_HEIGHT;
  const grid = axis.ticks.map((tick) => {
    const line = `<line x1="${LEFT}" y1="${y(tick).toFixed(1)}" x2="${WIDTH - RIGHT}" y2="${y(tick).toFixed(1)}" stroke="#9ca3af" stroke-opacity="0.35"/>`;
    return `${line}<text x="${LEFT - 10}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end" class="v">${tick.toLocaleString("en-US")}</text>`;
  });
  const names = steps.map((step) => `<text x="${x(step).toFixed(1)}" y="${foot + 20}" text-anchor="middle" class="t">${step.toLocaleString("en-US")}</text>`);
  const what = `<text x="${WIDTH - MARGIN}" y="${foot + 38}" text-anchor="end" class="v">${escaped(along)}</text>`;
  const dots = series.map(({ name, values: heights }, s) =>
    heights.flatMap((value, k): Dot[] => {
      const step = steps[k] as number;
      return value === null ? [] : [{ name, value, colour: COLOURS[s % COLOURS.length] as string, x: x(step), y: y(value) }];
    }),
  );
  const lines = dots.map((line) => {
    const points = line.map((dot) => `${dot.x.toFixed(1)},${dot.y.toFixed(1)}`).join(" ");
    return `<polyline points="${points}" fill="none" stroke="${line[0]?.colour ?? "none"}" stroke-width="2.5" stroke-linejoin="round" stroke-linecap="round"/>`;
  });
  const marks = dots
    .flat()
    .map(
      (dot) =>
        `<circle cx="${dot.x.toFixed(1)}" cy="${dot.y.toFixed(1)}" r="${DOT - 1}" fill="${dot.colour}" class="o" stroke-width="2"><title>${escaped(dot.name)}: ${show(dot.value)}</title></circle>`,
    );
  const labels = steps.flatMap((step) => drawValues(dots.flat().filter((dot) => dot.x === x(step))));
  return drawPage(growth, foot + FOOT, [...grid, ...names, what, ...lines, ...marks, ...labels].join("\n"));
}
